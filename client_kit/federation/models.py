"""The models of one site, as its journal has them: which one answers, which one the site uses, and what each was taught.

With a *witness*, two: the witness was trained on private data alone, and answers; the *student* was made from it, with private
data and pseudo-labels, and is what the site uses. Without one, a single model does both: taught a round's labels, its next
answers are second-hand. A journal begun with one model, as those of versions 0.1.0 and 0.2.0, goes on with one.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from client_kit.federation.journal import Journal, Record
from client_kit.federation.site import Site
from client_kit.generation.base import Sampling
from client_kit.wire import PseudoLabel

WITNESS, STUDENT = "witness", "student"
"""Roles in the journal's records of trainings; those of a site with one model have none."""


def sampling_digest(sampling: Sampling) -> str:
    """Of what an answer depends on beside model and prompt; the seed moves from round to round and is no part of it."""
    fields = {name: value for name, value in asdict(sampling).items() if name != "seed"}
    return sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


class Models:
    """What a site's journal says of its models."""

    def __init__(self, site: Site, journal: Journal, work: Path) -> None:
        self._site = site
        self._journal = journal
        self._work = work

    @property
    def has_witness(self) -> bool:
        """Whether the site wants a witness, and no training of its journal was one of a single model."""
        wanted = self._site.witness and self._site.trainer is not None
        return wanted and all("role" in record for record in self._journal.of("trained"))

    def used(self) -> Path | None:
        """The newest model that was kept; the base model before any. None for a site that trains nothing."""
        return self._newest(self._kept())

    def answering(self) -> Path | None:
        """The model that answers: the witness, where there is one."""
        return self._newest(self._witnesses()) if self.has_witness else self.used()

    def taught_through(self, number: int) -> int:
        """The newest round whose labels were taught to the model that answers round `number`; 0: none."""
        if self._site.trainer is None:
            return _newest_round(self._labelled(number)) if self._site.trained_on_exports else 0
        if self.has_witness:
            return 0
        return max((self._labels_of(record) for record in self._kept() if record["stage"] <= number), default=0)

    def stands_from(self, number: int) -> int | None:
        """The last round that the same witness answered and the site sealed: its answers stand for round `number` as well."""
        if not self.has_witness:
            return None
        since = max((record["stage"] for record in self._witnesses()), default=0)
        sealed = (record["round"] for record in self._journal.of("sealed") if "carried_from" not in record)
        return max((each for each in sealed if since <= each < number and self._sampled_alike(each)), default=None)

    def _sampled_alike(self, number: int) -> bool:
        """Whether the answers of a round were sampled as the site wants them sampled now."""
        answered = self._journal.last("answered", round=number)
        now = sampling_digest(self._site.sampling)
        return answered is None or answered.get("sampling", now) == now

    def last(self, role: str) -> Record | None:
        """The last training of a role, kept or not."""
        return self._journal.last("trained", role=role)

    def kept_losses(self, role: str | None) -> list[float]:
        """Validation losses at the start and at the end of every training of a role that was kept."""
        judged = (record["validation"] for record in self._kept() if record.get("role") == role)
        return [float(loss) for losses in judged if losses for loss in (losses[0], losses[-1])]

    def last_labels(self) -> tuple[int, list[PseudoLabel]]:
        """The newest pseudo-labels and their round; round 0 where there are none yet."""
        labelled = self._journal.last("labelled")
        return (0, []) if labelled is None else (labelled["round"], self.labels(labelled["round"]))

    def labels(self, number: int) -> list[PseudoLabel]:
        """The pseudo-labels of a round that was fetched; round 0 has none."""
        if number == 0:
            return []
        path = round_folder(self._work, number) / "pseudo_labels.jsonl"
        return [PseudoLabel.model_validate_json(line) for line in path.read_bytes().splitlines()]

    def output(self, stage: int, role: str | None) -> Path:
        """Where the model of a training comes to lie."""
        return self._work / f"{role or 'training'}-{stage:03}"

    def run_folder(self, name: str) -> Path:
        """Where the checkpoint of a student's run lies."""
        return self._work / f".{STUDENT}-{name}"

    def remove_replaced(self) -> None:
        """Remove the models before the witness and the student that are in use."""
        in_use = {self.used(), self.answering()}
        for record in self._journal.of("trained"):
            folder = self.output(record["stage"], record.get("role"))
            if "role" in record and folder not in in_use:
                shutil.rmtree(folder, ignore_errors=True)

    def remove_runs(self, but: str | None) -> None:
        """Remove what is kept of students' runs, but for the one of this name."""
        for folder in self._work.glob(f".{STUDENT}-*"):
            if but is None or folder != self.run_folder(but):
                shutil.rmtree(folder, ignore_errors=True)

    def _kept(self) -> Iterator[Record]:
        return (record for record in self._journal.of("trained") if record.get("kept", True))

    def _witnesses(self) -> Iterator[Record]:
        return (record for record in self._kept() if record.get("role") == WITNESS)

    def _newest(self, kept: Iterable[Record]) -> Path | None:
        models = [self._work / record["model"] for record in kept]
        return models[-1] if models else self._site.base

    def _labels_of(self, record: Record) -> int:
        """The round whose labels a training saw; a journal of version 0.2.0 says which labels there were by then."""
        return record["labels"] if "labels" in record else _newest_round(self._labelled(record["stage"]))

    def _labelled(self, number: int) -> Iterator[Record]:
        """Rounds before `number` that gave labels."""
        return (record for record in self._journal.of("labelled") if record["round"] < number and record["labels"])


def round_folder(work: Path, number: int) -> Path:
    """Where what belongs to a round lies."""
    return work / f"round-{number:03}"


def _newest_round(records: Iterable[Record]) -> int:
    return max((record["round"] for record in records), default=0)
