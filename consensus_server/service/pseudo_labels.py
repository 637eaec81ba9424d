"""What a published round gives back."""

from collections.abc import Iterator
from dataclasses import replace

from client_kit.vocabulary import Role
from consensus_server.core.federations import Federation
from consensus_server.core.labels import ClusterContest, Explanation, LabelPage, RoundCard
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, LabelRecord, Store, Transaction
from consensus_server.service.access import MEMBERS, Caller, federation_for
from consensus_server.service.cache_savings import card_for
from consensus_server.service.label_lines import read_label
from consensus_server.service.published import (
    may_see,
    published_labels,
    published_round,
    require_contribution,
    unknown_prompt,
)

CHUNK_LABELS = 500
"""Labels read at once while streaming: a slow reader holds no transaction open."""


class PseudoLabels:
    """Labels, their explanations and the card of a round. Only an erasure changes anything once it is published."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def published(self, caller: Caller, federation: str, number: int) -> Round:
        """The published round; its `labels` is the digest, and the ETag, of the pseudo-labels.

        Raises as `published_labels`.
        """
        return published_labels(self._store, self._clock, caller, federation, number)

    def page(self, caller: Caller, federation: str, number: int, *, cursor: str = "", limit: int = 1000) -> LabelPage:
        """Up to `limit` labels from `cursor` on ('': the first), in the order of `prompt_id`. Raises as `published`."""
        round_ = self.published(caller, federation, number)
        with self._store.reading() as tx:
            rows = tx.labels.lines(round_, after=cursor, limit=limit + 1)
        more = len(rows) > limit
        return LabelPage(tuple(read_label(line) for _, line in rows[:limit]), rows[limit - 1][0] if more else None)

    def stream(self, caller: Caller, federation: str, number: int) -> Iterator[bytes]:
        """All labels as NDJSON, some hundred lines at a time, in the order of `prompt_id`.

        The bytes in all have the SHA-256 that `published(...).labels` says. Raises as `published`, before the first piece.
        """
        return self._pieces(caller, self.published(caller, federation, number))

    def _pieces(self, caller: Caller, round_: Round) -> Iterator[bytes]:
        after = ""
        while True:
            with self._store.reading() as tx:
                require_contribution(tx, caller, round_)  # a slow reader's token may have ended
                rows = tx.labels.lines(round_, after=after, limit=CHUNK_LABELS)
            if not rows:
                return
            yield "".join(f"{line}\n" for _, line in rows).encode()
            after = rows[-1][0]

    def explain(self, caller: Caller, federation: str, number: int, prompt_id: str) -> Explanation:
        """Why a prompt has its label: operators see all answers, participants their own.

        Raises as `published`, and UnknownPrompt.
        """
        round_, operates = self.published(caller, federation, number), caller.role is Role.OPERATOR
        with self._store.reading() as tx:
            record = tx.labels.get(round_, prompt_id)
            texts = _texts(tx, federation_for(tx, caller, federation), round_, record) if operates else {}
        if record is None:
            raise unknown_prompt(federation, prompt_id)
        seen = tuple(fate for fate in record.fates if may_see(caller, fate.participant))
        return Explanation(read_label(record.line), seen, texts, _told(record.contests, caller))

    def card(self, caller: Caller, federation: str, number: int) -> RoundCard:
        """What made the round: every member may read it, without the echoes of others and what a cache saved.

        Raises UnknownFederation, UnknownRound, RoundNotPublished, RoundFailed.
        """
        round_ = published_round(self._store, self._clock, caller, federation, number, roles=MEMBERS)
        with self._store.reading() as tx:
            card = tx.labels.card(round_)
            erased = tx.erasures.of(federation_for(tx, caller, federation), round_=round_)
        if card is None:
            raise LookupError(f"round {number} of {federation} is published without a card")
        seen = tuple(each for each in card.echoes if may_see(caller, each.participant))
        return card_for(caller, replace(card, echoes=seen, erased=erased))


def _texts(tx: Transaction, federation: Federation, round_: Round, record: LabelRecord | None) -> dict[str, str]:
    """The answers to a prompt by content digest, with those of earlier rounds that stand in for some."""
    if record is None:
        return {}
    numbers = {fate.stands_in_from for fate in record.fates if fate.stands_in_from is not None}
    earlier = filter(None, (tx.rounds.get(federation, number) for number in sorted(numbers)))
    rounds = [round_, *earlier]
    return {each.digest: each.text for one in rounds for each in tx.submissions.pooled(one, record.prompt_id)}


def _told(contests: tuple[ClusterContest, ...], caller: Caller) -> tuple[ClusterContest, ...]:
    """Words of answers are told to operators, who see the answers; others learn which clusters differ, and in what."""
    if caller.role is Role.OPERATOR:
        return contests
    return tuple(replace(each, words_first="", words_second="") for each in contests)
