"""Signs that a model collapses over the rounds: its answers lose variety, or agree with labels that are wrong.

A model that learns from what models said can narrow down until it says the same to everything (Shumailov et al., arXiv
2305.17493). Nothing here needs a model: texts go in, figures come out, and `watch` journals them. Texts are compared by
their words, in lower case.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, pairwise
from typing import Any

from client_kit.errors import ModelCollapsed
from client_kit.federation.journal import Journal
from client_kit.settings import CollapseSettings
from client_kit.wire import PseudoLabel

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much the answers of one model to different prompts differ. All are shares, 0..1."""

    distinct: float
    """Distinct pairs of neighbouring words per pair, over all answers (distinct-2: Li et al., arXiv 1510.03055)."""
    overlap: float
    """Jaccard overlap of the words of two answers, averaged over all pairs of answers to different prompts."""
    identical: float
    """Answers that stand word for word under another prompt too."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Pseudo-labels of one support whose right answer is known."""

    support: float
    """Votes behind the label, rounded to one decimal."""
    labels: int
    right: int


def watch(
    limits: CollapseSettings, journal: Journal, number: int, answers: Mapping[str, str], before: Mapping[str, str]
) -> list[str]:
    """Journal how diverse the answers of round `number` are; the alarms, as sentences. Once per round.

    answers: one by prompt, as they are to be submitted; before: those of the round before. Raises ModelCollapsed when
    there were alarms in `limits.stop_after` rounds in a row.
    """
    if (watched := journal.last("watched", round=number)) is None:
        now, first = diversity(answers), journal.last("watched")
        compared = now if first is None else _first_diversity(journal)
        found = alarms(now, compared, limits) if answers else []
        same = agreement(answers, before)
        journal.append("watched", round=number, diversity=asdict(now), same_as_before=same, alarms=found)
        watched = {"alarms": found}
    _stop_where_collapsed(limits, journal, number)
    return list(watched["alarms"])


def label_figures(labels: Sequence[PseudoLabel], gold: Mapping[str, str]) -> dict[str, Any]:
    """Precision of the pseudo-labels by support, where the site knows the right answers."""
    rows = precision_by_support(labels, gold)
    return {"precision": [asdict(row) for row in rows]} if rows else {}


def diversity(answers: Mapping[str, str]) -> Diversity:
    """Of a model's answers by prompt: one each. Fewer than two answers are as diverse as can be."""
    texts = [_words(text) for text in answers.values()]
    pairs = list(chain.from_iterable(pairwise(words) for words in texts))
    counts = Counter(texts)
    return Diversity(
        distinct=len(set(pairs)) / len(pairs) if pairs else 1.0,
        overlap=_mean_overlap([frozenset(words) for words in texts]),
        identical=sum(count for count in counts.values() if count > 1) / len(texts) if texts else 0.0,
    )


def agreement(now: Mapping[str, str], before: Mapping[str, str]) -> float | None:
    """Share of the prompts answered both times whose answer is the same, word for word. None: no such prompt.

    High from the start of a federation is no alarm: greedy answers of a model that hardly changes are the same.
    """
    both = now.keys() & before.keys()
    return sum(_words(now[prompt]) == _words(before[prompt]) for prompt in both) / len(both) if both else None


def alarms(now: Diversity, first: Diversity, limits: CollapseSettings) -> list[str]:
    """What has gone beyond its limit, as sentences; empty where all is well."""
    found = []
    if now.distinct < limits.distinct_floor * first.distinct:
        found.append(f"distinct pairs of words fell from {first.distinct:.2f} to {now.distinct:.2f}")
    if now.overlap > first.overlap + limits.overlap_rise:
        found.append(f"overlap of answers to different prompts rose from {first.overlap:.2f} to {now.overlap:.2f}")
    if now.identical > first.identical + limits.identical_rise:
        found.append(f"identical answers to different prompts rose from {first.identical:.0%} to {now.identical:.0%}")
    return found


def precision_by_support(labels: Sequence[PseudoLabel], gold: Mapping[str, str]) -> list[Precision]:
    """How many labels are right, by the support behind them, strongest first; of the prompts with a known answer.

    A label is right when it holds the words of the known answer, in their order and without a gap.
    """
    counts: Counter[float] = Counter()
    right: Counter[float] = Counter()
    for label in labels:
        if label.text is not None and label.prompt_id in gold:
            support = round(label.support, 1)
            counts[support] += 1
            right[support] += _holds(_words(label.text), _words(gold[label.prompt_id]))
    return [Precision(support, counts[support], right[support]) for support in sorted(counts, reverse=True)]


def _first_diversity(journal: Journal) -> Diversity:
    return Diversity(**next(journal.of("watched"))["diversity"])


def _stop_where_collapsed(limits: CollapseSettings, journal: Journal, number: int) -> None:
    if limits.stop_after is None:
        return
    last = [record for record in journal.of("watched") if record["round"] <= number][-limits.stop_after :]
    if len(last) == limits.stop_after and all(record["alarms"] for record in last):
        raise ModelCollapsed(
            f"the model's answers have lost their variety {limits.stop_after} rounds in a row, in round {number}: "
            f"{'; '.join(last[-1]['alarms'])}. Nothing of this round was submitted. Take up the checkpoint from before, "
            "lower mixing.ratio or raise mixing.minimum_confidence and mixing.replay; or set collapse.stop_after to null"
        )


def _words(text: str) -> Words:
    return tuple(re.findall(r"\w+", text.lower()))


def _holds(words: Words, wanted: Words) -> bool:
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))


def _mean_overlap(sets: Sequence[frozenset[str]]) -> float:
    """Mean Jaccard overlap over all pairs. Thousands of answers are thinned to `_COMPARED`, evenly spaced."""
    chosen = sets[:: max(1, len(sets) // _COMPARED)]
    overlaps = [
        len(one & other) / len(one | other) if one | other else 1.0
        for place, one in enumerate(chosen)
        for other in chosen[:place]
    ]
    return sum(overlaps) / len(overlaps) if overlaps else 0.0


_COMPARED = 300
