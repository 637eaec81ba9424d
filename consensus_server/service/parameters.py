"""The parameter path: one safetensors file per participant and round, and what is made of all of them."""

from consensus_server.core.errors import AnswerConflict, NoParameters, ParametersRefused
from consensus_server.core.federations import Federation
from consensus_server.core.labels import ParameterCard, UpdateCard
from consensus_server.core.parameters import Aggregate, ParameterPlan, Tensors, Update, aggregate, check_update
from consensus_server.core.parameters.updates import RANK
from consensus_server.core.rounds import Round
from consensus_server.ports import AggregateFile, Clock, ParameterStore, Store, UpdateFile
from consensus_server.service.access import PARTICIPANTS, Caller, federation_for
from consensus_server.service.pseudo_labels import PseudoLabels
from consensus_server.service.settling import current_round, round_for
from consensus_server.service.submissions import own_participant, require_open, require_unsealed
from consensus_server.service.tensor_files import file_digest, read_stated, read_tensors, write_tensors

EVERYBODY = ""
"""Recipient of a file that is for all who have none of their own."""


class Parameters:
    """The caller's own update in a round, and what came of all of them."""

    def __init__(self, store: Store, clock: Clock, labels: PseudoLabels) -> None:
        """labels: says who may fetch what a round gives back."""
        self._store = store
        self._clock = clock
        self._labels = labels

    def admit(self, caller: Caller, federation: str, number: int) -> int:
        """How many bytes a file may have, for who may bring one now: asked before a byte of it is read.

        A file that is held may come again after the seal. Raises UnknownFederation, Forbidden, UnknownRound,
        NoParameters, SubmissionSealed, RoundNotOpen.
        """
        round_ = current_round(self._store, self._clock, caller, federation, number, roles=PARTICIPANTS)
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            plan, participant = plan_of(home), own_participant(tx, home, caller)
            if tx.parameters.held(round_, participant) is None:
                require_unsealed(tx, round_, participant)
                require_open(round_, self._clock.now())
        return plan.max_bytes

    def keep(
        self, caller: Caller, federation: str, number: int, content: bytes, *, replace: bool = False
    ) -> tuple[UpdateFile, bool]:
        """Keep the caller's update; second: whether the same file was held already.

        Raises UnknownFederation, Forbidden, UnknownRound, SubmissionSealed, RoundNotOpen, NoParameters,
        ParametersRefused, and AnswerConflict where another file is held and `replace` is not said.
        """
        self.admit(caller, federation, number)
        with self._store.reading() as tx:
            plan = plan_of(federation_for(tx, caller, federation, PARTICIPANTS))
        file = read_update(caller.participant.name if caller.participant else "", content, plan)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            round_ = round_for(tx, home, number)
            participant = own_participant(tx, home, caller, lock=True)
            held = tx.parameters.held(round_, participant)
            if held == file.digest:
                return file, True
            require_unsealed(tx, round_, participant)
            require_open(round_, self._clock.now())
            if held is not None and not replace:
                raise AnswerConflict(f"Another file ({held[:12]}...) is held for round {number}.")
            tx.parameters.keep(round_, participant, file)
        return file, False

    def fetch(self, caller: Caller, federation: str, number: int) -> AggregateFile:
        """What the round gives back to the caller. Raises as `PseudoLabels.published`, and NoParameters."""
        round_ = self._labels.published(caller, federation, number)
        with self._store.reading() as tx:
            recipient = caller.participant.name if caller.participant else EVERYBODY
            file = tx.parameters.aggregate(round_, recipient)
        if file is None:
            raise NoParameters(f"Nobody sent parameters in round {number} of {federation}.")
        return file


def plan_of(federation: Federation) -> ParameterPlan:
    """Raises NoParameters."""
    if federation.terms.parameters is None:
        raise NoParameters(f"Federation {federation.name} exchanges no parameters.")
    return federation.terms.parameters


def read_update(participant: str, content: bytes, plan: ParameterPlan) -> UpdateFile:
    """The file, once it is known to follow the plan. Raises ParametersRefused."""
    if len(content) > plan.max_bytes:
        raise ParametersRefused(f"The file has {len(content)} bytes; this federation takes at most {plan.max_bytes}.")
    stated = read_stated(content)
    update = Update(participant, read_tensors(content, plan.dtype), stated.rank, stated.examples)
    check_update(update, stated.base_model, plan)
    return UpdateFile(
        participant=participant,
        digest=file_digest(content),
        rank=stated.rank,
        examples=stated.examples,
        content=content,
    )


def aggregate_round(
    store: ParameterStore, round_: Round, plan: ParameterPlan
) -> tuple[list[AggregateFile], ParameterCard]:
    """The files that go back, and what the round card says of them. No files where nobody sent any."""
    cards: list[UpdateCard] = []
    updates: list[Update] = []
    for file in store.sealed(round_):
        tensors = read_tensors(file.content, plan.dtype)
        updates.append(Update(file.participant, tensors, file.rank, file.examples))
        cards.append(
            UpdateCard(
                participant=file.participant, digest=file.digest, bytes=len(file.content), rank=file.rank,
                examples=file.examples,
            )
        )  # fmt: skip
    card = ParameterCard(method=plan.method, base_model=plan.base_model, updates=tuple(cards))
    return (_files(aggregate(updates, plan), plan) if updates else []), card


def _files(found: Aggregate, plan: ParameterPlan) -> list[AggregateFile]:
    given = {EVERYBODY: found.common, **found.personal}
    return [_file(recipient, tensors, plan) for recipient, tensors in given.items()]


def _file(recipient: str, tensors: Tensors, plan: ParameterPlan) -> AggregateFile:
    content = write_tensors(tensors, plan.dtype, {"base_model": plan.base_model, "rank": _rank_of(tensors, plan)})
    return AggregateFile(recipient, file_digest(content), content)


def _rank_of(tensors: Tensors, plan: ParameterPlan) -> int:
    """Read off the first tensor whose shape has the rank in it."""
    for spec in plan.tensors:
        if RANK in spec.shape:
            return int(tensors[spec.name].shape[spec.shape.index(RANK)])
    return 0
