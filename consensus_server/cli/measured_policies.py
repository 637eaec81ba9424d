"""What `evaluate-labels` measures: a policy from a file, from `--set` and from options, and what it is held against."""

from collections.abc import Iterable, Mapping
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
from consensus_server.service.contradictions import ADAPTERS, pinned
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
    file: Path | None, changes: Iterable[str], shorthands: Mapping[str, object], against: Iterable[str]
) -> MeasuredPolicies:
    """The file's fields, over them those of `--set`, over these those of other options.

    against: `FIELD=VALUE`, or names of files. Raises CommandFailed for what a federation would refuse.
    """
    said = {**({} if file is None else fields_in(file)), **fields_set(changes), **shorthands}
    other: dict[str, object] = {}
    for each in against:
        other |= fields_set([each]) if "=" in each else fields_in(Path(each))
    fields = {**EVERY_PROMPT, **said}
    policy, changed = _policy(checked_policy(fields)), _policy(checked_policy({**fields, **other}))
    return MeasuredPolicies(policy, frozenset(said), {name: getattr(changed, name) for name in other})


def _policy(given: ConsensusPolicy) -> Policy:
    """With the name of what tells contradictions in place of its identity. Raises CommandFailed for names that nobody knows."""
    policy = translate.policy(given)
    by_identity = {adapter.identity: name for name, adapter in ADAPTERS.items()}
    policy = replace(policy, contradictions=by_identity.get(policy.contradictions, policy.contradictions))
    try:
        check_policy(policy)
        pinned(policy)
    except UnknownRule as error:
        raise CommandFailed(error.detail, Exit.USAGE) from None
    return policy
