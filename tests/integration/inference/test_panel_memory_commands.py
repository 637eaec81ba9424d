"""`consensus-server panel standing` and `panel forget`, over a database that a server has filled."""

import json

import pytest
from typer.testing import CliRunner

from consensus_server.backends.store import SqlPanelMemories
from consensus_server.cli import app
from consensus_server.core.panel_memory import UpstreamMemory
from consensus_server.panel_settings import load_panels
from consensus_server.panel_wiring import memory_terms
from tests.support.databases import sqlite_engine
from tests.support.panels import panels_file

URLS = ["http://127.0.0.1:9/v1"] * 3


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Data of a server whose panel remembers three upstreams, one of them with another model and one by another encoder."""
    engine = sqlite_engine(tmp_path)
    content = load_panels(panels_file(tmp_path, URLS))
    versions = memory_terms(content.panels["capitals"], content).versions
    monkeypatch.setenv("CONSENSUS_PANELS_FILE", str(tmp_path / "panels.yaml"))
    monkeypatch.setenv("CONSENSUS_ENCODER", "hashing")
    rows = [("u0", versions["u0"], "e" * 64), ("u1", "0" * 64, "e" * 64), ("gone", "0" * 64, "e" * 64)]
    SqlPanelMemories(engine).add(
        "capitals",
        [
            UpstreamMemory(upstream=name, version=version, encoder=encoder, total=40.0, weight=60.0, questions=80)
            for name, version, encoder in rows
        ],
        fading=1.0,
    )
    yield tmp_path
    engine.dispose()


def run(*words):
    return CliRunner().invoke(app, ["panel", *map(str, words)])


def test_standing_says_who_is_trusted_and_what_counts_no_more(server):
    found = json.loads(run("standing", "capitals", "--data-dir", server, "--json").stdout)["upstreams"]
    assert {each["upstream"]: each["counts"] for each in found} == {
        "u0": "no: another encoder",
        "u1": "no: asked otherwise then",
        "gone": "no: not in the panel",
    }
    assert found[1]["reliability"] == pytest.approx(2 / 9 * 40 / 81, abs=1e-3)
    assert "another encoder" in run("standing", "capitals", "--data-dir", server).output


def test_what_is_forgotten_is_gone_and_unknown_panels_are_told(server):
    assert json.loads(run("forget", "capitals", "--data-dir", server, "--json").stdout)["forgotten"] == 3
    assert "nothing was remembered" in run("forget", "capitals", "--data-dir", server).output
    assert "Nothing is remembered yet" in run("standing", "capitals", "--data-dir", server).output
    unknown = run("standing", "nobody", "--data-dir", server)
    assert (unknown.exit_code, "there are: capitals, reserved" in unknown.output) == (2, True)


def test_a_panel_without_a_memory_says_so(server):
    panels_file(server, URLS, memory=None)
    assert "has no memory" in run("standing", "capitals", "--data-dir", server).output
