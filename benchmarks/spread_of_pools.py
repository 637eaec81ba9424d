"""Does the spread of a pool's participants tell where consensus falls short of the best of them?

    python benchmarks/spread_of_pools.py ANSWERS.jsonl.gz...

Files as `consensus-server evaluate-labels` reads them. Panels of 8 answer 60 prompts; word overlap and the stand-in
encoder measure them, so that it runs in seconds and without weights. One line for each file.
"""

import sys
from pathlib import Path

import numpy as np

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.consensus.answers import codes
from consensus_server.core.consensus.background import nothing_known
from consensus_server.core.consensus.equivalence import folded
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.lexical import distinct_words, information, overlaps
from consensus_server.core.consensus.measures import Measures
from consensus_server.core.consensus.pools import Policy
from consensus_server.core.consensus.support import participant_standings
from consensus_server.core.consensus.weighing import judge
from consensus_server.core.reliability import row_of, spread_of
from consensus_server.evaluation.answer_files import JudgedAnswers, read_judged_answers
from consensus_server.evaluation.panels import draw_panel

PROMPTS, PANELS, SIZE, SEED = 60, 60, 8, 7


def tables(answers: JudgedAnswers) -> tuple[np.ndarray, ...]:
    """Length and wording by prompt and model; cosine, F1 and coverage by prompt and two models."""
    prompts, models = len(answers.prompts), len(answers.models)
    texts = [text or " " for row in answers.outputs for text in row]
    layout = Layout(np.repeat(np.arange(prompts), models))
    found = distinct_words(texts)
    weight = information(found, layout.pool)
    f1, coverage = (each.reshape(prompts, models, models) for each in overlaps(found, layout, weight))
    vectors = HashingEncoder().encode_with_openings(texts)[0].astype(np.float64).reshape(prompts, models, -1)
    lengths = np.array([len(text) for text in texts], dtype=np.int64).reshape(prompts, models)
    wording = codes(map(folded, texts)).reshape(prompts, models)
    return lengths, wording, np.einsum("pid,pjd->pij", vectors, vectors), f1, coverage


def measured(file: Path) -> str:
    """Means over panels: loss of the picks against the best member, how far the most central one stands above the median."""
    answers = read_judged_answers(file, PROMPTS)
    lengths, wording, *pairs = tables(answers)
    prompts = np.arange(len(answers.prompts))
    rows = []
    for number in range(PANELS):
        members = draw_panel(len(answers.models), SIZE, SEED, number)
        cosine, f1, coverage = (each[np.ix_(prompts, members, members)].ravel() for each in pairs)
        layout, who = Layout(np.repeat(prompts, SIZE)), np.tile(np.arange(SIZE), len(prompts))
        length, words = (each[:, members].ravel() for each in (lengths, wording))
        measures = Measures(layout, who, length, words, np.zeros(len(who), dtype=bool), cosine, f1, coverage, None)
        verdict = judge(measures, reliability=True, length_penalty=Policy().length_penalty)
        worth = answers.preferences[:, members]
        picks = verdict.standing.score.reshape(len(prompts), SIZE).argmax(axis=1)
        loss = np.nanmean(worth, axis=0).max() - np.nanmean(worth[prompts, picks])
        names = [str(slot) for slot in range(SIZE)]
        found = participant_standings(measures, verdict, nothing_known(SIZE), names)
        spread = spread_of([row_of(each, weight=1.0) for each in found])
        if spread is not None:
            rows.append((loss, spread.highest - spread.median, spread.few_far_above))
    loss, above, marked = np.array(rows, dtype=np.float64).mean(axis=0)
    return f"{file.name}: loss {loss:.3f}, most central above median {above:.2f}, few_far_above in {marked:.2f} of the panels"


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(measured(Path(path)))
