"""Take part in a round with answers that exist already, and print what the participants agree on.

    export CONSENSUS_TOKEN=...
    python examples/submit_existing_generations.py http://127.0.0.1:8000 answers.jsonl

answers.jsonl: one line per public prompt, {"prompt_id": "...", "text": "..."}. Run it again after an interruption: what
the server holds is not sent again.
"""

import json
import os
import sys
from pathlib import Path

from client_kit import ConsensusClient


def main(url: str, file: str) -> None:
    """Submit, seal, wait for the others, print."""
    rows = [json.loads(line) for line in Path(file).read_bytes().splitlines()]
    answers = {row["prompt_id"]: row["text"] for row in rows}

    with ConsensusClient(url, os.environ["CONSENSUS_TOKEN"]) as client:
        number = client.current_round().number
        receipt = client.submit_and_seal(number, answers)
        print(f"round {number}: {receipt.count} answers sealed, waiting for the others", flush=True)
        labels = client.wait_for_labels(number, timeout_seconds=3600)

    for label in labels:
        print(f"{label.prompt_id}\t{label.confidence:.2f}\t{label.text or f'no agreement: {label.abstention}'}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [url, file] if "CONSENSUS_TOKEN" in os.environ:
            main(url, file)
        case _:
            raise SystemExit(__doc__)
