"""What a caller is told of a policy that cannot be followed."""

import pickle

import pytest

from consensus_server.core.consensus import (
    ConsensusError,
    MissingOpenings,
    UnknownConfidence,
    UnknownEquivalence,
    UnknownRule,
)

UNKNOWN = {UnknownRule: "rule", UnknownConfidence: "confidence score", UnknownEquivalence: "equivalence"}


@pytest.mark.parametrize(("error", "kind"), UNKNOWN.items())
def test_an_unknown_name_is_told_with_the_known_ones_in_their_order(error, kind):
    found = error("best", {"medoid", "fused"})
    assert str(found) == f"There is no {kind} named 'best'. Known: fused, medoid."
    assert (found.name, found.known) == ("best", ("fused", "medoid"))


def test_missing_openings_are_told_with_the_pool_and_what_to_do():
    found = MissingOpenings("p1")
    assert found.prompt_id == "p1"
    for part in ("'p1'", "openings", "prompt_opening", "encode_with_openings", "guards=False"):
        assert part in str(found)


@pytest.mark.parametrize("error", [*(error("best", ["medoid"]) for error in UNKNOWN), MissingOpenings("p1")], ids=repr)
def test_an_error_crosses_process_borders_unharmed(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))
    assert isinstance(other, ConsensusError)
    assert isinstance(other, ValueError)
