"""Semantic consensus in a comparison: the product's own participants, taking turns in one process.

Each turn takes a participant up from its journal, as a restart does, and ends before it would wait for the others. So
private data may be another at each turn, nothing runs side by side, and processor seconds are those of the process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from client_kit.client import ConsensusClient
from client_kit.comparison.members import WAIT_SECONDS, Member, Run
from client_kit.comparison.results import LabelRound
from client_kit.federation.journal import Journal
from client_kit.federation.participant import Participant
from client_kit.federation.site import Site
from client_kit.generation.base import Sampling
from client_kit.settings import MixingSettings
from client_kit.training.base import Example, TrainingReport, TrainingRun
from client_kit.wire import PseudoLabel


def take_part(run: Run, operator: ConsensusClient) -> None:
    """All rounds of every member, and the training after the last."""
    rounds = run.setting.rounds
    for number in range(1, rounds + 1):
        run.enter(number - 1)
        operator.create_round()
        for member in run.members:
            with _participant(run, member) as participant:
                participant.contribute(number)
        _note_labels(run, operator.wait_for_labels(number, WAIT_SECONDS))
    run.enter(rounds)
    for member in run.members:
        with _participant(run, member) as participant:
            participant.run()


@contextmanager
def _participant(run: Run, member: Member) -> Iterator[Participant]:
    folder = run.folder(member)
    owner = {"federation": run.cell.name, "participant": member.site.name}
    with Journal(folder / "journal.jsonl", owner) as journal:
        yield Participant(
            member.client, _site(run, member), journal, work=folder, rounds=run.setting.rounds,
            patience_seconds=WAIT_SECONDS,
        )  # fmt: skip


def _site(run: Run, member: Member) -> Site:
    return Site(
        open_generator=lambda model: run.generator(model or member.base),
        sampling=Sampling(
            samples=run.setting.samples_per_prompt,
            temperature=run.setting.temperature,
            max_tokens=run.task.max_answer_tokens,
        ),
        witness=run.arm.witness,
        base=member.base,
        trainer=_Trainer(run, member),
        private=member.site.private,
        validation=member.site.held_out if run.setting.finish_witness else (),
        finish_witness=run.setting.finish_witness and run.arm.witness,
        mixing=MixingSettings(ratio=run.setting.pseudo_ratio),
        steps=lambda stage: run.portions[stage - 1],
        # A participant counts its trainings from 1 where a run counts portions from 0: private data is in the order that
        # it has under every other method.
        seed=member.seed - 1,
        evaluate=lambda _, generator: run.note_quality(member, generator),
    )


@dataclass(frozen=True, slots=True)
class _Trainer:
    """Trains a member as every other method does."""

    run: Run
    member: Member

    def train(
        self,
        model: Path,
        examples: Sequence[Example],
        *,
        steps: int,
        seed: int,
        output: Path,
        validation: Sequence[Example] = (),
        run: TrainingRun | None = None,
    ) -> TrainingReport:
        """From the model that the participant names, which with a witness is not always its last one."""
        # A run judges its models before it counts portions, so that its seeds are one ahead.
        return self.run.train(
            self.member, examples, steps, model=model, seed=seed + 1, output=output, portions=run, validation=validation
        )


def _note_labels(run: Run, labels: Sequence[PseudoLabel]) -> None:
    """Count the labels of a round, and those that are right where the task knows."""
    judged = [
        run.task.right(label.prompt_id, label.text, drifted=run.drifted) for label in labels if label.text is not None
    ]
    right = None if None in judged else sum(map(bool, judged))
    run.labels.append(LabelRound(labels=len(judged), right=right, prompts=len(labels)))
