"""Checks of a run bundle that need no decision: digests, signatures, and answers against what was sealed.

Each check says what was found, or that it was not made and why: what a bundle does not show cannot be checked. Nor can what was
erased, of which only the manifest tells, unsigned; the server's round card tells the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from client_kit import wire
from client_kit.bundles import Opened, open_bundle
from client_kit.signing import is_signed, round_fault

DECISION = "decision"
"""Name of the check that only a server's installation makes."""


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a bundle."""

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked of a bundle."""

    opened: Opened
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing that was checked is wrong."""
        return all(check.outcome is not Outcome.FAILED for check in self.checks)


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    """A check failed; the message says in what."""


class _Unseen(Exception):  # noqa: N818 - as above
    """A check cannot be made; the message says why."""


class Contents:
    """The members of a bundle, read."""

    def __init__(self, opened: Opened) -> None:
        """Raises ValueError for what is no message of this version."""
        self.opened = opened
        self.terms = wire.Federation.read(opened.members["federation.json"])
        self.manifest = wire.Manifest.read(opened.members["prompt_set.json"])
        self.card = wire.RoundCard.read(opened.members["card.json"])
        self.prompts = [wire.Prompt.read(line) for line in opened.lines("prompts.jsonl")]
        self.seals = [wire.SealRecord.read(line) for line in opened.lines("seals.jsonl")]
        self.signed = _read(wire.SignedRound, opened.members.get("signature.json"))
        self.stated = None if self.signed is None else wire.RoundStatement.read(self.signed.statement)
        self.answers: dict[str, list[wire.Answer]] = defaultdict(list)
        self.keys: dict[str, list[wire.SigningKey]] = defaultdict(list)
        self.erased = [wire.ErasedRound.read(wire.canonical_json(each)) for each in opened.about.get("erased", [])]
        """Of this round and of earlier ones, after which the texts are no longer those that were signed."""
        for line in opened.lines("answers.jsonl"):
            self.answers[_owner(line)].append(wire.Answer.model_validate_json(line, extra="ignore"))
        for line in opened.lines("keys.jsonl"):
            self.keys[_owner(line)].append(wire.SigningKey.read(line))

    @property
    def erased_here(self) -> list[str]:
        """Whose answers of this round were erased."""
        return [each.participant for each in self.erased if each.round == self.card.number and each.answers]


class _Owned(wire.WireModel):
    participant: wire.limits.Name


def _owner(line: str) -> str:
    return _Owned.read(line).participant


def _read(kind: type[wire.SignedRound], content: bytes | None) -> wire.SignedRound | None:
    return None if content is None else kind.read(content)


def verify(data: bytes, server_key: str | None = None) -> Verified:
    """Check a bundle. server_key: the public key that its server must have signed with; None: whichever it names, which is told."""
    opened = open_bundle(data)
    if opened.faults:
        checks = [Check("file", Outcome.FAILED, f"{fault.member}: {fault.detail}") for fault in opened.faults]
        return Verified(opened, tuple(checks))
    try:
        contents = Contents(opened)
    except (ValueError, KeyError) as error:
        detail = f"a member is missing or cannot be read: {' '.join(str(error).split())[:200]}"
        return Verified(opened, (Check("file", Outcome.FAILED, detail),))
    first = Check("file", Outcome.PASSED, "every byte is what the manifest says")
    return Verified(opened, (first, *_checks(contents, server_key)))


def _checks(contents: Contents, server_key: str | None) -> Iterable[Check]:
    steps: dict[str, Callable[[], str]] = {
        "server": lambda: _server(contents, server_key),
        "terms": lambda: _terms(contents),
        "prompts": lambda: _prompts(contents),
        "card": lambda: _card(contents),
        "labels": lambda: _labels(contents),
        "seals": lambda: _seals(contents),
        "signatures": lambda: _signatures(contents),
        "answers": lambda: _answers(contents),
        "basis": lambda: _basis(contents),
    }
    for name, step in steps.items():
        try:
            yield Check(name, Outcome.PASSED, step())
        except _Wrong as fault:
            yield Check(name, Outcome.FAILED, str(fault))
        except _Unseen as reason:
            yield Check(name, Outcome.NOT_CHECKED, str(reason))


def _require(told: object, found: object, what: str) -> None:
    if told != found:
        raise _Wrong(f"{what} is {found}, and {told} was signed or sealed")


def _stated(contents: Contents) -> wire.RoundStatement:
    if contents.stated is None:
        raise _Unseen("no server signed this round: an earlier version published it")
    return contents.stated


def _server(contents: Contents, server_key: str | None) -> str:
    _stated(contents)
    signed = contents.signed
    if signed is None:
        raise _Unseen("no server signed this round")
    key = server_key or signed.signature.key
    told = {"federation": contents.opened.about.get("federation"), "number": contents.opened.about.get("round")}
    if fault := round_fault(signed, key, **told):
        raise _Wrong(fault)
    by = f"signed by {key}"
    return by if server_key else f"{by}, the key that the bundle itself names: compare it with the one that you know"


def _terms(contents: Contents) -> str:
    stated, terms, card = _stated(contents), contents.terms, contents.card
    _require(stated.terms, wire.told_digest(terms), "the digest of federation.json")
    _require(stated.policy, wire.policy_digest(terms.policy), "the policy of federation.json")
    _require(stated.policy, wire.policy_digest(card.policy), "the policy of card.json")
    _require((stated.federation, stated.created_at), (terms.federation, terms.created_at), "the federation")
    _require(stated.encoder, terms.encoder, "the encoder of federation.json")
    _require(stated.encoder, card.encoder.digest, "the encoder of card.json")
    return f"policy {stated.policy[:12]}, encoder {card.encoder.name} ({stated.encoder[:12]})"


def _prompts(contents: Contents) -> str:
    told = contents.terms.prompt_set if contents.stated is None else contents.stated.prompt_set
    _require(told, wire.prompt_set_digest(contents.prompts), "the digest of prompts.jsonl")
    _require(told, contents.manifest.digest, "the digest in prompt_set.json")
    return f"{len(contents.prompts)} prompts"


def _card(contents: Contents) -> str:
    _require(_stated(contents).card, wire.card_digest(contents.card), "the digest of card.json")
    return "the round card is the one that was signed"


def _labels(contents: Contents) -> str:
    told = contents.card.labels if contents.stated is None else contents.stated.labels
    _require(told, contents.card.labels, "the digest of labels in card.json")
    if "labels.jsonl" not in contents.opened.members:
        raise _Unseen("the bundle shows no pseudo-labels to who asked for it")
    lines = contents.opened.lines("labels.jsonl")
    withheld = sum(each.labels for each in contents.erased if each.round == contents.card.number)
    if withheld and told != wire.lines_digest(lines):
        raise _Unseen(f"the server says that {withheld} texts were erased since: what is left is not what was signed")
    _require(told, wire.lines_digest(lines), "the digest of labels.jsonl")
    return f"{len(lines)} pseudo-labels and abstentions"


def _seals(contents: Contents) -> str:
    told = _stated(contents).seals
    _require(told, wire.lines_digest(contents.opened.lines("seals.jsonl")), "the digest of seals.jsonl")
    return f"{len(contents.seals)} sealed submissions"


def _signatures(contents: Contents) -> str:
    signed = [record for record in contents.seals if record.signature is not None]
    for record in signed:
        _require_signed(contents, record)
    unsigned = sorted({record.participant for record in contents.seals} - {record.participant for record in signed})
    if unsigned and contents.terms.signatures is wire.Signatures.REQUIRED:
        raise _Wrong(f"the federation requires signatures, and {', '.join(unsigned)} signed nothing")
    if not signed:
        raise _Unseen("no participant signed its seal")
    keys = ", ".join(f"{each.participant} {each.signature.key}" for each in signed if each.signature is not None)
    return f"{len(signed)} of {len(contents.seals)} seals are signed by keys that the server names: {keys}"


def _require_signed(contents: Contents, record: wire.SealRecord) -> None:
    who, signature, text = record.participant, record.signature, record.statement or ""
    if signature is None or not is_signed(wire.signed_bytes(wire.SealStatement.domain, text), signature):
        raise _Wrong(f"the seal of {who} has a signature that is not one of its statement")
    if not any(each.key == signature.key and _held(each, record) for each in contents.keys[who]):
        raise _Wrong(f"the seal of {who} is signed with {signature.key}, which was not its key when it sealed")
    try:
        stated = wire.SealStatement.read(text)
    except ValueError:
        raise _Wrong(f"what {who} signed is no statement of a seal") from None
    expected = {
        "federation": contents.terms.federation, "created_at": contents.terms.created_at,
        "number": contents.card.number, "participant": who, "count": record.count, "digest": record.digest,
        "prompt_set": contents.terms.prompt_set, "policy": wire.policy_digest(contents.terms.policy),
    }  # fmt: skip
    if record.carried_from is None:  # what is carried keeps what it was taught
        expected["taught_through"] = record.taught_through
    wrong = [name for name, value in expected.items() if getattr(stated, name) != value]
    if wrong:
        raise _Wrong(f"{who} signed another {' and '.join(wrong)} than this round has")


def _held(key: wire.SigningKey, record: wire.SealRecord) -> bool:
    return key.registered_at <= record.sealed_at and (key.ended_at is None or record.sealed_at <= key.ended_at)


def _answers(contents: Contents) -> str:
    if "answers.jsonl" not in contents.opened.members:
        raise _Unseen("the bundle shows no answers to who asked for it")
    sealed = {record.participant: record for record in contents.seals}
    if strangers := sorted(contents.answers.keys() - sealed.keys()):
        raise _Wrong(f"there are answers of {', '.join(strangers)}, who sealed nothing")
    shown, erased = contents.opened.about.get("texts_of", []), contents.erased_here
    if unnamed := sorted(contents.answers.keys() - set(shown)):
        raise _Wrong(f"there are answers of {', '.join(unnamed)}, whose texts are said not to be here")
    for who in shown:
        _require_sealed(who, contents.answers[who], sealed)
    gone = f"the server says that those of {', '.join(erased)} were erased since" if erased else ""
    if erased and not shown:
        raise _Unseen(f"no texts are here: {gone}")
    hidden = len(sealed.keys() - {*shown, *erased})
    others = f"those of {hidden} others are not shown" if hidden else ""
    return "; ".join(filter(None, [f"the texts of {len(shown)} submissions are those that were sealed", others, gone]))


def _require_sealed(who: str, answers: list[wire.Answer], sealed: dict[str, wire.SealRecord]) -> None:
    if who not in sealed:
        raise _Wrong(f"the texts of {who} are said to be here, and it sealed nothing")
    digest = wire.submission_digest((a.prompt_id, a.sample, wire.content_digest(a.text)) for a in answers)
    record = sealed[who]
    if (record.count, record.digest) != (len(answers), digest):
        raise _Wrong(
            f"{who} sealed {record.count} answers of digest {record.digest}; here are {len(answers)} of {digest}"
        )


def _basis(contents: Contents) -> str:
    if "basis.jsonl" not in contents.opened.members:
        raise _Unseen("the bundle does not show what earlier rounds said")
    lines, told = contents.opened.lines("basis.jsonl"), _stated(contents).basis
    earlier = {each.participant for each in contents.erased if each.round < contents.card.number}
    if earlier and told != wire.lines_digest(lines):
        names = ", ".join(sorted(earlier))
        raise _Unseen(f"the server says that texts of {names} in earlier rounds were erased since: they are part of it")
    _require(told, wire.lines_digest(lines), "the digest of basis.jsonl")
    return f"{len(lines)} lines of what earlier rounds and appeals said, as the server knew it then"
