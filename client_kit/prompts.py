"""Public prompt sets on disk: find, load, verify, write, and compare with what must not be in them.

A prompt set is a folder of `prompts.jsonl` and `manifest.json`. A name such as `pocket@1.0`, or `pocket` for the newest
version, is looked up among the sets in the installed package, then among those of a checkout.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from client_kit.errors import PromptSetError
from client_kit.input_files import parse_json
from client_kit.wire import Equivalence, Manifest, Prompt, PromptSetUpload, prompt_set_digest
from client_kit.wire.prompt_sets import unlike_wordings

PROMPTS_FILE = "prompts.jsonl"
MANIFEST_FILE = "manifest.json"

_HOMES = (Path(__file__).parent / "packaged_prompts", Path(__file__).parents[1] / "prompts")
"""Where named sets are: in an installed package, in a checkout."""


@dataclass(frozen=True, slots=True)
class PromptSet:
    """A prompt set that was read whole and is what its manifest says."""

    manifest: Manifest
    prompts: tuple[Prompt, ...]
    """In the order of the file."""

    def upload(self) -> PromptSetUpload:
        """As an operator sends it to a server."""
        return PromptSetUpload(manifest=self.manifest, prompts=list(self.prompts))


def load_prompt_set(name: str | Path) -> PromptSet:
    """Load a prompt set by folder or name and verify it. Raises PromptSetError with every fault found."""
    folder = find_prompt_set(name)
    found, faults = _read(folder)
    if found is None:
        raise PromptSetError(f"{folder} is no valid prompt set:", faults)
    return found


def validate_prompt_set(folder: Path) -> list[str]:
    """All faults of a prompt set, each with file, line and field; empty for a valid one."""
    return _read(folder)[1]


def find_prompt_set(name: str | Path) -> Path:
    """Folder of a prompt set: the folder itself, that of its newest version, or by name. Raises PromptSetError."""
    given = Path(name).expanduser()
    if (given / MANIFEST_FILE).is_file() or (given / PROMPTS_FILE).is_file():
        return given
    wanted, _, version = str(name).partition("@")
    for candidate in (given, *(home / wanted for home in _HOMES)):
        versions = [folder for folder in _versions(candidate) if version in {"", folder.name}]
        if versions:
            return versions[-1]
    raise PromptSetError(
        f"there is no prompt set {str(name)!r}: neither a folder with {MANIFEST_FILE}, nor one of "
        f"{', '.join(available_prompt_sets()) or 'the packaged sets, since none is installed'}"
    )


def available_prompt_sets() -> list[str]:
    """Names, with versions, of the sets that need no path: `general@1.0`."""
    manifests = [file for home in _HOMES for file in home.glob(f"*/*/{MANIFEST_FILE}")]
    return sorted({f"{file.parents[1].name}@{file.parent.name}" for file in manifests})


def write_prompt_set(
    folder: Path,
    prompts: Sequence[Prompt],
    *,
    name: str,
    version: str,
    description: str,
    licence: str,
    language: str,
    equivalence: Equivalence = Equivalence.SEMANTIC,
) -> Manifest:
    """Write a new prompt set, whole or not at all. Raises PromptSetError where it is faulty or the folder exists."""
    require_new(folder)
    if faults := _repeated_ids(enumerate(prompts, start=1)) + unlike_wordings(prompts):
        raise PromptSetError("the prompt set cannot be written:", faults)
    try:
        manifest = Manifest(
            name=name,
            version=version,
            digest=prompt_set_digest(list(prompts)),
            prompt_count=len(prompts),
            description=description,
            licence=licence,
            language=language,
            topics=_topics(prompts),
            equivalence=equivalence,
        )
    except ValidationError as error:
        raise PromptSetError("the prompt set cannot be written:", list(_faults(error))) from error
    _write_folder(folder, prompts, manifest)
    return manifest


def save_prompt_set(folder: Path, found: PromptSet) -> None:
    """Write a prompt set as it is, whole or not at all. Raises PromptSetError where the folder exists."""
    require_new(folder)
    _write_folder(folder, found.prompts, found.manifest)


def require_new(folder: Path) -> None:
    """Raise PromptSetError where the folder exists."""
    if folder.exists():
        raise PromptSetError(f"{folder} exists; a version never changes once it is written, so write a new one")


def prompt_set_schemas() -> dict[str, dict[str, Any]]:
    """JSON schemas of a line of `prompts.jsonl` and of `manifest.json`, from the wire models."""
    models: dict[str, type[BaseModel]] = {"prompt": Prompt, "manifest": Manifest}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {name: {"$schema": draft, **model.model_json_schema()} for name, model in models.items()}


# Reading


def _versions(folder: Path) -> list[Path]:
    """Version folders of a set, oldest first; 1.10 is newer than 1.9."""
    found = [file.parent for file in folder.glob(f"*/{MANIFEST_FILE}")]
    return sorted(found, key=lambda version: [int(part) for part in version.name.split(".") if part.isdigit()])


def _read(folder: Path) -> tuple[PromptSet | None, list[str]]:
    """The prompt set, or None and its faults."""
    manifest, faults = _read_manifest(folder / MANIFEST_FILE)
    prompts, more = _read_prompts(folder / PROMPTS_FILE)
    faults += more
    if manifest is None or faults:
        return None, faults
    faults = list(_differences(manifest, prompts))
    return (None, faults) if faults else (PromptSet(manifest, tuple(prompts)), [])


def _read_manifest(file: Path) -> tuple[Manifest | None, list[str]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        return None, [f"{file.name}: cannot be read ({error.strerror})"]
    if (place := _not_utf8(content)) is not None:
        return None, [f"{file.name}: is not UTF-8 (byte {place}); save the file as UTF-8"]
    try:
        manifest = Manifest.model_validate_json(content)
        parse_json(content.decode())  # pydantic takes the last of two equal keys
    except ValidationError as error:
        return None, [f"{file.name}: {fault}" for fault in _faults(error)]
    except ValueError as error:
        return None, [f"{file.name}: {error}"]
    return manifest, []


def _read_prompts(file: Path) -> tuple[list[Prompt], list[str]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        return [], [f"{file.name}: cannot be read ({error.strerror})"]
    if not (encoding := json.detect_encoding(content)).startswith("utf-8"):
        return [], [f"{file.name}: is {encoding.upper()}; save the file as UTF-8"]
    numbered: list[tuple[int, Prompt]] = []
    faults: list[str] = []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            numbered.append((number, Prompt.model_validate_json(line.removesuffix(b"\r"))))
            parse_json(line.decode())  # pydantic takes the last of two equal keys
        except ValidationError as error:
            faults += [f"{file.name} line {number}: {fault}" for fault in _line_faults(line, error)]
        except ValueError as error:
            faults.append(f"{file.name} line {number}: {error}")
    faults += [f"{file.name} {fault}" for fault in _repeated_ids(numbered)]
    faults += [f"{file.name}: {fault}" for fault in unlike_wordings(prompt for _, prompt in numbered)]
    return [prompt for _, prompt in numbered], faults


def _line_faults(line: bytes, error: ValidationError) -> Iterator[str]:
    if (place := _not_utf8(line)) is not None:
        yield f"is not UTF-8 (byte {place}); save the file as UTF-8"
    elif not line.strip():
        yield "is empty; remove it"
    elif line.startswith(b"\xef\xbb\xbf"):
        yield "begins with a byte order mark; save the file as UTF-8 without one"
    else:
        yield from _faults(error)


def _not_utf8(content: bytes) -> int | None:
    """Place of the first byte that is not UTF-8."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"])
        yield f"{where}: {fault['msg']}" if where else fault["msg"]


def _repeated_ids(numbered: Iterable[tuple[int, Prompt]]) -> list[str]:
    first: dict[str, int] = {}
    faults = []
    for number, prompt in numbered:
        earlier = first.setdefault(prompt.prompt_id, number)
        if earlier != number:
            faults.append(f"line {number}: prompt_id {prompt.prompt_id} stands already in line {earlier}")
    return faults


def _differences(manifest: Manifest, prompts: Sequence[Prompt]) -> Iterator[str]:
    actual = {
        "prompt_count": len(prompts),
        "topics": _topics(prompts),
        "digest": prompt_set_digest(list(prompts)),
    }
    for field, value in actual.items():
        if getattr(manifest, field) != value:
            yield f"{MANIFEST_FILE}: {field} is {getattr(manifest, field)}, but the prompts give {value}"


def _topics(prompts: Iterable[Prompt]) -> dict[str, int]:
    return dict(sorted(Counter(prompt.topic for prompt in prompts if prompt.topic is not None).items()))


# Writing


def _write_folder(folder: Path, prompts: Sequence[Prompt], manifest: Manifest) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        staged = Path(temporary, "set")
        staged.mkdir()
        lines = [prompt.model_dump_json(exclude_none=True) + "\n" for prompt in prompts]
        (staged / PROMPTS_FILE).write_text("".join(lines), encoding="utf-8", newline="\n")
        (staged / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
        staged.rename(folder)
