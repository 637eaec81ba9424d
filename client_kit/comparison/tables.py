"""A comparison in rows: one for each variant and method, for tables, CSV and `results.json`."""

from collections.abc import Mapping, Sequence
from statistics import mean

from pydantic import BaseModel, ConfigDict

from client_kit.comparison.arms import ARMS
from client_kit.comparison.plan import Drift, Plan
from client_kit.comparison.results import CellResult, Interval, LabelRound, PrimaryTest, interval, primary_test


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
    validation: float
    """Quality on the questions that choose settings and rivals, and are not reported."""
    by_seed: list[float]
    """`overall` of each seed."""
    against_plan: float | None = None
    """Of a variant: `overall` less the same method's under the plan's own setting, mean over the seeds that both have."""
    groups: dict[str, float]
    """Quality on every group of questions that the task has, at the end."""
    before: float
    """Of `overall`, before any training."""
    alone: float
    """Of `overall`, after the training on private data."""
    downloaded: Interval | None
    """`overall` of what came back last, before any training on it; of methods that share parameters, where the plan asks."""
    total_sent_bytes: float
    """By a participant in all rounds, on the wire."""
    total_received_bytes: float
    trainable: float
    against_lora: float | None
    """`trainable` as a multiple of LoRA's of the same rank, in the same plan; None where no LoRA was run."""
    wall_seconds: float
    cpu_seconds: float
    energy_joules: float | None
    label_precision: float | None
    """Right pseudo-labels of the last round, 0..1."""
    label_coverage: float | None
    rounds_to_recover: list[int | None] | None = None
    """With drift: of each seed, rounds until own questions are back at 95 % of what they were; None: never."""


class Report(BaseModel):
    """`results.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    plan: Plan
    rows: list[Row]
    primary_test: PrimaryTest | None
    curves: dict[str, list[float]]
    """`overall` by stage, mean over seeds and participants, for the plan's own setting, by method."""
    cells: list[CellResult]


def report_of(plan: Plan, results: Sequence[CellResult]) -> Report:
    """Everything that can be said of these results."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        groups.setdefault((result.cell.variant, result.cell.method), []).append(result)
    return Report(
        plan=plan,
        rows=[
            _row(*key, runs, _lora_numbers(groups, key[0]), plan.setting(key[0]).drift).model_copy(
                update={"against_plan": _against(groups.get(("", key[1]), ()), runs) if key[0] else None}
            )
            for key, runs in groups.items()
        ],
        primary_test=primary_test(plan, results),
        curves={method: _curve(runs) for (variant, method), runs in groups.items() if not variant},
        cells=list(results),
    )


def _lora_numbers(groups: Mapping[tuple[str, str], Sequence[CellResult]], variant: str) -> float | None:
    """Trainable numbers of plain LoRA, of the variant or else of the plan's own setting."""
    for where in (variant, ""):
        for method in ("fedit", "local_only_lora", "fedsa_lora", "flora"):
            if runs := groups.get((where, method)):
                return _trainable(runs)
    return None


def _against(own: Sequence[CellResult], runs: Sequence[CellResult]) -> float | None:
    """`overall` of these runs less that of the others, mean over the seeds of both; None where there are none."""
    before = {run.cell.seed: run.quality("overall") for run in own}
    pairs = [run.quality("overall") - before[run.cell.seed] for run in runs if run.cell.seed in before]
    return mean(pairs) if pairs else None


def _trainable(runs: Sequence[CellResult]) -> float:
    return mean(each.trainable for run in runs for each in run.participants)


def _row(variant: str, method: str, runs: Sequence[CellResult], lora: float | None, drift: Drift | None) -> Row:
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
        by_seed=[run.quality("overall") for run in runs],
        validation=mean(run.quality("validation") for run in runs),
        groups={name: mean(run.quality(name) for run in runs) for name in runs[0].participants[0].stages[-1].quality},
        before=mean(run.quality("overall", 0) for run in runs),
        alone=mean(run.quality("overall", 1) for run in runs),
        downloaded=_downloaded(runs),
        total_sent_bytes=mean(run.total_bytes("sent_bytes") for run in runs),
        total_received_bytes=mean(run.total_bytes("received_bytes") for run in runs),
        trainable=_trainable(runs),
        against_lora=_trainable(runs) / lora if lora else None,
        wall_seconds=mean(run.wall_seconds for run in runs),
        cpu_seconds=mean(run.cpu_seconds for run in runs),
        energy_joules=mean(energies) if energies else None,
        label_precision=_precision(last),
        label_coverage=mean(each.labels / each.prompts for each in last) if last else None,
        rounds_to_recover=[run.rounds_to_recover(drift.after) for run in runs] if drift else None,
    )


def _downloaded(runs: Sequence[CellResult]) -> Interval | None:
    each = [run.downloaded("overall") for run in runs]
    known = [value for value in each if value is not None]
    return interval(known) if known else None


def _precision(last: Sequence[LabelRound]) -> float | None:
    """Right labels among the labels of the last rounds; None where there are none, or it is not known."""
    shares = [None if each.right is None else each.right / each.labels for each in last if each.labels]
    known = [share for share in shares if share is not None]
    return mean(known) if known and len(known) == len(shares) else None


def _curve(runs: Sequence[CellResult]) -> list[float]:
    stages = range(len(runs[0].participants[0].stages))
    return [mean(run.quality("overall", stage) for run in runs) for stage in stages]
