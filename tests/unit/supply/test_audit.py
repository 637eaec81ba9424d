"""An audit that found nothing, one that found something, and one that could not ask are told apart."""

import json

import pytest

from tools.audit import audit

FAULT = {"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"], "aliases": [], "description": "x"}


@pytest.fixture
def pip_audit(tmp_path, monkeypatch):
    """Makes a stand-in of pip-audit that says `output` and `error`."""

    def make(output, error="", code=0):
        program = tmp_path / "pip-audit"
        program.write_text(f"#!/bin/sh\necho '{output}'\necho '{error}' >&2\nexit {code}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


def packages(*vulns):
    return json.dumps(
        {
            "dependencies": [
                {"name": "a", "version": "2.0", "vulns": list(vulns)},
                {"name": "b", "skip_reason": "unknown"},
            ]
        }
    )


def test_without_the_program_it_is_skipped_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text = audit("constraints.txt")
    assert code == 0
    assert text.startswith("SKIPPED, nothing was audited: pip-audit is not on the PATH")


def test_a_source_that_cannot_be_reached_is_no_clean_audit(pip_audit):
    pip_audit("", "first\nno route to host", code=1)
    assert audit("constraints.txt") == (
        0,
        "SKIPPED, nothing was audited: pip-audit got no advisories: no route to host",
    )


def test_a_version_with_a_known_fault_fails_with_where_it_is_mended(pip_audit):
    pip_audit(packages(FAULT), code=1)
    assert audit("constraints.txt") == (
        1,
        "a 2.0: PYSEC-1, mended in 2.1, 3.0\n1 of 2 packages audited, 1 known faults.",
    )


def test_what_was_not_audited_is_counted(pip_audit):
    pip_audit(packages())
    assert audit("constraints.txt") == (0, "1 of 2 packages audited, 0 known faults.")
