"""Fine-tuning with record-level differential privacy (DP-SGD: Abadi et al., arXiv 1607.00133) through Opacus.

The unit is one private example: one row of the private data. What all trainings of a site together reveal about any one
of them is bounded by (epsilon, delta), whatever an observer of the model, or of its answers, does or knows besides.
Pseudo-labels are public: others have released them, so they are learned from without noise.
"""

import time
from collections.abc import Sequence
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit._quiet import without_progress_bars
from client_kit.errors import MissingExtra, TrainingError
from client_kit.settings import DpSettings
from client_kit.training.base import Example, TrainingReport
from client_kit.training.checkpoints import checkpoint_folder, job_digest
from client_kit.training.checks import prepare, usable
from client_kit.training.ledger import FILE_NAME, Ledger, Spending
from client_kit.training.measuring import Tokens, encode_all, pad_id, validation_loss
from client_kit.training.models import load_model, load_tokenizer, new_adapter, on_gpus, save, trainable
from client_kit.training.running import threads

if TYPE_CHECKING:
    from client_kit.training.noisy import NoisySteps

_STATE_FILE = "state.pt"


class DPFineTuner:
    """Trains with AdamW on clipped, noisy gradients. An example's loss is its mean over tokens, times its weight.

    Private examples are those not marked `public`. Each step draws every one of them with the same probability, so that
    the accountant's bound for Poisson subsampling holds; public ones come along in the proportion in which they are given.
    The ledger `privacy.json` beside `output` counts the trainings of all rounds together: keep it, and keep it secret.

    The same inputs and ledger give the same weights. Noise comes from torch's generator, seeded by the ledger's secret:
    no cryptographic generator, as is usual; Opacus's protection against attacks on floating-point noise is on.
    """

    def __init__(self, settings: DpSettings, *, threads: int | None = None) -> None:
        """threads: of the CPU; None leaves torch's choice. Arithmetic is in float32: coarser norms would bound nothing."""
        self.settings = settings
        self.threads = threads

    def train(
        self,
        model: Path,
        examples: Sequence[Example],
        *,
        steps: int,
        seed: int,
        output: Path,
        validation: Sequence[Example] = (),
    ) -> TrainingReport:
        """Train for `steps` and write model, or adapter, and tokenizer to `output`; the report says what was spent.

        Losses and validation losses of the report come from private data without noise: they are for this site only.
        Raises TrainingError where the budget is used up, or the model gives no per-example gradients.
        """
        used = usable(examples)
        private = tuple(example for example in used if not example.public)
        self._check(private)
        folder = prepare(model, self.settings, steps, output)
        _require_opacus()
        started = time.monotonic()
        ledger = Ledger(output.parent / FILE_NAME)
        spending = self._spending(ledger, len(private), steps)
        job = job_digest(folder, used, settings=self.settings.model_dump(mode="json"), steps=steps, seed=seed)
        spent = ledger.enter(job, spending, self.settings)
        with without_progress_bars(datasets=True), threads(self.threads), checkpoint_folder(output, job) as at:
            run = _Run(self.settings, folder, used, spending, (seed, ledger.noise_seed(job)))
            losses, judged = run.train(steps, at, validation)
            numbers = trainable(run.model)
            save(run.model, run.tokenizer, output)
        seconds = time.monotonic() - started
        return TrainingReport(
            output, steps, len(used), seconds, losses, validation=judged, privacy=spent, trainable=numbers
        )

    def _check(self, private: Sequence[Example]) -> None:
        if not private:
            raise TrainingError("there are no private examples; without them take trainer sft, which needs no noise")
        if any(role == "assistant" for example in private for role, _ in example.turns):
            raise TrainingError(
                "a private conversation has several answers, each an example of its own, and the privacy that is counted is that "
                "of one example: give rows with one answer each, or take trainer sft, which adds no noise"
            )
        if self.settings.delta >= 1 / len(private):
            raise TrainingError(
                f"delta is {self.settings.delta:g} with {len(private)} private examples: a mechanism may then publish one of "
                f"them and keep to it; take a delta well below {1 / len(private):.2g}"
            )

    def _spending(self, ledger: Ledger, private: int, steps: int) -> Spending:
        rate = min(1.0, self.settings.expected_batch / private)
        return Spending(ledger.noise_multiplier(self.settings, rate), rate, steps)


class _Run:
    """One training from its first step to its last."""

    def __init__(
        self,
        settings: DpSettings,
        folder: Path,
        examples: Sequence[Example],
        spending: Spending,
        seeds: tuple[int, int],
    ) -> None:
        """Load what is trained. seeds: of what anybody may know, and of noise and draw, which nobody else may."""
        import torch  # noqa: PLC0415 - here and below: heavy
        from transformers import set_seed  # noqa: PLC0415

        seed, noise_seed = seeds
        set_seed(seed)  # before the model: a new adapter is drawn at random
        self._settings, self._spending = settings, spending
        self.tokenizer = load_tokenizer(folder)
        self.model = _trainable(folder, settings)
        tokens = encode_all(self.tokenizer, examples, settings.max_length)
        sided = list(zip(tokens, examples, strict=True))
        self._private = [(one, example.weight) for one, example in sided if not example.public]
        self._public = [(one, example.weight) for one, example in sided if example.public]
        device = next(self.model.parameters()).device
        self._generators = {
            "noise": torch.Generator(device).manual_seed(noise_seed),
            "draw": torch.Generator().manual_seed(noise_seed ^ 1),
            "public": torch.Generator().manual_seed(seed),
        }

    def train(
        self, steps: int, checkpoints: Path, validation: Sequence[Example]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Losses, and validation losses before and after."""
        import torch  # noqa: PLC0415
        from transformers import get_scheduler  # noqa: PLC0415

        before = self._validation(validation)
        noisy = self._noisy()
        name = "constant_with_warmup" if self._settings.schedule == "constant" else self._settings.schedule
        schedule = get_scheduler(name, noisy.optimizer, self._settings.warmup_steps, steps)
        losses = self._resume(noisy, schedule, checkpoints)
        try:
            for done in range(len(losses), steps):
                losses.append(noisy.step(*self._drawn()))
                schedule.step()
                self._keep(noisy, schedule, losses, done + 1, checkpoints)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                "the device has too little memory; lower batch_size, which changes no result"
            ) from error
        if not all(isfinite(loss) or isnan(loss) for loss in losses):
            raise TrainingError("training diverged; lower the learning rate")
        every = max(1, steps // 20)
        shown = tuple(loss for loss in losses[every - 1 :: every] if isfinite(loss))
        return shown, (*before, *self._validation(validation))

    def _noisy(self) -> "NoisySteps":
        import warnings  # noqa: PLC0415

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from client_kit.training.noisy import NoisySteps  # noqa: PLC0415

        wanted = self._settings
        return NoisySteps(
            self.model, learning_rate=wanted.learning_rate, weight_decay=wanted.weight_decay, clip=wanted.clip,
            noise_multiplier=self._spending.noise_multiplier, expected=self._spending.sample_rate * len(self._private),
            pad=pad_id(self.tokenizer), generator=self._generators["noise"], batch_size=wanted.batch_size,
        )  # fmt: skip

    def _drawn(self) -> tuple[list[Tokens], list[float], list[tuple[Tokens, float]]]:
        """Private examples by Poisson sampling, their weights, and public ones in their proportion."""
        import torch  # noqa: PLC0415

        coins = torch.rand(len(self._private), generator=self._generators["draw"])
        drawn = [self._private[i] for i in (coins < self._spending.sample_rate).nonzero().flatten().tolist()]
        count = round(self._spending.sample_rate * len(self._public))
        order = torch.randperm(len(self._public), generator=self._generators["public"])[:count].tolist()
        return [one for one, _ in drawn], [weight for _, weight in drawn], [self._public[i] for i in order]

    def _validation(self, validation: Sequence[Example]) -> tuple[float, ...]:
        if not validation:
            return ()
        wanted = self._settings
        return (validation_loss(self.model, self.tokenizer, validation, wanted.max_length, wanted.batch_size),)

    def _keep(self, noisy: "NoisySteps", schedule: Any, losses: list[float], done: int, folder: Path) -> None:  # noqa: ANN401
        """A checkpoint, whole or not at all, where one is due."""
        import torch  # noqa: PLC0415

        if self._settings.checkpoint_steps is None or done % self._settings.checkpoint_steps:
            return
        state = {
            "losses": losses,
            "parameters": [parameter.detach() for parameter in noisy.parameters],
            "optimizer": noisy.optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "generators": {name: generator.get_state() for name, generator in self._generators.items()},
            "dropout": torch.get_rng_state(),
        }
        torch.save(state, folder / f"{_STATE_FILE}.new")
        (folder / f"{_STATE_FILE}.new").replace(folder / _STATE_FILE)

    def _resume(self, noisy: "NoisySteps", schedule: Any, folder: Path) -> list[float]:  # noqa: ANN401
        """Go back to the last checkpoint; the losses so far, one for each step done."""
        import torch  # noqa: PLC0415

        if not (folder / _STATE_FILE).is_file():
            return []
        state = torch.load(folder / _STATE_FILE, weights_only=True, map_location="cpu")
        with torch.no_grad():
            for parameter, held in zip(noisy.parameters, state["parameters"], strict=True):
                parameter.copy_(held)
        noisy.optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        for name, generator in self._generators.items():
            generator.set_state(state["generators"][name])
        torch.set_rng_state(state["dropout"])
        return list(state["losses"])


def _trainable(folder: Path, settings: DpSettings) -> Any:  # noqa: ANN401 - of transformers or peft
    """The model on its device, with a new adapter where one is wanted."""
    from peft import get_peft_model  # noqa: PLC0415

    model, adapter = load_model(folder), new_adapter(settings, folder)
    device = "cuda" if on_gpus(settings) else "cpu"
    return (model if adapter is None else get_peft_model(model, adapter)).to(device)


def _require_opacus() -> None:
    try:
        import opacus  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra("training with record-level privacy", "dp") from error
