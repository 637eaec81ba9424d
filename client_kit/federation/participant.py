"""One site's loop: train, answer, submit, seal, wait, fetch pseudo-labels, and train again.

With a witness, which is taught no label, so that its answers stay first-hand:

    training 1: the witness (private data)            -> answers of round 1 -> pseudo-labels 1
    training 2: the student (private data + labels 1)    a seal in round 2  -> pseudo-labels 2
    ...                                                  "the answers of round 1 stand"
    training N+1: the student (private data + labels N)  what the site keeps

The student is made from the witness. Where its labels stand it goes on in one run over all rounds, and where they changed it is
made anew with all steps so far. With one model, every training goes on from the last, and its model answers:

    training 1 (private data)                       -> answers of round 1 -> pseudo-labels 1
    training 2 (private data + pseudo-labels 1)     -> answers of round 2, second-hand -> pseudo-labels 2
    ...
    training N+1 (private data + pseudo-labels N)      what the site keeps

The loop knows neither transport nor model: it is given a client, a way to open a generator, and a trainer. Every step is
journalled before the next begins, so that a participant killed anywhere goes on where it was: what was generated is
never generated again, and what is sent again is the same.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from client_kit import egress, tracing
from client_kit.client import ConsensusClient
from client_kit.errors import (
    ConfigurationError,
    ContextTooLong,
    Forbidden,
    GenerationError,
    NotApproved,
    PromptRefused,
    RoundFailed,
    RoundNotOpen,
    SealMismatch,
    SubmissionSealed,
    UnknownRound,
)
from client_kit.exports import write_whole
from client_kit.federation import outgoing
from client_kit.federation.agreed import check_terms, terms_of
from client_kit.federation.approval import Ask, approved, preview
from client_kit.federation.collapse import label_figures, watch
from client_kit.federation.journal import Journal, Record
from client_kit.federation.learning import Learning, stood_apart
from client_kit.federation.models import round_folder, sampling_digest
from client_kit.federation.progress import Observer, Progress, Step, ignore
from client_kit.federation.site import Site
from client_kit.generation.base import Generation, Generator
from client_kit.generation.cleaning import Cleaned, clean_all
from client_kit.generation.losses import Lost, reason_of
from client_kit.generation.spending import Tokens
from client_kit.vocabulary import abstained
from client_kit.wire import Answer, FinishReason, Prompt, PseudoLabel, Round, RoundState


class Participant:
    """One participant of one federation, from its first round to the training after its last."""

    def __init__(
        self,
        client: ConsensusClient,
        site: Site,
        journal: Journal,
        *,
        work: Path,
        rounds: int,
        patience_seconds: float | None = None,
        observe: Observer = ignore,
        ask: Ask | None = None,
    ) -> None:
        """Nothing is sent and nothing computed before `run`.

        work: folder for checkpoints and pseudo-labels. patience_seconds: longest wait for a round to open or to be
        published; None waits for ever. ask: asks a person at once what would else wait for `consensus approve`.
        """
        self._client = client
        self._site = site
        self._journal = journal
        self._work = work
        self._rounds = rounds
        self._patience_seconds = patience_seconds
        self._observe = observe
        self._ask = ask
        self._learning = Learning(site, journal, work, rounds, self._tell, self._computing)
        self._models = self._learning.models

    def run(self) -> Path | None:
        """Take part in all rounds. Returns the model that the site keeps; None for a site that trains nothing.

        Raises ConsensusError. Whatever ended a run, the next one on the same journal goes on where it was.
        """
        self._begin()
        self._learn_until(self._rounds + 1)
        self._tell(Step.FINISHED, self._rounds + 1)
        return self._models.used()

    def contribute(self, number: int) -> None:
        """Take part up to the answers of round `number`, and wait for none of its labels: `run` on the same journal does.

        For participants that take turns in one process: one that waited for the others there would wait for ever. Raises
        ConsensusError.
        """
        self._begin()
        self._learn_until(number)
        self._hand_in(number)

    def answer(self) -> tuple[int, Cleaned]:
        """Train and answer for the next round, and send nothing: `run` on the same journal submits these answers.

        Returns the round, what would be submitted, and how many answers the federation's policy drops for which reason.
        Raises ConsensusError; ConfigurationError where that round is submitted, or no round is left.
        """
        self._begin()
        number = self._next_round()
        self._train(number)
        if self._answered_in(number) == number:
            self._answer(number)
        return number, self._cleaned(number)

    def _next_round(self) -> int:
        over = {record["round"] for kind in ("labelled", "missed") for record in self._journal.of(kind)}
        number = next((each for each in range(1, self._rounds + 1) if each not in over), None)
        if number is None:
            raise ConfigurationError(f"all {self._rounds} rounds are done; raise rounds for more")
        if self._journal.last("sealed", round=number) is not None:
            raise ConfigurationError(f"round {number} is submitted already; consensus join waits for its labels")
        return number

    def _begin(self) -> None:
        self._federation = self._client.federation()
        self._prompts = self._client.prompts()
        check_terms(self._work, self._site.approved, terms_of(self._federation, self._prompts))
        self._check()
        self._name = self._client.identity().participant or ""
        self._tell(Step.STARTED, detail=self._federation.federation)
        self._evaluate(0)

    def _check(self) -> None:
        self._learning.check()
        allowed = self._federation.samples_per_prompt
        if self._site.sampling.samples > allowed:
            raise ConfigurationError(
                f"sampling.samples is {self._site.sampling.samples}, the federation admits {allowed} per prompt; lower it"
            )
        if self._federation.requires_training_rights and not self._site.training_rights:
            raise ConfigurationError(
                f"{self._federation.federation} takes only answers that others may train on; read the model's licence and "
                "its provider's terms, and where they allow it, set training_rights: true"
            )

    # Training

    def _learn_until(self, stage: int) -> None:
        """Trainings 1 to `stage`, with the rounds between them."""
        for number in range(1, stage):
            self._train(number)
            self._take_part(number)
        self._train(stage)

    def _train(self, stage: int) -> None:
        with self._traced("train", stage):
            self._learning.train(stage, self._prompts)
            self._evaluate(stage)

    def _evaluate(self, stage: int) -> None:
        """Once after training `stage`, unless the model has been trained further since: it cannot speak for that stage."""
        if self._site.evaluate is None or self._journal.last("evaluated", stage=stage) is not None:
            return
        if (trained := self._journal.last("trained")) is not None and trained["stage"] > stage:
            return
        with self._computing(stage), closing(self._site.open_generator(self._models.used())) as generator:
            result = dict(self._site.evaluate(stage, generator))
        self._journal.append("evaluated", stage=stage, result=result)
        self._tell(Step.EVALUATED, stage, detail=", ".join(f"{name} {value}" for name, value in result.items()))

    # One round

    def _take_part(self, number: int) -> None:
        """Answer, submit and fetch. A round that goes on without this participant, or fails, is no error."""
        if self._journal.last("labelled", round=number) or self._journal.last("missed", round=number):
            return
        self._hand_in(number)
        try:
            with self._traced("wait for labels", number):
                self._fetch(number)
        except (RoundFailed, Forbidden) as error:
            self._journal.append("missed", round=number, reason=error.detail)
            self._tell(Step.MISSED, number, detail=f"pseudo-labels: {error.detail}")

    def _hand_in(self, number: int) -> None:
        """Answer and submit, once. Where others have gone on without this participant, that is told."""
        try:
            if self._journal.last("sealed", round=number) is None:
                self._give(number)
        except (RoundNotOpen, RoundFailed, SubmissionSealed) as error:
            # Others may have gone on without this participant, or what it sealed before its journal was lost counts:
            # the pseudo-labels are of use all the same.
            self._tell(Step.MISSED, number, detail=f"submission: {error.detail}")
        except NotApproved as error:
            self._tell(Step.MISSED, number, detail=f"submission: {error}")

    def _give(self, number: int) -> None:
        """Answer, submit and seal; or seal alone, where the answers of an earlier round stand."""
        source = self._answered_in(number)
        if source == number:
            with self._traced("answer", number), egress.of_round(number):
                self._answer(number)
        self._watch(number)
        self._tell(Step.WAITING, number, detail="for the round to be opened")
        self._client.wait_for(
            number, RoundState.OPEN, self._patience_seconds, self._waiting(number, "the round to be opened")
        )
        with self._traced("submit", number):
            if source == number:
                self._submit(number)
            else:
                self._carry(number, source)

    def _answered_in(self, number: int) -> int:
        """The round in which the answers to round `number` were, or are to be, generated: an earlier one where they stand."""
        sealed = self._journal.last("sealed", round=number)
        if sealed is not None:
            return int(sealed.get("carried_from", number))
        if self._journal.last("answer", round=number) is not None:
            return number
        return self._models.stands_from(number) or number

    def _answer(self, number: int) -> None:
        """Generate what is missing, and journal each generation as it comes.

        A prompt that this model cannot be asked is left out, and told; whatever else fails ends the run.
        """
        if not self._unanswered(number):
            return
        self._refuse_if_over(number)
        with self._computing(number), closing(self._site.open_generator(self._models.answering())) as generator:
            began = time.monotonic()  # neither the wait for a slot nor the loading of the model
            while left := self._unanswered(number):
                try:
                    self._generate(number, generator, left)
                except (ContextTooLong, PromptRefused) as error:
                    left_out = {"prompt_id": error.prompt_id, "reason": error.message, "situation": reason_of(error)}
                    self._journal.append("left_out", round=number, **left_out)
                    self._tell(Step.LEFT_OUT, number, detail=str(error))
                except GenerationError as error:
                    error.participant = self._name
                    raise
        self._journal.append(
            "answered", round=number, seconds=time.monotonic() - began, sampling=sampling_digest(self._site.sampling)
        )

    def _unanswered(self, number: int) -> list[Prompt]:
        """Prompts with answers missing, but for those that the model cannot be asked."""
        held = self._held(number)
        left_out = {record["prompt_id"] for record in self._journal.of("left_out", round=number)}
        samples = range(self._site.sampling.samples)
        return [
            prompt
            for prompt in self._prompts
            if prompt.prompt_id not in left_out and any((prompt.prompt_id, sample) not in held for sample in samples)
        ]

    def _held(self, number: int) -> set[tuple[str, int]]:
        return {(record["prompt_id"], record["sample"]) for record in self._journal.of("answer", round=number)}

    def _generate(self, number: int, generator: Generator, left: Sequence[Prompt]) -> None:
        held, total = self._held(number), len(self._prompts) * self._site.sampling.samples
        sampling = replace(self._site.sampling, seed=self._site.seed + number)
        for generation in generator.generate(left, sampling):
            key = (generation.prompt_id, generation.sample)
            if key not in held:
                held.add(key)
                self._journal.note("answer", round=number, **_as_fields(generation))
                self._tell(Step.ANSWERING, number, done=len(held), total=total)

    def _refuse_if_over(self, number: int) -> None:
        """Spare the work of answers that nobody takes any more. Raises RoundNotOpen."""
        try:
            state = self._client.round(number).state
        except UnknownRound:
            return
        over = state not in {RoundState.DRAFT, RoundState.OPEN}
        if over and not (self._federation.late == "carry" and self._client.current_round().number == number):
            raise RoundNotOpen(f"round {number} is {state.value}; it ended without this participant")

    def _watch(self, number: int) -> None:
        """Tell where the answers have lost variety. Raises ModelCollapsed."""
        now, before = (_first_samples(self._cleaned(each).answers) for each in (number, number - 1))
        for alarm in watch(self._site.collapse, self._journal, number, now, before):
            self._tell(Step.ALARM, number, detail=alarm)

    def _carry(self, number: int, source: int) -> None:
        """Seal with the answers of round `source`, which the server has; where it has others, send them once more.

        (It has others where what is sent of the same generations is no longer the same: a newer kit cleans them in another way.)
        """
        cleaned = self._cleaned(source)
        self._before_it_leaves(number, cleaned, source)
        answers, rights, privacy = cleaned.answers, self._site.training_rights, self._learning.privacy()
        try:
            receipt = self._client.carry(number, source, answers, training_rights=rights, privacy=privacy)
        except SealMismatch:
            receipt = self._client.submit_and_seal(
                number, answers, replace=True, training_rights=rights, privacy=privacy,
                taught_through=self._models.taught_through(number),
            )  # fmt: skip
        self._journal.append("sealed", round=number, count=receipt.count, digest=receipt.digest, carried_from=source)
        self._tell(
            Step.CARRIED, number, done=receipt.count, total=receipt.count, detail=f"the answers of round {source} stand"
        )

    def _submit(self, number: int) -> None:
        """Send the cleaned answers and seal them. Repeated after a crash, it sends what the server does not hold."""
        cleaned = self._cleaned(number)
        self._before_it_leaves(number, cleaned)
        # The journal is what this participant said; what an earlier, lost journal sent gives way to it.
        receipt = self._client.submit_and_seal(
            number, cleaned.answers, replace=True, training_rights=self._site.training_rights,
            privacy=self._learning.privacy(), taught_through=self._models.taught_through(number),
        )  # fmt: skip
        self._journal.append("sealed", round=number, count=receipt.count, digest=receipt.digest, dropped=cleaned.counts)
        self._tell(
            Step.SUBMITTED,
            number,
            done=receipt.count,
            total=receipt.count + sum(cleaned.counts.values()),
            detail=self._taken(number),
            lost=cleaned.lost,
        )

    def _before_it_leaves(self, number: int, cleaned: Cleaned, carried_from: int | None = None) -> None:
        """Keep what is about to be sent, record what was found in it, and wait for a person where one is to approve it."""
        outgoing.keep(self._work, number, cleaned.answers)
        record, screen = egress.current(), self._site.screen
        if record is not None and screen is not None:
            record.append("screened", round=number, action=screen.action, found=dict(cleaned.personal))
        doubtful = screen is not None and screen.action == "ask" and cleaned.personal
        if self._site.approve or doubtful:
            self._await_approval(number, cleaned, carried_from)

    def _await_approval(self, number: int, cleaned: Cleaned, carried_from: int | None) -> None:
        """Raises NotApproved. Nothing that the server says is looked at but the deadline, which is shown."""
        deadline = self._client.round(number).deadline
        asked = preview(
            self._federation.federation, self._site.server, number, cleaned.answers, self._prompts, deadline=deadline,
            dropped=cleaned.counts, personal=cleaned.personal, carried_from=carried_from,
        )  # fmt: skip
        until = "" if deadline is None else f", until {deadline:%Y-%m-%d %H:%M} UTC"
        detail = f"for consensus approve {number}: {asked.answers} answers, digest {asked.digest[:12]}{until}"
        approved(
            self._work,
            asked,
            self._ask,
            lambda: self._tell(Step.WAITING, number, detail=detail),
            self._patience_seconds,
        )

    def _taken(self, number: int) -> str:
        """Tokens that the round's answers took, and money where they have a price."""
        answers = list(self._journal.of("answer", round=number))
        read, written = (sum(a[name] or 0 for a in answers) for name in ("prompt_tokens", "completion_tokens"))
        return Tokens(read, written).describe(self._site.spending) if read + written else ""

    def _cleaned(self, number: int) -> Cleaned:
        """The answers to submit, and those that the federation's policy drops."""
        source, left_out = self._answered_in(number), dict[str, list[str]]()
        for record in self._journal.of("left_out", round=source):
            left_out.setdefault(record.get("situation", "refused"), []).append(record["prompt_id"])
        generations = map(_as_generation, self._journal.of("answer", round=source))
        longest = self._federation.max_answer_chars
        cleaned = clean_all(generations, self._federation.answers, longest)
        screened = cleaned if self._site.screen is None else self._site.screen(cleaned, longest)
        return replace(screened, left_out=left_out)

    def _fetch(self, number: int) -> None:
        """Wait for the pseudo-labels, keep them in the work folder, and export them where somebody else trains."""
        began = time.monotonic()
        labels = self._client.wait_for_labels(number, self._patience_seconds, self._waiting(number, "pseudo-labels"))
        waited = time.monotonic() - began
        folder = round_folder(self._work, number)
        write_whole(folder / "pseudo_labels.jsonl", "".join(label.model_dump_json() + "\n" for label in labels))
        if self._site.export is not None:
            self._site.export(labels, self._prompts, folder)
        if self._site.preferences:
            self._note_what_stood_apart(number, labels)
        count = sum(label.text is not None for label in labels)
        figures = label_figures(labels, self._site.known_answers)
        self._journal.append("labelled", round=number, labels=count, waited_seconds=waited, **figures)
        self._tell(Step.LABELLED, number, done=count, total=len(labels), seconds=waited, detail=_abstained(labels))

    def _note_what_stood_apart(self, number: int, labels: Sequence[PseudoLabel]) -> None:
        """Journal the own answers that mean something else than the pseudo-label: a trainer of preferences wants them."""
        if self._journal.last("sealed", round=number) is None:
            return
        own = {(answer.prompt_id, answer.sample): answer for answer in self._cleaned(number).answers}
        noted = {record["prompt_id"] for record in self._journal.of("outside", round=number)}
        for label in labels:
            if label.prompt_id not in noted and (text := stood_apart(self._client, number, label, own)) is not None:
                self._journal.append("outside", round=number, prompt_id=label.prompt_id, text=text)

    # What steps share

    def _waiting(self, number: int, what: str) -> Callable[[Round], None]:
        """An observer that tells for what and for whom a round is waited, whenever that changes."""
        told = ""

        def observe(found: Round) -> None:
            nonlocal told
            if (detail := f"for {what}; {_stands(found)}") != told:
                told = detail
                self._tell(Step.WAITING, number, detail=detail)

        return observe

    def _traced(self, step: str, number: int) -> AbstractContextManager[object]:
        """Draws a step as a part of the round; what is trained after the last round belongs to the one that comes no more."""
        name = self._federation.federation
        trace = tracing.RoundTrace.of(name, self._federation.created_at, number)
        return tracing.span(step, tracing.about_round(name, number, self._name), under=trace)

    def _computing(self, stage: int) -> AbstractContextManager[object]:
        return self._site.compute(lambda: self._tell(Step.QUEUED, stage))

    def _tell(
        self,
        step: Step,
        stage: int = 0,
        *,
        done: int = 0,
        total: int = 0,
        detail: str = "",
        seconds: float = 0.0,
        lost: Lost | None = None,
    ) -> None:
        self._observe(Progress(self._name, step, stage, done, total, detail, round(seconds, 3), lost or {}))


def _abstained(labels: Sequence[PseudoLabel]) -> str:
    return abstained(Counter(str(label.abstention) for label in labels if label.abstention is not None))


def _stands(found: Round) -> str:
    """How far a round is, for whoever waits for it."""
    if found.progress is not None:
        return found.progress.in_words()
    if found.state is RoundState.OPEN:
        return f"{found.active - found.sealed} of {found.active} have not sealed yet"
    return "it is a draft" if found.state is RoundState.DRAFT else f"it is {found.state.value}"


def _first_samples(answers: Sequence[Answer]) -> dict[str, str]:
    """One answer by prompt: that of the lowest sample."""
    return {answer.prompt_id: answer.text for answer in sorted(answers, key=lambda answer: -answer.sample)}


def _as_fields(generation: Generation) -> dict[str, Any]:
    return {
        "prompt_id": generation.prompt_id,
        "sample": generation.sample,
        "text": generation.text,
        "finish_reason": generation.finish_reason.value,
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
    }


def _as_generation(record: Record) -> Generation:
    fields = {name: value for name, value in record.items() if name not in {"kind", "round"}}
    return Generation(**{**fields, "finish_reason": FinishReason(fields["finish_reason"])})
