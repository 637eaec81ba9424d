"""Copies of a SQLite database that is in use, and whether a database is sound."""

import os
import secrets
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database that is open, or was when its process died."""


class CopyRefused(Exception):  # noqa: N818 - a state of files
    """The copy cannot be made or put back. The message says why and what would do."""


def back_up(database: Path, copy: Path) -> None:
    """One consistent copy, while servers and workers go on; it appears whole or not at all, and for its owner alone.

    Raises CopyRefused.
    """
    if copy.exists():
        raise CopyRefused(f"{copy} is there already, and no backup is written over. Name another file")
    _require_there(database)
    with _draft(copy) as draft, closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("VACUUM INTO ?", (str(draft),))  # one reading transaction: writers do not wait for it
        require_sound(draft)


def put_back(copy: Path, database: Path) -> None:
    """The copy in the place of a database, which must not be there. Raises CopyRefused."""
    require_sound(copy)
    # SQLite would replay a journal that was left behind into whatever has the database's name.
    for file in (database, *(database.with_name(database.name + end) for end in _BESIDE)):
        if file.exists():
            raise CopyRefused(
                f"{file} is there. Stop the server and move it away, with all whose names begin with {database.name}; then restore again"
            )
    database.parent.mkdir(parents=True, exist_ok=True)
    with _draft(database) as draft, closing(sqlite3.connect(copy)) as connection:
        connection.execute("VACUUM INTO ?", (str(draft),))


def require_sound(database: Path) -> None:
    """Raises CopyRefused where the file is missing, damaged, or no SQLite database of this service."""
    _require_there(database)
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            faults += [
                f"a row of {row[0]} names one that is missing" for row in connection.execute("PRAGMA foreign_key_check")
            ]
            connection.execute("SELECT version_num FROM alembic_version")
    except sqlite3.Error as error:
        raise CopyRefused(f"{database} is no sound database of this service: {error}") from None
    if faults:
        raise CopyRefused(f"{database} is damaged: {'; '.join(faults[:3])}. Take another copy")


def _require_there(database: Path) -> None:
    if not database.exists():
        raise CopyRefused(f"there is no database at {database}")


@contextmanager
def _draft(file: Path) -> Generator[Path]:
    """A file that takes its place, durable, when the block ends well, and is gone when it does not."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        yield draft
        draft.chmod(0o600)
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        draft.rename(file)
    except sqlite3.Error as error:
        raise CopyRefused(f"{file} cannot be written: {error}") from None
    finally:
        draft.unlink(missing_ok=True)
