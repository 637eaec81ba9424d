"""`consensus egress` reads what a site recorded, and asks nobody."""

import contextvars
import json

import pytest
from typer.testing import CliRunner

from client_kit.cli import app
from client_kit.egress.record import EgressRecord
from client_kit.federation.outgoing import digest_of, keep
from client_kit.wire import Answer

ANSWERS = [Answer(prompt_id="p1", text="Paris.")]


def consensus(*arguments, **environment):
    return CliRunner().invoke(
        app, list(map(str, arguments)), env={"CONSENSUS_EGRESS": None, "COLUMNS": "200", **environment}
    )


@pytest.fixture
def site(tmp_path):
    (tmp_path / "participant.yaml").write_text(
        "server: http://127.0.0.1:1\nfederation: f\ntoken_file: token\nwork: work\nrounds: 1\n"
        "generator: {kind: scripted, answers: answers.jsonl}\ntrainer: {kind: none}\n"
    )
    return tmp_path / "participant.yaml"


@pytest.fixture
def record(site):
    record = EgressRecord(site.parent / "work" / "egress.jsonl")
    said = {
        "method": "PUT",
        "to": "host:81",
        "path": "/x",
        "round": 1,
        "bytes": 321,
        "body_bytes": 99,
        "body": "ab" * 32,
    }
    number = record.append("sent", kind="answers", answers=1, **said)
    record.append("answered", request=number, status=200)
    record.append("screened", round=1, action="mask", found={"email": 2})
    keep(site.parent / "work", 1, ANSWERS)
    return record


def test_it_shows_sums_requests_and_what_was_found(site, record):
    shown = consensus("egress", "--settings", site).output
    for word in ("answers", "host:81", "321", "abababababab", "200", "email: 2 (mask)"):
        assert word in shown
    told = json.loads(consensus("egress", "--settings", site, "--kind", "answers", "--json").stdout)
    assert (told["totals"][0]["bytes"], told["requests"][0]["status"], told["personal_data"]) == (321, 200, [])
    assert consensus("egress", "--record", record.path, "--round", 2).output == "Nothing was sent.\n"


def test_it_opens_a_digest(site, record):
    assert "Paris." in consensus("egress", "show", digest_of(ANSWERS)[:10], "--settings", site).output
    assert "too short" in consensus("egress", "show", "4f", "--settings", site).stderr
    assert "have the digest" in consensus("egress", "show", "0" * 64, "--settings", site).stderr


def test_it_verifies_the_chain(site, record):
    verified = json.loads(consensus("egress", "verify", "--settings", site, "--json").stdout)
    assert (verified["first"], verified["last"]) == (1, 3)
    record.path.write_text(record.path.read_text().replace("321", "320"))
    changed = consensus("egress", "verify", "--settings", site)
    assert (changed.exit_code, "The record was changed" in changed.stderr) == (1, True)


def test_lines_that_are_missing_at_the_beginning_are_told(site, record):
    lines = record.path.read_text().splitlines(keepends=True)
    record.path.write_text("".join(lines[1:]))
    assert consensus("egress", "verify", "--settings", site).output.startswith("Lines 1 to 1 are not here")


def test_a_site_that_sent_nothing_is_told_so(site):
    assert "no egress record" in consensus("egress", "--settings", site).stderr


def test_the_environment_has_every_command_record(tmp_path, monkeypatch):
    """A command ends when its request would leave, since the record has no room."""
    (tmp_path / "full").symlink_to("/dev/full")
    arguments = ("status", "--server", "http://127.0.0.1:1")
    failed = contextvars.copy_context().run(
        lambda: consensus(*arguments, CONSENSUS_EGRESS=str(tmp_path / "full"), CONSENSUS_TOKEN="t")
    )
    assert "nothing is sent unrecorded" in failed.stderr
