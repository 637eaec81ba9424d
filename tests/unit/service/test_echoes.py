"""How often participants that state first-hand answers came round to the labels."""

import pytest

from consensus_server.core.consensus.records import Policy
from consensus_server.core.federations import Prompt
from consensus_server.core.labels import Echo
from consensus_server.service.access import Caller
from tests.support.service import OPERATOR

PROMPTS = [Prompt(f"p-{i:02}", f"How many are {i}?", equivalence="final_answer") for i in range(24)]
POLICY = Policy(rule="vote", guards=False, reliability=False, contradictions="none", decide_by="support")
NAMES = ("ann", "bob", "cy")


@pytest.fixture
def sites(service):
    return dict(
        zip(
            NAMES,
            service.found(sites=NAMES, prompts=PROMPTS, policy=POLICY, quorum=3, samples_per_prompt=4),
            strict=True,
        )
    )


def play(service, sites, number, said, **taught):
    """said: by participant, the number that it answers to every prompt; taught: `taught_through` by participant."""
    service.open()
    for name, site in sites.items():
        texts = {prompt.prompt_id: f"It is {said[name]}." for prompt in PROMPTS}
        service.submit(site, texts, number, taught_through=taught.get(name, 0))
    assert service.worker.run_once()
    return service.pseudo_labels.card(OPERATOR, "clinics", number)


def test_who_says_the_labels_where_it_said_otherwise_is_counted(service, sites):
    first = play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    assert (first.echoes, first.alarms) == ((), ())
    second = play(service, sites, 2, {"ann": 7, "bob": 7, "cy": 7})
    assert second.echoes == (Echo("ann", 0, 0), Echo("bob", 0, 0), Echo("cy", 24, 24))
    assert [each.kind for each in second.alarms] == ["echo"]


def test_the_first_answers_are_what_it_is_compared_with_in_every_later_round(service, sites):
    play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    play(service, sites, 2, {"ann": 7, "bob": 7, "cy": 7})
    assert play(service, sites, 3, {"ann": 7, "bob": 7, "cy": 7}).echoes[-1] == Echo("cy", 24, 24)


def test_who_states_what_it_was_taught_is_not(service, sites):
    play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    assert [each.participant for each in play(service, sites, 2, dict.fromkeys(NAMES, 7), cy=1).echoes] == [
        "ann",
        "bob",
    ]


def test_a_label_that_moved_tells_nothing_of_who_says_it(service, sites):
    """Facts that were replaced are learnt by all: the labels follow."""
    play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    assert play(service, sites, 2, {"ann": 9, "bob": 9, "cy": 9}).echoes[-1] == Echo("cy", 0, 0)


def test_who_stays_apart_could_move_and_did_not(service, sites):
    play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    card = play(service, sites, 2, {"ann": 7, "bob": 7, "cy": 6})
    assert (card.echoes[-1], card.alarms) == (Echo("cy", 0, 24), ())


def test_participants_see_the_alarm_and_their_own_count(service, sites):
    play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    play(service, sites, 2, dict.fromkeys(NAMES, 7))
    assert isinstance(sites["ann"], Caller)
    card = service.pseudo_labels.card(sites["ann"], "clinics", 2)
    assert (card.echoes, [each.kind for each in card.alarms]) == ((Echo("ann", 0, 0),), ["echo"])


def test_the_last_event_carries_the_alarms(service, sites):
    play(service, sites, 1, {"ann": 7, "bob": 7, "cy": 5})
    play(service, sites, 2, dict.fromkeys(NAMES, 7))
    events = service.rounds.events_after(OPERATOR, "clinics", 2)
    assert [[each.kind for each in event.alarms] for event in events] == [[]] * (len(events) - 1) + [["echo"]]
