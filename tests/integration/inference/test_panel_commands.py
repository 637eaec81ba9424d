"""`consensus-server panel`: a panels file is checked before a server starts with it."""

import json
import re

import pytest
from typer.testing import CliRunner

from consensus_server.cli import app
from consensus_server.panel_settings import PanelsFile, load_panels
from consensus_server.service.access import token_hash
from tests.support.panels import PARIS, panels_file
from tests.support.proxies import FORMS, set_environment


@pytest.fixture(params=["as it is", "everything"])
def environment(request, monkeypatch):
    if request.param in FORMS:
        set_environment(monkeypatch, **FORMS[request.param])


def run(*words):
    return CliRunner().invoke(app, ["panel", *map(str, words)])


def test_check_shows_the_panels_and_asks_nobody(upstreams, tmp_path):
    both = upstreams(PARIS, PARIS)
    shown = run("check", panels_file(tmp_path, [each.url for each in both]))
    assert shown.exit_code == 0
    assert "capitals" in shown.output
    assert both[0].bodies == []


def test_init_writes_a_panels_file_once_that_passes_its_check(tmp_path, monkeypatch):
    file = tmp_path / "new" / "panels.yaml"
    assert f"consensus-server panel check {file}" in run("init", "--out", file).output.replace("\n", "")
    again = run("init", "--out", file)
    assert (again.exit_code, "already exists" in again.output) == (2, True)
    assert "HOSTED_API_KEY" in run("check", file).output  # what is left to do
    monkeypatch.setenv("HOSTED_API_KEY", "k")
    assert "assistants" in run("check", file).output
    content = file.read_text(encoding="utf-8")
    uncommented = re.sub(r"^( *)#((?:  )*\w+:(?: |$))", r"\1\2", content, flags=re.MULTILINE)
    before = load_panels(file)
    file.write_text(uncommented, encoding="utf-8")
    assert (load_panels(file), uncommented == content) == (before, False)


def test_check_can_ask_every_upstream_and_tells_what_to_do(upstreams, tmp_path, environment):
    both = upstreams(PARIS, PARIS)
    both[1].behaviour = "401"
    shown = run("check", panels_file(tmp_path, [each.url for each in both]), "--ask", "Which city?", "--json")
    assert shown.exit_code == 1
    u0, u1 = json.loads(shown.stdout)["upstreams"]
    assert (u0["failure"], u0["said"]) == (None, PARIS)
    assert u1["failure"] == "refused_key"
    assert "does not accept the key" in u1["said"]


def test_a_faulty_file_ends_the_command_with_its_line(tmp_path):
    file = panels_file(tmp_path, ["http://127.0.0.1:9/v1"], quorum=2)
    shown = run("check", file)
    assert shown.exit_code == 2
    assert "the quorum is 2, but there are only 1 upstreams" in shown.stderr


def test_a_token_goes_with_the_hash_that_the_file_holds():
    made = json.loads(run("token", "shop", "--json").stdout)
    assert made["token_hash"] == token_hash(made["token"])
    assert json.loads(run("token", "shop", "--json").stdout)["token"] != made["token"]
    bare = run("token", "shop")
    assert token_hash(bare.stdout.strip()) in bare.stderr


def test_the_schema_is_that_of_the_file():
    assert json.loads(run("schema").stdout) == PanelsFile.model_json_schema()


def test_a_server_does_not_start_with_a_key_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("MISSING_KEY", raising=False)
    file = panels_file(tmp_path, ["http://127.0.0.1:9/v1"], upstream={"api_key_env": "MISSING_KEY"}, quorum=1)
    ended = CliRunner().invoke(
        app, ["serve", "--data-dir", str(tmp_path / "data"), "--port", "0", "--panels-file", str(file)]
    )
    assert ended.exit_code == 2
    assert "MISSING_KEY" in ended.stderr
