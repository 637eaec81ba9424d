"""What to do about each problem, in the words of the surface where a person meets it. Standard library only.

The server sends the advice for its HTTP API; whoever shows a problem elsewhere looks its code up here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from client_kit.vocabulary import ProblemCode


class Surface(StrEnum):
    """Where a person meets a problem."""

    HTTP = "http"
    """The body of an error answer: for whoever writes a client."""
    PYTHON = "python"
    """An exception of the kit: for whoever calls it."""
    PARTICIPANT = "participant"
    """The command line `consensus`."""
    OPERATOR = "operator"
    """The command line `consensus-server`, which works on the database and knows no tokens."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Advice for one problem, by surface."""

    http: str
    python: str
    participant: str
    operator: str

    def on(self, surface: Surface) -> str:
        """The advice in the words of a surface: one or two sentences."""
        return str(getattr(self, surface.value))


def _alike(advice: str, *, http: str = "") -> Remedy:
    """Advice that fits everywhere; http: where only the API has other words."""
    return Remedy(http or advice, advice, advice, advice)


_NEWER = "Install the same version of semantic-consensus here and where the server runs, and try again."
_DAMAGED = "Try again; if it stays, look for a proxy on the way that changes what is sent."

REMEDIES: Final[Mapping[ProblemCode, Remedy]] = {
    ProblemCode.INVALID_JSON: _alike(
        _NEWER, http="Fix the JSON at the place that the detail names and send the request again."
    ),
    ProblemCode.INVALID_UTF8: _alike(_DAMAGED, http="Encode the body as UTF-8 and send it again."),
    ProblemCode.BROKEN_ENCODING: _alike(_DAMAGED, http="Compress the body again, or send it without Content-Encoding."),
    ProblemCode.TRUNCATED_BODY: _alike(
        "Run it again; nothing of what was cut off is stored.",
        http="Send the whole request again; nothing of it was stored.",
    ),
    ProblemCode.EMPTY_BODY: Remedy(
        http="Send at least one row; check that the file is not empty.",
        python="Give at least one answer.",
        participant="Check that the file of answers is not empty.",
        operator="Check that the file is not empty.",
    ),
    ProblemCode.AMBIGUOUS_LENGTH: _alike(
        _DAMAGED, http="Send Content-Length or Transfer-Encoding, not both; look for a proxy on the way that adds one."
    ),
    ProblemCode.UNAUTHENTICATED: Remedy(
        http="Send `Authorization: Bearer TOKEN` with the token that the operator gave you, or ask for a new one.",
        python="Give the client the token that the operator gave you, or ask for a new one.",
        participant="Check --token-file or CONSENSUS_TOKEN (in a settings file token_file or token_env), or ask the operator for a new token.",
        operator="Issue a new one: consensus-server participant token FEDERATION PARTICIPANT.",
    ),
    ProblemCode.TOKEN_EXPIRED: Remedy(
        http="Ask the operator for a new token; before it expires, POST to .../participants/{you}/token gives the next one.",
        python="Ask the operator for a new token; before it expires, client.new_token() gives the next one.",
        participant="Ask the operator for a new token; before it expires, consensus token rotate gives the next one.",
        operator="Issue a new one: consensus-server participant token FEDERATION PARTICIPANT.",
    ),
    ProblemCode.IDENTITY_REFUSED: Remedy(
        http="Get a new token from the identity provider, for this server, or ask the operator as whom you act.",
        python="Get a new token from the identity provider, for this server, or ask the operator as whom you act.",
        participant="Sign in again: consensus login. If it stays, ask the operator as whom you act.",
        operator="See CONSENSUS_OIDC_ISSUER, CONSENSUS_OIDC_AUDIENCE and CONSENSUS_OIDC_GROUPS of the server.",
    ),
    ProblemCode.WRONG_CERTIFICATE: Remedy(
        http="Connect with a certificate that this participant is bound to, or ask the operator to bind it to yours.",
        python="Name your certificate in CONSENSUS_CLIENT_CERTIFICATE, or ask the operator to bind you to it.",
        participant="Name your certificate in CONSENSUS_CLIENT_CERTIFICATE, or ask the operator to bind you to it.",
        operator="Bind the participant to its certificate: consensus-server participant bind FEDERATION PARTICIPANT FILE.",
    ),
    ProblemCode.FORBIDDEN: Remedy(
        http="Use a token that has the role named in the detail, or ask the operator.",
        python="Use a token that has the role named here, or ask the operator.",
        participant="Use a token that has the role named here, or ask the operator.",
        operator="Take a participant of the role named here: consensus-server participant list FEDERATION shows them.",
    ),
    ProblemCode.OUT_OF_SCOPE: Remedy(
        http="Use a token that has a scope named in the detail, or ask the operator for one.",
        python="Use a token that has a scope named here, or ask the operator for one.",
        participant="Use a token that has a scope named here, or ask the operator for one.",
        operator="Issue one that has it: consensus-server participant token FEDERATION PARTICIPANT --scope SCOPE.",
    ),
    ProblemCode.UNKNOWN_ROUTE: _alike(
        f"Check the server's address. If it is right: {_NEWER[:1].lower()}{_NEWER[1:]}",
        http="Compare the path with /openapi.json.",
    ),
    ProblemCode.UNKNOWN_FEDERATION: Remedy(
        http="Check the federation's name and the token.",
        python="Check the federation's name and the token.",
        participant="Check the federation's name (--federation or CONSENSUS_FEDERATION, in a settings file federation) and the token.",
        operator="See which there are: consensus-server federation list.",
    ),
    ProblemCode.UNKNOWN_PARTICIPANT: Remedy(
        http="List the participants of the federation, or add this one.",
        python="List the participants of the federation, or add this one.",
        participant="Check the participant's name, or ask the operator who takes part.",
        operator="See who takes part: consensus-server participant list FEDERATION; `participant add` adds one.",
    ),
    ProblemCode.UNKNOWN_OPERATOR: Remedy(
        http="List the operators of the server, or add this one.",
        python="List the operators of the server, or add this one.",
        participant="Check the operator's name.",
        operator="See which there are: consensus-server operator list; `operator add` adds one.",
    ),
    ProblemCode.UNKNOWN_TOKEN: Remedy(
        http="List the tokens: each has its id.",
        python="List the tokens: client.tokens() has the id of each.",
        participant="See yours: consensus token list.",
        operator="See which there are: consensus-server participant tokens FEDERATION PARTICIPANT, or operator tokens OPERATOR.",
    ),
    ProblemCode.UNKNOWN_INVITATION: Remedy(
        http="Copy the code again, whole; if it stays, ask the operator for another invitation.",
        python="Copy the code again, whole; if it stays, ask the operator for another invitation.",
        participant="Copy the code again, whole; if it stays, ask the operator for another invitation.",
        operator="See which there are: consensus-server invitation list FEDERATION.",
    ),
    ProblemCode.UNKNOWN_PROMPT_SET: Remedy(
        http="List the prompt sets, or add this one first: consensus-server prompt-set add.",
        python="List the prompt sets, or upload this one first.",
        participant="Ask the operator to add it: consensus-server prompt-set add.",
        operator="Add it first: consensus-server prompt-set add NAME.",
    ),
    ProblemCode.UNKNOWN_ROUND: Remedy(
        http="List the rounds of the federation, or wait for the next.",
        python="List the rounds of the federation, or wait for one: client.wait_for(number, RoundState.OPEN).",
        participant="See which there are: consensus rounds.",
        operator="See which there are: consensus-server round status FEDERATION; `round open` opens the next.",
    ),
    ProblemCode.NO_PARAMETERS: Remedy(
        http="Check the federation's terms: `parameters` says what it exchanges.",
        python="Check the federation's terms: client.federation().parameters says what it exchanges.",
        participant="Ask the operator whether this federation exchanges parameters.",
        operator="See what was agreed: consensus-server federation show FEDERATION.",
    ),
    ProblemCode.UNKNOWN_APPEAL: Remedy(
        http="List the appeals of the federation.",
        python="List the appeals of the federation.",
        participant="See yours: consensus appeal.",
        operator="See which there are: consensus-server appeal list FEDERATION.",
    ),
    ProblemCode.METHOD_NOT_ALLOWED: _alike(_NEWER, http="Use one of the methods in the Allow header."),
    ProblemCode.UNSUPPORTED_ENCODING: _alike(
        _DAMAGED, http="Send the body as identity, gzip or zstd, in one layer."
    ),
    ProblemCode.ALREADY_EXISTS: _alike("Choose another name, or use what exists."),
    ProblemCode.ANSWER_CONFLICT: Remedy(
        http="Send the stored answers again unchanged, or replace them before the seal with ?replace=true.",
        python="Send the stored answers again unchanged, or replace them before the seal with replace=True.",
        participant="Send the stored answers again unchanged, or replace them before the seal with --replace.",
        operator="Only the participant can replace its answers, before the seal.",
    ),
    ProblemCode.SUBMISSION_SEALED: _alike("A sealed submission cannot change; send new answers in the next round."),
    ProblemCode.SEAL_MISMATCH: Remedy(
        http="Compare with GET submissions, send what is missing, and seal again.",
        python="Submit all answers again and seal: what is stored already is not sent twice.",
        participant="Submit the whole file again: what is stored already is not sent twice. If it differs there, add --replace; to begin anew: consensus withdraw.",
        operator="Only the participant can send what is missing, and seal again.",
    ),
    ProblemCode.ROUND_NOT_OPEN: Remedy(
        http="Wait for an open round, or ask the operator to open one.",
        python="Wait for an open round, or ask the operator to open one.",
        participant="See the state of the rounds: consensus rounds. The operator opens the next one.",
        operator="Open one: consensus-server round open FEDERATION.",
    ),
    ProblemCode.ROUND_NOT_PUBLISHED: Remedy(
        http="Wait with ?wait_for=published on the round, or try again.",
        python="Wait for them: client.wait_for_labels(number), or client.wait_for(number, RoundState.PUBLISHED).",
        participant="See how far the round is: consensus status. `consensus labels --wait SECONDS` waits for publication.",
        operator="See how far the round is: consensus-server round status FEDERATION.",
    ),
    ProblemCode.ROUND_FAILED: Remedy(
        http="The operator can close the round again, so that it is aggregated anew.",
        python="The operator can close the round again, so that it is aggregated anew.",
        participant="The operator can close the round again, so that it is aggregated anew.",
        operator="Close it again, so that it is aggregated anew: consensus-server round close FEDERATION.",
    ),
    ProblemCode.ROUND_IN_PROGRESS: Remedy(
        http="Wait until that round is published or failed, or close it.",
        python="Wait until that round is published or failed, or close it.",
        participant="Wait until that round is published or failed: consensus status shows it.",
        operator="Wait until that round is published or failed, or close it: consensus-server round close FEDERATION.",
    ),
    ProblemCode.INVALID_TRANSITION: Remedy(
        http="Check the round's state: a round goes from draft to open, closed and published.",
        python="Check the round's state: a round goes from draft to open, closed and published.",
        participant="Check the round's state (consensus status): a round goes from draft to open, closed and published.",
        operator="Check the round's state (consensus-server round status FEDERATION): a round goes from draft to open, closed and published.",
    ),
    ProblemCode.NOTHING_TO_APPEAL: Remedy(
        http="List the rejections of the round: each names its gate.",
        python="List the rejections of the round: each names its gate.",
        participant="See what was rejected, and by which gate: consensus rejections.",
        operator="Only a participant appeals, against a gate that rejected answers of its own.",
    ),
    ProblemCode.VECTORS_MISSING: _alike(
        "Choose a policy that needs only the vectors that the round stored: guards off, if the round was decided without them."
    ),
    ProblemCode.INVITATION_USED: Remedy(
        http="If it was not you, tell the operator at once; if you lost the token, ask the operator for a new one.",
        python="If it was not you, tell the operator at once; if you lost the token, ask the operator for a new one.",
        participant="If it was not you, tell the operator at once; if you lost the token, ask the operator for a new one.",
        operator="See who joined with it: consensus-server invitation list FEDERATION.",
    ),
    ProblemCode.INVITATION_EXPIRED: Remedy(
        http="Ask the operator for another invitation.",
        python="Ask the operator for another invitation.",
        participant="Ask the operator for another invitation.",
        operator="Make another: consensus-server invitation add FEDERATION.",
    ),
    ProblemCode.BODY_TOO_LARGE: Remedy(
        http="Send the rows in several smaller requests; together they make one submission.",
        python="Send fewer answers at once; together they make one submission.",
        participant="Shorten the longest answers, or ask the operator to raise what the server takes in one piece.",
        operator="Raise what the server takes in one piece: CONSENSUS_WIRE_BYTES and CONSENSUS_BODY_BYTES.",
    ),
    ProblemCode.VALIDATION_FAILED: Remedy(
        http="Correct the fields listed in `errors` and send the request again.",
        python="Correct the fields named here; error.faults has all of them.",
        participant="Correct what is named here.",
        operator="Correct what is named here.",
    ),
    ProblemCode.UNKNOWN_PROMPT: Remedy(
        http="Load the prompt set by the digest that the federation pins.",
        python="Answer the prompts of the federation: client.prompts() has them.",
        participant="Answer the prompts of this federation, under their own prompt_id.",
        operator="See which prompt set was agreed: consensus-server federation show FEDERATION.",
    ),
    ProblemCode.ANSWER_TOO_LONG: _alike("Generate fewer tokens, or trim the answer."),
    ProblemCode.TOO_MANY_SAMPLES: _alike(
        "Number the samples from 0, below the federation's samples_per_prompt.",
        http="Number the samples from 0, below samples_per_prompt.",
    ),
    ProblemCode.PROMPT_SET_MISMATCH: Remedy(
        http="Rebuild the manifest from the prompts, or fetch the set again: a file was changed or truncated.",
        python="Rebuild the manifest from the prompts, or fetch the set again: a file was changed or truncated.",
        participant="Build the set again (consensus prompts build), or fetch it again: a file was changed or truncated.",
        operator="Build the set again (consensus prompts build), or fetch it again: a file was changed or truncated.",
    ),
    ProblemCode.UNKNOWN_RULE: _alike("Use one of the names given here.", http="Use one of the names in the detail."),
    ProblemCode.PARAMETERS_REFUSED: Remedy(
        http="Correct what the detail names; client_kit.parameters writes such files.",
        python="Correct what is named here; client_kit.parameters writes such files.",
        participant="Correct what is named here: the adapter must be of the federation's own plan.",
        operator="See the plan that was agreed: consensus-server federation show FEDERATION.",
    ),
    ProblemCode.TRAINING_RIGHTS_MISSING: Remedy(
        http="Read the model's licence and its provider's terms; where they allow it, state training_rights in the seal, or in the endpoint that the server asks.",
        python="Read the model's licence and its provider's terms; where they allow it, seal with training_rights=True.",
        participant="Read the model's licence and its provider's terms; where they allow it, add --training-rights (in a settings file training_rights: true).",
        operator="Read the model's licence and its provider's terms; where they allow it, add --training-rights.",
    ),
    ProblemCode.SIGNATURE_MISSING: Remedy(
        http="Register a key with PUT .../participants/{you}/signing-key, and send its signature of the seal's statement.",
        python="Register a key (client.register_key), and give it to the client: signing_key=client_kit.signing.read_key(FILE).",
        participant="Make a key (consensus key new FILE), register it (consensus key register FILE), and add --signing-key FILE (in a settings file signing_key_file: FILE, which does all three).",
        operator="Only the participant can sign its seals; a server that asks for answers itself cannot. A new federation can leave signatures optional.",
    ),
    ProblemCode.SIGNATURE_REFUSED: Remedy(
        http="Sign with the registered key, and sign this very statement; where the key is lost, ask the operator to end it and register another.",
        python="Give the client the registered key; where it is lost, ask the operator to end it and register another. Versions of kit and server must be alike.",
        participant="Use the file of the registered key (consensus key list shows it); where it is lost, ask the operator to end it, then register another.",
        operator="Where a participant has lost its key: consensus-server participant end-key FEDERATION PARTICIPANT, then it registers another.",
    ),
    ProblemCode.RATE_LIMITED: _alike("Wait a little and run it again.", http="Wait for the time given in Retry-After."),
    ProblemCode.INTERNAL: Remedy(
        http="Try again; if the error persists, give the request id to the operator, who can find it in the log.",
        python="Try again; if the error persists, give the request id to the operator, who can find it in the log.",
        participant="Try again; if the error persists, give the request id to the operator, who can find it in the log.",
        operator="Try again; if the error persists, look into the server's log.",
    ),
    ProblemCode.NOT_READY: Remedy(
        http="Try again shortly; /readyz says what is missing.",
        python="Try again shortly; client.readiness() says what is missing.",
        participant="Try again shortly; consensus doctor says what is missing.",
        operator="Try again shortly; the server's log says what is missing.",
    ),
    ProblemCode.SERVER_BUSY: _alike(
        "Wait a little and run it again; the operator can raise CONSENSUS_REQUEST_MEMORY_BYTES.",
        http="Wait for the time given in Retry-After; the operator can raise CONSENSUS_REQUEST_MEMORY_BYTES.",
    ),
}  # fmt: skip
"""The one table. A test holds it total over codes and surfaces, and command lines free of the words of HTTP and Python."""

NO_FEDERATION_NAMED: Final = Remedy(
    http="Name the federation in the path.",
    python="Say which one: federation='NAME', or client.in_federation('NAME').",
    participant="Say which one: --federation NAME, or CONSENSUS_FEDERATION (in a settings file federation: NAME).",
    operator="Say which one: its name is the first argument.",
)
"""For a token of the server's operator, which belongs to no federation: the kit finds that by itself."""

WAIT_AGAIN: Final = Remedy(
    http="Ask again.",
    python="Wait again, or longer: timeout_seconds.",
    participant="Run the same command again, it goes on from there; to wait longer: --wait, in a settings file patience_seconds.",
    operator="Wait again: consensus-server round status FEDERATION --watch.",
)
"""For a round that is not yet what somebody waits for."""


def remedy_for(code: str, surface: Surface, *, sent: str = "") -> str:
    """What to do about a problem, on a surface.

    sent: the advice that came with it. It holds where it is the problem's own and not the table's for HTTP, and for codes
    of a newer server.
    """
    if code not in set(ProblemCode):
        return sent
    found = REMEDIES[ProblemCode(code)]
    return sent if sent and sent != found.http else found.on(surface)
