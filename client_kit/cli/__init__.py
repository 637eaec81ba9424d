"""The command line of a participant: `consensus`. One module per command; heavy libraries are loaded by those that need them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    app: typer.Typer

__all__ = ["app", "main"]

INTERRUPTED = 130
"""As `command_line.Exit` has it, whose libraries may be what was being loaded."""


def __getattr__(name: str) -> "typer.Typer":
    """`app`, made when it is asked for: see `main`."""
    if name != "app":
        raise AttributeError(name)
    from client_kit.cli.application import app  # noqa: PLC0415 - see `main`

    return app


def main() -> None:
    """Entry point of the console script. Ctrl-C ends it quietly while its modules are still being loaded, too."""
    try:
        from client_kit.cli.application import run  # noqa: PLC0415 - takes half a second

        run()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
