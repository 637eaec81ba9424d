"""Every method of a comparison once, on a tiny model and a handful of questions, through a real server."""

import json
from functools import partial

import pytest

from client_kit.client import ConsensusClient
from client_kit.comparison.arms import ARMS
from client_kit.comparison.bench import run_cell
from client_kit.comparison.plan import Cell, Drift, LearningRates, Setting
from client_kit.comparison.run import load_plan
from client_kit.comparison.tasks import SiteData, split_site
from client_kit.comparison.wiring import task_of
from client_kit.federation.server_process import ServerProcess
from client_kit.federation.site import Site
from client_kit.training.base import Example
from client_kit.wire import ConsensusPolicy, Prompt
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

COLOURS = ("red", "blue", "green")


class ColourTask:
    """What colour a thing has: each participant is taught two of three things."""

    max_answer_tokens = 5
    things = ("tree", "bird", "fish")

    def __init__(self, base):
        self.base = base

    def sites(self, seed, *, mixed, drifted=False):
        return [self._site(index, seed, drifted) for index in range(3)]

    def _site(self, index, seed, drifted) -> SiteData:
        taught = [thing for place, thing in enumerate(self.things) if place != index]
        examples = [Example(f"what is the {thing}", self._answer(thing, drifted)) for thing in taught for _ in range(6)]
        return split_site(index, "llama", self.base, examples, seed)

    def _answer(self, thing, drifted):
        return f"the {thing} is {COLOURS[self.things.index(thing) - drifted]}"

    def prompts(self):
        return [Prompt(prompt_id=thing, prompt=f"what is the {thing}", topic="t") for thing in self.things]

    def questions(self):
        return self.prompts()

    def judge(self, seed, site, answers, *, drifted=False):
        right = {each.prompt_id: self.right(each.prompt_id, each.text, drifted=drifted) for each in answers}
        own = [thing for place, thing in enumerate(self.things) if place != site]
        share = {"private": sum(right[thing] for thing in own) / 2, "overall": sum(right.values()) / 3}
        return {**share, "validation": share["overall"]}

    def right(self, prompt_id, text, *, drifted=False):
        return text.strip() == self._answer(prompt_id, drifted)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("server"), environment={"CONSENSUS_ENCODER": "hashing"}) as running:
        yield running.url, running.operator_token


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return ColourTask(write_tiny_model(tmp_path_factory.mktemp("model") / "base", chat_template=CHAT_TEMPLATE))


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
    setting = Setting(
        local_steps=8, round_steps=4, rounds=1, batch_size=8, rank=2, lora_sb_rank=4, learning_rates=rates, task="facts"
    )
    result = run_cell(Cell(method=method, seed=0), setting, task, tmp_path / "work", server)
    assert [stage.name for stage in result.participants[0].stages] == ["before", "private", "round 1"]
    assert all(each.trainable > 0 for each in result.participants)
    shares = ARMS[method].kind in {"labels", "parameters"}
    assert all(bool(each.sent_bytes) == bool(each.received_bytes) == shares for each in result.participants)
    assert all(count > 100 for each in result.participants for count in each.sent_bytes)
    assert bool(result.labels) == (ARMS[method].kind == "labels")
    assert bool(result.mixing) == (ARMS[method].training == "reft" and ARMS[method].kind == "parameters")
    assert not (tmp_path / "work").exists()


class Discord(ColourTask):
    """Each participant is taught one colour, another than the others', of all things."""

    def _site(self, index, seed, drifted) -> SiteData:
        examples = [Example(f"what is the {thing}", COLOURS[index]) for thing in self.things for _ in range(6)]
        return split_site(index, "llama", self.base, examples, seed)


@pytest.mark.parametrize("abstain", [True, False])
def test_a_plan_s_policy_says_whether_weak_labels_are_left_out(abstain, server, task, tmp_path):
    setting = Setting(local_steps=20, round_steps=1, rounds=1, batch_size=12, learning_rates=LearningRates(full=3e-3),
                      policy=ConsensusPolicy(abstain=abstain, guards=False))  # fmt: skip
    cell = Cell(method="consensus", seed=70 + abstain)
    (found,) = run_cell(cell, setting, Discord(task.base), tmp_path / "work", server).labels
    assert (found.labels == found.prompts) is not abstain


class CutShort(ColourTask):
    """Answers are cut in the middle of their sentence."""

    max_answer_tokens = 2


def test_what_participants_hand_in_is_cleaned(server, task, tmp_path):
    """Of answers that were cut only whole sentences are submitted, and here there are none: no label, whatever the rule."""
    setting = Setting(local_steps=20, round_steps=1, rounds=1, batch_size=12, learning_rates=LearningRates(full=3e-3))
    (found,) = run_cell(
        Cell(method="random_label", seed=80), setting, CutShort(task.base), tmp_path / "work", server
    ).labels
    assert (found.labels, found.prompts) == (0, 3)


def test_from_the_stated_round_on_models_learn_and_are_judged_by_the_new_facts(server, task, tmp_path):
    setting = Setting(
        local_steps=40,
        round_steps=40,
        rounds=1,
        batch_size=12,
        drift=Drift(after=1),
        learning_rates=LearningRates(full=3e-3),
    )
    cell = Cell(method="local_only", seed=0)
    result = run_cell(cell, setting, task, tmp_path / "work", server)
    assert result.quality("private", 0) < 0.2
    assert min(result.quality("private", 1), result.quality("private", 2)) > 0.8
    stale = run_cell(cell, setting, Unmoved(task), tmp_path / "work", server)
    assert stale.quality("private", 1) > 0.8
    assert stale.quality("private", 2) < 0.2


def test_a_participant_of_two_models_answers_with_one_and_is_judged_by_the_other(server, task, tmp_path, monkeypatch):
    carry, carried = ConsensusClient.carry, []

    def noted(self, number, source, *args, **stated):
        carried.append((number, source))
        return carry(self, number, source, *args, **stated)

    monkeypatch.setattr(ConsensusClient, "carry", noted)
    monkeypatch.setattr("client_kit.comparison.labels.Site", partial(Site, witness=True))
    rates = LearningRates(full=3e-3)
    setting = Setting(
        local_steps=40, round_steps=10, rounds=3, batch_size=12, drift=Drift(after=2), learning_rates=rates
    )
    result = run_cell(Cell(method="consensus", seed=90), setting, task, tmp_path / "work", server)
    assert [stage.name for stage in result.participants[0].stages][-1] == "round 3"
    assert carried == [(2, 1)] * len(result.participants), "after the drift, in round 3, the witness answers anew"
    assert result.quality("private", 4) > 0.8, "the new facts are known"


def test_a_witness_that_is_not_finished_goes_on_where_the_plan_says_so(server, task, tmp_path):
    setting = Setting(local_steps=12, round_steps=1, rounds=2, batch_size=12, finish_witness=True,
                      learning_rates=LearningRates(full=3e-3))  # fmt: skip
    first, second = run_cell(Cell(method="consensus", seed=95), setting, task, tmp_path / "work", server).labels
    assert second.right > first.right


class Unmoved:
    """The same task, in which private data stays as it was while what is true changes."""

    def __init__(self, task):
        self._task = task

    def __getattr__(self, name):
        return getattr(self._task, name)

    def sites(self, seed, *, mixed, drifted=False):
        return self._task.sites(seed, mixed=mixed)


def test_a_user_s_own_files_and_metric_go_through_a_real_server(server, task, tmp_path):
    rows = [{"prompt": f"what is the {thing}", "completion": task._answer(thing, 0)} for thing in task.things]
    files = {
        "site-0.jsonl": rows[:2] * 6, "site-1.jsonl": rows[1:] * 6, "public.jsonl": [{"prompt": row["prompt"]} for row in rows],
        "test.jsonl": [*rows, {**rows[0], "validation": True}],
    }  # fmt: skip
    for name, held in files.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in held))
    (tmp_path / "plan.yaml").write_text(
        f"{{task: own, sites: 2, rounds: 1, local_steps: 40, round_steps: 20, batch_size: 12, learning_rates: {{full: 0.003}}, own: "
        f"{{models: ['{task.base}'], private: [site-0.jsonl, site-1.jsonl], public: public.jsonl, test: test.jsonl, metric: f1, "
        "max_answer_tokens: 5}}"
    )
    setting = load_plan(tmp_path / "plan.yaml").setting()
    result = run_cell(Cell(method="consensus", seed=1), setting, task_of(setting), tmp_path / "work", server)
    assert result.quality("private", 1) > result.quality("private", 0) + 0.3
    assert result.labels[0].right is None
    assert all(len(each.sent_bytes) == 1 for each in result.participants)


@pytest.mark.parametrize(("seed", "judge"), [(90, "after_training"), (91, "after_download"), (92, "both")])
def test_shared_parameters_are_judged_where_the_plan_says(seed, judge, server, task, tmp_path):
    """All were given back one model, which they are as good as before they train on, and not one step more."""
    setting = Setting(
        local_steps=8, round_steps=4, rounds=1, batch_size=8, judge=judge, learning_rates=LearningRates(full=1e-2)
    )
    cell = Cell(method="fedavg", seed=seed)
    result = run_cell(cell, setting, task, tmp_path / "work", server)
    overall = [each.stages[-1].quality["overall"] for each in result.participants]
    downloaded = [each.downloaded and each.downloaded["overall"] for each in result.participants]
    assert (None in downloaded) is (judge != "both")
    assert [len(each.stages) for each in result.participants] == [3, 3, 3]
    shared = overall if judge == "after_download" else downloaded
    assert judge == "after_training" or len(set(shared)) == 1
