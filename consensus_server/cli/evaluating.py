"""`consensus-server evaluate-labels`: how good the labels are, on files of judged answers."""

import hashlib
import os
import shlex
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from client_kit.command_line import (
    CommandFailed,
    Exit,
    JsonOption,
    note,
    print_json,
    print_table,
    say,
)
from client_kit.input_files import not_looked_at
from client_kit.stages import shown
from client_kit.wire import Refusals
from consensus_server.backends.encoders import DEFAULT_ENCODER
from consensus_server.backends.store import open_store
from consensus_server.cli.evaluating_adaptive import FIRST, LEAD, adaptive_rows, check_adaptive, show_adaptive
from consensus_server.cli.learning import Measuring, learning_on, refuse_for_learning, show_learning
from consensus_server.cli.measured_policies import measured_policies
from consensus_server.cli.operating import settings_from
from consensus_server.comparison_wiring import build_comparisons
from consensus_server.core.consensus.confidence import CONFIDENCES
from consensus_server.core.consensus.meaning.equivalences import EQUIVALENCES
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.rules import RULES
from consensus_server.core.errors import StoreUnavailable
from consensus_server.evaluation.answer_files import JudgedAnswers, Wanted, read_files
from consensus_server.evaluation.attacks import ATTACKS, kind_of
from consensus_server.evaluation.calibration import Calibrated, CalibrationError
from consensus_server.evaluation.calibration import calibrate as calibrate_on
from consensus_server.evaluation.clusterers import CLUSTERERS
from consensus_server.evaluation.clusterers import DEFAULT as DECIDING_CLUSTERER
from consensus_server.evaluation.differences import Difference
from consensus_server.evaluation.facts import mostly_mute, told
from consensus_server.evaluation.made_questions import write_made_answers
from consensus_server.evaluation.report import leading, write_calibration, write_reports, write_results
from consensus_server.evaluation.rows import Finding
from consensus_server.evaluation.run import Plan, Progress, run
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.settings import Settings
from consensus_server.wiring import load_configured_encoder

T = TypeVar("T")

SHOWN = ("rule", "guards", "reliability", "attack", "attackers", "quality", "random", "best_single", "attack_success")

RISK = 0.1
"""Share of prompts with a bad label that a calibration allows where nothing is wished."""
TOLD_BY = "Known: none, words, nli:MODEL (a name or a folder), judge:UPSTREAM (of CONSENSUS_PANELS_FILE)."
"""For help pages."""
_DEFAULTS = Policy()
_KINDS = tuple(dict.fromkeys(map(kind_of, ATTACKS)))


def _listed(names: Iterable[str]) -> str:
    """For help pages and remedies."""
    return f"Known: {', '.join(names)}."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "evaluate-labels",
        epilog="Example: consensus-server evaluate-labels answers.jsonl.gz --rules hybrid,medoid --out quality",
    )(evaluate_labels)
    app.command(
        "make-questions",
        epilog="Example: consensus-server make-questions questions.jsonl --prompts 200 --seed 7",
    )(make_questions)


def make_questions(
    out: Annotated[Path, typer.Argument(help="File to write.", metavar="FILE")],
    *,
    prompts: Annotated[int, typer.Option(min=1, help="Questions.", metavar="N")] = 200,
    participants: Annotated[int, typer.Option(min=1, help="Simulated participants.", metavar="N")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal files.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Write a file of made-up questions with gold answers, for `evaluate-labels`.

    Word problems, comparisons and choices, answered by simulated participants that are right in 35 % to 75 % of the cases
    and state numbers, letters and truth values each in its own way. A STAND-IN for real models.
    """
    try:
        write_made_answers(out, prompts=prompts, models=participants, seed=seed)
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written: {error}.", Exit.BAD_FILE) from None
    if as_json:
        print_json({"file": str(out), "prompts": prompts, "participants": participants, "seed": seed})
        return
    say(f"{out}: {prompts} questions, {participants} simulated participants.")


def evaluate_labels(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="JSONL (or .gz): prompt_id, prompt, model, output, and preference, or gold with equivalence.",
            metavar="FILE...",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for results.json, report.md and report.html.", metavar="DIR")],
    panel_size: Annotated[int, typer.Option(min=2, help="Participants that answer together.", metavar="K")] = 8,
    panels: Annotated[int, typer.Option(min=1, help="Panels drawn from the file's models.", metavar="N")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of panels, attacks and intervals.")] = 7,
    rules: Annotated[
        str, typer.Option(help=f"Names, with commas between; default: all. {_listed(RULES)}", metavar="NAMES")
    ] = "",
    attacks: Annotated[
        str,
        typer.Option(
            help=f"Names, with commas between, or `all`. {_listed(_KINDS)} Each also as NAME_20, on a fifth of the prompts, and as NAME_20_good_name, with good answers elsewhere.",
            metavar="NAMES",
        ),
    ] = "",
    attackers: Annotated[str, typer.Option(help="Attackers among a panel's members.", metavar="NUMBERS")] = "2,4",
    equivalence: Annotated[
        str | None,
        typer.Option(help=f"Group answers by this, whatever the file says. {_listed(EQUIVALENCES)}", metavar="NAME"),
    ] = None,
    clusterer: Annotated[
        str,
        typer.Option(
            help=f"For ablations: how answers of one meaning are found. {_listed(CLUSTERERS)}", metavar="NAME"
        ),
    ] = DECIDING_CLUSTERER,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON with fields of a policy, as a federation has them; what it says of guards and reliability no row varies.",
            metavar="FILE",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Field of the policy and its value, over those of --policy; repeat.", metavar="FIELD=VALUE"
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Hold each row against itself with this field changed (or with all fields of a FILE); repeat.",
            metavar="FIELD=VALUE",
        ),
    ] = None,
    confidence: Annotated[
        str | None,
        typer.Option(
            help=f"Score that ranks labels by confidence; default: {_DEFAULTS.confidence}. {_listed(CONFIDENCES)}",
            metavar="NAME",
        ),
    ] = None,
    contradictions: Annotated[
        str | None,
        typer.Option(
            help=f"What tells contradictory answers apart; default: {_DEFAULTS.contradictions}. {TOLD_BY}",
            metavar="NAME",
        ),
    ] = None,
    refusals: Annotated[
        Refusals, typer.Option(help="Refusals (English): left out, as in new federations, or answers like others.")
    ] = Refusals.DROP,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Write calibration.json for the confidence score of a policy.")
    ] = False,
    risk: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help=f"Share of prompts with a bad label that a calibration allows; default: {RISK:g}."
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Instead of --risk: share of prompts that should get a label."),
    ] = None,
    abstention: Annotated[bool, typer.Option("--abstention", help="Let the policy abstain; coverage falls.")] = False,
    panel_memory: Annotated[
        bool,
        typer.Option(
            "--panel-memory",
            help="Instead: panels that learn. Each prompt is a question, decided alone with what is remembered of those before.",
        ),
    ] = False,
    prompts: Annotated[
        int | None,
        typer.Option(min=1, help="So many prompts of each file, drawn by --seed; default: all.", metavar="N"),
    ] = None,
    drop_incomplete: Annotated[
        bool,
        typer.Option("--drop-incomplete", help="Leave out models and prompts with gaps, so that most answers stay."),
    ] = False,
    scale: Annotated[
        str, typer.Option(help="Least and greatest preference of the files, such as 1-5 or 0-100.", metavar="LOW-HIGH")
    ] = "0-1",
    encoder: Annotated[str, typer.Option(help="Name or folder of the encoder.", metavar="NAME")] = DEFAULT_ENCODER,
    encoder_threads: Annotated[int | None, typer.Option(min=1, help="Threads of one encoding.", metavar="N")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps embeddings between runs.", metavar="DIR")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decide; default: one per processor.", metavar="N")
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option("--adaptive", help="Instead: what panels save and change that ask a few first; adaptive.json."),
    ] = False,
    first: Annotated[int, typer.Option(min=1, help="With --adaptive: so many are asked first.", metavar="N")] = FIRST,
    lead: Annotated[
        float, typer.Option(min=0.5, help="With --adaptive: nobody else once the first meaning leads by so many votes.")
    ] = LEAD,
    as_json: JsonOption = False,
) -> None:
    """Measure the labels that each rule would give, on panels drawn from judged answers.

    Embeddings are kept by content and encoder, so that only the first run of a file takes long.
    """
    shorthands = {
        "confidence": None if confidence is None else _name(confidence, CONFIDENCES, "--confidence"),
        "contradictions": contradictions,
        "abstain": abstention or None,
    }
    settings = settings_from(encoder=encoder, encoder_threads=encoder_threads)
    measured = measured_policies(
        policy,
        changes or (),
        {name: each for name, each in shorthands.items() if each is not None},
        against or (),
        partial(build_comparisons, settings, None),
    )
    wanted = tuple(ATTACKS) if attacks == "all" else _names(attacks, ATTACKS, "--attacks")
    plan = Plan(
        panel_size=panel_size,
        panels=panels,
        seed=seed,
        rules=_names(rules, RULES, "--rules") or measured.rules,
        attacks=wanted,
        attackers=_numbers(attackers, panel_size) if wanted else (),
        policy=measured.policy,
        fixed=measured.fixed,
        against=measured.against,
        clusterer=_name(clusterer, CLUSTERERS, "--clusterer"),
        refusals=refusals,
        equivalence=None if equivalence is None else _name(equivalence, EQUIVALENCES, "--equivalence"),
        workers=workers or os.cpu_count() or 1,
    )
    _check_wishes(files, measured.policy, risk, coverage, calibrate=calibrate)
    if panel_memory:
        refuse_for_learning({"--rules": rules, "--attacks": attacks, "--against": against, "--calibrate": calibrate})
    with folder_usable(out, "--out"):
        out.mkdir(parents=True, exist_ok=True)
    wanted_of_files = Wanted(prompts, seed, _scale(scale), panel_size if drop_incomplete else None)
    measured_with = partial(_measured, files, wanted_of_files, plan, settings, cache or cache_folder())
    if adaptive:
        check_adaptive(plan, first)
        steps = measured_with(partial(adaptive_rows, first, lead))
        with folder_usable(out, "--out"):
            show_adaptive(steps, out, as_json=as_json)
        return
    if panel_memory:
        with _measuring(files, wanted_of_files, plan, settings, cache or cache_folder()) as material:
            show_learning([learning_on(each, plan, material) for each in material.answers], out, as_json=as_json)
        return
    findings = measured_with(run)
    rows = [finding.row for finding in findings]
    for file, facts in {row.file: row.facts for row in rows}.items():
        if caution := mostly_mute(facts):
            note(f"{file}: {caution}")
    with folder_usable(out, "--out"):
        write_results(rows, out)
        _report(findings, out)
        if calibrate:
            _calibrate(files, findings, out, RISK if risk is None else risk, coverage, seed)
    if as_json:
        print_json({"rows": [row.as_json() for row in rows]})
    else:
        _show(findings)


def _check_wishes(
    files: list[Path], policy: Policy, risk: float | None, coverage: float | None, *, calibrate: bool
) -> None:
    """Refuse what would be ignored. Raises CommandFailed."""
    if risk is not None and coverage is not None:
        raise CommandFailed(
            "Give --risk or --coverage, not both: each chooses the least score of a calibration.", Exit.USAGE
        )
    for option, wish in (("--risk", risk), ("--coverage", coverage)):
        if wish is not None and not calibrate:
            raise CommandFailed(f"{option} only applies with --calibrate.", Exit.USAGE)
    if calibrate and policy.calibration is not None:
        raise CommandFailed(
            "--calibrate is fitted to the score itself, and the policy has a calibration.",
            Exit.USAGE,
            remedy="--set calibration=null",
        )
    if calibrate and len(files) > 1:
        raise CommandFailed("--calibrate takes one FILE: a calibration holds for one kind of prompts.", Exit.USAGE)


@contextmanager
def folder_usable(folder: Path, option: str) -> Generator[None]:
    """Name the option where its folder cannot be made or written to. Raises CommandFailed."""
    try:
        yield
    except (OSError, StoreUnavailable) as error:
        raise CommandFailed(
            f"{option} {folder} cannot be used: {getattr(error, 'reason', error)}.",
            Exit.BAD_FILE,
            remedy="Name a folder, new or old, in which this user may write.",
        ) from None


@contextmanager
def _measuring(files: list[Path], wanted: Wanted, plan: Plan, settings: Settings, cache: Path) -> Generator[Measuring]:
    """What measures files. Raises CommandFailed."""
    answers = read_files(files, wanted)
    for each in answers:
        if ignored := not_looked_at(each.name, each.ignored):
            note(ignored)
    with folder_usable(cache, "--cache"):
        cache.mkdir(parents=True, exist_ok=True)
        store = open_store(f"sqlite:///{(cache / 'embeddings.sqlite').resolve()}")
    try:
        comparisons = build_comparisons(settings, store.features, plan.told_by)
        with shown() as progress:
            progress("loading the encoder", 0, 0)
            loaded = load_configured_encoder(settings, store.embeddings)
            yield Measuring(answers, loaded, store.embeddings, comparisons, progress)
    except ValueError as error:
        raise CommandFailed(str(error), Exit.FAILED) from None
    finally:
        store.close()


def _measured(  # noqa: PLR0917 - what it is measured on
    files: list[Path],
    wanted: Wanted,
    plan: Plan,
    settings: Settings,
    cache: Path,
    measure: Callable[[JudgedAnswers, Plan, Encoder, EmbeddingStore, Progress], Iterable[T]],
) -> list[T]:
    """What is found on each file."""
    with _measuring(files, wanted, plan, settings, cache) as material:
        plan = replace(plan, comparisons=material.comparisons)
        return [
            found
            for each in material.answers
            for found in measure(each, plan, material.encoder, material.store, material.progress)
        ]


def _calibrate(  # noqa: PLR0917 - the options of the command
    files: list[Path], findings: list[Finding], out: Path, risk: float, coverage: float | None, seed: int
) -> None:
    """Write `calibration.json` for the setting with most safeguards, one more for each of several kinds; say what they are worth."""
    chosen = leading([finding for finding in findings if finding.row.attack is None])
    source = hashlib.sha256(files[0].read_bytes()).hexdigest()
    kinds = sorted(set(chosen.kinds))
    for kind in (None, *(kinds if len(kinds) > 1 else ())):
        own = chosen if kind is None else chosen.of_kind(kind)
        try:
            found = calibrate_on(own, risk=risk, coverage=coverage, seed=seed, source=source)
        except CalibrationError as error:
            if kind is None:
                raise CommandFailed(f"{files[0]}: {error}", Exit.FAILED) from None
            note(f"No calibration for {kind}: {error}")
            continue
        _tell_calibration(write_calibration(found, chosen, out, kind).name, chosen, found)


def _tell_calibration(name: str, chosen: Finding, found: Calibrated) -> None:
    note(
        f"{name}: {chosen.row.rule}, {found.calibration.method}. Expected calibration error on held-out prompts "
        f"{found.ece_before:.3f} before, {found.ece_after:.3f} after. With a score of at least {found.calibration.least_score:.2f}, "
        f"{found.risk:.3f} of held-out prompts got a bad label ({_wanted(found)}; without: {found.risk_without:.3f}), {found.coverage:.3f} got one at all."
    )


def _wanted(found: Calibrated) -> str:
    return (
        f"allowed: {found.risk_target:g}"
        if found.risk_target is not None
        else f"coverage asked for: {found.coverage_target:g}"
    )


def _report(findings: list[Finding], out: Path) -> None:
    command = shlex.join(["consensus-server", *sys.argv[1:]])
    try:
        write_reports(findings, out, command)
    except ImportError as error:
        raise CommandFailed(
            f"results.json is written; the reports need the extra `report` ({error}).",
            Exit.FAILED,
            remedy='pip install "semantic-consensus[report]"',
        ) from None


def _show(findings: list[Finding]) -> None:
    rows = [finding.row for finding in findings]
    cells = [[_cell(getattr(row, name)) for name in SHOWN] for row in rows]
    print_table([name.replace("_", " ") for name in SHOWN], cells, empty="no rows")
    _show_differences(findings)
    for file, count in {row.file: row.refusals for row in rows}.items():
        say(f"{file}: {count} answers were left out as refusals.")
    for file, facts in {row.file: row.facts for row in rows}.items():
        for sentence in told(facts):
            say(f"{file}: {sentence}")
    say(
        "Quality is the mean preference of the labels, or the share of right ones; the reports have all figures, with intervals and, where judges spoke, adjusted for length."
    )


def _show_differences(findings: list[Finding]) -> None:
    """Of the setting with most safeguards of each file; the reports have all."""
    calm = [finding for finding in findings if finding.row.attack is None]
    for file in dict.fromkeys(finding.row.file for finding in calm):
        row = leading([finding for finding in calm if finding.row.file == file]).row
        say(
            f"{file}: {row.rule}, guards {_on(row.guards)}, reliability {_on(row.reliability)}, on the same panels and prompts"
        )
        for each in row.differences:
            say(f"  less {each.baseline}: {_interval(each)}")


def _on(value: bool) -> str:  # noqa: FBT001 - a figure to show
    return "on" if value else "off"


def _interval(found: Difference) -> str:
    """The difference, its interval, and on how much of the labels, where not on all."""
    if found.difference is None or found.low is None or found.high is None:
        return "nothing to compare"
    compared = "" if found.share == 1 else f", compared on {found.share:.0%} of the labels"
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}){compared}"


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value


def _names(text: str, known: Iterable[str], option: str) -> tuple[str, ...]:
    """Each once."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise CommandFailed(f"{option}: there is no {', '.join(unknown)}.", Exit.USAGE, remedy=_listed(known))
    return names


def _name(text: str, known: Iterable[str], option: str) -> str:
    """The one name."""
    names = _names(text, known, option)
    if len(names) != 1:
        raise CommandFailed(f"{option} {text!r}: give one name.", Exit.USAGE, remedy=_listed(known))
    return names[0]


def _scale(text: str) -> tuple[float, float]:
    """The two ends. Raises CommandFailed."""
    try:
        low, high = map(float, text.split("-"))
    except ValueError:
        low = high = 0.0
    if not 0 <= low < high < float("inf"):
        raise CommandFailed(
            f"--scale {text!r}: give the least and the greatest preference, such as 1-5 or 0-100.", Exit.USAGE
        )
    return low, high


def _numbers(text: str, panel_size: int) -> tuple[int, ...]:
    """Each once."""
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        numbers = ()
    if not numbers or any(not 1 <= number < panel_size for number in numbers):
        raise CommandFailed(
            f"--attackers {text!r}: give numbers from 1 to {panel_size - 1}, with commas between.", Exit.USAGE
        )
    return numbers


def cache_folder() -> Path:
    """Where programs keep what they can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semantic-consensus"
