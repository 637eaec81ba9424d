"""Pull mode from the command line: a participant is bound to an upstream by name, and set free again."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from consensus_server.backends.store import open_store
from consensus_server.cli import app
from tests.support.service import Service


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The commands over a database with the federation `clinics` and the participant `hosted`."""
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"upstreams": {"llama": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}}}))
    store = open_store(f"sqlite:///{tmp_path}/consensus.sqlite3")
    service = Service(store)
    service.found(sites=("hosted",))
    service.open()
    store.close()
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CONSENSUS_PANELS_FILE", str(file))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_a_participant_is_bound_and_set_free(run):
    bound = run(
        "participant",
        "pull",
        "clinics",
        "hosted",
        "--upstream",
        "llama",
        "--max-tokens",
        64,
        "--training-rights",
        "--json",
    )
    assert bound.exit_code == 0, bound.stderr
    assert {"upstream": "llama", "max_tokens": 64, "attempts": 3, "training_rights": True}.items() <= json.loads(
        bound.stdout
    ).items()
    assert json.loads(run("round", "pulls", "clinics", "--json").stdout) == {"items": []}
    assert "asks nobody in round 1" in run("round", "pulls", "clinics").stdout
    assert run("participant", "push", "clinics", "hosted").exit_code == 0


def test_an_unknown_upstream_lists_those_that_there_are(run):
    refused = run("participant", "pull", "clinics", "hosted", "--upstream", "gpt")
    assert refused.exit_code == 1
    assert "there is no upstream 'gpt'; there are llama" in refused.stderr


def test_a_number_out_of_range_names_its_option(run):
    refused = run("participant", "pull", "clinics", "hosted", "--upstream", "llama", "--tokens-per-round", 0)
    assert refused.exit_code == 2
    assert "--tokens-per-round" in refused.stderr


def test_a_participant_that_is_not_there_is_told(run):
    assert run("participant", "pull", "clinics", "nobody", "--upstream", "llama").exit_code == 3
