"""A question is paid for once, whatever becomes of it, and never more than it may cost."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.asking import Adaptive
from consensus_server.core.budgets import Amount, Budget, Price, Tariff
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import StoreUnavailable
from consensus_server.core.inference import Failure, Message, Question, Reply, UpstreamFailed
from consensus_server.service.asking import turns_of
from consensus_server.service.books import Book
from consensus_server.service.budgets import Budgets, BudgetSpent
from consensus_server.service.fan_out import WaitLimits
from consensus_server.service.inference import Inference
from consensus_server.service.panels import Panel, PanelCaller, Panels, QuorumMissed

QUESTION = Question(messages=(Message("user", "1234"),), max_tokens=80)
AT_MOST = 4 + 16 + 80
"""Bytes of the question, what is reserved for a message, and the longest answer."""


class Clock:
    def now(self):
        return datetime.fromtimestamp(130, UTC)


class InMemory:
    """`ports.SpendingStore` for one test."""

    def __init__(self):
        self.spent = Amount()
        self.most = Amount()
        self.out_of_reach = False

    def reserve(self, caller, began, amount, budget):
        assert (caller, began) == ("shop", 120)
        if budget.tokens is not None and (self.spent + amount).tokens > budget.tokens:
            return self.spent
        self.spent += amount
        self.most = max(self.most, self.spent, key=lambda each: each.tokens)
        return None

    def settle(self, caller, began, difference):
        assert (caller, began) == ("shop", 120)
        if self.out_of_reach:
            raise StoreUnavailable("no connection")
        self.spent += difference


class Counted:
    """An upstream that answers with 5 and 2 tokens, fails, or never ends."""

    def __init__(self, name, says="Paris."):
        self.name = name
        self.says = says
        self.busy = asyncio.Event()

    async def ask(self, question):
        self.busy.set()
        if self.says is None:
            raise UpstreamFailed(Failure.UNREACHABLE, "gone")
        if isinstance(self.says, Exception):
            raise self.says
        if self.says == "...":
            await asyncio.Event().wait()
        return Reply(self.says, "stop", 5, 2)

    async def close(self):
        """Nothing to close."""


def panel(*says, quorum=1, **options):
    upstreams = tuple(Counted(f"u{place}", each) for place, each in enumerate(says))
    tariff = Tariff(price=Price(prompt=1_000_000.0, completion=2_000_000.0))
    return Panel(
        name="p",
        upstreams=upstreams,
        limits=WaitLimits(quorum=quorum, deadline_seconds=3_600),
        policy=Policy(guards=False, reliability=False, contradictions="none"),
        tariffs={each.name: tariff for each in upstreams},
        **options,
    )


def shop(tokens):
    return PanelCaller("shop", "", frozenset(), Budget(tokens=tokens, money=None, seconds=60))


@pytest.fixture
def store():
    return InMemory()


@pytest.fixture
def inference(store):
    return Inference(Panels(), HashingEncoder, Budgets(store, Clock()))


async def test_what_was_reserved_is_settled_with_what_the_upstreams_counted(inference, store):
    consensus = await inference.answer(panel("Paris.", "Paris.", None), QUESTION, caller=shop(3 * AT_MOST))
    assert store.most == Amount(3 * AT_MOST, 3 * (20 + 160))
    assert store.spent == Amount(14, 18.0)  # a failure costs nothing
    assert consensus.choices[0].label.text == "Paris."


@pytest.mark.parametrize("tokens", [0, 2 * AT_MOST - 1])
async def test_more_than_the_whole_budget_is_refused_for_good(inference, store, tokens):
    with pytest.raises(
        BudgetSpent, match=rf"may cost {2 * AT_MOST} tokens.*whole budget .* is {tokens} tokens"
    ) as spent:
        await inference.answer(panel("Paris.", "Paris."), QUESTION, caller=shop(tokens))
    assert (spent.value.retry_seconds, store.most) == (None, Amount())


async def test_a_budget_that_is_spent_says_when_it_is_whole_again(inference, store):
    store.spent = Amount(AT_MOST, 0.0)
    chosen = panel("Paris.")
    with pytest.raises(BudgetSpent, match=r"whole again in 50 s") as spent:
        await inference.answer(chosen, QUESTION, caller=shop(AT_MOST))
    assert spent.value.retry_seconds == 50
    assert not chosen.upstreams[0].busy.is_set()


async def test_a_missed_quorum_costs_what_was_answered(inference, store):
    with pytest.raises(QuorumMissed):
        await inference.answer(panel("Paris.", None, quorum=2), QUESTION, caller=shop(1000))
    assert store.spent.tokens == 7


async def test_a_client_that_leaves_pays_once_for_what_was_under_way(inference, store):
    chosen = panel("Paris.", "...", "Paris.", "Paris.", adaptive=Adaptive(first=2, lead=3.0))
    asking = asyncio.create_task(inference.answer(chosen, QUESTION, caller=shop(1000)))
    await chosen.upstreams[1].busy.wait()
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert store.spent.tokens == 7 + AT_MOST  # answered, given up; the others were not asked
    assert not chosen.upstreams[2].busy.is_set()


async def test_a_limit_of_the_request_leaves_out_those_that_an_adaptive_panel_could_do_without(inference):
    chosen = panel("Paris.", "Lyon", "Nice", "Rome", adaptive=Adaptive(first=2, lead=2.0))
    consensus = await inference.answer(chosen, QUESTION, most_tokens=3 * AT_MOST)
    assert [each.upstream for each in consensus.asked] == ["u0", "u1", "u2"]
    for few, limited in ((2, chosen), (4, replace(chosen, adaptive=None))):
        with pytest.raises(BudgetSpent, match=rf"may cost {few * AT_MOST} tokens") as spent:
            await inference.answer(limited, QUESTION, most_tokens=few * AT_MOST - 1)
        assert spent.value.param == "consensus.max_total_tokens"


async def test_a_limit_of_the_request_holds_for_the_fallback_too(inference):
    chosen = panel("Paris.", None, quorum=2, fallback=Counted("f"))
    with pytest.raises(BudgetSpent, match=rf"may cost {3 * AT_MOST} tokens"):
        await inference.answer(chosen, QUESTION, most_tokens=3 * AT_MOST - 1)
    consensus = await inference.answer(chosen, QUESTION, most_tokens=3 * AT_MOST)
    assert consensus.choices[0].fallback == "f"


UNUSABLE = UpstreamFailed(Failure.EMPTY, "nothing but reasoning", reply=Reply("", "length", 5, 2))
UNREAD = UpstreamFailed(Failure.UNREACHABLE, "no answer in time", cost_unknown=True)


@pytest.mark.parametrize(("failure", "cost"), [(UNUSABLE, 7), (UNREAD, AT_MOST)])
async def test_an_answer_that_is_of_no_use_is_paid_for(inference, store, failure, cost):
    await inference.answer(panel("Paris.", "Paris.", failure), QUESTION, caller=shop(1000))
    assert store.spent.tokens == 14 + cost


async def test_a_fault_of_ours_gives_nothing_back_that_was_spent(inference, store):
    with pytest.raises(ZeroDivisionError):
        await inference.answer(panel("Paris.", ZeroDivisionError()), QUESTION, caller=shop(1000))
    assert store.spent.tokens == 7 + AT_MOST


async def test_an_answer_goes_out_though_it_cannot_be_settled_and_its_reservation_stands(inference, store):
    store.out_of_reach = True
    consensus = await inference.answer(panel("Paris.", "Paris."), QUESTION, caller=shop(1000))
    assert (consensus.choices[0].label.text, store.spent.tokens) == ("Paris.", 2 * AT_MOST)


def test_an_upstream_that_is_told_no_limit_is_reserved_what_its_operator_says():
    assert Tariff(reserve_tokens=500, tells_limit=False).at_most(QUESTION).tokens == AT_MOST - 80 + 500


def test_a_long_question_is_measured_once_for_each_upstream_whatever_the_number_of_requests(monkeypatch):
    measured = []
    at_most = Tariff.at_most
    monkeypatch.setattr(
        Tariff, "at_most", lambda tariff, question: measured.append(tariff) or at_most(tariff, question)
    )
    chosen = panel("Paris.", "Lyon")
    book = Book(chosen.tariffs, QUESTION)
    turns = [turns_of(chosen.upstreams, QUESTION, choice=choice, samples=32) for choice in range(8)]
    assert book.at_most(book.within(turns, None, None)).tokens == 2 * 8 * 32 * AT_MOST
    assert len(measured) == 2


async def test_a_client_that_leaves_while_its_budget_is_looked_at_gets_back_what_was_reserved():
    reserving, go = threading.Event(), threading.Event()

    class Slow(InMemory):
        def reserve(self, *given):
            reserving.set()
            assert go.wait(10)
            return super().reserve(*given)

    slow = Slow()
    chosen = panel("Paris.")
    inference = Inference(Panels(), HashingEncoder, Budgets(slow, Clock()))
    asking = asyncio.create_task(inference.answer(chosen, QUESTION, caller=shop(1000)))
    await asyncio.to_thread(reserving.wait, 10)
    asking.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (slow.most.tokens, slow.spent.tokens, chosen.upstreams[0].busy.is_set()) == (AT_MOST, 0, False)
