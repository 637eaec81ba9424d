"""Which answers of a pool contradict one another: asked of the adapter that a policy names, before the pool is decided."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from types import MappingProxyType
from typing import Final

from consensus_server.core.consensus.records import SEMANTIC, Policy, Pool
from consensus_server.core.contradictions.words import WordContradictions
from consensus_server.core.errors import AggregationRefused, Fault, UnknownRule
from consensus_server.core.federations import Federation
from consensus_server.core.lifecycle import CONTRADICTIONS_CHANGED
from consensus_server.ports import Contradictions

NONE: Final = "none"
"""Name of a policy's choice to look for no contradictions."""

MOST_TEXTS: Final = 128
"""Distinct answers of a pool that are compared, every two of them: that many take some seconds. Of more, each participant's most
frequent ones, in turn: nobody who gives many turns the search off, or the others out of it."""

ADAPTERS: Final[Mapping[str, Contradictions]] = MappingProxyType({"words": WordContradictions()})
"""By the name that a policy gives."""


def pinned(policy: Policy) -> Policy:
    """The policy with the identity of what compares answers in place of its name. Raises UnknownRule for an unknown one."""
    if policy.contradictions in ADAPTERS:
        return replace(policy, contradictions=ADAPTERS[policy.contradictions].identity)
    if policy.contradictions != NONE and adapter_of(policy) is None:
        raise UnknownRule(*_unknown(policy))
    return policy


def _unknown(policy: Policy) -> tuple[str, list[Fault]]:
    known = ", ".join(sorted({NONE, *ADAPTERS}))
    fault = Fault("policy.contradictions", f"there is no {policy.contradictions!r}; known are {known}.")
    return f"{fault.where}: {fault.message}", [fault]


def adapter_of(policy: Policy) -> Contradictions | None:
    """What tells contradictions under a policy, as `pinned` gives it; None where it is none, or another version's."""
    return next((each for each in ADAPTERS.values() if each.identity == policy.contradictions), None)


def contradictions_changed(federation: Federation) -> str | None:
    """Why this server cannot compare answers as a federation agreed to; None where it can. Fit for every member."""
    policy = federation.terms.policy
    if policy.contradictions == NONE or adapter_of(policy) is not None:
        return None
    here = ", ".join(sorted(each.identity for each in ADAPTERS.values()))
    return (
        f"Federation {federation.name} agreed that contradictions are told by {policy.contradictions!r}, and this server has "
        f"{here}: the same answers might get other labels. What was published stays. The operator runs the version of the server "
        "that the federation began with, or creates a new federation."
    )


def require_contradictions(federation: Federation) -> None:
    """Raise AggregationRefused where this server cannot compare answers as the federation agreed to."""
    if changed := contradictions_changed(federation):
        raise AggregationRefused(changed, CONTRADICTIONS_CHANGED)


def with_findings(pools: Sequence[Pool], policy: Policy) -> Iterator[Pool]:
    """The pools with what contradicts in those that are compared by meaning. policy: as `pinned` gives it."""
    adapter = adapter_of(policy)
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
