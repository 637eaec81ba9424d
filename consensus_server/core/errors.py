"""Everything that the use cases raise. A caller tells cases apart by type; `code` is the same name on the wire.

* DomainError                     fit to be shown: `detail` and `faults` hold nothing that the caller may not see
  x Unauthenticated               no token, or one that nobody holds
    + TokenExpired                its time is over
    + IdentityRefused             the identity provider's token is not taken
    + WrongCertificate            the token is bound to a client certificate, and the request came with another or none
  x Forbidden                     the role does not allow it
    + OutOfScope                  the role does, and the token was not issued for it
  x NotReady                      the encoder is still loading, or a model cannot be asked
    + StoreUnavailable            the database is away, full or locked: the same request may succeed later
  x NotFound
    + UnknownFederation  UnknownParticipant  UnknownPromptSet  UnknownRound  NoParameters
    + UnknownAppeal  UnknownOperator  UnknownToken  UnknownInvitation
  x Conflict                      the request contradicts what is held
    + AlreadyExists  AnswerConflict  SubmissionSealed  SealMismatch
    + RoundNotOpen  RoundNotPublished  RoundFailed  RoundInProgress  InvalidTransition
    + NothingToAppeal  VectorsMissing  InvitationUsed  InvitationExpired
  x RefusedContent                well formed, and not acceptable
    + ValidationFailed  UnknownPrompt  AnswerTooLong  TooManySamples  PromptSetMismatch  UnknownRule
    + ParametersRefused  TrainingRightsMissing  SignatureMissing  SignatureRefused
* AggregationError                inside the worker only; it never reaches a caller
  x LeaseLost                     another worker has the round: publish nothing
  x AggregationStopped            the worker is asked to stop: give the round back
  x AggregationRefused            the round cannot be aggregated here: it fails with this reason
* EncodingFailed                  inside the worker and panels: the encoder gave no vectors
  x EncoderChanged                it is another model than before
* ComparisonFailed                inside the worker, or while a policy is read: a model told no contradictions
"""
# ruff: noqa: N818  the tree above reads as states of the world (RoundNotOpen), which a suffix would blur

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from client_kit.vocabulary import ProblemCode, code_named

MAX_FAULTS = 20
"""Faults that one error lists; a longer list helps nobody."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One faulty field or answer."""

    where: str
    """`answer 12 (prompt p-7, sample 0)`, counted from 1 in the order of the request, or `policy.rule`."""
    message: str
    """What is wrong and what would do."""


class DomainError(Exception):
    """Root of what a caller can get. Raise one of the leaves: only they have a code."""

    code: ClassVar[ProblemCode]
    """As it stands in the problem on the wire: the class's name in snake case. The groups of errors have none."""

    def __init_subclass__(cls) -> None:
        if code := code_named(cls.__name__):
            cls.code = code

    def __init__(self, detail: str, faults: Sequence[Fault] = (), *, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        """One or two sentences: the cause, with names and numbers, and the remedy where it depends on them."""
        self.faults = tuple(faults[:MAX_FAULTS])
        self.remedy = remedy
        """In place of the one that all errors of this code have, where that would not fit."""


class Unauthenticated(DomainError):
    """No token, or one that nobody active holds."""


class TokenExpired(Unauthenticated):
    """The token was valid until a moment that has passed."""


class IdentityRefused(Unauthenticated):
    """A token in the form of an identity provider's that is not the issuer's, not for this server, not of this time, or nobody's here."""


class WrongCertificate(Unauthenticated):
    """The participant is bound to client certificates, and the request showed none of them."""


class Forbidden(DomainError):
    """The caller's role does not allow this."""


class OutOfScope(Forbidden):
    """The caller's role allows this, and the token was not issued for it."""


class NotReady(DomainError):
    """The server has no encoder yet, cannot ask a model that it needs, or has nothing that it can store to."""


class StoreUnavailable(NotReady):
    """The database cannot be used at the moment. Nothing was kept, unless it went away at the very end: send it again."""

    def __init__(self, reason: str) -> None:
        super().__init__("The server's database cannot be used at the moment.")
        self.reason = reason
        """A line for the log and for operators: it may hold addresses."""


class NotFound(DomainError):
    """What is named does not exist, or not for this caller."""


class UnknownFederation(NotFound):
    """No federation of this name that the caller may see."""


class UnknownParticipant(NotFound):
    """No participant of this name in the federation."""


class UnknownPromptSet(NotFound):
    """No prompt set of this digest is held."""


class UnknownRound(NotFound):
    """The federation has no round of this number (yet)."""


class NoParameters(NotFound):
    """The federation exchanges no parameters, or nobody sent any in this round."""


class UnknownAppeal(NotFound):
    """The federation has no appeal of this number, or it is not the caller's."""


class UnknownOperator(NotFound):
    """The server has no operator of this name."""


class UnknownToken(NotFound):
    """Its holder has no token of this id."""


class UnknownInvitation(NotFound):
    """No invitation has this code or id, or it is to another federation than was named."""


class Conflict(DomainError):
    """The request contradicts what is held; the same request will fail again."""


class AlreadyExists(Conflict):
    """The name is taken."""


class AnswerConflict(Conflict):
    """A different text is stored, or stands in the same request, for this prompt and sample."""


class SubmissionSealed(Conflict):
    """The submission is sealed and takes no more answers."""


class SealMismatch(Conflict):
    """Count or digest of the seal differ from those of the stored answers."""


class RoundNotOpen(Conflict):
    """The round takes no answers: a draft, or closed."""


class RoundNotPublished(Conflict):
    """The round has no pseudo-labels yet."""


class RoundFailed(Conflict):
    """The round failed and has no pseudo-labels."""


class RoundInProgress(Conflict):
    """The last round is neither published nor failed."""


class InvalidTransition(Conflict):
    """The round cannot go from its state to the wanted one."""


class NothingToAppeal(Conflict):
    """The gate rejected no answer of the caller in the round."""


class VectorsMissing(Conflict):
    """A round cannot be decided again as asked: vectors that it would need were never stored."""


class InvitationUsed(Conflict):
    """Somebody joined with this invitation already."""


class InvitationExpired(Conflict):
    """The invitation was valid until a moment that has passed."""


class RefusedContent(DomainError):
    """Well formed, and not acceptable; `faults` names the places."""


class ValidationFailed(RefusedContent):
    """A value contradicts another: a quorum that can never be met, say."""


class UnknownPrompt(RefusedContent):
    """A prompt is not in the federation's prompt set."""


class AnswerTooLong(RefusedContent):
    """An answer is longer than the federation's `max_answer_chars`."""


class TooManySamples(RefusedContent):
    """A sample number is not below the federation's `samples_per_prompt`."""


class PromptSetMismatch(RefusedContent):
    """Digest, count or topics of a manifest are not those of its prompts."""


class UnknownRule(RefusedContent):
    """The policy names a rule or a confidence score that the server does not know."""


class ParametersRefused(RefusedContent):
    """An update of the parameter path does not follow the federation's plan, or the federation has none."""


class TrainingRightsMissing(RefusedContent):
    """The federation wants a statement that others may train on the answers, and the seal has none."""


class SignatureMissing(RefusedContent):
    """The federation takes only signed seals, and this one is not."""


class SignatureRefused(RefusedContent):
    """A signature is not by the key that it must be by, or not of what it must be of."""


class AggregationError(Exception):
    """Root of what ends an aggregation early."""


class LeaseLost(AggregationError):
    """Another worker has claimed the round since; this one must publish nothing."""


class AggregationStopped(AggregationError):
    """The worker was asked to stop; the round goes back, for another to claim."""


class AggregationRefused(AggregationError):
    """The round cannot be aggregated by this server. The message is fit for every member of the federation."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code
        """Of the round's failure."""


class EncodingFailed(RuntimeError):
    """The encoder gave no vectors. The message is for the server's operator: it may name an address."""


class EncoderChanged(EncodingFailed):
    """What answers under the encoder's name is another model than before: vectors of the two may not be compared."""


class ComparisonFailed(RuntimeError):
    """A model that tells contradictions cannot be had or asked. The message is for the server's operator: it may name an address."""
