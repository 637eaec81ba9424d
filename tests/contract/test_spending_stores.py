"""What every store of spendings promises (consensus_server.ports.SpendingStore), held against each database."""

import threading

import pytest

from consensus_server.backends.store import SqlSpendingStore
from consensus_server.core.budgets import Amount, Budget
from tests.support.databases import DATABASES, empty_engine

BUDGET = Budget(tokens=100, money=2.0, seconds=60)


@pytest.fixture(params=DATABASES)
def spendings(request, tmp_path):
    engine = empty_engine(request.param, tmp_path)
    yield SqlSpendingStore(engine)
    engine.dispose()


def test_an_amount_is_taken_whole_or_not_at_all(spendings):
    assert spendings.reserve("shop", 60, Amount(60, 1.0), BUDGET) is None
    assert spendings.reserve("shop", 60, Amount(41, 0.0), BUDGET) == Amount(60, 1.0)
    assert spendings.reserve("shop", 60, Amount(1, 1.5), BUDGET) == Amount(60, 1.0)
    assert spendings.reserve("other", 60, Amount(100, 2.0), BUDGET) is None
    spendings.settle("shop", 60, Amount(-50, -0.5))
    assert spendings.reserve("shop", 60, Amount(90, 1.5), BUDGET) is None


def test_a_limit_that_is_not_set_limits_nothing(spendings):
    assert spendings.reserve("shop", 60, Amount(10**9, 0.1), Budget(tokens=None, money=1.0, seconds=60)) is None


def test_another_span_begins_anew_and_what_comes_late_for_the_old_one_is_forgotten(spendings):
    assert spendings.reserve("shop", 60, Amount(100, 0.0), BUDGET) is None
    assert spendings.reserve("shop", 120, Amount(100, 0.0), BUDGET) is None
    spendings.settle("shop", 60, Amount(-100, 0.0))
    assert spendings.reserve("shop", 120, Amount(1, 0.0), BUDGET) == Amount(100, 0.0)


def test_many_at_once_never_take_more_than_there_is(spendings):
    took = []
    together = threading.Barrier(8)

    def take():
        together.wait()
        took.append(spendings.reserve("shop", 60, Amount(30, 0.0), BUDGET) is None)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(took) == 3
