"""A line for people that cannot be written is lost, and nothing else is."""

import pathlib
import subprocess
import sys


def test_a_log_on_a_full_disk_ends_no_command():
    program = "from client_kit.command_line import note, print_value; note('for people'); print_value('the result')"
    with pathlib.Path("/dev/full").open("wb") as full:
        run = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False)
    assert run.stdout == b"the result\n"
