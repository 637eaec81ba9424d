import pytest

from client_kit.errors import ConfigurationError
from client_kit.federation.configuration import FederationSettings, participant_token
from client_kit.settings import ParticipantSettings
from client_kit.settings_files import load_settings

PARTICIPANT = """\
server: http://127.0.0.1:8000
federation: clinics
token_env: CLINIC_TOKEN
work: work
rounds: 3
generator: {kind: transformers, model: ./base}
trainer:
  kind: sft
  first_steps: 90
  steps: 60
private: data/private.jsonl
"""


def write(tmp_path, text, name="participant.yaml"):
    file = tmp_path / name
    file.write_text(text)
    return file


def faults(tmp_path, text, kind=ParticipantSettings):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(write(tmp_path, text), kind)
    return str(caught.value)


def test_paths_are_taken_from_the_files_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    settings = load_settings(write(tmp_path, PARTICIPANT), ParticipantSettings)
    assert settings.work == tmp_path / "work"
    assert settings.private == tmp_path / "data" / "private.jsonl"
    assert settings.generator.model == str(tmp_path / "base")
    assert [settings.trainer.steps_of(stage) for stage in (1, 2, 3)] == [90, 60, 60]


def test_a_name_on_the_hub_is_left_alone(tmp_path):
    settings = load_settings(write(tmp_path, PARTICIPANT.replace("./base", "owner/model")), ParticipantSettings)
    assert settings.generator.model == "owner/model"


API = """\
generator:
  kind: openai
  model: m
  base_url: http://127.0.0.1:1/v1
  {}
trainer: {{kind: none}}
"""
LORA_FIELDS = "lora_rank: 4", "lora_alpha: 8", "lora_dropout: 0.5", "lora_target_modules: [q_proj]"


@pytest.mark.parametrize(
    "given",
    [
        "schedule: stepwise", "warmup_steps: -1", "weight_decay: -0.1", "weight_decay: .inf", "learning_rate: .inf",
        "max_gradient_norm: -1", "accumulate: 0", "max_length: 7", "device: tpu", "precision: float16",
        "gradient_checkpointing: often", "checkpoint_steps: 0", *LORA_FIELDS, "method: lora, lora_rank: 0",
        "method: lora, lora_alpha: 0", "method: lora, lora_dropout: 1.0", "method: lora, lora_target_modules: []",
    ],
)  # fmt: skip
def test_a_bad_value_of_the_trainer_names_file_line_and_field(tmp_path, given):
    lines = given.replace("method: lora, ", "method: lora\n  ")
    field, line = lines.rsplit("\n")[-1].split(":")[0].strip(), 11 + lines.count("\n")
    text = faults(tmp_path, PARTICIPANT.replace("  steps: 60", f"  steps: 60\n  {lines}"))
    assert f"participant.yaml, line {line}: trainer.{field}" in text


def test_fields_of_an_adapter_are_taken_where_one_is_trained(tmp_path):
    lines = "\n  ".join(["steps: 60", "method: lora", *LORA_FIELDS])
    chosen = load_settings(write(tmp_path, PARTICIPANT.replace("steps: 60\n", lines + "\n")), ParticipantSettings)
    assert chosen.trainer.lora_target_modules == ("q_proj",)
    again = ParticipantSettings.model_validate(chosen.model_dump(mode="json"))
    assert again == chosen


@pytest.mark.parametrize(
    "given",
    [
        "api: embeddings", "retries: -1", "token_limit_field: tokens", "extra_body: 1", "extra_body: {since: 2026-01-01}",
        "timeout_seconds: .inf",
    ],
)  # fmt: skip
def test_a_bad_value_of_an_endpoint_names_file_line_and_field(tmp_path, given):
    start = PARTICIPANT.partition("generator")[0]
    assert f"participant.yaml, line 10: generator.{given.split(':')[0]}" in faults(tmp_path, start + API.format(given))


@pytest.mark.parametrize("given", ["dtype: int4", "prompt_template: no prompt"])
def test_a_bad_value_of_a_local_model_names_file_line_and_field(tmp_path, given):
    text = faults(tmp_path, PARTICIPANT.replace("./base}", f"./base,\n  {given}}}"))
    assert f"participant.yaml, line 7: generator.{given.split(':')[0]}: " in text


@pytest.mark.parametrize(
    ("change", "line", "field"),
    [
        (("rounds: 3", "rounds: 0"), 5, "rounds"),
        (("  steps: 60", "  stepz: 60"), 10, "trainer.stepz"),
        (("federation: clinics\n", ""), 1, "federation"),
        (("model: ./base}", "model: ./base, batch_size: none}"), 6, "generator.batch_size"),
        (("kind: sft", "kind: magic"), 7, "trainer"),
    ],
)
def test_a_fault_names_file_line_and_field(tmp_path, change, line, field):
    text = faults(tmp_path, PARTICIPANT.replace(*change))
    assert f"participant.yaml, line {line}: {field}: " in text


def test_every_fault_is_told_at_once(tmp_path):
    text = faults(tmp_path, PARTICIPANT.replace("rounds: 3", "rounds: 0\nunknown: 1"))
    assert "rounds: " in text
    assert "unknown: " in text


def test_a_trainer_needs_a_local_model_and_data(tmp_path):
    assert "needs private data" in faults(tmp_path, PARTICIPANT.replace("private: data/private.jsonl\n", ""))
    api = "{kind: openai, model: m, base_url: 'http://127.0.0.1:1/v1'}"
    assert "trainer: {kind: none}" in faults(tmp_path, PARTICIPANT.replace("{kind: transformers, model: ./base}", api))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (PARTICIPANT + "rounds: 5\n", "line 12: 'rounds' stands already in line 5; keep one of them"),
        (PARTICIPANT.replace("  steps: 60", "  steps: 60\n  kind: none"), "line 11: 'kind' stands already in line 8"),
        (PARTICIPANT + 'export: "\\ud83d"\n', r"line 12: the text has half of a character, '\ud83d' at 0"),
    ],
)
def test_what_yaml_would_pass_over_is_refused_with_file_and_line(tmp_path, given, told):
    assert f"participant.yaml, {told}" in faults(tmp_path, given)


@pytest.mark.parametrize("name", ["no", "yes", "on", "off", "1", "007", "1.0", "2026-01-01", "true"])
def test_a_name_is_what_is_written(tmp_path, name):
    text = PARTICIPANT.replace("federation: clinics", f"federation: {name}").replace("./base", name)
    chosen = load_settings(write(tmp_path, text), ParticipantSettings)
    assert (chosen.federation, chosen.generator.model) == (name, name)


def test_a_switch_stays_a_switch_and_nothing_is_no_name(tmp_path):
    chosen = load_settings(write(tmp_path, PARTICIPANT + "training_rights: on\n"), ParticipantSettings)
    assert chosen.training_rights is True
    assert "line 2: federation: " in faults(tmp_path, PARTICIPANT.replace("federation: clinics", "federation: ~"))
    sent = "extra_body: {chat_template_kwargs: {enable_thinking: off}}"
    start = PARTICIPANT.partition("generator")[0]
    chosen = load_settings(write(tmp_path, start + API.format(sent)), ParticipantSettings)
    assert chosen.generator.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}


def test_settings_that_a_windows_shell_wrote_are_read(tmp_path):
    (tmp_path / "participant.yaml").write_text(PARTICIPANT, encoding="utf-16")
    assert load_settings(tmp_path / "participant.yaml", ParticipantSettings).rounds == 3


@pytest.mark.parametrize("kind", ["vllm", "vllm_server"])
@pytest.mark.parametrize(
    ("method", "why"),
    [("dora", "take method: lora, or generator kind: transformers"), ("reft", "vLLM loads LoRA adapters at run time")],
)
def test_adapters_that_vllm_does_not_take_are_refused_before_anything_is_trained(tmp_path, kind, method, why):
    text = PARTICIPANT.replace("kind: transformers", f"kind: {kind}").replace(
        "kind: sft", f"kind: sft\n  method: {method}"
    )
    assert why in faults(tmp_path, text)


def test_no_yaml_and_no_file_are_told_plainly(tmp_path):
    assert "cannot read" in faults(tmp_path, "rounds: [")
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_settings(tmp_path / "absent.yaml", ParticipantSettings)


def test_a_token_comes_from_one_place_and_must_be_there(tmp_path, monkeypatch):
    assert "name the token's source" in faults(tmp_path, PARTICIPANT.replace("token_env: CLINIC_TOKEN\n", ""))
    assert "name the token's source" in faults(tmp_path, PARTICIPANT + "token_file: token\n")
    settings = load_settings(write(tmp_path, PARTICIPANT), ParticipantSettings)
    monkeypatch.delenv("CLINIC_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="not in the environment variable CLINIC_TOKEN"):
        participant_token(settings)
    monkeypatch.setenv("CLINIC_TOKEN", " secret\n")
    assert participant_token(settings) == "secret"


def test_participants_of_one_federation_have_names_of_their_own(tmp_path):
    site = "{participant: a, generator: {kind: scripted, answers: a.jsonl}, trainer: {kind: none}}"
    text = f"federation: f\nwork: w\nrounds: 1\nprompt_set: pocket\nparticipants:\n  - {site}\n  - {site}\n"
    assert "twice: a" in faults(tmp_path, text, FederationSettings)
    one = write(tmp_path, text.replace(f"  - {site}\n", "", 1) + "quorum: 1\n")
    assert load_settings(one, FederationSettings).participants[0].generator.answers == tmp_path / "a.jsonl"


def test_a_quorum_that_nobody_can_reach_is_told_before_anything_starts(tmp_path):
    site = "{participant: a, generator: {kind: scripted, answers: a.jsonl}, trainer: {kind: none}}"
    text = f"federation: f\nwork: w\nrounds: 1\nprompt_set: pocket\nparticipants:\n  - {site}\nquorum: 2\n"
    assert "quorum is 2, and there is 1 participant" in faults(tmp_path, text, FederationSettings)
    elsewhere = write(tmp_path, text + "server: {url: 'http://127.0.0.1:1', token_env: T}\n")
    assert load_settings(elsewhere, FederationSettings).quorum == 2


def test_a_token_file_that_is_no_text_is_told_plainly(tmp_path):
    write(tmp_path, PARTICIPANT.replace("token_env: CLINIC_TOKEN", "token_file: token"))
    (tmp_path / "token").write_bytes(b"\x1f\x8b")
    settings = load_settings(tmp_path / "participant.yaml", ParticipantSettings)
    with pytest.raises(ConfigurationError, match="token is no text"):
        participant_token(settings)


PRIVATE = PARTICIPANT.replace(
    "  kind: sft\n  first_steps: 90\n  steps: 60\n",
    "  kind: dp\n  epsilon: 4\n  delta: 1.0e-5\n  planned_steps: 270\n  first_steps: 90\n  steps: 60\n",
)


def test_a_privacy_budget_covers_the_trainings_of_all_rounds(tmp_path):
    assert load_settings(write(tmp_path, PRIVATE), ParticipantSettings).trainer.planned_steps == 270
    short = faults(tmp_path, PRIVATE.replace("270", "269"))
    assert "3 rounds take 270 steps in 4 trainings; set planned_steps to 270 or more" in short


def test_what_a_privacy_budget_does_not_cover_is_refused(tmp_path):
    assert "replay" in faults(tmp_path, PRIVATE + "mixing: {replay: 0.5}\n")
    assert "return_margin" in faults(tmp_path, PRIVATE + "validation: {share: 0.1, return_margin: 0.1}\n")


def test_evaluations_need_held_out_examples_and_margins_too(tmp_path):
    with_evaluations = PARTICIPANT.replace("  steps: 60\n", "  steps: 60\n  evaluate_steps: 10\n")
    assert "set validation.share too" in faults(tmp_path, with_evaluations)
    assert "set 'share' above 0" in faults(tmp_path, PARTICIPANT + "validation: {return_margin: 0.1}\n")
    assert load_settings(write(tmp_path, with_evaluations + "validation: {share: 0.1}\n"), ParticipantSettings)


def test_a_curriculum_is_a_list_of_values(tmp_path):
    settings = load_settings(
        write(tmp_path, PARTICIPANT + "mixing: {ratio: [0.5, 1], minimum_confidence: 0.3}\n"), ParticipantSettings
    )
    assert (settings.mixing.ratio, settings.mixing.minimum_confidence) == ((0.5, 1.0), 0.3)
