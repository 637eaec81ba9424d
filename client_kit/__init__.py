"""The kit of a participant: talk to a consensus server, generate, train, and take part in a federation.

Six lines from nothing to pseudo-labels:

    from client_kit import ConsensusClient

    with ConsensusClient("http://127.0.0.1:8000", token) as client:
        number = client.current_round().number
        client.submit(number, {prompt.prompt_id: my_model(prompt.prompt) for prompt in client.missing(number)})
        client.seal(number)
        labels = client.wait_for_labels(number)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from client_kit._version import __version__

if TYPE_CHECKING:
    from client_kit._transport import RetryPolicy as RetryPolicy
    from client_kit.client import AsyncConsensusClient as AsyncConsensusClient
    from client_kit.client import ConsensusClient as ConsensusClient
    from client_kit.client import Submission as Submission
    from client_kit.errors import ConsensusError as ConsensusError
    from client_kit.exports import export_labels as export_labels
    from client_kit.prompts import PromptSet as PromptSet
    from client_kit.prompts import load_prompt_set as load_prompt_set
    from client_kit.wire import Answer as Answer
    from client_kit.wire import FinishReason as FinishReason
    from client_kit.wire import Prompt as Prompt
    from client_kit.wire import PseudoLabel as PseudoLabel
    from client_kit.wire import RoundState as RoundState

_HOMES = {
    "Answer": "client_kit.wire",
    "AsyncConsensusClient": "client_kit.client",
    "ConsensusClient": "client_kit.client",
    "ConsensusError": "client_kit.errors",
    "FinishReason": "client_kit.wire",
    "Prompt": "client_kit.wire",
    "PromptSet": "client_kit.prompts",
    "PseudoLabel": "client_kit.wire",
    "RetryPolicy": "client_kit._transport",
    "RoundState": "client_kit.wire",
    "Submission": "client_kit.client",
    "export_labels": "client_kit.exports",
    "load_prompt_set": "client_kit.prompts",
}
"""Public name -> module. Loaded on first use: the server imports `client_kit.wire` without paying for a client."""

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  all are strings


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
