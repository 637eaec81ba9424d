"""Evidence over the wire: questions in several wordings, grades, seals that say what was taught, and the kit of version 0.1.0."""

import pytest

from client_kit.client import ConsensusClient
from client_kit.errors import SealMismatch, ValidationFailed
from client_kit.wire import ConsensusPolicy, FederationCreate, Prompt
from tests.integration.http.conftest import upload

PROMPTS = [
    Prompt(prompt_id=f"q/{i}", prompt=f"How many, asked in way {i}?", question="q", equivalence="final_answer")
    for i in range(2)
]
POLICY = ConsensusPolicy(rule="vote", guards=False, reliability=False, contradictions="none")
SITES = ("anna", "bert", "carl")


@pytest.fixture
def sites(live, request):
    """Clients of three sites; round 1, in which anna knows and the others guess, is published."""
    body, name = upload(PROMPTS, topics={}), f"evidence-{abs(hash(request.node.name)) % 10**8}"
    assert live.client().post("/v1/prompt-sets", json=body).status_code in {200, 201}
    operator = ConsensusClient(
        live.url, live.client().headers["authorization"].removeprefix("Bearer "), federation=name
    )
    terms = FederationCreate(federation=name, prompt_set=body["manifest"]["digest"], policy=POLICY, quorum=3)
    operator.create_federation(terms)
    clients = {each: ConsensusClient(live.url, operator.add_participant(each).token) for each in SITES}
    operator.create_round()
    for client, said in zip(clients.values(), (("7", "7"), ("1", "2"), ("3", "4")), strict=True):
        client.submit_and_seal(1, {f"q/{i}": f"It is {each}." for i, each in enumerate(said)})
    assert live.aggregate()
    yield operator, clients
    for client in (operator, *clients.values()):
        client.close()


def test_labels_say_what_they_stand_on_and_the_card_counts_grades(sites):
    operator, clients = sites
    for label in clients["anna"].pseudo_labels(1):
        assert (label.text, label.evidence, label.margin, label.witnesses) == ("It is 7.", 1.0, 0.5, 1)
        assert label.grade == "single_witness"
    counts = operator.card(1).counts
    assert (counts.grades, counts.hearsay) == ({"single_witness": 2}, 0)
    assert {prompt.question for prompt in clients["anna"].prompts()} == {"q"}


def test_a_round_of_seals_gives_the_labels_that_stand(live, sites):
    operator, clients = sites
    operator.create_round()
    for client in clients.values():
        assert client.carry(2, 1).count == 2
    assert live.aggregate()
    assert operator.pseudo_labels(2) == operator.pseudo_labels(1)


def test_a_seal_that_cannot_be_is_refused_with_the_way_on(sites):
    operator, clients = sites
    operator.create_round()
    with pytest.raises(SealMismatch, match="Nothing of round 2 can stand for round 2"):
        clients["anna"].carry(2, 2)
    with pytest.raises(ValidationFailed, match="taught_through is 2 and this is round 2"):
        clients["anna"].submit_and_seal(2, {"q/0": "It is 7."}, taught_through=2)


def test_the_kit_of_0_1_0_is_told_that_it_cannot_read_such_a_set(live, sites, problem):
    operator, _ = sites
    digest = operator.federation().prompt_set
    old = live.client(**{"user-agent": "semantic-consensus/0.1.0"})
    told = problem(old.get(f"/v1/prompt-sets/{digest}/prompts"), 422, "validation_failed")
    assert "which prompts ask the same question" in told["detail"]
    assert "Install a newer version" in told["remedy"]
