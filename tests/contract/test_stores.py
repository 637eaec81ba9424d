"""What every store promises (consensus_server.ports.Store), held against each database that it runs on.

PostgreSQL takes part where CONSENSUS_TEST_POSTGRES_URL names a database whose tables may be deleted.
"""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from client_kit.vocabulary import AppealOutcome, EventKind, Role, RoundState
from consensus_server.backends.store import SqlStore
from consensus_server.core.consensus.records import Policy
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.errors import AlreadyExists
from consensus_server.core.federations import AnswerPolicy, Prompt, Terms
from consensus_server.core.labels import (
    AnswerFate,
    Counts,
    Exemption,
    ParticipantTraffic,
    RoundCard,
    SupportRow,
    Timings,
)
from consensus_server.core.lifecycle import Attendance, RoundFailure
from consensus_server.core.privacy import PrivacyStatement, privacy_card
from consensus_server.core.reliability import Reliability, Spread
from consensus_server.core.rounds import Answer
from consensus_server.core.signing import Signed, SigningKey
from consensus_server.core.tokens import SCOPES_OF, Grant, Invitation, Token
from consensus_server.ports import AggregateFile, LabelRecord, PooledAnswer, SealedSubmission, TrafficCount, UpdateFile
from tests.support.databases import DATABASES, empty_engine
from tests.support.service import make_manifest

HOUR = timedelta(hours=1)
NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(seconds=60)

# Code points, not a locale's alphabet: capitals before small letters, marks in between.
PROMPT_IDS = ["A-2", "B", "a-1", "a.1", "a:1", "a_1", "b"]
PROMPTS = [Prompt(prompt_id, f"Was heißt {prompt_id}? 日本 🎈", "t", None) for prompt_id in PROMPT_IDS]
MANIFEST = make_manifest(PROMPTS)
TERMS = Terms(
    name="clinics",
    prompt_set=MANIFEST.digest,
    policy=Policy(rule="vote", distance_short=0.1, seed=2**70),
    answers=AnswerPolicy(truncated="drop"),
    quorum=3,
    round_seconds=0.1 + 0.2,
    contributors_only=True,
    requires_training_rights=True,
    late="carry",
    answers_kept_days=90,
)


@pytest.fixture(params=DATABASES)
def store(request, tmp_path):
    store = SqlStore(empty_engine(request.param, tmp_path))
    yield store
    store.close()


@pytest.fixture
def federation(store):
    with store.writing() as tx:
        tx.prompt_sets.add(MANIFEST, PROMPTS)
        return tx.federations.add(TERMS, encoder="e" * 64, at=NOW)


@pytest.fixture
def north(store, federation):
    return join(store, federation, "north")


@pytest.fixture
def round_(store, federation):
    with store.writing() as tx:
        return tx.rounds.add(federation, round_seconds=5.0)


def join(store, federation, name, role=Role.PARTICIPANT):
    with store.writing() as tx:
        return tx.participants.add(federation, name, role, token_hash=f"hash of {name}", at=NOW)


def read(store, of):
    with store.reading() as tx:
        return of(tx)


def write(store, of):
    with store.writing() as tx:
        return of(tx)


def in_state(store, round_, state, **changes):
    return write(store, lambda tx: tx.rounds.save(replace(round_, state=state, **changes)))


def card(**changes):
    values = {
        "federation": "clinics",
        "number": 1,
        "prompt_set": MANIFEST.digest,
        "policy": Policy(),
        "encoder": EncoderIdentity("n", "w", "p", "c", "d", "b", 3),
        "constants": {"a": 0.1 + 0.2},
        "labels": "0" * 64,
        "counts": Counts(
            prompts=1, submissions=2, answers=3, admitted=4, labels=5, abstentions={"tie": 6}, encoded=7, reused=8
        ),
        "support": (SupportRow(2.0, 3, 1 / 3),),
        "traffic": (ParticipantTraffic("north", 1, 2),),
        "timings": Timings(encoding_seconds=0.1, deciding_seconds=0.2, total_seconds=0.1 + 0.2),
        "versions": {"python": "3"},
        "published_at": NOW,
        "reliability": Spread(
            participants=3, newcomers=1, drifted=2, lowest=-1 / 3, median=0.0, highest=1.5, few_far_above=True
        ),
        "exemptions": (Exemption("north", "garbage"),),
        "privacy": privacy_card({"north": PrivacyStatement(1 / 3, 1e-6, "rdp"), "south": None}),
    }
    return RoundCard(**values | changes)


def test_what_a_failed_transaction_wrote_is_gone(store, federation):
    def fail(tx):
        tx.participants.add(federation, "north", Role.PARTICIPANT, token_hash="x", at=NOW)
        tx.rounds.add(federation, round_seconds=1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(store, fail)
    assert read(store, lambda tx: (tx.participants.of(federation), tx.rounds.of(federation))) == ((), ())


def test_a_reader_sees_one_state_from_first_to_last_look(store, federation):
    with store.reading() as tx:
        assert tx.participants.of(federation) == ()
        join(store, federation, "north")
        assert tx.participants.of(federation) == ()
    assert len(read(store, lambda tx: tx.participants.of(federation))) == 1


def test_prompt_sets_come_back_as_they_went_in_ordered_by_code_points(store, federation):
    assert read(store, lambda tx: tx.prompt_sets.manifest(MANIFEST.digest)) == MANIFEST
    assert read(store, lambda tx: tx.prompt_sets.prompts(MANIFEST.digest)) == tuple(PROMPTS)
    assert read(store, lambda tx: tx.prompt_sets.manifests()) == (MANIFEST,)
    assert read(store, lambda tx: tx.prompt_sets.manifest("0" * 64)) is None
    assert read(store, lambda tx: tx.prompt_sets.prompts("0" * 64)) == ()
    with pytest.raises(AlreadyExists):
        write(store, lambda tx: tx.prompt_sets.add(MANIFEST, PROMPTS))


def test_known_prompts_are_found_in_any_number(store, federation):
    asked = {"B", "a:1", *(f"x-{i}" for i in range(40_000))}
    assert read(store, lambda tx: tx.prompt_sets.known(MANIFEST.digest, asked)) == {"B", "a:1"}
    assert read(store, lambda tx: tx.prompt_sets.known("0" * 64, asked)) == frozenset()


def test_federations_come_back_as_they_went_in(store, federation):
    assert (federation.terms, federation.encoder, federation.created_at) == (TERMS, "e" * 64, NOW)
    assert read(store, lambda tx: tx.federations.get("clinics")) == federation
    assert read(store, lambda tx: tx.federations.get("banks")) is None
    with pytest.raises(AlreadyExists):
        write(store, lambda tx: tx.federations.add(TERMS, encoder="f" * 64, at=LATER))
    other = write(store, lambda tx: tx.federations.add(replace(TERMS, name="banks"), encoder="f" * 64, at=LATER))
    assert read(store, lambda tx: tx.federations.all()) == (other, federation)


def test_participants_are_found_by_name(store, federation, north):
    other = write(store, lambda tx: tx.federations.add(replace(TERMS, name="banks"), encoder="f" * 64, at=NOW))
    assert (north.federation, north.role, north.active, north.created_at) == ("clinics", Role.PARTICIPANT, True, NOW)
    assert read(store, lambda tx: tx.participants.get(federation, "north")) == north
    assert read(store, lambda tx: tx.participants.get(other, "north")) is None
    with pytest.raises(AlreadyExists):
        join(store, federation, "north")


def test_participants_change_alone(store, federation, north):
    south = join(store, federation, "South")
    write(store, lambda tx: tx.participants.set_active(north, active=False))
    write(store, lambda tx: tx.participants.set_certificates(south, {"b" * 64, "a" * 64}))
    bound = replace(south, certificates=frozenset({"a" * 64, "b" * 64}))
    assert read(store, lambda tx: tx.participants.of(federation)) == (bound, replace(north, active=False))
    token = Token(digest="c" * 64, holder=bound, scopes=SCOPES_OF[Role.PARTICIPANT], created_at=NOW)
    write(store, lambda tx: tx.tokens.add(token))
    assert read(store, lambda tx: tx.tokens.find(token.digest)) == token
    write(store, lambda tx: tx.participants.set_certificates(bound, ()))
    assert read(store, lambda tx: tx.participants.get(federation, "South")) == south


def test_tokens_end_at_once_or_after_a_while_and_never_later_than_they_would(store, north):
    holder = write(store, lambda tx: tx.operators.add("alice", at=NOW))
    made = [
        Token(digest=digit * 64, holder=who, scopes=SCOPES_OF[Role.PARTICIPANT], created_at=NOW, expires_at=end)
        for digit, who, end in (("a", north, None), ("b", north, NOW + HOUR), ("c", holder, None))
    ]
    for token in made:
        write(store, lambda tx, token=token: tx.tokens.add(token))
    assert read(store, lambda tx: [tx.tokens.find(token.digest) for token in made]) == made
    assert read(store, lambda tx: (tx.tokens.of(north), tx.tokens.of(holder))) == (tuple(made[:2]), (made[2],))
    assert all(write(store, lambda tx, token=token: tx.tokens.end(token, at=NOW + 2 * HOUR)) for token in made[:2])
    ends = read(store, lambda tx: [(each.expires_at, each.replaced) for each in tx.tokens.of(north)])
    assert ends == [(NOW + 2 * HOUR, True), (NOW + HOUR, True)]
    write(store, lambda tx: tx.tokens.used("a" * 64, LATER))
    assert read(store, lambda tx: tx.tokens.find("a" * 64)).last_used_at == LATER
    assert [write(store, lambda tx: tx.tokens.end(made[0])) for _ in range(2)] == [True, False]
    assert read(store, lambda tx: tx.tokens.find("a" * 64)) is None
    write(store, lambda tx: tx.operators.remove(holder))
    assert read(store, lambda tx: (tx.tokens.find("c" * 64), tx.operators.all())) == (None, ())


def test_invitations_come_back_as_they_went_in_and_remember_who_joined(store, federation):
    made = Invitation(
        digest="1" * 64, federation="clinics", role=Role.OBSERVER, participant="press", created_at=NOW, expires_at=LATER,
        grant=Grant(scopes=SCOPES_OF[Role.OBSERVER], lifetime_seconds=1 / 3),
    )  # fmt: skip
    write(store, lambda tx: tx.invitations.add(federation, made))
    assert read(store, lambda tx: (tx.invitations.find("1" * 64), tx.invitations.of(federation))) == (made, (made,))
    write(store, lambda tx: tx.invitations.used(made, at=LATER, by="press"))
    assert read(store, lambda tx: tx.invitations.find("1" * 64)) == replace(made, used_at=LATER, used_by="press")
    write(store, lambda tx: tx.invitations.remove(made))
    assert read(store, lambda tx: tx.invitations.find("1" * 64)) is None


def test_rounds_are_numbered_from_one_within_their_federation(store, federation, round_):
    other = write(store, lambda tx: tx.federations.add(replace(TERMS, name="banks"), encoder="f" * 64, at=NOW))
    second = write(store, lambda tx: tx.rounds.add(federation, round_seconds=7.5))
    assert (round_.number, second.number) == (1, 2)
    assert write(store, lambda tx: tx.rounds.add(other, round_seconds=1.0)).number == 1
    assert (round_.federation, round_.state, round_.round_seconds) == ("clinics", RoundState.DRAFT, 5.0)
    assert round_.attendance == Attendance(active=0, sealed=0, awaited=0, quorum=3)
    assert read(store, lambda tx: tx.rounds.of(federation)) == (round_, second)
    assert read(store, lambda tx: tx.rounds.get(federation, 3)) is None


def test_moments_keep_their_microseconds_whatever_their_zone(store, federation, round_):
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    in_state(store, round_, RoundState.OPEN, opened_at=elsewhere, deadline=LATER)
    found = read(store, lambda tx: tx.rounds.get(federation, 1))
    assert (found.opened_at, found.deadline) == (NOW, LATER)
    assert found.opened_at.utcoffset() == timedelta(0)


def test_a_moment_without_a_zone_is_refused(store, round_):
    with pytest.raises(Exception, match="no time zone"):
        in_state(store, round_, RoundState.OPEN, opened_at=NOW.replace(tzinfo=None))


def test_a_round_is_saved_whole(store, federation, round_):
    failed = replace(
        round_,
        state=RoundState.FAILED,
        opened_at=NOW,
        deadline=LATER,
        closed_at=LATER,
        failure=RoundFailure("quorum_missed", "1 of 2"),
    )
    assert write(store, lambda tx: tx.rounds.save(failed)) == failed
    assert read(store, lambda tx: tx.rounds.get(federation, 1)) == failed


def test_attendance_is_counted_at_the_moment_of_reading(store, federation, round_, north):
    south, east = (join(store, federation, name) for name in ("south", "east"))
    join(store, federation, "press", Role.OBSERVER)
    sealed = SealedSubmission(0, "d" * 64, NOW)
    write(store, lambda tx: [tx.submissions.seal(round_, each, sealed) for each in (north, south)])
    write(store, lambda tx: tx.participants.set_active(south, active=False))
    found = read(store, lambda tx: tx.rounds.get(federation, 1, lock=False)).attendance
    assert found == Attendance(active=2, sealed=2, awaited=1, quorum=3)
    write(store, lambda tx: tx.participants.set_active(east, active=False))
    assert write(store, lambda tx: tx.rounds.get(federation, 1, lock=True)).attendance.awaited == 0


def test_attendance_is_that_of_the_round_and_the_federation_alone(store, federation, round_, north):
    other = write(store, lambda tx: tx.federations.add(replace(TERMS, name="banks"), encoder="f" * 64, at=NOW))
    write(store, lambda tx: tx.participants.add(other, "bank", Role.PARTICIPANT, token_hash="bank", at=NOW))
    write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
    write(store, lambda tx: tx.submissions.seal(round_, north, SealedSubmission(0, "d" * 64, NOW)))
    first, second = read(store, lambda tx: tx.rounds.of(federation))
    assert (first.attendance.active, first.attendance.sealed, first.attendance.awaited) == (1, 1, 0)
    assert (second.attendance.active, second.attendance.sealed, second.attendance.awaited) == (1, 0, 1)


def test_open_rounds_are_found_and_all_are_counted(store, federation, round_):
    write(store, lambda tx: tx.rounds.add(federation, round_seconds=5.0))
    assert read(store, lambda tx: tx.rounds.open_rounds()) == ()
    in_state(store, round_, RoundState.OPEN, opened_at=NOW, deadline=LATER)
    assert read(store, lambda tx: tx.rounds.open_rounds()) == (("clinics", 1),)
    counted = read(store, lambda tx: tx.rounds.count_by_state())
    assert counted == dict.fromkeys(RoundState, 0) | {RoundState.OPEN: 1, RoundState.DRAFT: 1}


def test_a_lease_is_given_once_until_it_expires(store, round_):
    def claim(lease, at):
        return write(store, lambda tx: tx.rounds.claim(lease, now=at, until=at + timedelta(seconds=60)))

    assert claim("a", NOW) is None
    in_state(store, round_, RoundState.CLOSED, closed_at=NOW)
    assert claim("a", NOW).state is RoundState.AGGREGATING
    assert claim("b", NOW + timedelta(seconds=59)) is None
    assert claim("b", LATER).id == round_.id
    assert not write(store, lambda tx: tx.rounds.renew(round_, "a", until=LATER))
    assert write(store, lambda tx: tx.rounds.renew(round_, "b", until=LATER + timedelta(seconds=90)))
    assert claim("c", LATER + timedelta(seconds=89)) is None


def test_a_lease_ends_with_the_aggregation(store, round_):
    in_state(store, round_, RoundState.CLOSED, closed_at=NOW)
    claimed = write(store, lambda tx: tx.rounds.claim("a", now=NOW, until=LATER))
    in_state(store, claimed, RoundState.PUBLISHED, published_at=NOW, labels="0" * 64)
    assert not write(store, lambda tx: tx.rounds.renew(round_, "a", until=LATER))
    assert write(store, lambda tx: tx.rounds.claim("b", now=LATER, until=LATER)) is None


def test_of_many_that_claim_at_the_same_time_each_round_has_one(store, federation):
    for _ in range(3):
        made = write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
        in_state(store, made, RoundState.CLOSED, closed_at=NOW)
    barrier, claimed = threading.Barrier(8), []

    def work(name):
        barrier.wait()
        claimed.extend(
            write(store, lambda tx, lease=f"{name}-{turn}": tx.rounds.claim(lease, now=NOW, until=LATER))
            for turn in range(4)
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 32
    assert sorted(each.number for each in claimed if each) == [1, 2, 3]


def test_events_are_numbered_within_their_round(store, federation, round_):
    second = write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
    opened = replace(round_, state=RoundState.OPEN, opened_at=NOW, deadline=LATER)
    made = write(
        store,
        lambda tx: [
            tx.events.add(round_, EventKind.CREATED, NOW),
            tx.events.add(second, EventKind.CREATED, NOW),
            tx.events.add(opened, EventKind.OPENED, LATER),
        ],
    )
    assert [event.event_id for event in made] == [1, 1, 2]
    assert read(store, lambda tx: tx.events.after(round_, 0)) == (made[0], made[2])
    assert read(store, lambda tx: tx.events.after(round_, 1)) == (made[2],)
    assert read(store, lambda tx: tx.events.after(round_, 2**80)) == ()


def test_answers_are_held_by_prompt_and_sample(store, federation, round_, north):
    south = join(store, federation, "south")
    new = [
        (Answer(prompt_id, sample, "x\n日本🎈"), f"d{sample}") for sample in (1, 0) for prompt_id in ("b", "B", "a:1")
    ]
    write(store, lambda tx: tx.submissions.add(round_, north, new))
    write(store, lambda tx: tx.submissions.add(round_, south, []))
    held = read(store, lambda tx: tx.submissions.held(round_, north))
    assert list(held.items()) == [((p, s), f"d{s}") for p in ("B", "a:1", "b") for s in (0, 1)]
    some = read(store, lambda tx: tx.submissions.held(round_, north, {"b", *(f"x-{i}" for i in range(40_000))}))
    assert list(some) == [("b", 0), ("b", 1)]
    assert read(store, lambda tx: tx.submissions.held(round_, north, set())) == {}
    assert read(store, lambda tx: [tx.submissions.count(round_, each) for each in (north, south)]) == [6, 0]
    write(store, lambda tx: tx.submissions.remove(round_, north, [("B", 0), ("b", 1), ("zz", 0)]))
    assert len(read(store, lambda tx: tx.submissions.held(round_, north))) == 4


def test_only_sealed_submissions_are_pooled(store, federation, round_, north):
    south, east = (join(store, federation, name) for name in ("South", "east"))
    other = write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
    for site, prompt_id in ((north, "b"), (north, "B"), (south, "b"), (east, "b")):
        answer = Answer(prompt_id, 0, f"{site.name} on {prompt_id}", "stop", 3, 4)
        write(store, lambda tx, site=site, answer=answer: tx.submissions.add(round_, site, [(answer, "d" * 64)]))
    sealed = SealedSubmission(1, "d" * 64, LATER)
    write(store, lambda tx: [tx.submissions.seal(round_, each, sealed) for each in (south, north)])
    write(store, lambda tx: tx.submissions.seal(other, east, sealed))
    assert read(store, lambda tx: tuple(tx.submissions.pooled(round_))) == (
        PooledAnswer("B", "north", 0, "north on B", "d" * 64),
        PooledAnswer("b", "South", 0, "South on b", "d" * 64),
        PooledAnswer("b", "north", 0, "north on b", "d" * 64),
    )
    assert [each.participant for each in read(store, lambda tx: tuple(tx.submissions.pooled(round_, "b")))] == [
        "South",
        "north",
    ]
    assert read(store, lambda tx: [tx.submissions.sealed(round_, each) for each in (south, east)]) == [sealed, None]


def test_what_a_participant_states_with_its_seal_comes_back(store, federation, round_, north):
    south, east = (join(store, federation, name) for name in ("South", "east"))
    other = write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
    stated = PrivacyStatement(0.1 + 0.2, 1e-300, "prv")
    silent = SealedSubmission(0, "d" * 64, NOW)
    write(store, lambda tx: tx.submissions.seal(round_, north, replace(silent, privacy=stated)))
    write(store, lambda tx: tx.submissions.seal(round_, south, silent))
    write(store, lambda tx: tx.submissions.seal(other, east, replace(silent, privacy=PrivacyStatement(1.0, 0.0))))
    assert read(store, lambda tx: tx.submissions.sealed(round_, north)).privacy == stated
    assert read(store, lambda tx: tx.submissions.sealed(round_, south)) == silent
    found = read(store, lambda tx: tx.submissions.seals(round_))
    assert [(name, seal.privacy) for name, seal in found.items()] == [("South", None), ("north", stated)]
    assert read(store, lambda tx: tx.submissions.seals(other))["east"].privacy == PrivacyStatement(1.0, 0.0)


def test_a_seal_is_kept_as_it_was_signed(store, round_, north):
    signed = Signed('{"a":"é 🎈"}', "a" * 64, "b" * 128)
    write(store, lambda tx: tx.submissions.seal(round_, north, SealedSubmission(0, "d" * 64, NOW, signed=signed)))
    assert read(store, lambda tx: tx.submissions.sealed(round_, north)).signed == signed
    assert read(store, lambda tx: tx.submissions.seals(round_))["north"].signed == signed


def test_a_rounds_signature_comes_back_and_is_written_once(store, round_):
    signed = Signed('{"a":"é"}', "a" * 64, "b" * 128)
    assert read(store, lambda tx: tx.labels.signature(round_)) is None
    write(store, lambda tx: tx.labels.sign(round_, signed))
    assert read(store, lambda tx: tx.labels.signature(round_)) == signed


def test_of_a_participants_keys_one_signs_and_the_others_keep_their_time(store, federation, north):
    south = join(store, federation, "South")
    write(store, lambda tx: tx.signing_keys.add(north, "a" * 64, at=NOW))
    write(store, lambda tx: tx.signing_keys.add(south, "a" * 64, at=NOW))
    write(store, lambda tx: tx.signing_keys.end(north, at=LATER))
    write(store, lambda tx: tx.signing_keys.end(north, at=LATER + HOUR))
    assert read(store, lambda tx: dict(tx.signing_keys.current(federation))) == {"South": "a" * 64}
    write(store, lambda tx: tx.signing_keys.add(north, "b" * 64, at=LATER))
    assert read(store, lambda tx: tx.signing_keys.of(north)) == (
        SigningKey("a" * 64, NOW, LATER),
        SigningKey("b" * 64, LATER),
    )
    with pytest.raises(AlreadyExists):
        write(store, lambda tx: tx.signing_keys.add(north, "a" * 64, at=LATER))
    assert read(store, lambda tx: dict(tx.signing_keys.current(federation))) == {"South": "a" * 64, "north": "b" * 64}


def test_a_seal_says_what_its_answers_were_taught_and_whether_they_are_carried(store, federation, round_, north):
    sealed = SealedSubmission(0, "d" * 64, NOW, taught_through=3, carried_from=2)
    write(store, lambda tx: tx.submissions.seal(round_, north, sealed))
    assert read(store, lambda tx: tx.submissions.sealed(round_, north)) == sealed


def test_answers_are_carried_to_another_round_and_stay_where_they_were(store, federation, round_, north):
    answer = Answer("p", 0, "Rome.", "stop", 3, 4)
    write(store, lambda tx: tx.submissions.add(round_, north, [(answer, "d" * 64)]))
    later = write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
    write(store, lambda tx: tx.submissions.carry(round_, later, north))
    for one in (round_, later):
        assert read(store, lambda tx, one=one: dict(tx.submissions.held(one, north))) == {("p", 0): "d" * 64}


def test_the_last_first_hand_round_before_a_round_is_found(store, federation, round_, north):
    rounds = [round_, *(write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0)) for _ in range(3))]
    for one, taught in zip(rounds, (0, 0, 1, 2), strict=True):
        sealed = SealedSubmission(0, "d" * 64, NOW, taught_through=taught)
        write(store, lambda tx, one=one, sealed=sealed: tx.submissions.seal(one, north, sealed))
    found = [read(store, lambda tx, one=one: tx.submissions.first_hand_before(one, "north")) for one in rounds]
    assert found == [None, 1, 2, 2]
    assert read(store, lambda tx: tx.submissions.first_hand_before(rounds[-1], "nobody")) is None


def test_labels_and_card_come_back_as_they_went_in(store, round_):
    fates = (
        AnswerFate(
            participant="north", sample=0, digest="d" * 64, admitted=True, cluster=0, similarity=1 / 3, chosen=True
        ),
        AnswerFate(
            participant="south", sample=1, digest="d" * 64, admitted=False, gate="off_topic", measured=1 / 7, limit=0.17
        ),
    )
    records = [LabelRecord(prompt_id, f'{{"x":"{prompt_id} 日本"}}', fates) for prompt_id in reversed(PROMPT_IDS)]
    assert read(store, lambda tx: (tx.labels.card(round_), tx.labels.get(round_, "B"))) == (None, None)
    write(store, lambda tx: tx.labels.publish(round_, records, card()))
    assert read(store, lambda tx: tx.labels.card(round_)) == card()
    assert read(store, lambda tx: tx.labels.get(round_, "B")) == records[-2]
    whole = read(store, lambda tx: tx.labels.lines(round_, after="", limit=100))
    assert whole == tuple((record.prompt_id, record.line) for record in reversed(records))
    assert read(store, lambda tx: tx.labels.lines(round_, after="B", limit=2)) == whole[2:4]
    assert read(store, lambda tx: tx.labels.lines(round_, after="b", limit=2)) == ()
    assert read(store, lambda tx: tx.labels.fates(round_, after="B", limit=2)) == (("a-1", fates), ("a.1", fates))


def reliability(participant, mean, prompts=7):
    return Reliability(
        participant=participant,
        mean=mean,
        prompts=prompts,
        prior_mean=1 / 3,
        prior_prompts=0.1 + 0.2,
        reliability=-mean / 7,
        weight=1.1,
        newcomer=False,
        drifted=True,
    )


def test_reliability_comes_back_as_it_went_in_by_name_and_round(store, federation, round_, north):
    join(store, federation, "South")
    other = write(store, lambda tx: tx.federations.add(replace(TERMS, name="banks"), encoder="f" * 64, at=NOW))
    elsewhere = write(store, lambda tx: tx.rounds.add(other, round_seconds=1.0))
    join(store, other, "bank")
    second, third = (write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0)) for _ in range(2))
    first = [reliability("north", 1 / 3), reliability("South", -0.1 - 0.2)]
    write(store, lambda tx: tx.reliabilities.add(round_, first))
    write(store, lambda tx: tx.reliabilities.add(second, [reliability("north", 0.5)]))
    write(store, lambda tx: tx.reliabilities.add(third, []))
    write(store, lambda tx: tx.reliabilities.add(elsewhere, [reliability("bank", 9.0)]))
    assert read(store, lambda tx: tx.reliabilities.of(round_)) == tuple(reversed(first))
    assert read(store, lambda tx: tx.reliabilities.of(third)) == ()
    assert read(store, lambda tx: tx.reliabilities.before(federation, 3)) == {
        "South": ((1, first[1]),),
        "north": ((1, first[0]), (2, reliability("north", 0.5))),
    }
    assert read(store, lambda tx: tx.reliabilities.before(federation, 1)) == {}


def test_appeals_are_numbered_in_their_federation_and_the_last_word_counts(store, federation, round_, north):
    second = write(store, lambda tx: tx.rounds.add(federation, round_seconds=1.0))
    south = join(store, federation, "South")
    made = [
        write(store, lambda tx, case=case: tx.appeals.add(*case, "日本", NOW))
        for case in ((round_, north, "garbage"), (round_, south, "garbage"), (second, north, "garbage"))
    ]
    assert [(each.number, each.participant, each.round) for each in made] == [
        (1, "north", 1),
        (2, "South", 1),
        (3, "north", 2),
    ]
    with pytest.raises(AlreadyExists):
        write(store, lambda tx: tx.appeals.add(round_, north, "garbage", "again", LATER))
    assert read(store, lambda tx: tx.appeals.of(federation)) == tuple(made)
    assert read(store, lambda tx: tx.appeals.get(federation, 4)) is None
    assert read(store, lambda tx: tx.appeals.exemptions(federation)) == ()
    for number, outcome, at in (
        (1, AppealOutcome.UPHELD, NOW),
        (2, AppealOutcome.UPHELD, NOW),
        (3, AppealOutcome.REJECTED, LATER),
    ):
        write(store, lambda tx, word=(number, outcome, "so", at): tx.appeals.resolve(federation, *word))
    resolved = replace(made[1], outcome=AppealOutcome.UPHELD, note="so", resolved_at=NOW)
    assert read(store, lambda tx: tx.appeals.get(federation, 2)) == resolved
    assert read(store, lambda tx: tx.appeals.exemptions(federation)) == (("South", "garbage"),)
    write(store, lambda tx: tx.appeals.resolve(federation, 1, AppealOutcome.UPHELD, "", LATER + timedelta(seconds=1)))
    assert read(store, lambda tx: tx.appeals.exemptions(federation)) == (("South", "garbage"), ("north", "garbage"))


def test_claims_are_counted_until_the_round_is_closed_again(store, round_):
    def claim(lease, seconds):
        at = NOW + timedelta(seconds=seconds)
        return write(store, lambda tx: tx.rounds.claim(lease, now=at, until=at + timedelta(seconds=10)))

    in_state(store, round_, RoundState.CLOSED, closed_at=NOW)
    assert [claim("a", 0).claims, claim("b", 10).claims] == [1, 2]
    assert not write(store, lambda tx: tx.rounds.give_back(round_, "a", now=NOW))
    assert write(store, lambda tx: tx.rounds.give_back(round_, "b", now=NOW + timedelta(seconds=11)))
    claimed = claim("c", 11)
    assert claimed.claims == 2
    failed = replace(claimed, state=RoundState.FAILED, failure=RoundFailure("aggregation_failed", "x"))
    write(store, lambda tx: tx.rounds.save(failed))
    in_state(store, claimed, RoundState.CLOSED, closed_at=NOW, failure=None)
    assert claim("d", 12).claims == 1


def test_a_round_is_published_once(store, round_):
    write(store, lambda tx: tx.labels.publish(round_, [], card()))
    with pytest.raises(Exception, match=r"(?i)unique"):
        write(store, lambda tx: tx.labels.publish(round_, [], card(labels="1" * 64)))
    assert read(store, lambda tx: tx.labels.card(round_)) == card()


def test_traffic_adds_up(store, federation, round_, north):
    join(store, federation, "South")
    counts = [("clinics", 1, "north", 2**40, 1), ("clinics", 1, "South", 5, 6), ("clinics", 1, "north", 1, 2)]
    strange = [("clinics", 2, "north", 1, 1), ("clinics", 1, "nobody", 1, 1), ("banks", 1, "north", 1, 1)]
    for _ in range(2):
        write(store, lambda tx: tx.traffic.add(TrafficCount(*count) for count in [*counts, *strange]))
    assert read(store, lambda tx: tx.traffic.of(round_)) == (
        ParticipantTraffic("South", 10, 12),
        ParticipantTraffic("north", 2 * (2**40 + 1), 6),
    )


def test_traffic_counted_at_the_same_time_is_not_lost(store, round_, north):
    def count():
        for _ in range(10):
            write(store, lambda tx: tx.traffic.add([TrafficCount("clinics", 1, "north", 1, 2)]))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(store, lambda tx: tx.traffic.of(round_)) == (ParticipantTraffic("north", 40, 80),)


def test_the_check_finds_nothing_wrong(store):
    assert store.check() == "ok"


def update_file(name, content):
    return UpdateFile(participant=name, digest="d" * 64, rank=4, examples=2**40, content=content)


def test_the_update_of_a_participant_is_the_last_one_it_sent(store, round_, north):
    write(store, lambda tx: tx.parameters.keep(round_, north, update_file("north", b"first")))
    write(store, lambda tx: tx.parameters.keep(round_, north, update_file("north", bytes(range(256)))))
    assert read(store, lambda tx: tx.parameters.held(round_, north)) == "d" * 64
    write(store, lambda tx: tx.submissions.seal(round_, north, SealedSubmission(0, "e" * 64, NOW)))
    assert read(store, lambda tx: list(tx.parameters.sealed(round_))) == [update_file("north", bytes(range(256)))]


def test_updates_that_are_not_sealed_are_left_out(store, federation, round_, north):
    south = join(store, federation, "south")
    for each in (south, north):
        write(store, lambda tx, each=each: tx.parameters.keep(round_, each, update_file(each.name, b"x")))
    write(store, lambda tx: tx.submissions.seal(round_, south, SealedSubmission(0, "e" * 64, NOW)))
    assert [file.participant for file in read(store, lambda tx: list(tx.parameters.sealed(round_)))] == ["south"]
    assert read(store, lambda tx: tx.parameters.held(round_, north)) == "d" * 64


def test_an_aggregate_is_the_recipients_own_or_everybodys(store, round_):
    files = [AggregateFile("", "a" * 64, b"common"), AggregateFile("north", "b" * 64, b"own")]
    assert read(store, lambda tx: tx.parameters.aggregate(round_, "north")) is None
    write(store, lambda tx: tx.parameters.publish(round_, files))
    assert read(store, lambda tx: tx.parameters.aggregate(round_, "north")) == files[1]
    assert read(store, lambda tx: tx.parameters.aggregate(round_, "south")) == files[0]


def test_a_database_on_another_machine_tells_its_time(store, request):
    told = store.clock and store.clock()
    if "sqlite" in request.node.name:
        assert told is None
    else:
        assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


def test_an_older_moment_does_not_undo_when_a_participant_was_seen(store, federation, north):
    join(store, federation, "screen", Role.OBSERVER)
    for later in (5, 3):
        write(store, lambda tx, at=NOW + timedelta(seconds=later): tx.participants.seen({north.id: at}))
    assert read(store, lambda tx: tx.participants.get(federation, "north")).seen_at == NOW + timedelta(seconds=5)
    assert read(store, lambda tx: tx.participants.last_seen()) == (NOW + timedelta(seconds=5),)
