"""Federations of version 0.1.0 whose clusters were found otherwise than by average linkage: read, and never decided again."""

import pytest

from consensus_server.core.errors import UnknownRule
from consensus_server.core.lifecycle import RoundState
from tests.support.service import OPERATOR

TEXTS = {"p-0": "Yes.", "p-1": "No.", "p-2": "Perhaps."}
REASON = "clusterer 'kmeans', and this version decides rounds by average linkage only"


@pytest.fixture
def retired(service, monkeypatch):
    """Begins a round of such a federation as version 0.1.0 did, and goes on without it."""

    def begin(**options):
        sites = service.found(sites=["north", "south"], retired_clusterer="kmeans")
        with monkeypatch.context() as at_that_time:
            at_that_time.setattr("consensus_server.service.rounds._require_decidable", lambda *_: None)
            service.open(**options)
        return sites

    return begin


def test_it_is_read_and_begins_no_round(service):
    service.found(retired_clusterer="kmeans")
    service.found("others")
    assert [each.terms.retired_clusterer for each in service.federations.all(OPERATOR)] == ["kmeans", None]
    with pytest.raises(UnknownRule, match=REASON) as refused:
        service.open()
    assert "Create a federation of another name" in refused.value.remedy
    assert service.rounds.all(OPERATOR, "clinics") == ()
    assert service.open("others").state is RoundState.OPEN


def test_a_draft_stays_a_draft(service, retired):
    retired(open_now=False)
    with pytest.raises(UnknownRule, match=REASON):
        service.rounds.open(OPERATOR, "clinics", 1)
    assert service.state() is RoundState.DRAFT


@pytest.mark.parametrize("closed_before", [True, False])
def test_a_round_under_way_fails_with_the_reason_and_nothing_is_decided(service, retired, closed_before):
    north, south = retired()
    if closed_before:
        service.submit(north, TEXTS)
        service.rounds.close(OPERATOR, "clinics", 1)
    else:
        for site in (north, south):
            service.submit(site, TEXTS)
    assert service.state() is RoundState.CLOSED
    service.worker.run_once()
    failed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (failed.state, failed.failure.code) == (RoundState.FAILED, "clusterer_retired")
    assert REASON in failed.failure.detail
    assert service.events()[-1] == "round.failed"
    with pytest.raises(UnknownRule, match=REASON):
        service.rounds.close(OPERATOR, "clinics", 1)
    assert not service.worker.run_once()


def test_a_round_that_a_lost_worker_left_behind_fails_too(service, retired):
    for site in retired():
        service.submit(site, TEXTS)
    service.aggregation.claim()
    service.clock.advance(61)
    service.worker.run_once()
    assert service.rounds.get(OPERATOR, "clinics", 1).failure.code == "clusterer_retired"
