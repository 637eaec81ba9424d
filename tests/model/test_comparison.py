"""Every method of a comparison once, on a tiny model and a handful of questions, through a real server."""

import pytest

from client_kit.comparison.arms import ARMS
from client_kit.comparison.bench import run_cell
from client_kit.comparison.plan import Cell, LearningRates, Setting
from client_kit.comparison.tasks import Site, split_site
from client_kit.federation.server_process import ServerProcess
from client_kit.training.base import Example
from client_kit.wire import Prompt
from tests.support.tiny_model import write_tiny_model

COLOURS = ("red", "blue", "green")


class ColourTask:
    """What colour a thing has: each participant is taught two of three things."""

    max_answer_tokens = 3
    things = ("tree", "bird", "fish")

    def __init__(self, base):
        self.base = base

    def sites(self, seed, *, mixed, drifted=False):
        return [self._site(index, seed) for index in range(3)]

    def _site(self, index, seed) -> Site:
        taught = [thing for place, thing in enumerate(self.things) if place != index]
        examples = [Example(f"what is the {thing}", self._answer(thing)) for thing in taught for _ in range(6)]
        return split_site(index, "llama", self.base, examples, seed)

    def _answer(self, thing):
        return f"the {thing} is {COLOURS[self.things.index(thing)]}"

    def prompts(self):
        return [Prompt(prompt_id=thing, prompt=f"what is the {thing}", topic="t") for thing in self.things]

    def questions(self):
        return self.prompts()

    def judge(self, seed, site, answers, *, drifted=False):
        right = {each.prompt_id: self.right(each.prompt_id, each.text) for each in answers}
        own = [thing for place, thing in enumerate(self.things) if place != site]
        share = {"private": sum(right[thing] for thing in own) / 2, "overall": sum(right.values()) / 3}
        return {**share, "validation": share["overall"]}

    def right(self, prompt_id, text, *, drifted=False):
        return text.strip() == self._answer(prompt_id)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("server"), environment={"CONSENSUS_ENCODER": "hashing"}) as running:
        yield running.url, running.operator_token


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return ColourTask(write_tiny_model(tmp_path_factory.mktemp("model") / "base"))


IN_CI = (
    "local_only_lora",
    "centralised",
    "consensus",
    "random_label",
    "fedavg",
    "ffa_lora",
    "flora",
    "het_lora",
    "fed_sb",
    "fedreft",
)
"""One of every kind; the others differ by a name that the server is told."""


@pytest.mark.parametrize("method", IN_CI)
def test_a_method_runs_from_data_to_figures(method, server, task, tmp_path):
    rates = LearningRates(full=1e-2, lora=2e-2, lora_sb=2e-2, reft=2e-2)
    setting = Setting(local_steps=8, round_steps=4, rounds=1, batch_size=8, rank=2, learning_rates=rates, task="facts")
    result = run_cell(Cell(method=method, seed=0), setting, task, tmp_path / "work", server)
    assert [stage.name for stage in result.participants[0].stages] == ["before", "private", "round 1"]
    assert all(each.trainable > 0 for each in result.participants)
    shares = ARMS[method].kind in {"labels", "parameters"}
    assert all(bool(each.sent_bytes) == bool(each.received_bytes) == shares for each in result.participants)
    assert all(count > 100 for each in result.participants for count in each.sent_bytes)
    assert bool(result.labels) == (ARMS[method].kind == "labels")
    assert bool(result.mixing) == (ARMS[method].training == "reft" and ARMS[method].kind == "parameters")
    assert not (tmp_path / "work").exists()
