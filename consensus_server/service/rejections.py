"""Which answers a round kept out, and why, in words for those who gave them."""

from consensus_server.core.consensus.round.gates import GATES
from consensus_server.core.labels import SECOND_HAND, AnswerFate, Rejection, RejectionPage
from consensus_server.ports import Clock, Store
from consensus_server.service.access import Caller
from consensus_server.service.published import may_see, published_labels


def reason_of(fate: AnswerFate) -> str | None:
    """Why an answer was kept out, in a sentence; None for one that was admitted."""
    if fate.gate is None:
        return None
    if fate.gate == SECOND_HAND:
        return "Its model was taught pseudo-labels, and it does not contradict the one that it was taught."
    return GATES[fate.gate].sentence.format(measured=fate.measured or 0.0, limit=fate.limit or 0.0)


class Rejections:
    """Answers that gates kept out of published rounds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def page(
        self, caller: Caller, federation: str, number: int, *, cursor: str = "", limit: int = 1000
    ) -> RejectionPage:
        """Those of up to `limit` prompts from `cursor` on ('': the first): all for operators, their own for participants.

        Raises as `published_labels`.
        """
        round_ = published_labels(self._store, self._clock, caller, federation, number)
        with self._store.reading() as tx:
            rows = tx.labels.fates(round_, after=cursor, limit=limit + 1)
        items = tuple(
            Rejection(prompt_id, fate)
            for prompt_id, fates in rows[:limit]
            for fate in fates
            if fate.gate is not None and may_see(caller, fate.participant)
        )
        return RejectionPage(items, rows[limit - 1][0] if len(rows) > limit else None)
