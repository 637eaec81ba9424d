"""One run of one method: participants in turn in this process, the server a real one."""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from client_kit import parameters
from client_kit.client import ConsensusClient
from client_kit.comparison.arms import ARMS, Arm
from client_kit.comparison.energy import measured_energy
from client_kit.comparison.plan import Cell, Setting
from client_kit.comparison.results import CellResult, LabelRound, ParticipantOutcome, Stage
from client_kit.comparison.tasks import Site, Task
from client_kit.generation.base import Generation, Sampling
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.training.base import Example
from client_kit.training.dataset import Taught, mix
from client_kit.training.sft import SFTFineTuner
from client_kit.training.sft_settings import Lora, SFTSettings
from client_kit.wire import FederationCreate, ParameterPlan, Prompt, PseudoLabel, RoundState

_WAIT_SECONDS = 600.0
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
        tuner = SFTFineTuner(self.training(member))
        member.model = tuner.train(
            member.model, examples, steps=steps, seed=member.seed + len(member.stages), output=output
        ).model

    def training(self, member: Member) -> SFTSettings:
        """How members of this method train."""
        rates = self.setting.learning_rates.model_dump()
        rank = member.rank or self.setting.rank
        return SFTSettings(
            learning_rate=rates[self.arm.training],
            batch_size=self.setting.batch_size,
            max_length=self.setting.max_length,
            lora=Lora(rank=rank, alpha=2 * rank) if self.arm.training == "lora" else None,
            frozen=self.arm.frozen,
            device="cpu",
            threads=1,
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


def run_cell(cell: Cell, setting: Setting, task: Task, work: Path, server: tuple[str, str]) -> CellResult:
    """Run one method with one seed. server: URL and operator's token. `work` is emptied first, and removed after.

    Raises ConsensusError.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began, cpu = time.monotonic(), time.process_time()
    run = Run(cell, setting, task, work)
    with measured_energy() as energy, ExitStack() as stack:
        for member in run.members:
            run.judge(member, "before")
        {"alone": _alone, "pooled": _pooled, "labels": _labels, "parameters": _parameters}[run.arm.kind](
            run, server, stack
        )
    shutil.rmtree(work)
    return CellResult(
        cell=cell,
        participants=[_outcome(member) for member in run.members],
        labels=run.labels,
        mixing=run.mixing,
        wall_seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu,
        energy_joules=energy.joules,
    )


def _outcome(member: Member) -> ParticipantOutcome:
    return ParticipantOutcome(
        participant=member.site.name,
        architecture=member.site.architecture,
        stages=member.stages,
        sent_bytes=member.sent,
        received_bytes=member.received,
        trainable=member.trainable,
    )


# Without a server


def _alone(run: Run, _: tuple[str, str], __: ExitStack) -> None:
    if run.arm.training != "full":
        from client_kit.comparison import exchange  # noqa: PLC0415 - reaches torch

        exchange.begin(run)
    for portion, (name, steps) in enumerate(run.portions()):
        run.enter(portion)
        for member in run.members:
            run.train(member, run.private(member, portion), steps, name)
            run.judge(member, name)
    for member in run.members:
        member.trainable = _numbers_in(member.model)


def _pooled(run: Run, _: tuple[str, str], __: ExitStack) -> None:
    """One model on everybody's data, for as many steps as all participants take together."""
    first = run.members[0]
    for portion, (name, steps) in enumerate(run.portions()):
        run.enter(portion)
        everything = [example for member in run.members for example in member.site.private]
        run.train(first, mix(everything, [], seed=first.seed + portion), steps * len(run.members), name)
        for member in run.members:
            member.model = first.model
            run.judge(member, name)
    for member in run.members:
        member.trainable = _numbers_in(first.model)


# Semantic consensus


def _labels(run: Run, server: tuple[str, str], stack: ExitStack) -> None:
    policy = run.setting.policy.model_copy(
        update={"rule": run.arm.exchange or run.setting.policy.rule, "abstain": run.arm.abstain}
    )
    operator = _federation(
        run, server, stack, FederationCreate(federation=run.cell.name, prompt_set="0" * 64, policy=policy)
    )
    prompts = run.task.prompts()
    taught: dict[str, list[Taught]] = {member.site.name: [] for member in run.members}
    for number, (name, steps) in enumerate(run.portions()):
        run.enter(number)
        for member in run.members:
            examples = mix(
                member.site.private,
                taught[member.site.name],
                seed=member.seed + number,
                ratio=run.setting.pseudo_ratio,
                by_confidence=True,
            )
            run.train(member, examples, steps, name)
            run.judge(member, name)
        if number < run.setting.rounds:
            labels = _label_round(run, operator, prompts, number + 1)
            taught = {member.site.name: labels for member in run.members}
    _count_traffic(run, operator)
    for member in run.members:
        member.trainable = _numbers_in(member.model)


def _label_round(run: Run, operator: ConsensusClient, prompts: Sequence[Prompt], number: int) -> list[Taught]:
    operator.create_round()
    for member in run.members:
        given = run.answer(member, prompts, run.setting.temperature)
        _client(member).submit_and_seal(number, {each.prompt_id: each.text for each in given if each.text.strip()})
    labels: list[PseudoLabel] = []
    for member in run.members:
        labels = _client(member).wait_for_labels(number, _WAIT_SECONDS)
    asked = {prompt.prompt_id: prompt.prompt for prompt in prompts}
    kept = [label for label in labels if label.text is not None]
    verdicts = [run.task.right(label.prompt_id, label.text or "", drifted=run.drifted) for label in kept]
    known = [verdict for verdict in verdicts if verdict is not None]
    right = sum(known) if len(known) == len(verdicts) else None
    run.labels.append(LabelRound(labels=len(kept), right=right, prompts=len(labels)))
    return [Taught(asked[label.prompt_id], label.text or "", label.confidence) for label in kept]


# Parameters


def _parameters(run: Run, server: tuple[str, str], stack: ExitStack) -> None:
    from client_kit.comparison import exchange  # noqa: PLC0415 - reaches torch

    exchange.begin(run)
    plan: ParameterPlan | None = None
    operator: ConsensusClient | None = None
    for number, (name, steps) in enumerate(run.portions()):
        run.enter(number)
        for member in run.members:
            run.train(member, run.private(member, number), steps, name)
            run.judge(member, name)
        if plan is None or operator is None:
            plan = exchange.plan(run)
            terms = FederationCreate(federation=run.cell.name, prompt_set="0" * 64, parameters=plan)
            operator = _federation(run, server, stack, terms)
        if number < run.setting.rounds:
            _parameter_round(run, operator, plan, number + 1)
    if operator is not None:
        _count_traffic(run, operator)


def _parameter_round(run: Run, operator: ConsensusClient, plan: ParameterPlan, number: int) -> None:
    from client_kit.comparison import exchange  # noqa: PLC0415 - reaches torch

    operator.create_round()
    for member in run.members:
        file = parameters.write_update(exchange.tensors(run, member), plan, examples=len(member.site.private))
        _client(member).put_parameters(number, file)
        _client(member).seal(number, {})
    coefficients = []
    for member in run.members:
        _client(member).wait_for(number, RoundState.PUBLISHED, _WAIT_SECONDS)
        download = parameters.read_file(_client(member).parameters(number))
        coefficients.append(exchange.take(run, member, download, number))
    if any(each is not None for each in coefficients):
        run.mixing.append([each or 0.0 for each in coefficients])


# The server


def _federation(run: Run, server: tuple[str, str], stack: ExitStack, terms: FederationCreate) -> ConsensusClient:
    """Make the federation with a token for each member; the operator's client, in that federation."""
    url, token = server
    operator = stack.enter_context(ConsensusClient(url, token, federation=terms.federation))
    folder = run.work / "prompts"
    write_prompt_set(
        folder, run.task.prompts(), name="comparison", version="1.0", description="Public prompts of a comparison.",
        licence="Apache-2.0", language="en",
    )  # fmt: skip
    prompts = load_prompt_set(str(folder))
    operator.upload_prompt_set(prompts.upload())
    operator.create_federation(
        terms.model_copy(update={"prompt_set": prompts.manifest.digest, "quorum": len(run.members)})
    )
    for member in run.members:
        added = operator.add_participant(member.site.name)
        member.client = stack.enter_context(ConsensusClient(url, added.token))
    return operator


def _client(member: Member) -> ConsensusClient:
    if member.client is None:
        raise RuntimeError(f"{member.site.name} has no federation yet")
    return member.client


def _count_traffic(run: Run, operator: ConsensusClient) -> None:
    for number in range(1, run.setting.rounds + 1):
        rows = {row.participant: row for row in operator.traffic(number)}
        for member in run.members:
            row = rows.get(member.site.name)
            member.sent.append(row.received_bytes if row else 0)
            member.received.append(row.sent_bytes if row else 0)


def _numbers_in(folder: Path) -> int:
    """Numbers in a model's or an adapter's file of weights."""
    from math import prod  # noqa: PLC0415 (kept beside the library that needs it)

    from safetensors import safe_open  # noqa: PLC0415 (of the extra `train`)

    file = next(path for name in ("adapter_model", "model") if (path := folder / f"{name}.safetensors").exists())
    with safe_open(file, framework="numpy") as weights:
        return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (no mapping)
