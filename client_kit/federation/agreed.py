"""The prompt set and the policy that a person at the site approved, by digest, before the first answer."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client_kit.errors import NotApproved
from client_kit.exports import write_whole
from client_kit.federation.approval import whoever
from client_kit.settings import ApprovedSettings
from client_kit.wire import Federation, Prompt, content_digest
from client_kit.wire.digests import canonical_json

FILE = "approved.json"
"""In the work folder; `consensus approve federation` writes it."""

_FEW = 5
_AGAIN = "Read it (`consensus approve federation --show`), and where you agree: consensus approve federation"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a federation asks of whom and how it decides, as a person approves it."""

    prompt_set: str
    """Digest of the prompt set."""
    policy: str
    """SHA-256 of `said` as canonical JSON."""
    said: Mapping[str, Any]
    """The federation's policy and what becomes of answers before they are submitted; what is not set is not in it."""
    prompts: Mapping[str, str]
    """SHA-256 of each prompt's text."""


def terms_of(federation: Federation, prompts: Sequence[Prompt]) -> Terms:
    """What the server presents. prompts: of the federation's set, whose digest the client has checked."""
    said = federation.model_dump(mode="json", include={"policy", "answers"}, exclude_none=True)
    digest = hashlib.sha256(canonical_json(said).encode()).hexdigest()
    return Terms(federation.prompt_set, digest, said, {each.prompt_id: content_digest(each.prompt) for each in prompts})


def approve_terms(work: Path, terms: Terms) -> Path:
    """Keep what a person approved: from now on the site answers for nothing else. Returns the file."""
    noted = {"by": whoever(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    write_whole(work / FILE, json.dumps({**asdict(terms), **noted}, ensure_ascii=False, indent=1) + "\n")
    return work / FILE


def approved_terms(work: Path) -> Terms | None:
    """What a person approved; None where nothing was."""
    file = work / FILE
    if not file.exists():
        return None
    held = json.loads(file.read_text("utf-8"))
    return Terms(**{name: held[name] for name in Terms.__dataclass_fields__})


def check_terms(work: Path, named: ApprovedSettings | None, now: Terms) -> None:
    """Raise NotApproved, with the difference, where the server presents something else than the settings name or a person approved.

    named: digests of the settings, which go before the file. Where neither says anything, everything passes.
    """
    held = approved_terms(work)
    if named is not None:
        wanted = {"prompt set": named.prompt_set, "policy": named.policy}
    else:
        wanted = (
            {"prompt set": None, "policy": None}
            if held is None
            else {"prompt set": held.prompt_set, "policy": held.policy}
        )
    presented = {"prompt set": now.prompt_set, "policy": now.policy}
    differing = [what for what, digest in wanted.items() if digest not in {None, presented[what]}]
    if not differing:
        return
    lines = [f"the {what} is {presented[what]}, approved is {wanted[what]}" for what in differing]
    lines += [] if held is None else list(differences(held, now))
    remedy = "Set approved in the settings to these digests, where you agree" if named is not None else _AGAIN
    raise NotApproved(
        f"the server presents another {' and '.join(differing)} than this site approved; nothing was answered:\n  "
        + "\n  ".join(lines)
        + f"\n{remedy}"
    )


def differences(before: Terms, now: Terms) -> Iterator[str]:
    """What is not as it was, as lines for a person."""
    old, new = before.prompts, now.prompts
    changed = [each for each in new if each in old and new[each] != old[each]]
    for what, which in (("added", new.keys() - old.keys()), ("removed", old.keys() - new.keys()), ("changed", changed)):
        if which:
            named = sorted(which)
            more = f", and {len(named) - _FEW} more" if len(named) > _FEW else ""
            yield f"prompts {what}: {len(named)} ({', '.join(named[:_FEW])}{more})"
    was, is_ = dict(_flat(before.said)), dict(_flat(now.said))
    for name in sorted(was.keys() | is_.keys()):
        if was.get(name) != is_.get(name):
            yield f"{name}: was {_value(was, name)}, is {_value(is_, name)}"


def _flat(said: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in said.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _value(said: Mapping[str, Any], name: str) -> str:
    return json.dumps(said[name], ensure_ascii=False) if name in said else "not set"
