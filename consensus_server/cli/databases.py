"""`consensus-server database`: the schema, copies, and whether what is stored is sound."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.engine import make_url

from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, say
from consensus_server.backends.store.copies import CopyRefused, back_up, put_back, require_sound
from consensus_server.cli.audits import verified_lines
from consensus_server.cli.operating import DatabaseOption, DataDirOption, on_server, settings_from
from consensus_server.service.checking import published_rounds
from consensus_server.settings import Settings
from consensus_server.wiring import Server, build_server

CopyArgument = Annotated[Path, typer.Argument(help="File of the copy.", metavar="FILE")]

app = typer.Typer(help="Look after the database.", no_args_is_help=True)


@app.command(epilog="Example: consensus-server database upgrade --data-dir consensus-data")
def upgrade(
    *, data_dir: DataDirOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Bring the database to the newest schema; a new one is made. `serve` does the same when it starts."""
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    build_server(settings, secrets.token_urlsafe()).close()
    if as_json:
        print_json({"schema": "newest"})
    else:
        say("The database has the newest schema.")


@app.command(epilog="Example: consensus-server database backup /srv/backup/monday.sqlite3 --data-dir /srv/consensus")
def backup(
    copy: CopyArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the SQLite database while server and workers go on. The copy is consistent, checked, and there whole or not at all."""
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    file = _file_of(settings, "pg_dump --format=custom --file=FILE")
    with _refusals("No copy was made: "):
        back_up(file, copy)
    _say_copied(copy, as_json=as_json)


@app.command(epilog="Example: consensus-server database restore /srv/backup/monday.sqlite3 --data-dir /srv/consensus")
def restore(
    copy: CopyArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a copy in the place of a SQLite database that was moved away, at the newest schema. The server must not run."""
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    file = _file_of(settings, "pg_restore --clean --if-exists --dbname=NAME FILE")
    with _refusals("Nothing was restored: "):
        put_back(copy, file)
    build_server(settings, secrets.token_urlsafe()).close()
    _say_copied(file, as_json=as_json)


@app.command(epilog="Example: consensus-server database check --data-dir /srv/consensus")
@on_server
def check(server: Server, *, as_json: JsonOption = False) -> None:
    """Read the database through, and every published label against the digest of its round. Exit code 1 where anything is amiss."""
    if (file := _sqlite_file(server.settings)) is not None:
        with _refusals():
            require_sound(file)
    rounds = list(published_rounds(server.store))
    changed = [f"{each.federation} {each.number}" for each, sound in rounds if not sound]
    if changed:
        raise CommandFailed(
            f"The labels of {len(changed)} of {len(rounds)} published rounds are not what was published: {', '.join(changed[:5])}.",
            Exit.FAILED,
            remedy="Restore a copy from before: consensus-server database restore FILE.",
        )
    if as_json:
        print_json({"sound": True, "published_rounds": len(rounds)})
        return
    say(f"The database is sound; the labels of {len(rounds)} published rounds have the digests that were published.")


@app.command(epilog="Example: consensus-server database erase-again audit.jsonl --data-dir /srv/consensus")
@on_server
def erase_again(
    server: Server,
    record: Annotated[Path, typer.Argument(help="File of `audit export` from before.", metavar="FILE")],
    *,
    as_json: JsonOption = False,
) -> None:
    """After a restore: erase what the record says was erased, and the database does not know of. Exit code 1 where something waits."""
    lines = verified_lines(record)
    repeated = server.use_cases.erasures.repeat(lines)
    if repeated.waiting:
        raise CommandFailed(
            f"A round is to be decided with sealed answers of {', '.join(repeated.waiting)}; erased again: "
            f"{', '.join(repeated.done) or 'nobody'}.",
            Exit.FAILED,
            remedy="Repeat this once those rounds are published or failed.",
        )
    if as_json:
        print_json({"erased": list(repeated.done)})
    else:
        say(f"Erased again: {', '.join(repeated.done) or 'nobody; the database knows of every erasure in the record'}.")


@contextmanager
def _refusals(what: str = "") -> Generator[None]:
    """Raises CommandFailed for a copy or a database that is refused. what: came of it, before the reason."""
    try:
        yield
    except CopyRefused as error:
        raise CommandFailed(f"{what}{error}.", Exit.FAILED) from None


def _file_of(settings: Settings, otherwise: str) -> Path:
    """The SQLite file. Raises CommandFailed for another database, whose own tools do it."""
    file = _sqlite_file(settings)
    if file is None:
        raise CommandFailed(
            "This command is for SQLite; PostgreSQL has tools of its own.", Exit.USAGE, remedy=f"Run {otherwise}."
        )
    return file


def _sqlite_file(settings: Settings) -> Path | None:
    """The database's file; None for another database."""
    url = make_url(settings.database)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _say_copied(file: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size})
    else:
        say(f"{file}: {file.stat().st_size:,} bytes, checked.")
