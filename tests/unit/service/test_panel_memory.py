"""Panels that learn: what a question leaves behind, what the next one makes of it, and what goes wrong."""

import asyncio
from dataclasses import replace

import pytest

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.backends.store import SqlPanelMemories
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import StoreUnavailable
from consensus_server.core.inference import Message, Question, Reply
from consensus_server.core.panel_memory import UpstreamMemory
from consensus_server.http_api.openai_compat.translate import describe_consensus
from consensus_server.service import panel_memory
from consensus_server.service.fan_out import WaitLimits
from consensus_server.service.inference import Inference
from consensus_server.service.panel_memory import MemoryTerms, PanelMemory, recalled
from consensus_server.service.panels import Panel, Panels
from tests.support.databases import sqlite_engine

TEXTS = (
    "The capital of France is Paris, a city on the Seine.",
    "Paris is the capital of France, on the Seine.",
    "The capital of France is Lyon, a city on the Rhone.",
)
QUESTION = Question(messages=(Message("user", "Which city is the capital of France?"),))
VERSIONS = {f"u{place}": f"{place}" * 64 for place in range(3)}
TERMS = MemoryTerms(half_life_questions=500.0, versions=VERSIONS)
ENCODER = HashingEncoder().identity.digest


class Says:
    def __init__(self, name, text):
        self.name, self.text = name, text

    async def ask(self, question):
        return Reply(self.text, "stop", 5, 2)

    async def close(self):
        """Nothing to close."""


class OutOfReach:
    def of(self, panel):
        raise StoreUnavailable("no connection")

    def add(self, panel, stood, *, fading):
        raise StoreUnavailable("no connection")


def panel(memory=TERMS, texts=TEXTS, **policy):
    return Panel(
        name="p",
        upstreams=tuple(Says(f"u{place}", text) for place, text in enumerate(texts)),
        limits=WaitLimits(quorum=1, deadline_seconds=3_600),
        policy=Policy(**{"guards": False, "reliability": False, "abstain": False, "contradictions": "none"} | policy),
        memory=memory,
    )


async def ask(chosen, store, times=1, choices=1):
    inference = Inference(Panels((chosen,)), HashingEncoder, None, None if store is None else PanelMemory(store))
    try:
        return [await inference.answer(chosen, QUESTION, choices) for _ in range(times)]
    finally:
        await inference.close()


@pytest.fixture
def store(tmp_path):
    engine = sqlite_engine(tmp_path)
    yield SqlPanelMemories(engine)
    engine.dispose()


def known(store, upstream, z, questions=100):
    row = UpstreamMemory(
        upstream=upstream,
        version=VERSIONS[upstream],
        encoder=ENCODER,
        total=z * questions,
        weight=questions,
        questions=1,
    )
    store.add("p", [row], fading=1.0)


async def test_questions_are_remembered_once_each_whatever_the_choices(store):
    first, second = await ask(panel(), store, times=2, choices=3)
    assert {each.upstream: (each.questions, each.version) for each in store.of("p")} == {
        name: (2, version) for name, version in VERSIONS.items()
    }
    assert [len(each.recalled.of_upstreams) for each in (first, second)] == [0, 3]
    assert first.choices[0].reliabilities == {}
    assert set(second.choices[0].reliabilities) == set(VERSIONS)


async def test_the_first_question_is_decided_as_without_a_memory(store):
    [without], [first] = await ask(panel(memory=None), store), await ask(panel(), store)
    assert without.recalled is None
    assert (without.choices[0].label, without.choices[0].fates) == (first.choices[0].label, first.choices[0].fates)


async def test_whom_the_panel_trusts_it_follows(store):
    [plain] = await ask(panel(memory=None), store)
    chosen = TEXTS.index(plain.choices[0].chosen.text)
    known(store, f"u{chosen}", -1.0)
    known(store, f"u{1 - chosen}", 1.0)
    [learned] = await ask(panel(), store)
    assert {plain.choices[0].chosen.text, learned.choices[0].chosen.text} == set(TEXTS[:2])


async def test_a_memory_of_another_encoder_or_model_is_not_used_and_told(store):
    known(store, "u0", 1.0)
    rows = store.of("p")
    assert recalled(rows, VERSIONS, ENCODER).of_upstreams == rows
    assert recalled(rows, {"u0": "f" * 64}, ENCODER) == recalled((), VERSIONS, ENCODER)
    store.forget("p")
    store.add("p", [replace(rows[0], encoder="f" * 64)], fading=1.0)
    [found] = await ask(panel(), store)
    told = describe_consensus(panel(), found, [], answers=False)
    assert (told.memory.upstreams, told.memory.unused) == (0, "another_encoder")


async def test_without_the_database_a_panel_answers_as_without_a_memory(store):
    [without], [found] = await ask(panel(memory=None), store), await ask(panel(), OutOfReach())
    assert found.choices[0].label == without.choices[0].label
    assert describe_consensus(panel(), found, [], answers=False).memory.unused == "unavailable"


async def test_a_slow_database_makes_no_slow_answer(monkeypatch):
    monkeypatch.setattr(panel_memory, "READ_SECONDS", 0.01)
    assert (await panel_memory.within_reason(asyncio.get_running_loop().create_future())).unavailable


async def test_a_question_that_cannot_be_judged_is_not_remembered_and_the_next_one_is(store):
    await ask(panel(texts=TEXTS[:2]), store)
    assert store.of("p") == ()
    await ask(panel(memory=replace(TERMS, versions={})), store)
    assert store.of("p") == ()
    await ask(panel(), store)
    assert len(store.of("p")) == 3


async def test_a_question_by_another_equivalence_is_decided_with_the_memory_and_teaches_nothing(store):
    known(store, "u0", 1.0)
    before = store.of("p")
    [found] = await ask(replace(panel(), equivalence="exact", learns=False), store)
    assert (len(found.recalled.of_upstreams), store.of("p")) == (1, before)


class Broken(OutOfReach):
    def of(self, panel):
        raise ValueError("a row that nobody wrote")


async def test_a_memory_that_cannot_be_read_loses_no_answer():
    [found] = await ask(panel(), Broken())
    assert found.recalled.unavailable
