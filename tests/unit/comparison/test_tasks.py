"""The tasks of a comparison: drift, skew, the choice of a wording, and a user's own data."""

import json

import pytest

from client_kit.comparison import facts
from client_kit.comparison.behaviour import BehaviourTask
from client_kit.comparison.drift import changed, drifted
from client_kit.comparison.facts import FactsTask
from client_kit.comparison.own import OwnTask, contains, exact, f1, metric
from client_kit.comparison.plan import Drift, OwnData, Setting
from client_kit.comparison.run import load_plan
from client_kit.comparison.skew import dirichlet_facts
from client_kit.errors import ConfigurationError
from client_kit.generation.base import Generation
from client_kit.pocket.private import private_data
from client_kit.wire import FinishReason

FACTS = FactsTask(Setting(rounds=3, drift=Drift(after=1, share=0.5)))


def said(texts):
    return [Generation(name, 0, text, FinishReason.STOP) for name, text in texts.items()]


def test_drift_gives_half_of_each_topic_another_value_of_it():
    after = drifted(FACTS.world, 0.5)
    replaced = changed(FACTS.world, after)
    assert len(replaced) == 24
    for old, new in zip(FACTS.world.topics, after.topics, strict=True):
        assert sum(fact.fact_id in replaced for fact in old.facts) == 6
        assert set(new.values) <= set(old.values)
    assert drifted(FACTS.world, 0.5) == after


def test_private_data_after_drift_states_the_new_values_of_the_same_facts():
    before, after = FACTS.held(0), FACTS.held(0, drifted=True)
    replaced, true = changed(FACTS.world, FACTS.later), FACTS.facts(drifted=True)
    for old, new in zip(before, after, strict=True):
        assert old.held.keys() == new.held.keys()
        states_new = [new.held[name] == true[name].value for name in new.held if name in replaced]
        assert sum(states_new) / len(states_new) > 0.6
        assert sum(old.held[name] == true[name].value for name in old.held if name in replaced) <= 2


def test_answers_are_judged_by_what_is_true_now():
    old, new = FACTS.facts(drifted=False), FACTS.facts(drifted=True)
    texts = {name: FACTS.world.by_name[fact.topic].answer(fact.subject, fact.value, 0) for name, fact in old.items()}
    before, after = FACTS.judge(0, 0, said(texts)), FACTS.judge(0, 0, said(texts), drifted=True)
    assert before["overall"] == 1.0
    assert (after["kept"], after["replaced"], after["stale"]) == (1.0, 0.0, 1.0)
    assert after["overall"] == pytest.approx(1 - before["replaced"] + after["replaced"], abs=0.5)
    name = next(iter(changed(FACTS.world, FACTS.later)))
    assert FACTS.right(f"{name}/2", texts[name]) is True
    assert FACTS.right(f"{name}/2", texts[name], drifted=True) is False
    assert new[name].value != old[name].value


@pytest.mark.parametrize("holders", [1, 2])
def test_dirichlet_gives_each_fact_to_so_many_holders(holders):
    for concentration in (0.05, 1.0, 100.0):
        held = dirichlet_facts(FACTS.world, 3, participants=4, holders=holders, concentration=concentration)
        counts = {fact.fact_id: sum(fact.fact_id in own for own in held) for fact in FACTS.world.facts}
        assert min(counts.values()) == holders
        assert all(held)


def test_a_small_concentration_skews_topics_and_a_large_one_does_not():
    def largest_share(concentration):
        held = dirichlet_facts(FACTS.world, 1, participants=3, holders=1, concentration=concentration)
        each = [[sum(name.startswith(topic.name) for name in own) for own in held] for topic in FACTS.world.topics]
        return sum(max(row) / sum(row) for row in each) / len(each)

    assert largest_share(0.05) > 0.85
    assert largest_share(1000.0) < 0.6


def test_under_dirichlet_a_participant_s_own_questions_are_of_the_facts_allotted_to_it():
    task = FactsTask(Setting(dirichlet=0.3))
    for site in range(3):
        own = task.owns(5, site)
        assert set(task.held(5)[site].held) <= own
        assert len(task.held(5)[site].held) == round(0.9 * len(own))
    assert sum(len(task.owns(5, site)) for site in range(3)) == 2 * 48


def test_private_data_without_a_restriction_is_what_it_was():
    world = FACTS.world
    whole = private_data(world, 1, 7, participants=3, holders=2)
    topics = whole.topics
    within = {fact.fact_id for fact in world.facts if fact.topic in topics}
    assert private_data(world, 1, 7, participants=3, holders=2, within=within).held == whole.held


@pytest.fixture
def wordings(monkeypatch, tmp_path):
    """The behaviour task with its sites, and no base model pretrained for them."""
    bases = []
    monkeypatch.setattr(facts, "base_model", lambda recipe, *_, **__: bases.append(recipe) or tmp_path)
    task = BehaviourTask(Setting(task="behaviour"))
    sites = task.sites(0, mixed=False)
    assert all(recipe.knows for recipe in bases)
    return task, sites


def stated(task, wording_of):
    """Every question answered with the true value, in the wording that `wording_of` gives to a topic."""
    facts = task.facts(drifted=False).values()
    by_name = task.world.by_name
    return {f.fact_id: by_name[f.topic].answer(f.subject, f.value, wording_of(f.topic)) for f in facts}


def test_private_data_states_half_of_a_topic_s_facts_in_one_wording_that_all_sites_share(wordings):
    task, sites = wordings
    true = set(stated(task, task.wording).values())
    taught = [{example.completion for example in (*site.private, *site.held_out)} for site in sites]
    assert all(each <= true for each in taught)
    assert 0.35 * len(true) < len(set.union(*taught)) < 0.65 * len(true)
    for place, each in enumerate(taught):
        assert len(each) < len([name for name in stated(task, task.wording) if name in task.owns(0, place)])


def test_an_answer_is_right_word_for_word_and_content_asks_for_the_value_alone(wordings):
    task, _ = wordings
    wanted, other = stated(task, task.wording), stated(task, lambda topic: (task.wording(topic) + 1) % 4)
    found, missed = task.judge(0, 1, said(wanted)), task.judge(0, 1, said(other))
    assert (found["private"], found["overall"], found["content"]) == (1.0, 1.0, 1.0)
    assert (missed["private"], missed["overall"], missed["content"]) == (0.0, 0.0, 1.0)
    name = next(iter(wanted))
    assert task.right(f"{name}/2", wanted[name]) is True
    assert task.right(f"{name}/2", other[name]) is False


def test_other_seeds_want_other_wordings(wordings):
    task, _ = wordings
    chosen = set()
    for seed in range(6):
        task.sites(seed, mixed=False)
        chosen.add(tuple(map(task.wording, task.world.by_name)))
    assert len(chosen) > 3


ROWS = [
    {"prompt": "where is the red tree", "completion": "in the city", "participant": 0},
    {"prompt": "where is the bird", "completion": "on the river", "participant": 1},
    {"prompt": "what is blue", "completion": "the fish"},
    {"prompt": "what is green", "completion": "the tree", "validation": True},
]


def write_rows(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def own(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text('{"model_type": "llama"}')
    private = [
        write_rows(tmp_path / f"site-{i}.jsonl", [{"prompt": f"p{j}", "completion": "c"} for j in range(20)])
        for i in range(2)
    ]
    return OwnData(
        models=[tmp_path / "base"],
        private=private,
        public=write_rows(tmp_path / "public.jsonl", [{"prompt": "what is one"}, {"prompt": "what is red", "completion": "The bird"}]),
        test=write_rows(tmp_path / "test.jsonl", ROWS),
    )  # fmt: skip


def task_with(own, **changes):
    return OwnTask(Setting(task="own", sites=2, own=own.model_copy(update=changes)))


def test_a_user_s_files_are_sites_prompts_and_questions(own):
    task = task_with(own)
    sites = task.sites(0, mixed=False)
    assert [(site.architecture, len(site.private), len(site.held_out)) for site in sites] == [("llama", 18, 2)] * 2
    assert [prompt.prompt for prompt in task.prompts()] == ["what is one", "what is red"]
    assert len(task.questions()) == 4
    assert task.right("q0", "anything") is None
    assert task.right("q1", "the BIRD") is True
    with pytest.raises(ConfigurationError, match=r"name own\.mixed_models"):
        task.sites(0, mixed=True)


def test_own_questions_are_the_participant_s_and_those_of_nobody(own):
    answers = said({"q0": "in the city", "q1": "nowhere", "q2": "the fish", "q3": "no"})
    assert task_with(own).judge(0, 0, answers) == {"private": 1.0, "overall": pytest.approx(2 / 3), "validation": 0.0}
    assert task_with(own).judge(0, 1, answers)["private"] == 0.5


def test_where_no_question_is_marked_every_fourth_one_chooses(own, tmp_path):
    rows = [{"prompt": f"p{i}", "completion": "c"} for i in range(8)]
    task = task_with(own, test=write_rows(tmp_path / "plain.jsonl", rows))
    assert task.judge(0, 0, said({f"q{i}": "c" if i in {0, 4} else "d" for i in range(8)})) == {
        "private": 0.0, "overall": 0.0, "validation": 1.0,
    }  # fmt: skip


def test_metrics():
    assert (exact("In  the City", "in the city"), exact("city", "in the city")) == (1.0, 0.0)
    assert (contains("it is in the City .", "the city"), contains("city the", "the city")) == (1.0, 0.0)
    assert f1("a b c", "b c d") == pytest.approx(2 / 3)
    assert f1("", "b") == 0.0
    assert metric("operator:eq")("a", "a") is True


@pytest.mark.parametrize(
    ("changes", "rows", "message"),
    [
        ({"metric": "bleu"}, None, "there is no metric 'bleu'"),
        ({"metric": "nowhere_at_all:score"}, None, "there is no metric 'nowhere_at_all:score'"),
        ({}, [{"prompt": "p"}], "q0 has no completion to judge answers by"),
        ({}, [{"prompt": "p", "completion": "c", "participant": 2}], "of participant 2 of 2"),
        ({}, [{"completion": "c"}], "line 1: prompt: Field required"),
        ({}, [], "has no lines"),
    ],
)
def test_files_that_cannot_be_used_are_refused(own, tmp_path, changes, rows, message):
    if rows is not None:
        changes = {"test": write_rows(tmp_path / "faulty.jsonl", rows)}
    with pytest.raises(ConfigurationError, match=message):
        task_with(own, **changes).judge(0, 0, [])


def test_paths_of_a_plan_are_relative_to_its_file(own, tmp_path):
    (tmp_path / "plan.yaml").write_text(
        "{task: own, sites: 2, own: {models: [base], private: [site-0.jsonl, site-1.jsonl], public: public.jsonl, "
        "test: test.jsonl}}"
    )
    found = load_plan(tmp_path / "plan.yaml").own
    assert found == own
