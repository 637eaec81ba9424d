"""Who may know what stored vectors saved: vectors are kept for all federations, and their number tells what was ever submitted."""

from dataclasses import replace

import pytest

from client_kit.vocabulary import AggregationStep, Role
from client_kit.wire import RoundProgress
from consensus_server.core.rounds import AggregationProgress
from consensus_server.http_api import translate
from tests.support.service import OPERATOR

GUESS = {f"p-{n}": f"Room {n} is where the spare key lies." for n in range(3)}


@pytest.fixture
def guessing(service):
    """A federation that submits what another one has submitted, and its own operator."""
    north, south = service.found("clinics", sites=["north", "south"])
    service.open()
    for site in (north, south):
        service.submit(site, GUESS)
    service.worker.run_once()
    spy, other = service.found("spies", sites=["spy", "other"])
    service.open("spies")
    for site in (spy, other):
        service.submit(site, GUESS)
    service.worker.run_once()
    return spy, service.join("boss", federation="spies", role=Role.OPERATOR)


def test_no_card_of_a_member_tells_whether_anybody_ever_submitted_a_text(service, guessing):
    whole = service.pseudo_labels.card(OPERATOR, "spies", 1)
    assert whole.counts.reused > 0
    assert whole.counts.encoded == 0
    for member in guessing:
        card = service.pseudo_labels.card(member, "spies", 1)
        assert (card.counts.encoded, card.counts.reused, card.timings.encoding_seconds) == (0, 0, 0.0)
        assert card.timings.total_seconds == card.timings.deciding_seconds == whole.timings.deciding_seconds
        assert replace(card, counts=whole.counts, timings=whole.timings) == whole


def test_members_see_that_texts_are_encoded_and_not_how_many(service, guessing):
    encoding = AggregationProgress(AggregationStep.ENCODING, 512, 8000, 40.0)
    round_ = replace(service.rounds.get(OPERATOR, "spies", 1), progress=encoding)
    assert translate.round_(round_, OPERATOR).progress.in_words() == "encoding 512 of 8,000, 40 s left"
    for member in guessing:
        shown = translate.round_(round_, member).progress
        assert shown == RoundProgress(step=AggregationStep.ENCODING, done=0, total=0)
        assert shown.in_words() == "encoding"
    deciding = replace(round_, progress=replace(encoding, step=AggregationStep.DECIDING))
    assert translate.round_(deciding, guessing[0]).progress.done == 512
