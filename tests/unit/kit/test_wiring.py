"""From names in the settings to implementations."""

import dataclasses
from contextlib import ExitStack, closing
from inspect import signature
from types import SimpleNamespace

import pytest
from pydantic import TypeAdapter

from client_kit.certificates import ClientCertificate
from client_kit.errors import ConfigurationError, GenerationError, SpendingLimit, UnknownModel
from client_kit.generation import transformers_local, vllm_local, vllm_server
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.openai_compatible import InferenceApi
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.generation.seeds import answer_seed
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.settings import (
    DpoSettings,
    DpSettings,
    GeneratorSettings,
    OpenAISettings,
    SftSettings,
    SpendingSettings,
    TrainerSettings,
    TransformersSettings,
    VLLMServerSettings,
    VLLMSettings,
)
from client_kit.training.dpo import DPOFineTuner
from client_kit.training.private import DPFineTuner
from client_kit.training.sft import SFTFineTuner
from client_kit.wire import FinishReason, Prompt
from client_kit.wiring import open_source, open_trainer

PROMPTS = [Prompt(prompt_id="a", prompt="?"), Prompt(prompt_id="b", prompt="?")]


@pytest.fixture
def generator(tmp_path):
    """The generator that settings name; its source is closed in the end."""
    with ExitStack() as sources:

        def generator(**settings):
            chosen = TypeAdapter(GeneratorSettings).validate_python(settings)
            return sources.enter_context(closing(open_source(chosen, work=tmp_path / "work"))).open()

        yield generator


def script(tmp_path, *lines):
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"kind": "scripted", "answers": file}


def test_scripted_answers_come_from_a_file(generator, tmp_path, caplog):
    lines = ('{"prompt_id": "a", "sample": 1, "text": "y"}', '{"prompt_id": "a", "text": "x"}')
    answers = list(generator(**script(tmp_path, *lines)).generate(PROMPTS[:1], Sampling(samples=2)))
    assert [(answer.sample, answer.text) for answer in answers] == [(0, "x"), (1, "y")]
    assert "not from a model" in caplog.text


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "line 1"),
        ('{"prompt_id": "a"}', "line 1: text: Field required"),
        ("[]", "line 1"),
        ('{"prompt_id": "a", "text": 1}', "line 1: text: Input should be"),
        ('{"prompt_id": "a", "text": "x", "sample": 1}', r"are \[1\]"),
    ],
)
def test_a_faulty_script_names_its_line(generator, tmp_path, line, named):
    with pytest.raises(ConfigurationError, match=named):
        generator(**script(tmp_path, line))


def test_a_prompt_without_an_answer_is_named():
    with pytest.raises(GenerationError, match="prompt b"):
        list(ScriptedGenerator({"a": "x"}).generate(PROMPTS, Sampling()))


def test_an_endpoint_gets_its_key_from_the_environment(generator, monkeypatch):
    settings = {"kind": "openai", "model": "m", "base_url": "http://server/v1", "api_key_env": "SOME_KEY"}
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="SOME_KEY has no key"):
        generator(**settings)
    monkeypatch.setenv("SOME_KEY", " secret\n")
    endpoint = generator(**settings)
    assert endpoint._caller._client.api_key == "secret"
    endpoint.close()


def test_the_environment_s_openai_key_is_not_sent_to_other_endpoints(generator, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    endpoint = generator(kind="openai", model="m", base_url="http://server/v1")
    assert endpoint._caller._client.api_key != "secret"
    endpoint.close()


def test_a_model_folder_that_does_not_exist_is_named(generator, tmp_path):
    with pytest.raises(UnknownModel, match="there is no model folder"):
        generator(kind="transformers", model=str(tmp_path / "absent"))


def test_trainers_by_name():
    settings = TypeAdapter(TrainerSettings)
    assert open_trainer(settings.validate_python({"kind": "none"})) is None
    trainer = open_trainer(settings.validate_python({"kind": "sft", "steps": 3, "method": "lora", "lora_rank": 4}))
    assert trainer.settings.lora_rank == 4


TRANSFORMERS = {
    "batch_size": 3, "device": "cpu", "dtype": "bfloat16", "device_map": "balanced", "prompt_template": "Q: {prompt}",
}  # fmt: skip
OPENAI = {
    "api": "completions", "concurrency": 3, "timeout_seconds": 5.5, "retries": 7,
    "token_limit_field": "max_completion_tokens", "extra_body": {"chat_template_kwargs": {"enable_thinking": False}},
    "omit": ("seed",),
}  # fmt: skip


def test_every_field_of_transformers_reaches_it_and_has_its_default(generator, monkeypatch):
    options = {
        name: option.default for name, option in signature(TransformersGenerator).parameters.items()
        if option.kind is option.KEYWORD_ONLY and name != "threads"
    }  # fmt: skip
    fields = TransformersSettings.model_fields
    assert {name: fields[name].default for name in options} == options
    assert TRANSFORMERS.keys() == options.keys()
    assert all(TRANSFORMERS[name] != default for name, default in options.items())
    received = {}
    monkeypatch.setattr(transformers_local, "TransformersGenerator", lambda *_, **options: received.update(options))
    generator(kind="transformers", model="m", **TRANSFORMERS)
    assert {name: received[name] for name in options} == TRANSFORMERS


def test_every_field_of_an_endpoint_reaches_it_and_has_its_default(generator):
    options = dataclasses.asdict(InferenceApi(model="", base_url=""))
    assert options.keys() - OPENAI.keys() == {"model", "base_url", "api_key", "most_bytes", "client_certificate"}
    assert {name: OpenAISettings.model_fields[name].default for name in OPENAI} == {
        name: options[name] for name in OPENAI
    }
    assert all(OPENAI[name] != options[name] for name in OPENAI)
    opened = generator(kind="openai", model="m", base_url="http://server/v1", **OPENAI)
    assert opened._caller.endpoint == InferenceApi(model="m", base_url="http://server/v1", **OPENAI)
    opened.close()


SERVER = {
    "engine_args": {"max_model_len": 9}, "start_seconds": 5.5, "keep_running": False, "api": "completions",
    "concurrency": 3, "timeout_seconds": 6.5, "retries": 7, "extra_body": {"top_k": 5},
    "omit": ("seed",),
}  # fmt: skip


def test_every_field_of_a_vllm_server_reaches_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_KEY", "secret")
    received = {}
    fake = SimpleNamespace(open=None, close=lambda: None)
    monkeypatch.setattr(
        vllm_server, "VLLMServerSource", lambda *given, **o: received.update(o, endpoint=given[0]) or fake
    )
    shown = {"client_certificate": tmp_path / "me.pem", "client_key": tmp_path / "me.key"}
    where = {"base_url": "http://server/v1", "api_key_env": "SOME_KEY", **shown}
    assert SERVER.keys() | where.keys() | {"kind", "model"} == VLLMServerSettings.model_fields.keys()
    assert all(SERVER[name] != VLLMServerSettings.model_fields[name].default for name in SERVER)
    for known in ({}, where):
        open_source(VLLMServerSettings(kind="vllm_server", model="m", **SERVER, **known), work=tmp_path).close()
        endpoint = received["endpoint"]
        assert {name: getattr(endpoint, name, received.get(name)) for name in SERVER} == SERVER
        assert received["attach"] is bool(known)
    assert (endpoint.base_url, endpoint.api_key, endpoint.model) == ("http://server/v1", "secret", "m")
    assert endpoint.client_certificate == ClientCertificate(*shown.values())


def test_every_field_of_vllm_in_process_reaches_it(monkeypatch, tmp_path):
    received = {}
    fake = SimpleNamespace(open=None, close=lambda: None)
    monkeypatch.setattr(vllm_local, "VLLMLocalSource", lambda model, **o: received.update(o, model=model) or fake)
    given = {"model": "m", "engine_args": {"seed": 3}, "prompt_template": "Q: {prompt}", "keep_loaded": False}
    assert given.keys() | {"kind"} == VLLMSettings.model_fields.keys()
    open_source(VLLMSettings(kind="vllm", **given), work=tmp_path).close()
    assert {name: received[name] for name in given} == given


def test_limits_count_what_the_cache_holds(tmp_path):
    with closing(AnswerCache(tmp_path / "answers.sqlite")) as cache:
        cache.put("key", Generation("a", 0, "text", FinishReason.STOP, 70, 20))
    settings = OpenAISettings(kind="openai", model="m", base_url="http://server/v1")
    spending = SpendingSettings(prompt_price=1.0, limit_tokens=100)
    with (
        closing(open_source(settings, work=tmp_path, spending=spending)) as source,
        closing(source.open()) as opened,
        pytest.raises(SpendingLimit, match=r"after 70 \+ 20 tokens.*the limit is 100 tokens"),
    ):
        list(opened.generate(PROMPTS, Sampling()))


def test_a_limit_in_money_needs_prices():
    with pytest.raises(ValueError, match="set prompt_price and completion_price"):
        SpendingSettings(limit=5.0)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (SftSettings(kind="sft", steps=1), SFTFineTuner),
        (DpoSettings(kind="dpo", steps=1), DPOFineTuner),
        (DpSettings(kind="dp", steps=1, epsilon=1.0, delta=1e-5, planned_steps=2), DPFineTuner),
    ],
)
def test_a_trainer_is_given_its_settings_and_threads(settings, kind):
    trainer = open_trainer(settings, threads=2)
    assert (type(trainer), trainer.threads) == (kind, 2)
    assert trainer.settings is settings


def test_seeds_differ_by_seed_prompt_and_sample():
    seeds = {answer_seed(seed, prompt, sample) for seed in (0, 1) for prompt in ("a", "b") for sample in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_field_that_is_not_used_is_not_in_the_journal():
    settings = OpenAISettings(kind="openai", model="m", base_url="http://server/v1")
    assert "omit" not in settings.model_dump(mode="json")
    assert settings.model_copy(update={"omit": ("seed",)}).model_dump(mode="json")["omit"] == ["seed"]
