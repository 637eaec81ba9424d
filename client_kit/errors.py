"""Everything that the kit raises.

* ConsensusError
  x ConfigurationError            the caller's settings cannot work (also a ValueError)
    + NoFederationNamed           the token is valid for every federation, and none was named
    + FaultyFile                  a file that the caller brings cannot be read, or has faults
  x MissingExtra                  a library of an optional extra is not installed (also an ImportError)
  x ServiceError                  talking to the server
    + Unreachable                 no answer, after all retries (also a ConnectionError)
    + UnexpectedAnswer            an answer that no consensus server gives: a proxy's page, say
    + DigestMismatch              what arrived is not what was promised
    + WaitTimeout                 the wait ended first (also a TimeoutError)
    + ProblemError                the server says what is wrong (RFC 9457), by code
      - MalformedRequest          InvalidJson  InvalidUtf8  BrokenEncoding  TruncatedBody  EmptyBody
                                  AmbiguousLength  MethodNotAllowed  UnsupportedEncoding
      - Unauthenticated           TokenExpired  WrongCertificate  IdentityRefused
      - Forbidden                 OutOfScope
      - NotFound                  UnknownRoute  UnknownFederation  UnknownParticipant  UnknownPromptSet  UnknownRound
                                  NoParameters
                                  UnknownAppeal  UnknownOperator  UnknownToken  UnknownInvitation
      - Conflict                  AlreadyExists  AnswerConflict  SubmissionSealed  SealMismatch  RoundNotOpen
                                  RoundNotPublished  RoundFailed  RoundInProgress  InvalidTransition
                                  NothingToAppeal  VectorsMissing  InvitationUsed  InvitationExpired
      - BodyTooLarge
      - RefusedContent            ValidationFailed  UnknownPrompt  AnswerTooLong  TooManySamples
                                  PromptSetMismatch  UnknownRule  ParametersRefused  TrainingRightsMissing
                                  SignatureMissing  SignatureRefused
      - RateLimited
      - ServerFault               InternalFault  NotReady  ServerBusy
  x SignInFailed                  an identity provider gave no token
  x PromptSetError                a prompt set on disk is faulty or absent (also a ValueError)
  x GenerationError               a model did not answer
    + EndpointUnreachable  EndpointRefusedKey  UnknownModel  EngineFailed
    + ContextTooLong  PromptRefused  EmptyAnswer  UnreadableAnswer
    + SpendingLimit
  x TrainingError                 a model was not trained
    + UnusableData                the file of private data (also a FaultyFile)
  x ModelCollapsed                a site stopped: its model's answers have lost their variety
  x NotApproved                   a person at the site did not approve what would leave
  x JournalError                  a participant's journal cannot be used
  x StorageError                  a file cannot be read or written: a full disk, say (also an OSError)
  x ExportError                   pseudo-labels could not be written in the wanted format
"""
# ruff: noqa: N818  the tree above reads as states of the world (RoundNotOpen), which a suffix would blur

from collections.abc import Iterator, Sequence
from typing import ClassVar

from client_kit.remedies import NO_FEDERATION_NAMED, WAIT_AGAIN, Surface, remedy_for
from client_kit.vocabulary import ProblemCode, code_named


class ConsensusError(Exception):
    """Root of all errors of the kit."""

    def told(self, surface: Surface) -> tuple[str, str]:  # noqa: ARG002 - for kinds that speak differently
        """What happened, and what to do about it where that stands apart, in the words of a surface."""
        return str(self), ""


class ConfigurationError(ConsensusError, ValueError):
    """The caller's settings cannot work; the message names the setting and what it must be."""


class NoFederationNamed(ConfigurationError):
    """The token is valid for every federation, and none was named."""

    def __init__(self) -> None:
        super().__init__(" ".join(self.told(Surface.PYTHON)))

    def told(self, surface: Surface) -> tuple[str, str]:
        """As the root has it."""
        return "This token is valid for every federation.", NO_FEDERATION_NAMED.on(surface)


class FaultyFile(ConfigurationError):
    """A file that the caller brings cannot be read, or has faults; the message names the file and each line."""


class MissingExtra(ConsensusError, ImportError):
    """A library of an optional extra is not installed; the message has the command that installs it."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an optional extra: pip install 'semantic-consensus[{extra}]'")
        self.extra = extra


class ServiceError(ConsensusError):
    """Something went wrong between this client and the server."""


class Unreachable(ServiceError, ConnectionError):
    """No answer after all retries: no connection, a time-out, or a gateway without a server behind it."""


class UnexpectedAnswer(ServiceError):
    """Something answered that is no consensus server, or one of another version."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class DigestMismatch(ServiceError):
    """What arrived does not have the digest that was promised; it is not used."""


class WaitTimeout(ServiceError, TimeoutError):
    """The round did not reach the state in time. It goes on; wait again."""

    def told(self, surface: Surface) -> tuple[str, str]:
        """As the root has it."""
        return f"{self}.", WAIT_AGAIN.on(surface)


class ProblemError(ServiceError):
    """The server says what is wrong. Branch on the class, or on `code` where a newer server has codes unknown here."""

    code: ClassVar[str] = ""
    """The `ProblemCode` of this class: its name in snake case. Empty for the groups."""

    def __init_subclass__(cls) -> None:
        cls.code = code_named(cls.__name__) or cls.code

    def __init__(
        self,
        detail: str,
        *,
        remedy: str = "",
        status: int = 0,
        received_code: str = "",
        faults: Sequence[tuple[str, str]] = (),
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.received_code = received_code or self.code
        """The code as it came."""
        self._sent = remedy
        self.faults = tuple(faults)
        """(where, message) of each faulty field or line."""
        self.request_id = request_id
        """Names the request in the server's log."""
        self.retry_after_seconds = retry_after_seconds

    @property
    def remedy(self) -> str:
        """What to do about it, for whoever calls the kit."""
        return remedy_for(self.received_code, Surface.PYTHON, sent=self._sent)

    def __str__(self) -> str:
        return " ".join(part for part in (self.detail, self.remedy, self._named()) if part) + self._listed()

    def told(self, surface: Surface) -> tuple[str, str]:
        """As the root has it."""
        happened = " ".join(part for part in (self.detail, self._named()) if part) + self._listed()
        return happened, remedy_for(self.received_code, surface, sent=self._sent)

    def _named(self) -> str:
        """The request of a server that failed, which its operator is to look for."""
        fault = self.status >= 500 and self.request_id  # noqa: PLR2004 - HTTP's own number
        return f"Request id: {self.request_id}." if fault else ""

    def _listed(self) -> str:
        named = [f"{where}: {message}" for where, message in self.faults]
        return "".join(f"\n  {fault}" for fault in named if fault not in self.detail)


class MalformedRequest(ProblemError):
    """400, 405, 406, 415: the request was damaged on its way, or built wrongly."""


class InvalidJson(MalformedRequest):
    """A body or a line is not JSON."""


class InvalidUtf8(MalformedRequest):
    """The body is not UTF-8."""


class BrokenEncoding(MalformedRequest):
    """The compressed body cannot be decompressed."""


class TruncatedBody(MalformedRequest):
    """The body ended early; nothing of it was stored."""


class EmptyBody(MalformedRequest):
    """The body has no content."""


class AmbiguousLength(MalformedRequest):
    """The request says its length twice: something on the way changes requests."""


class MethodNotAllowed(MalformedRequest):
    """The path knows no such method."""


class UnsupportedEncoding(MalformedRequest):
    """The server does not read this content encoding or media type."""


class Unauthenticated(ProblemError):
    """No token, or one that the server does not know."""


class TokenExpired(Unauthenticated):
    """The token's time is over."""


class IdentityRefused(Unauthenticated):
    """The server does not take this token of an identity provider."""


class WrongCertificate(Unauthenticated):
    """The participant is bound to client certificates, and the request showed none of them."""


class Forbidden(ProblemError):
    """The token's role does not allow this."""


class OutOfScope(Forbidden):
    """The role would allow this, and the token was not issued for it."""


class NotFound(ProblemError):
    """404."""


class UnknownRoute(NotFound):
    """The server has no such path: check the address and both versions."""


class UnknownFederation(NotFound):
    """No federation of this name that the token may see."""


class UnknownParticipant(NotFound):
    """No participant of this name in the federation."""


class UnknownPromptSet(NotFound):
    """The server holds no prompt set of this digest."""


class UnknownRound(NotFound):
    """The federation has no round of this number (yet)."""


class NoParameters(NotFound):
    """The federation exchanges no parameters, or nobody sent any in this round."""


class UnknownAppeal(NotFound):
    """The federation has no appeal of this number."""


class UnknownOperator(NotFound):
    """The server has no operator of this name."""


class UnknownToken(NotFound):
    """Its holder has no token of this id."""


class UnknownInvitation(NotFound):
    """No invitation has this code or id, or it is to another federation."""


class Conflict(ProblemError):
    """409: the request contradicts what the server holds. Never retried."""


class AlreadyExists(Conflict):
    """The name is taken."""


class AnswerConflict(Conflict):
    """A different text is stored for this prompt and sample; `replace=True` replaces it before the seal."""


class SubmissionSealed(Conflict):
    """The submission is sealed and can no longer change."""


class SealMismatch(Conflict):
    """The server holds other answers than the participant counted."""


class RoundNotOpen(Conflict):
    """The round takes no answers: it is a draft still, or closed already."""


class RoundNotPublished(Conflict):
    """The pseudo-labels are not there yet; `retry_after_seconds` says when to ask again."""


class RoundFailed(Conflict):
    """The round failed; the message says why. An operator may close it again."""


class RoundInProgress(Conflict):
    """The federation's last round is not over."""


class InvalidTransition(Conflict):
    """The round cannot go from its state to the wanted one."""


class NothingToAppeal(Conflict):
    """The gate rejected no answer of the caller in the round."""


class VectorsMissing(Conflict):
    """The round cannot be decided again as asked: vectors that it would need were never stored."""


class InvitationUsed(Conflict):
    """Somebody joined with this invitation already."""


class InvitationExpired(Conflict):
    """The invitation's time is over."""


class BodyTooLarge(ProblemError):
    """The request exceeds the server's limit."""


class RefusedContent(ProblemError):
    """422: well-formed, and not acceptable; `faults` names fields or lines."""


class ValidationFailed(RefusedContent):
    """Fields are missing, misspelt or out of range."""


class UnknownPrompt(RefusedContent):
    """An answer names a prompt that is not in the federation's prompt set."""


class AnswerTooLong(RefusedContent):
    """An answer exceeds the federation's `max_answer_chars`."""


class TooManySamples(RefusedContent):
    """More answers to one prompt than the federation admits."""


class PromptSetMismatch(RefusedContent):
    """Digest, count or topics of a manifest do not match its prompts."""


class UnknownRule(RefusedContent):
    """The policy names a rule or a confidence score that the server does not know."""


class ParametersRefused(RefusedContent):
    """The file is not what the federation's plan says: another base model, missing or misshapen tensors, NaN."""


class TrainingRightsMissing(RefusedContent):
    """The federation takes only answers of which the participant states that others may train on them."""


class SignatureMissing(RefusedContent):
    """The federation takes only seals that their participants signed."""


class SignatureRefused(RefusedContent):
    """A signature is not by the participant's registered key, or not of this statement; or a key is registered without one."""


class RateLimited(ProblemError):
    """Too many requests, after all retries."""


class ServerFault(ProblemError):
    """5xx: nothing that this client can change."""


class InternalFault(ServerFault):
    """A fault of the server; `request_id` finds it in the log."""

    code = ProblemCode.INTERNAL


class NotReady(ServerFault):
    """The server is starting, or its database or encoder is away."""


class ServerBusy(ServerFault):
    """The server holds as many bodies of requests as it can, after all retries."""


class SignInFailed(ConsensusError):
    """An identity provider gave no token; the message says why and what to do."""


class PromptSetError(ConsensusError, ValueError):
    """A prompt set cannot be used; `faults` has every fault found."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([message, *faults]))
        self.faults = tuple(faults)


class GenerationError(ConsensusError):
    """A model did not answer; the message names participant (where one is known), prompt and remedy."""

    def __init__(self, message: str, *, prompt_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.prompt_id = prompt_id
        self.participant: str | None = None
        """Whose model it is: set by whoever knows."""
        self.situation = ""
        """What the endpoint told, a `client_kit.generation.dialects.Situation`; empty where none was asked."""
        self.tokens: tuple[int | None, int | None] | None = None
        """Of prompt and answer, as the endpoint counted them, where it gave an answer that is of no use; None: it gave none."""
        self.perhaps_paid = False
        """Whether a request was sent to which a model may have begun an answer that nobody could read to its end."""

    def __str__(self) -> str:
        names = (("participant", self.participant), ("prompt", self.prompt_id))
        return "".join(f"{what} {name}: " for what, name in names if name) + self.message


class EndpointUnreachable(GenerationError):
    """The inference API does not answer, is overloaded or fails, after all retries."""


class EndpointRefusedKey(GenerationError):
    """The inference API does not accept the key."""


class UnknownModel(GenerationError):
    """The inference API, or the disk, has no model of this name."""


class ContextTooLong(GenerationError):
    """Prompt and answer do not fit the model's context."""


class EngineFailed(GenerationError):
    """A model server that the kit started does not start, or keeps ending; the message has the end of its log."""


class PromptRefused(GenerationError):
    """The inference API refuses the prompt itself: a content filter, say."""


class EmptyAnswer(GenerationError):
    """The model said nothing: it only reasoned, or a filter took its words."""


class UnreadableAnswer(GenerationError):
    """What came back is no completion: no JSON, another shape, or without end."""


class SpendingLimit(GenerationError):
    """Another answer could cost more than the limit allows. What is answered is kept."""


class TrainingError(ConsensusError):
    """A model was not trained; the message has cause and remedy."""


class UnusableData(TrainingError, FaultyFile):
    """A file of private data is absent, faulty or without the needed columns."""


class ModelCollapsed(ConsensusError):
    """A site stopped by its own rule: its model's answers have lost their variety over the rounds."""


class NotApproved(ConsensusError):
    """A person at the site refused what would have left, did not decide in time, or approved something else."""


class JournalError(ConsensusError):
    """A participant's journal is damaged, locked, or belongs to another federation."""


class StorageError(ConsensusError, OSError):
    """A file or a database cannot be read or written: a full disk, a missing permission. What is done is kept."""


class ExportError(ConsensusError):
    """Pseudo-labels could not be written in the wanted format."""


def _with_codes(root: type[ProblemError]) -> Iterator[type[ProblemError]]:
    for kind in root.__subclasses__():
        if kind.code:
            yield kind
        yield from _with_codes(kind)


PROBLEM_ERRORS: dict[str, type[ProblemError]] = {kind.code: kind for kind in _with_codes(ProblemError)}
"""Problem code -> exception. A test holds it total over `client_kit.wire.ProblemCode`."""
