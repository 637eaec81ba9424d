"""The process that runs cells of a comparison: `python -m client_kit.comparison.jobs JOB.json`."""

import os
import sys
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from client_kit.comparison.bench import run_cell
from client_kit.comparison.plan import Cell, Plan
from client_kit.comparison.wiring import task_of
from client_kit.errors import ConsensusError
from client_kit.exports import write_whole
from client_kit.federation.progress import Progress, Step, print_record
from client_kit.storage import storage_explained

OPERATOR_TOKEN = "CONSENSUS_COMPARISON_TOKEN"  # noqa: S105 - the name of a variable


class Job(BaseModel):
    """Cells for one process, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    plan: Plan
    cells: list[Cell]
    out: Path
    cache: Path | None
    server: str
    """Its URL; the operator's token comes in the environment."""


def run(job: Job) -> None:
    """Run the cells that have no result yet; each result appears whole or not at all."""
    for done, cell in enumerate(job.cells):
        print_record(Progress(job.name, Step.RUNNING, done=done, total=len(job.cells), detail=cell.name))
        began = time.monotonic()
        setting = job.plan.setting(cell.variant)
        server = (job.server, os.environ[OPERATOR_TOKEN])
        result = run_cell(cell, setting, task_of(setting, job.cache), job.out / "work" / cell.name, server)
        write_whole(cell.result_in(job.out), result.model_dump_json(indent=1) + "\n")
        print_record(Progress(job.name, Step.RAN, done=done + 1, total=len(job.cells), detail=cell.name,
                       seconds=time.monotonic() - began))  # fmt: skip
    print_record(Progress(job.name, Step.FINISHED, done=len(job.cells), total=len(job.cells)))


def main() -> None:
    """Run the job whose file is named on the command line. What is expected to go wrong ends it with a message, not a trace."""
    try:
        with storage_explained():
            run(Job.model_validate_json(Path(sys.argv[1]).read_bytes()))
    except ConsensusError as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
