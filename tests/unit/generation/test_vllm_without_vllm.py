"""What can be told of vLLM's server without starting one."""

import json

import pytest

from client_kit.errors import ConfigurationError, EndpointUnreachable, EngineFailed, UnknownModel
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.vllm_process import VLLMServer
from client_kit.generation.vllm_server import VLLMServerGenerator
from client_kit.generation.vllm_weights import Weights, arguments, weights
from client_kit.wire import FinishReason, Prompt

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt="?") for number in range(4)]
SAMPLING = Sampling(samples=2)


class Dying:
    """Answers `alive` prompts and samples, then its server is gone."""

    def __init__(self, alive, log):
        self.alive, self.log = alive, log

    def generate(self, prompts, sampling):
        for prompt in prompts:
            for sample in range(sampling.samples):
                if not self.alive:
                    raise EndpointUnreachable("gone", prompt_id=prompt.prompt_id)
                self.alive -= 1
                self.log.append((prompt.prompt_id, sample))
                yield Generation(prompt.prompt_id, sample, "text", FinishReason.STOP)

    def close(self):
        self.log.append("closed")


def generator(*lives, log, dead=True):
    left = iter(lives)
    return VLLMServerGenerator(lambda: Dying(next(left), log), has_died=lambda: dead)


def test_a_server_that_dies_is_asked_again_for_what_is_missing_and_each_answer_comes_once():
    log = []
    answers = list(generator(3, 4, 8, log=log).generate(PROMPTS, SAMPLING))
    keys = [(answer.prompt_id, answer.sample) for answer in answers]
    assert sorted(keys) == [(prompt.prompt_id, sample) for prompt in PROMPTS for sample in (0, 1)]
    assert log.count("closed") == 2
    assert ("p0", 0) not in log[log.index("closed") :], "whole prompts are not asked again"


def test_a_server_that_keeps_dying_is_given_up_on():
    with pytest.raises(EngineFailed, match=r"prompt p0: the vLLM server died 4 times\. Look into its log"):
        list(generator(0, 0, 0, 0, 0, log=[]).generate(PROMPTS, SAMPLING))


def test_a_server_that_lives_and_does_not_answer_is_not_started_again():
    with pytest.raises(EndpointUnreachable, match="gone"):
        list(generator(1, 8, log=[], dead=False).generate(PROMPTS, SAMPLING))


def test_engine_arguments_are_those_of_the_command_line():
    given = {"max_model_len": 256, "enforce_eager": True, "enable_prefix_caching": False, "seed": None}
    given |= {"allowed_origins": ["a", "b"], "hf_overrides": {"x": 1}}
    assert arguments(given) == [
        "--max-model-len", "256", "--enforce-eager", "--no-enable-prefix-caching",
        "--allowed-origins", "a", "b", "--hf-overrides", '{"x": 1}',
    ]  # fmt: skip


def adapter(folder, rank, base):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "base_model_name_or_path": str(base)}))
    return folder


def test_weights_are_a_base_with_an_adapter_or_a_model_in_its_place(tmp_path):
    base, whole = tmp_path / "base", tmp_path / "whole"
    base.mkdir()
    whole.mkdir()
    tuned = adapter(tmp_path / "tuned", 12, base)
    assert weights(str(base), None) == Weights(str(base))
    assert weights(str(base), whole) == Weights(str(whole))
    assert weights(str(base), tuned) == weights(str(tuned), None) == Weights(str(base), tuned)
    assert weights(str(base), tuned).rank == 16
    with pytest.raises(ConfigurationError, match="has rank 1000; vLLM takes 512 at most"):
        _ = weights(str(base), adapter(tmp_path / "broad", 1000, base)).rank
    with pytest.raises(UnknownModel, match="there is no model folder"):
        weights(str(base), tmp_path / "absent")


def test_weights_are_told_apart_by_their_files(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"1")
    before = Weights(str(base)).digest()
    assert Weights(str(base)).digest() == before
    (base / "model.safetensors").write_bytes(b"12")
    assert Weights(str(base)).digest() != before


def test_room_for_adapters_is_what_was_asked_for_or_what_the_first_one_needs(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    tuned = Weights(str(base), adapter(tmp_path / "tuned", 12, base))
    log = tmp_path / "log"
    assert VLLMServer(Weights("m"), log=log).adapter_rank == 0
    assert VLLMServer(tuned, log=log).adapter_rank == 16
    assert VLLMServer(Weights("m"), log=log, engine_args={"enable_lora": True}).adapter_rank == 16
    assert VLLMServer(tuned, log=log, engine_args={"enable_lora": True, "max_lora_rank": 64}).adapter_rank == 64


def test_the_key_of_the_server_is_not_on_its_command_line(tmp_path):
    server = VLLMServer(Weights("m"), log=tmp_path / "log", engine_args={"dtype": "float32"})
    words = server._words()
    assert words[:2] == ["--model", "m"]
    assert server.key not in words
    assert server._environment()["VLLM_API_KEY"] == server.key
