"""Which answers of a pool contradict one another: asked of the adapter that a policy names, before the pool is decided."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Final

from consensus_server.core.consensus.records import SEMANTIC, Policy, Pool
from consensus_server.core.contradictions.words import WordContradictions
from consensus_server.core.errors import AggregationRefused, ComparisonFailed, Fault, UnknownRule
from consensus_server.core.federations import Federation
from consensus_server.core.lifecycle import CONTRADICTIONS_CHANGED
from consensus_server.ports import Contradictions

NONE: Final = "none"
"""Name of a policy's choice to look for no contradictions."""

MOST_TEXTS: Final = 128
"""Distinct answers of a pool that are compared, every two of them: that many take some seconds. Of more, each participant's most
frequent ones, in turn: nobody who gives many turns the search off, or the others out of it."""

_log = logging.getLogger(__name__)


WORDS: Final = "words"
"""Name of the comparison that needs nothing."""

Makers = Mapping[str, Callable[[], Contradictions]]
"""By the name that a policy gives, what makes a model's comparison. Raises ComparisonFailed."""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """What tells contradictions on this server: the words, and the models of its settings.

    The files of a model may have to be found and read, so it is made when it is first asked for, and again while that fails.
    """

    models: Callable[[], Makers]

    def names(self) -> list[str]:
        """All that a policy may name."""
        return [*sorted((NONE, WORDS)), *sorted(self.models())]

    def named(self, said: str) -> Iterator[tuple[str, Contradictions]]:
        """What stands under the name with which a policy's `contradictions` begins, and that name. Raises ComparisonFailed."""
        if f"{said}-".startswith(f"{WORDS}-"):
            yield WORDS, WordContradictions()
            return
        failures = []
        for name, make in self.models().items():
            if f"{said}-".startswith(f"{name}-"):
                try:
                    yield name, make()
                except ComparisonFailed as error:  # another one may be meant, whose name begins alike
                    failures.append(error)
        if failures:
            raise failures[0]

    def instead_of(self, said: str) -> list[str]:
        """Identities of what stands under that name; of the words where that is nothing."""
        with suppress(ComparisonFailed):
            if found := [each.identity for _, each in self.named(said)]:
                return found
        return [WordContradictions().identity]


BY_WORDS: Final = Comparisons(dict)
"""Where there is no model."""


def pinned(policy: Policy, comparisons: Comparisons = BY_WORDS) -> Policy:
    """The policy with the identity of what compares answers in place of its name. Raises UnknownRule for one that is not here."""
    said = policy.contradictions
    if said == NONE:
        return policy
    try:
        for name, each in comparisons.named(said):
            if said in (name, each.identity):
                return replace(policy, contradictions=each.identity)
    except ComparisonFailed as error:
        raise _refused(f"{said!r} cannot be used: {error}") from None
    raise _refused(f"there is no {said!r}; known are {', '.join(comparisons.names())}.")


def _refused(message: str) -> UnknownRule:
    fault = Fault("policy.contradictions", message)
    return UnknownRule(f"{fault.where}: {fault.message}", [fault])


def adapter_of(policy: Policy, comparisons: Comparisons = BY_WORDS) -> Contradictions | None:
    """What tells contradictions under a policy, as `pinned` gives it; None where it looks for none.

    Raises LookupError for what this server has not, or has in another version, and ComparisonFailed.
    """
    if policy.contradictions == NONE:
        return None
    for _, each in comparisons.named(policy.contradictions):
        if each.identity == policy.contradictions:
            return each
    raise LookupError(f"{policy.contradictions} is not what this server compares answers by")


def contradictions_changed(federation: Federation, comparisons: Comparisons = BY_WORDS) -> str | None:
    """Why this server cannot compare answers as a federation agreed to; None where it can. Fit for every member."""
    policy = federation.terms.policy
    try:
        adapter_of(policy, comparisons)
    except (ComparisonFailed, LookupError) as error:
        _log.warning("federation %s: contradictions cannot be told: %s", federation.name, error)
    else:
        return None
    here = ", ".join(comparisons.instead_of(policy.contradictions))
    return (
        f"Federation {federation.name} agreed that contradictions are told by {policy.contradictions!r}, and this server has "
        f"{here}: the same answers might get other labels. What was published stays. The operator runs the version of the server "
        "that the federation began with, or creates a new federation."
    )


def require_contradictions(federation: Federation, comparisons: Comparisons = BY_WORDS) -> None:
    """Raise AggregationRefused where this server cannot compare answers as the federation agreed to."""
    if changed := contradictions_changed(federation, comparisons):
        raise AggregationRefused(changed, CONTRADICTIONS_CHANGED)


def with_findings(pools: Sequence[Pool], policy: Policy, comparisons: Comparisons = BY_WORDS) -> Iterator[Pool]:
    """The pools with what contradicts in those that are compared by meaning.

    policy: as `pinned` gives it. Raises LookupError for another, and ComparisonFailed.
    """
    adapter = adapter_of(policy, comparisons)
    for pool in pools:
        if adapter is None or pool.equivalence != SEMANTIC or len(set(pool.digests)) == 1 or not pool.texts:
            yield pool
            continue
        places = _compared(pool)
        found = adapter.between([pool.texts[place] for place in places], pool.prompt)
        findings = (each._replace(first=places[each.first], second=places[each.second]) for each in found)
        yield replace(pool, findings=tuple(findings))


def _compared(pool: Pool) -> list[int]:
    """Places of the answers whose texts are compared: all, or those of `MOST_TEXTS` texts."""
    distinct = set(pool.digests)
    if len(distinct) > MOST_TEXTS:
        given = Counter(zip(pool.participants, pool.digests, strict=True))
        own: dict[str, list[str]] = defaultdict(list)
        for who, digest in sorted(given, key=lambda each: (-given[each], each[1])):
            own[who].append(digest)
        in_turn = (digest for turn in zip_longest(*(own[who] for who in sorted(own))) for digest in turn if digest)
        distinct = set(islice(dict.fromkeys(in_turn), MOST_TEXTS))
    return [place for place, digest in enumerate(pool.digests) if digest in distinct]
