"""Every `consensus ...` and `consensus-server ...` that a page shows exists, with its options and arguments."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperArgument, TyperGroup
from typer.testing import CliRunner

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "prompts").rglob("*.md")])
PROGRAMS = {"consensus": "client_kit.cli", "consensus-server": "consensus_server.cli"}
SHELL_ENDS_AT = {"|", ">", ">>", "&", "&&", ";"}
PLACEHOLDER = re.compile(r"^\.\.\.$|^[a-z]+(\|[a-z]+)+$")


def shown_commands():
    """(page, words) of every command, from code blocks and from inline code."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = re.findall(r"^ *(?:\$ )?(consensus(?:-server)? [a-z].*)$", text, re.MULTILINE)
        inline = re.findall(r"`(consensus(?:-server)? [a-z][^`]*)`", text.replace("\n", " "))
        for command in dict.fromkeys([*lines, *inline]):
            words = shlex.split(command, comments=True)
            end = next((i for i, word in enumerate(words) if word in SHELL_ENDS_AT), len(words))
            yield page.relative_to(ROOT).as_posix(), words[:end]


COMMANDS = [pytest.param(words, id=f"{page}: {' '.join(words)}") for page, words in shown_commands()]


def program(name):
    return typer.main.get_command(import_module(PROGRAMS[name]).app)


def resolve(words):
    """The command that the words name, and the words that are left for it."""
    command, rest = program(words[0]), words[1:]
    while isinstance(command, TyperGroup) and rest and not PLACEHOLDER.match(rest[0]):
        if command.invoke_without_command and rest[0].startswith("--"):
            break
        assert rest[0] in command.commands, f"{command.name} has no command {rest[0]!r}: {sorted(command.commands)}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def arguments_and_flags(command, rest):
    """Positional words, and options; every option must be known, and takes its value with it."""
    known = {opt: param for param in command.params for opt in (*param.opts, *param.secondary_opts)}
    positional, words = [], iter(rest)
    for word in words:
        if not word.startswith("--"):
            positional.append(word)
            continue
        assert word in known, f"no option {word}: {sorted(known)}"
        if not getattr(known[word], "is_flag", False):
            assert next(words, None) is not None, f"{word} needs a value"
    return positional


@pytest.mark.parametrize("words", COMMANDS)
def test_the_command_exists_as_shown(words):
    command, rest = resolve(words)
    if not rest or (isinstance(command, TyperGroup) and not command.invoke_without_command):
        return  # named, not shown
    positional = arguments_and_flags(command, rest)
    takes = [param for param in command.params if isinstance(param, TyperArgument)]
    least = sum(param.required for param in takes)
    most = len(positional) if any(param.nargs == -1 for param in takes) else len(takes)
    assert least <= len(positional) <= most, f"arguments are {[param.name for param in takes]}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_named_command_has_a_help_page(name):
    app = import_module(PROGRAMS[name]).app
    named = {tuple(words_of_command(words)) for _, words in shown_commands() if words[0] == name}
    assert named
    for path in named:
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0, f"{name} {' '.join(path)} --help: {result.output}"


def words_of_command(words):
    _, rest = resolve(words)
    return words[1 : len(words) - len(rest)]
