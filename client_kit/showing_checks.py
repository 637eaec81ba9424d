"""How both command lines show what was checked of a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import Exit, print_json, print_table, say
from client_kit.verifying import Check, Verified

BundleArgument = Annotated[
    Path, typer.Argument(help="A bundle of a round.", metavar="FILE", exists=True, dir_okay=False)
]
ServerKeyOption = Annotated[
    str | None,
    typer.Option(
        "--server-key", help="Public key that the server must have signed with, as you know it.", metavar="KEY"
    ),
]


def show_verified(found: Verified, more: tuple[Check, ...], *, as_json: bool) -> None:
    """Show every check, and end the command with exit code 1 where one failed. more: checks that were made elsewhere."""
    checks = (*found.checks, *more)
    holds = found.holds and all(check.outcome != "failed" for check in more)
    if as_json:
        rows = [{"check": each.name, "outcome": each.outcome.value, "detail": each.detail} for each in checks]
        about = {name: found.opened.about.get(name) for name in ("federation", "round", "seen_by")}
        print_json({**about, "holds": holds, "checks": rows})
    else:
        print_table(("check", "outcome", "detail"), [(c.name, c.outcome.value, c.detail) for c in checks], empty="")
        say(
            "Nothing that was checked is wrong."
            if holds
            else "This is not what was published: see the checks that failed."
        )
    if not holds:
        raise typer.Exit(Exit.FAILED)
