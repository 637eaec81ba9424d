"""A comparison in rows: one for each variant and method, for tables, CSV and `results.json`."""

from collections.abc import Sequence
from statistics import mean

from pydantic import BaseModel, ConfigDict

from client_kit.comparison.arms import ARMS
from client_kit.comparison.plan import Plan
from client_kit.comparison.results import CellResult, Interval, Verdict, interval, verdict


class Row(BaseModel):
    """One method over all seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    variant: str
    method: str
    label: str
    training: str
    seeds: int
    private: Interval
    """Quality on questions of the participants' own distributions, test wordings, 0..1."""
    overall: Interval
    before: float
    """Of `overall`, before any training."""
    alone: float
    """Of `overall`, after the training on private data."""
    sent_bytes: float
    """By a participant in a round, on the wire."""
    received_bytes: float
    trainable: float
    wall_seconds: float
    cpu_seconds: float
    energy_joules: float | None
    label_precision: float | None
    """Right pseudo-labels of the last round, 0..1."""
    label_coverage: float | None


class Report(BaseModel):
    """`results.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    plan: Plan
    rows: list[Row]
    verdict: Verdict | None
    curves: dict[str, list[float]]
    """`overall` by stage, mean over seeds and participants, for the plan's own setting, by method."""
    cells: list[CellResult]


def report_of(plan: Plan, results: Sequence[CellResult]) -> Report:
    """Everything that can be said of these results."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        groups.setdefault((result.cell.variant, result.cell.method), []).append(result)
    sharing = [name for name, arm in ARMS.items() if arm.kind == "parameters"]
    return Report(
        plan=plan,
        rows=[_row(*key, runs) for key, runs in groups.items()],
        verdict=verdict(plan, results, sharing),
        curves={method: _curve(runs) for (variant, method), runs in groups.items() if not variant},
        cells=list(results),
    )


def _row(variant: str, method: str, runs: Sequence[CellResult]) -> Row:
    last = [run.labels[-1] for run in runs if run.labels]
    energies = [run.energy_joules for run in runs if run.energy_joules is not None]
    return Row(
        variant=variant,
        method=method,
        label=ARMS[method].label,
        training=ARMS[method].training,
        seeds=len(runs),
        private=interval([run.quality("private") for run in runs]),
        overall=interval([run.quality("overall") for run in runs]),
        before=mean(run.quality("overall", 0) for run in runs),
        alone=mean(run.quality("overall", 1) for run in runs),
        sent_bytes=mean(run.bytes_per_round("sent_bytes") for run in runs),
        received_bytes=mean(run.bytes_per_round("received_bytes") for run in runs),
        trainable=mean(each.trainable for run in runs for each in run.participants),
        wall_seconds=mean(run.wall_seconds for run in runs),
        cpu_seconds=mean(run.cpu_seconds for run in runs),
        energy_joules=mean(energies) if energies else None,
        label_precision=mean(each.right / each.labels if each.labels else 0.0 for each in last) if last else None,
        label_coverage=mean(each.labels / each.prompts for each in last) if last else None,
    )


def _curve(runs: Sequence[CellResult]) -> list[float]:
    stages = range(len(runs[0].participants[0].stages))
    return [mean(run.quality("overall", stage) for run in runs) for stage in stages]
