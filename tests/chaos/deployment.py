"""A deployment as an operator runs it: a server and two workers over one database, and what keeps them running."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

PROGRAM = "from consensus_server.cli import main; main()"
PROCESSES = ("server", "worker-1", "worker-2")
LEASE_SECONDS = 2.0
CLOCK = "CONSENSUS_CHAOS_CLOCK"
"""Set where clocks jump too: libfaketime is put into every process, which makes each look at the time slow."""
FAKE_TIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")) if os.environ.get(CLOCK) else []


class Deployment:
    """Processes that are started again when they end, as systemd would.

    folder: the server's data, and logs. database_url: of PostgreSQL; None for SQLite in the folder.
    """

    def __init__(self, folder, database_url=None):
        self.folder, self.database_url = folder, database_url
        self.operator_token = secrets.token_urlsafe(32)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_is_broken = False
        self._clock = folder / "clock"
        self.set_clock("+0")
        self._running, self._began = {}, {}
        self.start_seconds = 0.0
        """That a first start takes on this machine: the measure of everything that happens later."""
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep_running)

    def __enter__(self):
        for name in PROCESSES:
            self._start(name)
        self._keeper.start()
        began = time.monotonic()
        self.wait_until_ready()
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._keeper.join()
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def options(self):
        """Of every command: where the data lies."""
        where = ["--database-url", self.database_url] if self.database_url else []
        return ["--data-dir", str(self.folder), *where]

    def send(self, name, number):
        """A signal to a process that runs; False where it is down, or so young that it may have done nothing yet."""
        with self._lock:
            process = self._running[name]
            young = time.monotonic() - self._began[name] < 1.3 * self.start_seconds
            if process.poll() is not None or (young and number != signal.SIGCONT):
                return False
            process.send_signal(number)
            return True

    def set_clock(self, offset):
        """Of all processes at once, such as `+3600`; those that run read it at every look."""
        self._clock.write_text(offset)

    def wait_until_ready(self, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server is not ready after {seconds} s: {self.log_tail()}")

    def command(self, *words):
        """Output of `consensus-server WORDS` on this database; AssertionError where it fails."""
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words, *self.options()], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def log_tail(self):
        """The last lines of each process, to be read by a person."""
        ends = (f"{name}: {self._log(name).read_text()[-1500:]}" for name in PROCESSES)
        return f"log broken: {self.log_is_broken}, clock {self._clock.read_text()}\n" + "\n".join(ends)

    def _log(self, name):
        return self.folder.parent / f"{self.folder.name}-{name}.log"

    def _start(self, name):
        self._began[name] = time.monotonic()
        serve = ("serve", "--port", str(self.port))
        words = serve if name == "server" else ("worker",)
        environment = {
            **os.environ,
            "CONSENSUS_OPERATOR_TOKEN": self.operator_token,
            "CONSENSUS_ENCODER": "hashing",
            "CONSENSUS_LEASE_SECONDS": str(LEASE_SECONDS),
            "CONSENSUS_POLL_SECONDS": "0.05",
            "CONSENSUS_BODY_SECONDS": "5",
            "OMP_NUM_THREADS": "1",
        }
        if FAKE_TIME:
            environment |= {
                "LD_PRELOAD": str(FAKE_TIME[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        log = Path("/dev/full") if self.log_is_broken else self._log(name)
        with log.open("ab") as stream:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *words, *self.options()],
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream,
            )  # fmt: skip

    def _keep_running(self):
        while not self._ending.wait(0.05):
            with self._lock:
                for name, process in self._running.items():
                    if process.poll() is not None:
                        self._start(name)


@contextmanager
def small_disk(megabytes=48):
    """A folder on a disk of its own that can be filled; None where this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="consensus-chaos-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL server of this test's own, which it may end as it likes."""

    def __init__(self, binaries, folder):
        self._binaries, self._folder = binaries, folder
        self.url = f"postgresql+psycopg://consensus@/postgres?host={folder}"

    def run(self, program, *arguments):
        dropped = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        # Its own output goes to a file: a server that it starts would keep a pipe open.
        with (self._folder / "log").open("ab") as log:
            done = subprocess.run(
                [*dropped, str(self._binaries / program), *arguments],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                check=False,
            )
        assert done.returncode == 0, (self._folder / "log").read_text()[-500:]

    def start(self):
        # With fsync: whether it survives its own end is a part of the question.
        options = f"-c listen_addresses='' -k {self._folder} -c max_connections=200"
        log = str(self._folder / "data" / "server.log")
        self.run("pg_ctl", "-D", str(self._folder / "data"), "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", str(self._folder / "data"), "-m", mode, "-w", "stop")


@contextmanager
def own_postgres():
    """A cluster in a folder of its own; None where there is none to be had."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or os.geteuid() != 0 or shutil.which("setpriv") is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="consensus-chaos-postgres-"))
    shutil.chown(folder, "postgres")
    server = Postgres(found[-1].parent, folder)
    try:
        server.run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            "consensus",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
