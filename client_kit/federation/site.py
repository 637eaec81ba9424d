"""From a settings file to a participant at work: `take_part` is all that `consensus join` does."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from client_kit.client import ConsensusClient
from client_kit.errors import ConfigurationError
from client_kit.exports import export_labels, write_whole
from client_kit.federation.configuration import participant_token
from client_kit.federation.journal import Journal
from client_kit.federation.learning import round_folder
from client_kit.federation.means import CollapseGuard, Evaluate, Export, Mixing, Site
from client_kit.federation.participant import Participant
from client_kit.federation.progress import Observer, ignore
from client_kit.federation.slots import slot
from client_kit.generation.base import Generator, GeneratorSource, Sampling
from client_kit.generation.spending import Prices, Tokens, estimate
from client_kit.settings import (
    CollapseSettings,
    GeneratorSettings,
    NoTrainerSettings,
    ParticipantSettings,
    SpendingSettings,
    TrainerSettings,
    TransformersSettings,
    VLLMServerSettings,
    VLLMSettings,
)
from client_kit.training.base import Example, Trainer
from client_kit.training.collapse import Limits
from client_kit.training.dataset import load_examples, split
from client_kit.wire import Prompt, PseudoLabel

JOURNAL = "journal.jsonl"

_LOCAL = (TransformersSettings, VLLMSettings, VLLMServerSettings)
"""Generators whose model lies on this machine."""


class Openers(Protocol):
    """From names in the settings to implementations: `client_kit.wiring` is one."""

    def open_source(
        self,
        settings: GeneratorSettings,
        *,
        work: Path,
        spending: SpendingSettings | None = None,
        threads: int | None = None,
    ) -> GeneratorSource: ...

    def open_trainer(self, settings: TrainerSettings, *, threads: int | None = None) -> Trainer | None: ...


def take_part(settings: ParticipantSettings, openers: Openers, observe: Observer = ignore) -> Path | None:
    """Run one participant from where its journal says it is to the end. Returns its last checkpoint, if it trains.

    Raises ConsensusError; the same call goes on where this one ended.
    """
    with _participant(settings, openers, observe) as participant:
        return participant.run()


@dataclass(frozen=True, slots=True)
class Generated:
    """The answers of a round before anybody has them."""

    round: int
    answers: int
    dropped: dict[str, int]
    """Not to be submitted, by the reason in the federation's answer policy."""
    file: Path
    """JSONL, as `consensus submit` reads it."""


def generate(
    settings: ParticipantSettings, openers: Openers, file: Path | None = None, observe: Observer = ignore
) -> Generated:
    """Train and answer for the next round, write what would be submitted to `file`, and send nothing.

    file: by default `answers.jsonl` in the round's folder. `take_part` submits the same answers, generated no second
    time. Raises ConsensusError; the same call goes on where this one ended.
    """
    with _participant(settings, openers, observe) as participant:
        number, answers, dropped = participant.answer()
    file = file or round_folder(settings.work, number) / "answers.jsonl"
    answers = sorted(answers, key=lambda answer: (answer.prompt_id, answer.sample))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(answer.model_dump_json(exclude_none=True) + "\n" for answer in answers))
    return Generated(number, len(answers), dict(dropped), file)


@contextmanager
def _participant(settings: ParticipantSettings, openers: Openers, observe: Observer) -> Iterator[Participant]:
    source = openers.open_source(
        settings.generator, work=settings.work, spending=settings.spending, threads=settings.threads
    )
    with (
        closing(source),
        ConsensusClient(settings.server, participant_token(settings), federation=settings.federation) as client,
        Journal(settings.work / JOURNAL, _owner(settings, client)) as journal,
    ):
        yield Participant(
            client, open_site(settings, openers, source), journal, work=settings.work, rounds=settings.rounds,
            patience_seconds=settings.patience_seconds, observe=observe,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a round's answers take at most, before any is asked for."""

    prompts: int
    samples: int
    tokens: Tokens
    money: float
    currency: str


def estimate_round(settings: ParticipantSettings) -> Estimate:
    """At most; the answers of rounds that are behind, and what the answer cache holds, are not taken off."""
    with ConsensusClient(settings.server, participant_token(settings), federation=settings.federation) as client:
        prompts = client.prompts()
    sampling = Sampling(**settings.sampling.model_dump())
    jobs = ((prompt, sample) for prompt in prompts for sample in range(sampling.samples))
    tokens, prices = estimate(jobs, sampling), _prices(settings)
    return Estimate(len(prompts), sampling.samples, tokens, prices.of(tokens), prices.currency)


def _prices(settings: ParticipantSettings) -> Prices:
    spending = settings.spending
    return Prices(spending.prompt_price, spending.completion_price, spending.currency)


def open_site(settings: ParticipantSettings, openers: Openers, source: GeneratorSource) -> Site:
    """Model, data and habits of a participant. Reads the private data; loads no model yet."""
    trainer = settings.trainer
    private, validation = _private(settings)
    return Site(
        open_generator=source.open,
        trainer=openers.open_trainer(trainer, threads=settings.threads),
        training_rights=settings.training_rights,
        base=_base(settings),
        private=private,
        validation=validation,
        return_margin=settings.validation.return_margin,
        sampling=Sampling(**settings.sampling.model_dump()),
        prices=_prices(settings),
        preferences=trainer.kind == "dpo",
        mixing=Mixing(**settings.mixing.model_dump()),
        steps=(lambda _: 0) if isinstance(trainer, NoTrainerSettings) else trainer.steps_of,
        seed=settings.seed,
        collapse=_guard(settings.collapse),
        evaluate=_evaluation(settings),
        export=_export(trainer),
        compute=_compute(settings),
    )


def _base(settings: ParticipantSettings) -> Path | None:
    """The model that training starts from."""
    return Path(settings.generator.model) if isinstance(settings.generator, _LOCAL) else None


def _private(settings: ParticipantSettings) -> tuple[list[Example], list[Example]]:
    """(what is trained on, what is held out)."""
    if settings.private is None:
        return [], []
    return split(load_examples(settings.private), settings.validation.share)


def _guard(settings: CollapseSettings) -> CollapseGuard:
    limits = Limits(settings.distinct_floor, settings.overlap_rise, settings.identical_rise)
    gold = {} if settings.gold is None else _known_answers(settings.gold)
    return CollapseGuard(limits, settings.stop_after, gold)


def _known_answers(file: Path) -> dict[str, str]:
    """Right answers by prompt. Raises ConfigurationError that names the line."""
    rows = [(number, line) for number, line in enumerate(_lines(file), start=1) if line.strip()]
    return dict(_known_answer(file, number, line) for number, line in rows)


def _known_answer(file: Path, number: int, line: bytes) -> tuple[str, str]:
    try:
        row = json.loads(line)
        return str(row["prompt_id"]), str(row["answer"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{file} line {number} must be JSON with prompt_id and answer: {error}") from error


def _owner(settings: ParticipantSettings, client: ConsensusClient) -> dict[str, Any]:
    """What has to be the same for a journal to be continued."""
    federation = client.federation()
    private = sha256(settings.private.read_bytes()).hexdigest() if settings.private else None
    same = ("generator", "trainer", "sampling", "mixing", "validation", "seed")
    return {
        "federation": federation.federation,
        "created_at": federation.created_at.isoformat(),
        "prompt_set": federation.prompt_set,
        "participant": client.identity().participant,
        "private": private,
        **{name: value for name, value in settings.model_dump(mode="json").items() if name in same},
    }


def _compute(settings: ParticipantSettings) -> Callable[[Callable[[], None]], AbstractContextManager[object]]:
    if settings.slots is None:
        return lambda _: nullcontext()
    folder, count = settings.slots.folder, settings.slots.count
    return lambda waiting: slot(folder, count, waiting=waiting)


def _export(trainer: TrainerSettings) -> Export | None:
    """Pseudo-labels as files, for a site whose model is trained by somebody else."""
    if not isinstance(trainer, NoTrainerSettings):
        return None
    form, suffix = trainer.export, "json" if trainer.export == "alpaca" else "jsonl"

    def export(labels: Sequence[PseudoLabel], prompts: Sequence[Prompt], folder: Path) -> None:
        if any(label.text is not None for label in labels):
            export_labels(folder / f"labels.{form}.{suffix}", prompts, labels, format=form)

    return export


def _evaluation(settings: ParticipantSettings) -> Evaluate | None:
    """Answers to the site's own questions, written to its work folder and sent nowhere."""
    if settings.evaluation is None:
        return None
    questions = read_questions(settings.evaluation)
    greedy = Sampling(max_tokens=settings.sampling.max_tokens, stop=settings.sampling.stop)

    def evaluate(stage: int, generator: Generator) -> Mapping[str, Any]:
        file = evaluation_file(settings.work, stage)
        rows = sorted(
            (asdict(answer) for answer in generator.generate(questions, greedy)), key=lambda row: row["prompt_id"]
        )
        write_whole(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return {"answers": len(rows), "file": str(file.relative_to(settings.work))}

    return evaluate


def evaluation_file(work: Path, stage: int) -> Path:
    """Where the answers to the site's own questions after training `stage` lie; 0 is before any."""
    return work / "evaluation" / f"training-{stage:03}.jsonl"


def read_questions(file: Path) -> list[Prompt]:
    """Questions of a JSONL file. Raises ConfigurationError that names the line."""
    return [_question(file, number, line) for number, line in enumerate(_lines(file), start=1) if line.strip()]


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {file}: {error.strerror}. Give JSONL, a row with prompt_id each"
        ) from error


def _question(file: Path, number: int, line: bytes) -> Prompt:
    try:
        return Prompt.model_validate_json(line)
    except ValidationError as error:
        raise ConfigurationError(f"{file} line {number} is no question: {error.errors()[0]['msg']}") from error
