"""Three people begin, and make mistakes: each is told where it is made, with what to do, is mended, and the work goes on to its end."""

import json
import re
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import openai
import pytest
import structlog
import yaml
from typer.testing import CliRunner

from client_kit._transport import RetryPolicy
from client_kit.cli import app as kit
from client_kit.command_line import Exit
from client_kit.comparison import jobs
from client_kit.prompts import write_prompt_set
from client_kit.wire import Prompt
from consensus_server.cli import app as service
from consensus_server.wiring import build_worker
from tests.support.panels import OPERATOR_TOKEN, Running
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model
from tests.support.upstreams import upstream_server

FACTS = {"name": "few", "version": "1.0", "description": "Few.", "licence": "CC0-1.0", "language": "en"}
QUESTION = "What is the capital of France?"
SITES = ("anna", "bert", "carl")
ASKED = {"p0": "what is the capital", "p1": "name one river", "p2": "is a tree green"}


def run(app, *words, expect=Exit.DONE):
    """What a command prints, in one line: results, then what is for people only."""
    done = CliRunner().invoke(app, list(map(str, words)))
    told = " ".join(f"{done.stdout} {done.stderr}".split())
    assert done.exit_code == expect, told
    assert "Traceback" not in told, told
    return told


consensus, server = partial(run, kit), partial(run, service)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """The server logs from threads of its own; nobody sleeps between tries; tables are not folded."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
    monkeypatch.setattr(RetryPolicy, "pause_seconds", lambda *_: 0.01)
    monkeypatch.setenv("COLUMNS", "300")
    yield
    structlog.configure(**before)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def written(path, content):
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_hospital_consortium(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CONSENSUS_ENCODER", "hashing")
    running = Running(tmp_path / "data", None)
    address = running.url.removesuffix("/v1")
    try:
        _operator_begins(tmp_path)
        _sites_join(tmp_path, monkeypatch, address)
        while build_worker(running.server, running.server.encoder.wait()).run_once():
            pass
        for name in SITES:
            assert "Done." in consensus("join", f"{name}.yaml")
        assert "is published: 3 of 3 sealed" in server("round", "status", "clinics", "--watch")
        options = ["--server", address, "--token-file", "bert.token"]
        assert "3 pseudo-labels of round 1" in consensus("labels", "--out", "labels.jsonl", *options)
        assert "carl" in consensus("card", *options)
        assert "Yes" in consensus("why", "p2", *options)
    finally:
        running.end()


def _operator_begins(folder):
    create = partial(server, "federation", "create", "clinics", "--prompt-set", "few")
    assert "Add it first: consensus-server prompt-set add NAME." in create(expect=Exit.UNKNOWN)
    prompts = [Prompt(prompt_id=key, prompt=text) for key, text in ASKED.items()]
    write_prompt_set(folder / "few", prompts, **FACTS)
    told = server("prompt-set", "add", "fewer", expect=Exit.BAD_FILE)
    assert "there is no prompt set 'fewer': neither a folder with manifest.json, nor one of general@1.0" in told
    server("prompt-set", "add", "./few")
    create()
    for name in SITES:
        server("participant", "add", "clinics", name, "--token-file", f"{name}.token")
    told = server("participant", "add", "clinics", "dora", "--token-file", "carl.token", expect=Exit.BAD_FILE)
    assert "carl.token exists, and may hold a token that is in use. Name a new file." in told
    (folder / "operator.token").write_text(OPERATOR_TOKEN)
    server("round", "open", "clinics")


def _sites_join(folder, monkeypatch, address):
    lines(folder / "answers.jsonl", [{"prompt_id": key, "text": f"Yes, {text}."} for key, text in ASKED.items()])
    base = {
        "server": address, "federation": "clinics", "rounds": 1, "patience_seconds": 0.2, "trainer": {"kind": "none"},
        "generator": {"kind": "scripted", "answers": "answers.jsonl"},
    }  # fmt: skip

    def join(name, expect, **changes):
        own = {"work": f"work/{name}", "token_file": f"{name}.token"}
        return consensus("join", written(folder / f"{name}.yaml", {**base, **own, **changes}), expect=expect)

    absent = {"kind": "transformers", "model": "./base-model"}
    assert "base-model does not exist; give the folder of a saved" in join("anna", Exit.USAGE, generator=absent)
    told = join("bert", Exit.USAGE, token_file="operator.token")
    assert "only a participant can submit answers. Take the token that the operator issued for this site" in told
    monkeypatch.setenv("CARL_TOKEN", (folder / "carl.token").read_text().strip())
    told = join("carl", Exit.USAGE, token_file=None, token_env="KARL_TOKEN")
    assert "the participant's token is not in the environment variable KARL_TOKEN: put it there" in told
    told = join("carl", Exit.NO_SERVER, server="http://127.0.0.1:9")
    assert "Check that it runs and that the address and port are right." in told
    told = join("carl", Exit.USAGE, server=address.removeprefix("http://"))
    assert "is no address of a server; it looks like http://127.0.0.1:8000" in told
    told = join("carl", Exit.UNKNOWN, federation="clinic")
    assert "There is no federation clinic for this token. Check the federation's name" in told
    assert "in a settings file federation" in told
    assert "2 of 3 have not sealed yet" in join("anna", Exit.FAILED)
    told = join("bert", Exit.FAILED)
    assert "after 0.2 seconds (2 of 3 participants have sealed). Run the same command again, it goes on from" in told
    join("carl", Exit.FAILED, token_file=None, token_env="CARL_TOKEN")


def test_an_application_developer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOSTED_API_KEY", raising=False)
    file, agreed = tmp_path / "panels.yaml", "The capital of France is Paris."
    server("panel", "init")
    with ExitStack() as stack:
        llama, qwen, hosted = (stack.enter_context(upstream_server(agreed)) for _ in range(3))
        content = yaml.safe_load(file.read_text())
        for name, upstream in {"llama": llama, "qwen": qwen, "hosted": hosted}.items():
            content["upstreams"][name]["base_url"] = upstream.url
        made = json.loads(server("panel", "token", "shop", "--json"))
        content["callers"] = {"shop": {"token_hash": made["token_hash"]}}
        right = written(file, content).read_text()
        check = partial(server, "panel", "check", file)
        file.write_text(right + "panels:\n  assistants: {upstreams: [llama]}\n")
        assert re.search(r"line \d+: 'panels' stands already in line \d+; keep one of them", check(expect=Exit.USAGE))
        file.write_text(right.replace("- qwen\n", "- quen\n"))
        assert "there is no upstream 'quen'; there are hosted, llama, qwen" in check(expect=Exit.USAGE)
        file.write_text(right)
        told = check(expect=Exit.USAGE)
        assert "the key of the upstream hosted is not in the environment variable HOSTED_API_KEY: put it there" in told
        monkeypatch.setenv("HOSTED_API_KEY", "sk-wrong")
        hosted.behaviour = "401"
        told = check("--ask", QUESTION, expect=Exit.FAILED)
        assert "does not accept the key. Check the key and what it may use." in told
        hosted.behaviour = "answer"
        assert told.count(agreed) == 2 < check("--ask", QUESTION).count(agreed)
        running = Running(tmp_path / "data", file)
        stack.callback(running.end)
        _asks(running, made["token"], (llama, qwen, hosted))


def _asks(running, token, upstreams):
    def ask(token=token, model="assistants"):
        messages = [{"role": "user", "content": QUESTION}]
        return running.client(token, http_client=_past_the_proxies()).chat.completions.create(
            model=model, messages=messages
        )

    with pytest.raises(openai.AuthenticationError) as refused:
        ask(token="shop")
    assert "consensus-server panel token" in refused.value.body["message"]
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(model="assistant")
    assert "There is no panel 'assistant' for this token. GET /v1/models lists" in unknown.value.body["message"]
    assert [each.id for each in running.client(token, http_client=_past_the_proxies()).models.list()] == ["assistants"]
    answer = ask()
    assert answer.choices[0].message.content == "The capital of France is Paris."
    for upstream, said in zip(upstreams, ("It is Paris.", "Bees live in hives beside my garden.", "42"), strict=True):
        upstream.text = said
    answer = ask()
    assert answer.choices[0].message.content is None
    assert "does not agree on an answer (tie: several meanings have equal support)" in answer.choices[0].message.refusal
    assert answer.consensus["abstention"] == "tie"


def _past_the_proxies():
    """The application is on the same machine, and its network no business of ours."""
    return openai.DefaultHttpxClient(trust_env=False, verify=False)


@pytest.mark.timeout(600)  # trains, answers and judges
def test_a_researcher(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("client_kit.comparison.run.Processes", Here)
    monkeypatch.setattr(jobs, "print_record", lambda _: None)
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    _compares(tmp_path)
    _replays(tmp_path)


class Here:
    """Jobs of a comparison in this process, which has loaded what they need."""

    def __init__(self, _):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def start(self, _name, _program, file, log):
        jobs.run(jobs.Job.model_validate_json(Path(file).read_bytes()))

    def wait(self, _):
        pass


def _compares(folder):
    consensus("init", "plan", "--task", "own")
    plan = folder / "plan.yaml"
    content = yaml.safe_load(plan.read_text()) | {"methods": ["local_only", "consensous"]}
    compare = partial(consensus, "compare", "plan.yaml", "--out", "out", "--processes", 1)
    written(plan, content)
    assert "there is no 'consensous'; known are local_only" in compare(expect=Exit.USAGE)
    content |= {
        "methods": ["consensus"], "seeds": [0], "rounds": 1, "sites": 2, "local_steps": 2, "round_steps": 2,
        "batch_size": 2, "encoder": "hashing",
    }  # fmt: skip
    content["own"] |= {"private": ["site-0.jsonl", "site-1.jsonl"], "max_answer_tokens": 4}
    written(plan, content)
    assert "base-model does not exist; give the folder of a saved" in compare(expect=Exit.USAGE)
    write_tiny_model(folder / "base-model", chat_template=CHAT_TEMPLATE)
    assert "site-0.jsonl does not exist; give a .jsonl" in compare(expect=Exit.BAD_FILE)
    rows = [{"prompt": f"what is {n}", "completion": f"{n} is green"} for n in ("a tree", "a bird", "fish", "a city")]
    for name in ("site-0", "site-1"):
        lines(folder / f"{name}.jsonl", rows)
    lines(folder / "public.jsonl", [{"question": row["prompt"]} for row in rows])
    lines(folder / "test.jsonl", [*rows, {**rows[0], "validation": True}])
    assert "public.jsonl has faults: line 1: prompt: Field required line 2" in compare(expect=Exit.BAD_FILE)
    lines(folder / "public.jsonl", [{"prompt": row["prompt"]} for row in rows])
    done = compare()
    assert "semantic consensus" in done
    assert (folder / "out" / "report.html").is_file()
    assert done.split("process")[0] == compare().split("process")[0], "a rerun runs nothing again"


def _replays(folder):
    cities = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo"}
    rows = [
        {"prompt_id": number, "prompt": f"What is the capital of {country}?", "model": model, "output": f"It is {city}.",
         "preference": 0.5, "temperature": 1}
        for number, (country, city) in enumerate(cities.items()) for model in ("llama", "qwen", "neox")
    ]  # fmt: skip
    file = folder / "answers.jsonl"
    replay = partial(consensus, "replay", file, "--models", 3, "--encoder", "hashing", "--out", "replayed")
    evaluate = partial(
        server, "evaluate-labels", file, "--encoder", "hashing", "--panels", 2, "--panel-size", 3, "--workers", 1,
        "--rules", "medoid", "--cache", folder / "cache", "--out", "quality",
    )  # fmt: skip
    lines(file, [{"answer" if name == "output" else name: value for name, value in row.items()} for row in rows])
    for command in (replay, evaluate):
        told = command(expect=Exit.BAD_FILE)
        assert "line 1: output is missing; each line needs prompt_id, prompt, model, output" in told
    lines(file, [{name: value for name, value in row.items() if name != "preference"} for row in rows])
    told = evaluate(expect=Exit.BAD_FILE)
    assert "line 1: has neither preference nor gold; write preference: null where nobody judged the answer" in told
    lines(file, rows)
    for command in (replay, evaluate):
        assert command().count("answers.jsonl: these columns are not looked at: temperature") == 1
    assert (folder / "quality" / "report.html").is_file()
    assert len((folder / "replayed" / "pseudo_labels.jsonl").read_text().splitlines()) == len(cities)
