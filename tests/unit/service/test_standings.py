"""What a federation learns of its participants: reliability over rounds, rejections with reasons, appeals."""

from itertools import pairwise

import pytest

from client_kit.vocabulary import AppealOutcome, Role
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.gates import GATES
from consensus_server.core.errors import (
    AlreadyExists,
    Forbidden,
    NothingToAppeal,
    RoundNotPublished,
    UnknownAppeal,
    UnknownFederation,
    ValidationFailed,
)
from consensus_server.service import published as published_module
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service

SITES = ["east", "north", "south", "west"]
GUARDED = Policy(rule="hybrid", guards=True, reliability=True)
PROMPTS = 12
MANTRA = " It is recommended to consult the national guideline before anything is decided here." * 3


def honest(site, number, edition=0):
    return (
        f"Question {number}? The answer to question {number} is {number * 7}, says {site}, who counted {site}{number} "
        f"in edition {edition} of book {number}."
    )


def answers(site, edition=0, tail=""):
    return {f"p-{i}": honest(site, i, edition) + tail for i in range(PROMPTS)}


def play(service, sites, number, tails=None):
    """One round in which everybody answers; tails: what a site appends to each answer."""
    service.open()
    for name, caller in zip(SITES, sites, strict=True):
        service.submit(caller, answers(name, number, (tails or {}).get(name, "")), number)
    assert service.worker.run_once()
    assert service.state(number) == "published"


@pytest.fixture
def sites(service):
    return service.found(sites=SITES, prompts=PROMPTS, policy=GUARDED, quorum=4)


def test_each_round_keeps_how_participants_came_out_and_the_next_begins_with_it(service, sites):
    for number in (1, 2, 3):
        play(service, sites, number)
    first, second, third = (service.reliabilities.of_round(OPERATOR, "clinics", number) for number in (1, 2, 3))
    assert [row.participant for row in first] == SITES
    assert all(row.newcomer and row.prior_prompts == 0 and row.prompts == PROMPTS for row in first)
    assert not any(row.newcomer for row in second)
    for before, after in pairwise([first, second]):
        assert [row.prior_mean for row in after] == [row.mean for row in before]
    fading = 2**-0.5
    assert third[0].prior_prompts == pytest.approx(PROMPTS * (fading + fading**2), abs=1e-6)
    assert sum(row.mean for row in third) == pytest.approx(0, abs=1e-4)
    assert all(0.36 < row.weight < 2.72 for row in third)
    card = service.pseudo_labels.card(OPERATOR, "clinics", 3)
    assert (card.reliability.participants, card.reliability.newcomers) == (4, 0)
    assert card.constants["reputation_prompts"] == 20
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1).reliability.newcomers == 4


def test_reliability_tells_how_many_answers_were_refused(service, sites, monkeypatch):
    """A participant that had nothing admitted stands in the middle: only this shows that it does so by silence."""
    monkeypatch.setattr(published_module, "CHUNK_PROMPTS", 5)
    play(service, sites, 1, {"west": MANTRA})
    rows = service.reliabilities.of_round(OPERATOR, "clinics", 1)
    assert [(row.participant, row.refused) for row in rows] == [*((name, 0) for name in SITES[:3]), ("west", PROMPTS)]
    assert (rows[3].prompts, rows[3].mean, rows[3].weight) == (0, 0.0, 1.0)
    assert service.reliabilities.of_round(sites[3], "clinics", 1) == rows[3:]


def test_a_participant_sees_itself_an_observer_nobody_an_operator_all(service, sites):
    press = service.join("press", role=Role.OBSERVER)
    play(service, sites, 1)
    assert [row.participant for row in service.reliabilities.of_round(sites[2], "clinics", 1)] == ["south"]
    with pytest.raises(Forbidden):
        service.reliabilities.of_round(press, "clinics", 1)
    with pytest.raises(Forbidden):
        service.rejections.page(press, "clinics", 1)
    service.open()
    with pytest.raises(RoundNotPublished):
        service.reliabilities.of_round(OPERATOR, "clinics", 2)


def test_a_policy_that_decides_pool_by_pool_keeps_nothing(service):
    plain = Policy(rule="cluster_medoid", guards=False, reliability=False)
    sites = service.found(sites=SITES, prompts=PROMPTS, policy=plain)
    play(service, sites, 1)
    assert service.reliabilities.of_round(OPERATOR, "clinics", 1) == ()
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1).reliability is None


def test_names_do_not_depend_on_the_order_of_arrival_or_the_store(tmp_path):
    found = []
    for run, order in enumerate([(0, 1, 2, 3), (3, 1, 0, 2)]):
        folder = tmp_path / str(run)
        folder.mkdir()
        service = Service(open_sqlite(folder))
        sites = service.found(sites=SITES, prompts=PROMPTS, policy=GUARDED, quorum=4)
        for number in (1, 2):
            service.open()
            for i in order:
                service.submit(sites[i], answers(SITES[i], number * (i + 1)), number)
            service.worker.run_once()
        found.append((service.labels(2), service.reliabilities.of_round(OPERATOR, "clinics", 2)))
        service.store.close()
    assert found[0] == found[1]


# Rejections


def test_whoever_was_refused_reads_guard_measure_limit_and_reason(service, sites):
    play(service, sites, 1, {"west": MANTRA})
    west, east = sites[3], sites[0]
    page = service.rejections.page(west, "clinics", 1)
    assert (len(page.items), page.next_cursor) == (PROMPTS, None)
    one = page.items[0]
    assert (one.prompt_id, one.fate.participant, one.fate.gate, one.fate.limit) == ("p-0", "west", "repetitive", 0.35)
    assert one.fate.measured > 0.35
    assert service.rejections.page(east, "clinics", 1).items == ()
    assert service.rejections.page(OPERATOR, "clinics", 1).items == page.items


def test_rejections_come_in_pages(service, sites):
    play(service, sites, 1, {"west": MANTRA})
    seen, cursor, turns = [], "", 0
    while cursor is not None:
        page = service.rejections.page(OPERATOR, "clinics", 1, cursor=cursor, limit=5)
        seen, cursor, turns = [*seen, *page.items], page.next_cursor, turns + 1
    assert turns == 3
    assert tuple(seen) == service.rejections.page(OPERATOR, "clinics", 1).items


# Appeals


def test_an_upheld_appeal_admits_the_participant_from_the_next_round_on(service, sites):
    west = sites[3]
    play(service, sites, 1, {"west": MANTRA})
    before = service.labels(1)
    appeal = service.appeals.make(west, "clinics", 1, gate="repetitive", text="We must quote the guideline.")
    assert (appeal.number, appeal.participant, appeal.outcome) == (1, "west", None)
    play(service, sites, 2, {"west": MANTRA})
    assert len(service.rejections.page(west, "clinics", 2).items) == PROMPTS
    resolved = service.appeals.resolve(OPERATOR, "clinics", 1, AppealOutcome.UPHELD, "They are quotations.")
    assert (resolved.outcome, resolved.note) == (AppealOutcome.UPHELD, "They are quotations.")
    assert service.appeals.all(west, "clinics") == (resolved,)
    play(service, sites, 3, {"west": MANTRA, "east": MANTRA})
    assert {each.fate.participant for each in service.rejections.page(OPERATOR, "clinics", 3).items} == {"east"}
    card = service.pseudo_labels.card(OPERATOR, "clinics", 3)
    assert [(each.participant, each.gate) for each in card.exemptions] == [("west", "repetitive")]
    assert service.pseudo_labels.card(OPERATOR, "clinics", 2).exemptions == ()
    assert service.labels(1) == before


@pytest.mark.parametrize("gate", GATES)
def test_there_is_an_appeal_against_every_gate_that_judges(service, sites, gate):
    play(service, sites, 1)
    with pytest.raises(NothingToAppeal if GATES[gate].appealable else ValidationFailed):
        service.appeals.make(sites[3], "clinics", 1, gate=gate, text="Please.")


def test_an_exemption_ends_when_the_appeal_is_rejected_after_all(service, sites):
    play(service, sites, 1, {"west": MANTRA})
    service.appeals.make(sites[3], "clinics", 1, gate="repetitive", text="Please.")
    service.appeals.resolve(OPERATOR, "clinics", 1, AppealOutcome.UPHELD, "")
    service.clock.advance(1)
    service.appeals.resolve(OPERATOR, "clinics", 1, AppealOutcome.REJECTED, "It is advertising.")
    play(service, sites, 2, {"west": MANTRA})
    assert len(service.rejections.page(sites[3], "clinics", 2).items) == PROMPTS


def test_who_may_appeal_against_what(service, sites, monkeypatch):
    monkeypatch.setattr(published_module, "CHUNK_PROMPTS", 5)
    east, west = sites[0], sites[3]
    press = service.join("press", role=Role.OBSERVER)
    service.open()
    with pytest.raises(RoundNotPublished):
        service.appeals.make(west, "clinics", 1, gate="repetitive", text="Early.")
    for name, caller in zip(SITES, sites, strict=True):
        tail = MANTRA if name == "west" else ""
        service.submit(caller, answers(name, 1, tail) | ({"p-9": " "} if name == "west" else {}))
    service.worker.run_once()
    with pytest.raises(NothingToAppeal, match="east in round 1"):
        service.appeals.make(east, "clinics", 1, gate="repetitive", text="Me too.")
    with pytest.raises(NothingToAppeal):
        service.appeals.make(west, "clinics", 1, gate="garbage", text="Wrong gate.")
    with pytest.raises(ValidationFailed, match="no appeal can be made against 'empty'"):
        service.appeals.make(west, "clinics", 1, gate="empty", text="Silence is golden.")
    for caller in (OPERATOR, press):
        with pytest.raises(Forbidden):
            service.appeals.make(caller, "clinics", 1, gate="repetitive", text="For them.")
    service.appeals.make(west, "clinics", 1, gate="repetitive", text="Please.")
    with pytest.raises(AlreadyExists, match="appealed against repetitive in round 1 already"):
        service.appeals.make(west, "clinics", 1, gate="repetitive", text="Please!")
    assert service.appeals.all(east, "clinics") == ()
    for caller, error in ((west, Forbidden), (press, Forbidden)):
        with pytest.raises(error):
            service.appeals.resolve(caller, "clinics", 1, AppealOutcome.UPHELD, "")
    for number in (0, 2, 2**80):
        with pytest.raises(UnknownAppeal):
            service.appeals.resolve(OPERATOR, "clinics", number, AppealOutcome.UPHELD, "")
    service.found("banks", prompts=PROMPTS, sites=["bank"])
    with pytest.raises(UnknownFederation):
        service.appeals.all(west, "banks")
