"""Why, maps and what-if over the wire and on the command line."""

import json

import pytest
from typer.testing import CliRunner

from client_kit.cli import app as kit
from client_kit.client import AsyncConsensusClient, ConsensusClient
from client_kit.errors import Forbidden, ValidationFailed
from client_kit.wire import ConsensusPolicy
from consensus_server import cli


@pytest.fixture
def published(live, new_arena):
    arena = new_arena(live, participants=("anna", "bert", "carl"), quorum=3)
    texts = {
        "anna": "The answer to {} is forty-two.",
        "bert": "The answer to {} is forty-two!",
        "carl": "\ufffd\x01\ufffd{}",
    }
    arena.publish(
        {name: [{"prompt_id": f"p{n}", "text": text.format(n)} for n in range(1, 6)] for name, text in texts.items()}
    )
    return arena


@pytest.fixture
def run(live, monkeypatch):
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(live.server.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "300")

    def invoke(*words, expect=0):
        result = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert result.exit_code == expect, result.output
        return result.output if expect else result.stdout

    return invoke


async def test_both_clients_see_map_and_what_if(published, live):
    with ConsensusClient(live.url, live.operator_token, federation=published.name) as operator:
        policy = operator.federation().policy
        same = operator.what_if(1, policy)
        assert (same.labels, same.changed) == (operator.round(1).labels, 0)
        strict = operator.what_if(1, policy.model_copy(update={"minimum_margin": 3.0}))
        assert (strict.lost, strict.changes[0].after.abstention) == (5, "low_evidence")
        whole = operator.map(1, "p1")
        assert [point.participant for point in whole.points if point.gate] == ["carl"]
        with pytest.raises(ValidationFailed, match="known are pca, umap"):
            operator.map(1, "p1", method="tsne")
        reasons = {fate.participant: fate.reason for fate in operator.explanation(1, "p1").answers}
        assert (reasons["anna"], "can be printed" in reasons["carl"]) == (None, True)
    async with AsyncConsensusClient(live.url, published.tokens["anna"]) as anna:
        assert [fate.text for fate in (await anna.explanation(1, "p1")).answers] == [None]
        assert {point.participant for point in (await anna.map(1, "p1")).points} == {None, "anna"}
        with pytest.raises(Forbidden):
            await anna.what_if(1, ConsensusPolicy())


def test_the_command_line_explains(published, run, tmp_path):
    name = published.name
    shown = run("round", "why", name, 1, "p1")
    assert "chosen" in shown
    assert "Evidence 2.00, leads by 2.00, 2 sure of it: corroborated." in shown
    assert "printed" in shown  # a cell may be wrapped
    assert "The answer to 1 is forty-two!" in shown
    assert len(json.loads(run("round", "why", name, 1, "p1", "--json"))["answers"]) == 3
    assert len(json.loads(run("round", "map", name, 1, "p1", "--json"))["points"]) == 3
    assert "garbage" in run("round", "map", name, 1, "p1")
    assert "0 of 5 prompts would change" in run("round", "what-if", name, 1)
    assert "5 lose theirs" in run("round", "what-if", name, 1, "--set", "minimum_margin=3")
    assert json.loads(run("round", "what-if", name, 1, "--set", "abstain=no", "--json"))["policy"]["abstain"] is False
    assert "not of the form FIELD=VALUE" in run("round", "what-if", name, 1, "--set", "rule", expect=2)
    assert "Fields are rule" in run("round", "what-if", name, 1, "--set", "rules=medoid", expect=2)


def test_the_card_shows_spread_and_support(published, run):
    shown = run("round", "card", published.name)
    assert "Mean standing of 3 participants:" in shown
    assert "3 newcomers, 0 drifted." in shown
    assert "mean confidence" in shown


def test_a_plot_is_no_picture(published, run, tmp_path):
    out = tmp_path / "m.png"
    said = run("round", "map", published.name, 1, "p1", "--out", out, expect=2)
    assert f"--out {tmp_path / 'm.html'}" in said
    assert not out.exists()


def test_remedies_fit_what_was_asked(published, run):
    unknown = run("round", "why", published.name, 1, "p99", expect=1)
    assert "Name a prompt of that set" in unknown
    assert "Load the prompt set" not in unknown
    assert "Name a prompt of that set" in run("round", "map", published.name, 1, "p99", expect=1)
    odd = run("round", "map", published.name, 1, "p1", "--method", "tsne", expect=1)
    assert "pca can always be used" in odd
    assert "send the request again" not in odd


def test_a_plot_is_written_with_all_that_it_needs(published, run, tmp_path):
    pytest.importorskip("plotly")
    out = tmp_path / "map.html"
    assert "map of 3 answers" in run("round", "map", published.name, 1, "p1", "--out", out)
    page = out.read_text(encoding="utf-8")
    assert "cluster 0" in page
    assert "carl" in page
    assert 'src="http' not in page
    assert "cannot be written" in run(
        "round", "map", published.name, 1, "p1", "--out", tmp_path / "no" / "m.html", expect=1
    )


@pytest.fixture
def two_doses(live, new_arena):
    """Two say 5 mg and one 50 mg, with marks that a page must not take for its own."""
    policy = {"guards": False, "reliability": False, "distance_short": 1.9}
    arena = new_arena(live, participants=("anna", "bert", "carl"), policy=policy)
    doses = {"anna": "5 mg", "bert": "5 mg", "carl": "50 mg"}
    arena.publish(
        {
            name: [{"prompt_id": f"p{n}", "text": f"Give {dose} <b>now</b>."} for n in range(1, 6)]
            for name, dose in doses.items()
        }
    )
    return arena


def test_the_deciding_words_stand_in_the_table_and_on_the_page(two_doses, run, tmp_path):
    shown = run("round", "why", two_doses.name, 1, "p1")
    assert "number:mass" in shown
    assert "one says" in shown
    assert "50 mg" in shown
    pytest.importorskip("plotly")
    out = tmp_path / "map.html"
    run("round", "map", two_doses.name, 1, "p1", "--out", out)
    page = out.read_text(encoding="utf-8")
    assert "number:mass" in page
    assert "50 mg" in page


def test_a_participant_looks_at_its_rounds(published, live, monkeypatch):
    monkeypatch.setenv("CONSENSUS_SERVER", live.url)
    monkeypatch.setenv("CONSENSUS_TOKEN", published.tokens["anna"])
    monkeypatch.setenv("COLUMNS", "300")

    def consensus(*words, code=0):
        result = CliRunner().invoke(kit, list(words))
        assert result.exit_code == code, result.output
        return result.stdout or result.stderr

    assert "You are anna (participant)." in consensus("status")
    assert f"Round 1 of {published.name} is published: 3 of 3 sealed" in consensus("status")
    assert json.loads(consensus("status", "--json"))["round"]["state"] == "published"
    assert "3 of 3" in consensus("rounds")
    assert json.loads(consensus("rounds", "--json"))["items"][0]["number"] == 1
    assert "5 pseudo-labels" in consensus("card")
    assert json.loads(consensus("card", "--round", "1", "--json"))["counts"]["labels"] == 5
    assert "corroborated" in consensus("why", "p1")
    assert "anna" in consensus("map", "p1")
    assert len(json.loads(consensus("map", "p1", "--json"))["points"]) == 3
    assert "See which there are: consensus rounds." in consensus("why", "p1", "--round", "9", code=3)
    assert "does not end in .html" in consensus("map", "p1", "--out", "map.png", code=2)
