"""Which learning rate suits which kind of training in a comparison: one participant, its private data, a seed not reported.

    python benchmarks/comparison_rates.py local_only --rates 0.0007,0.002,0.006
    python benchmarks/comparison_rates.py fed_sb --rates 0.003,0.01 --lora-sb-rank 8

Prints the loss on held-out examples (nats per token) and right answers, after 100 steps. No server is asked: what is tuned
is the training, and methods that train alike take the same rate.
"""

import argparse
import tempfile
from pathlib import Path

from client_kit._quiet import without_progress_bars
from client_kit.comparison import exchange
from client_kit.comparison.arms import ARMS
from client_kit.comparison.losses import mean_loss
from client_kit.comparison.members import Run
from client_kit.comparison.plan import Cell, LearningRates, Setting
from client_kit.comparison.wiring import task_of


def main() -> None:
    """A row for each rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=ARMS)
    parser.add_argument("--rates", required=True, help="with commas between")
    parser.add_argument("--task", default="facts")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--lora-sb-rank", type=int, default=Setting().lora_sb_rank)
    asked = parser.parse_args()
    print("| rate | held-out loss | own questions | validation |\n|---|---|---|---|")
    for rate in map(float, asked.rates.split(",")):
        rates = LearningRates(full=rate, lora=rate, lora_sb=rate, reft=rate)
        setting = Setting(task=asked.task, learning_rates=rates, lora_sb_rank=asked.lora_sb_rank)
        with without_progress_bars(), tempfile.TemporaryDirectory() as folder:
            loss, quality = trained(Cell(method=asked.method, seed=asked.seed), setting, Path(folder))
        print(f"| {rate:g} | {loss:.3f} | {quality['private']:.3f} | {quality['validation']:.3f} |", flush=True)


def trained(cell: Cell, setting: Setting, work: Path) -> tuple[float, dict[str, float]]:
    """Loss on held-out examples and quality of the first participant after private training."""
    run = Run(cell, setting, task_of(setting), work)
    if run.arm.training != "full":
        exchange.begin(run)
    member = run.members[0]
    run.train(member, run.private(member, 0), setting.local_steps, "private")
    run.judge(member, "private")
    return mean_loss(member.model, member.site.held_out), member.stages[-1].quality


if __name__ == "__main__":
    main()
