"""The operator's commands: what they do, how they end, and what they say to a mistake."""

import json
import re
import ssl
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from client_kit import wire
from client_kit.command_line import Exit
from client_kit.vocabulary import Role
from consensus_server import cli
from consensus_server.backends.clock import SystemClock
from consensus_server.backends.store import open_store
from consensus_server.cli import rounds
from consensus_server.core.privacy import PrivacyStatement
from consensus_server.service.access import Caller
from tests.support.service import OPERATOR, Service
from tests.support.tls import Authority


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command on a database of the test's own."""
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CONSENSUS_ENCODER", "hashing")
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words: str, expect: Exit = Exit.DONE):
        result = CliRunner().invoke(cli.app, words)
        assert result.exit_code == expect, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


@pytest.fixture
def prompt_folder(tmp_path, prompt_set):
    body = prompt_set()
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(body["manifest"]))
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in body["prompts"]))
    return folder


@pytest.fixture
def ready(run, prompt_folder):
    """A database with a prompt set and a federation."""
    run("database", "upgrade")
    run("prompt-set", "add", str(prompt_folder))
    run("federation", "create", "clinics", "--prompt-set", "questions")
    return run


def test_scripts_of_version_0_1_0_create_federations_of_what_is_left(ready):
    ready(
        "federation",
        "create",
        "old",
        "--prompt-set",
        "questions",
        "--clusterer",
        "average_linkage",
        "--rule",
        "mean_nearest",
    )
    policy = json.loads(ready("federation", "show", "old", "--json").stdout)["policy"]
    assert (policy["rule"], "clusterer" in policy) == ("medoid", False)
    refused = ready(
        "federation", "create", "new", "--prompt-set", "questions", "--clusterer", "kmeans", expect=Exit.USAGE
    )
    assert "policy.clusterer: there is no 'kmeans' any more" in refused.stderr


def test_a_federation_is_set_up_and_its_round_run(ready):
    token = ready("participant", "add", "clinics", "anna").stdout
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,}\n", token)
    ready("participant", "add", "clinics", "olga", "--role", "observer")
    assert "Round 1 of clinics is open: 0 of 1 sealed" in ready("round", "open", "clinics").stdout
    status = wire.RoundList.model_validate_json(ready("round", "status", "clinics", "--json").stdout)
    assert [(each.number, each.state) for each in status.items] == [(1, "open")]
    closed = ready("round", "close", "clinics", "1")
    assert "quorum_missed" in closed.stdout
    assert "quorum_missed" in ready("round", "status", "clinics", "--watch", expect=Exit.FAILED).stdout
    draft = json.loads(ready("round", "open", "clinics", "--draft", "--json").stdout)
    assert (draft["number"], draft["state"]) == (2, "draft")
    assert json.loads(ready("round", "open", "clinics", "2", "--json").stdout)["state"] == "open"


def test_a_participant_is_bound_to_the_certificates_of_files(ready, tmp_path):
    files = [str(Authority(tmp_path).issue(name)[0]) for name in ("old", "new")]
    ready("participant", "add", "clinics", "anna")
    assert "calls with 2 certificates only" in ready("participant", "bind", "clinics", "anna", *files).stdout
    told = json.loads(ready("participant", "bind", "clinics", "anna", files[0], "--json").stdout)["certificates"]
    assert told == [sha256(ssl.PEM_cert_to_DER_cert(Path(files[0]).read_text())).hexdigest()]
    assert re.search(r"yes +never seen +1 ", ready("participant", "list", "clinics").stdout)
    assert "any certificate, or none" in ready("participant", "bind", "clinics", "anna").stdout
    (tmp_path / "no.pem").write_text("nothing")
    refused = ready("participant", "bind", "clinics", "anna", str(tmp_path / "no.pem"), expect=Exit.BAD_FILE)
    assert "holds no certificate in PEM" in refused.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_round_is_watched_until_it_is_over_and_each_change_is_a_line(ready, tmp_path, monkeypatch, as_json):
    for name in ("anna", "bert"):
        ready("participant", "add", "clinics", name)
    ready("round", "open", "clinics")
    store = open_store(f"sqlite:///{tmp_path}/data/consensus.sqlite3")
    service = Service(store, SystemClock())
    monkeypatch.setattr(rounds, "time", SimpleNamespace(sleep=lambda _: next(looks)()))

    def seal():
        with store.reading() as tx:
            anna = tx.participants.get(tx.federations.get("clinics"), "anna")
        service.submit(Caller(Role.PARTICIPANT, anna), {"p1": "Yes."})

    def end():
        service.rounds.close(OPERATOR, "clinics", 1)
        service.worker.run_once()

    looks = iter([lambda: None, seal, lambda: None, end])
    options = ["--json"] if as_json else []
    ended = ready("round", "status", "clinics", "--watch", *options)
    store.close()
    if as_json:
        assert wire.Round.model_validate_json(ended.stdout).state == "published"
        return
    assert [line.split(",")[0] for line in ended.stderr.splitlines()] == [
        "Round 1 of clinics is open: 0 of 2 sealed",
        "Round 1 of clinics is open: 1 of 2 sealed",
    ]
    assert ended.stdout.startswith("Round 1 of clinics is published: 1 of 2 sealed")


def test_every_listing_speaks_json(ready):
    ready("participant", "add", "clinics", "anna")
    names = json.loads(ready("participant", "list", "clinics", "--json").stdout)["items"]
    assert [(each["participant"], each["role"], each["active"]) for each in names] == [("anna", "participant", True)]
    shown = wire.Federation.model_validate_json(ready("federation", "show", "clinics", "--json").stdout)
    listed = wire.FederationList.model_validate_json(ready("federation", "list", "--json").stdout)
    assert listed.items == [shown]
    sets = wire.PromptSetList.model_validate_json(ready("prompt-set", "list", "--json").stdout)
    assert [each.digest for each in sets.items] == [shown.prompt_set]
    for words in (["participant", "list", "clinics"], ["federation", "list"], ["federation", "show", "clinics"]):
        assert "anna" in ready(*words).stdout or "clinics" in ready(*words).stdout


def test_a_token_goes_into_a_file_of_its_own_and_is_not_lost(ready, tmp_path):
    file = tmp_path / "anna.token"
    told = ready("participant", "add", "clinics", "anna", "--token-file", str(file)).stdout
    token = file.read_text(encoding="utf-8").strip()
    assert (file.stat().st_mode & 0o777, len(token) > 20, token in told) == (0o600, True, False)
    again = ready("participant", "add", "clinics", "anna", "--token-file", str(file), expect=Exit.BAD_FILE)
    assert "participant token" in again.stderr
    other = tmp_path / "other.token"
    elsewhere = ready("participant", "add", "clinics", "anna", "--token-file", str(other), expect=Exit.FAILED)
    assert "consensus-server participant token clinics anna --token-file anna.token" in elsewhere.stderr
    assert not other.exists()
    assert file.read_text(encoding="utf-8").strip() == token
    ready("participant", "token", "clinics", "anna", "--token-file", str(file))
    renewed = file.read_text(encoding="utf-8").strip()
    assert renewed not in {"", token}
    for nowhere in (tmp_path, tmp_path / "no" / "such.token"):
        told = ready("participant", "token", "clinics", "anna", "--token-file", str(nowhere), expect=Exit.BAD_FILE)
        assert "No token was issued" in told.stderr
    ready("participant", "add", "clinics", "bert", "--token-file", str(tmp_path / "no" / "bert"), expect=Exit.BAD_FILE)
    assert "bert" not in ready("participant", "list", "clinics").stdout
    assert [each.name for each in tmp_path.glob("*token*")] == ["anna.token"]


def test_a_participant_is_renewed_and_paused(ready):
    first = ready("participant", "add", "clinics", "anna").stdout
    assert ready("participant", "token", "clinics", "anna").stdout != first
    assert json.loads(ready("participant", "deactivate", "clinics", "anna", "--json").stdout)["active"] is False
    assert "anna is active" in ready("participant", "activate", "clinics", "anna").stdout


def test_terms_of_a_federation_are_options(ready):
    words = ["--quorum", "3", "--no-abstain", "--distance-long", "0.3", "--contributors-only", "--samples", "2"]
    created = json.loads(
        ready("federation", "create", "banks", "--prompt-set", "questions@1.0", *words, "--json").stdout
    )
    assert (created["quorum"], created["samples_per_prompt"], created["contributors_only"]) == (3, 2, True)
    assert (created["policy"]["abstain"], created["policy"]["distance_long"]) == (False, 0.3)


def test_a_prompt_set_that_is_held_changes_nothing(ready, prompt_folder):
    assert json.loads(ready("prompt-set", "add", str(prompt_folder), "--json").stdout)["added"] is False


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("federation", "show", "nowhere"), Exit.UNKNOWN, "consensus-server federation list"),
        (("participant", "add", "nowhere", "anna"), Exit.UNKNOWN, "nowhere"),
        (("participant", "token", "clinics", "nobody"), Exit.UNKNOWN, "nobody"),
        (("participant", "add", "clinics", "Not A Name"), Exit.USAGE, "lower-case"),
        (("round", "status", "clinics", "7"), Exit.UNKNOWN, "7"),
        (("round", "close", "clinics"), Exit.UNKNOWN, "no rounds"),
        (("round", "open", "clinics", "1", "--draft"), Exit.USAGE, "--draft"),
        (("federation", "create", "banks", "--prompt-set", "nothing"), Exit.UNKNOWN, "questions@1.0"),
        (("federation", "create", "clinics", "--prompt-set", "questions"), Exit.FAILED, "clinics"),
        (
            ("federation", "create", "banks", "--prompt-set", "questions", "--rule", "dice"),
            Exit.FAILED,
            "cluster_medoid",
        ),
        (("federation", "create", "banks", "--prompt-set", "questions", "--quorum", "0"), Exit.USAGE, "quorum"),
        (("federation", "create", "Banks", "--prompt-set", "questions"), Exit.USAGE, "lower-case"),
        (("federation", "list", "--data-dir", "elsewhere"), Exit.USAGE, "elsewhere"),
        (("federation", "list", "--database-url", "mysql://h/d"), Exit.USAGE, "mysql"),
        (("federation", "list", "--database-url", "nonsense"), Exit.FAILED, "database"),
        (("prompt-set", "add", "missing-folder"), Exit.BAD_FILE, "missing-folder"),
        (("prompt-set", "add", "no-such-set"), Exit.BAD_FILE, "general@1.0"),
        (("round", "open"), Exit.USAGE, "FEDERATION"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_explained(ready, words, code, says):
    result = ready(*words, expect=code)
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_fault_is_told_once(ready):
    result = ready("round", "open", "clinics", "--round-seconds", "1e15", expect=Exit.FAILED)
    assert result.stderr.count("round_seconds") == 1


def test_a_program_gets_its_errors_as_json(ready):
    result = ready("federation", "show", "nowhere", "--json", expect=Exit.UNKNOWN)
    failure = json.loads(result.stderr)
    assert (failure["code"], failure["exit_code"]) == ("unknown_federation", 3)
    assert failure["remedy"]
    assert result.stdout == ""


@pytest.mark.parametrize(
    "case",
    [
        ("manifest.json", None, Exit.BAD_FILE, "manifest.json: cannot be read"),
        ("manifest.json", b"{", Exit.BAD_FILE, "manifest.json"),
        ("prompts.jsonl", None, Exit.BAD_FILE, "prompts.jsonl: cannot be read"),
        ("prompts.jsonl", b"", Exit.BAD_FILE, "line 1: is empty"),
        ("prompts.jsonl", b'{"prompt_id": "p1", "prompt": "caf\xe9"}', Exit.BAD_FILE, "UTF-8"),
        ("prompts.jsonl", b'{"prompt_id": "p1", "prompt": "x"}\n{"prompt_id"', Exit.BAD_FILE, "line 2"),
        ("prompts.jsonl", b'{"prompt_id": "p1", "prompt": "x", "topik": "y"}', Exit.BAD_FILE, "topik"),
        ("prompts.jsonl", b'{"prompt_id": "p1", "prompt": "changed"}', Exit.BAD_FILE, "manifest.json: digest"),
    ],
)
def test_a_prompt_set_that_cannot_be_used(run, prompt_folder, case):
    name, content, code, says = case
    run("database", "upgrade")
    if content is None:
        (prompt_folder / name).unlink()
    else:
        (prompt_folder / name).write_bytes(content)
    assert says in run("prompt-set", "add", str(prompt_folder), expect=code).stderr
    assert json.loads(run("prompt-set", "list", "--json").stdout)["items"] == []


def commands(command, path=()):
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_json_and_an_example_that_would_run(path):
    command = COMMANDS[path]
    assert any("--json" in param.opts for param in command.params)
    assert command.epilog.startswith(f"Example: consensus-server {' '.join(path)}")
    help_page = CliRunner().invoke(cli.app, [*path, "--help"])
    assert help_page.exit_code == 0
    assert "Example:" in help_page.output


def test_a_shipped_prompt_set_is_added_by_its_name(ready):
    added = json.loads(ready("prompt-set", "add", "pocket@1.0", "--json").stdout)
    assert added["added"] is True
    assert added["manifest"]["name"] == "pocket"


def test_who_works_on_the_database_is_not_spoken_to_of_tokens(ready):
    assert "token" not in ready("federation", "show", "nowhere", expect=Exit.UNKNOWN).stderr


def test_the_card_of_a_round_is_shown_with_what_participants_state(ready, tmp_path):
    ready("participant", "add", "clinics", "anna")
    ready("participant", "add", "clinics", "bert")
    ready("round", "open", "clinics")
    assert "no published round yet" in ready("round", "card", "clinics", expect=Exit.UNKNOWN).stderr
    store = open_store(f"sqlite:///{tmp_path}/data/consensus.sqlite3")
    service = Service(store, SystemClock())
    for name, stated in (("anna", PrivacyStatement(3.25, 1e-6)), ("bert", None)):
        with store.reading() as tx:
            caller = Caller(Role.PARTICIPANT, tx.participants.get(tx.federations.get("clinics"), name))
        service.submissions.seal(caller, "clinics", 1, count=0, digest=wire.submission_digest([]), privacy=stated)
    service.worker.run_once()
    store.close()
    card = wire.RoundCard.read(ready("round", "card", "clinics", "--json").stdout)
    assert [each.stated and each.stated.epsilon for each in card.privacy.participants] == [3.25, None]
    shown = ready("round", "card", "clinics", "1").stdout
    assert "Privacy: 1 of 2 state nothing (bert), so no bound holds for all." in shown
    assert "epsilon 3.25 at delta 1e-06" in shown


def test_tokens_are_rotated_and_revoked_and_operators_named(ready, tmp_path):
    for who in (("participant", "anna", "clinics"), ("operator", "alice")):
        kind, name, *where = who
        file = tmp_path / f"{name}.token"
        ready(kind, "add", *where, name, "--token-file", str(file), "--lifetime-days", "90", "--scope", "observe")
        old = file.read_text()
        ready(kind, "token", *where, name, "--token-file", str(file), "--grace-hours", "1")
        assert (file.read_text() != old, file.stat().st_mode & 0o777) == (True, 0o600)
        items = json.loads(ready(kind, "tokens", *where, name, "--json").stdout)["items"]
        assert [(each["replaced"], each["scopes"] == ["observe"]) for each in items] == [(True, True), (False, False)]
        ready(kind, "revoke", *where, name, items[0]["id"])
        ready(kind, "revoke", *where, name, items[0]["id"], expect=Exit.UNKNOWN)
        assert items[1]["id"] in ready(kind, "tokens", *where, name).stdout
    assert "alice" in ready("operator", "list").stdout
    ready("operator", "remove", "alice")
    assert json.loads(ready("operator", "list", "--json").stdout) == {"items": []}


def test_invitations_are_made_listed_and_withdrawn(ready):
    code = ready("invitation", "add", "clinics", "--participant", "carl").stdout
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,}\n", code)
    (made,) = json.loads(ready("invitation", "list", "clinics", "--json").stdout)["items"]
    assert (made["participant"], "code" in made) == ("carl", False)
    ready("invitation", "withdraw", "clinics", made["id"])
    assert "no invitations" in ready("invitation", "list", "clinics").stdout


def test_the_audit_record_is_exported_and_a_changed_line_is_found(run, ready, tmp_path):
    file = tmp_path / "audit.jsonl"
    ready("audit", "export", "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert ready("audit", "export").stdout == file.read_text()
    head = json.loads(ready("audit", "verify", "--json").stdout)
    kept = ("--kept", head["digest"])
    assert json.loads(run("audit", "verify", str(file), *kept, "--json").stdout) == head
    ready("participant", "add", "clinics", "anna")
    assert head["digest"] not in ready("audit", "verify", *kept).stdout
    lines = file.read_text().splitlines(keepends=True)
    for changed, told in (
        ([lines[0].replace("command line", "somebody else"), *lines[1:]], "line 1: its digest"),
        (lines[:-1], "cut off the end"),
    ):
        file.write_text("".join(changed))
        assert told in " ".join(run("audit", "verify", str(file), *kept, expect=Exit.FAILED).stderr.split())
