"""A participant without weights: its model is behind an OpenAI-compatible API, and its provider does the fine-tuning.

    export CONSENSUS_TOKEN=...  MODEL_KEY=...
    python examples/api_only_participant.py http://127.0.0.1:8000 FEDERATION https://api.example.com/v1 MODEL_NAME work/

It answers the public prompts of the first round through the API, submits, and writes the pseudo-labels as a file that
the provider's fine-tuning takes; set `rounds` for more. Run it again after an interruption: nothing is asked or paid for twice. Needs the extra
`generate`.
"""

import os
import sys
from pathlib import Path

from client_kit import wiring
from client_kit.federation.joining import take_part
from client_kit.federation.progress import Progress, Step
from client_kit.settings import ParticipantSettings


def main(server: str, federation: str, api: str, model: str, work: str) -> None:
    """Take part, and say where the training files are."""
    settings = ParticipantSettings.model_validate(
        {
            "server": server,
            "federation": federation,
            "token_env": "CONSENSUS_TOKEN",
            "work": Path(work).absolute(),
            "rounds": 1,
            "generator": {
                "kind": "openai",
                "base_url": api,
                "model": model,
                "api_key_env": "MODEL_KEY" if "MODEL_KEY" in os.environ else None,
            },
            "trainer": {"kind": "none", "export": "openai"},
            "sampling": {"max_tokens": 64},
        }
    )
    take_part(settings, wiring, show)
    for file in sorted(Path(work).glob("round-*/labels.openai.jsonl")):
        print(f"to fine-tune on: {file}")


def show(progress: Progress) -> None:
    """One line per step, without one per answer."""
    if progress.step is not Step.ANSWERING:
        print(f"{progress.step} {progress.round or ''} {progress.detail}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [server, federation, api, model, work] if "CONSENSUS_TOKEN" in os.environ:
            main(server, federation, api, model, work)
        case _:
            raise SystemExit(__doc__)
