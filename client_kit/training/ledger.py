"""What a site's trainings have cost in privacy so far, on disk, over all rounds.

One JSON file beside the trainings' outputs. Every training is entered before its first step, so that a model never
exists without its entry; the same training repeated after a crash draws the same noise, comes to the same model, and is
entered once. The file also holds the secret key that the noise is drawn from: whoever knows it can take the noise off.
"""

import json
import secrets
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from client_kit.errors import MissingExtra, TrainingError
from client_kit.exports import write_whole
from client_kit.settings import PrivacyBudget
from client_kit.training.base import PrivacySpent

FILE_NAME = "privacy.json"


@dataclass(frozen=True, slots=True)
class Spending:
    """Steps of the subsampled Gaussian mechanism that one training takes."""

    noise_multiplier: float
    sample_rate: float
    steps: int


class Ledger:
    """The spendings of one site. Made anew where there is no file yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, Any] = _read(path) if path.exists() else {"key": secrets.token_hex(32)}
        self._held = {"noise_multipliers": {}, "spendings": {}, **self._held}

    def noise_multiplier(self, budget: PrivacyBudget, sample_rate: float) -> float:
        """Noise with which the planned steps together stay within the budget. Computed once for each budget and rate."""
        name = json.dumps([budget.model_dump(include=set(PrivacyBudget.model_fields)), sample_rate])
        if name not in self._held["noise_multipliers"]:
            self._held["noise_multipliers"][name] = noise_for(budget, sample_rate)
            self._write()
        return float(self._held["noise_multipliers"][name])

    def enter(self, job: str, spending: Spending, budget: PrivacyBudget) -> PrivacySpent:
        """Enter a training, known by the digest of its job, and say what all of them have cost with it.

        Raises TrainingError, and enters nothing, where the budget would be exceeded.
        """
        entered = {**self._held["spendings"], job: asdict(spending)}
        history = [Spending(**each) for each in entered.values()]
        epsilon = epsilon_of(history, budget)
        if epsilon > budget.epsilon:
            raise TrainingError(
                f"this training would bring epsilon to {epsilon:.3f}, and the budget is {budget.epsilon:g} at delta "
                f"{budget.delta:g}; it was planned for {budget.planned_steps} steps in all, and with these there would be "
                f"{sum(each.steps for each in history)}. Stop training on this private data; a larger budget has to be "
                "decided before the first training"
            )
        if job not in self._held["spendings"]:
            self._held["spendings"] = entered
            self._write()
        steps = sum(each.steps for each in history)
        return PrivacySpent(
            epsilon, budget.delta, budget.accountant, spending.noise_multiplier, spending.sample_rate, steps
        )

    def noise_seed(self, job: str) -> int:
        """Seed of the noise and of the draw of examples in this job: secret, and another one for every job."""
        digest = sha256(f"{self._held['key']} {job}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=False) >> 1

    def _write(self) -> None:
        write_whole(self._path, json.dumps(self._held, indent=1) + "\n")
        self._path.chmod(0o600)


def epsilon_of(history: Sequence[Spending], budget: PrivacyBudget) -> float:
    """Epsilon of all these steps together, at the budget's delta."""
    if not history:
        return 0.0
    accountant = _opacus()["create_accountant"](mechanism=budget.accountant)
    accountant.history = [(each.noise_multiplier, each.sample_rate, each.steps) for each in history]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the best Rényi order lies at the end of its range: the bound holds all the same
        return float(accountant.get_epsilon(delta=budget.delta))


def noise_for(budget: PrivacyBudget, sample_rate: float) -> float:
    """The least noise, to a hundredth of epsilon, with which the planned steps stay within the budget."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = _opacus()["get_noise_multiplier"](
                target_epsilon=budget.epsilon,
                target_delta=budget.delta,
                sample_rate=sample_rate,
                steps=budget.planned_steps,
                accountant=budget.accountant,
            )
        except ValueError as error:
            raise TrainingError(
                f"no noise reaches epsilon {budget.epsilon:g} at delta {budget.delta:g} over {budget.planned_steps} steps: "
                f"{error} Ask for a larger epsilon, fewer steps or smaller batches"
            ) from error
    return float(found)


def _opacus() -> Mapping[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from opacus.accountants import create_accountant  # noqa: PLC0415 - of the extra `dp`
            from opacus.accountants.utils import get_noise_multiplier  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("training with record-level privacy", "dp") from error
    return {"create_accountant": create_accountant, "get_noise_multiplier": get_noise_multiplier}


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"the privacy ledger {path} cannot be read: {error}. Without it nobody knows what was spent: restore it from a "
            "backup"
        ) from error
    if not isinstance(held, dict) or "key" not in held:
        raise TrainingError(f"{path} is no privacy ledger; restore it from a backup")
    return held
