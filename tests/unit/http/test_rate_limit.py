"""The token bucket: bursts pass, floods wait, callers do not hinder one another."""

from consensus_server.http_api.rate_limit import RateLimiter


class Time:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_burst_passes_and_the_next_request_is_told_how_long_to_wait():
    limiter = RateLimiter(per_second=0.25, burst=3, monotonic=Time())
    assert [limiter.wait_seconds("a") for _ in range(5)] == [0, 0, 0, 4, 4]


def test_tokens_come_back_with_time_but_never_above_the_burst():
    now = Time()
    limiter = RateLimiter(per_second=2, burst=3, monotonic=now)
    for _ in range(4):
        limiter.wait_seconds("a")
    now.seconds += 0.5
    assert [limiter.wait_seconds("a") for _ in range(2)] == [0, 1]
    now.seconds += 3_600
    assert [limiter.wait_seconds("a") for _ in range(4)] == [0, 0, 0, 1]


def test_callers_have_buckets_of_their_own():
    limiter = RateLimiter(per_second=1, burst=1, monotonic=Time())
    assert limiter.wait_seconds("a") == 0
    assert limiter.wait_seconds("a") == 1
    assert limiter.wait_seconds("b") == 0


def test_memory_is_bounded_by_forgetting_the_quietest():
    limiter = RateLimiter(per_second=1, burst=1, max_keys=2, monotonic=Time())
    for key in ("a", "b", "a", "c"):
        limiter.wait_seconds(key)
    assert limiter.wait_seconds("a") == 1
    assert limiter.wait_seconds("b") == 0
