"""Three ways to a model in one federation: a vLLM server with adapters, vLLM in process, and a model that is only an API.

    python examples/vllm_federation.py ./llama-folder ./qwen-folder http://127.0.0.1:11434/v1 MODEL_NAME private.jsonl work/

The first two train a LoRA adapter before every round and after the last; the third gets files for its provider's
fine-tuning. Needs the extras `server`, `generate`, `train` and `vllm`. Run it again after an interruption: it goes on where
it was.
"""

import json
import sys
from pathlib import Path
from typing import Any

from client_kit.federation.configuration import FederationSettings
from client_kit.federation.progress import Progress, Step
from client_kit.federation.runner import run_federation


def main(arguments: list[str]) -> None:
    """Two rounds. A further argument, JSON, changes the engines: on processors `{"dtype": "float32", ...}`."""
    first, second, api, api_model, private, work, *options = arguments
    prompt_set, engine_args = (options[0] if options else "general"), json.loads(options[1]) if options[1:] else {}
    outcome = run_federation(
        FederationSettings.model_validate(
            {
                "federation": "three-ways",
                "work": Path(work).absolute(),
                "rounds": 2,
                "prompt_set": prompt_set,
                "requires_training_rights": True,
                "policy": {"abstain": False},
                "participants": [
                    trained("server", "vllm_server", first, private, engine_args),
                    trained("engine", "vllm", second, private, engine_args),
                    {
                        "participant": "api",
                        "generator": {"kind": "openai", "base_url": api, "model": api_model},
                        "trainer": {"kind": "none", "export": "openai"},
                        "sampling": {"max_tokens": 32},
                        "spending": {"prompt_price": 0.15, "completion_price": 0.60, "limit": 1.0},
                        "training_rights": True,
                    },
                ],
            }
        ),
        show,
    )
    for number, card in outcome.cards.items():
        print(f"round {number}: {card.counts.labels} pseudo-labels, abstentions {card.counts.abstentions}")


def trained(name: str, kind: str, model: str, private: str, engine_args: dict[str, Any]) -> dict[str, Any]:
    """A participant whose model is here; room for its adapters is reserved when the engine starts."""
    room = {"enable_lora": True, "max_lora_rank": 8}
    return {
        "participant": name,
        "generator": {"kind": kind, "model": str(Path(model).absolute()), "engine_args": {**room, **engine_args}},
        "trainer": {"kind": "sft", "method": "lora", "lora_rank": 8, "steps": 20, "learning_rate": 5e-3},
        "private": Path(private).absolute(),
        "sampling": {"max_tokens": 32},
        "training_rights": True,
    }


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
