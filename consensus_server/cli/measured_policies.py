"""What `evaluate-labels` measures: a policy from a file, from `--set` and from options, and what it is held against."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client_kit.command_line import CommandFailed, Exit
from client_kit.wire import ConsensusPolicy
from consensus_server.cli.policies import checked_policy, fields_in, fields_set
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.rules import RULES
from consensus_server.core.errors import UnknownRule
from consensus_server.http_api import translate
from consensus_server.service.contradictions import Comparisons, pinned
from consensus_server.service.federations import check_policy

EVERY_PROMPT = {"abstain": False}
"""Where nothing is said of it, every prompt with an admitted answer gets a label: qualities are then of the same prompts."""


@dataclass(frozen=True, slots=True)
class MeasuredPolicies:
    """A policy, what of it was said, and with which fields changed it is held against itself."""

    policy: Policy
    fixed: frozenset[str]
    against: Mapping[str, Any]

    @property
    def rules(self) -> tuple[str, ...]:
        """The policy's own rule where one was named, else all."""
        return (self.policy.rule,) if "rule" in self.fixed else tuple(RULES)


def measured_policies(
    file: Path | None,
    changes: Iterable[str],
    shorthands: Mapping[str, object],
    against: Iterable[str],
    known: Callable[[Collection[str]], Comparisons],
) -> MeasuredPolicies:
    """The file's fields, over them those of `--set`, over these those of other options.

    against: `FIELD=VALUE`, or names of files. known: has what policies name to tell contradictions. Raises CommandFailed for
    what a federation would refuse.
    """
    said = {**({} if file is None else fields_in(file)), **fields_set(changes), **shorthands}
    other: dict[str, object] = {}
    for each in against:
        other |= fields_set([each]) if "=" in each else fields_in(Path(each))
    fields = {**EVERY_PROMPT, **said}
    given = checked_policy(fields), checked_policy({**fields, **other})
    comparisons = known({each.contradictions for each in given})
    policy, changed = (_policy(each, comparisons) for each in given)
    return MeasuredPolicies(policy, frozenset(said), {name: getattr(changed, name) for name in other})


def _policy(given: ConsensusPolicy, comparisons: Comparisons) -> Policy:
    """With the name of what tells contradictions in place of its identity. Raises CommandFailed for names that nobody knows."""
    policy = translate.policy(given)
    try:
        check_policy(policy)
        pinned(policy, comparisons)
    except UnknownRule as error:
        raise CommandFailed(error.detail, Exit.USAGE) from None
    names = [name for name, each in comparisons.named(policy.contradictions) if each.identity == policy.contradictions]
    return replace(policy, contradictions=names[0]) if names else policy
