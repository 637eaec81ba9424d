"""Maps of pools, and published rounds decided again under another policy."""

from dataclasses import replace

import pytest

from client_kit.vocabulary import AppealOutcome
from consensus_server.backends.projections import LEAST_ANSWERS, ProjectionError, umap_plane
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import (
    Forbidden,
    RoundNotPublished,
    UnknownPrompt,
    UnknownRule,
    ValidationFailed,
    VectorsMissing,
)
from consensus_server.service import inspection as inspection_module
from consensus_server.service.inspection import Inspection
from tests.support.service import OPERATOR

SITES = ["east", "north", "south", "west", "x"]
POLICY = Policy(rule="hybrid", guards=True, reliability=True, contradictions="none", decide_by="support")
PROMPTS = 8
GARBAGE = "\ufffd\x01\ufffd\ufffd"


def said(site, number, edition):
    return f"Question {number}: it is {number * 7}, says {site} ({edition})."


def play(service, sites, number):
    """`x` sends garbage to even prompts, nobody but `east` answers the last, on which nothing is agreed."""
    service.open()
    for name, caller in zip(SITES, sites, strict=True):
        texts = {f"p-{i}": said(name, i, number) for i in range(PROMPTS - 1)}
        if name == "x":
            texts |= {f"p-{i}": GARBAGE * 9 + str(i) for i in range(0, PROMPTS - 1, 2)}
        if name == "east":
            texts |= {f"p-{PROMPTS - 1}": "Only east knows."}
        service.submit(caller, texts, number)
    assert service.worker.run_once()
    assert service.state(number) == "published"


@pytest.fixture
def sites(service):
    sites = service.found(sites=SITES, prompts=PROMPTS, policy=POLICY, quorum=5)
    play(service, sites, 1)
    return sites


def test_the_same_policy_gives_the_same_labels_byte_for_byte(service, sites):
    """Also after rounds with names and exemptions, and after what decided them has changed since."""
    service.appeals.make(sites[4], "clinics", 1, gate="garbage", text="Please.")
    service.appeals.resolve(OPERATOR, "clinics", 1, AppealOutcome.UPHELD, "")
    play(service, sites, 2)
    service.clock.advance(1)
    service.appeals.resolve(OPERATOR, "clinics", 1, AppealOutcome.REJECTED, "")
    play(service, sites, 3)
    for number in (1, 2, 3):
        found = service.inspection.what_if(OPERATOR, "clinics", number, POLICY)
        published = service.rounds.get(OPERATOR, "clinics", number).labels
        assert (found.labels, found.published) == (published, published)
        assert (found.changed, found.rescored, found.changes) == (0, 0, ())
        assert found.labels_before == found.labels_after == PROMPTS - 1


def test_another_policy_lists_what_would_change_and_changes_nothing(service, sites):
    before, card = service.labels(), service.pseudo_labels.card(OPERATOR, "clinics", 1)
    strict = service.inspection.what_if(OPERATOR, "clinics", 1, replace(POLICY, minimum_support=5))
    assert (strict.lost, strict.gained, strict.changed) == (4, 0, 4)
    assert [change.before.prompt_id for change in strict.changes] == ["p-0", "p-2", "p-4", "p-6"]
    assert all(change.after.abstention == "low_support" for change in strict.changes)
    assert strict.labels_after == strict.labels_before - 4
    lenient = service.inspection.what_if(OPERATOR, "clinics", 1, replace(POLICY, abstain=False))
    assert (lenient.gained, lenient.changed, lenient.changes[0].after.text) == (1, 1, "Only east knows.")
    scored = service.inspection.what_if(OPERATOR, "clinics", 1, replace(POLICY, confidence="semantic_entropy"))
    assert (scored.changed, scored.rescored) == (0, PROMPTS)
    assert scored.labels != scored.published
    unguarded = service.inspection.what_if(OPERATOR, "clinics", 1, replace(POLICY, guards=False, rule="random"))
    assert unguarded.changed > 0
    assert (service.labels(), service.pseudo_labels.card(OPERATOR, "clinics", 1)) == (before, card)


def test_a_long_list_of_changes_is_cut(service, sites, monkeypatch):
    monkeypatch.setattr(inspection_module, "MOST_CHANGES", 2)
    strict = service.inspection.what_if(OPERATOR, "clinics", 1, replace(POLICY, minimum_support=9))
    assert (strict.changed, len(strict.changes)) == (PROMPTS - 1, 2)


def test_what_was_never_embedded_cannot_guard(service):
    plain = Policy(rule="cluster_medoid", guards=False, reliability=False)
    sites = service.found(sites=SITES, prompts=PROMPTS, policy=plain, quorum=5)
    play(service, sites, 1)
    assert service.inspection.what_if(OPERATOR, "clinics", 1, plain).changed == 0
    with pytest.raises(VectorsMissing, match="openings of 8 prompts"):
        service.inspection.what_if(OPERATOR, "clinics", 1, POLICY)


def test_only_operators_ask_what_if_and_only_of_what_is_published(service, sites):
    with pytest.raises(Forbidden):
        service.inspection.what_if(sites[0], "clinics", 1, POLICY)
    with pytest.raises(UnknownRule):
        service.inspection.what_if(OPERATOR, "clinics", 1, replace(POLICY, rule="guess"))
    service.open()
    with pytest.raises(RoundNotPublished):
        service.inspection.what_if(OPERATOR, "clinics", 2, POLICY)


def test_a_map_names_all_to_operators_and_themselves_to_participants(service, sites):
    whole = service.inspection.map(OPERATOR, "clinics", 1, "p-0")
    assert sorted(point.participant for point in whole.points) == SITES
    assert [point.gate for point in whole.points if point.participant == "x"] == ["garbage"]
    assert sum(point.chosen for point in whole.points) == 1
    assert sum(whole.explained) <= 1
    own = service.inspection.map(sites[1], "clinics", 1, "p-0")
    assert [(point.x, point.y) for point in own.points] == [(point.x, point.y) for point in whole.points]
    assert {point.participant for point in own.points} == {None, "north"}
    assert len(service.inspection.map(OPERATOR, "clinics", 1, f"p-{PROMPTS - 1}").points) == 1


def test_a_map_of_what_is_not_there_or_by_what_is_not_known(service, sites):
    with pytest.raises(UnknownPrompt):
        service.inspection.map(OPERATOR, "clinics", 1, "p-99")
    with pytest.raises(ValidationFailed, match="known are pca"):
        service.inspection.map(OPERATOR, "clinics", 1, "p-0", method="tsne")

    def missing(vectors):
        raise ProjectionError("pip install it")

    odd = Inspection(service.store, service.store.embeddings, service.clock, {"umap": missing, "few": umap_plane})
    with pytest.raises(ValidationFailed, match="pip install it"):
        odd.map(OPERATOR, "clinics", 1, "p-0", method="umap")
    with pytest.raises(ValidationFailed, match=f"at least {LEAST_ANSWERS} answers"):
        odd.map(OPERATOR, "clinics", 1, f"p-{PROMPTS - 1}", method="few")
