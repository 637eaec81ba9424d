"""What every generator does: answer public prompts with the participant's own model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from client_kit.wire import FinishReason, Prompt


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn. Temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    """Longest answer, in tokens of the participant's model."""
    samples: int = 1
    """Answers per prompt."""
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer as the model gave it, before any cleaning."""

    prompt_id: str
    sample: int
    text: str
    finish_reason: FinishReason
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Generator(Protocol):
    """A participant's inference API."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield one generation per prompt and sample as they come, in any order.

        An iterator, so that the caller can journal each answer, show progress and go on after a crash with the
        prompts that are left. Raises GenerationError (client_kit.errors) naming the prompt and the remedy.
        """
        ...

    def close(self) -> None:
        """Give back what the generator holds (a model, a connection)."""
        ...


class GeneratorSource(Protocol):
    """Opens a participant's generator anew after each training, and holds what outlives one of them: a model server."""

    def open(self, model: Path | None = None) -> Generator:
        """The generator, of the model trained meanwhile (a folder with a model or a LoRA adapter) where one is given."""
        ...

    def close(self) -> None:
        """Stop what is held."""
        ...
