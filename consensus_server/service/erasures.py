"""Erasure: a participant's answers go, with all that was made of them and tells them; seals, digests and counts stay.

A pseudo-label is the sentence of one site. Where nobody else in the federation said the very same to the prompt, its text is
withheld from then on, and the label says `erased`. A round is never decided anew.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from client_kit.vocabulary import RoundState
from consensus_server.core.erasures import ErasedRound
from consensus_server.core.errors import RoundInProgress, UnknownFederation, UnknownParticipant
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, LabelRecord, Said, Store, Transaction
from consensus_server.service.access import (
    OPERATORS,
    PARTICIPANTS,
    SERVER_OPERATOR,
    Caller,
    federation_for,
    participant_for,
    require_right,
)
from consensus_server.service.audit import SERVER, noted
from consensus_server.service.label_lines import label_line, lines_digest, read_label
from consensus_server.service.settling import last_round, round_for, settle

ERASED: Final = "participant.erased"
"""The act, in the audit record."""

_CHUNK = 500
"""Labels read at once."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Erasures that were done again, as FEDERATION/PARTICIPANT."""

    done: tuple[str, ...]
    waiting: tuple[str, ...]
    """Sealed answers are to be decided on first."""


class Erasures:
    """Erasure of what participants answered, by operators or the participants themselves."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def erase(self, caller: Caller, federation: str, name: str) -> tuple[ErasedRound, ...]:
        """Delete all answers of a participant, and say what was erased of it so far, oldest round first.

        Its vectors, parameters and the words of its appeals go too. Repeated, it changes nothing. Raises UnknownFederation,
        Forbidden, UnknownParticipant, and RoundInProgress while answers that it sealed are to be decided on.
        """
        return self._erase_all(caller, federation, name)

    def _erase_all(
        self, caller: Caller, federation: str, name: str, repeats: Collection[str] = ()
    ) -> tuple[ErasedRound, ...]:
        """repeats: digests of the acts in an audit record that this one does again."""
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, None, lock=True)
            itself = caller.participant is not None and caller.participant.name == name
            require_right(caller, PARTICIPANTS if itself else OPERATORS)
            now = self._clock.now()
            last = last_round(tx, home, lock=True)  # before the participant, as a seal does: no deadlock
            last = None if last is None else settle(tx, last, now)
            participant = participant_for(tx, home, name, lock=True)
            _require_decided(tx, last, participant)
            erased = _erase(tx, home, participant, tx.rounds.of(home), now)
            if erased or repeats:
                told = {**erased, "repeats": [*repeats]} if repeats else erased
                noted(tx, caller, ERASED, now, federation=home.name, subject=name, after=told)
            found = tx.erasures.of(home, participant=participant)
        self._store.scrub()
        return found

    def sweep(self) -> int:
        """Erase the answers of rounds that ended as long ago as their federation agreed to keep them; how many were erased.

        One participant and round at a time. A federation whose round is being decided has its turn with the next sweep.
        """
        with self._store.reading() as tx:
            agreed = [each for each in tx.federations.all() if each.terms.answers_kept_days is not None]
            due = [(home, *each) for home in agreed for each in _due(tx, home, self._clock.now())]
        erased = sum(self._expire(home.name, number, name) for home, number, name in due)
        if erased:
            self._store.scrub()
        return erased

    def repeat(self, record: Iterable[str]) -> Repeated:
        """Erase again what an audit record says was erased, and a database that was put back from a copy does not know of.

        record: its lines, checked. What expired is left to `sweep`.
        """
        with self._store.reading() as tx:
            known = {digest for act in map(json.loads, tx.audit.lines()) for digest in _stands_for(act)}
        lost = defaultdict[tuple[str, str], list[str]](list)
        for act in map(json.loads, record):
            if act["action"] == ERASED and act["digest"] not in known:
                lost[act["federation"], act["subject"]].append(act["digest"])
        done, waiting = list[str](), list[str]()
        for (federation, name), acts in lost.items():
            try:
                self._erase_all(SERVER_OPERATOR, federation, name, acts)
                done.append(f"{federation}/{name}")
            except RoundInProgress:
                waiting.append(f"{federation}/{name}")
            except (UnknownFederation, UnknownParticipant):  # of after the copy: nothing of it came back
                continue
        return Repeated(tuple(done), tuple(waiting))

    def _expire(self, federation: str, number: int, name: str) -> int:
        """Erase one participant's answers of one round; how many there were."""
        with self._store.writing() as tx:
            home = federation_for(tx, SERVER_OPERATOR, federation, OPERATORS, lock=True)
            last = last_round(tx, home, lock=True)
            if last is None or last.state in {RoundState.CLOSED, RoundState.AGGREGATING}:
                return 0
            participant, now = participant_for(tx, home, name, lock=True), self._clock.now()
            erased = _erase(tx, home, participant, [round_for(tx, home, number)], now)
            if erased:
                told = {"round": number, **erased}
                noted(tx, SERVER, "answers.expired", now, federation=home.name, subject=name, after=told)
            return erased.get("answers", 0)


def _stands_for(act: Mapping[str, Any]) -> Iterable[str]:
    """Digests of the act itself, and of those that it repeats."""
    return (act["digest"], *act["after"].get("repeats", ()))


def _due(tx: Transaction, home: Federation, now: datetime) -> Iterator[tuple[int, str]]:
    """(round, participant) whose answers were kept long enough."""
    kept = timedelta(days=home.terms.answers_kept_days or 0)
    for each in tx.rounds.of(home):
        if each.state not in {RoundState.PUBLISHED, RoundState.FAILED} or each.closed_at is None:
            continue
        if each.closed_at + kept <= now:
            yield from ((each.number, who.name) for who in tx.participants.of(home) if tx.submissions.count(each, who))


def _require_decided(tx: Transaction, last: Round | None, participant: Participant) -> None:
    """Raise RoundInProgress while a worker reads texts of the federation, or will read sealed ones of the participant."""
    if last is None or last.state in {RoundState.DRAFT, RoundState.PUBLISHED, RoundState.FAILED}:
        return
    if last.state is RoundState.OPEN and tx.submissions.sealed(last, participant) is None:
        return
    raise RoundInProgress(
        f"Round {last.number} is {last.state}, and is decided with what {participant.name} sealed so far; nothing was erased.",
        remedy="Erase once the round is published or failed; an operator may close it before its time.",
    )


def _erase(
    tx: Transaction, home: Federation, participant: Participant, rounds: Collection[Round], now: datetime
) -> dict[str, int]:
    """Erase the participant's answers of these rounds; how many answers and texts of labels went, nothing where none did."""
    by_round = {each.number: tx.erasures.forget(each, participant) for each in rounds}
    said = {each for gone in by_round.values() for each in gone}
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for number, gone in by_round.items():
        counts[number][0] += len(gone)
    lost = said - tx.erasures.still_said(home, said)
    tx.erasures.forget_vectors({each.digest for each in lost})
    for each in tx.rounds.of(home) if lost else ():
        counts[each.number][1] += _withhold(tx, each, lost)
    for each in tx.rounds.of(home):
        answers, labels = counts[each.number]
        if labels or (answers and tx.submissions.sealed(each, participant)):  # else they were of no round yet
            tx.erasures.note(each, participant, now, answers=answers, labels=labels)
    answers, labels = (sum(column) for column in zip(*counts.values(), strict=True)) if counts else (0, 0)
    return {"answers": answers, "labels": labels} if answers else {}


def _withhold(tx: Transaction, round_: Round, lost: Collection[Said]) -> int:
    """Take the texts out of the round's labels that only erased answers gave, and words of these; how many labels lost theirs."""
    if round_.labels is None:
        return 0
    withheld, lines, asked = 0, [], {each.prompt_id for each in lost}
    for prompt_id, line in _lines(tx, round_):
        record = tx.labels.get(round_, prompt_id) if prompt_id in asked else None
        kept = None if record is None else _without(record, lost)
        if kept is not None and kept != record:
            tx.erasures.rewrite(round_, kept)
            withheld += kept.line != line
        lines.append(line if kept is None else kept.line)
    if withheld:  # readers verify what is held; the digest that was published stays in the card and the audit record
        tx.rounds.save(replace(round_, labels=lines_digest(lines)))
    return withheld


def _without(record: LabelRecord, lost: Collection[Said]) -> LabelRecord:
    label = read_label(record.line)
    if label.digest is not None and label.text is not None and Said(record.prompt_id, label.digest) in lost:
        record = replace(record, line=label_line(replace(label, text=None, erased=True)))
    if record.contests and any(Said(record.prompt_id, fate.digest) in lost for fate in record.fates):
        record = replace(
            record, contests=tuple(replace(each, words_first="", words_second="") for each in record.contests)
        )
    return record


def _lines(tx: Transaction, round_: Round) -> Iterator[tuple[str, str]]:
    """(prompt_id, line) of every label of a round."""
    after = ""
    while rows := tx.labels.lines(round_, after=after, limit=_CHUNK):
        yield from rows
        after = rows[-1][0]
