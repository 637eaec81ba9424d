"""Files of existing answers: `prompt_id, prompt, model, output`, one JSON object per line, plain or gzip."""

import codecs
import gzip
import json
import math
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.wire.limits import MAX_ANSWER_CHARS, MAX_PROMPT_CHARS

_COLUMNS = ("prompt_id", "prompt", "model", "output")
_GZIP_MAGIC = b"\x1f\x8b"
_NO_JUDGEMENT = -1
"""What files of judged answers hold where the judge failed; null means the same."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PROMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file of answers that was read whole and found in order."""

    prompts: Mapping[str, str]
    """Prompt by prompt_id."""
    outputs: Mapping[str, Mapping[str, str]]
    """Model -> prompt_id -> its answer."""
    preferences: Mapping[tuple[str, str], float]
    """(prompt_id, model) -> judged preference, 0..1, where there is a valid one. Never sent."""

    @property
    def judged(self) -> bool:
        """Whether any answer has a valid judgement."""
        return bool(self.preferences)


def read_answer_file(path: Path) -> AnswerFile:
    """Read and check a file; other fields than the four columns and `preference` are not looked at.

    Raises ConfigurationError naming the file, the line, what is wrong and what would do.
    """
    prompts: dict[str, str] = {}
    outputs: dict[str, dict[str, str]] = {}
    preferences: dict[tuple[str, str], float] = {}
    for number, row in _rows(path):
        where = f"{path} line {number}"
        prompt_id, prompt, model, output = (_text(row, column, where) for column in _COLUMNS)
        if prompts.setdefault(prompt_id, prompt) != prompt:
            raise ConfigurationError(f"{where}: prompt_id {prompt_id!r} stood before with another prompt")
        if outputs.setdefault(model, {}).setdefault(prompt_id, output) != output:
            raise ConfigurationError(
                f"{where}: {model!r} has another answer to prompt {prompt_id!r} before; keep one answer of a model to a prompt"
            )
        preference = _preference(row.get("preference"), where)
        if preference is not None:
            preferences[prompt_id, model] = preference
    if not prompts:
        raise ConfigurationError(f"{path} is empty: it needs one JSON object per line with {', '.join(_COLUMNS)}")
    return AnswerFile(prompts, outputs, preferences)


def draw_models(models: Collection[str], count: int, seed: int) -> list[str]:
    """Panel 0 of a seed: numpy.random.default_rng([seed, K, 0]).choice(sorted(models), K, replace=False), sorted.

    Raises ConfigurationError where there are fewer than `count` models.
    """
    try:
        import numpy as np  # noqa: PLC0415 - not in the base install
    except ImportError as error:
        raise MissingExtra("drawing models", "server") from error
    if seed < 0:
        raise ConfigurationError(f"--seed is {seed}; it must be 0 or more")
    if not 1 <= count <= len(models):
        raise ConfigurationError(f"--models asks for {count} models; the file has {len(models)}")
    drawn = np.random.default_rng([seed, count, 0]).choice(sorted(models), count, replace=False)
    return sorted(str(model) for model in drawn)


def named_models(models: Collection[str], wanted: Sequence[str]) -> list[str]:
    """The models that were asked for by name, sorted. Raises ConfigurationError for one that the file has not."""
    unknown = sorted(set(wanted) - set(models))
    if unknown:
        raise ConfigurationError(
            f"the file has no answers of {', '.join(map(repr, unknown))}; it has {', '.join(sorted(models))}"
        )
    return sorted(set(wanted))


def wire_names(models: Collection[str]) -> dict[str, str]:
    """Participant name by model: the model's own name where the wire allows it, else a readable form with a digest."""
    return {model: _fit(model, _NAME, lower=True) for model in sorted(models)}


def wire_prompt_ids(prompt_ids: Collection[str]) -> dict[str, str]:
    """Prompt id on the wire by prompt_id of the file, in the same way."""
    return {prompt_id: _fit(prompt_id, _PROMPT_ID, lower=False) for prompt_id in sorted(prompt_ids)}


def _fit(name: str, pattern: re.Pattern[str], *, lower: bool) -> str:
    if pattern.fullmatch(name):
        return name
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name.lower() if lower else name).strip("._-")[:40]
    return "-".join(part for part in (readable, sha256(name.encode()).hexdigest()[:12]) if part)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if line.strip():
            yield number, _row(line, f"{path} line {number}")


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz" or content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path} is damaged or no gzip file ({error}); copy it again") from error
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}. Give a JSONL or JSONL.gz file") from error
    return content.removeprefix(codecs.BOM_UTF8)


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where}: is not UTF-8 (byte {error.start}); save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: is not JSON ({error}); each line is one JSON object") from error
    if not isinstance(row, dict):
        raise ConfigurationError(f"{where}: is JSON, but no object with {', '.join(_COLUMNS)}")
    return row


def _text(row: dict[str, Any], column: str, where: str) -> str:
    """A column as text that the wire takes. Only an output may be empty: a model may have said nothing."""
    value = row.get(column)
    if not isinstance(value, str):
        state = "is not text" if column in row else "is missing"
        raise ConfigurationError(f"{where}: {column} {state}; each line needs {', '.join(_COLUMNS)}")
    if not value and column != "output":
        raise ConfigurationError(f"{where}: {column} is empty")
    if "\x00" in value or not _is_unicode(value):
        raise ConfigurationError(f"{where}: {column} holds a NUL or half a surrogate pair, which cannot be stored")
    longest = {"prompt": MAX_PROMPT_CHARS, "output": MAX_ANSWER_CHARS}.get(column)
    if longest is not None and len(value) > longest:
        raise ConfigurationError(f"{where}: {column} has {len(value):,} characters; at most {longest:,} can be sent")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _preference(value: object, where: str) -> float | None:
    """A judged preference; None where the judgement is absent or failed."""
    if value is None or value == _NO_JUDGEMENT:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or not 0 <= value <= 1:
        raise ConfigurationError(
            f"{where}: preference is {value!r}; it is a number 0..1, or null or -1 where the judge failed"
        )
    return float(value)
