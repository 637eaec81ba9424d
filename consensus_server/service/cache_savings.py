"""What stored vectors saved is the server operator's to know.

Vectors are kept by content, for all federations. Whoever else could read how many texts of a round were new, or how long their
encoding took, could tell by a round of guesses whether anybody had ever submitted a text.
"""

from dataclasses import replace

from client_kit.vocabulary import AggregationStep
from consensus_server.core.labels import RoundCard
from consensus_server.core.rounds import Round
from consensus_server.service.access import Caller


def card_for(caller: Caller, card: RoundCard) -> RoundCard:
    """The card without what a cache saved, unless the server's operator reads it: nothing encoded or reused, no time for it."""
    if caller.participant is None:
        return card
    seconds = card.timings.deciding_seconds
    return replace(
        card,
        counts=replace(card.counts, encoded=0, reused=0),
        timings=replace(card.timings, encoding_seconds=0.0, total_seconds=seconds),
    )


def round_for_reader(caller: Caller, round_: Round) -> Round:
    """The round without how many texts are encoded, unless the server's operator reads it: members see that they are."""
    progress = round_.progress
    if caller.participant is None or progress is None or progress.step is not AggregationStep.ENCODING:
        return round_
    return replace(round_, progress=replace(progress, done=0, total=0, seconds_left=None))
