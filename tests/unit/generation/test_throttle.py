"""How the number of requests at once follows the endpoint."""

import asyncio

import pytest

from client_kit.generation.throttle import Throttle, Window


def test_the_window_begins_at_what_was_chosen_is_halved_and_grows_by_one_per_window():
    window = Window(8)
    window.overloaded(began=0.0, now=1.0)
    assert window.size == 4
    for _ in range(4):
        window.succeeded()
    assert window.size == pytest.approx(5, abs=0.15)
    for _ in range(1000):
        window.succeeded()
    assert window.size == 8


def test_requests_from_before_the_last_decrease_do_not_lower_it_again():
    window = Window(8)
    for _ in range(8):
        window.overloaded(began=0.0, now=1.0)
    assert window.size == 4
    window.overloaded(began=1.5, now=2.0)
    assert window.size == 2


def test_one_request_is_always_allowed():
    window = Window(2)
    for moment in range(10):
        window.overloaded(began=moment, now=moment)
    assert window.size == 1


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def enter(throttle, log, name, leave):
    async with throttle.turn() as turn:
        log.append(name)
        await leave.wait()
        turn.overloaded = name == "overloaded"


async def test_requests_wait_for_a_place_first_come_first_served():
    throttle, log, leave = Throttle(2, clock=Clock()), [], asyncio.Event()
    tasks = [asyncio.create_task(enter(throttle, log, name, leave)) for name in "abcd"]
    await asyncio.sleep(0)
    assert log == ["a", "b"]
    leave.set()
    await asyncio.gather(*tasks)
    assert log == ["a", "b", "c", "d"]


async def test_overload_lowers_the_window_and_slow_answers_do_not():
    clock = Clock()
    throttle, leave = Throttle(8, clock=clock), asyncio.Event()
    leave.set()
    await enter(throttle, [], "overloaded", leave)
    assert throttle.window.size == 4
    async with throttle.turn():
        clock.now += 1_000
    assert throttle.window.size == pytest.approx(4.25)


async def test_a_failure_that_says_nothing_of_the_load_leaves_the_window():
    throttle = Throttle(8, clock=Clock())
    throttle.window.size = 4.0
    with pytest.raises(ValueError, match="other"):
        async with throttle.turn():
            raise ValueError("other")
    assert throttle.window.size == 4


async def test_one_that_gives_up_waiting_leaves_its_place_to_the_next():
    throttle, log, leave = Throttle(1, clock=Clock()), [], asyncio.Event()
    first, second, third = (asyncio.create_task(enter(throttle, log, name, leave)) for name in "abc")
    await asyncio.sleep(0)
    second.cancel()
    leave.set()
    await asyncio.gather(first, third)
    assert log == ["a", "c"]
    assert second.cancelled()
