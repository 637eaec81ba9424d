"""`consensus approve`: a person decides about what the site keeps ready, bound to its digest."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from client_kit.cli import app, approve
from client_kit.errors import NotApproved
from client_kit.federation.agreed import check_terms, terms_of
from client_kit.federation.approval import approved, decision_of, preview
from client_kit.federation.outgoing import keep
from client_kit.wire import Answer, ConsensusPolicy, Federation, Prompt

ANSWERS = [Answer(prompt_id="p1", text="Paris.")]
PROMPTS = [Prompt(prompt_id="p1", prompt="What is the capital?")]


def consensus(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "participant.yaml").write_text(
        "server: http://127.0.0.1:1\nfederation: f\ntoken_file: token\nwork: work\nrounds: 1\n"
        "generator: {kind: scripted, answers: answers.jsonl}\ntrainer: {kind: none}\n"
    )
    (tmp_path / "token").write_text("t")
    return tmp_path / "work"


@pytest.fixture
def asked(work):
    """Round 1 waits for a person."""
    keep(work, 1, ANSWERS)
    shown = preview("f", "http://host", 1, ANSWERS, PROMPTS, deadline=None, dropped={}, personal={}, carried_from=None)
    with pytest.raises(NotApproved):
        approved(work, shown, None, lambda: None, patience_seconds=-1)
    return shown


def test_it_lists_shows_and_approves_what_waits(work, asked):
    assert "waits" in consensus("approve").output
    shown = consensus("approve", 1, "--show").output
    assert "What is the capital?\n  Paris." in shown
    assert asked.digest in shown
    assert decision_of(work, 1) is None
    done = consensus("approve", 1, "--digest", asked.digest[:12])
    assert "Round 1: approved by" in done.output
    assert decision_of(work, 1).digest == asked.digest
    assert json.loads(consensus("approve", "--list", "--json").stdout)[0]["state"] == "approved"
    consensus("approve", 1, "--refuse", "--digest", asked.digest)
    assert decision_of(work, 1).approved is False


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1"], "this is no terminal"),
        (["1", "--digest", "0" * 12], "and not 000000000000"),
        (["1", "--digest", "4f"], "and not 4f"),
        (["2"], "Nothing waits in round 2"),
        (["second"], "neither the number of a round"),
    ],
)
def test_what_was_not_looked_at_is_not_approved(work, asked, words, told):
    failed = consensus("approve", *words)
    assert failed.exit_code != 0
    assert told in failed.stderr
    assert decision_of(work, 1) is None


def test_a_person_on_a_terminal_is_asked(work, asked, monkeypatch):
    monkeypatch.setattr(approve, "on_terminal", lambda: True)
    assert CliRunner().invoke(app, ["approve", "1"], input="n\n").exit_code == 1
    assert decision_of(work, 1) is None
    assert CliRunner().invoke(app, ["approve", "1"], input="y\n").exit_code == 0
    assert decision_of(work, 1).approved


def test_answers_that_changed_since_are_not_approved(work, asked):
    keep(work, 1, [Answer(prompt_id="p1", text="Lyon.")])
    assert "have changed" in consensus("approve", 1, "--digest", asked.digest).stderr
    assert decision_of(work, 1) is None


def test_a_federation_is_approved_by_its_digests(work, monkeypatch):
    federation = Federation(
        federation="f", prompt_set="0" * 64, encoder="1" * 64, created_at="2026-01-01T00:00:00Z",
        policy=ConsensusPolicy(contradictions="none"),
    )  # fmt: skip

    class Client:
        def __init__(self, *_, **__): ...

        def prompts(self):
            return PROMPTS

        def federation(self):
            return federation

    monkeypatch.setattr(approve, "ConsensusClient", lambda *_, **__: nullcontext(Client()))
    terms = terms_of(federation, PROMPTS)
    shown = consensus("approve", "federation", "--show").output
    assert "p1: What is the capital?" in shown
    assert f"policy: sha256:{terms.policy}" in shown
    assert "no terminal" in consensus("approve", "federation").stderr
    assert "Approved in" in consensus("approve", "federation", "--digest", f"sha256:{terms.policy}").output
    check_terms(work, None, terms)
    assert "As approved before." in consensus("approve", "federation", "--show").output
    with pytest.raises(NotApproved):
        check_terms(work, None, replace(terms, prompt_set="2" * 64))
