"""What makes a reader of a round's card look twice."""

from datetime import UTC, datetime

import pytest

from client_kit.wire import ConsensusPolicy, EncoderCard, RoundCard, RoundCounts, RoundTimings
from client_kit.wire.rounds import alarms


def card(number, labels, hearsay):
    return RoundCard(
        federation="clinics", number=number, prompt_set="0" * 64, policy=ConsensusPolicy(), constants={}, labels="0" * 64,
        encoder=EncoderCard(
            name="e", digest="0" * 64, weights="w", pooling="p", chunking="c", dtype="f", backend="b", dimension=1
        ),
        counts=RoundCounts(
            prompts=90, submissions=3, answers=270, admitted=270, labels=labels, hearsay=hearsay, abstentions={}, encoded=1,
            reused=0,
        ),
        support=[], traffic=[], timings=RoundTimings(encoding_seconds=1, deciding_seconds=1, total_seconds=2), versions={},
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "hearsay", "rings"), [(0, 0, False), (50, 10, False), (50, 11, True), (50, 50, True)]
)
def test_labels_that_rest_on_hearsay(labels, hearsay, rings):
    found = alarms(card(1, labels, hearsay))
    assert bool(found) is rings
    assert all(f"{hearsay} of {labels} labels are hearsay" in each for each in found)


@pytest.mark.parametrize(
    ("before", "now", "rings"), [((40, 2), (50, 4), False), ((40, 2), (44, 6), True), ((40, 2), (40, 6), False)]
)
def test_coverage_that_grows_without_first_hand_answers(before, now, rings):
    found = alarms(card(2, *now), card(1, *before))
    assert [f"there are {now[0] - before[0]} labels more than in round 1" in each for each in found] == [True] * rings
