"""Wrong command lines and early interrupts, of both programs."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from client_kit.cli import app as kit
from client_kit.command_line import EXIT_TABLE, Exit
from consensus_server.cli import app as server

WRONG = [
    (kit, ["prompts", "show", "--json"], "name"),
    (kit, ["prompts", "show", "general", "--limit", "many", "--json"], "--limit"),
    (kit, ["submit", "answers.jsonl", "--sever", "x", "--json"], "--sever"),
    (kit, ["nonsense", "--json"], "nonsense"),
    (kit, ["--nonsense", "doctor", "--json"], "--nonsense"),
    (server, ["prompt-set", "add", "--json"], "name"),
    (server, ["round", "status", "clinics", "second", "--json"], "number"),
    (server, ["serve", "--prot", "1", "--json"], "--prot"),
    (server, ["nonsense", "--json"], "nonsense"),
    (server, ["--nonsense", "serve", "--json"], "--nonsense"),
]


@pytest.mark.parametrize(
    ("app", "words", "named"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_program_is_told_in_json_and_a_person_in_words(app, words, named):
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 2
    assert told.stdout == ""
    problem = json.loads(told.stderr)
    assert problem["exit_code"] == 2
    assert named in problem["error"].lower()
    shown = CliRunner().invoke(app, [word for word in words if word != "--json"])
    assert shown.exit_code == 2
    assert "Usage:" in shown.stderr
    assert named in shown.stderr.lower()


@pytest.mark.parametrize("app", [kit, server], ids=["kit", "server"])
def test_the_help_of_both_programs_has_every_exit_code(app):
    page = " ".join(re.sub(r"[│]", " ", CliRunner().invoke(app, ["--help"]).output).split())
    assert EXIT_TABLE in page
    assert all(f"{code.value} {code.meaning}" in EXIT_TABLE for code in Exit)


@pytest.mark.parametrize("package", ["client_kit", "consensus_server"])
def test_an_interrupt_while_modules_are_loaded_is_quiet(package):
    code = f"""
import sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "{package}.cli.application":
            raise KeyboardInterrupt

from {package}.cli import main
sys.meta_path.insert(0, Interrupted())
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_console_script_loads_next_to_nothing_before_it_can_be_interrupted():
    code = "import sys; from client_kit.cli import main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert set(loaded.stdout.split()).isdisjoint({"typer", "pydantic", "httpx", "rich", "yaml"})
