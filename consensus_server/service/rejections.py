"""Which answers a round kept out, and why, in words for those who gave them."""

from typing import Final

from consensus_server.core.labels import AnswerFate, Rejection, RejectionPage
from consensus_server.ports import Clock, Store
from consensus_server.service.access import READERS_OF_LABELS, Caller
from consensus_server.service.published import may_see, published_round

_REASONS: Final = {
    "empty": "A reader would see nothing in it.",
    "not_embeddable": "The encoder gave it no vector, so that it cannot be compared.",
    "garbage": "{measured:.0%} of its characters can be printed; it takes {limit:.0%}.",
    "off_topic": "It is as close to the prompt as {measured:.3f} (cosine); in this pool it takes {limit:.3f}.",
    "repetitive": "{measured:.0%} of what its participant says recurs across prompts; less than {limit:.0%} may.",
    "over_long": "It has {measured:.0f} characters; in this pool {limit:.0f} are the most.",
}
"""By gate. A gate that is not in it tells its name."""


def reason_of(fate: AnswerFate) -> str | None:
    """Why an answer was kept out, in a sentence; None for one that was admitted."""
    if fate.gate is None:
        return None
    if fate.gate not in _REASONS:
        return f"The gate {fate.gate} kept it out: it measured {fate.measured}, with the limit {fate.limit}."
    measured = 0.0 if fate.measured is None else fate.measured
    limit = 0.0 if fate.limit is None else fate.limit
    return _REASONS[fate.gate].format(measured=measured, limit=limit)


class Rejections:
    """Answers that gates kept out of published rounds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def page(
        self, caller: Caller, federation: str, number: int, *, cursor: str = "", limit: int = 1000
    ) -> RejectionPage:
        """Those of up to `limit` prompts from `cursor` on ('': the first): all for operators, their own for participants.

        Raises UnknownFederation, Forbidden for observers, UnknownRound, RoundNotPublished, RoundFailed.
        """
        round_ = published_round(self._store, self._clock, caller, federation, number, roles=READERS_OF_LABELS)
        with self._store.reading() as tx:
            rows = tx.labels.fates(round_, after=cursor, limit=limit + 1)
        items = tuple(
            Rejection(prompt_id, fate)
            for prompt_id, fates in rows[:limit]
            for fate in fates
            if fate.gate is not None and may_see(caller, fate.participant)
        )
        return RejectionPage(items, rows[limit - 1][0] if len(rows) > limit else None)
