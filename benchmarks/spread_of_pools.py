"""Does the spread of a pool's participants tell where consensus falls short of the best of them?

    python benchmarks/spread_of_pools.py ANSWERS.jsonl.gz...

Files as `consensus-server evaluate-labels` reads them. Panels of 8 answer 60 prompts; word overlap and the stand-in
encoder measure them, so that it runs in seconds and without weights. One line for each file.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.backends.store import open_store
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import judge
from consensus_server.core.consensus.round.trust import participant_standings
from consensus_server.core.reliability import row_of, spread_of
from consensus_server.evaluation.answer_files import Wanted, read_judged_answers
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.panels import draw_panel

PROMPTS, PANELS, SIZE, SEED = 60, 60, 8, 7


def measured(file: Path) -> str:
    """Means over panels: loss of the picks against the best member, how far the most central one stands above the median."""
    judged = read_judged_answers(file, Wanted(PROMPTS))
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/embeddings.sqlite")
        try:
            bank = make_bank(judged, [], HashingEncoder(), store.embeddings)
        finally:
            store.close()
    drawn = (draw_panel(len(judged.models), SIZE, SEED, number) for number in range(PANELS))
    rows = [row for row in (_of_panel(bank, members) for members in drawn) if row is not None]
    loss, above, marked = np.array(rows, dtype=np.float64).mean(axis=0)
    return f"{file.name}: loss {loss:.3f}, most central above median {above:.2f}, few_far_above in {marked:.2f} of the panels"


def _of_panel(bank: Bank, members: np.ndarray) -> tuple[float, float, bool] | None:
    """Loss, most central above median, few far above; None where nobody was measured."""
    policy = Policy(guards=False)
    answers, row = bank.rows(np.tile(members, (len(bank.worth), 1)))
    measures, usable = bank.measures(answers, row, policy)
    known = EarlierRounds().of(answers.names)
    verdict = judge(replace(measures, for_gates=None), policy, known)
    score = np.full((len(bank.worth), SIZE), -np.inf)
    score[answers.pool[usable], answers.places[usable]] = verdict.standing.score
    worth = bank.worth[:, members]
    loss = np.nanmean(worth, axis=0).max() - np.nanmean(worth[np.arange(len(worth)), score.argmax(axis=1)])
    found = participant_standings(
        measures, verdict.admitted, verdict.votes, verdict.standing.z, known=known, names=answers.names
    )
    spread = spread_of([row_of(each, weight=1.0) for each in found])
    return None if spread is None else (loss, spread.highest - spread.median, spread.few_far_above)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(measured(Path(path)))
