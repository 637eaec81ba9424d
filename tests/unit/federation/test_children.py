import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import sys
from pathlib import Path
from client_kit.federation.processes import Processes

with Processes() as processes:
    processes.start("child", "import os, time; print(os.getpid(), flush=True); time.sleep(60)", log=Path(sys.argv[1]))
    processes.wait()
"""


def runs(pid):
    """Whether a process runs; one that ended may still be listed until somebody asks for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds, seconds):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def orphan(program, grace_seconds=20.0):
    """Exit status of a program whose parent was gone before it began: no process has id 0."""
    guard = f"from client_kit.children import end_with_parent; end_with_parent(0, {grace_seconds=})"
    return subprocess.run([sys.executable, "-c", program.format(guard=guard)], timeout=30, check=False).returncode


def test_a_killed_parent_takes_its_processes_along(tmp_path):
    log = tmp_path / "child.log"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(log)]) as parent:
        try:
            assert wait_until(lambda: log.exists() and log.read_text().endswith("\n"), 20)
            child = int(log.read_text())
            assert runs(child)
        finally:
            parent.kill()
    assert wait_until(lambda: not runs(child), 5)


def test_a_parent_gone_before_the_child_began_ends_it_too():
    assert orphan("{guard}; import time; time.sleep(60)") == -15


def test_a_child_that_does_not_listen_is_killed_after_its_grace():
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {guard}; time.sleep(60)"
    assert orphan(deaf, grace_seconds=0.2) == -9
