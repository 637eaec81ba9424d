"""What both programs share: their options, their lists of commands, and how little a help page loads."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from client_kit import __version__
from client_kit.cli import app as kit
from client_kit.command_line import errors, note
from consensus_server.cli import app as server

PROGRAMS = pytest.mark.parametrize("app", [kit, server], ids=["kit", "server"])


@pytest.fixture(autouse=True)
def loud():
    yield
    errors.quiet = False


@PROGRAMS
def test_version_and_short_help(app):
    run = CliRunner().invoke
    assert run(app, ["--version"]).output.strip() == __version__
    assert run(app, ["-h"]).output == run(app, ["--help"]).output
    assert run(kit, ["schema", "-h"]).exit_code == 0


@PROGRAMS
def test_the_line_of_each_command_is_that_of_the_command(app):
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        assert command.name == name
        assert group.commands.named(name).help == (command.help or "").partition("\n\n")[0]


@PROGRAMS
def test_completion_can_be_shown_and_names_commands_without_loading_them(app):
    shown = CliRunner().invoke(app, ["--show-completion", "bash"])
    assert shown.exit_code == 0
    group = typer.main.get_command(app)
    with group.make_context("x", ["doctor"], resilient_parsing=True) as context:
        names = {item.value for item in group.shell_complete(context, "")}
    assert set(group.commands) == names
    assert group.commands._loaded == {}


def test_quiet_keeps_results_and_errors():
    run = CliRunner().invoke
    assert "general" in run(kit, ["--quiet", "prompts", "list"]).stdout
    note("a note that nobody sees")
    failed = run(kit, ["-q", "prompts", "validate", "no-such-set"])
    assert failed.exit_code == 4
    assert failed.stderr.startswith("Error:")


def test_a_library_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr("client_kit.late_commands.import_module", missing)
    failed = CliRunner().invoke(kit, ["status"])
    assert failed.exit_code == 1
    assert "sqlalchemy is not installed." in failed.stderr
    assert "semantic-consensus[all]" in failed.stderr
    assert "semantic-consensus[server]" in CliRunner().invoke(server, ["serve"]).stderr


def missing(_):
    raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")


@pytest.mark.parametrize("package", ["client_kit", "consensus_server"])
def test_a_help_page_loads_little_more_than_the_library_that_draws_it(package):
    page = modules(f"from {package}.cli import main; main()", "--help")
    drawing = modules("import typer, typer.rich_utils, rich")
    tops = {name.partition(".")[0] for name in page}
    assert tops.isdisjoint({"pydantic", "httpx", "numpy", "sqlalchemy", "fastapi", "torch", "sklearn", "yaml"})
    # Modules, not seconds: a machine may be slow or busy.
    assert len(page) < 1.25 * len(drawing)


def modules(code, *arguments):
    """What a fresh interpreter has loaded when it ends."""
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    done = subprocess.run([sys.executable, "-c", told + code, *arguments], capture_output=True, text=True, check=True)
    return done.stderr.split()
