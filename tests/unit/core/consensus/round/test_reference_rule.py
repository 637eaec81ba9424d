"""The guarded rule against the reference that the project was given; it lies beside the project and never in it.

What we changed since (decision 0014) is switched off here; all else must be the reference's to the last digit.
"""

from pathlib import Path

import numpy as np
import pytest

from consensus_server.core.consensus.answers.lengths import Lengths
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.meaning.linkage import average_linkage
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round import gates, judging, standing, trust
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import judge
from consensus_server.core.consensus.round.measures import GateMeasures, Measures

AS_THE_REFERENCE = Policy(length_penalty=0.0)
GOLDEN = Path(__file__).parents[6] / "shared" / "consensus" / "golden.npz"


@pytest.fixture(scope="module")
def golden():
    if not GOLDEN.is_file():
        pytest.skip("../shared/consensus/golden.npz is not there")
    return np.load(GOLDEN)


@pytest.fixture(autouse=True)
def _as_the_reference_has_it(monkeypatch):
    """Trust whatever the number of votes, also in copies; all answers far from the prompt off topic; F2 of bare words;
    whoever repeats a short answer supports it."""
    theirs = {"BETA": 1.0, "LAMBDA": 2.0, "HALF_TELLING_VOTES": 0.0, "CLEARLY_CENTRAL": -np.inf}
    for name, value in theirs.items():
        monkeypatch.setattr(trust, name, value)
    monkeypatch.setattr(standing, "SCALE_WORDS", 8.80)
    monkeypatch.setattr(gates, "LIKENESS_OF_TOPICAL", np.inf)
    monkeypatch.setattr(judging, "redundancy_in_support", lambda _measures, _admitted, _votes, redundant: redundant)


@pytest.fixture(scope="module")
def measures(golden):
    prompts, models = golden["length"].shape
    chunk, first = (golden[name].astype(np.float64) for name in ("chunk", "first"))
    return Measures(
        pairs=(pairs := Pairs(np.repeat(np.arange(prompts), models))),
        participant=np.tile(np.arange(models), prompts),
        lengths=Lengths(pairs.pool, golden["length"].astype(np.int64).ravel(), Policy().short_chars),
        by_key=np.zeros(prompts * models, dtype=bool),
        stated=np.full(prompts * models, -1),
        wording=np.arange(prompts * models),  # no text is there twice, as far as the reference knows
        cosine=np.einsum("pid,pjd->pij", chunk, chunk).ravel(),
        f1=golden["f1"].astype(np.float64).ravel(),
        coverage=golden["f2"].astype(np.float64).ravel(),
        opening_cosine=np.einsum("pid,pjd->pij", first, first).ravel(),
        contradict=np.zeros(prompts * models**2, dtype=bool),
        for_gates=GateMeasures(
            printable=golden["printable"].astype(np.float64).ravel(),
            relevance=golden["relevance"].astype(np.float64).ravel(),
            repetition=np.tile(golden["repetition"], prompts),
            order=np.full(prompts * models, np.nan),
        ),
    )


def test_votes_and_scores_are_those_of_the_reference(golden, measures):
    verdict = judge(measures, AS_THE_REFERENCE, EarlierRounds().of([""] * 64))
    shape = golden["length"].shape
    np.testing.assert_allclose(verdict.votes.reshape(shape), golden["weight"], atol=1e-5)
    score = np.where(verdict.admitted, verdict.standing.score, 0)
    np.testing.assert_allclose(score.reshape(shape), golden["score"], atol=1e-4)


def test_picks_are_those_of_the_reference(golden, measures):
    """Average linkage of the admitted answers only: who was rejected cannot bend the clusters of the others."""
    verdict = judge(measures, AS_THE_REFERENCE, EarlierRounds().of([""] * 64))
    prompts, models = golden["length"].shape
    admitted = verdict.admitted.reshape(prompts, models)
    cosine = measures.cosine.reshape(prompts, models, models)
    cosine = np.where(admitted[:, :, None] & admitted[:, None, :], cosine, -1e6)
    labels = average_linkage(cosine, np.full(prompts, 0.6))
    votes = verdict.votes.reshape(prompts, models)
    mass = (votes[:, None, :] * (labels[:, :, None] == labels[:, None, :])).sum(-1)
    allowed = admitted & (mass >= mass.max(1, keepdims=True) - 1e-6)
    score = np.where(allowed, verdict.standing.score.reshape(prompts, models), -np.inf)
    np.testing.assert_array_equal(score.argmax(1), golden["pick"])
