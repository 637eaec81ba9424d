"""Run bundles: one file with everything that is needed to check a published round elsewhere.

A zip without compression, whose members stand in one order and have no times: the same round gives the same bytes. The last
member, `manifest.json`, has the SHA-256 of each other one.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any

from client_kit.wire.digests import canonical_json

FORMAT = "semantic-consensus/bundle/v1"
MANIFEST = "manifest.json"
MEMBERS = (
    "federation.json", "prompt_set.json", "prompts.jsonl", "keys.jsonl", "seals.jsonl", "answers.jsonl", "labels.jsonl",
    "basis.jsonl", "card.json", "signature.json",
)  # fmt: skip
"""Every member that a bundle can have, in its order."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_PRIVATE = 0o600 << 16


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the file itself."""

    member: str
    """Its name; `container` for what lies around the members."""
    detail: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle that was read: nothing of it is believed where there are faults."""

    about: Mapping[str, Any]
    """The manifest: `federation`, `round`, `seen_by`, `members`."""
    members: Mapping[str, bytes]
    faults: tuple[Fault, ...]

    def lines(self, name: str) -> list[str]:
        """The lines of a member; none where it is not there."""
        return self.members.get(name, b"").decode().splitlines()


def write_bundle(stream: IO[bytes], about: Mapping[str, Any], members: Mapping[str, Iterable[bytes]]) -> None:
    """Write a bundle to a stream that can seek. members: by name, pieces of their content; read once, in the order of `MEMBERS`."""
    digests = {}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in MEMBERS:
            if name in members:
                digests[name] = _write(archive, name, members[name])
        manifest = {"format": FORMAT, **about, "members": digests}
        _write(archive, MANIFEST, [canonical_json(manifest).encode()])


def _write(archive: zipfile.ZipFile, name: str, pieces: Iterable[bytes]) -> str:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr, entry.create_system = _PRIVATE, 3
    digest = sha256()
    with archive.open(entry, "w") as member:
        for piece in pieces:
            digest.update(piece)
            member.write(piece)
    return digest.hexdigest()


def open_bundle(data: bytes) -> Opened:
    """Read a bundle and hold every byte of it against its manifest. It unpacks nothing and writes nothing."""
    faults: list[Fault] = []
    members = dict(_members(data, faults))
    manifest = members.pop(MANIFEST, None)
    about = {} if faults else _manifest(manifest, faults)
    named = about.get("members", {})
    if not faults:
        faults += [
            Fault(name, "its digest is not the one that the manifest has")
            for name in sorted(named.keys() | members.keys())
            if name not in members or named.get(name) != sha256(members[name]).hexdigest()
        ]
    if not faults and _packed(about, members) != data:
        faults.append(Fault("container", "bytes around the members are not those that they are written with"))
    return Opened(about, members, tuple(faults))


def _members(data: bytes, faults: list[Fault]) -> Iterable[tuple[str, bytes]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        faults.append(Fault("container", f"it is no bundle: {error}"))
        return
    seen: set[str] = set()
    for entry in archive.infolist():
        stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size <= len(data)
        if entry.filename not in {*MEMBERS, MANIFEST} or entry.filename in seen or not stored:
            faults.append(Fault(entry.filename[:100], "no bundle has such a member"))
            continue
        seen.add(entry.filename)
        try:
            yield entry.filename, archive.read(entry)
        except (zipfile.BadZipFile, EOFError, ValueError, OSError, RuntimeError) as error:
            faults.append(Fault(entry.filename, f"it cannot be read: {error}"))


def _manifest(content: bytes | None, faults: list[Fault]) -> dict[str, Any]:
    try:
        found = json.loads(content or b"")
        if found["format"] == FORMAT and isinstance(found["members"], dict):
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    faults.append(Fault(MANIFEST, f"it is no manifest of {FORMAT}"))
    return {}


def _packed(about: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    told = {name: value for name, value in about.items() if name not in {"format", "members"}}
    write_bundle(stream, told, {name: [content] for name, content in members.items()})
    return stream.getvalue()
