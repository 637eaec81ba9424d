"""What tells contradictions, from the settings to a verdict: models by name or folder, judges of the panels file."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from consensus_server.backends.store import open_store
from consensus_server.cli import app
from consensus_server.comparison_wiring import build_comparisons
from consensus_server.core.errors import ComparisonFailed
from consensus_server.settings import SettingsError, load_settings
from consensus_server.wiring import build_server
from tests.support.openai_server import MODEL, openai_server
from tests.support.tiny_nli import CLASHES

TEXTS = [f"Lorries go round by the {CLASHES}.", "Heavy vehicles may cross."]
PROMPT = "Is the bridge open?"


@pytest.fixture(scope="module")
def server():
    with openai_server() as running:
        yield running


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'features.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def judge(server, store, tmp_path):
    server.answers, server.always, server.shape, server.finish_reason = {}, None, "openai", "stop"
    server.bodies.clear()

    def judge(**upstream):
        path = tmp_path / "panels.yaml"
        settings = {"base_url": server.url, "model": MODEL, "retries": 0, "timeout_seconds": 20, **upstream}
        path.write_text(yaml.safe_dump({"upstreams": {"wise": settings}}))
        comparisons = build_comparisons(load_settings({}, panels_file=path), store.features)
        ((name, found),) = comparisons.named("judge:wise")
        assert name == "judge:wise"
        return found

    return judge


class Everything(dict):
    """The same reply to every prompt."""

    def __init__(self, reply):
        super().__init__()
        self.reply = reply

    def get(self, *_):
        return self.reply


def test_a_judge_is_asked_at_temperature_0_and_never_twice(server, judge):
    server.answers = Everything("CONTRADICTION")
    (found,) = judge().between(TEXTS, PROMPT)
    assert (found.kind, found.hard) == ("judge", True)
    assert [body["temperature"] for body in server.bodies] == [0.0, 0.0]
    assert {TEXTS[0] in body["messages"][-1]["content"] for body in server.bodies} == {True}
    assert judge().between(TEXTS[::-1], PROMPT)[0].hard
    assert len(server.bodies) == 2


@pytest.mark.parametrize("shape", ["openai", "refusal", "empty"])
def test_nonsense_is_no_finding_now_and_later(server, judge, shape):
    server.shape = shape
    assert judge().between(TEXTS, PROMPT) == []
    server.shape, server.answers = "openai", Everything("CONTRADICTION")
    assert judge().between(TEXTS, PROMPT) == []


@pytest.mark.parametrize(
    ("upstream", "always", "shape"),
    [
        ({}, 429, "openai"),
        ({}, 503, "openai"),
        ({}, 401, "openai"),
        ({}, None, "other"),
        ({}, None, "page"),
        ({"model": "another"}, None, "openai"),
        ({"base_url": "http://127.0.0.1:9/v1"}, None, "openai"),
        ({"api_key_env": "A_KEY_THAT_IS_NOT_SET"}, None, "openai"),
    ],
)
def test_a_judge_that_cannot_be_had_is_told_and_asked_again_later(server, judge, upstream, always, shape):
    server.always, server.shape = always, shape
    with pytest.raises(ComparisonFailed, match="the judge wise: "):
        judge(**upstream).between(TEXTS, PROMPT)
    server.always, server.shape, server.answers = None, "openai", Everything("CONTRADICTION")
    assert judge().between(TEXTS, PROMPT)[0].hard


def test_the_same_model_elsewhere_is_the_same_judge(judge):
    assert judge(base_url="http://127.0.0.1:9/v1").identity == judge().identity
    assert judge(model="another").identity != judge().identity
    assert judge(extra_body={"top_k": 1}).identity != judge().identity


def test_models_are_named_by_the_settings(tiny_nli, store):
    settings = load_settings({"CONSENSUS_NLI_MODELS": f"{tiny_nli}, nobody/such-a-model"})
    comparisons = build_comparisons(settings, store.features)
    assert comparisons.names() == ["none", "words", "nli:nobody/such-a-model", "nli:tiny"]
    ((_, found),) = comparisons.named("nli:tiny")
    assert found.identity.startswith("nli:tiny-1-")
    assert [each is found for _, each in comparisons.named(found.identity)] == [True]
    assert list(comparisons.named(f"nli:{tiny_nli}")) == []
    assert found.between(TEXTS, PROMPT)[0].kind == "nli"


def test_a_server_with_two_models_of_one_name_does_not_start(tiny_nli, tmp_path):
    settings = load_settings({}, data_dir=tmp_path, nli_models=f"{tiny_nli},/elsewhere/tiny")
    with pytest.raises(SettingsError, match="CONSENSUS_NLI_MODELS: two models have one name"):
        build_server(settings, "token")


def test_pairs_are_measured_with_any_model_of_this_machine(tiny_nli, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"a": TEXTS[0], "b": TEXTS[1], "label": "contradict", "prompt": PROMPT}) + "\n")
    command = [
        "evaluate-contradictions",
        file,
        "--encoder",
        "hashing",
        "--cache",
        tmp_path,
        "--json",
        "--contradictions",
    ]
    shares = {}
    for name in ("words", f"nli:{tiny_nli}"):
        done = CliRunner().invoke(app, [*map(str, command), name])
        assert done.exit_code == 0, done.output
        shares[name] = json.loads(done.stdout)["rows"][0]["found"]
    assert list(shares.values()) == [0, 1]
    refused = CliRunner().invoke(app, [*map(str, command), f"nli:{tmp_path}/nowhere"])
    assert (refused.exit_code, "does not exist" in refused.stderr) == (2, True)


def test_labels_are_measured_with_a_model_too(tiny_nli, tmp_path):
    file = tmp_path / "judged.jsonl"
    rows = [
        {"prompt_id": f"p{p}", "prompt": PROMPT, "model": f"m{k}", "output": f"{text} {p}", "preference": k / 3}
        for p in range(3)
        for k, text in enumerate((*TEXTS, "All may pass."))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--panels", 1, "--panel-size", 3, "--encoder", "hashing", "--workers", 1, "--rules", "medoid"]
    options += ["--contradictions", f"nli:{tiny_nli}", "--against", "contradictions=words", "--cache", tmp_path]
    done = CliRunner().invoke(app, list(map(str, ["evaluate-labels", file, *options, "--out", tmp_path])))
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "results.json").read_text())[:1]
    assert row["policy"]["contradictions"].startswith("nli:tiny-1-")


def test_a_judge_goes_where_the_panels_file_says_while_it_is_the_same_model(server, judge, tmp_path):
    server.answers = Everything("CONTRADICTION")
    moved = judge(base_url="http://127.0.0.1:9/v1")
    judge()  # writes the address that answers
    assert moved.between(TEXTS, PROMPT)[0].hard
    stays, path = judge(), tmp_path / "panels.yaml"
    for unusable in (path.read_text().replace(MODEL, "another"), "upstreams: {}", "upstreams: ["):
        path.write_text(unusable)
        assert stays.between([f"{TEXTS[0]} {len(unusable)}", TEXTS[1]], PROMPT) is not None
    assert {body["model"] for body in server.bodies} == {MODEL}
