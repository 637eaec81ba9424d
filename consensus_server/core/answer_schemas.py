"""JSON schemas that answers have to fit: which are taken, and where a value does not fit one.

A schema comes from whoever asks, and the values from models that nobody trusts: what takes time without bound is refused
(references in a circle, or that multiply) or left unchecked (`pattern`), and nothing is ever fetched.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

from consensus_server.core.consensus.meaning.json_values import NotJson, parsed, written

MOST_SCHEMAS: Final = 1_000
"""Schemas inside a schema, those behind references counted as often as they are referred to."""
MOST_PARTS: Final = 5_000
"""Values in the JSON of a schema."""
MOST_NESTED: Final = 64
"""Schemas inside one another, references followed."""
MOST_CHECKS: Final = 2_000_000
"""Schemas of a schema times parts of a value: some seconds."""

UNCHECKED: Final = frozenset({"pattern", "format"})
"""Keywords that are passed on and not checked: a pattern can take for ever, and what a format is no two readers agree on."""
_REFUSED: Final = frozenset(
    {"patternProperties", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"}
)  # fmt: skip
_DATA: Final = frozenset({"const", "enum", "default", "examples", "required", "$vocabulary", "dependentRequired"})
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas", "dependencies"})
"""Keywords whose names are the schema's own."""
_DEFINITIONS: Final = frozenset({"$defs", "definitions"})


class UnusableSchema(ValueError):  # noqa: N818 - reads as what is wrong
    """A schema that is none, or that is not taken. The message says why."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where a value does not fit."""

    path: str
    """JSON pointer; empty for the whole."""
    keyword: str
    """Of the schema: `type`, `required`, `enum`, ...; `size` for a value that is too large to be checked."""

    def __str__(self) -> str:
        """In words."""
        return f"{self.path or 'the whole'}: {self.keyword}"


class AnswerSchema:
    """A schema that is taken: JSON Schema 2020-12, or the draft that its `$schema` names."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Raises UnusableSchema."""
        try:
            schema = parsed(json.dumps(given))
        except (NotJson, ValueError, RecursionError) as error:
            raise UnusableSchema(f"the schema cannot be used: {error}") from None
        if _parts(schema) > MOST_PARTS:
            raise UnusableSchema(f"the schema has more than {MOST_PARTS:,} parts")
        inside = list(_schemas(schema))
        kind = validators.validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise UnusableSchema(f"this is no JSON schema: {error.json_path}: {error.message[:200]}") from None
        self.unchecked = sorted(UNCHECKED & {keyword for each in inside for keyword in each})
        """Keywords that it has and that are not checked."""
        self._size = len(inside)
        checked = validators.extend(kind, _OVERRIDDEN)  # type: ignore[no-untyped-call]  # so its stubs have it
        self._validator = checked(schema, registry=Registry())

    def misfit(self, value: Any) -> Misfit | None:  # noqa: ANN401 - as `json_values.parsed` gives it
        """The first place where a value does not fit; None where it does."""
        if self._size * _parts(value) > MOST_CHECKS:
            return Misfit("", "size")
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return None
        return Misfit("".join(f"/{_escaped(str(part))}" for part in error.absolute_path), str(error.validator))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    """Every schema in a schema, references followed. Raises UnusableSchema for what is not taken."""
    for counted, each in enumerate(_walk(schema, schema, (), 0)):
        if counted == MOST_SCHEMAS:
            raise UnusableSchema(f"it holds more than {MOST_SCHEMAS:,} schemas, references followed")
        yield each


def _walk(schema: Any, root: Any, through: tuple[str, ...], level: int) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    if not isinstance(schema, dict):
        return
    if level > MOST_NESTED:
        raise UnusableSchema(f"it is nested more than {MOST_NESTED} deep, references followed")
    bases = [word for word in _bases(root) if level and word in schema]
    if refused := sorted(_REFUSED & schema.keys()) or bases:
        raise UnusableSchema(f"{refused[0]} is not supported")
    yield schema
    for inner in _inside(schema):
        yield from _walk(inner, root, through, level + 1)
    if (reference := schema.get("$ref")) is not None:
        if reference in through:
            raise UnusableSchema(f"{str(reference)[:100]!r} refers to itself; schemas in a circle are not supported")
        yield from _walk(_referred(reference, root), root, (*through, reference), level + 1)


def _bases(root: Mapping[str, Any]) -> list[str]:
    """Keywords that give a schema an address of its own, from which references inside it count: in old drafts another one."""
    old = any(draft in str(root.get("$schema")) for draft in ("draft-03", "draft-04"))
    return ["$id", *(["id"] if old else [])]


def _inside(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas right inside one; definitions count where they are referred to."""
    for keyword, value in schema.items():
        if keyword in _NAMED:
            yield from () if keyword in _DEFINITIONS or not isinstance(value, dict) else value.values()
        elif keyword not in _DATA:
            yield from value if isinstance(value, list) else [value]


def _referred(reference: Any, root: Any) -> Any:  # noqa: ANN401
    """What a reference names in the schema itself."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise UnusableSchema(f"{str(reference)[:100]!r} is no place in this schema (#/...), and nothing is fetched")
    found = root
    for part in reference[2:].split("/") if reference != "#" else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict) and name in found:
            found = found[name]
        else:
            raise UnusableSchema(f"{reference[:100]!r} refers to nothing")
    return found


def _parts(value: Any) -> int:  # noqa: ANN401
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_parts, inner))


def _unique(validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[Any]:  # noqa: ANN401 - as `jsonschema` calls it
    """Its own takes the square of the length."""
    if wanted and validator.is_type(value, "array") and len(set(map(written, value))) < len(value):
        yield ValidationError("two items are equal")


_OVERRIDDEN: Final = dict.fromkeys(sorted(UNCHECKED), lambda *_: None) | {"uniqueItems": _unique}
