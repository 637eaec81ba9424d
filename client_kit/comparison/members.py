"""The participants of one run of one method while they train, answer and are judged."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from client_kit.client import ConsensusClient
from client_kit.comparison.arms import ARMS, Arm
from client_kit.comparison.plan import Cell, Setting
from client_kit.comparison.results import LabelRound, Stage
from client_kit.comparison.tasks import Site, Task
from client_kit.generation.base import Generation, Sampling
from client_kit.settings import SftSettings
from client_kit.training.base import Example
from client_kit.training.dataset import mix
from client_kit.training.sft import SFTFineTuner
from client_kit.wire import Prompt

_BATCH = 128


@dataclass(slots=True)
class Member:
    """A participant while it runs."""

    site: Site
    seed: int
    model: Path
    """Folder of what it would answer with now: a model, or an adapter."""
    base: Path
    """What its adapter stands on; FLoRA moves it."""
    client: ConsensusClient | None = None
    stages: list[Stage] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    rank: int = 0
    trainable: int = 0


class Run:
    """What every method shares: training in portions, answers, judgement, folders."""

    def __init__(self, cell: Cell, setting: Setting, task: Task, work: Path) -> None:
        self.cell, self.setting, self.task, self.work = cell, setting, task, work
        self.arm: Arm = ARMS[cell.method]
        sites = task.sites(cell.seed, mixed=self.arm.mixed)
        self.members = [Member(site, cell.seed + 1000 * i, site.base, site.base) for i, site in enumerate(sites)]
        self.labels: list[LabelRound] = []
        self.mixing: list[list[float]] = []
        self.drifted = False

    def enter(self, portion: int) -> None:
        """Before the training of this number: where the plan has facts replaced now, private data is replaced."""
        drift = self.setting.drift
        if drift is not None and portion == drift.after:
            self.drifted = True
            sites = self.task.sites(self.cell.seed, mixed=self.arm.mixed, drifted=True)
            for member, site in zip(self.members, sites, strict=True):
                member.site = site

    def train(self, member: Member, examples: Sequence[Example], steps: int, name: str) -> None:
        """Train on from the member's model."""
        output = self.work / member.site.name / name
        tuner = SFTFineTuner(self.training(member), threads=1, frozen=self.arm.frozen)
        member.model = tuner.train(
            member.model, examples, steps=steps, seed=member.seed + len(member.stages), output=output
        ).model

    def training(self, member: Member) -> SftSettings:
        """How members of this method train."""
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

    def answer(self, member: Member, asked: Sequence[Prompt], temperature: float = 0.0) -> list[Generation]:
        """The member's answers."""
        from client_kit.generation.transformers_local import TransformersGenerator  # noqa: PLC0415 (heavy)

        sampling = Sampling(temperature=temperature, max_tokens=self.task.max_answer_tokens, seed=member.seed)
        generator = TransformersGenerator(member.model, batch_size=_BATCH, device="cpu", threads=1)
        with closing(generator):
            return list(generator.generate(asked, sampling))

    def judge(self, member: Member, name: str) -> None:
        """Ask the task's questions and note how well they were answered."""
        given = self.answer(member, self.task.questions())
        quality = self.task.judge(self.cell.seed, self.members.index(member), given, drifted=self.drifted)
        member.stages.append(Stage(name=name, quality=quality))

    def portions(self) -> list[tuple[str, int]]:
        """Name and steps of each training: private data first, then one after each round."""
        rounds = [(f"round {number}", self.setting.round_steps) for number in range(1, self.setting.rounds + 1)]
        return [("private", self.setting.local_steps), *rounds]
