"""`consensus-server`: runs the service, and lets its operator act on the database directly."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    app: typer.Typer

__all__ = ["app", "main"]

INTERRUPTED = 130
"""As `command_line.Exit` has it, whose libraries may be what was being loaded."""
INSTALL_HINT = 'pip install "semantic-consensus[server]"'


def __getattr__(name: str) -> "typer.Typer":
    """`app`, made when it is asked for: without the extra `server` its libraries are missing."""
    if name != "app":
        raise AttributeError(name)
    from consensus_server.cli.application import app  # noqa: PLC0415 - see above

    return app


def main() -> None:
    """The console script. What it writes is for the user that runs it alone: databases, tokens, maps with answers."""
    os.umask(0o077)
    try:
        app = __getattr__("app")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("consensus_server", "client_kit")):
            raise
        raise SystemExit(f"{error.name} is not installed. The server needs its extra: {INSTALL_HINT}") from None
    except KeyboardInterrupt:  # loading the libraries takes seconds
        raise SystemExit(INTERRUPTED) from None
    app()
