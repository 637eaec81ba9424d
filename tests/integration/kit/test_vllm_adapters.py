"""Adapters in a vLLM server that somebody else started: loaded again after a restart, and probed."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from client_kit.errors import ConfigurationError, UnknownModel
from client_kit.generation.base import Sampling
from client_kit.generation.openai_compatible import InferenceApi
from client_kit.generation.vllm_server import VLLMServerSource
from client_kit.generation.vllm_weights import Weights
from client_kit.wire import Prompt

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt="?") for number in range(3)]


class Engine(BaseHTTPRequestHandler):
    """Knows the models in `known`; forgets adapters after `forget_after` answers."""

    known: set
    log: list
    forget_after: int
    acts: bool

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        action, kind = self.path.removeprefix("/v1/"), type(self)
        kind.log.append((action, body.get("lora_name") or body.get("model")))
        if action == "load_lora_adapter":
            kind.known.add(body["lora_name"])
            return self._say(200, {})
        if action == "unload_lora_adapter":
            return self._say(
                200 if body["lora_name"] in kind.known else 404,
                {"error": {"message": "The lora adapter cannot be found."}},
            )
        if body["model"] not in kind.known:
            return self._say(404, {"error": {"message": f"The model `{body['model']}` does not exist.", "code": 404}})
        if action == "chat/completions":
            kind.forget_after -= 1
            if kind.forget_after == 0:
                kind.known = {"base"}
        score = -1.0 if body["model"] == "base" or not kind.acts else -2.0
        choice = {"index": 0, "finish_reason": "stop", "logprobs": {"token_logprobs": [score]}, "text": "So."}
        return self._say(200, {"choices": [{**choice, "message": {"role": "assistant", "content": "So."}}]})

    def _say(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def engine():
    kind = type("Fresh", (Engine,), {"known": {"base"}, "log": [], "forget_after": -1, "acts": True})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    kind.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield kind
    server.shutdown()
    server.server_close()


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "tuned"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": "base"}))
    return folder


def source(engine, work):
    endpoint = InferenceApi(model="base", base_url=engine.url, retries=0, concurrency=1)
    return VLLMServerSource(endpoint, work=work, attach=True)


def actions(engine, name):
    return [action for action, _ in engine.log].count(name)


def test_a_server_that_was_restarted_gets_its_adapter_again_and_each_answer_comes_once(engine, adapter, tmp_path):
    engine.forget_after = 2
    generator = source(engine, tmp_path).open(adapter)
    answers = list(generator.generate(PROMPTS, Sampling()))
    generator.close()
    assert sorted(answer.prompt_id for answer in answers) == ["p0", "p1", "p2"]
    assert actions(engine, "load_lora_adapter") == 2


def test_a_server_that_was_restarted_between_rounds_has_nothing_to_unload(engine, adapter, tmp_path):
    held = source(engine, tmp_path)
    held.open(adapter).close()
    engine.known = {"base"}
    (adapter / "adapter_model.safetensors").write_bytes(b"trained on")
    held.open(adapter).close()
    assert actions(engine, "load_lora_adapter") == 2
    assert actions(engine, "unload_lora_adapter") == 1


def test_a_model_that_the_server_never_had_is_no_lost_adapter(engine, tmp_path):
    engine.known = set()
    generator = source(engine, tmp_path).open(None)
    with pytest.raises(UnknownModel):
        list(generator.generate(PROMPTS, Sampling()))
    generator.close()
    assert actions(engine, "load_lora_adapter") == 0


@pytest.mark.parametrize("acts", [True, False])
def test_an_adapter_that_answers_as_its_base_is_told(engine, adapter, tmp_path, caplog, acts):
    engine.acts = acts
    with caplog.at_level(logging.WARNING):
        source(engine, tmp_path).open(adapter).close()
    assert ("exactly as the base" in caplog.text) is not acts


@pytest.mark.parametrize(("facts", "kind"), [({"use_dora": True}, "DoRA"), ({"peft_type": "REFT"}, "REFT")])
def test_an_adapter_that_vllm_has_no_place_for_is_refused(adapter, facts, kind):
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 8, **facts}))
    with pytest.raises(ConfigurationError, match=f"is {kind}, and vLLM takes LoRA; train with method: lora"):
        _ = Weights("base", adapter).rank
