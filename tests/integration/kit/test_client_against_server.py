"""The client against the real server, over loopback, with the encoder that stands in for tests."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from client_kit.client import AsyncConsensusClient, ConsensusClient, submitting
from client_kit.errors import (
    AlreadyExists,
    AnswerConflict,
    AnswerTooLong,
    Forbidden,
    RoundFailed,
    RoundNotOpen,
    RoundNotPublished,
    SealMismatch,
    SubmissionSealed,
    TooManySamples,
    Unauthenticated,
    UnknownFederation,
    UnknownPrompt,
    UnknownPromptSet,
    UnknownRound,
    UnknownRule,
    WaitTimeout,
)
from client_kit.federation.server_process import ServerProcess
from client_kit.wire import (
    Answer,
    ConsensusPolicy,
    EventKind,
    FederationCreate,
    Manifest,
    Prompt,
    PromptSetUpload,
    Role,
    RoundState,
    prompt_set_digest,
)

PROMPTS = [Prompt(prompt_id=prompt_id, prompt=f"What is {prompt_id}?") for prompt_id in ("a/1", "a/2", "b")]
ANSWERS = {"a/1": "It is the first.", "a/2": "It is the second.", "b": "Größe β."}
DIGEST = prompt_set_digest(PROMPTS)
UPLOAD = PromptSetUpload(
    manifest=Manifest(
        name="three", version="1", digest=DIGEST, prompt_count=3, description="d", licence="CC0-1.0", language="en",
        topics={},
    ),
    prompts=PROMPTS,
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"CONSENSUS_ENCODER": "hashing", "CONSENSUS_POLL_SECONDS": "0.05"}
    with ServerProcess(tmp_path_factory.mktemp("server"), environment=settings) as server:
        with ConsensusClient(server.url, server.operator_token) as operator:
            assert operator.upload_prompt_set(UPLOAD) == operator.upload_prompt_set(UPLOAD) == UPLOAD.manifest
        yield server


@pytest.fixture
def federation(server, request):
    """(operator, client of `one`, client of `two`) of a federation of this test alone, with round 1 open."""
    name = request.node.name.replace("_", "-")[:60].strip("-")
    with ConsensusClient(server.url, server.operator_token, federation=name) as operator:
        settings = FederationCreate(federation=name, prompt_set=DIGEST, max_answer_chars=100, samples_per_prompt=2)
        operator.create_federation(settings)
        tokens = [operator.add_participant(participant).token for participant in ("one", "two")]
        operator.create_round()
        with ConsensusClient(server.url, tokens[0]) as one, ConsensusClient(server.url, tokens[1]) as two:
            yield operator, one, two


def test_a_round_from_answers_to_pseudo_labels(federation):
    operator, one, two = federation
    assert one.prompts() == sorted(PROMPTS, key=lambda prompt: prompt.prompt_id)
    with pytest.raises(RoundNotPublished):
        one.pseudo_labels(1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.wait_for_labels, 1, 60)
        one.submit_and_seal(1, ANSWERS)
        two.submit_and_seal(1, ANSWERS)
        labels = waiting.result()
    assert {label.prompt_id: label.text for label in labels} == ANSWERS
    page = one.pseudo_label_page(1, limit=2)
    assert page.items == labels[:2]
    assert one.pseudo_label_page(1, cursor=page.next_cursor).items == labels[2:]
    assert one.card(1).labels == one.round(1).labels
    assert [fate.chosen for fate in operator.explanation(1, "a/1").answers].count(True) >= 1
    assert {row.participant for row in operator.traffic(1)} == {"one", "two"}
    assert [row.participant for row in one.traffic(1)] == ["one"]
    kinds = [event.kind for event in one.events(1)]
    assert kinds[0] is EventKind.CREATED
    assert kinds[-1] is EventKind.PUBLISHED
    assert kinds.count(EventKind.SEALED) == 2


def test_a_round_in_which_nothing_changed_costs_a_seal(federation):
    operator, one, two = federation
    for client in (one, two):
        client.submit_and_seal(1, ANSWERS)
    labels = one.wait_for_labels(1, 60)
    operator.create_round()
    with pytest.raises(SealMismatch):
        one.carry(2, 1, {**ANSWERS, "b": "other"})
    assert one.carry(2, 1, ANSWERS) == one.carry(2, 1)
    two.carry(2, 1, ANSWERS)
    assert one.wait_for_labels(2, 60) == labels
    traffic = next(row for row in operator.traffic(2) if row.participant == "two")
    assert traffic.received_bytes < 1000
    assert traffic.sent_bytes < 1000


def test_an_interrupted_submission_goes_on_where_it_was(federation):
    _, one, _ = federation
    one.submit(1, {"a/1": ANSWERS["a/1"]})
    done = one.submit(1, ANSWERS)
    assert (done.stored, done.unchanged, done.count) == (2, 1, 3)
    assert one.held(1).digest == done.digest
    assert one.seal(1, done) == one.seal(1, ANSWERS)
    assert one.held(1).sealed is True


def test_a_submission_of_several_requests_is_held_whole(federation, monkeypatch):
    _, one, _ = federation
    monkeypatch.setattr(submitting, "BATCH_BYTES", 1)
    assert one.submit(1, ANSWERS).stored == 3
    assert len(one.held(1).answers) == 3


def test_what_an_interrupted_run_has_sent_stands_and_is_sealed(federation):
    _, one, _ = federation
    one.submit(1, {"a/1": ANSWERS["a/1"]})
    assert [prompt.prompt_id for prompt in one.missing(1)] == sorted(ANSWERS.keys() - {"a/1"})
    one.submit(1, {prompt.prompt_id: "another sample" for prompt in one.missing(1)})
    assert one.missing(1) == []
    assert one.seal(1).count == len(ANSWERS)


def test_an_upload_is_tried_and_nothing_of_it_is_kept(federation):
    _, one, _ = federation
    one.check_upload()
    assert one.held(1).answers == []


def test_other_content_needs_to_be_asked_for(federation):
    _, one, _ = federation
    one.submit(1, ANSWERS)
    with pytest.raises(AnswerConflict):
        one.submit(1, {"b": "other"})
    assert one.submit(1, {"b": "other"}, replace=True).replaced == 1
    with pytest.raises(SealMismatch):
        one.seal(1, ANSWERS)
    one.seal(1, {**ANSWERS, "b": "other"})
    with pytest.raises(SubmissionSealed):
        one.submit(1, ANSWERS, replace=True)


def test_what_the_federation_does_not_admit_is_told_apart(federation):
    _, one, _ = federation
    with pytest.raises(UnknownPrompt):
        one.submit(1, {"zzz": "x"})
    with pytest.raises(AnswerTooLong):
        one.submit(1, {"b": "x" * 101})
    with pytest.raises(TooManySamples):
        one.submit(1, [Answer(prompt_id="b", sample=2, text="x")])
    assert one.held(1).answers == []


def test_states_of_a_round_are_told_apart(federation):
    operator, one, _ = federation
    with pytest.raises(UnknownRound):
        one.round(2)
    with pytest.raises(UnknownRound):
        one.wait_for(2, RoundState.OPEN, timeout_seconds=0.2)
    with pytest.raises(WaitTimeout):
        one.wait_for(1, RoundState.PUBLISHED, timeout_seconds=0.2)
    operator.close_round(1)
    with pytest.raises(RoundFailed, match="quorum_missed: 0 of"):
        one.wait_for(1, RoundState.PUBLISHED, timeout_seconds=30)
    with pytest.raises(RoundNotOpen):
        one.submit(1, ANSWERS)
    draft = operator.create_round(draft=True)
    assert (draft.number, draft.state) == (2, RoundState.DRAFT)
    with pytest.raises(RoundNotOpen):
        one.submit(2, ANSWERS)
    assert operator.open_round(2).state is RoundState.OPEN
    assert one.current_round().number == 2


def test_who_may_do_what(server, federation):
    operator, one, _ = federation
    with pytest.raises(Forbidden):
        one.create_round()
    with ConsensusClient(server.url, "no-such-token") as stranger, pytest.raises(Unauthenticated):
        stranger.rounds()
    with pytest.raises(UnknownFederation):
        one.in_federation("another").rounds()
    observer = operator.add_participant("watcher", Role.OBSERVER)
    with ConsensusClient(server.url, observer.token) as watcher:
        assert watcher.round(1).state is RoundState.OPEN
        with pytest.raises(Forbidden):
            watcher.submit(1, ANSWERS)
    renewed = operator.new_token("watcher").token
    with ConsensusClient(server.url, observer.token) as old, pytest.raises(Unauthenticated):
        old.identity()
    with ConsensusClient(server.url, renewed) as new:
        assert new.identity().participant == "watcher"
    assert operator.set_active("two", active=False).active is False
    assert {item.participant: item.active for item in operator.participants()}["two"] is False


def test_operators_are_told_what_cannot_be(federation):
    operator, _, _ = federation
    name = operator.federation().federation
    with pytest.raises(AlreadyExists):
        operator.create_federation(FederationCreate(federation=name, prompt_set=DIGEST))
    with pytest.raises(UnknownPromptSet):
        operator.create_federation(FederationCreate(federation="new", prompt_set="0" * 64))
    policy = ConsensusPolicy(rule="dice")
    with pytest.raises(UnknownRule):
        operator.create_federation(FederationCreate(federation="new", prompt_set=DIGEST, policy=policy))
    assert name in {item.federation for item in operator.federations()}
    assert operator.prompt_set(DIGEST) in operator.prompt_sets()


def test_the_server_says_what_it_is(server):
    with ConsensusClient(server.url) as client:
        assert client.health().status == "ok"
        ready = client.readiness()
        assert ready.ready
        assert ready.stand_in
        assert "consensus" in client.metrics()


async def test_the_asynchronous_client_takes_part(server, federation):
    operator, one, _ = federation
    token = operator.new_token("two").token
    one.submit_and_seal(1, ANSWERS)
    async with AsyncConsensusClient(server.url, token) as two:
        assert (await two.submit_and_seal(1, ANSWERS)).count == 3
        labels = await two.wait_for_labels(1, timeout_seconds=60)
        assert {label.prompt_id: label.text for label in labels} == ANSWERS
        assert [event.kind async for event in two.events(1)][-1] is EventKind.PUBLISHED
