"""What every store of panels' memories promises (consensus_server.ports.PanelMemoryStore), held against each database."""

import threading
from dataclasses import replace

import pytest

from consensus_server.backends.store import SqlPanelMemories
from consensus_server.core.panel_memory import UpstreamMemory
from tests.support.databases import DATABASES, empty_engine

A = UpstreamMemory(upstream="a", version="1" * 64, encoder="e" * 64, total=1.25, weight=1.0, questions=1)
B = replace(A, upstream="b", total=-0.1)


@pytest.fixture(params=DATABASES)
def memories(request, tmp_path):
    engine = empty_engine(request.param, tmp_path)
    yield SqlPanelMemories(engine)
    engine.dispose()


def test_what_is_added_counts_in_full_and_what_was_there_fades(memories):
    assert memories.of("p") == ()
    memories.add("p", [B, A], fading=0.5)
    memories.add("p", [], fading=0.5)
    assert memories.of("p") == (A, B)
    memories.add("p", [replace(A, total=-1.0)], fading=0.5)
    assert memories.of("p") == (replace(A, total=-0.375, weight=1.5, questions=2), B)


@pytest.mark.parametrize("other", [{"version": "2" * 64}, {"encoder": "f" * 64}])
def test_versions_and_encoders_share_nothing(memories, other):
    memories.add("p", [A], fading=1.0)
    memories.add("p", [replace(A, **other)], fading=1.0)
    memories.add("q", [A], fading=1.0)
    assert set(memories.of("p")) == {A, replace(A, **other)}


def test_what_is_forgotten_is_gone_and_other_panels_stay(memories):
    memories.add("p", [A, B], fading=1.0)
    memories.add("q", [A], fading=1.0)
    assert (memories.forget("p"), memories.forget("p")) == (2, 0)
    assert (memories.of("p"), memories.of("q")) == ((), (A,))


def test_servers_that_add_at_the_same_time_lose_nothing(memories):
    def add(rows):
        for _ in range(10):
            memories.add("p", rows, fading=1.0)

    threads = [threading.Thread(target=add, args=(rows,)) for rows in ([A, B], [B, A])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(each.upstream, each.total, each.questions) for each in memories.of("p")] == [
        ("a", 25.0, 20),
        ("b", pytest.approx(-2.0), 20),
    ]
