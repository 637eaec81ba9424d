"""Which participants the server itself asks, and how far it is with each."""

from collections.abc import Callable, Collection
from dataclasses import asdict

from client_kit.vocabulary import Role
from consensus_server.core.errors import Fault, UnknownParticipant, ValidationFailed
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.pulling import Endpoint, PullStatus
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import (
    MEMBERS,
    OPERATORS,
    Caller,
    federation_for,
    participant_for,
    require_server_operator,
)
from consensus_server.service.audit import noted
from consensus_server.service.settling import round_for
from consensus_server.service.signing import require_signature
from consensus_server.service.submissions import require_training_rights


class Endpoints:
    """Participants behind an upstream of the panels file.

    The server's operator alone may name one: asking spends the server's keys.
    """

    def __init__(self, store: Store, clock: Clock, upstreams: Callable[[], Collection[str]]) -> None:
        """upstreams: names of those in the panels file."""
        self._store = store
        self._clock = clock
        self._upstreams = upstreams

    def set(self, caller: Caller, federation: str, participant: str, endpoint: Endpoint) -> Endpoint:
        """Ask a participant through an endpoint from now on.

        Raises Forbidden unless the server's operator calls, UnknownFederation, UnknownParticipant, ValidationFailed,
        TrainingRightsMissing, and SignatureMissing where seals must be signed: the server cannot sign for a participant.
        """
        require_server_operator(caller)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            asked = participant_for(tx, home, participant, lock=True)
            _check(endpoint, home, asked, self._upstreams())
            self._set(tx, caller, home, asked, endpoint)
        return endpoint

    def get(self, caller: Caller, federation: str, participant: str) -> Endpoint:
        """Raises UnknownFederation, Forbidden, and UnknownParticipant also for one that the server does not ask."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, OPERATORS)
            endpoint = tx.pulls.endpoint(participant_for(tx, home, participant))
        if endpoint is None:
            raise UnknownParticipant(f"{participant} submits by itself; the server has no endpoint to ask.")
        return endpoint

    def remove(self, caller: Caller, federation: str, participant: str) -> None:
        """Ask a participant no more; from now on it submits by itself. Raises as `set` does."""
        require_server_operator(caller)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            self._set(tx, caller, home, participant_for(tx, home, participant, lock=True), None)

    def _set(
        self, tx: Transaction, caller: Caller, home: Federation, asked: Participant, endpoint: Endpoint | None
    ) -> None:
        was, is_ = ({} if each is None else asdict(each) for each in (tx.pulls.endpoint(asked), endpoint))
        tx.pulls.set_endpoint(asked, endpoint)
        noted(
            tx,
            caller,
            "endpoint.set",
            self._clock.now(),
            federation=home.name,
            subject=asked.name,
            before=was,
            after=is_,
        )

    def pulls(self, caller: Caller, federation: str, number: int) -> tuple[PullStatus, ...]:
        """How far the server is with each participant that it asks in a round. Raises UnknownFederation, UnknownRound."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, MEMBERS)
            return tx.pulls.of(round_for(tx, home, number))


def _check(endpoint: Endpoint, home: Federation, asked: Participant, known: Collection[str]) -> None:
    faults = []
    if endpoint.upstream not in known:
        there_are = f"there are {', '.join(sorted(known))}" if known else "CONSENSUS_PANELS_FILE names none"
        faults.append(Fault("upstream", f"there is no upstream {endpoint.upstream!r}; {there_are}."))
    if endpoint.samples > home.terms.samples_per_prompt:
        limit = home.terms.samples_per_prompt
        faults.append(Fault("samples", f"{endpoint.samples}; the federation takes {limit} per prompt."))
    if asked.role is not Role.PARTICIPANT:
        faults.append(Fault("participant", f"{asked.name} is {asked.role}; only participants answer."))
    if faults:
        raise ValidationFailed("; ".join(f"{fault.where}: {fault.message}" for fault in faults), faults)
    require_training_rights(home, stated=endpoint.training_rights)
    require_signature(home, signed=False)
