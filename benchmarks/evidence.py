"""Labels of one round by evidence and by support, with and without pooled wordings: the table of docs/evidence.md.

    python benchmarks/evidence.py 0 1 2 3 4 5 6

Seeds 0 to 2 chose the constants; the others report. Participants, models and data are those of `consensus compare` on the task
`facts`: three sites, 100 steps on private data, then sixteen samples of each public prompt at temperature .7, of which fewer are
taken where a row says so, and a greedy answer. About a minute a seed and core.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from client_kit.comparison.facts import FactsTask
from client_kit.comparison.members import Run
from client_kit.comparison.plan import Cell, Setting
from client_kit.generation.base import Sampling
from client_kit.wire import content_digest
from consensus_server.backends.encoders import load_encoder
from consensus_server.backends.store.store import open_store
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy
from consensus_server.core.federations import Prompt
from consensus_server.ports import Encoder, PooledAnswer
from consensus_server.service.contradictions import pinned, with_findings
from consensus_server.service.deciding import Embedded, Material, build_pools, label_round
from consensus_server.service.embedding import embed_texts

GREEDY, SAMPLED, MOST = 0.0, 0.7, 16
ROWS = (
    ("support of 2", Policy(decide_by="support"), GREEDY, 1),
    ("support of 2", Policy(decide_by="support"), SAMPLED, 8),
    ("evidence, margin .5", Policy(), GREEDY, 1),
    ("evidence, margin .5", Policy(), SAMPLED, 4),
    ("evidence, margin .25", Policy(minimum_margin=0.25), SAMPLED, 8),
    ("evidence, margin .5", Policy(), SAMPLED, 8),
    ("evidence, margin 1", Policy(minimum_margin=1.0), SAMPLED, 8),
)

Given = dict[float, list[PooledAnswer]]
"""Answers of all sites by temperature."""


def answers(task: FactsTask, seed: int, work: Path) -> Given:
    """Train three sites on private data and ask them."""
    run = Run(Cell(method="local_only", seed=seed), Setting(), task, work)
    given: Given = {GREEDY: [], SAMPLED: []}
    for member in run.members:
        run.train(member, run.private(member, 0), run.setting.local_steps, seed=member.seed + 1)  # as a comparison does
        with closing(run.generator(member.model)) as generator:
            for temperature, samples in ((GREEDY, 1), (SAMPLED, MOST)):
                sampling = Sampling(
                    samples=samples, temperature=temperature, seed=1000 * seed + 7, max_tokens=task.max_answer_tokens
                )
                given[temperature] += [
                    PooledAnswer(
                        each.prompt_id,
                        member.site.name,
                        each.sample,
                        each.text.strip(),
                        content_digest(each.text.strip()),
                    )
                    for each in generator.generate(task.prompts(), sampling)
                ]
    return given


def material(task: FactsTask, given: Sequence[PooledAnswer], samples: int) -> Material:
    """What a server would decide the round from."""
    prompts = tuple(Prompt(each.prompt_id, each.prompt, each.topic, None, each.question) for each in task.prompts())
    return Material(prompts, "semantic", tuple(each for each in given if each.sample < samples), 3)


def decided(found: Material, policy: Policy, encoder: Encoder, work: Path) -> list[tuple[str, str | None, float]]:
    """(prompt, label's text, margin) by the server's own steps."""
    policy = pinned(policy)
    store = open_store(f"sqlite:///{work / 'embeddings.sqlite'}")
    texts = embed_texts(found.texts(), encoder, store.embeddings)
    prompts = embed_texts(found.prompt_texts(), encoder, store.embeddings)
    embedded = Embedded(texts.vectors, texts.openings, prompts.openings, encoder.identity.dimension)
    pools = list(with_findings(build_pools(found, embedded, policy), policy))
    labels = label_round(found, pools, decide_round(pools, policy), policy).labels
    return [(label.prompt_id, label.text, label.margin or 0.0) for label in labels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+")
    seeds = parser.parse_args().seeds
    task, encoder = FactsTask(Setting()), load_encoder("all-MiniLM-L6-v2")
    counts: dict[tuple[int, bool], list[int]] = defaultdict(lambda: [0, 0, 0])
    margins: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            given = answers(task, seed, Path(folder))
            for number, (_, policy, temperature, samples) in enumerate(ROWS):
                row = counts[number, seed > 2]  # noqa: PLR2004 - as the docstring says
                for prompt_id, text, margin in decided(
                    material(task, given[temperature], samples), policy, encoder, Path(folder)
                ):
                    right = bool(text is not None and task.right(prompt_id, text))
                    row[:] = row[0] + 1, row[1] + (text is not None), row[2] + right
                    if policy.minimum_margin < 0.5 and text is not None:  # noqa: PLR2004 - the row with most margins
                        band = margins[min(int(4 * margin) / 4, 1.0)]
                        band[:] = band[0] + 1, band[1] + right
        print(f"seed {seed} done", flush=True)
    report(counts, margins, seeds)


def report(counts: dict[tuple[int, bool], list[int]], margins: dict[float, list[int]], seeds: Sequence[int]) -> None:
    """Coverage / precision / right labels a seed, of calibration and report seeds."""
    for (number, later), (prompts, labels, right) in sorted(counts.items()):
        name, _, _, samples = ROWS[number]
        runs = sum((seed > 2) == later for seed in seeds)  # noqa: PLR2004 - as above
        which = "report" if later else "calibration"
        figures = f"{labels / prompts:.3f} / {right / max(labels, 1):.3f} / {right / runs:.1f}"
        print(f"{name:22} {samples:2} samples, {which:11} {figures}")
    for band, (labels, right) in sorted(margins.items()):
        print(f"margin from {band:.2f}: {right} of {labels} right")


if __name__ == "__main__":
    main()
