"""A whole comparison on this machine: a server, some processes, and a report. Run again, it goes on where it ended."""

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from client_kit.comparison.arms import ARMS
from client_kit.comparison.jobs import OPERATOR_TOKEN, Job
from client_kit.comparison.own import OwnTask
from client_kit.comparison.plan import Cell, Plan
from client_kit.comparison.results import CellResult
from client_kit.errors import ConfigurationError
from client_kit.exports import write_whole
from client_kit.federation.beforehand import check_policy
from client_kit.federation.processes import Processes
from client_kit.federation.progress import Observer, Progress, Step, ignore
from client_kit.federation.server_process import ServerProcess
from client_kit.settings_files import load_settings
from client_kit.storage import storage_explained

_JOB = "from client_kit.comparison.jobs import main; main()"
PLAN_FILE = "plan.json"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison and where it is kept."""

    plan: Plan
    out: Path
    cache: Path | None = None
    """Folder of cached base models; the user's when not set."""
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)


@storage_explained()
def run_comparison(comparison: Comparison, observe: Observer = ignore) -> list[CellResult]:
    """Run what has no result yet; all results, in the order of the plan.

    Raises ConfigurationError where `out` holds another plan's results, and ConsensusError.
    """
    check_plan(comparison.plan)
    _claim(comparison)
    by_encoder: dict[str, list[Cell]] = {}
    cells = list(comparison.plan.cells())
    for cell in cells:
        if not cell.result_in(comparison.out).exists():
            by_encoder.setdefault(comparison.plan.setting(cell.variant).encoder, []).append(cell)
    left = sum(map(len, by_encoder.values()))
    counted = _Counted(observe, len(cells) - left, len(cells))
    for encoder, theirs in sorted(by_encoder.items()):
        _run(comparison, theirs, encoder, counted)
    return read_results(comparison)


def check_plan(plan: Plan) -> None:
    """Look at policies, and read every file of a user's own task. Raises ConfigurationError and UnknownRule before anything is started."""
    for variant in ("", *plan.variants):
        check_policy(plan.setting(variant).policy)
    for cell in {(cell.variant, ARMS[cell.method].mixed): cell for cell in plan.cells()}.values():
        setting = plan.setting(cell.variant)
        if setting.task == "own":
            task = OwnTask(setting)
            task.sites(cell.seed, mixed=ARMS[cell.method].mixed)
            task.prompts()
            task.questions()


class _Counted:
    """Passes on what processes report, with the number of runs that are done of how many. Told from several threads."""

    def __init__(self, observe: Observer, done: int, total: int) -> None:
        self._observe, self._done, self._total = observe, done, total
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            self._done += progress.step is Step.RAN
            done = self._done
        if progress.step in {Step.RUNNING, Step.RAN}:
            progress = replace(progress, detail=f"{progress.detail} ({done} of {self._total} runs done)")
        self._observe(progress)


def read_results(comparison: Comparison) -> list[CellResult]:
    """The results that are there, in the order of the plan."""
    files = [cell.result_in(comparison.out) for cell in comparison.plan.cells()]
    return [CellResult.model_validate_json(file.read_bytes()) for file in files if file.exists()]


def _run(comparison: Comparison, cells: Sequence[Cell], encoder: str, observe: Observer) -> None:
    out = comparison.out.absolute()
    # A federation that was cut off stays in its database under its name, so every start has a server of its own.
    folder = out / "work" / f"server-{len(list(out.glob('work/server-*')))}"
    with ServerProcess(folder, environment={"CONSENSUS_ENCODER": encoder}) as server, Processes(observe) as processes:
        os.environ[OPERATOR_TOKEN] = server.operator_token
        try:
            for number in range(min(comparison.processes, len(cells))):
                job = Job(
                    name=f"process {number + 1}",
                    plan=comparison.plan,
                    cells=list(cells[number :: comparison.processes]),
                    out=out,
                    cache=comparison.cache,
                    server=server.url,
                )
                file = out / "work" / f"job-{number}.json"
                write_whole(file, job.model_dump_json())
                processes.start(job.name, _JOB, str(file), log=out / "work" / f"job-{number}.log")
            processes.wait(server.check)
        finally:
            del os.environ[OPERATOR_TOKEN]


def _claim(comparison: Comparison) -> None:
    """Note the plan in `out`; refuse where another one's results are kept there."""
    file = comparison.out / PLAN_FILE
    (comparison.out / "cells").mkdir(parents=True, exist_ok=True)
    (comparison.out / "work").mkdir(exist_ok=True)
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        now = json.loads(comparison.plan.model_dump_json())
        changed = sorted(key for key in now if key not in _MAY_GROW and before.get(key) != now[key])
        if changed:
            raise ConfigurationError(
                f"{comparison.out} holds results of another plan ({', '.join(changed)} differ); take another folder"
            )
    write_whole(file, comparison.plan.model_dump_json(indent=1) + "\n")


_MAY_GROW = frozenset({"methods", "seeds", "variants", "margin"})
"""Parts of a plan that may change between two runs on one folder: they say what is run, not how."""


def load_plan(file: Path) -> Plan:
    """A plan from YAML. Raises ConfigurationError naming line and field of everything that cannot be used."""
    return _at(load_settings(file, Plan, fields_told_by="consensus schema plan"), file.parent)


def _at(plan: Plan, folder: Path) -> Plan:
    """The plan with the paths of a user's own data made absolute: a folder of results is gone on with from anywhere."""
    if plan.own is None:
        return plan
    own = plan.own
    each = {
        name: [(folder / path).resolve() for path in getattr(own, name)]
        for name in ("models", "mixed_models", "private")
    }
    one = {name: (folder / getattr(own, name)).resolve() for name in ("public", "test")}
    return plan.model_copy(update={"own": own.model_copy(update={**each, **one})})
