"""What to do about a problem is said in the words of whoever reads it."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from client_kit.cli import app as kit
from client_kit.client import ConsensusClient
from client_kit.errors import PROBLEM_ERRORS, AnswerConflict, InternalFault, NoFederationNamed, UnknownRule
from client_kit.remedies import NO_FEDERATION_NAMED, REMEDIES, WAIT_AGAIN, Surface, remedy_for
from client_kit.wire import ProblemCode
from consensus_server.cli import app as server

COMMAND_LINES = (Surface.PARTICIPANT, Surface.OPERATOR)
FOREIGN = re.compile(
    r"\?\w+=|\bGET\b|\bPUT\b|\bPOST\b|Bearer|Authorization|Retry-After|Content-Encoding|/readyz|openapi|`errors`|\bbody\b"  # HTTP
    r"|\w\(|client\.|=True|error\.|the detail"  # Python
)
CASES = [(code, surface) for code in ProblemCode for surface in Surface]


@pytest.mark.parametrize(("code", "surface"), CASES, ids=lambda value: value.value)
def test_every_problem_has_advice_for_every_surface(code, surface):
    advice = REMEDIES[code].on(surface)
    assert advice.endswith(".")
    if surface in COMMAND_LINES:
        assert FOREIGN.search(advice) is None
    if surface is Surface.OPERATOR:
        assert "--token" not in advice
        assert "ask the operator" not in advice


def test_the_words_of_other_surfaces_are_known_as_such():
    found = {code for code in ProblemCode if FOREIGN.search(REMEDIES[code].http)}
    assert {ProblemCode.ANSWER_CONFLICT, ProblemCode.SEAL_MISMATCH, ProblemCode.UNAUTHENTICATED} < found
    assert FOREIGN.search(NO_FEDERATION_NAMED.python)


@pytest.mark.parametrize("surface", COMMAND_LINES)
def test_advice_of_the_kit_alone_speaks_each_surface_too(surface):
    for remedy in (NO_FEDERATION_NAMED, WAIT_AGAIN):
        assert FOREIGN.search(remedy.on(surface)) is None


def commands_of(program, name):
    """Every command as it is typed, `consensus prompts build`."""
    group = typer.main.get_command(program)
    for first, command in group.commands.items():
        yield f"{name} {first}"
        yield from (f"{name} {first} {second}" for second in getattr(command, "commands", ()))


def test_commands_that_advice_names_exist():
    known = {*commands_of(kit, "consensus"), *commands_of(server, "consensus-server")}
    advice = " ".join(REMEDIES[code].on(surface) for code, surface in CASES)
    named = set(re.findall(r"(?<!-)consensus(?:-server)? [a-z-]+", advice))
    groups = {" ".join(command.split()[:2]) for command in known}
    assert named
    assert named <= groups
    of_groups = re.findall(r"consensus-server (?:round|participant|federation|appeal|prompt-set) [a-z-]+", advice)
    assert set(of_groups) <= known


def test_advice_of_the_problem_itself_and_of_a_newer_server_stands():
    own = "Create a federation of another name."
    assert remedy_for("unknown_rule", Surface.PARTICIPANT, sent=own) == own
    assert remedy_for("of_a_newer_server", Surface.PARTICIPANT, sent=own) == own
    table = REMEDIES[ProblemCode.ANSWER_CONFLICT]
    assert remedy_for("answer_conflict", Surface.PARTICIPANT, sent=table.http) == table.participant


def test_a_problem_is_told_to_python_and_to_the_command_line_in_their_own_words():
    error = AnswerConflict("Another text.", remedy=REMEDIES[ProblemCode.ANSWER_CONFLICT].http, status=409)
    assert str(error) == "Another text. " + REMEDIES[ProblemCode.ANSWER_CONFLICT].python
    assert error.told(Surface.PARTICIPANT) == ("Another text.", REMEDIES[ProblemCode.ANSWER_CONFLICT].participant)
    assert set(PROBLEM_ERRORS) == set(REMEDIES)
    assert UnknownRule("x", remedy="Own.").told(Surface.OPERATOR) == ("x", "Own.")


def test_who_is_to_give_the_request_id_is_shown_it():
    error = InternalFault("The server failed.", status=500, request_id="0f3c")
    message, remedy = error.told(Surface.PARTICIPANT)
    assert message == "The server failed. Request id: 0f3c."
    assert "request id" in remedy
    assert "Request id: 0f3c." in str(error)
    assert "0f3c" not in str(AnswerConflict("x", status=409, request_id="0f3c"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoFederationNamed(), "--federation NAME"),
        (AnswerConflict("Another text.", remedy=REMEDIES[ProblemCode.ANSWER_CONFLICT].http), "--replace"),
        (InternalFault("The server failed.", status=500, request_id="0f3c"), "Request id: 0f3c."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_command_fails_in_the_words_of_its_options(monkeypatch, error, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(ConsensusClient, "rounds", fail)
    monkeypatch.setenv("CONSENSUS_TOKEN", "t")
    command = ["rejections", "--server", "http://127.0.0.1:9"]
    shown = CliRunner().invoke(kit, command)
    assert words in " ".join(shown.stderr.split())
    assert FOREIGN.search(shown.stderr) is None
    told = json.loads(CliRunner().invoke(kit, [*command, "--json"]).stderr)
    assert words in f"{told['error']} {told['remedy']}"


@pytest.mark.parametrize(
    ("command", "subject"), [("join", "participant"), ("generate", "participant"), ("federate", "federation")]
)
def test_a_faulty_settings_file_names_the_whole_command_that_prints_its_fields(tmp_path, command, subject):
    file = tmp_path / "settings.yaml"
    file.write_text("nonsense: 1\n")
    shown = CliRunner().invoke(kit, [command, str(file)])
    assert f"consensus schema {subject}\n" in shown.stderr
