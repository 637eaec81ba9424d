"""Whether two sentences speak of the same."""

import pytest

from consensus_server.core.contradictions.alignment import NEARLY_EQUAL, Overlap, sole


def test_what_is_shared_and_what_only_one_has(side_by_side):
    pair = side_by_side("The left kidney is swollen.", "The right kidney is painful today.")
    assert "kidney" in pair.shared
    assert list(pair.only_first) == ["left", "swollen"]
    assert list(pair.only_second) == ["right", "painful", "today"]
    assert "side" in pair.axes
    assert "side" not in pair.agreed_axes


def test_cover_is_the_shared_weight_over_that_of_the_lighter_sentence(side_by_side):
    overlap = side_by_side("Kidney stones hurt.", "Kidney stones rarely hurt young people much.").overlap()
    assert overlap.shared == overlap.first == 30
    assert overlap.second == 54
    assert overlap.cover == 1
    assert Overlap(0, 0, 30).cover == 1
    assert Overlap(15, 30, 60).cover == 0.5


def test_the_differing_words_are_left_out(side_by_side):
    pair = side_by_side("Kidney stones hurt.", "Kidney stones vanish.")
    assert pair.overlap().cover < pair.overlap(["hurt"], ["vanish"]).cover == 1


@pytest.mark.parametrize(("level", "enough"), [("short", True), ("asked", True), ("strict", False)])
def test_side_remarks_of_long_answers_need_more_in_common(side_by_side, level, enough):
    pair = side_by_side("Kidney stones hurt.", "Kidney stones vanish.", level=level)
    overlap = pair.overlap(["hurt"], ["vanish"])
    assert overlap.cover >= NEARLY_EQUAL
    assert pair.enough(overlap, 0.3) is enough


@pytest.mark.parametrize(("stands", "side"), [({}, 0), ({1: "a"}, 1), ({-1: "b"}, -1), ({1: "a", -1: "b"}, 0)])
def test_who_stands_on_both_sides_stands_on_none(stands, side):
    assert sole(stands) == side
