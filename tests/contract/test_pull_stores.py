"""What every store promises about participants that the server itself asks (consensus_server.ports.PullStore)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from client_kit.vocabulary import PullState, Role, RoundState
from consensus_server.backends.store import SqlStore
from consensus_server.core.federations import Terms
from consensus_server.core.pulling import Attempts, Endpoint, Pull
from consensus_server.core.rounds import Answer
from consensus_server.ports import SealedSubmission
from tests.support.databases import DATABASES, empty_engine
from tests.support.service import make_manifest, make_prompts

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(seconds=60)
ENDPOINT = Endpoint(upstream="llama", temperature=0.1 + 0.2, stop=("a", "b"), tokens_per_round=2**40, attempts=2)
PULL = Pull(outages=3, reason="unreachable", failures=(Attempts("p-0", 1, 2, "empty"), Attempts("p-1", 0, 1, "empty")))


@pytest.fixture(params=DATABASES)
def store(request, tmp_path):
    store = SqlStore(empty_engine(request.param, tmp_path))
    yield store
    store.close()


@pytest.fixture
def scene(store):
    """An open round with a participant that is asked and one that is not."""
    prompts = make_prompts()
    manifest = make_manifest(prompts)
    with store.writing() as tx:
        tx.prompt_sets.add(manifest, prompts)
        federation = tx.federations.add(Terms(name="clinics", prompt_set=manifest.digest), encoder="e" * 64, at=NOW)
        north, south = (
            tx.participants.add(federation, name, Role.PARTICIPANT, token_hash=name, at=NOW)
            for name in ("north", "south")
        )
        round_ = tx.rounds.save(replace(tx.rounds.add(federation, round_seconds=9.0), state=RoundState.OPEN))
        tx.pulls.set_endpoint(north, ENDPOINT)
    return federation, round_, north, south


def claim(store, lease="l1", now=NOW, until=LATER):
    with store.writing() as tx:
        return tx.pulls.claim(lease, now=now, until=until)


def test_an_endpoint_comes_back_as_it_was_and_can_be_replaced(store, scene):
    _, _, north, south = scene
    with store.writing() as tx:
        assert tx.pulls.endpoint(north) == ENDPOINT
        assert tx.pulls.endpoint(south) is None
        tx.pulls.set_endpoint(north, replace(ENDPOINT, upstream="qwen"))
        assert tx.pulls.endpoint(north).upstream == "qwen"
        tx.pulls.set_endpoint(north, None)
        assert tx.pulls.endpoint(north) is None
    assert claim(store) is None


def test_one_caller_gets_a_participant_until_its_lease_runs_out(store, scene):
    first = claim(store)
    assert (first.federation, first.number, first.participant) == ("clinics", 1, "north")
    assert (first.endpoint, first.lease, first.pull) == (ENDPOINT, "l1", Pull())
    assert claim(store, "l2") is None
    assert claim(store, "l2", now=LATER, until=LATER + timedelta(seconds=9)).lease == "l2"


def test_a_lost_lease_writes_and_renews_nothing(store, scene):
    _, round_, north, _ = scene
    claim(store)
    claim(store, "l2", now=LATER, until=LATER + timedelta(seconds=9))
    with store.writing() as tx:
        assert not tx.pulls.renew(round_, north, "l1", until=LATER)
        assert not tx.pulls.save(round_, north, "l1", PULL)
        assert tx.pulls.renew(round_, north, "l2", until=LATER + timedelta(seconds=99))
    assert claim(store, "l3", now=LATER + timedelta(seconds=10), until=LATER + timedelta(seconds=200)) is None


def test_what_was_saved_goes_to_whoever_goes_on(store, scene):
    _, round_, north, _ = scene
    claim(store)
    with store.writing() as tx:
        assert tx.pulls.save(round_, north, "l1", PULL, next_try=LATER)
        (status,) = tx.pulls.of(round_)
    assert (status.state, status.reason, status.next_try_at) == (PullState.ASKING, "unreachable", LATER)
    assert status.given_up == 1, "one of two failed as often as the endpoint allows"
    assert claim(store, "l2") is None, "it is left alone until then"
    assert claim(store, "l2", now=LATER, until=LATER + timedelta(seconds=9)).pull == PULL


def test_who_is_through_is_not_claimed_again(store, scene):
    _, round_, north, _ = scene
    claim(store)
    with store.writing() as tx:
        tx.pulls.save(round_, north, "l1", replace(PULL, state=PullState.FAILED))
        assert tx.pulls.of(round_)[0].state is PullState.FAILED
    assert claim(store, "l2", now=LATER) is None


def test_only_active_participants_without_seal_in_open_rounds_are_claimed(store, scene):
    _, round_, north, _ = scene
    with store.writing() as tx:
        tx.participants.set_active(north, active=False)
    assert claim(store) is None
    with store.writing() as tx:
        tx.participants.set_active(north, active=True)
        tx.submissions.seal(round_, north, SealedSubmission(0, "0" * 64, NOW))
    assert claim(store) is None


def test_a_closed_round_is_not_asked_for(store, scene):
    _, round_, _, _ = scene
    with store.writing() as tx:
        tx.rounds.save(replace(round_, state=RoundState.CLOSED))
    assert claim(store) is None


def test_a_seal_ends_the_asking_whoever_made_it(store, scene):
    _, round_, north, _ = scene
    claim(store)
    with store.writing() as tx:
        tx.submissions.seal(round_, north, SealedSubmission(0, "0" * 64, NOW))
        assert tx.pulls.of(round_)[0].state is PullState.SEALED


def test_answers_and_tokens_are_counted_from_what_is_held(store, scene):
    _, round_, north, south = scene
    claim(store)
    with store.writing() as tx:
        answers = [Answer("p-0", 0, "a", "stop", 3, 4), Answer("p-1", 0, "b", "stop", None, 5), Answer("p-2", 0, "c")]
        tx.submissions.add(round_, north, [(each, "0" * 64) for each in answers])
        tx.submissions.add(round_, south, [(Answer("p-0", 0, "a", "stop", 100, 100), "0" * 64)])
        assert tx.pulls.tokens(round_, north) == 12
        (status,) = tx.pulls.of(round_)
    assert (status.participant, status.upstream, status.answered, status.tokens) == ("north", "llama", 3, 12)
