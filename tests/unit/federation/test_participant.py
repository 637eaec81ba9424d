import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from client_kit import egress
from client_kit.egress.reading import read_record
from client_kit.errors import (
    ConfigurationError,
    ContextTooLong,
    EndpointUnreachable,
    Forbidden,
    NotApproved,
    RoundFailed,
    RoundNotOpen,
    SubmissionSealed,
    UnknownRound,
)
from client_kit.federation.journal import Journal
from client_kit.federation.outgoing import digest_of, kept
from client_kit.federation.participant import Participant
from client_kit.federation.progress import Progress, Step
from client_kit.federation.screening import Screen
from client_kit.federation.site import Site, _answered
from client_kit.generation.base import Sampling
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.pii import open_detector
from client_kit.settings import ApprovedSettings
from client_kit.training.base import Example, PrivacySpent, TrainingReport
from client_kit.wire import (
    Federation,
    Identity,
    PrivacyStatement,
    Prompt,
    PseudoLabel,
    Role,
    Round,
    RoundState,
    SealReceipt,
    content_digest,
    submission_digest,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"Question {number}?") for number in range(3)]
SCRIPT = {"p0": "Paris.", "p1": "<think>hm</think>", "p2": ["Rome.", "Roma."]}
ONE_EACH = {"p0": "Paris.", "p1": "Berlin.", "p2": "Rome."}


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


class FakeClient:
    """What the loop asks of `ConsensusClient`, held in memory."""

    def __init__(self, states=None):
        self.states = states or {}
        self.submitted = {}
        self.sealed = []
        self.kill_at = None
        self.requires_training_rights = False
        self.stated = []
        self.private = []
        self.taught = {}
        self.carried = {}

    def federation(self):
        return Federation(
            federation="f", prompt_set="0" * 64, encoder="1" * 64, created_at=NOW, samples_per_prompt=1,
            requires_training_rights=self.requires_training_rights,
        )  # fmt: skip

    def prompts(self):
        return PROMPTS

    def identity(self):
        return Identity(federation="f", participant="a", role=Role.PARTICIPANT)

    def round(self, number):
        state = self.states.get(number, RoundState.OPEN)
        if state is None:
            raise UnknownRound("no such round")
        return Round(federation="f", number=number, state=state, quorum=1, active=1, sealed=0)

    def wait_for(self, number, state, timeout_seconds=None, observe=None):
        return self.round(number)

    def submit_and_seal(self, number, answers, *, replace=False, training_rights=False, privacy=None, taught_through=0):
        self.taught[number] = taught_through
        if self.states.get(number) in {RoundState.CLOSED, RoundState.PUBLISHED}:
            raise RoundNotOpen("it is closed")
        self.stated.append(training_rights)
        self.private.append(privacy)
        keys = [(answer.prompt_id, answer.sample) for answer in answers]
        assert len(keys) == len(set(keys))
        self.submitted[number] = {answer.prompt_id: answer.text for answer in answers}
        if self.kill_at == ("submit", number):
            raise Killed
        return self.receipt(number, answers)

    def carry(self, number, source, answers, *, training_rights=False, privacy=None):
        if self.states.get(number) in {RoundState.CLOSED, RoundState.PUBLISHED}:
            raise RoundNotOpen("it is closed")
        assert {answer.prompt_id: answer.text for answer in answers} == self.submitted[source]
        self.stated.append(training_rights)
        self.carried[number] = source
        if self.kill_at == ("carry", number):
            raise Killed
        return self.receipt(number, answers)

    def receipt(self, number, answers):
        self.sealed.append(number)
        rows = [(answer.prompt_id, answer.sample, content_digest(answer.text)) for answer in answers]
        return SealReceipt(
            federation="f",
            number=number,
            participant="a",
            count=len(rows),
            digest=submission_digest(rows),
            sealed_at=NOW,
        )

    def wait_for_labels(self, number, timeout_seconds=None, observe=None):
        if self.states.get(number) is RoundState.FAILED:
            raise RoundFailed("quorum missed")
        if self.states.get(number) == "forbidden":
            raise Forbidden("only contributors")
        method = {"confidence_method": "dominant_share", "clusters": []}
        return [
            PseudoLabel(prompt_id="p0", text=f"Label {number}.", confidence=0.5, support=2, share=0.5, **method),
            PseudoLabel(prompt_id="p1", abstention="tie", confidence=0, support=0, share=0, **method),
        ]


class Recorder:
    """A trainer that notes what it was given."""

    def __init__(self):
        self.calls = []

    def train(self, model, examples, *, steps, seed, output):
        assert not output.exists()
        output.mkdir(parents=True)
        self.calls.append((model.name, sorted(example.completion for example in examples), steps, seed))
        return TrainingReport(output, steps, len(examples), 0.5, (1.0,))


class Killable(ScriptedGenerator):
    """Dies before the answer number `after`, counted over all runs."""

    def __init__(self, script, after, asked):
        super().__init__(script)
        self.after, self.asked = after, asked

    def generate(self, prompts, sampling):
        for generation in super().generate(prompts, sampling):
            if len(self.asked) == self.after:
                self.asked.append("killed")
                raise Killed
            self.asked.append(generation.prompt_id)
            yield generation


@pytest.fixture
def trainer():
    return Recorder()


def site(tmp_path, trainer, **changes):
    defaults = {
        "open_generator": lambda _: ScriptedGenerator(ONE_EACH),
        "trainer": trainer,
        "base": tmp_path / "base",
        "private": (Example("Q?", "Private."),),
        "steps": lambda stage: 9 if stage == 1 else 6,
        "seed": 40,
    }
    return Site(**{**defaults, **changes})


def run(client, chosen, work, *, rounds=2, observe=lambda _: None):
    with Journal(work / "journal.jsonl", {"federation": "f"}) as journal:
        return Participant(client, chosen, journal, work=work, rounds=rounds, observe=observe).run()


def test_private_data_first_then_with_the_last_labels_from_the_last_checkpoint(tmp_path, trainer):
    client = FakeClient()
    assert run(client, site(tmp_path, trainer), tmp_path) == tmp_path / "training-003"
    assert trainer.calls == [
        ("base", ["Private."], 9, 41),
        ("training-001", ["Label 1.", "Private."], 6, 42),
        ("training-002", ["Label 2.", "Private."], 6, 43),
    ]
    assert client.submitted == {1: ONE_EACH, 2: ONE_EACH}


def test_the_newest_checkpoint_answers(tmp_path, trainer):
    opened = []
    run(
        FakeClient(),
        site(tmp_path, trainer, open_generator=lambda m: opened.append(m.name) or ScriptedGenerator(ONE_EACH)),
        tmp_path,
    )
    assert opened == ["training-001", "training-002"]


def test_a_finished_run_repeated_does_nothing(tmp_path, trainer):
    run(FakeClient(), site(tmp_path, trainer), tmp_path)
    again = FakeClient()
    run(again, site(tmp_path, trainer, open_generator=lambda _: pytest.fail("generated again")), tmp_path)
    assert again.submitted == {}
    assert len(trainer.calls) == 3


@pytest.mark.parametrize("after", range(6))
def test_killed_while_answering_it_generates_only_what_is_missing(tmp_path, trainer, after):
    asked = []
    chosen = site(tmp_path, trainer, open_generator=lambda _: Killable(ONE_EACH, after, asked))
    client = FakeClient()
    with pytest.raises(Killed):
        run(client, chosen, tmp_path)
    run(client, chosen, tmp_path)
    assert sorted(name for name in asked if name != "killed") == sorted([*ONE_EACH, *ONE_EACH])
    assert client.submitted == {1: ONE_EACH, 2: ONE_EACH}
    assert len(trainer.calls) == 3


def test_killed_between_submission_and_journal_it_seals_the_same(tmp_path, trainer):
    client = FakeClient()
    client.kill_at = ("submit", 2)
    with pytest.raises(Killed):
        run(client, site(tmp_path, trainer), tmp_path)
    client.kill_at = None
    run(client, site(tmp_path, trainer, open_generator=lambda _: pytest.fail("generated again")), tmp_path)
    assert client.sealed == [1, 2]
    assert client.submitted == {1: ONE_EACH, 2: ONE_EACH}


def test_killed_after_training_before_the_journal_it_trains_again_from_the_same_start(tmp_path, trainer):
    class DiesOnce(Recorder):
        def train(self, *args, **kwargs):
            report = super().train(*args, **kwargs)
            if len(self.calls) == 2:
                raise Killed
            return report

    dying = DiesOnce()
    with pytest.raises(Killed):
        run(FakeClient(), site(tmp_path, dying), tmp_path)
    run(FakeClient(), site(tmp_path, dying), tmp_path)
    assert dying.calls[1] == dying.calls[2]
    assert len(dying.calls) == 4


def test_killed_in_training_it_asks_for_the_same_and_leaves_the_trainers_checkpoints(tmp_path, trainer):
    class DiesWithin(Recorder):
        def train(self, model, examples, **asked):
            checkpoint = asked["output"].with_name(f".{asked['output'].name}.checkpoints") / "checkpoint-1"
            self.found = checkpoint.exists()
            report = super().train(model, examples, **asked)
            checkpoint.mkdir(parents=True, exist_ok=True)
            if len(self.calls) == 1:
                raise Killed
            return report

    dying = DiesWithin()
    with pytest.raises(Killed):
        run(FakeClient(), site(tmp_path, dying), tmp_path, rounds=0)
    run(FakeClient(), site(tmp_path, dying), tmp_path, rounds=0)
    assert dying.found
    assert dying.calls[0] == dying.calls[1]


def test_a_round_closed_without_us_still_teaches(tmp_path, trainer):
    client, told = FakeClient({1: RoundState.PUBLISHED}), []
    run(client, site(tmp_path, trainer), tmp_path, observe=told.append)
    assert list(client.submitted) == [2]
    assert trainer.calls[1][1] == ["Label 1.", "Private."]
    assert any(progress.step is Step.MISSED and "without this participant" in progress.detail for progress in told)


@pytest.mark.parametrize("state", [RoundState.FAILED, "forbidden"])
def test_a_failed_or_closed_off_round_is_passed_over(tmp_path, trainer, state):
    client, told = FakeClient({2: state}), []
    client.round = lambda number: FakeClient.round(FakeClient(), number)
    run(client, site(tmp_path, trainer), tmp_path, rounds=3, observe=told.append)
    assert trainer.calls[2][1] == ["Label 1.", "Private."]
    assert trainer.calls[3][1] == ["Label 3.", "Private."]
    assert [progress.round for progress in told if progress.step is Step.MISSED] == [2]


def test_a_round_that_fails_while_a_slow_site_still_answers_is_passed_over_and_stays_so(tmp_path, trainer):
    client, told = FakeClient(), []
    waits = client.wait_for

    def failed(number, state, timeout_seconds=None, observe=None):
        if number == 1:
            client.states[1] = RoundState.FAILED
            raise RoundFailed("quorum missed")
        return waits(number, state, timeout_seconds)

    client.wait_for = failed
    for _ in range(2):
        run(client, site(tmp_path, trainer), tmp_path, observe=told.append)
    assert list(client.submitted) == [2]
    assert [call[1] for call in trainer.calls] == [["Private."], ["Private."], ["Label 2.", "Private."]]
    assert {progress.round for progress in told if progress.step is Step.MISSED} == {1}


def test_a_site_that_lost_its_journal_after_the_seal_goes_on_with_the_labels(tmp_path, trainer):
    client, told = FakeClient(), []
    submit = client.submit_and_seal

    def sealed(number, answers, *, replace=False, training_rights=False, privacy=None, taught_through=0):
        if number == 1:
            raise SubmissionSealed("it takes no more answers")
        return submit(number, answers, replace=replace)

    client.submit_and_seal = sealed
    run(client, site(tmp_path, trainer), tmp_path, observe=told.append)
    assert list(client.submitted) == [2]
    assert trainer.calls[1][1] == ["Label 1.", "Private."]


def test_a_question_file_given_later_does_not_pass_the_newest_model_off_as_an_earlier_one(tmp_path, trainer):
    run(FakeClient(), site(tmp_path, trainer), tmp_path, rounds=1)
    stages = []
    chosen = site(tmp_path, trainer, evaluate=lambda stage, _: stages.append(stage) or {})
    run(FakeClient(), chosen, tmp_path, rounds=2)
    assert stages == [2, 3]


def test_reasoning_is_not_submitted_and_empty_answers_are_dropped(tmp_path, trainer):
    client = FakeClient()
    script = {"p0": "<think>France...</think>Paris.", "p1": "<think>hm</think>", "p2": "Rome."}
    told = []
    run(
        client,
        site(tmp_path, trainer, open_generator=lambda _: ScriptedGenerator(script)),
        tmp_path,
        observe=told.append,
    )
    assert client.submitted[1] == {"p0": "Paris.", "p2": "Rome."}
    assert next(p.lost for p in told if p.step is Step.SUBMITTED) == {"dropped": {"empty": ["p1"]}}


def test_a_site_that_is_only_an_api_exports_instead_of_training(tmp_path):
    exported = []
    chosen = Site(
        open_generator=lambda model: ScriptedGenerator(ONE_EACH) if model is None else pytest.fail("no checkpoint"),
        export=lambda labels, prompts, folder: exported.append((labels[0].text, len(prompts), folder.name)),
    )
    assert run(FakeClient(), chosen, tmp_path) is None
    assert exported == [("Label 1.", 3, "round-001"), ("Label 2.", 3, "round-002")]


def test_evaluation_runs_before_the_first_and_after_every_training_once(tmp_path, trainer):
    stages = []
    chosen = site(tmp_path, trainer, evaluate=lambda stage, _: stages.append(stage) or {"right": stage})
    run(FakeClient(), chosen, tmp_path)
    run(FakeClient(), chosen, tmp_path)
    assert stages == [0, 1, 2, 3]


def test_more_samples_than_the_federation_admits_are_refused_before_any_work(tmp_path, trainer):
    with pytest.raises(ConfigurationError, match=r"sampling.samples is 2, the federation admits 1"):
        run(FakeClient(), site(tmp_path, trainer, sampling=Sampling(samples=2)), tmp_path)
    assert trainer.calls == []


def test_progress_records_survive_a_line_of_json():
    progress = Progress("a", Step.ANSWERING, 2, 3, 9, "détail", 1.5)
    assert Progress.from_json(progress.to_json()) == progress
    for line in ("no json", "[]", '{"step": "dancing"}', '{"step": "trained", "other": 1}'):
        with pytest.raises(ValueError):
            Progress.from_json(line)


def test_the_loop_reaches_no_heavy_library():
    code = "import sys, client_kit.federation.participant; print({'torch', 'trl', 'openai', 'transformers'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


class Narrow(ScriptedGenerator):
    """Cannot be asked one of the prompts."""

    def generate(self, prompts, sampling):
        for prompt in prompts:
            if prompt.prompt_id == "p1":
                raise ContextTooLong("too long; lower max_tokens", prompt_id="p1")
            yield from super().generate([prompt], sampling)


def test_a_prompt_that_the_model_cannot_be_asked_is_told_and_left_out_of_the_submission(tmp_path, trainer):
    client, told = FakeClient(), []
    narrow = site(tmp_path, trainer, open_generator=lambda _: Narrow(ONE_EACH))
    run(client, narrow, tmp_path, observe=told.append)
    assert set(client.submitted[1]) == {"p0", "p2"}
    assert "prompt p1: too long; lower max_tokens" in [p.detail for p in told if p.step is Step.LEFT_OUT]
    assert [p.lost for p in told if p.step is Step.SUBMITTED] == [{"left_out": {"too_long": ["p1"]}}] * 2


def test_a_question_that_the_model_cannot_be_asked_costs_itself_only():
    answers, left_out = _answered(Narrow(ONE_EACH), PROMPTS, Sampling())
    assert ([answer.prompt_id for answer in answers], left_out) == (["p0", "p2"], {"p1"})


def test_what_is_waited_for_and_how_many_are_awaited_is_told_once(tmp_path, trainer):
    class Slow(FakeClient):
        def wait_for_labels(self, number, timeout_seconds=None, observe=None):
            for _ in range(3):
                observe(self.round(number))
            return super().wait_for_labels(number)

    told = []
    run(Slow(), site(tmp_path, trainer), tmp_path, rounds=1, observe=told.append)
    assert [p.detail for p in told if p.step is Step.WAITING] == [
        "for the round to be opened",
        "for pseudo-labels; 1 of 1 have not sealed yet",
    ]


def test_an_endpoint_that_fails_names_participant_prompt_and_remedy(tmp_path, trainer):
    class Down(ScriptedGenerator):
        def generate(self, prompts, sampling):
            raise EndpointUnreachable("it is down. Start it", prompt_id="p0")
            yield

    failing = site(tmp_path, trainer, open_generator=lambda _: Down(ONE_EACH))
    with pytest.raises(EndpointUnreachable, match=r"^participant \w+: prompt p0: it is down\. Start it$"):
        run(FakeClient(), failing, tmp_path)


def test_a_federation_that_wants_training_rights_is_not_joined_without_them(tmp_path, trainer):
    client = FakeClient()
    client.requires_training_rights = True
    with pytest.raises(ConfigurationError, match="set training_rights: true"):
        run(client, site(tmp_path, trainer), tmp_path)
    run(client, site(tmp_path, trainer, training_rights=True), tmp_path)
    assert client.stated == [True, True]


class Private(Recorder):
    """A trainer that spends one epsilon in each training."""

    def train(self, model, examples, **options):
        done = super().train(model, examples, **options)
        return replace(done, privacy=PrivacySpent(float(len(self.calls)), 1e-6, "prv", 1.5, 0.25, 10))


def test_a_site_that_trains_privately_states_what_all_its_trainings_cost(tmp_path):
    client = FakeClient()
    client.kill_at = ("submit", 2)
    private = Private()
    with pytest.raises(Killed):
        run(client, site(tmp_path, private), tmp_path)
    client.kill_at = None
    run(client, site(tmp_path, private), tmp_path)
    first, *second = [PrivacyStatement(epsilon=spent, delta=1e-6, accountant="prv") for spent in (1.0, 2.0, 2.0)]
    assert client.private == [first, *second]


def test_a_site_states_nothing_where_a_training_had_no_bound(tmp_path, trainer):
    client = FakeClient()
    run(client, site(tmp_path, trainer), tmp_path, rounds=1)
    run(client, site(tmp_path, Private()), tmp_path)
    assert client.private == [None, None]


def contribute(client, chosen, work, number):
    with Journal(work / "journal.jsonl", {"federation": "f"}) as journal:
        Participant(client, chosen, journal, work=work, rounds=2).contribute(number)


def test_turn_by_turn_it_does_what_it_does_in_one_go_and_waits_for_no_labels_of_its_turn(tmp_path, trainer):
    client, labels = FakeClient(), FakeClient.wait_for_labels
    client.wait_for_labels = lambda *_: pytest.fail("waited for labels")
    contribute(client, site(tmp_path, trainer), tmp_path, 1)
    assert client.submitted == {1: ONE_EACH}
    client.wait_for_labels = lambda number, *_: labels(client, number) if number == 1 else pytest.fail("waited")
    for _ in range(2):  # again: nothing is done twice
        contribute(client, site(tmp_path, trainer), tmp_path, 2)
    client.wait_for_labels = lambda number, *_: labels(client, number)
    assert run(client, site(tmp_path, trainer), tmp_path) == tmp_path / "training-003"
    assert client.submitted == {1: ONE_EACH, 2: ONE_EACH}
    assert [call[1:] for call in trainer.calls] == [
        (["Private."], 9, 41),
        (["Label 1.", "Private."], 6, 42),
        (["Label 2.", "Private."], 6, 43),
    ]


def test_private_data_may_be_another_at_each_turn(tmp_path, trainer):
    client = FakeClient()
    contribute(client, site(tmp_path, trainer), tmp_path, 1)
    run(client, site(tmp_path, trainer, private=(Example("Q?", "New."),)), tmp_path, rounds=1)
    assert [call[1] for call in trainer.calls] == [["Private."], ["Label 1.", "New."]]


def answer(client, chosen, work, *, rounds=2):
    with Journal(work / "journal.jsonl", {"federation": "f"}) as journal:
        return Participant(client, chosen, journal, work=work, rounds=rounds).answer()


def test_answers_can_be_read_before_anything_is_sent_and_are_what_is_submitted_then(tmp_path, trainer):
    client, asked = FakeClient(), []
    chosen = site(tmp_path, trainer, open_generator=lambda _: Killable(SCRIPT, 99, asked))
    for _ in range(2):  # again: nothing is asked twice
        number, cleaned = answer(client, chosen, tmp_path)
        assert (number, list(map(len, cleaned.dropped.values()))) == (1, [1])
        assert cleaned.counts == {"empty": 1}
    assert client.submitted == {}
    assert len(asked) == 3
    run(client, chosen, tmp_path, rounds=1)
    assert client.submitted == {1: {each.prompt_id: each.text for each in cleaned.answers}}
    assert len(asked) == 3
    assert [call[3] for call in trainer.calls] == [41, 42]
    assert answer(client, chosen, tmp_path)[0] == 2


def test_a_round_that_is_submitted_or_was_the_last_has_no_answers_to_read(tmp_path, trainer):
    client = FakeClient()
    client.wait_for_labels = lambda *_: (_ for _ in ()).throw(Killed)
    with pytest.raises(Killed):
        run(client, site(tmp_path, trainer), tmp_path)
    with pytest.raises(ConfigurationError, match="round 1 is submitted already; consensus join"):
        answer(client, site(tmp_path, trainer), tmp_path)
    run(FakeClient(), site(tmp_path, trainer), tmp_path)
    with pytest.raises(ConfigurationError, match="all 2 rounds are done"):
        answer(FakeClient(), site(tmp_path, trainer), tmp_path)


def test_each_round_waits_for_a_person_and_a_refusal_costs_that_round_alone(tmp_path):
    client, seen, asked = FakeClient(), [], []
    chosen = api_site(approve=True)
    with Journal(tmp_path / "journal.jsonl", {"federation": "f"}) as journal:
        Participant(
            client, chosen, journal, work=tmp_path, rounds=2, observe=seen.append,
            ask=lambda preview: asked.append(preview) or preview.round == 2,
        ).run()  # fmt: skip
    assert [(preview.round, preview.answers) for preview in asked] == [(1, 3), (2, 3)]
    assert client.submitted.keys() == {2}
    assert [one.round for one in seen if one.step is Step.MISSED] == [1]
    assert [one.round for one in seen if one.step is Step.LABELLED] == [1, 2]


def api_site(**changes):
    """A site that trains nothing."""
    return Site(open_generator=lambda _: ScriptedGenerator(ONE_EACH), **changes)


def test_answers_with_personal_data_ask_a_person_where_that_is_wished(tmp_path):
    said = {**ONE_EACH, "p1": "Ask bob@example.org."}
    client, asked = FakeClient(), []
    chosen = Site(open_generator=lambda _: ScriptedGenerator(said), screen=Screen(open_detector("patterns"), "ask"))
    with egress.recording(tmp_path / "egress.jsonl"), Journal(tmp_path / "j.jsonl", {"federation": "f"}) as journal:
        Participant(
            client, chosen, journal, work=tmp_path, rounds=1, ask=lambda preview: asked.append(preview.personal) or True
        ).run()
    assert asked == [{"email": 1}]
    assert client.submitted == {1: said}
    assert [each.found for each in read_record(tmp_path / "egress.jsonl").screened] == [{"email": 1}]


def test_masked_answers_are_what_is_sealed_and_what_the_site_keeps(tmp_path):
    chosen = Site(
        open_generator=lambda _: ScriptedGenerator({**ONE_EACH, "p1": "Ask bob@example.org."}),
        screen=Screen(open_detector("patterns"), "mask"),
    )
    client = FakeClient()
    run(client, chosen, tmp_path, rounds=1)
    assert client.submitted[1]["p1"] == "Ask <EMAIL>."
    sealed = Journal(tmp_path / "journal.jsonl", {"federation": "f"})
    assert sealed.last("sealed", round=1)["digest"] == digest_of(kept(tmp_path, 1))
    sealed.close()


def test_another_prompt_set_than_approved_stops_the_site_before_it_answers(tmp_path):
    asked = []
    chosen = Site(
        open_generator=lambda _: asked.append("a model") or ScriptedGenerator(ONE_EACH),
        approved=ApprovedSettings(prompt_set="9" * 64),
    )
    with pytest.raises(NotApproved, match="another prompt set"):
        run(FakeClient(), chosen, tmp_path)
    assert asked == []
