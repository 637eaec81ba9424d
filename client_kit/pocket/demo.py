"""The demonstration: a whole federation of tiny models on this machine, beside training without one."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.exports import write_whole
from client_kit.federation import journal
from client_kit.federation.configuration import FederationSettings
from client_kit.federation.joining import JOURNAL
from client_kit.federation.processes import Processes
from client_kit.federation.progress import Observer
from client_kit.federation.runner import FederationOutcome, run_federation
from client_kit.federation.site import evaluation_file
from client_kit.generation.base import Generation
from client_kit.pocket.jobs import BATCH, FORMS, Form, Job, scores_of
from client_kit.pocket.public import public_prompts, questions, write_prompt_set
from client_kit.pocket.report import write_report
from client_kit.pocket.results import DemoResults, GradePrecision, LocalOnly, ParticipantResult, RoundResult, Traffic
from client_kit.pocket.scoring import stated_value
from client_kit.pocket.settings import PocketSettings
from client_kit.pocket.world import Use
from client_kit.storage import storage_explained
from client_kit.training.dataset import as_rows
from client_kit.wire import Prompt, PseudoLabel

_NEEDED = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "fastapi",
    "sqlalchemy",
    "sentence_transformers",
    "plotly",
    "jinja2",
)
"""Libraries of the extras `train`, `server` and `report`: asked for before minutes are spent."""

_JOB = "from client_kit.pocket.jobs import main; main()"
"""Runs the job whose file is the argument."""

_MARKER = ".pocket-federation"
"""Says that a work folder is the demonstration's own, to be emptied at the next start."""


@dataclass(frozen=True, slots=True)
class Demo:
    """One run of the demonstration."""

    form: Form
    seed: int
    out: Path
    """Folder for `results.json`, `report.html` and `work/`."""
    cache: Path | None = None
    """Folder of cached base models; the user's when not set."""
    slots: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes that compute at the same time."""

    @property
    def settings(self) -> PocketSettings:
        """The world, the models and how they are trained."""
        return FORMS[self.form]

    @property
    def work(self) -> Path:
        """Everything that the run makes on its way."""
        return self.out.absolute() / "work"

    def job(self, kind: str, participant: int) -> Job:
        """A process beside the federation, for one participant."""
        folder = self.work / kind / self.settings.models[participant].name
        return Job.model_validate(
            {
                "kind": kind, "form": self.form, "participant": participant, "seed": self.seed, "cache": self.cache,
                "slots": self.work / "slots", "slot_count": self.slots, "work": folder / "checkpoints",
                "result": folder / "result",
            }
        )  # fmt: skip


@storage_explained()
def run_demo(demo: Demo, observe: Observer) -> DemoResults:
    """Run the federation and training without it, and write `results.json` and `report.html`.

    Raises ConsensusError; whatever happens, no process is left behind.
    """
    if any(find_spec(library) is None for library in _NEEDED):
        raise MissingExtra("the demonstration", "all")
    began, seconds = time.monotonic(), dict[str, float]()
    _begin(demo)
    with _timed(seconds, "base models"), Processes(observe) as processes:
        bases = [Path(text) for text in _results(processes, demo, "base")]
    settings = federation_settings(demo, bases)
    with _timed(seconds, "federation and training alone"), Processes(observe) as processes:
        # Both wait for the same compute slots: training alone fills the time in which participants wait.
        jobs = _start(processes, demo, "local-only")
        outcome = run_federation(settings, observe)
        processes.wait()
    alone = [LocalOnly.model_validate_json(job.result.read_bytes()) for job in jobs]
    results = _collect(demo, outcome, bases, alone, {**seconds, "total": time.monotonic() - began})
    write_whole(demo.out / "results.json", results.model_dump_json(indent=1) + "\n")
    write_report(results, demo.out / "report.html")
    return results


def federation_settings(demo: Demo, bases: Sequence[Path]) -> FederationSettings:
    """The federation as `consensus federate` would read it; writes private data, questions and public prompts."""
    pocket, world, data = demo.settings, demo.settings.world(), demo.settings.private_data(demo.seed)
    prompts = demo.work / "data" / "prompts"
    write_prompt_set(world, prompts)
    evaluation = _write_rows(demo.work / "data" / "questions.jsonl", [_row(ask) for ask in questions(world, Use.TEST)])
    training = pocket.training()
    sites = [
        {
            "participant": recipe.name,
            "generator": {"kind": "transformers", "model": str(base), "batch_size": BATCH, "device": "cpu"},
            "trainer": {
                "kind": "sft", "first_steps": pocket.local_steps, "steps": pocket.round_steps,
                "learning_rate": training.learning_rate, "batch_size": training.batch_size,
                "max_length": training.max_length, "schedule": training.schedule, "device": training.device,
            },
            "private": _write_rows(demo.work / "data" / recipe.name / "private.jsonl", as_rows(held.examples)),
            "evaluation": evaluation,
            "sampling": {"max_tokens": pocket.max_answer_tokens},
            "mixing": {"ratio": pocket.pseudo_ratio, "by_confidence": pocket.by_confidence},
            "seed": demo.seed,
            "threads": 1,
        }
        for recipe, base, held in zip(pocket.models, bases, data, strict=True)
    ]  # fmt: skip
    return FederationSettings.model_validate(
        {
            "federation": "pocket", "work": demo.work, "rounds": pocket.rounds, "prompt_set": str(prompts),
            "participants": sites, "quorum": len(sites), "compute_slots": demo.slots,
        }
    )  # fmt: skip


# Running


def _begin(demo: Demo) -> None:
    """An empty work folder. Raises ConfigurationError rather than empty a folder of somebody else."""
    if demo.work.exists() and not (demo.work / _MARKER).exists():
        raise ConfigurationError(f"{demo.work} exists and is not of this demonstration; choose another --out")
    shutil.rmtree(demo.work, ignore_errors=True)
    demo.work.mkdir(parents=True)
    (demo.work / _MARKER).touch()


def _start(processes: Processes, demo: Demo, kind: str) -> list[Job]:
    jobs = [demo.job(kind, index) for index in range(len(demo.settings.models))]
    for job in jobs:
        file = job.result.with_name("job.json")
        write_whole(file, job.model_dump_json())
        processes.start(job.name, _JOB, str(file), log=job.result.with_name("job.log"))
    return jobs


def _results(processes: Processes, demo: Demo, kind: str) -> list[str]:
    jobs = _start(processes, demo, kind)
    processes.wait()
    return [job.result.read_text(encoding="utf-8") for job in jobs]


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - began


def _row(prompt: Prompt) -> dict[str, object]:
    return prompt.model_dump(mode="json", exclude_none=True)


def _write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> str:
    write_whole(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(file)


# Collecting


def _collect(
    demo: Demo, outcome: FederationOutcome, bases: Sequence[Path], alone: Sequence[LocalOnly], seconds: dict[str, float]
) -> DemoResults:
    world = demo.settings.world()
    card = next(iter(outcome.cards.values()), None)
    if card is None:
        raise ConfigurationError(f"no round was published: {'; '.join(outcome.failures.values())}")
    return DemoResults(
        form=demo.form,
        seed=demo.seed,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=len(world.facts),
        public_facts=sum(fact.public for fact in world.facts),
        test_questions=len(questions(world, Use.TEST)),
        prompts=len(public_prompts(world)),
        participants=[
            _participant(demo, outcome, index, base, local)
            for index, (base, local) in enumerate(zip(bases, alone, strict=True))
        ],
        rounds=[_round(demo, outcome, number) for number in outcome.cards],
        encoder=f"{card.encoder.name} ({card.encoder.dtype}, weights {card.encoder.weights[:12]})",
        policy=card.policy.model_dump(mode="json"),
        seconds={name: round(value, 1) for name, value in seconds.items()},
        cores=demo.slots,
        versions={name: version(name) for name in ("semantic-consensus", "torch", "transformers", "trl")},
    )


def _participant(demo: Demo, outcome: FederationOutcome, index: int, base: Path, alone: LocalOnly) -> ParticipantResult:
    recipe, held = demo.settings.models[index], demo.settings.private_data(demo.seed)[index]
    truth = {fact.fact_id: fact.value for fact in demo.settings.world().facts}
    work = outcome.work[recipe.name]
    return ParticipantResult(
        participant=recipe.name,
        architecture=recipe.architecture,
        tokenizer=recipe.tokenizer,
        parameters=_parameters(base),
        topics=list(held.topics),
        held_facts=len(held.held),
        wrong_facts=sum(truth[fact_id] != value for fact_id, value in held.held.items()),
        scores=[
            scores_of(_read_answers(evaluation_file(work, stage)), demo.settings, demo.seed, index)
            for stage in range(demo.settings.rounds + 2)
        ],
        local_only=alone,
        traffic=[
            Traffic(sent_bytes=row.received_bytes, received_bytes=row.sent_bytes)
            for rows in outcome.traffic.values()
            for row in rows
            if row.participant == recipe.name
        ],
        seconds=_seconds(work),
    )


def _parameters(model: Path) -> int:
    from math import prod  # noqa: PLC0415 (kept beside the library that needs it)

    from safetensors import safe_open  # noqa: PLC0415 (of the extra `train`)

    with safe_open(model / "model.safetensors", framework="numpy") as weights:
        return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (no mapping)


def _read_answers(file: Path) -> list[Generation]:
    return [Generation(**json.loads(line)) for line in file.read_bytes().splitlines()]


def _seconds(work: Path) -> dict[str, float]:
    """Seconds of training, answering and waiting, as the participant journalled them."""
    records = journal.decode((work / JOURNAL).read_bytes())[0]
    parts = {
        "training": ("trained", "seconds"),
        "answering": ("answered", "seconds"),
        "waiting": ("labelled", "waited_seconds"),
    }
    return {
        name: round(sum(record[key] for record in records if record["kind"] == kind), 1)
        for name, (kind, key) in parts.items()
    }


def _round(demo: Demo, outcome: FederationOutcome, number: int) -> RoundResult:
    """Counts of a round, and how many of its pseudo-labels are true, which only the world knows."""
    card = outcome.cards[number]
    file = next(iter(outcome.work.values())) / f"round-{number:03}" / "pseudo_labels.jsonl"
    labels = [PseudoLabel.model_validate_json(line) for line in file.read_bytes().splitlines()]
    by_grade: dict[str, list[bool]] = {}
    for label in labels:
        if label.text is not None:
            by_grade.setdefault(str(label.grade), []).append(_is_true(demo, label.prompt_id, label.text))
    return RoundResult(
        number=number,
        prompts=card.counts.prompts,
        labels=card.counts.labels,
        right=sum(sum(right) for right in by_grade.values()),
        abstentions=card.counts.abstentions,
        by_grade=[
            GradePrecision(grade=grade, labels=len(right), right=sum(right))
            for grade, right in sorted(by_grade.items())
        ],
        encoded=card.counts.encoded,
        reused=card.counts.reused,
        aggregation_seconds=card.timings.total_seconds,
    )


def _is_true(demo: Demo, prompt_id: str, text: str) -> bool:
    """Whether a pseudo-label states the value that is true in the world; prompt_id is `<fact_id>/<wording>`."""
    world = demo.settings.world()
    fact = next(fact for fact in world.facts if fact.fact_id == prompt_id.rpartition("/")[0])
    return stated_value(world.by_name[fact.topic], fact.subject, text) == fact.value
