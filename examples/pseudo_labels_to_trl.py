"""Fine-tune a model on the pseudo-labels of a published round, with TRL alone. Needs the extra `train`.

    export CONSENSUS_TOKEN=...
    python examples/pseudo_labels_to_trl.py http://127.0.0.1:8000 1 ./my-model ./my-model-after-round-1

The model needs a chat template. Labels that most participants stand behind are kept; the loss is taken on the completions only. `consensus join` does
this with private data in the mix, weights by confidence, and resumes; here is the bare way, for a training of your own.
"""

import os
import sys

from trl import SFTConfig, SFTTrainer

from client_kit import ConsensusClient
from client_kit.exports import to_dataset

MINIMUM_CONFIDENCE = 0.5


def main(url: str, number: str, model: str, output: str) -> None:
    """Fetch, keep what is likely right, train, save."""
    with ConsensusClient(url, os.environ["CONSENSUS_TOKEN"]) as client:
        labels = [label for label in client.pseudo_labels(int(number)) if label.confidence >= MINIMUM_CONFIDENCE]
        dataset = to_dataset(client.prompts(), labels, conversational=True)
    print(f"{len(dataset)} pseudo-labels of confidence {MINIMUM_CONFIDENCE} or more", flush=True)

    config = SFTConfig(
        output_dir=output, num_train_epochs=1, learning_rate=1e-4, per_device_train_batch_size=8, bf16=False,
        completion_only_loss=True, save_strategy="no", report_to=[],
    )  # fmt: skip
    columns = dataset.select_columns(["prompt", "completion"])
    trainer = SFTTrainer(model=model, args=config, train_dataset=columns)
    trainer.train()
    trainer.save_model(output)
    print(f"trained for {trainer.state.global_step} steps: {output}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [url, number, model, output] if "CONSENSUS_TOKEN" in os.environ:
            main(url, number, model, output)
        case _:
            raise SystemExit(__doc__)
