"""What a published round shows, and to whom."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit import wire
from consensus_server.core.errors import Forbidden, UnknownPrompt
from consensus_server.core.labels import ClusterShare, Label, ParticipantTraffic, SupportRow
from consensus_server.ports import TrafficCount
from consensus_server.service import pseudo_labels
from consensus_server.service.label_lines import label_line, lines_digest, read_label
from tests.support.service import OPERATOR

YES, NO = "Yes, it is so.", "No; quite the contrary holds."

unit = st.floats(0, 1)
labels = st.builds(
    Label,
    prompt_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,9}", fullmatch=True),
    text=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    digest=st.none() | st.just("0" * 64),
    abstention=st.none() | st.sampled_from(list(wire.Abstention)).map(str),
    confidence=unit,
    confidence_method=st.just("dominant_share"),
    support=st.floats(0, 100),
    share=unit,
    clusters=st.lists(st.builds(ClusterShare, st.integers(1, 9), st.floats(0, 9), unit), max_size=3).map(tuple),
)


@pytest.fixture
def sites(service):
    """Three contributors of unequal fate and one who only looks on; round 1 is published."""
    names = ["north", "south", "east"]
    sites = service.found(sites=names, prompts=5, quorum=3)
    service.open()
    answers = ({"p-0": YES, "p-1": YES}, {"p-0": YES, "p-1": NO}, {"p-0": NO, "p-3": NO})
    service.traffic.add([TrafficCount("clinics", 1, name, 100 + i, 7) for i, name in enumerate(names)])
    for site, texts in zip(sites, answers, strict=True):
        service.submit(site, texts)
    assert service.worker.run_once()
    return sites


@given(labels)
def test_a_line_is_read_back_as_it_was_written(label):
    assert read_label(label_line(label)) == label


@given(st.lists(labels, unique_by=lambda label: label.prompt_id))
def test_lines_and_wire_agree_on_the_digest(given_labels):
    ordered = sorted(given_labels, key=lambda label: label.prompt_id)
    lines = [label_line(label) for label in ordered]
    on_the_wire = [wire.PseudoLabel.model_validate_json(line) for line in lines]
    assert lines_digest(lines) == wire.pseudo_labels_digest(on_the_wire)


def test_pages_follow_one_another_without_gap(service, sites):
    north = sites[0]
    seen, cursor = [], ""
    while cursor is not None:
        page = service.pseudo_labels.page(north, "clinics", 1, cursor=cursor, limit=2)
        seen, cursor = [*seen, *page.items], page.next_cursor
        assert len(page.items) <= 2
    assert [label.prompt_id for label in seen] == [f"p-{i}" for i in range(5)]
    assert tuple(seen) == service.pseudo_labels.page(north, "clinics", 1).items


def test_a_page_that_ends_with_the_last_label_is_the_last(service, sites):
    assert service.pseudo_labels.page(sites[0], "clinics", 1, limit=5).next_cursor is None


def test_a_stream_read_in_pieces_is_the_same(service, sites, monkeypatch):
    whole = service.labels(caller=sites[0])
    monkeypatch.setattr(pseudo_labels, "CHUNK_LABELS", 2)
    assert service.labels(caller=sites[0]) == whole
    assert whole.count(b"\n") == 5


def test_operators_see_who_answered_what(service, sites):
    seen = service.pseudo_labels.explain(OPERATOR, "clinics", 1, "p-0")
    assert {(fate.participant, fate.cluster) for fate in seen.answers} == {("north", 0), ("south", 0), ("east", 1)}
    assert [fate.chosen for fate in seen.answers].count(True) == 1
    assert all(fate.similarity == pytest.approx(1) for fate in seen.answers if fate.cluster == 0)


def test_participants_see_the_fate_of_their_own_answers_only(service, sites):
    for site, cluster in zip(sites, (0, 0, 1), strict=True):
        seen = service.pseudo_labels.explain(site, "clinics", 1, "p-0")
        assert [(fate.participant, fate.cluster) for fate in seen.answers] == [(site.participant.name, cluster)]
        assert seen.label.text == YES


def test_an_explanation_of_an_unknown_prompt_is_refused(service, sites):
    with pytest.raises(UnknownPrompt, match="p-99"):
        service.pseudo_labels.explain(sites[0], "clinics", 1, "p-99")


def test_the_card_says_what_made_the_round(service, sites):
    card = service.pseudo_labels.card(sites[0], "clinics", 1)
    federation = service.federations.get(OPERATOR, "clinics")
    assert (card.federation, card.number, card.prompt_set) == ("clinics", 1, federation.terms.prompt_set)
    assert card.policy == federation.terms.policy
    assert card.encoder == service.encoder.identity
    assert card.labels == service.rounds.get(OPERATOR, "clinics", 1).labels
    assert card.published_at == service.clock.now().astimezone(UTC)
    assert (card.counts.prompts, card.counts.submissions, card.counts.answers, card.counts.admitted) == (5, 3, 6, 6)
    assert (card.counts.labels, card.counts.abstentions) == (1, {"no_answers": 2, "single_answer": 1, "tie": 1})
    assert card.support == (SupportRow(2.0, 1, pytest.approx(2 / 3, abs=1e-6)),)
    assert card.timings.total_seconds >= card.timings.encoding_seconds + card.timings.deciding_seconds - 1e-9
    assert {"python", "numpy", "semantic-consensus"} <= card.versions.keys()


def test_the_card_keeps_the_traffic_of_the_moment_of_publication(service, sites):
    before = service.pseudo_labels.card(OPERATOR, "clinics", 1).traffic
    service.traffic.add([TrafficCount("clinics", 1, "north", 1, 1)])
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1).traffic == before
    assert [row.received_bytes for row in before] == [102, 100, 101]


def test_traffic_adds_up_and_each_sees_its_own(service, sites):
    service.traffic.add([TrafficCount("clinics", 1, "north", 2**40, 3), TrafficCount("clinics", 1, "north", 1, 1)])
    own = ParticipantTraffic("north", 100 + 2**40 + 1, 7 + 3 + 1)
    assert service.traffic.of_round(sites[0], "clinics", 1) == (own,)
    assert [row.participant for row in service.traffic.of_round(OPERATOR, "clinics", 1)] == ["east", "north", "south"]


def test_traffic_of_what_does_not_exist_is_dropped(service, sites):
    before = service.traffic.of_round(OPERATOR, "clinics", 1)
    strange = [("clinics", 2, "north"), ("clinics", 2**80, "north"), ("banks", 1, "north"), ("clinics", 1, "nobody")]
    service.traffic.add([TrafficCount(*key, 5, 5) for key in strange])
    assert service.traffic.of_round(OPERATOR, "clinics", 1) == before


@pytest.mark.parametrize("contributors_only", [True, False])
def test_whoever_did_not_contribute_may_be_kept_out(service, contributors_only):
    north, south, east = service.found(sites=["north", "south", "east"], contributors_only=contributors_only)
    service.open()
    for site in (north, south):
        service.submit(site, {"p-0": YES})
    service.store_answers(east, {"p-0": YES})
    service.rounds.close(OPERATOR, "clinics", 1)
    service.worker.run_once()
    assert service.labels(caller=north) == service.labels()
    attempts = (
        lambda: service.labels(caller=east),
        lambda: service.pseudo_labels.explain(east, "clinics", 1, "p-0"),
    )
    for attempt in attempts:
        if contributors_only:
            with pytest.raises(Forbidden, match="sealed"):
                attempt()
        else:
            assert attempt()
    assert service.pseudo_labels.card(east, "clinics", 1).counts.submissions == 2
