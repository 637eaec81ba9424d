"""A federation of unlike participants on this machine: two models of different architecture, and one that is only an API.

    python examples/mixed_federation.py ./llama-folder ./gpt2-folder http://127.0.0.1:11434/v1 MODEL_NAME private.jsonl work/

The same from the shell: write what stands below into federation.yaml and run `consensus federate federation.yaml`. Needs
the extras `server`, `generate` and `train`. Run it again after an interruption: it goes on where it was.
"""

import sys
from pathlib import Path

from client_kit.federation.configuration import FederationSettings
from client_kit.federation.progress import Progress, Step
from client_kit.federation.runner import run_federation


def main(arguments: list[str]) -> None:
    """Two rounds; what the API's provider should train on is written to its work folder."""
    first, second, api, api_model, private, work, *options = arguments
    prompt_set, encoder = options or ("general", "all-MiniLM-L6-v2")
    trained = {
        "trainer": {"kind": "sft", "method": "full", "steps": 20, "learning_rate": 1e-4, "batch_size": 4},
        "private": Path(private).absolute(),
        "sampling": {"max_tokens": 64},
    }
    settings = FederationSettings.model_validate(
        {
            "federation": "mixed",
            "work": Path(work).absolute(),
            "rounds": 2,
            "prompt_set": prompt_set,
            "encoder": encoder,
            "participants": [
                {
                    "participant": "first",
                    "generator": {"kind": "transformers", "model": str(Path(first).absolute())},
                    **trained,
                },
                {
                    "participant": "second",
                    "generator": {"kind": "transformers", "model": str(Path(second).absolute())},
                    **trained,
                },
                {
                    "participant": "api",
                    "generator": {"kind": "openai", "base_url": api, "model": api_model},
                    "trainer": {"kind": "none", "export": "openai"},
                    "sampling": {"max_tokens": 64},
                },
            ],
        }
    )
    outcome = run_federation(settings, show)
    for number, card in outcome.cards.items():
        print(f"round {number}: {card.counts.labels} pseudo-labels, abstentions {card.counts.abstentions}")


def show(progress: Progress) -> None:
    """One line per step that is done."""
    if progress.step in {Step.TRAINED, Step.SUBMITTED, Step.LABELLED, Step.MISSED, Step.FINISHED}:
        print(f"{progress.participant}: {progress.step} {progress.round or ''} {progress.detail}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [_, _, _, _, _, _, *_] as arguments:
            main(arguments)
        case _:
            raise SystemExit(__doc__)
