"""Policies on the command line: fields by `--set FIELD=VALUE` and by file, checked as a federation's are."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from client_kit.command_line import CommandFailed, Exit
from client_kit.errors import ConfigurationError
from client_kit.settings_files import load_settings
from client_kit.wire import ConsensusPolicy
from consensus_server.cli.federations import calibration_in


def fields_set(changes: Iterable[str]) -> dict[str, object]:
    """What `FIELD=VALUE` each say. The values are not checked yet. Raises CommandFailed."""
    fields: dict[str, object] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise CommandFailed(
                f"{change!r} is not of the form FIELD=VALUE.", Exit.USAGE, remedy="For example: --set rule=medoid"
            )
        field = name.strip().replace("-", "_")
        fields[field] = _calibration(value.strip()) if field == "calibration" else value.strip()
    return fields


def fields_in(path: Path) -> dict[str, object]:
    """What a file says of a policy: YAML or JSON with any of its fields. Raises CommandFailed that names line and field."""
    try:
        given = load_settings(path, ConsensusPolicy, fields_told_by="consensus-server evaluate-labels --help")
    except ConfigurationError as error:
        raise CommandFailed(str(error), Exit.BAD_FILE) from None
    return given.model_dump(exclude_unset=True)


def checked_policy(fields: dict[str, object]) -> ConsensusPolicy:
    """The policy of some fields, the others as by default. Raises CommandFailed for what a federation would refuse."""
    try:
        return ConsensusPolicy.model_validate(fields)
    except ValidationError as error:
        raise _unfit(error) from None


def _calibration(value: str) -> object:
    """None for `null`, otherwise what the file of this name holds. Raises CommandFailed."""
    if not value:
        raise CommandFailed(
            "calibration= names no file.",
            Exit.USAGE,
            remedy="To decide without one: --set calibration=null. To decide with another: --set calibration=FILE.",
        )
    return None if value == "null" else calibration_in(Path(value))


def _unfit(error: ValidationError) -> CommandFailed:
    """A policy with faulty fields, or with a calibration of another score: the one fault that is no single field's."""
    faults = error.errors()
    said = [": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"]))) for fault in faults]
    if all(fault["loc"] for fault in faults):
        remedy = f"Fields are {', '.join(ConsensusPolicy.model_fields)}."
    else:
        remedy = (
            "A calibration holds for the score that it was fitted to. To change the confidence, add --set calibration=null, "
            "or --set calibration=FILE with a calibration of that score."
        )
    return CommandFailed("\n".join(said), Exit.USAGE, remedy=remedy)
