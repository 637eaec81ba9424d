"""Known faults of the pinned versions, by pip-audit: `python -m tools.audit constraints.txt`.

Ends with 1 where a version has one, and with 0, saying so, where nothing could be asked: without pip-audit, or where no
source of advisories can be reached.
"""

import json
import shutil
import subprocess
import sys
from typing import Any


def audit(pins: str) -> tuple[int, str]:
    """Exit code and what to say, for a file of `name==version` lines."""
    program = shutil.which("pip-audit")
    if program is None:
        return 0, "SKIPPED, nothing was audited: pip-audit is not on the PATH (pipx install pip-audit)."
    command = [program, "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", "-r", pins]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    try:
        asked = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        cause = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return 0, f"SKIPPED, nothing was audited: pip-audit got no advisories: {cause}"
    return _verdict(asked)


def _verdict(asked: list[dict[str, Any]]) -> tuple[int, str]:
    known = [each for each in asked if "skip_reason" not in each]
    faults = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'none'}"
        for each in known
        for fault in each["vulns"]
    ]
    counts = f"{len(known)} of {len(asked)} packages audited, {len(faults)} known faults."
    return int(bool(faults)), "\n".join([*faults, counts])


if __name__ == "__main__":
    code, text = audit(sys.argv[1])
    sys.stdout.write(f"{text}\n")
    sys.exit(code)
