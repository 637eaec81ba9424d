import json
import subprocess
import sys
import threading
import time

import pytest

from client_kit.federation.processes import ProcessError, Processes
from client_kit.federation.progress import Progress, Step
from client_kit.federation.slots import slot


def test_no_more_than_count_at_a_time(tmp_path):
    inside, most, lock = [0], [0], threading.Lock()

    def work():
        with slot(tmp_path, 2):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [2]


def test_waiting_is_told_and_a_killed_holder_frees_its_slot(tmp_path):
    code = (
        "import time; from pathlib import Path; from client_kit.federation.slots import slot\n"
        f"with slot(Path({str(tmp_path)!r}), 1): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        told = []

        def waiting():
            told.append("waiting")
            holder.kill()

        with slot(tmp_path, 1, waiting=waiting) as number:
            assert number == 0
    assert told == ["waiting"]


def test_records_are_observed_and_the_rest_goes_to_the_log(tmp_path):
    record = Progress("a", Step.TRAINED, 1)
    seen = []
    with Processes(seen.append) as processes:
        processes.start("a", f"print({record.to_json()!r}); print('chatter')", log=tmp_path / "a.log")
        processes.wait()
    assert seen == [record]
    assert (tmp_path / "a.log").read_text() == "chatter\n"


@pytest.mark.parametrize("failure", [ValueError("no room on the board"), SystemExit("no room on the board")])
def test_an_observer_that_fails_is_reported_and_the_process_goes_on(tmp_path, failure):
    def observe(record):
        seen.append(record)
        if len(seen) == 1:
            raise failure

    seen = []
    record = Progress("a", Step.TRAINED, detail="x" * 1000)
    # More than a pipe holds: without a reader it would never come to its end.
    program = f"for _ in range(300): print({record.to_json()!r})\nprint('done')"
    with Processes(observe) as processes:
        processes.start("a", program, log=tmp_path / "a.log")
        assert processes._started[0].process.wait(20) == 0
        with pytest.raises(ProcessError, match=r"progress of a .*no room on the board") as caught:
            processes.wait()
    assert caught.value.__cause__ is failure
    assert seen == [record] * 300
    assert (tmp_path / "a.log").read_text() == "done\n"


def test_a_failure_has_the_end_of_the_log_and_ends_the_others(tmp_path):
    with Processes() as processes:
        processes.start("good", "import time; time.sleep(60)", log=tmp_path / "good.log")
        process = processes._started[0].process
        processes.start("bad", "import sys; sys.stderr.write('out of memory'); sys.exit(3)", log=tmp_path / "bad.log")
        with pytest.raises(ProcessError, match=r"bad ended with exit status 3(?s:.*)out of memory"):
            processes.wait()
    assert process.poll() is not None


def test_a_process_that_does_not_listen_is_killed(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); time.sleep(60)"
    with Processes(stop_seconds=0.3) as processes:
        processes.start("deaf", deaf, log=tmp_path / "deaf.log")
        while not (tmp_path / "deaf.log").read_text():
            time.sleep(0.02)
        process = processes._started[0].process
    assert process.returncode == -9
    assert json.loads((tmp_path / "deaf.log").read_text()) == {}
