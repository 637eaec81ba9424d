"""The table of encoders, rules and kinds of participants, on a part of its own made data."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consensus_server.backends.encoders import fit_lsa, load_encoder


@pytest.fixture(scope="module")
def benchmark():
    file = Path(__file__).parents[2] / "benchmarks" / "encoders.py"
    spec = importlib.util.spec_from_file_location("encoders_benchmark", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(benchmark):
    answers, texts = benchmark._pocket()
    kept = slice(0, None, 12)
    return replace(
        answers,
        prompt_ids=answers.prompt_ids[kept],
        prompts=answers.prompts[kept],
        outputs=answers.outputs[kept],
        preferences=answers.preferences[kept],
        equivalences=answers.equivalences[kept],
    ), texts


def test_like_participants_are_neighbours_and_unlike_ones_are_spread(benchmark, made):
    answers, _ = made
    ranking = np.argsort(np.nanmean(answers.preferences, axis=0), kind="stable")
    places = {int(model): place for place, model in enumerate(ranking)}
    for number in range(20):
        like, unlike = (
            sorted(places[int(model)] for model in benchmark._panel(answers, kind, 7, number).columns[0])
            for kind in ("like", "unlike")
        )
        assert like == list(range(like[0], like[0] + benchmark.SIZE))
        parts = np.array_split(np.arange(len(ranking)), benchmark.SIZE)
        assert all(place in part for place, part in zip(unlike, parts, strict=True))


def test_every_encoder_and_rule_has_a_row_for_both_kinds(benchmark, made, tmp_path):
    answers, texts = made
    encoders = [load_encoder("hashing"), fit_lsa(texts, tmp_path / "fitted", dimension=8)]
    rows = benchmark.measure(answers, encoders, panels=2, seed=7, cache=tmp_path)
    assert len(rows) == 2 * 2 * len(benchmark.POLICIES)
    assert all(0 <= row["quality_low"] <= row["quality"] <= row["quality_high"] <= 1 for row in rows)
    assert {tuple(row["distances"]) for row in rows if "STAND-IN" in row["encoder"]} == {benchmark.DISTANCES}
    table = benchmark.as_markdown(rows).splitlines()
    assert len(table) == 2 + 2 * len(benchmark.POLICIES) + 2


def test_answers_are_made_alike_every_time(benchmark):
    (one, _), (other, _) = benchmark._pocket(), benchmark._pocket()
    assert one.outputs == other.outputs
    assert np.array_equal(one.preferences, other.preferences)
    assert 0.2 < one.preferences.mean() < 0.8
