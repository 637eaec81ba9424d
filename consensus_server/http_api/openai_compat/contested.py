"""In which parts of a JSON value, or of calls of tools, the meanings of a pool differ."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from consensus_server.core.consensus.meaning.json_values import Missing, NotJson, differences, parsed, written
from consensus_server.core.inference import Reply
from consensus_server.core.labels import AnswerFate, ClusterShare
from consensus_server.http_api.openai_compat.answers import ContestedField, ContestedValue

MOST_FIELDS: Final = 50


def contested_fields(
    clusters: Sequence[ClusterShare], fates: Sequence[AnswerFate], replies: Mapping[tuple[str, int], Reply]
) -> list[ContestedField]:
    """The smallest parts in which meanings differ, in the order of their paths; meanings without a value are left out.

    fates: of the answers of one choice. replies: by voter and sample.
    """
    values: dict[int, Any] = {}
    for fate in sorted(fates, key=lambda fate: (fate.participant, fate.sample)):
        reply = replies.get((fate.participant, fate.sample))
        if fate.cluster is None or fate.cluster in values or reply is None:
            continue
        try:
            values[fate.cluster] = _value(reply)
        except NotJson:
            continue
    places = sorted(values)
    votes = [clusters[place].votes for place in places]
    found = list(differences([values[place] for place in places])) if len(places) > 1 else []
    return [
        ContestedField(path=_sendable(path), values=_sides(each, places, votes)) for path, each in found[:MOST_FIELDS]
    ]


def _value(reply: Reply) -> Any:  # noqa: ANN401 - whatever JSON holds
    if not reply.tool_calls:
        return parsed(reply.text)
    return [{"name": call.name, "arguments": parsed(call.arguments.strip() or "{}")} for call in reply.tool_calls]


def _sides(values: Sequence[Any], places: Sequence[int], votes: Sequence[float]) -> list[ContestedValue]:
    """Each different value with the meanings that have it, most votes first; places are in the order of votes."""
    sides: dict[str | None, list[int]] = defaultdict(list)
    for at, value in enumerate(values):
        sides[None if value is Missing.MISSING else written(value)].append(at)
    told = [
        ContestedValue(
            clusters=[places[at] for at in side],
            votes=sum(votes[at] for at in side),
            missing=key is None,
            value=None if key is None else _told(values[side[0]]),
        )
        for key, side in sides.items()
    ]
    return sorted(told, key=lambda side: (-side.votes, side.clusters))


def _told(value: Any) -> Any:  # noqa: ANN401 - from a value as `parsed` gives it to one that JSON has
    if isinstance(value, str):
        return _sendable(value)
    if isinstance(value, dict):
        return {_sendable(name): _told(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_told(each) for each in value]
    if isinstance(value, Fraction):  # of a number as large as this, no float has a fraction, or there is none
        return float(value) if abs(value) < 2**53 else round(value)
    return value


def _sendable(text: str) -> str:
    """The text without halves of surrogate pairs, which no answer can hold."""
    return text.encode("utf-8", "ignore").decode()
