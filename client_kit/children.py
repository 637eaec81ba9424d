"""Python processes that this one starts: they end with it, even where it was killed and could stop nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

_GUARD = "from client_kit.children import end_with_parent; end_with_parent({parent})\n"
_LOG_LINES = 15
_PAUSE_SECONDS = 0.5


def start(
    program: str,
    *arguments: str,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Run Python code by this very interpreter, as a process that ends when this one does.

    It is of a session of its own: Ctrl-C is for this process, which then stops the others in order.

    environment: all of its variables; this process's own when not set. Raises OSError as `subprocess` does.
    """
    return subprocess.Popen(  # noqa: S603 (our own interpreter and code)
        # -P keeps the current folder out of the imports.
        [sys.executable, "-P", "-c", _GUARD.format(parent=os.getpid()) + program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        start_new_session=True,
    )


def end_with_parent(parent: int, *, grace_seconds: float = 20.0) -> None:
    """Called first in a child: from now on it is asked to end (SIGTERM) once its parent is gone, and later killed.

    A thread looks who the parent is. Linux would send a signal by itself (PR_SET_PDEATHSIG), but already when the
    *thread* that started the child ends, and not at all where the parent was gone before the child asked for it.

    parent: process id of the one that started this process. grace_seconds: time to end before it is killed.
    """
    threading.Thread(target=_follow, args=(parent, grace_seconds), name="end with parent", daemon=True).start()


def _follow(parent: int, grace_seconds: float) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def log_tail(log: Path) -> str:
    """The last lines of a process's log, with its name."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
    return "\n  ".join([f"The last lines of {log}:", *lines])
