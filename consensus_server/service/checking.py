"""Whether what was published is still what was published: labels are read again and compared with the digest of their round."""

from collections.abc import Iterator

from client_kit.vocabulary import RoundState
from consensus_server.core.rounds import Round
from consensus_server.ports import Store, Transaction
from consensus_server.service.label_lines import lines_digest

_CHUNK = 500


def published_rounds(store: Store) -> Iterator[tuple[Round, bool]]:
    """Every published round, by federation and number, with whether its labels still have the digest that was published."""
    with store.reading() as tx:
        rounds = [each for home in tx.federations.all() for each in tx.rounds.of(home)]
    for round_ in rounds:
        if round_.state is RoundState.PUBLISHED:
            with store.reading() as tx:
                yield round_, lines_digest(_lines(tx, round_)) == round_.labels and tx.labels.card(round_) is not None


def _lines(tx: Transaction, round_: Round) -> Iterator[str]:
    after = ""
    while rows := tx.labels.lines(round_, after=after, limit=_CHUNK):
        yield from (line for _, line in rows)
        after = rows[-1][0]
