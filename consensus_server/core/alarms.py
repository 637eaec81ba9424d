"""What should make a reader look twice at the labels of a round: told when they are published, and kept on the card."""

from collections.abc import Iterator, Sequence
from typing import Final

from consensus_server.core.labels import Counts, Echo, RoundCard
from consensus_server.core.rounds import Alarm

HEARSAY_FROM: Final = 0.2
"""Share of labels without first-hand voices from which there is an alarm. Of such labels .16 were right, of the others .97, where
taught models answered for twenty rounds (docs/evidence.md)."""
ECHO_FROM: Final = 0.5
"""Share of the answers that could have moved to a label and did, from which there is one."""
ECHO_OF: Final = 20
"""Answers that could have moved: of fewer the share says little."""

HEARSAY: Final = "hearsay"
GROWTH: Final = "growth"
ECHO: Final = "echo"
KINDS: Final = (HEARSAY, GROWTH, ECHO)


def alarms(counts: Counts, echoes: Sequence[Echo], before: RoundCard | None) -> tuple[Alarm, ...]:
    """before: the card of the round before; None where there is none."""
    return (*_hearsay(counts), *_growth(counts, before), *_echoes(echoes))


def _hearsay(counts: Counts) -> Iterator[Alarm]:
    if counts.labels and counts.hearsay / counts.labels > HEARSAY_FROM:
        yield Alarm(
            HEARSAY,
            f"{counts.hearsay} of {counts.labels} labels are hearsay: no two participants stand behind them with first-hand "
            "answers. Let models answer that were taught no label (witness: true), or decide by evidence",
        )


def _growth(counts: Counts, before: RoundCard | None) -> Iterator[Alarm]:
    if before is None:
        return
    grown = counts.labels - before.counts.labels
    if grown > 0 and counts.labels - counts.hearsay <= before.counts.labels - before.counts.hearsay:
        yield Alarm(
            GROWTH, f"there are {grown} labels more than in round {before.number}, and none more that is first-hand"
        )


def _echoes(echoes: Sequence[Echo]) -> Iterator[Alarm]:
    loud = sum(each.could_move >= ECHO_OF and each.moved > ECHO_FROM * each.could_move for each in echoes)
    if loud:
        who = "1 participant answers" if loud == 1 else f"{loud} participants answer"
        yield Alarm(
            ECHO,
            f"{who} mostly as the labels say where the first answers said otherwise, by models that were taught none, so it is stated. "
            "Such a model had not finished learning when it first answered, or it was taught labels: the operator's card tells whose",
        )
