"""docs/methods.md names the place of each step, and works one pool by hand: both must hold."""

import hashlib
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from consensus_server.core.consensus import Policy, Pool
from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import judge_round
from consensus_server.service.contradictions import pinned, with_findings

PAGE = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")
CORE = "consensus_server.core.consensus"
PLACE = re.compile(r"`((?:answers|words|meaning|round|rules|decide|confidence|contested)(?:\.\w+)+)`")


def places():
    return sorted(set(PLACE.findall(PAGE)))


def test_the_page_names_every_room():
    assert {place.split(".")[0] for place in places()} >= {"answers", "words", "meaning", "round", "rules", "decide"}
    assert len(places()) > 20


@pytest.mark.parametrize("place", places())
def test_each_place_that_the_page_names_is_there(place):
    try:
        importlib.import_module(f"{CORE}.{place}")
    except ModuleNotFoundError:
        module, name = place.rsplit(".", 1)
        assert hasattr(importlib.import_module(f"{CORE}.{module}"), name)


def table(heading):
    """The cells of the table whose header begins with `heading`, without its first column."""
    lines = PAGE[PAGE.index(heading) :].splitlines()[2:]
    rows = [line.strip("|").split("|") for line in lines[: next(i for i, line in enumerate(lines) if not line)]]
    return [[cell.strip() for cell in row][1:] for row in rows]


@pytest.fixture(scope="module")
def pool():
    """Vectors with exactly the cosines of the page: rows of a Cholesky factor."""
    rows = table("| | Answer | with A")
    texts = tuple(row[0] for row in rows)
    cosines = np.array([[float(cell) for cell in row[1:]] for row in rows])
    with_prompt = np.vstack([cosines, [*cosines[:, -1], 1.0]])
    vectors = np.linalg.cholesky(with_prompt).astype(np.float32)
    bare = Pool(
        prompt_id="australia",
        participants=tuple("ABCD"),
        samples=(0,) * 4,
        texts=texts,
        digests=tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts),
        vectors=vectors[:4],
        prompt="What is the capital of Australia?",
        prompt_opening=vectors[4],
        openings=vectors[:4],
    )
    return next(with_findings([bare], pinned(Policy())))


def test_the_pool_worked_by_hand_comes_out_as_the_page_says(pool):
    answers = read([pool])
    verdict, _ = judge_round(answers, [pool], Policy(), EarlierRounds(), round_wide=True)
    by_place = np.argsort(answers.places)
    assert [(each.first, each.second, each.hard) for each in pool.findings] == [(0, 3, True), (1, 3, True)]
    z, score = (column[by_place] for column in (verdict.standing.z, verdict.standing.score))
    figures = [[float(cell) for cell in row] for row in table("| | support $s$")]
    assert [row[1] for row in figures] == [len(text) for text in pool.texts]
    assert [row[2] for row in figures] == [pytest.approx(np.log(len(text) + 20), abs=6e-4) for text in pool.texts]
    np.testing.assert_allclose([row[4] for row in figures], z, atol=6e-3)
    np.testing.assert_allclose([row[5] for row in figures], score, atol=6e-3)
    paid = np.array([row[0] - row[3] for row in figures])
    np.testing.assert_allclose((paid - paid.mean()) / paid.std(), z, atol=1e-2)


def test_its_decision_is_the_page_s(pool):
    (decision,) = decide_round([pool], Policy()).decisions
    assert pool.texts[decision.pick] == "The capital of Australia is Canberra."
    assert (decision.support, decision.share, decision.confidence, decision.gates) == (2, 0.5, 0.5, {})
    assert set(decision.clusters[0].members) == {0, 1}
    assert f'the pseudo-label is "{pool.texts[decision.pick]}"' in PAGE
