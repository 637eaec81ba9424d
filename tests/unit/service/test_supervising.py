"""A thread that an error ends is started again, and readiness knows of it."""

import threading

import pytest

from consensus_server.service import supervising
from consensus_server.service.supervising import TROUBLED_SECONDS, Supervisor


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(supervising, "AGAIN_SECONDS", 0.0)


@pytest.mark.parametrize("error", [RuntimeError("once"), MemoryError(), SystemExit(3)])
def test_work_goes_on_after_an_error(error):
    left, worked, stop, now = [error], threading.Event(), threading.Event(), [100.0]

    def work(told):
        if left:
            raise left.pop()
        worked.set()
        told.wait(10)

    threads = Supervisor(clock=lambda: now[0])
    threads.start("worker", work, stop)
    assert worked.wait(10)
    assert (threads.restarts(), threads.troubled()) == ({"worker": 1}, ["worker"])
    now[0] += TROUBLED_SECONDS
    assert threads.troubled() == []
    stop.set()
    threads.join(10)
    assert "worker" not in {thread.name for thread in threading.enumerate()}


def test_work_that_is_done_for_good_is_not_begun_again():
    times = []
    threads = Supervisor()
    threads.start("worker", lambda _: times.append(1), threading.Event())
    threads.join(10)
    assert (times, threads.restarts(), threads.troubled()) == ([1], {"worker": 0}, [])
