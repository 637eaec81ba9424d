"""What leaves the kit is of its own tree; what asks it to end is heard; what libraries say of nothing is not."""

import errno
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from client_kit._quiet import quiet_libraries
from client_kit.cli import app
from client_kit.comparison import jobs
from client_kit.errors import ConfigurationError, ConsensusError, StorageError
from client_kit.exports import export_labels
from client_kit.federation import joining
from client_kit.storage import storage_explained
from client_kit.wire import Prompt, PseudoLabel

EXAMPLES = Path(__file__).parents[3] / "examples"
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FULL, "No space left on device. Make room"),
        (OSError(errno.EACCES, "Permission denied", "/data/x"), "/data/x: Permission denied"),
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "os error 28"),
    ],
)
def test_a_full_disk_is_an_error_of_the_kit(error, words):
    with pytest.raises(StorageError, match="run the same again") as told, storage_explained():
        raise error
    assert words in str(told.value)
    assert isinstance(told.value, ConsensusError)
    assert isinstance(told.value, OSError)


@pytest.mark.parametrize("error", [ValueError("a bug"), ConfigurationError("a setting")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as told, storage_explained():
        raise error
    assert told.value is error


def test_labels_that_find_no_room_are_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    label = PseudoLabel(
        prompt_id="p", text="x", confidence=1.0, confidence_method="agreement", support=2.0, share=1.0, clusters=[]
    )
    with pytest.raises(StorageError):
        export_labels(tmp_path / "labels", [Prompt(prompt_id="p", prompt="?")], [label], format="jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_command_tells_a_full_disk_without_a_traceback(monkeypatch):
    def full(*_):
        raise FULL

    monkeypatch.setattr("client_kit.cli.schema.print_json", full)
    done = CliRunner().invoke(app, ["schema", "answer"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: No space left on device.")


def test_joining_is_wrapped(monkeypatch):
    def full(*_, **__):
        raise FULL

    monkeypatch.setattr(joining, "_participant", full)
    with pytest.raises(StorageError):
        joining.take_part(None, None)


def test_a_job_of_a_comparison_ends_with_a_message_and_no_trace(monkeypatch, tmp_path):
    def refuse(_):
        raise ConfigurationError("name own.mixed_models")

    monkeypatch.setattr(jobs, "run", refuse)
    monkeypatch.setattr(jobs.Job, "model_validate_json", lambda _: None)
    (tmp_path / "job").write_text("")
    monkeypatch.setattr(sys, "argv", ["jobs", str(tmp_path / "job")])
    with pytest.raises(SystemExit) as ended:
        jobs.main()
    assert ended.value.code == "Error: name own.mixed_models"
    assert ended.value.__suppress_context__


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_without_arguments_says_how_it_is_called(example, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", SimpleNamespace(SFTConfig=None, SFTTrainer=None))  # takes seconds to load
    monkeypatch.setattr(sys, "argv", [str(example)])
    with pytest.raises(SystemExit, match=f"python examples/{example.name}"):
        runpy.run_path(str(example), run_name="__main__")


def test_a_request_to_end_that_met_a_destructor_is_heard_all_the_same():
    code = f"""
import os, signal, time
from client_kit.cli import application

class Deaf:
    def __del__(self):
        os.kill(os.getpid(), {signal.SIGTERM:d})
        time.sleep(0.01)

def work():
    Deaf()
    time.sleep(20)

application.app = work
application.run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15, check=False)
    assert "KeyboardInterrupt" in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode != 0


def test_libraries_say_nothing_of_what_is_as_it_should_be(monkeypatch):
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "to be put back")
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        quiet_libraries()
        warnings.warn("'pin_memory' argument is set as true but no accelerator is found", UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert [str(each.message) for each in heard] == ["something else"]
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "error"
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    quiet_libraries()
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
