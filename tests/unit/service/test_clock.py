"""Time that nobody sets: deadlines and leases do not jump."""

from datetime import UTC, datetime, timedelta

import pytest

from consensus_server.backends.clock import SteadyClock
from consensus_server.core.errors import StoreUnavailable

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Source:
    """A clock on a wall, and the seconds that pass."""

    def __init__(self):
        self.says, self.passed, self.looks, self.away = NOON, 5.0, 0, False

    def __call__(self):
        self.looks += 1
        if self.away:
            raise StoreUnavailable("connection refused")
        return self.says

    def wait(self, seconds):
        self.passed += seconds
        self.says += timedelta(seconds=seconds)


@pytest.fixture
def source():
    return Source()


def steady(source, **options):
    return SteadyClock(source, passed=lambda: source.passed, **options)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_moves_no_deadline(source, hours):
    clock = steady(source)
    assert clock.now() == NOON
    source.says += timedelta(hours=hours)
    source.wait(10)
    assert (clock.now(), source.looks) == (NOON + timedelta(seconds=10), 1)


def test_two_that_look_at_one_source_agree_though_one_of_them_drifts(source):
    clock = steady(source, look_seconds=60)
    assert clock.now() == NOON
    source.wait(59)
    source.says += timedelta(seconds=2)  # by its own count this machine is 2 s behind
    assert clock.now() == NOON + timedelta(seconds=59)
    source.wait(1)
    assert (clock.now(), source.looks) == (NOON + timedelta(seconds=62), 2)


def test_a_source_that_is_away_is_looked_at_again_later(source):
    clock = steady(source, look_seconds=60)
    clock.now()
    source.away = True
    source.wait(90)
    assert [clock.now(), clock.now()] == [NOON + timedelta(seconds=90)] * 2
    assert source.looks == 2
    source.away = False
    source.wait(60)
    assert (clock.now(), source.looks) == (NOON + timedelta(seconds=150), 3)


def test_without_any_time_there_is_none_to_tell(source):
    source.away = True
    with pytest.raises(StoreUnavailable):
        steady(source).now()
