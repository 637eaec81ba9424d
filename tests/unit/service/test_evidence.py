"""Rounds decided by evidence: questions in several wordings, answers at second hand, submissions that are carried."""

import pytest

from client_kit.vocabulary import Grade
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import PromptSetMismatch, SealMismatch, ValidationFailed
from consensus_server.core.federations import Prompt, Terms
from consensus_server.service.prompt_sets import prompts_digest
from tests.support.service import OPERATOR, make_manifest

BY_KEY = {"equivalence": "final_answer"}
PROMPTS = [Prompt(f"p-{i}", f"How many are {i}?", **BY_KEY) for i in range(3)]
POLICY = Policy(rule="vote", guards=False, reliability=False, contradictions="none")


def found(service, prompts=PROMPTS, policy=POLICY, sites=("ann", "bob", "cy"), **terms):
    return service.found(sites=sites, prompts=prompts, policy=policy, quorum=len(sites), samples_per_prompt=4, **terms)


def play(service, sites, number, said, **taught):
    """said: by participant, the answers to p-0, p-1 and p-2, or None for nobody's; taught: `taught_through` by participant."""
    service.open()
    for site in sites:
        name = site.participant.name
        texts = {f"p-{i}": f"It is {each}." for i, each in enumerate(said[name])}
        service.submit(site, texts, number, taught_through=taught.get(name, 0))
    assert service.worker.run_once()
    assert service.state(number) == "published"


def numbers(service, number):
    return [text and text.removeprefix("It is ").removesuffix(".") for text in service.label_texts(number).values()]


def test_wordings_of_one_question_are_decided_together_and_labelled_each(service):
    prompts = [Prompt(f"q/{i}", f"How many, in words of kind {i}?", question="q", **BY_KEY) for i in range(2)]
    sites = found(service, prompts)
    service.open()
    said = {"ann": ("7", "7"), "bob": ("1", "2"), "cy": ("3", "4")}
    for site in sites:
        first, second = said[site.participant.name]
        service.submit(site, {"q/0": f"It is {first}.", "q/1": f"{second}"})
    assert service.worker.run_once()
    assert service.label_texts() == {"q/0": "It is 7.", "q/1": "7"}
    labels = service.pseudo_labels.page(OPERATOR, "clinics", 1).items
    assert {(each.evidence, each.margin, each.witnesses, each.grade) for each in labels} == {
        (1.0, 0.5, 1, Grade.SINGLE_WITNESS)
    }
    why = service.pseudo_labels.explain(OPERATOR, "clinics", 1, "q/1")
    assert sorted(why.texts[fate.digest] for fate in why.answers) == ["2", "4", "7"]
    assert [why.texts[fate.digest] for fate in why.answers if fate.chosen] == ["7"]
    card = service.pseudo_labels.card(OPERATOR, "clinics", 1)
    assert (card.counts.grades, card.counts.hearsay) == ({"single_witness": 2}, 0)


def test_a_federation_that_decides_by_support_takes_each_prompt_for_itself(service):
    prompts = [Prompt(f"q/{i}", f"How many, in words of kind {i}?", question="q", **BY_KEY) for i in range(2)]
    policy = Policy(rule="vote", guards=False, reliability=False, contradictions="none", decide_by="support")
    sites = found(service, prompts, policy)
    service.open()
    for site, said in zip(sites, ("7", "1", "3"), strict=True):
        service.submit(site, {"q/0": said, "q/1": said})
    assert service.worker.run_once()
    labels = service.pseudo_labels.page(OPERATOR, "clinics", 1).items
    assert [(each.abstention, each.evidence, each.grade) for each in labels] == [("tie", None, None)] * 2
    assert b"evidence" not in service.labels()


def test_echoes_are_left_out_and_what_was_said_first_hand_stands_in(service):
    """ann and bob agree on p-0; later both models say it of all that they were never sure of."""
    sites = found(service)
    first = {"ann": "713", "bob": "726", "cy": "489"}
    play(service, sites, 1, first)
    assert numbers(service, 1) == ["7", None, None]
    echoed = {"ann": "755", "bob": "755", "cy": "755"}
    play(service, sites, 2, echoed, ann=1, bob=1, cy=1)
    assert numbers(service, 2) == ["7", None, None]
    why = service.pseudo_labels.explain(OPERATOR, "clinics", 2, "p-1")
    aside = [fate for fate in why.answers if fate.gate == "second_hand"]
    standing = [fate for fate in why.answers if fate.admitted]
    assert [why.texts[fate.digest] for fate in aside] == ["It is 5."] * 3
    assert sorted((why.texts[fate.digest], fate.stands_in_from) for fate in standing) == [
        ("It is 1.", 1), ("It is 2.", 1), ("It is 8.", 1),
    ]  # fmt: skip
    rejected = service.rejections.page(OPERATOR, "clinics", 2).items
    assert {each.fate.gate for each in rejected} == {"second_hand"}


def test_what_contradicts_the_label_that_was_taught_counts(service):
    sites = found(service)
    play(service, sites, 1, {"ann": "712", "bob": "734", "cy": "956"})
    play(service, sites, 2, {"ann": "912", "bob": "934", "cy": "956"}, ann=1, bob=1, cy=1)
    assert numbers(service, 2) == ["9", None, None]
    fates = service.pseudo_labels.explain(OPERATOR, "clinics", 2, "p-0").answers
    of = {fate.participant: (fate.admitted, fate.stands_in_from) for fate in fates if fate.admitted}
    assert of == {"ann": (True, None), "bob": (True, None), "cy": (True, None)}


def test_who_was_never_first_hand_is_not_counted(service):
    ann, bob, cy = sites = found(service)
    service.open()
    for site in (ann, cy):
        service.submit(site, {"p-0": "It is 1."})
    service.store_answers(bob, {"p-0": "It is 1."})  # and never seals them
    service.clock.advance(90_000)
    service.rounds.get(OPERATOR, "clinics", 1)
    play(service, sites, 2, {"ann": "777", "bob": "777", "cy": "999"}, bob=1)
    assert numbers(service, 2) == [None, None, None]


@pytest.mark.parametrize(("second_hand", "heard"), [("count", ["7", "5", "5"]), ("exclude", ["7", None, None])])
def test_second_hand_answers_count_where_the_policy_says_so_and_the_card_warns(service, second_hand, heard):
    policy = Policy(rule="vote", guards=False, reliability=False, contradictions="none", second_hand=second_hand)
    sites = found(service, policy=policy)
    play(service, sites, 1, {"ann": "713", "bob": "726", "cy": "489"})
    play(service, sites, 2, {"ann": "755", "bob": "755", "cy": "755"}, ann=1, bob=1, cy=1)
    assert numbers(service, 2) == heard
    assert service.pseudo_labels.card(OPERATOR, "clinics", 2).counts.hearsay == (3 if second_hand == "count" else 0)


def test_a_round_may_stand_on_the_answers_of_another_and_gives_the_same_labels(service):
    sites = found(service)
    said = {"ann": "712", "bob": "734", "cy": "756"}
    play(service, sites, 1, said)
    service.open()
    for site in sites:
        receipt = service.seal(site, 2, of=1, carried_from=1)
        assert receipt.count == 3
    assert service.worker.run_once()
    assert service.labels(2) == service.labels(1)
    assert service.seal(sites[0], 2, carried_from=1) == service.seal(sites[0], 2, carried_from=1)


def test_carried_rounds_give_the_same_bytes_with_reputations_too(service):
    """What the answers of a round say of a participant is said once."""
    policy = Policy(guards=False, contradictions="none", confidence="trusted_similarity", abstain=False)
    prompts = [Prompt(f"p-{i}", f"Question {i}?") for i in range(6)]
    sites = service.found(sites=("ann", "bob", "cy", "di"), prompts=prompts, policy=policy, quorum=4)
    for number in (1, 2):
        service.open()
        for site in sites:
            name = site.participant.name
            said = {
                f"p-{i}": f"{name if (i + number) % 3 == 0 else 'all'} says {i} {number} ".ljust(90, "x")
                for i in range(6)
            }
            service.submit(site, said, number)
        assert service.worker.run_once()
    for number, source in ((3, 2), (4, 3)):
        service.open()
        for site in sites:
            service.seal(site, number, of=2, carried_from=source)
        assert service.worker.run_once()
        assert service.labels(number) == service.labels(2)
    with service.store.reading() as tx:
        rounds = [tx.rounds.get(tx.federations.get("clinics"), number) for number in (2, 3, 4)]
        assert [len(tx.reliabilities.of(each)) for each in rounds] == [4, 0, 0]
        assert {seal.carried_from for seal in tx.submissions.seals(rounds[2]).values()} == {2}


def test_a_carried_seal_keeps_what_its_answers_were_taught(service):
    sites = found(service)
    service.open()
    service.clock.advance(90_000)
    play(service, sites, 2, {"ann": "777", "bob": "777", "cy": "777"}, ann=1, bob=1, cy=1)
    service.open()
    for site in sites:
        service.seal(site, 3, of=2, carried_from=2, taught_through=0)
    assert service.worker.run_once()
    assert numbers(service, 3) == [None] * 3


def test_who_says_nothing_contradicts_nothing(service):
    sites = found(service)
    play(service, sites, 1, {"ann": "713", "bob": "726", "cy": "489"})
    service.open()
    for site in sites:
        service.submit(site, {f"p-{i}": "Let us talk of the weather." for i in range(3)}, 2, taught_through=1)
    assert service.worker.run_once()
    assert numbers(service, 2) == numbers(service, 1)


def test_other_answers_than_those_of_the_source_are_not_carried(service):
    """Else what a taught model says would pass as what was said before."""
    ann, *_ = sites = found(service)
    play(service, sites, 1, {"ann": "713", "bob": "726", "cy": "489"})
    service.open()
    service.store_answers(ann, {f"p-{i}": "It is 5." for i in range(3)}, 2)
    with pytest.raises(
        SealMismatch, match="3 answers are sealed in round 1 here, as the seal counts, but with other contents"
    ):
        service.seal(ann, 2, carried_from=1)
    assert service.seal(ann, 2).count == 3


@pytest.mark.parametrize("taught", [2, 3, 99])
def test_labels_that_are_not_out_were_not_taught(service, taught):
    ann, *_ = sites = found(service)
    play(service, sites, 1, {"ann": "713", "bob": "726", "cy": "489"})
    service.open()
    with pytest.raises(ValidationFailed, match=f"taught_through is {taught} and this is round 2"):
        service.submit(ann, {"p-0": "It is 5."}, 2, taught_through=taught)


@pytest.mark.parametrize("source", [1, 2, 7])
def test_nothing_is_carried_from_a_round_without_a_submission(service, source):
    ann, *_ = found(service)
    service.open()
    service.rounds.close(OPERATOR, "clinics", 1)
    service.open()
    with pytest.raises(
        SealMismatch, match=f"Nothing of round {source} can stand for round 2: ann sealed no submission there"
    ):
        service.submissions.seal(ann, "clinics", 2, count=0, digest="0" * 64, carried_from=source)
    assert service.submissions.held(ann, "clinics", 2).sealed is False


def test_a_set_whose_wordings_are_compared_in_unlike_ways_is_refused(service):
    prompts = [Prompt("a", "How many?", question="q", **BY_KEY), Prompt("b", "What number?", question="q")]
    with pytest.raises(PromptSetMismatch, match="question q: b and a ask it and have different equivalences"):
        service.prompt_sets.add(OPERATOR, make_manifest(prompts), prompts)
    assert prompts_digest(prompts)
    assert Terms(name="x", prompt_set="0" * 64).policy.decide_by == "evidence"
