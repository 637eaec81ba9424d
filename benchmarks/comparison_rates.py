"""Which learning rate suits which kind of training in a comparison: some participants, their private data, a seed not reported.

    python benchmarks/comparison_rates.py local_only --rates 0.0007,0.002,0.006
    python benchmarks/comparison_rates.py fed_sb --rates 0.003,0.01 --lora-sb-rank 8
    python benchmarks/comparison_rates.py local_only_reft --task behaviour --participants 3 --rates 0.001,0.003,0.01

Prints the loss on held-out examples (nats per token) and right answers, after 100 steps, mean over participants. No server
is asked: what is tuned is the training, and methods that train alike take the same rate.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean

from client_kit._quiet import without_progress_bars
from client_kit.comparison import exchange
from client_kit.comparison.arms import ARMS
from client_kit.comparison.losses import mean_loss
from client_kit.comparison.members import Member, Run
from client_kit.comparison.plan import Cell, LearningRates, Setting
from client_kit.comparison.wiring import task_of


def main() -> None:
    """A row for each rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=ARMS)
    parser.add_argument("--rates", required=True, help="with commas between")
    parser.add_argument("--task", default="facts")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--participants", type=int, default=1, help="that train, of three")
    parser.add_argument("--lora-sb-rank", type=int, default=Setting().lora_sb_rank)
    asked = parser.parse_args()
    print("| rate | held-out loss | own questions | validation |\n|---|---|---|---|")
    for rate in map(float, asked.rates.split(",")):
        rates = LearningRates(full=rate, lora=rate, lora_sb=rate, reft=rate)
        setting = Setting(task=asked.task, learning_rates=rates, lora_sb_rank=asked.lora_sb_rank)
        with without_progress_bars(), tempfile.TemporaryDirectory() as folder:
            run = begun(Cell(method=asked.method, seed=asked.seed), setting, Path(folder))
            each = [trained(run, member) for member in run.members[: asked.participants]]
        print("| " + " | ".join([f"{rate:g}", *(f"{mean(values):.3f}" for values in zip(*each, strict=True))]) + " |",
              flush=True)  # fmt: skip


def begun(cell: Cell, setting: Setting, work: Path) -> Run:
    """The participants, each with what it trains."""
    run = Run(cell, setting, task_of(setting), work)
    if run.arm.training != "full":
        exchange.begin(run)
    return run


def trained(run: Run, member: Member) -> tuple[float, float, float]:
    """Loss on held-out examples, own questions and validation questions of one participant after private training."""
    run.train(member, run.private(member, 0), run.setting.local_steps)
    run.judge(member)
    quality = member.stages[-1].quality
    return mean_loss(member.model, member.site.held_out), quality["private"], quality["validation"]


if __name__ == "__main__":
    main()
