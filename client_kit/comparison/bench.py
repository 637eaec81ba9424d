"""One run of one method: participants in turn in this process, the server a real one."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from client_kit.client import ConsensusClient
from client_kit.comparison import exchange, labels
from client_kit.comparison.energy import measured_energy
from client_kit.comparison.members import Run
from client_kit.comparison.plan import Cell, Setting
from client_kit.comparison.results import CellResult
from client_kit.comparison.tasks import Task
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.training.dataset import mix
from client_kit.vocabulary import DecideBy, SecondHand
from client_kit.wire import FederationCreate

Server = tuple[str, str]
"""URL and operator's token."""

_NO_PROMPTS_YET = "0" * 64


def run_cell(cell: Cell, setting: Setting, task: Task, work: Path, server: Server) -> CellResult:
    """Run one method with one seed. `work` is emptied first, and removed after. Raises ConsensusError."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began, cpu = time.monotonic(), time.process_time()
    run = Run(cell, setting, task, work)
    with measured_energy() as energy:
        _KINDS[run.arm.kind](run, server)
    shutil.rmtree(work)
    return CellResult(
        cell=cell,
        participants=[member.outcome for member in run.members],
        labels=run.labels,
        mixing=run.mixing,
        wall_seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu,
        energy_joules=energy.joules,
    )


# Without a server


def _alone(run: Run, _: Server) -> None:
    _begin(run)
    for portion in range(len(run.portions)):
        _train_on_private_data(run, portion)


def _pooled(run: Run, _: Server) -> None:
    """One model on everybody's data, for as many steps as all participants take together."""
    _begin(run)
    first = run.members[0]
    for portion, steps in enumerate(run.portions):
        run.enter(portion)
        everything = [example for member in run.members for example in member.site.private]
        run.train(first, mix(everything, [], seed=first.seed + portion), steps * len(run.members))
        for member in run.members:
            member.model, member.trainable = first.model, first.trainable
            run.judge(member)


def _begin(run: Run) -> None:
    """Give every member what it trains, and judge that."""
    for member in run.members:
        run.judge(member)
    if run.arm.training != "full":
        exchange.begin(run)


def _train_on_private_data(run: Run, portion: int) -> None:
    run.enter(portion)
    for member in run.members:
        run.train(member, run.private(member, portion), run.portions[portion])
        run.judge(member)


# With one


def _labels(run: Run, server: Server) -> None:
    asked, arm = run.setting.policy, run.arm
    taught = {} if arm.witness else {"decide_by": DecideBy.SUPPORT, "second_hand": SecondHand.COUNT}
    policy = asked.model_copy(
        update={"rule": arm.exchange or asked.rule, "abstain": asked.abstain and arm.abstain, **taught}
    )
    terms = FederationCreate(
        federation=run.cell.name, prompt_set=_NO_PROMPTS_YET, policy=policy,
        samples_per_prompt=run.setting.samples_per_prompt,
    )  # fmt: skip
    with _federation(run, server, terms) as operator:
        labels.take_part(run, operator)


def _parameters(run: Run, server: Server) -> None:
    _begin(run)
    _train_on_private_data(run, 0)
    plan = exchange.plan(run)
    terms = FederationCreate(federation=run.cell.name, prompt_set=_NO_PROMPTS_YET, parameters=plan)
    with _federation(run, server, terms) as operator:
        for number in range(1, run.setting.rounds + 1):
            operator.create_round()
            exchange.take_round(run, plan, number)
            _after_download(run, number)


def _after_download(run: Run, number: int) -> None:
    """Train on from what came back; after the last round as the plan says, which may want it judged as it is."""
    last, judge = number == run.setting.rounds, run.setting.judge
    if last and judge == "both":
        for member in run.members:
            run.note_download(member)
    if not last or judge != "after_download":
        _train_on_private_data(run, number)
        return
    run.enter(number)
    for member in run.members:
        run.judge(member)


_KINDS: Final[Mapping[str, Callable[[Run, Server], None]]] = MappingProxyType(
    {"alone": _alone, "pooled": _pooled, "labels": _labels, "parameters": _parameters}
)


@contextmanager
def _federation(run: Run, server: Server, terms: FederationCreate) -> Iterator[ConsensusClient]:
    """The operator's client of a new federation in which each member has one too; in the end bytes are counted."""
    url, token = server
    with ExitStack() as stack:
        operator = stack.enter_context(ConsensusClient(url, token, federation=terms.federation))
        digest = _upload_prompts(run, operator)
        operator.create_federation(terms.model_copy(update={"prompt_set": digest, "quorum": len(run.members)}))
        for member in run.members:
            added = operator.add_participant(member.site.name)
            member.client = stack.enter_context(ConsensusClient(url, added.token))
        yield operator
        _count_traffic(run, operator)


def _upload_prompts(run: Run, operator: ConsensusClient) -> str:
    folder = run.work / "prompts"
    write_prompt_set(
        folder, run.task.prompts(), name="comparison", version="1.0", description="Public prompts of a comparison.",
        licence="Apache-2.0", language="en",
    )  # fmt: skip
    prompts = load_prompt_set(str(folder))
    operator.upload_prompt_set(prompts.upload())
    return prompts.manifest.digest


def _count_traffic(run: Run, operator: ConsensusClient) -> None:
    for number in range(1, run.setting.rounds + 1):
        rows = {row.participant: row for row in operator.traffic(number)}
        for member in run.members:
            row = rows.get(member.site.name)
            member.sent.append(row.received_bytes if row else 0)
            member.received.append(row.sent_bytes if row else 0)
