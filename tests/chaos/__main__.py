"""The long storm: `python -m tests.chaos --rounds 50 --kills 500 --database sqlite --seed 1`.

Rounds are run in portions, each on a deployment of its own, until there were as many kills as are wanted; pauses go by how long a start
takes on this machine.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.trial import differences, in_peace, scratch, under_a_monkey


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=50, help="of each portion")
    options.add_argument(
        "--kills", type=int, default=500, help="at least so many SIGKILLs, over as many portions as it takes"
    )
    options.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="consensus-chaos-") as folder:
        return storm(asked, Path(folder))


def storm(asked, folder):
    peace = in_peace(scratch(folder, "peace"), asked.rounds)
    kills, portion, faults = 0, 0, []
    while kills < asked.kills:
        began = time.monotonic()
        trial = under_a_monkey(
            scratch(folder, f"portion-{portion}"), asked.rounds, asked.database, asked.seed + portion
        )
        if trial is None:
            sys.exit("PostgreSQL of its own takes root on Debian")
        kills, portion = kills + trial.done["kill"] + trial.done["break_log"], portion + 1
        found = differences(peace, trial)
        faults += found
        told = {
            "rounds": asked.rounds, "seconds": round(time.monotonic() - began), "done": dict(trial.done),
            "told": dict(trial.told), "closed_again": trial.outcome.closed_again, "differences": found, "kills_so_far": kills,
        }  # fmt: skip
        print(json.dumps(told), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
