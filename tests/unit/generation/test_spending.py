"""Estimates, meters and limits."""

import pytest

from client_kit.errors import SpendingLimit
from client_kit.generation.base import Sampling
from client_kit.generation.spending import TEMPLATE_TOKENS, Budget, Tokens, at_most, estimate
from client_kit.settings import SpendingSettings
from client_kit.wire import Prompt

PRICES = {"prompt_price": 2.0, "completion_price": 8.0, "currency": "EUR"}
PRICED = SpendingSettings(**PRICES)
PROMPT = Prompt(prompt_id="a", prompt="wörd")


def test_money_is_tokens_times_price():
    assert Tokens(1_000_000, 500_000).cost(PRICED) == 6.0
    assert Tokens(1_000_000, 500_000).describe(PRICED) == "1,000,000 + 500,000 tokens, 6 EUR"
    assert Tokens(1, 2).describe(SpendingSettings()) == "1 + 2 tokens"


def test_an_estimate_is_an_upper_bound():
    assert at_most(PROMPT, Sampling(max_tokens=7)) == Tokens(5 + TEMPLATE_TOKENS, 7)
    assert estimate([(PROMPT, 0), (PROMPT, 1)], Sampling(max_tokens=7)) == Tokens(2 * (5 + TEMPLATE_TOKENS), 14)


def test_too_much_is_refused_before_anything_is_asked():
    Budget(SpendingSettings(**PRICES, limit=6.0)).check(Tokens(1_000_000, 500_000), answers=3)
    with pytest.raises(SpendingLimit, match=r"3 answers take at most .*6 EUR; the limit is 5.9 EUR. Nothing was asked"):
        Budget(SpendingSettings(**PRICES, limit=5.9)).check(Tokens(1_000_000, 500_000), answers=3)
    with pytest.raises(SpendingLimit, match=r"after 90 \+ 0 tokens; the limit is 100 tokens"):
        Budget(SpendingSettings(limit_tokens=100), spent=Tokens(90, 0)).check(Tokens(5, 6), answers=1)


def test_what_is_under_way_counts_at_most_and_what_has_come_as_it_was():
    budget = Budget(SpendingSettings(limit_tokens=100))
    budget.reserve(Tokens(10, 50), "a")
    with pytest.raises(SpendingLimit, match="prompt b: another answer could exceed"):
        budget.reserve(Tokens(10, 50), "b")
    budget.settle(Tokens(10, 50), Tokens(10, 5))
    budget.reserve(Tokens(10, 50), "b")
    assert budget.spent == Tokens(10, 5)
