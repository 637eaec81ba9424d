"""Whom a panel asks first, and what it takes for late."""

import numpy as np
import pytest

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.asking import Order
from consensus_server.core.budgets import Price
from consensus_server.core.inference import Question, Reply, RequestState, UpstreamRequest
from consensus_server.service.asking import EncodingOnce, Latencies, in_order, turns_of


class Named:
    def __init__(self, name):
        self.name = name

    async def ask(self, question):
        raise NotImplementedError

    async def close(self):
        """Nothing to close."""


ABC = [Named(name) for name in "abc"]


def replied(upstream, seconds):
    return UpstreamRequest(
        upstream=upstream, sample=0, state=RequestState.ANSWERED, seconds=seconds, reply=Reply("x", "stop")
    )


@pytest.mark.parametrize(
    ("order", "first"),
    [(Order.LISTED, "abc"), (Order.CHEAPEST, "bac"), (Order.FASTEST, "cba"), (Order.RELIABLE, "bca")],
)
def test_the_order(order, first):
    latencies = Latencies()
    latencies.note([replied("a", 3.0), replied("b", 1.0), replied("b", 1.2)])
    prices = {"a": Price(prompt=0.0, completion=2.0), "b": Price(prompt=9.0, completion=1.0)}
    ordered = in_order(ABC, order, prices=prices, latencies=latencies, reliability={"b": 0.5, "c": -0.1})
    assert "".join(each.name for each in ordered) == first


def test_late_is_what_the_upstream_itself_is_not_wont_to_be():
    latencies = Latencies()
    latencies.note(replied("a", 1.0) for _ in range(7))
    assert latencies.late_after("a") is None
    latencies.note(replied("a", seconds) for seconds in (*[1.0] * 50, 9.0, 9.0, 9.0, 9.0))
    assert 1.0 < latencies.late_after("a") <= 9.0


def test_samples_of_one_of_several_share_a_turn_and_those_of_a_single_one_have_one_each():
    question = Question(text="?", seed=7)
    (several, other) = turns_of(ABC[:2], question, choice=1, samples=2)
    assert [(each.upstream.name, each.sample, each.question.seed, each.called) for each in several] == [
        ("a", 0, 9, ""),
        ("a", 1, 10, ""),
    ]
    assert {each.upstream.name for each in other} == {"b"}
    single = turns_of(ABC[:1], question, choice=0, samples=3)
    assert [[each.called for each in turn] for turn in single] == [["a#1"], ["a#2"], ["a#3"]]


def test_a_text_is_encoded_once():
    class Counting(HashingEncoder):
        seen = ()

        def encode_with_openings(self, texts):
            self.seen = (*self.seen, *texts)
            return super().encode_with_openings(texts)

    counting = Counting()
    once = EncodingOnce(counting)
    once.encode_with_openings(["one", "two"])
    whole, _ = once.encode_with_openings(["two", "three", "one"])
    assert counting.seen == ("one", "two", "three")
    assert np.array_equal(whole, HashingEncoder().encode_with_openings(["two", "three", "one"])[0])
