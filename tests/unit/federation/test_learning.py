"""Over the rounds: the curriculum, the return from a bad training, collapse, and answers that stood apart."""

from types import SimpleNamespace

import pytest

from client_kit.errors import ModelCollapsed, TrainingError
from client_kit.federation.journal import Journal
from client_kit.federation.learning import mixed, stood_apart
from client_kit.federation.participant import Participant
from client_kit.federation.progress import Step
from client_kit.federation.site import Site
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.settings import CollapseSettings, MixingSettings
from client_kit.training.base import Example, TrainingReport
from client_kit.training.dataset import Taught, mix, split
from client_kit.wire import Answer, AnswerFate, ClusterShare, PromptExplanation, PseudoLabel
from tests.unit.federation.test_participant import ONE_EACH, FakeClient

PRIVATE = tuple(Example(f"Question {number}?", f"Private {number}.") for number in range(10))
TAUGHT = [Taught(f"p{number}", f"Label {number}.", confidence=number / 10) for number in range(10)]


class Losing:
    """A trainer whose validation losses are given; it notes what it was given."""

    def __init__(self, losses):
        self.losses, self.calls = iter(losses), []

    def train(self, model, examples, *, steps, seed, output, validation=()):
        output.mkdir(parents=True)
        self.calls.append((model.name, examples, validation))
        return TrainingReport(output, steps, len(examples), 0.5, (1.0,), validation=next(self.losses))


def take_part(work, rounds=2, script=ONE_EACH, client=None, told=None, **habits):
    site = Site(open_generator=lambda _: ScriptedGenerator(script), base=work / "base", private=PRIVATE[:2], **habits)
    with Journal(work / "journal.jsonl", {}) as journal:
        observe = (told if told is not None else []).append
        return Participant(client or FakeClient(), site, journal, work=work, rounds=rounds, observe=observe).run()


# The curriculum


def test_values_by_round_and_the_last_one_for_all_later_rounds():
    habits = MixingSettings(ratio=(0.2, 0.5), weight=(1.0, 2.0), by_confidence=False, minimum_confidence=(0.8, 0.0))
    counts = []
    for number in (1, 2, 3):
        examples = mixed(habits, PRIVATE, TAUGHT, labels_of_round=number, seed=number)
        labels = [example for example in examples if example.public]
        counts.append(
            (len(labels), {label.weight for label in labels}, min(label.completion for label in labels) >= "Label 8.")
        )
    assert counts[0] == (2, {1.0}, True)
    assert [row[:2] for row in counts[1:]] == [(5, {2.0}), (5, {2.0})]


def test_replay_takes_a_share_of_the_private_examples_and_another_one_next_time():
    chosen = [
        {e.completion for e in mix(PRIVATE, TAUGHT, seed=seed, ratio=None, replay=0.3) if not e.public}
        for seed in range(9)
    ]
    assert {len(each) for each in chosen} == {3}
    assert len(set(map(frozenset, chosen))) > 1
    assert len(mix(PRIVATE, [], seed=0, replay=0.0)) == len(PRIVATE), "without labels there is nothing else to learn"
    assert all(example.public for example in mix(PRIVATE, TAUGHT, seed=0, replay=0.0))
    with pytest.raises(TrainingError, match=r"replay 1\.5"):
        mix(PRIVATE, TAUGHT, seed=0, replay=1.5)


def test_held_out_prompts_keep_their_side_with_all_of_their_examples():
    twice = [*PRIVATE, Example(PRIVATE[3].prompt, "Said otherwise.")]
    training, held_out = split(twice, 0.3)
    assert len({example.prompt for example in held_out}) == 3
    assert {e.prompt for e in training}.isdisjoint(e.prompt for e in held_out)
    assert sorted(map(repr, training + held_out)) == sorted(map(repr, twice))
    assert set(map(repr, split(twice[::-1], 0.3)[1])) == set(map(repr, held_out))
    assert split(twice, 0.0) == (twice, [])
    with pytest.raises(TrainingError, match="leaves none to train on"):
        split(PRIVATE[:1], 0.5)


# The return


def test_a_training_that_harms_is_discarded_and_the_model_before_it_goes_on(tmp_path):
    trainer, told = Losing([(3.0, 2.0), (2.0, 2.3), (2.0, 2.1)]), []
    kept = take_part(tmp_path, trainer=trainer, validation=PRIVATE[2:4], return_margin=0.1, told=told)
    assert [model for model, *_ in trainer.calls] == ["base", "training-001", "training-001"]
    assert kept.name == "training-003"
    assert {validation for *_, validation in trainer.calls} == {PRIVATE[2:4]}
    assert [(p.round, p.detail) for p in told if p.step is Step.RETURNED] == [
        (2, "validation loss 2.300, lowest so far 2.000; goes on from training-001")
    ]


def test_many_small_losses_are_measured_from_the_lowest_and_a_first_training_can_be_discarded(tmp_path):
    trainer = Losing([(2.0, 2.05), (2.05, 2.15), (2.15, 2.25)])
    assert (
        take_part(tmp_path / "slow", trainer=trainer, validation=PRIVATE[2:4], return_margin=0.1).name == "training-002"
    )
    harmful = Losing([(2.0, 9.0)] * 3)
    kept = take_part(tmp_path / "bad", trainer=harmful, validation=PRIVATE[2:4], return_margin=0.1)
    assert kept == tmp_path / "bad" / "base"


def test_without_a_margin_every_training_is_kept(tmp_path):
    assert take_part(tmp_path, trainer=Losing([(2.0, 9.0)] * 3), validation=PRIVATE[2:4]).name == "training-003"


# Collapse

SAME = dict.fromkeys(ONE_EACH, "I do not know.")


class Collapsing(ScriptedGenerator):
    """Says the same to everything from its second round on."""

    rounds = 0

    def generate(self, prompts, sampling):
        Collapsing.rounds += 1
        return ScriptedGenerator(ONE_EACH if Collapsing.rounds == 1 else SAME).generate(prompts, sampling)


@pytest.mark.parametrize("stop_after", [None, 2])
def test_lost_variety_is_an_alarm_and_stops_the_site_where_it_says_so(tmp_path, stop_after):
    client, told, Collapsing.rounds = FakeClient(), [], 0
    habits = {"rounds": 4, "client": client, "told": told, "collapse": CollapseSettings(stop_after=stop_after)}
    site = Site(open_generator=lambda _: Collapsing(ONE_EACH), collapse=habits["collapse"])

    def run():
        with Journal(tmp_path / "journal.jsonl", {}) as journal:
            return Participant(client, site, journal, work=tmp_path, rounds=4, observe=told.append).run()

    if stop_after is None:
        run()
        assert list(client.submitted) == [1, 2, 3, 4]
    else:
        for _ in range(2):  # a restart does not get around it
            with pytest.raises(
                ModelCollapsed, match=r"2 rounds in a row, in round 3.*Nothing of this round was submitted"
            ):
                run()
        assert list(client.submitted) == [1, 2]
    alarmed = [progress.round for progress in told if progress.step is Step.ALARM]
    assert alarmed[0] == 2
    assert 1 not in alarmed


def test_the_journal_has_variety_agreement_and_label_precision(tmp_path):
    take_part(tmp_path, trainer=Losing([()] * 3), known_answers={"p0": "Label 1", "p1": "Berlin"})
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        watched, labelled = list(journal.of("watched")), list(journal.of("labelled"))
    assert [record["same_as_before"] for record in watched] == [None, 1.0]
    assert watched[0]["diversity"]["identical"] == 0
    assert [record["precision"] for record in labelled] == [
        [{"support": 2.0, "labels": 1, "right": 1}], [{"support": 2.0, "labels": 1, "right": 0}],
    ]  # fmt: skip


# Answers that stood apart


def explained(fates, shares=(0.5, 0.3, 0.2), share=0.5):
    clusters = [ClusterShare(answers=1, votes=part * 10, share=part) for part in shares]
    label = PseudoLabel(
        prompt_id="p0", text="Rome.", confidence=0.5, confidence_method="m", support=5, share=share, clusters=clusters
    )
    return PromptExplanation(label=label, answers=[AnswerFate(digest="0" * 64, **fate) for fate in fates])


def fate(sample, cluster, *, admitted=True):
    return {"sample": sample, "cluster": cluster, "admitted": admitted}


@pytest.mark.parametrize(
    ("fates", "shares", "expected"),
    [
        ([fate(0, 1)], (0.5, 0.3), "Own 0."),
        ([fate(0, 0)], (0.5, 0.3), None),
        ([fate(0, 0), fate(1, 2)], (0.5, 0.3, 0.2), "Own 1."),
        ([fate(0, 1)], (0.5, 0.5), None),
        ([fate(0, None, admitted=False)], (0.5, 0.3), None),
        ([], (0.5, 0.3), None),
    ],
    ids=["apart", "agrees", "one sample apart", "tied", "refused", "none"],
)
def test_an_answer_stands_apart_in_a_cluster_with_less_of_the_votes(fates, shares, expected):
    why = explained(fates, shares)
    own = {("p0", n): Answer(prompt_id="p0", sample=n, text=f"Own {n}.") for n in range(2)}
    client = SimpleNamespace(explanation=lambda number, prompt_id: why)
    assert stood_apart(client, 1, why.label, own) == expected


def test_a_trainer_of_preferences_gets_the_own_answer_that_stood_apart(tmp_path):
    client = FakeClient()
    client.explanation = lambda number, prompt_id: explained([fate(0, 1)])
    trainer = Losing([()] * 3)
    take_part(tmp_path, rounds=1, trainer=trainer, client=client, preferences=True)
    pairs = {(e.completion, e.rejected) for e in trainer.calls[1][1] if e.public}
    assert pairs == {("Label 1.", "Paris.")}
