"""Answers of models that were taught pseudo-labels: which of them are evidence, and what stands in for the others.

A model that was taught a label says it again, and one that learnt the same mistakes as others makes the same ones on the rest:
their agreement is an echo. Such an answer counts only where it contradicts what its model was taught. Elsewhere the answers stand
in that the participant gave before it was taught anything; one that never gave any is not counted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from types import MappingProxyType

from client_kit.vocabulary import DecideBy, SecondHand
from consensus_server.core.consensus.meaning.equivalences import KEYS
from consensus_server.core.consensus.meaning.units import agree
from consensus_server.core.consensus.records import SEMANTIC, Policy
from consensus_server.core.federations import Federation, Prompt
from consensus_server.core.rounds import Round
from consensus_server.ports import PooledAnswer, Transaction
from consensus_server.service.contradictions import BY_WORDS, Comparisons, adapter_of
from consensus_server.service.label_lines import read_label

Differs = Callable[[Prompt, str, str], bool]
"""(prompt, label, answer) to whether the answer says something else than the label."""


@dataclass(frozen=True, slots=True)
class FirstHand:
    """The answers of a round that are evidence."""

    answers: tuple[PooledAnswer, ...]
    set_aside: tuple[PooledAnswer, ...] = ()
    """Those of this round that are not."""
    stands_in: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    """By (participant, prompt_id): the round of the answers that stand in for these."""


def excludes(policy: Policy) -> bool:
    """Whether the policy asks whose answers are first-hand."""
    return policy.decide_by == DecideBy.EVIDENCE and policy.second_hand == SecondHand.EXCLUDE


def differs_under(policy: Policy, equivalence: str, comparisons: Comparisons = BY_WORDS) -> Differs:
    """What tells an answer that departs from a label: another key, or a contradiction where meanings are compared.

    equivalence: of prompts that do not name their own. Raises LookupError for a policy that this server cannot compare by.
    """
    adapter = adapter_of(policy, comparisons)

    @cache
    def differs(prompt: Prompt, label: str, answer: str) -> bool:
        by = prompt.equivalence or equivalence
        if by == SEMANTIC:
            return adapter is not None and any(each.hard for each in adapter.between((label, answer), prompt.prompt))
        said = KEYS[by](answer)  # who states nothing contradicts nothing
        return said is not None and not agree(said, KEYS[by](label))

    return differs


@dataclass(frozen=True, slots=True)
class Teachings:
    """What the models of a round were taught, and what their sites had answered before."""

    taught: Mapping[str, int]
    """By participant, the newest round whose labels its model was taught; only those that were taught any."""
    labels: Mapping[int, Mapping[str, str]]
    """Texts of the pseudo-labels by round and prompt."""
    earlier: Sequence[tuple[int, PooledAnswer]]
    """The last first-hand answers of each of these participants, with their round."""


def teachings(tx: Transaction, federation: Federation, round_: Round, taught: Mapping[str, int]) -> Teachings:
    """Read them. taught: as `Teachings` has it."""
    labels = {number: _labels(tx, federation, number) for number in set(taught.values())}
    return Teachings(taught, labels, _earlier(tx, federation, round_, taught))


def first_hand(
    prompts: Sequence[Prompt], answers: Sequence[PooledAnswer], known: Teachings, differs: Differs
) -> FirstHand:
    """The answers of a round without echoes, in the order of prompt_id, participant and sample."""
    taught, labels, earlier = known.taught, known.labels, known.earlier
    if not taught:
        return FirstHand(tuple(answers))
    asked = {prompt.prompt_id: prompt for prompt in prompts}
    kept: list[PooledAnswer] = []
    aside: list[PooledAnswer] = []
    for (prompt_id, who), group in groupby(answers, lambda each: (each.prompt_id, each.participant)):
        samples = list(group)
        label = labels[taught[who]].get(prompt_id) if who in taught else None
        departs = label is not None and _mostly(differs(asked[prompt_id], label, each.text) for each in samples)
        (kept if who not in taught or departs else aside).extend(samples)
    echoed = {(each.participant, each.prompt_id) for each in aside}
    stand_ins = [(number, each) for number, each in earlier if (each.participant, each.prompt_id) in echoed]
    together = [*kept, *(each for _, each in stand_ins)]
    return FirstHand(
        answers=tuple(sorted(together, key=lambda each: (each.prompt_id, each.participant, each.sample))),
        set_aside=tuple(aside),
        stands_in={(each.participant, each.prompt_id): number for number, each in stand_ins},
    )


def _mostly(found: Iterable[bool]) -> bool:
    values = list(found)
    return 2 * sum(values) > len(values)


def _labels(tx: Transaction, federation: Federation, number: int) -> dict[str, str]:
    """Texts of the pseudo-labels of a round by prompt; nothing of a round that was not published."""
    round_ = tx.rounds.get(federation, number)
    if round_ is None or round_.labels is None:  # it failed, or is open still
        return {}
    read = (read_label(line) for _, line in tx.labels.lines(round_, after="", limit=2**31 - 1))
    return {label.prompt_id: label.text for label in read if label.text is not None}


def _earlier(
    tx: Transaction, federation: Federation, round_: Round, taught: Mapping[str, int]
) -> list[tuple[int, PooledAnswer]]:
    """The last first-hand answers of each of these participants, with their round."""
    wanted: dict[int, set[str]] = defaultdict(set)
    for who in taught:
        number = tx.submissions.first_hand_before(round_, who)
        if number is not None:
            wanted[number].add(who)
    rounds = ((number, who, tx.rounds.get(federation, number)) for number, who in sorted(wanted.items()))
    return [
        (number, each)
        for number, who, source in rounds
        if source is not None
        for each in tx.submissions.pooled(source)
        if each.participant in who
    ]
