"""Settings files to begin with."""

import re
from itertools import product

import pytest
from typer.testing import CliRunner

from client_kit.cli import app
from client_kit.comparison.plan import Plan
from client_kit.comparison.scaffold import TASKS, plan_file
from client_kit.federation.configuration import FederationSettings
from client_kit.federation.scaffold import GENERATORS, TRAINERS, federation_file, participant_file
from client_kit.settings import TRAINABLE, GeneratorSettings, ParticipantSettings, TrainerSettings
from client_kit.settings_files import load_settings

KINDS = [pair for pair in product(GENERATORS, TRAINERS) if pair[1] == "none" or pair[0] in TRAINABLE]


def kinds_of(annotated):
    return {kind.model_fields["kind"].annotation.__args__[0] for kind in annotated.__origin__.__args__}


def test_every_kind_can_be_asked_for():
    assert set(GENERATORS) == kinds_of(GeneratorSettings)
    assert set(TRAINERS) == kinds_of(TrainerSettings)


@pytest.mark.parametrize(("generator", "trainer"), KINDS)
def test_a_new_file_is_valid_and_names_every_field(tmp_path, generator, trainer):
    file = tmp_path / "participant.yaml"
    file.write_text(participant_file(generator, trainer), encoding="utf-8")
    settings = load_settings(file, ParticipantSettings)
    assert (settings.generator.kind, settings.trainer.kind) == (generator, trainer)
    named = set(re.findall(r"^ *#? *(\w+):", file.read_text(encoding="utf-8"), re.MULTILINE))
    for part in (settings, settings.generator, settings.trainer):
        assert set(type(part).model_fields) <= named


FILES = {
    "participant": (ParticipantSettings, participant_file("vllm_server", "sft")),
    "federation": (FederationSettings, federation_file("vllm_server", "sft")),
    **{f"plan, {task}": (Plan, plan_file(task)) for task in TASKS},
}


@pytest.mark.parametrize(("kind", "content"), FILES.values(), ids=FILES)
def test_every_default_shown_can_be_uncommented_and_changes_nothing(tmp_path, kind, content):
    assert max(map(len, content.splitlines())) <= 120
    file = tmp_path / "settings.yaml"
    file.write_text(content, encoding="utf-8")
    as_written = load_settings(file, kind)
    uncommented, count = re.subn(r"^( *)#((?:  )*\w+:(?: |$))", r"\1\2", content, flags=re.MULTILINE)
    file.write_text(uncommented, encoding="utf-8")
    assert count > 20
    assert load_settings(file, kind) == as_written


def test_lines_are_not_too_long_and_say_what_fields_mean():
    content = federation_file("openai", "none")
    assert "# Most requests at the same time." in content
    assert content.count("# Most requests at the same time.") == 1, "what a field means is said once"


def test_the_command_writes_a_file_once(tmp_path):
    file = tmp_path / "new" / "participant.yaml"
    arguments = ["init", "participant", "--out", str(file), "--generator", "openai"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert load_settings(file, ParticipantSettings).trainer.kind == "none"
    before = file.read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code != 0
    assert "already exists" in again.output
    assert file.read_bytes() == before


def test_a_new_plan_is_one_and_says_how_to_run_it(tmp_path):
    file = tmp_path / "plan.yaml"
    done = CliRunner().invoke(app, ["init", "plan", "--out", str(file), "--task", "own"])
    assert done.exit_code == 0, done.output
    assert f"consensus compare {file} --out comparison" in done.stdout
    assert load_settings(file, Plan).own.private[2].name == "site-2.jsonl"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--generator", "magic"], "is not known; take one of"),
        (["--generator", "openai", "--trainer", "sft"], "with another generator"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_no_file(tmp_path, options, told):
    file = tmp_path / "participant.yaml"
    failed = CliRunner().invoke(app, ["init", "participant", "--out", str(file), *options])
    assert failed.exit_code != 0
    assert told in " ".join(failed.output.split())
    assert not file.exists()
