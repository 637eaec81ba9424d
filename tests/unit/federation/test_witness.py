"""Two models of a site: the witness answers and is taught no label, the student made from it is what the site uses."""

import pytest

from client_kit.errors import ConfigurationError
from client_kit.federation.journal import Journal, decode, encode
from client_kit.federation.progress import Step
from client_kit.federation.site import Site
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.settings import CollapseSettings, ParticipantSettings
from client_kit.training.base import Example, TrainingReport
from client_kit.wire import PseudoLabel, RoundState
from tests.unit.federation.test_learning import explained, fate
from tests.unit.federation.test_participant import ONE_EACH, FakeClient, Killed, Recorder, answer, run

FIRST, STEPS = 9, 6


class Labels(FakeClient):
    """Gives the labels that it is told to, by round; those of the last round named, from there on."""

    def __init__(self, texts=("Paris.",), states=None):
        super().__init__(states)
        self.texts = texts

    def wait_for_labels(self, number, timeout_seconds=None, observe=None):
        super().wait_for_labels(number, timeout_seconds, observe)
        text = self.texts[min(number, len(self.texts)) - 1]
        method = {"confidence_method": "dominant_share", "clusters": []}
        abstains = PseudoLabel(prompt_id="p1", abstention="tie", confidence=0, support=0, share=0, **method)
        if text is None:
            return [abstains]
        return [PseudoLabel(prompt_id="p0", text=text, confidence=0.5, support=2, share=0.5, **method), abstains]


class InPortions:
    """A trainer that notes what it was given, and keeps the steps of a run in its folder."""

    def __init__(self, validation=None):
        self.calls, self.runs, self.found, self.validation = [], [], [], iter(validation or ())
        self.kill_at = None

    def train(self, model, examples, *, steps, seed, output, validation=(), run=None):
        assert not output.exists()
        if run is not None:
            self.found.append(run.folder.exists())
            run.folder.mkdir(exist_ok=True)
            self.runs.append((run.folder.name, run.of))
        if self.kill_at == len(self.calls):
            self.kill_at = None
            raise Killed
        output.mkdir(parents=True)
        self.calls.append((model.name, sorted(example.completion for example in examples), steps, seed))
        return TrainingReport(
            output, steps, len(examples), 0.5, (1.0,), validation=next(self.validation, ()) if validation else ()
        )


def site(tmp_path, trainer, **changes):
    defaults = {
        "open_generator": lambda _: ScriptedGenerator(ONE_EACH),
        "trainer": trainer,
        "base": tmp_path / "base",
        "private": (Example("Q?", "Private."),),
        "steps": lambda stage: FIRST if stage == 1 else STEPS,
        "seed": 40,
        "witness": True,
    }
    return Site(**{**defaults, **changes})


def records(work, kind):
    with Journal(work / "journal.jsonl", {"federation": "f"}) as journal:
        return list(journal.of(kind))


def folders(work):
    return sorted(path.name for path in work.iterdir() if path.is_dir() and not path.name.startswith("round-"))


def said(told, step):
    return [progress.detail for progress in told if progress.step is step]


# The two models


def test_the_witness_is_taught_no_label_and_the_student_is_made_from_it(tmp_path):
    trainer, opened = InPortions(), []
    chosen = site(tmp_path, trainer, open_generator=lambda m: opened.append(m.name) or ScriptedGenerator(ONE_EACH))
    assert run(Labels(["A.", "B."]), chosen, tmp_path) == tmp_path / "student-003"
    assert trainer.calls == [
        ("base", ["Private."], FIRST, 41),
        ("witness-001", ["A.", "Private."], STEPS, 42),
        ("witness-001", ["B.", "Private."], 2 * STEPS, 42),
    ]
    assert opened == ["witness-001"]


def test_where_labels_stand_the_student_goes_on_in_one_run_over_all_rounds(tmp_path):
    trainer, told = InPortions(), []
    run(Labels(), site(tmp_path, trainer), tmp_path, rounds=3, observe=told.append)
    assert [call[2] for call in trainer.calls] == [FIRST, STEPS, 2 * STEPS, 3 * STEPS]
    assert {call[3] for call in trainer.calls[1:]} == {42}, "seed and order of examples are the run's"
    assert len(set(trainer.runs)) == 1
    assert trainer.runs[0][1] == 3 * STEPS
    assert said(told, Step.TRAINING) == [
        "1 examples, the witness",
        "2 examples, the student is made from the witness",
        "2 examples, the student goes on from step 6",
        "2 examples, the student goes on from step 12",
    ]


def test_where_labels_changed_it_is_made_anew_and_told_how_many(tmp_path):
    trainer, told = InPortions(), []
    run(Labels(["A.", "A.", "B."]), site(tmp_path, trainer), tmp_path, rounds=3, observe=told.append)
    first, second, third = (name for name, _ in trainer.runs)
    assert first == second != third
    assert said(told, Step.TRAINING)[-1] == "2 examples, the student is made anew: 1 labels changed"


def test_more_rounds_than_were_planned_make_another_run(tmp_path):
    trainer, client, told = InPortions(), Labels(), []
    run(client, site(tmp_path, trainer), tmp_path, rounds=1)
    run(client, site(tmp_path, trainer), tmp_path, rounds=2, observe=told.append)
    assert [of for _, of in trainer.runs] == [STEPS, 2 * STEPS]
    assert trainer.calls[-1][2] == 2 * STEPS
    assert "the student is made anew: what it is made from has changed" in said(told, Step.TRAINING)[-1]


def test_two_models_lie_on_the_disk_and_between_portions_one_checkpoint(tmp_path):
    trainer = InPortions()
    client = Labels(["A.", "B."])
    client.kill_at = ("carry", 3)
    with pytest.raises(Killed):
        run(client, site(tmp_path, trainer), tmp_path, rounds=4)
    assert folders(tmp_path) == [trainer.runs[-1][0], "student-003", "witness-001"]
    client.kill_at = None
    run(client, site(tmp_path, trainer), tmp_path, rounds=4)
    assert folders(tmp_path) == ["student-005", "witness-001"]


def test_a_student_that_harms_is_discarded_and_what_was_used_before_is_still_there(tmp_path):
    trainer = InPortions([(3.0, 2.0), (2.0, 1.8), (2.0, 2.5)])
    chosen = site(tmp_path, trainer, validation=(Example("Q?", "Held."),), return_margin=0.1)
    assert run(Labels(["A.", "B."]), chosen, tmp_path) == tmp_path / "student-002"
    assert folders(tmp_path) == ["student-002", "witness-001"]


@pytest.mark.parametrize("at", range(4))
def test_killed_in_a_training_it_asks_for_the_same_with_the_run_s_folder_in_place(tmp_path, at):
    undisturbed, trainer = InPortions(), InPortions()
    run(Labels(), site(tmp_path / "whole", undisturbed), tmp_path / "whole", rounds=3)
    trainer.kill_at = at
    with pytest.raises(Killed):
        run(Labels(), site(tmp_path / "killed", trainer), tmp_path / "killed", rounds=3)
    if at > 0:
        assert (tmp_path / "killed" / trainer.runs[-1][0]).is_dir()
    client = Labels()
    client.submitted[1] = ONE_EACH
    run(client, site(tmp_path / "killed", trainer), tmp_path / "killed", rounds=3)
    assert trainer.calls == undisturbed.calls
    assert set(trainer.runs) == set(undisturbed.runs)


def test_a_trainer_that_knows_no_runs_is_refused_before_any_work(tmp_path):
    trainer = Recorder()
    with pytest.raises(ConfigurationError, match=r"Recorder\.train takes no run.*witness: false"):
        run(FakeClient(), site(tmp_path, trainer), tmp_path)
    assert trainer.calls == []
    run(FakeClient(), site(tmp_path, trainer, witness=False), tmp_path)


# Answers that stand


def test_from_the_second_round_on_the_answers_stand_and_nothing_is_asked(tmp_path):
    client, told, opened = Labels(["A.", "B.", "C."]), [], []
    chosen = site(tmp_path, InPortions(), open_generator=lambda m: opened.append(m) or ScriptedGenerator(ONE_EACH))
    run(client, chosen, tmp_path, rounds=3, observe=told.append)
    assert (client.submitted, client.carried, len(opened)) == ({1: ONE_EACH}, {2: 1, 3: 1}, 1)
    assert client.taught == {1: 0}
    assert said(told, Step.CARRIED) == ["the answers of round 1 stand"] * 2
    assert [record.get("carried_from") for record in records(tmp_path, "sealed")] == [None, 1, 1]


def test_killed_between_the_seal_and_the_journal_it_seals_the_same(tmp_path):
    client = Labels()
    client.kill_at = ("carry", 2)
    with pytest.raises(Killed):
        run(client, site(tmp_path, InPortions()), tmp_path)
    client.kill_at = None
    chosen = site(tmp_path, InPortions(), open_generator=lambda _: pytest.fail("generated again"))
    run(client, chosen, tmp_path)
    assert client.carried == {2: 1}


@pytest.mark.parametrize(("missed", "expected"), [(1, ([2], {3: 2})), (2, ([1], {3: 1}))])
def test_a_round_that_closed_without_us_is_not_the_one_whose_answers_stand(tmp_path, missed, expected):
    client = Labels(states={missed: RoundState.PUBLISHED})
    run(client, site(tmp_path, InPortions()), tmp_path, rounds=3)
    assert (list(client.submitted), client.carried) == expected


def test_answers_that_stand_can_be_read_before_they_are_sealed_again(tmp_path):
    client = Labels()
    run(client, site(tmp_path, InPortions()), tmp_path, rounds=1)
    chosen = site(tmp_path, InPortions(), open_generator=lambda _: pytest.fail("generated again"))
    number, cleaned = answer(client, chosen, tmp_path, rounds=2)
    assert (number, {each.prompt_id: each.text for each in cleaned.answers}) == (2, ONE_EACH)


def test_own_answers_of_a_round_are_those_that_stand_for_it(tmp_path):
    client = Labels(["Label."])
    client.explanation = lambda number, prompt_id: explained([fate(0, 1)])
    limits = CollapseSettings(stop_after=1)
    run(client, site(tmp_path, InPortions(), preferences=True, collapse=limits), tmp_path)
    assert [(record["round"], record["text"]) for record in records(tmp_path, "outside")] == [
        (1, "Paris."),
        (2, "Paris."),
    ]
    assert [record["same_as_before"] for record in records(tmp_path, "watched")] == [None, 1.0]


# New private data


def test_new_private_data_is_learned_by_the_witness_which_answers_again_and_gives_a_new_student(tmp_path):
    trainer, client, told = InPortions(), Labels(), []
    run(client, site(tmp_path, trainer), tmp_path, rounds=1)
    drifted = site(tmp_path, trainer, private=(Example("Q?", "New."),))
    for _ in range(2):
        run(client, drifted, tmp_path, rounds=3, observe=told.append)
    assert trainer.calls[2:] == [
        ("witness-001", ["New."], FIRST, 43),
        ("witness-003", ["New.", "Paris."], 2 * STEPS, 42),
        ("witness-003", ["New.", "Paris."], 3 * STEPS, 42),
    ]
    # Round 2 was due before the new data was seen: training 2 was done.
    assert (list(client.submitted), client.carried) == ([1, 3], {2: 1})
    assert folders(tmp_path) == ["student-004", "witness-003"]
    assert "1 examples, the witness goes on, since the private data has changed" in said(told, Step.TRAINING)


# A witness that is not finished


def test_as_long_as_its_loss_falls_the_witness_trains_on_and_answers_anew(tmp_path):
    losses = [(3.0, 2.0), (2.0, 1.5), (1.5, 1.2), (1.5, 1.499), (1.5, 1.2), (1.5, 1.1)]
    trainer, client, told = InPortions(losses), Labels(), []
    chosen = site(tmp_path, trainer, validation=(Example("Q?", "Held."),), finish_witness=True)
    run(client, chosen, tmp_path, rounds=3, observe=told.append)
    assert [(call[0], call[2]) for call in trainer.calls] == [
        ("base", FIRST),
        ("witness-001", FIRST),
        ("witness-002", STEPS),
        ("witness-002", FIRST),  # brings nothing, and is discarded
        ("witness-002", 2 * STEPS),
        ("witness-002", 3 * STEPS),
    ]
    assert (list(client.submitted), client.carried) == ([1, 2], {3: 2})
    assert folders(tmp_path) == ["student-004", "witness-002"]
    assert len({name for name, _ in trainer.runs}) == 1, "a discarded training of the witness leaves the run alone"
    assert trainer.found == [False, True, True]
    assert said(told, Step.RETURNED) == ["validation loss 1.499, lowest so far 1.500; goes on from witness-002"]


def test_killed_between_witness_and_student_it_trains_the_witness_once(tmp_path):
    trainer = InPortions([(3.0, 2.0), (2.0, 1.5), (1.5, 1.2)])
    chosen = site(tmp_path, trainer, validation=(Example("Q?", "Held."),), finish_witness=True)
    trainer.kill_at = 2
    client = Labels()
    with pytest.raises(Killed):
        run(client, chosen, tmp_path, rounds=1)
    run(client, chosen, tmp_path, rounds=1)
    assert [call[0] for call in trainer.calls] == ["base", "witness-001", "witness-002"]


def test_to_finish_a_witness_there_must_be_one_and_examples_to_judge_it_by(tmp_path):
    for trainer, given in (({"kind": "sft", "steps": 1}, None), ({"kind": "sft", "steps": 1}, False)):
        with pytest.raises(ValueError, match=r"set validation\.share too"):
            settings(tmp_path, trainer, given=given, finish_witness=True)


# One model


def test_one_model_says_through_which_round_it_was_taught(tmp_path):
    client = Labels(["A.", None, "C."])
    run(client, site(tmp_path, InPortions(), witness=False), tmp_path, rounds=4)
    assert client.taught == {1: 0, 2: 1, 3: 1, 4: 3}
    assert client.carried == {}


def test_a_discarded_training_has_taught_nothing(tmp_path):
    client = Labels()
    trainer = InPortions([(3.0, 2.0), (2.0, 9.0), (2.0, 2.0)])
    run(client, site(tmp_path, trainer, witness=False, validation=(Example("Q?", "H."),), return_margin=0.1), tmp_path)
    assert client.taught == {1: 0, 2: 0}


def older(work):
    """Make the journal one of version 0.2.0, which noted no labels with a training."""
    file = work / "journal.jsonl"
    kept, _ = decode(file.read_bytes())
    file.write_bytes(b"".join(encode(as_before(record)) for record in kept))


def as_before(record):
    return {name: value for name, value in record.items() if record["kind"] != "trained" or name != "labels"}


def test_a_journal_of_an_older_version_goes_on_with_one_model_and_says_what_it_was_taught(tmp_path):
    trainer, client = InPortions(), Labels(["A.", None])
    run(client, site(tmp_path, trainer, witness=False), tmp_path, rounds=2)
    older(tmp_path)
    assert all("labels" not in record for record in records(tmp_path, "trained"))
    assert run(client, site(tmp_path, trainer), tmp_path, rounds=3) == tmp_path / "training-004"
    assert [call[0] for call in trainer.calls] == ["base", "training-001", "training-002", "training-003"]
    assert client.taught == {1: 0, 2: 1, 3: 1}
    assert client.carried == {}


def test_a_journal_of_two_models_goes_on_with_one_where_the_site_says_so(tmp_path):
    trainer, client = InPortions(), Labels(["A.", "B."])
    run(client, site(tmp_path, trainer), tmp_path, rounds=1)
    run(client, site(tmp_path, trainer, witness=False), tmp_path, rounds=2)
    for witness in (True, False):
        assert run(client, site(tmp_path, trainer, witness=witness), tmp_path, rounds=2) == tmp_path / "training-003"
    assert trainer.calls[-1][0] == "student-002"
    assert client.taught == {1: 0, 2: 1}


@pytest.mark.parametrize(("trained", "expected"), [(False, {1: 0, 2: 0, 3: 0}), (True, {1: 0, 2: 1, 3: 1})])
def test_a_site_that_is_only_an_api_says_whether_what_it_exports_is_taught(tmp_path, trained, expected):
    client = Labels(["A.", None])
    chosen = Site(
        open_generator=lambda _: ScriptedGenerator(ONE_EACH), export=lambda *_: None, trained_on_exports=trained
    )
    run(client, chosen, tmp_path, rounds=3)
    assert client.taught == expected


# Settings


@pytest.mark.parametrize(
    ("trainer", "given", "expected"),
    [
        ({"kind": "sft", "steps": 1}, None, True),
        ({"kind": "dpo", "steps": 1}, None, True),
        ({"kind": "sft", "steps": 1}, False, False),
        ({"kind": "dp", "steps": 1, "epsilon": 1, "delta": 1e-6, "planned_steps": 9}, None, False),
        ({"kind": "none"}, None, False),
    ],
)
def test_sites_that_train_without_noise_have_a_witness_unless_they_say_otherwise(tmp_path, trainer, given, expected):
    assert settings(tmp_path, trainer, given=given).has_witness is expected


def test_a_witness_that_would_spend_privacy_again_and_again_is_refused(tmp_path):
    private = {"kind": "dp", "steps": 1, "epsilon": 1, "delta": 1e-6, "planned_steps": 9}
    for trainer in (private, {"kind": "none"}):
        with pytest.raises(ValueError, match="witness: true needs trainer sft or dpo"):
            settings(tmp_path, trainer, given=True)


def settings(tmp_path, trainer, *, given, **habits):
    return ParticipantSettings.model_validate({
        "server": "http://127.0.0.1:1", "federation": "f", "token_env": "T", "work": tmp_path, "rounds": 1,
        "generator": {"kind": "transformers", "model": "m"}, "trainer": trainer, "private": tmp_path / "p.jsonl",
        "witness": given, **habits,
    })  # fmt: skip
