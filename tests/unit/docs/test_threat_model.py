"""Every control of docs/threat-model.md names tests that exist, and what it calls a setting or a command is one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from consensus_server.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([STRIDE]) \| (.+?) \| (.+?) \| (.*?) ?\| (.*?) ?\|$", PAGE, re.MULTILINE)
TESTS = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


@cache
def names_in(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def test_the_page_has_rows_of_every_kind_of_threat():
    assert {kind for kind, *_ in ROWS} == set("STRIDE")
    assert len(ROWS) == len(re.findall(r"^\| [A-Z] \|", PAGE, re.MULTILINE)), "a row of another form"


@pytest.mark.parametrize("named", TESTS)
def test_a_named_test_exists(named):
    file, _, test = named.partition("::")
    assert test in names_in(file)


def test_a_row_without_a_test_says_that_nothing_is_mitigated():
    assert [threat for _, threat, control, tests, _ in ROWS if "::" not in tests and control != "not mitigated"] == []


def test_named_settings_of_the_server_exist():
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}
    assert set(re.findall(r"`(CONSENSUS_[A-Z_]+)`", PAGE)) <= known
