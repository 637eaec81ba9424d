"""The participants of one run of one method while they train, answer and are judged."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from client_kit.client import ConsensusClient
from client_kit.comparison.arms import ARMS
from client_kit.comparison.plan import Cell, Setting
from client_kit.comparison.results import LabelRound, ParticipantOutcome, Stage
from client_kit.comparison.tasks import SiteData, Task
from client_kit.generation.base import Generator, Sampling
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.settings import SftSettings
from client_kit.training.base import Example, TrainingReport, TrainingRun
from client_kit.training.dataset import mix
from client_kit.training.sft import SFTFineTuner

WAIT_SECONDS = 600.0
"""Longest wait for the server."""
_BATCH = 128


@dataclass(slots=True, eq=False)
class Member:
    """A participant while it runs; each is equal to itself alone."""

    site: SiteData
    seed: int
    model: Path
    """Folder of what it would answer with now: a model, or an adapter."""
    base: Path
    """What its adapter stands on; FLoRA moves it."""
    client: ConsensusClient = field(init=False, repr=False)
    """Known once there is a federation."""
    stages: list[Stage] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    downloaded: dict[str, float] | None = None
    """Quality of what it was given back last."""
    rank: int = 0
    trainable: int = 0

    @property
    def outcome(self) -> ParticipantOutcome:
        """What is reported of it."""
        return ParticipantOutcome(
            participant=self.site.name, architecture=self.site.architecture, stages=self.stages,
            sent_bytes=self.sent, received_bytes=self.received, trainable=self.trainable, downloaded=self.downloaded,
        )  # fmt: skip


class Run:
    """What every method shares: portions of training, seeds, judgement, folders."""

    def __init__(self, cell: Cell, setting: Setting, task: Task, work: Path) -> None:
        self.cell, self.setting, self.task, self.work = cell, setting, task, work
        self.arm = ARMS[cell.method]
        self.portions = [setting.local_steps] + [setting.round_steps] * setting.rounds
        """Optimiser steps of each training: on private data first, then one after each round."""
        sites = task.sites(cell.seed, mixed=self.arm.mixed)
        self.members = [Member(site, cell.seed + 1000 * i, site.base, site.base) for i, site in enumerate(sites)]
        self.labels: list[LabelRound] = []
        self.mixing: list[list[float]] = []
        self.drifted = False

    def enter(self, portion: int) -> None:
        """Before the training of this number, from 0: where the plan has facts replaced now, private data is replaced."""
        drift = self.setting.drift
        if drift is not None and portion == drift.after:
            self.drifted = True
            sites = self.task.sites(self.cell.seed, mixed=self.arm.mixed, drifted=True)
            for member, site in zip(self.members, sites, strict=True):
                member.site = site

    def train(
        self,
        member: Member,
        examples: Sequence[Example],
        steps: int,
        *,
        model: Path | None = None,
        seed: int | None = None,
        output: Path | None = None,
        portions: TrainingRun | None = None,
        validation: Sequence[Example] = (),
    ) -> TrainingReport:
        """Train on from the member's model, with the seed that its next training has under every method.

        model, seed, output, portions, validation: of a participant that has its own.
        """
        number = len(member.stages)
        tuner = SFTFineTuner(self._training(member), threads=1, frozen=self.arm.frozen)
        report = tuner.train(
            model or member.model, examples, steps=steps, seed=member.seed + number if seed is None else seed,
            output=output or self.folder(member) / f"training-{number:03}", run=portions, validation=validation,
        )  # fmt: skip
        member.model, member.trainable = report.model, report.trainable or 0
        return report

    def _training(self, member: Member) -> SftSettings:
        rates = self.setting.learning_rates.model_dump()
        rank = member.rank or self.setting.rank
        adapter = {"method": "lora", "lora_rank": rank, "lora_alpha": 2 * rank} if self.arm.training == "lora" else {}
        return SftSettings(
            kind="sft",
            first_steps=self.setting.local_steps,
            steps=self.setting.round_steps,
            learning_rate=rates[self.arm.training],
            batch_size=self.setting.batch_size,
            max_length=self.setting.max_length,
            device="cpu",
            **adapter,
        )

    def private(self, member: Member, portion: int) -> list[Example]:
        """The member's private data, in an order of its own for each portion."""
        return mix(member.site.private, [], seed=member.seed + portion)

    def generator(self, model: Path) -> Generator:
        """A model folder as an inference API."""
        return TransformersGenerator(model, batch_size=_BATCH, device="cpu", threads=1)

    def judge(self, member: Member) -> None:
        """Ask the member's model the task's questions, and note how well they were answered."""
        with closing(self.generator(member.model)) as generator:
            self.note_quality(member, generator)

    def note_quality(self, member: Member, generator: Generator) -> dict[str, float]:
        """Quality of the model's answers to the task's questions, noted as the member's next stage."""
        quality = self._quality(member, generator)
        number = len(member.stages)
        name = ("before", "private")[number] if number <= 1 else f"round {number - 1}"
        member.stages.append(Stage(name=name, quality=quality))
        return quality

    def note_download(self, member: Member) -> None:
        """Note the quality of what the member was given back, before it trains on."""
        with closing(self.generator(member.model)) as generator:
            member.downloaded = self._quality(member, generator)

    def _quality(self, member: Member, generator: Generator) -> dict[str, float]:
        given = list(generator.generate(self.task.questions(), Sampling(max_tokens=self.task.max_answer_tokens)))
        return self.task.judge(self.cell.seed, self.members.index(member), given, drifted=self.drifted)

    def folder(self, member: Member) -> Path:
        """What the member makes on its way."""
        return self.work / member.site.name
