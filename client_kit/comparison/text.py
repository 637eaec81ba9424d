"""A comparison in words and in tables of Markdown."""

from collections.abc import Mapping, Sequence

from client_kit.comparison.results import Interval
from client_kit.comparison.tables import Report, Row

STATED = (
    "Quality is the share of right answers on test questions, mean over participants; 95 % intervals are Student's t over "
    "seeds. Bytes are counted on the wire, headers included, per participant in all rounds. At the download: all questions, as what "
    "came back last answers them, before any site trains on."
)


def markdown(report: Report) -> str:
    """The tables as text."""
    lines = ["# Comparison", "", setting_of(report), ""]
    if own := [row for row in report.rows if not row.variant]:
        lines += [*_rows(own), "", *_drift_lines(own)]
    return "\n".join([*lines, *_variant_lines(report), STATED, "", primary_test_text(report), ""])


def _rows(rows: Sequence[Row]) -> list[str]:
    """One line for each method, with a column more for each group of questions that only this task has."""
    more = [name for name in rows[0].groups if name not in _KNOWN_GROUPS]
    heads = [
        "Method", "Trains", "Own questions", "All questions", "At the download", *map(str.capitalize, more), "Sent", "Received",
        "Trainable", "of LoRA's", "CPU s", "Labels right",
    ]  # fmt: skip
    return _table(heads, [_line(row, more) for row in rows])


_KNOWN_GROUPS = frozenset({"private", "overall", "not private", "validation", "kept", "replaced", "stale"})


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_cells(heads), "|" + "---|" * len(heads), *map(_cells, rows)]


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _variant_lines(report: Report) -> list[str]:
    """All variants in one table, beside the plan's own setting; then what became of replaced facts."""
    rows = [row for row in report.rows if row.variant]
    if not rows:
        return []
    heads = [
        "Variant", "Method", "Own questions", "All questions", "By seed", "At the download", "Less the plan's own", "Sent",
        "Labels right",
    ]  # fmt: skip
    lines = ["## Variants", "", *(f"- {name}: {_change(change)}" for name, change in report.plan.variants.items()), ""]
    lines += [*_table(heads, [*map(_variant_line, rows)]), ""]
    for variant in dict.fromkeys(row.variant for row in rows):
        found = _drift_lines([row for row in rows if row.variant == variant])
        lines += [f"### {variant}", "", *found] if found else []
    return lines


def _change(change: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in change.items() if key != "methods")


def _variant_line(row: Row) -> list[str]:
    by_seed = ", ".join(f"{value:.3f}" for value in row.by_seed)
    less = "" if row.against_plan is None else f"{row.against_plan:+.3f}"
    downloaded = "" if row.downloaded is None else f"{row.downloaded.mean:.3f}"
    quality = [f"{row.private.mean:.3f}", f"{row.overall.mean:.3f}", by_seed, downloaded, less]
    return [row.variant, row.label, *quality, byte_count(row.total_sent_bytes), _labels_right(row)]


def primary_test_text(report: Report) -> str:
    """The primary test in words."""
    found = report.primary_test
    if found is None:
        return (
            "Primary test: not made; it needs consensus and a method that shares parameters in the plan's own setting."
        )
    said = f"Primary test, own questions: {found.consensus} less {found.best} is {shown(found.difference)}"
    if found.lower_bound is None:
        return said + "; one seed is no test."
    outcome = "not inferior" if found.not_inferior else "not shown to be non-inferior"
    return f"{said}; one-sided 95 % bound {found.lower_bound:+.3f} against a margin of {found.margin:.3f} stated before: {outcome}."


def times_lora(row: Row) -> str:
    """Trainable numbers as a multiple of LoRA's of the same rank."""
    return "" if row.against_lora is None else f"{row.against_lora:.2f}"


def _drift_lines(rows: Sequence[Row]) -> list[str]:
    """Where facts are replaced: what became of the old and the new ones."""
    if all(row.rounds_to_recover is None for row in rows):
        return []
    heads = ["Method", "Kept facts", "Replaced, new value", "Replaced, still the old", "Rounds to recover, by seed"]
    return [*_table(heads, [*map(_drift_line, rows)]), ""]


def _drift_line(row: Row) -> list[str]:
    shares = [f"{row.groups[name]:.3f}" for name in ("kept", "replaced", "stale")]
    rounds = ", ".join("never" if each is None else str(each) for each in row.rounds_to_recover or ())
    return [row.label, *shares, rounds]


def _line(row: Row, more: Sequence[str]) -> list[str]:
    return [
        row.label, row.training, shown(row.private), shown(row.overall), shown(row.downloaded),
        *(f"{row.groups[name]:.3f}" for name in more), byte_count(row.total_sent_bytes), byte_count(row.total_received_bytes),
        f"{row.trainable:,.0f}", times_lora(row), f"{row.cpu_seconds:.0f}", _labels_right(row),
    ]  # fmt: skip


def _labels_right(row: Row) -> str:
    """Right labels among those of the last round, of the share of prompts that have one."""
    return "" if row.label_precision is None else f"{row.label_precision:.2f} of {row.label_coverage or 0:.2f}"


def setting_of(report: Report) -> str:
    """What was run, in a sentence."""
    plan = report.plan
    return (
        f"Task `{plan.task}`, {plan.sites} participants, {plan.rounds} rounds, {plan.local_steps} + {plan.rounds} x "
        f"{plan.round_steps} steps each, seeds {', '.join(map(str, plan.seeds))}; base models, private data and training "
        "are drawn anew for each seed. Centralised takes the steps of all participants together."
    )


def shown(value: Interval | None) -> str:
    """A mean with its interval; nothing where there is none."""
    if value is None:
        return ""
    if value.low is None or value.high is None:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"


def byte_count(count: float) -> str:
    """Bytes with a unit."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
