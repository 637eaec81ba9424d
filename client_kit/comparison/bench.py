"""One run of one method: participants in turn in this process, the server a real one."""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from client_kit import parameters
from client_kit.client import ConsensusClient
from client_kit.comparison.energy import measured_energy
from client_kit.comparison.members import Member, Run
from client_kit.comparison.plan import Cell, Setting
from client_kit.comparison.results import CellResult, LabelRound, ParticipantOutcome
from client_kit.comparison.tasks import Task
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.training.dataset import Taught, mix
from client_kit.wire import FederationCreate, ParameterPlan, Prompt, PseudoLabel, RoundState

_WAIT_SECONDS = 600.0


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
    asked = run.setting.policy
    policy = asked.model_copy(
        update={"rule": run.arm.exchange or asked.rule, "abstain": asked.abstain and run.arm.abstain}
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
