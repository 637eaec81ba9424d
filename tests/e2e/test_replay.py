"""`consensus replay` as a person runs it: a process, a real server, files on disk. The stand-in encoder, for speed."""

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client_kit.wire import RoundCard

COMMAND = (sys.executable, "-c", "from client_kit.cli import main; main()", "replay")

CAPITALS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Peru": "Lima", "Egypt": "Cairo", "Chile": "Santiago"}
WORDINGS = {
    "Llama/1": "The capital of {country} is {city}.",
    "GPT 2": "the capital of {country} is {city}",
    "qwen-3": "The capital of {country} is {city}, of course.",
    "neox": "The capital of {country} is {city}.",
}
CONTRARIAN = "contrarian"
"""Answers every question with something else; judged 0."""


def rows(*, judged=True):
    for country, city in CAPITALS.items():
        told = {model: wording.format(country=country, city=city) for model, wording in WORDINGS.items()}
        told[CONTRARIAN] = f"Bees live in a hive beside my garden, not in {city[::-1].lower()}."
        for model, output in told.items():
            preference = {"preference": 0.0 if model == CONTRARIAN else 0.75} if judged else {}
            prompt = {"prompt_id": f"capital of {country}", "prompt": f"What is the capital of {country}?"}
            yield {**prompt, "model": model, "output": output, "secret": "never sent", **preference}


def write(path, given):
    content = "".join(json.dumps(row) + "\n" for row in given).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def run(*options):
    return subprocess.run([*COMMAND, *map(str, options)], capture_output=True, text=True, timeout=240, check=False)


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The output folder after a first run, and what it printed."""
    folder = tmp_path_factory.mktemp("replay")
    file = write(folder / "answers.jsonl.gz", rows())
    done = run(
        file, "--models", 5, "--seed", 7, "--no-abstention", "--encoder", "hashing", "--out", folder / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_every_prompt_gets_what_most_models_say_and_its_source(played):
    folder, _ = played
    labels = lines(folder / "out" / "pseudo_labels.jsonl")
    assert [label["prompt_id"] for label in labels] == sorted(f"capital of {country}" for country in CAPITALS)
    for label in labels:
        country = label["prompt_id"].removeprefix("capital of ")
        assert CAPITALS[country] in label["text"]
        assert label["text"] == WORDINGS[label["source"]].format(country=country, city=CAPITALS[country])
        assert label["source"] != "neox"  # Llama/1 says the same and comes first by name
        assert label["support"] >= 3
        assert not label["abstained"]


def test_card_and_summary_fit_the_round(played):
    folder, outcome = played
    card = RoundCard.model_validate_json((folder / "out" / "round_card.json").read_text("utf-8"))
    summary = json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    assert (card.counts.submissions, card.counts.answers, card.counts.labels) == (5, 30, 6)
    assert card.policy.abstain is False
    assert "STAND-IN" in card.encoder.name
    assert {row.participant for row in card.traffic} == set(summary["participants"].values())
    assert all(row.received_bytes > 0 and row.sent_bytes > 0 for row in card.traffic)
    assert outcome["summary"] == summary
    assert summary["coverage"] == 1
    assert summary["mean_preference"] == {"picks": 0.75, "all_answers": pytest.approx(0.6), "best_model": 0.75}


def test_nothing_beside_prompts_and_outputs_reaches_the_server(played):
    folder, _ = played
    files = [path for path in (folder / "out" / "server").rglob("*") if path.is_file()]
    held = b"".join(path.read_bytes() for path in files)
    assert b"What is the capital of France?" in held
    assert b"never sent" not in held
    assert b"preference" not in held


def test_a_rerun_embeds_nothing_again_and_gives_the_same_labels(played):
    folder, first = played
    before = (folder / "out" / "pseudo_labels.jsonl").read_bytes()
    names = [part for model in [*WORDINGS, CONTRARIAN] for part in ("--model", model)]
    file = write(folder / "unjudged.jsonl", rows(judged=False))
    done = run(file, *names, "--no-abstention", "--encoder", "hashing", "--out", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert (again["encoded"], again["reused"]) == (0, first["encoded"])
    assert again["federation"] != first["federation"]
    assert (folder / "out" / "pseudo_labels.jsonl").read_bytes() == before
    assert not (folder / "out" / "summary.json").exists()  # nothing was judged this time


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, (), "No such file"),
        (b"", (), "has no answers"),
        (b"not json\n", (), "line 1: is not JSON"),
        (b'{"prompt_id": "p", "prompt": "?", "output": "x"}\n', (), "line 1: model is missing"),
        (b'{"prompt_id": "p", "prompt": "?", "model": "m", "output": "x"}\n', ("--models", 2), "asks for 2 models; the file has 1"),
        (b'{"prompt_id": "p", "prompt": "?", "model": "m", "output": "x"}\n', ("--model", "n"), "no answers of 'n'; it has m"),
        (b'{"prompt_id": "p", "prompt": "?", "model": "m", "output": "x"}\n', ("--model", "m", "--models", 1), "give one of the two"),
    ],
)  # fmt: skip
def test_bad_input_is_one_error_and_leaves_nothing_behind(tmp_path, content, options, message):
    file = tmp_path / "answers.jsonl"
    if content is not None:
        file.write_bytes(content)
    done = run(file, *options, "--out", tmp_path / "out", "--json")
    assert done.returncode == (2 if options else 4)  # the command line, or the file
    assert message in json.loads(done.stderr)["error"]
    assert not (tmp_path / "out").exists()


def test_an_unknown_rule_is_refused_with_those_there_are(tmp_path):
    file = write(tmp_path / "answers.jsonl", rows())
    done = run(file, "--models", 3, "--rule", "sorcery", "--encoder", "hashing", "--out", tmp_path / "out", "--json")
    fault = json.loads(done.stderr)
    assert (done.returncode, fault["code"]) == (1, "unknown_rule")
    assert "cluster_medoid" in fault["error"]
    assert not (tmp_path / "out" / "pseudo_labels.jsonl").exists()


def test_an_encoder_that_cannot_be_loaded_is_said_at_once(tmp_path):
    file = write(tmp_path / "answers.jsonl", rows())
    done = run(file, "--models", 2, "--encoder", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "cannot load its encoder" in done.stderr
    assert "nowhere" in done.stderr


def test_a_killed_parent_takes_its_server_along(tmp_path):
    program = (
        "import pathlib, sys, time\n"
        "from client_kit.federation.server_process import ServerProcess\n"
        "with ServerProcess(pathlib.Path(sys.argv[1]), environment={'CONSENSUS_ENCODER': 'hashing'}) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    time.sleep(120)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        server = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while (Path("/proc") / str(server)).exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not (Path("/proc") / str(server)).exists()
