"""Federations: agreed on once, never changed."""

from collections.abc import Callable
from dataclasses import asdict, replace

from consensus_server.core import consensus
from consensus_server.core.consensus.records import Policy
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.errors import AlreadyExists, Fault, NotReady, UnknownRule, ValidationFailed
from consensus_server.core.federations import Federation, Terms
from consensus_server.core.lifecycle import check_round_seconds
from consensus_server.core.parameters import check_plan
from consensus_server.ports import Clock, Store
from consensus_server.service.access import Caller, federation_for, require_server_operator, require_valid
from consensus_server.service.audit import noted
from consensus_server.service.contradictions import BY_WORDS, Comparisons, pinned
from consensus_server.service.prompt_sets import manifest_for
from consensus_server.service.refusals import with_what_tells_refusals

MAX_QUORUM = 1_000_000
"""More participants than a federation will ever have."""


class Federations:
    """Federations of the server."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        encoder: Callable[[], EncoderIdentity | None],
        comparisons: Comparisons = BY_WORDS,
    ) -> None:
        """encoder: identity of the encoder that new federations are pinned to; None while it loads."""
        self._store = store
        self._clock = clock
        self._encoder = encoder
        self._comparisons = comparisons

    def create(self, caller: Caller, terms: Terms) -> Federation:
        """A new federation, pinned to the encoder of this server.

        Raises Forbidden unless the server's operator calls, UnknownRule, ValidationFailed, UnknownPromptSet, NotReady
        while the encoder loads, and AlreadyExists when the name is taken.
        """
        checked = self.check(caller, terms)
        with self._store.writing() as tx:
            require_valid(tx, caller, lock=True)
            now = self._clock.now()
            federation = tx.federations.add(checked, encoder=self._pinned_encoder(), at=now)
            told = asdict(checked) | {"encoder": federation.encoder}
            noted(tx, caller, "federation.created", now, federation=federation.name, after=told)
            return federation

    def check(self, caller: Caller, terms: Terms) -> Terms:
        """The terms as a new federation would keep them. Raises what `create` raises, but for NotReady: no encoder is needed."""
        require_server_operator(caller)
        check_policy(terms.policy)
        terms = with_what_tells_refusals(replace(terms, policy=pinned(terms.policy, self._comparisons)))
        check_terms(terms)
        if terms.parameters is not None:
            check_plan(terms.parameters)
        with self._store.reading() as tx:
            manifest_for(tx, terms.prompt_set)
            if tx.federations.get(terms.name) is not None:
                raise AlreadyExists(f"There is a federation {terms.name} already.")
        return terms

    def all(self, caller: Caller) -> tuple[Federation, ...]:
        """Those that the caller may see, by name."""
        with self._store.reading() as tx:
            return tuple(each for each in tx.federations.all() if caller.federation in {None, each.name})

    def get(self, caller: Caller, name: str) -> Federation:
        """Raises UnknownFederation, also for one that is not the caller's."""
        with self._store.reading() as tx:
            return federation_for(tx, caller, name)

    def _pinned_encoder(self) -> str:
        identity = self._encoder()
        if identity is None:
            raise NotReady("The encoder is still loading; a federation is pinned to it.")
        return identity.digest


def rule_of_today(name: str) -> str:
    """The rule's name; `mean_nearest` of version 0.1.0 picks what `medoid` picks, for vectors are of one length."""
    return "medoid" if name == "mean_nearest" else name


def check_policy(policy: Policy) -> None:
    """Raise UnknownRule when rule or confidence score is none that the server knows; lists those it knows."""
    named = (
        ("policy.rule", policy.rule, consensus.RULES),
        ("policy.confidence", policy.confidence, consensus.CONFIDENCES),
    )
    faults = [
        Fault(where, f"there is no {name!r}; known are {', '.join(sorted(known))}.")
        for where, name, known in named
        if name not in known
    ]
    if faults:
        raise UnknownRule("; ".join(f"{fault.where}: {fault.message}" for fault in faults), faults)


def check_terms(terms: Terms) -> None:
    """Raise ValidationFailed for numbers that are slips: a round of centuries, a quorum that nobody can gather."""
    check_round_seconds(terms.round_seconds)
    if terms.quorum > MAX_QUORUM:
        fault = Fault("quorum", f"{terms.quorum} submissions; at most {MAX_QUORUM} can be asked for.")
        raise ValidationFailed(f"quorum: {fault.message}", [fault])
