"""The wheel, installed outside of the checkout beside its base dependencies alone, without a network."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def base_dependencies():
    """Distributions that `pip install .` brings, without any extra, and what they need in turn."""
    waiting, found = list(distribution("semantic-consensus").requires or ()), {}
    while waiting:
        wanted = Requirement(waiting.pop())
        if wanted.name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found[wanted.name] = distribution(wanted.name)
        waiting += found[wanted.name].requires or ()
    return found.values()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the wheel's content and links to its base dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", folder / "site", wheel], check=True, capture_output=True)
    for each in base_dependencies():
        for name in {file.parts[0] for file in each.files if file.parts[0] not in {"..", "__pycache__"}}:
            if not (folder / "site" / name).exists():
                (folder / "site" / name).symlink_to(each.locate_file(name))
    return folder / "site"


@pytest.fixture
def python(site, tmp_path):
    """Runs code that sees the standard library and that folder, nothing else; -S leaves this environment out."""

    def run(code, *arguments):
        command = [sys.executable, "-S", "-c", code, *map(str, arguments)]
        environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "200"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


CONSENSUS = "from client_kit.cli import main; main()"


def test_prompt_sets_are_found_outside_of_a_checkout(python, site):
    code = "from client_kit import load_prompt_set; import client_kit, sys; print(client_kit.__file__, len(load_prompt_set('pocket').prompts))"
    where, count = python(code).stdout.split()
    assert Path(where).is_relative_to(site)
    assert int(count) > 0
    listed = json.loads(python(CONSENSUS, "prompts", "list", "--json").stdout)
    assert {"general", "pocket"} <= {manifest["name"] for manifest in listed}


def test_it_carries_types_migrations_templates_and_both_programs(site):
    for name in (
        "client_kit/py.typed",
        "consensus_server/py.typed",
        "consensus_server/backends/store/migrations/versions/0001_first_schema.py",
        "client_kit/pocket/facts.yaml",
        "client_kit/pocket/report.html.j2",
    ):
        assert (site / name).is_file(), name
    (programs,) = site.glob("semantic_consensus-*.dist-info/entry_points.txt")
    assert "consensus = client_kit.cli:main" in programs.read_text(encoding="utf-8")
    assert "consensus-server = consensus_server.cli:main" in programs.read_text(encoding="utf-8")


def test_the_command_line_works_without_any_extra(python):
    for arguments in (["--help"], ["doctor"], ["schema", "participant"], ["prompts", "validate", "general"]):
        result = python(CONSENSUS, *arguments)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("code", "arguments", "extra"),
    [
        (CONSENSUS, ["replay", "answers.jsonl", "--model", "m", "--out", "out"], "server"),
        (CONSENSUS, ["demo", "--out", "demo"], "all"),
        ("from consensus_server.cli import main; main()", ["serve"], "server"),
    ],
)
def test_what_needs_an_extra_says_how_to_install_it(python, tmp_path, code, arguments, extra):
    row = {"prompt_id": "p", "prompt": "Why?", "model": "m", "output": "So."}
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    result = python(code, *arguments)
    assert result.returncode == 1
    assert f"semantic-consensus[{extra}]" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "demo").exists()
