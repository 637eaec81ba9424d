"""What a ReFT adapter can be told, and what is refused."""

import pytest

from client_kit.errors import ConfigurationError
from client_kit.training.reft import VARIANTS, ReftConfig
from client_kit.training.reft.positions import Positions


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank is 0; it must be 1 or more"),
        ({"variant": "dreft"}, "variant is 'dreft'; take one of loreft"),
        ({"positions": ""}, "name no tokens"),
        ({"positions": "f0+l0"}, "name no tokens"),
        ({"positions": "l2+f2"}, "name no tokens"),
        ({"positions": "f2l2"}, "name no tokens"),
        ({"positions": "first"}, "write f2.l3"),
        ({"layers": "some"}, "layers are 'some'"),
        ({"layers": [1, 1]}, "different numbers"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"activation": "gelu"}, "activation is 'gelu'; take one of identity, relu"),
        ({"variant": "lobireft", "activation": "relu"}, "no W h for activation relu"),
        ({"init": "zero"}, "init is 'zero'"),
        ({"subspaces": {"a": [0, 9]}}, r"subspace a is \[0, 9\].*rank 8"),
        ({"subspaces": {"a": [2, 2]}}, "subspace a"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        ReftConfig(**settings)


@pytest.mark.parametrize(
    ("text", "first", "last", "groups"),
    [("f2+l3", 2, 3, ("prefix", "suffix")), ("f7", 7, 0, ("all",)), ("l1", 0, 1, ("all",)), ("all", 0, 0, ("all",))],
)
def test_positions_are_read(text, first, last, groups):
    places = Positions.parse(text)
    assert (places.first, places.last, places.everything) == (first, last, text == "all")
    assert places.groups(tied=False) == groups
    assert places.groups(tied=True) == ("all",)


def test_first_and_last_tokens_never_overlap_and_all_overlaps_with_everything():
    first, last, both, everything = map(Positions.parse, ("f3", "l2", "f1+l1", "all"))
    assert not first.overlap(last)
    assert first.overlap(both)
    assert both.overlap(last)
    assert everything.overlap(first)


@pytest.mark.parametrize(
    ("variant", "factor"), [("loreft", 2), ("noreft", 2), ("direft", 2), ("consreft", 1), ("lobireft", 1)]
)
def test_parameters_are_counted_by_the_formula(variant, factor):
    assert VARIANTS[variant].parameters(4, 100) == 4 * (factor * 100 + 1)
    assert ReftConfig(rank=4, variant=variant, positions="f1+l1").parameters(100, 3) == 3 * 2 * 4 * (factor * 100 + 1)


def test_published_counts_are_the_formulas():
    """FedReFT, table 3: LLaMA-3.2 3B (28 blocks of width 3072), two interventions per block."""
    assert ReftConfig(rank=32, positions="f1+l1").parameters(3072, 28) == pytest.approx(11.01e6, rel=1e-3)
    assert ReftConfig(rank=8, positions="f1+l1").parameters(3072, 28) == pytest.approx(2.75e6, rel=2e-3)
