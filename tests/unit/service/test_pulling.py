"""The server asks participants that are endpoints: resumed, bounded, sealed, and open about what is missing."""

import asyncio
import threading

import pytest
import structlog

from consensus_server.backends.store import SqlStore
from consensus_server.backends.upstreams import cleaned, seed_of_answer
from consensus_server.core.errors import (
    Forbidden,
    StoreUnavailable,
    TrainingRightsMissing,
    UnknownParticipant,
    ValidationFailed,
)
from consensus_server.core.federations import AnswerPolicy
from consensus_server.core.inference import Failure, Reply, UpstreamFailed
from consensus_server.core.pulling import Endpoint
from consensus_server.service.pulling import MAX_OUTAGES, Pulling
from tests.support.databases import sqlite_engine
from tests.support.service import OPERATOR, Service


class Says:
    """An upstream that answers by prompt; an exception is raised, a list is worked through."""

    def __init__(self, name="llama", answers=None):
        self.name = name
        self.answers = answers or {}
        self.asked = []
        self.questions = []
        self.closed = False
        self.busy = 0
        self.busiest = 0

    async def ask(self, question):
        self.asked.append(question.last)
        self.questions.append(question)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        said = self.answers.get(question.last, f"Answer to {question.last}")
        said = said.pop(0) if isinstance(said, list) else said
        if isinstance(said, Failure):
            raise UpstreamFailed(said, "as told")
        return Reply(said, "stop", 10, 5)

    async def close(self):
        self.closed = True


@pytest.fixture
def service(tmp_path):
    store = SqlStore(sqlite_engine(tmp_path))
    yield Service(store)
    store.close()


@pytest.fixture
def upstream():
    return Says()


@pytest.fixture
def puller(service, upstream):
    def make(*others, **options):
        upstreams = {each.name: each for each in (upstream, *others)}
        return Pulling(
            service.store, service.clock, service.submissions, upstreams, clean=cleaned, seed=seed_of_answer, **options
        )

    return make


def found(service, **terms):
    """anna submits by herself; llama is asked by the server."""
    anna, _ = service.found(prompts=4, sites=("anna", "llama"), **terms)
    return anna


def pulled(service, **endpoint):
    service.endpoints.set(OPERATOR, "clinics", "llama", Endpoint(upstream="llama", **endpoint))


def status(service, number=1):
    (only,) = service.endpoints.pulls(OPERATOR, "clinics", number)
    return only


async def go(pulling):
    """Ask everybody that can be asked now."""
    count = 0
    while (claim := pulling.claim()) is not None:
        await pulling.pull(claim)
        count += 1
    return count


async def test_everything_is_asked_once_stored_and_sealed(service, upstream, puller):
    found(service)
    pulled(service)
    service.open()
    assert await go(puller()) == 1
    assert sorted(upstream.asked) == [f"Question {i}?" for i in range(4)]
    seen = status(service)
    assert (seen.state, seen.answered, seen.given_up, seen.tokens, seen.reason) == ("sealed", 4, 0, 60, None)
    assert service.rounds.get(OPERATOR, "clinics", 1).attendance.sealed == 1
    assert await go(puller()) == 0


async def test_those_that_push_and_those_that_are_pulled_make_one_round(service, puller):
    anna = found(service)
    pulled(service)
    service.open()
    service.submit(anna, {f"p-{i}": f"Answer to Question {i}?" for i in range(4)})
    await go(puller())
    assert service.state() == "closed"
    assert service.worker.run_once()
    assert service.state() == "published"
    card = service.pseudo_labels.card(OPERATOR, "clinics", 1)
    assert [(each.participant, each.upstream, each.state, each.answered) for each in card.pulled] == [
        ("llama", "llama", "sealed", 4)
    ]


async def test_settings_reach_the_upstream_with_a_seed_for_each_answer(service, upstream, puller):
    found(service, samples_per_prompt=2)
    pulled(service, samples=2, temperature=0.5, top_p=0.25, max_tokens=9, stop=("END",), seed=3, concurrency=3)
    service.open()
    await go(puller())
    assert {(each.temperature, each.top_p, each.max_tokens, each.stop) for each in upstream.questions} == {
        (0.5, 0.25, 9, ("END",))
    }
    assert {each.seed for each in upstream.questions} == {
        seed_of_answer(3, f"p-{i}", sample) for i in range(4) for sample in range(2)
    }
    assert len(upstream.asked) == 8
    assert upstream.busiest == 3


async def test_what_is_held_is_never_asked_again(service, upstream, puller):
    """A worker that is killed leaves its lease; another takes over when it has run out."""
    found(service)
    pulled(service, concurrency=1)
    service.open()
    pulling = puller()
    upstream.answers["Question 2?"] = [KeyboardInterrupt]
    claim = pulling.claim()
    job = pulling._load(claim)
    first = job.todo[:2]
    pulling._keep(
        job, claim.pull, [(prompt, sample, await _asked(upstream, pulling, prompt)) for prompt, sample in first]
    )
    upstream.answers.clear()
    asked_before = list(upstream.asked)
    assert puller().claim() is None, "another worker asks the same participant"
    service.clock.advance(61)
    assert await go(puller()) == 1
    assert sorted(upstream.asked) == [f"Question {i}?" for i in range(4)]
    assert len(asked_before) == 2
    assert status(service).state == "sealed"


async def _asked(upstream, pulling, prompt):
    from consensus_server.service.fan_out import ask_one

    return await ask_one(upstream, 0, pulling._question(Endpoint(upstream="llama"), prompt, 0))


@pytest.mark.parametrize("failure", [Failure.CONTEXT_TOO_LONG, Failure.REFUSED_PROMPT])
async def test_a_prompt_that_would_fail_again_is_given_up_at_once(service, upstream, puller, failure):
    found(service)
    pulled(service, attempts=3)
    upstream.answers = {"Question 1?": failure}
    service.open()
    assert await go(puller()) == 1
    seen = status(service)
    assert (seen.state, seen.answered, seen.given_up) == ("sealed", 3, 1)
    assert seen.reason == f"1 answers given up: {failure.value} 1"
    assert upstream.asked.count("Question 1?") == 1


async def test_a_field_that_the_upstream_refuses_is_not_tried_with_every_prompt(service, upstream, puller):
    found(service)
    pulled(service, concurrency=1)
    upstream.answers = {f"Question {number}?": Failure.REFUSED_PARAMETER for number in range(4)}
    service.open()
    assert await go(puller(pause_seconds=20)) == 1
    assert len(upstream.asked) == 1
    assert status(service).reason == "refused_parameter"


async def test_a_prompt_that_fails_is_tried_again_and_then_given_up_with_the_reason(service, upstream, puller):
    found(service)
    pulled(service, attempts=2)
    upstream.answers = {"Question 1?": Failure.NO_COMPLETION, "Question 3?": [Failure.EMPTY, "Better late"]}
    service.open()
    pulling = puller(pause_seconds=20)
    assert await go(pulling) == 1
    waiting = status(service)
    assert (waiting.state, waiting.answered) == ("asking", 2)
    assert waiting.next_try_at is not None
    assert await go(pulling) == 0, "it is left alone for a while"
    service.clock.advance(21)
    assert await go(pulling) == 1
    seen = status(service)
    assert (seen.state, seen.answered, seen.given_up) == ("sealed", 3, 1)
    assert seen.reason == "1 answers given up: no_completion 1"
    assert upstream.asked.count("Question 0?") == 1
    assert upstream.asked.count("Question 1?") == 2


async def test_an_upstream_that_is_down_is_left_alone_and_the_others_go_on(service, upstream, puller):
    found(service)
    service.join("qwen")
    pulled(service, concurrency=1)
    service.endpoints.set(OPERATOR, "clinics", "qwen", Endpoint(upstream="qwen"))
    upstream.answers = {f"Question {i}?": Failure.UNREACHABLE for i in range(4)}
    service.open()
    with structlog.testing.capture_logs() as logged:
        await go(puller(Says("qwen")))
    assert len(upstream.asked) == 1, "one failure is enough to know"
    missing = next(each for each in logged if each["event"] == "a participant's answers are missing")
    assert (missing["participant"], missing["upstream"], missing["reason"]) == ("llama", "llama", "unreachable")
    assert "asked again in" in missing["then"]
    by_name = {each.participant: each for each in service.endpoints.pulls(OPERATOR, "clinics", 1)}
    assert by_name["qwen"].state == "sealed"
    assert (by_name["llama"].state, by_name["llama"].reason) == ("asking", "unreachable")
    assert by_name["llama"].next_try_at > service.clock.now()


async def test_an_upstream_that_stays_down_fails_with_its_reason_and_the_round_goes_on(service, upstream, puller):
    anna = found(service, quorum=1)
    pulled(service, concurrency=1, attempts=20)
    upstream.answers = {f"Question {i}?": Failure.REFUSED_KEY for i in range(4)}
    service.open(round_seconds=100_000)
    pulling = puller()
    service.submit(anna, {"p-0": "Answer to Question 0?"})
    for _ in range(MAX_OUTAGES):
        assert await go(pulling) == 1
        service.clock.advance(901)
    assert await go(pulling) == 0
    seen = status(service)
    assert (seen.state, seen.answered, seen.reason) == ("failed", 0, "refused_key")
    service.clock.advance(100_000)
    assert service.state() == "closed"
    service.worker.run_once()
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1).pulled[0].reason == "refused_key"


async def test_an_upstream_that_comes_back_goes_on_where_it_stopped(service, upstream, puller):
    found(service)
    pulled(service, concurrency=1)
    upstream.answers = {"Question 2?": [Failure.UNREACHABLE, "There again"]}
    service.open()
    pulling = puller()
    await go(pulling)
    assert status(service).answered == 2
    service.clock.advance(21)
    await go(pulling)
    assert status(service).state == "sealed"
    assert upstream.asked == [f"Question {i}?" for i in (0, 1, 2, 2, 3)]


async def test_tokens_of_a_round_are_bounded_and_what_there_is_is_sealed(service, upstream, puller):
    found(service)
    pulled(service, concurrency=1, tokens_per_round=30)
    service.open()
    await go(puller())
    seen = status(service)
    assert (seen.state, seen.answered, seen.tokens, seen.reason) == ("sealed", 2, 30, "tokens_per_round is spent")
    assert len(upstream.asked) == 2


async def test_answers_are_cleaned_by_the_federation_s_rules(service, upstream, puller):
    found(service, answers=AnswerPolicy(refusals="drop"), max_answer_chars=40)
    pulled(service)
    upstream.answers = {"Question 0?": "I'm sorry, but I cannot help with that.", "Question 1?": "Yes. " + "x" * 60}
    service.open()
    await go(puller())
    seen = status(service)
    assert (seen.state, seen.answered, seen.given_up) == ("sealed", 3, 1)
    assert seen.reason == "1 answers given up: dropped: refusal 1"
    assert len(upstream.asked) == 4, "what was dropped would be dropped again"


async def test_a_round_that_ends_first_takes_no_more(service, upstream, puller):
    found(service)
    pulled(service)
    service.open(round_seconds=10)
    pulling = puller()
    claim = pulling.claim()
    service.clock.advance(11)
    await pulling.pull(claim)
    assert "the round ended first" in status(service).reason
    assert await go(pulling) == 0


async def test_a_database_that_is_away_is_no_end_of_the_round(service, upstream, puller, monkeypatch):
    found(service)
    pulled(service)
    service.open()
    pulling = puller()

    def away(*_given, **_named):
        raise StoreUnavailable("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(service.submissions, "store", away)
        with pytest.raises(StoreUnavailable):
            await go(pulling)
    assert status(service).state == "asking"
    service.clock.advance(61)  # the lease of the one that gave up runs out
    assert await go(pulling) == 1
    assert (status(service).state, status(service).answered) == ("sealed", 4)


async def test_a_participant_that_sealed_or_left_is_not_asked(service, upstream, puller):
    found(service)
    pulled(service)
    service.participants.set_active(OPERATOR, "clinics", "llama", active=False)
    service.open()
    assert puller().claim() is None
    service.participants.set_active(OPERATOR, "clinics", "llama", active=True)
    service.endpoints.remove(OPERATOR, "clinics", "llama")
    assert puller().claim() is None


async def test_an_upstream_that_this_worker_does_not_know_waits_for_one_that_does(service, puller):
    found(service)
    service.endpoints.set(OPERATOR, "clinics", "llama", Endpoint(upstream="qwen"))
    service.open()
    await go(puller())
    assert status(service).reason == "the worker's panels file has no such upstream"


def test_only_the_server_s_operator_names_endpoints(service):
    anna = found(service)
    with pytest.raises(Forbidden):
        service.endpoints.set(anna, "clinics", "llama", Endpoint(upstream="llama"))
    with pytest.raises(ValidationFailed, match=r"no upstream 'gpt'; there are llama, qwen.*samples: 2; .* takes 1"):
        service.endpoints.set(OPERATOR, "clinics", "llama", Endpoint(upstream="gpt", samples=2))
    with pytest.raises(UnknownParticipant):
        service.endpoints.get(OPERATOR, "clinics", "anna")


def test_an_endpoint_without_the_statement_that_the_federation_wants_is_refused(service):
    found(service, requires_training_rights=True)
    with pytest.raises(TrainingRightsMissing, match="others may train on"):
        pulled(service)
    with pytest.raises(UnknownParticipant):
        service.endpoints.get(OPERATOR, "clinics", "llama")


async def test_an_endpoint_with_the_statement_is_asked_and_sealed(service, upstream, puller):
    found(service, requires_training_rights=True)
    pulled(service, training_rights=True)
    service.open()
    await go(puller())
    assert (status(service).state, len(upstream.asked)) == ("sealed", 4)


async def test_an_endpoint_from_before_the_statement_is_not_asked_in_vain(service, upstream, puller):
    found(service, requires_training_rights=True)
    with service.store.writing() as tx:
        home = tx.federations.get("clinics")
        tx.pulls.set_endpoint(tx.participants.get(home, "llama"), Endpoint(upstream="llama"))
    service.open()
    await go(puller())
    assert (status(service).state, status(service).reason, upstream.asked) == ("failed", "training_rights_missing", [])


async def test_an_upstream_that_the_panels_file_names_anew_is_asked_from_then_on(service, upstream, puller):
    found(service)
    pulled(service)
    service.open()
    new = Says()
    said = [{"llama": new}]
    stop = threading.Event()
    running = asyncio.create_task(puller(renewed=lambda: said.pop() if said else None).run(stop, poll_seconds=0.01))
    while service.rounds.get(OPERATOR, "clinics", 1).attendance.sealed == 0:  # noqa: ASYNC110 - the database tells
        await asyncio.sleep(0.01)
    assert (len(upstream.asked), len(new.asked)) == (0, 4)
    assert upstream.closed
    stop.set()
    await running
    assert new.closed
