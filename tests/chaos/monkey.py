"""What happens to a deployment: drawn by seed, one thing after the other, until it is told to stop."""

import gzip
import random
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import suppress

from client_kit.wire import routes
from tests.chaos.deployment import FAKE_TIME, LEASE_SECONDS, PROCESSES

BALLAST = "ballast"


class Monkey:
    """Does its worst in a thread of its own. seed: of what, and when; what it meets depends on the machine."""

    def __init__(self, deployment, federation, seed, *, postgres=None, disk=None, most=None):
        """most: things that it does before it has had enough; None: it never has."""
        self._deployment, self._federation, self._postgres, self._disk = deployment, federation, postgres, disk
        self._draw = random.Random(seed)
        self._most = most
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failed = None
        self.done = Counter()
        self.events = {
            self.kill: 10, self.freeze: 2, self.break_log: 1, self.cut_upload: 2, self.drip_upload: 1, self.end_orderly: 1,
        }  # fmt: skip
        if postgres is not None:
            self.events[self.restart_database] = 1
        if disk is not None:
            self.events[self.fill_disk] = 1
        if FAKE_TIME:
            self.events[self.jump_clock] = 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _run(self):
        events, weights = list(self.events), list(self.events.values())
        try:
            while not self._stop.wait(self._draw.uniform(0.02, 0.3) * self._deployment.start_seconds):
                if self.done.total() == self._most:
                    return
                event = self._draw.choices(events, weights)[0]
                if event() is not False:
                    self.done[event.__name__] += 1
        except Exception as error:  # noqa: BLE001 - told by whoever waits for this thread
            self._failed = error

    def kill(self):
        return self._deployment.send(self._draw.choice(PROCESSES), signal.SIGKILL)

    def end_orderly(self):
        return self._deployment.send(self._draw.choice(PROCESSES), signal.SIGTERM)

    def freeze(self):
        """A process that stands still for longer than its lease, and goes on as if nothing had been."""
        name = self._draw.choice(PROCESSES)
        if not self._deployment.send(name, signal.SIGSTOP):
            return False
        time.sleep(LEASE_SECONDS * self._draw.uniform(0.5, 1.5))
        return self._deployment.send(name, signal.SIGCONT)

    def break_log(self):
        """From the next start on, what is logged cannot be written; and then it can again."""
        self._deployment.log_is_broken = not self._deployment.log_is_broken
        return self.kill()

    def jump_clock(self):
        self._deployment.set_clock(self._draw.choice(("+3600", "-3600", "+0")))

    def restart_database(self):
        self._postgres.stop(self._draw.choice(("immediate", "fast")))
        time.sleep(self._draw.uniform(0, 1.5))
        self._postgres.start()

    def fill_disk(self):
        ballast = self._disk / BALLAST
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass
        time.sleep(self._draw.uniform(0.2, 1.5))
        ballast.unlink()

    def cut_upload(self):
        """Half a body, and the line is dead."""
        with self._upload() as line:
            if line is None:
                return False
            return None

    def drip_upload(self):
        """A body that comes byte by byte, and never ends."""
        with self._upload() as line:
            if line is None:
                return False
            for _ in range(8):
                time.sleep(0.1)
                line.sendall(b"{")
            return None

    def _upload(self):
        return _Line(self._deployment, self._federation, self._draw)


class _Line:
    """A connection on which a PUT of answers has begun; None where the server is down."""

    def __init__(self, deployment, federation, draw):
        path = routes.SUBMISSIONS.format(federation="chaos", number=federation.number)
        token = draw.choice(sorted(federation.tokens.values()))
        body = gzip.compress(b'{"prompt_id": "p00", "text": "What nobody said."}\n' * 50)
        self._head = (
            f"PUT {path}?replace=true HTTP/1.1\r\nHost: chaos\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\nContent-Length: {len(body) + 100}\r\n\r\n"
        ).encode() + body[: len(body) // 2]
        self._address = ("127.0.0.1", deployment.port)
        self._line = None

    def __enter__(self):
        try:
            self._line = socket.create_connection(self._address, timeout=5)
            self._line.sendall(self._head)
        except OSError:
            return None
        return _Forgiving(self._line)

    def __exit__(self, *_):
        if self._line is not None:
            self._line.close()


class _Forgiving:
    """The server may be killed while it is sent to."""

    def __init__(self, line):
        self._line = line

    def sendall(self, part):
        with suppress(OSError):
            self._line.sendall(part)
