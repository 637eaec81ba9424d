"""Record-level privacy, against brute force: what is clipped, what is added, what is counted."""

import json
import math

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from client_kit.errors import TrainingError
from client_kit.pocket.recipes import ModelRecipe
from client_kit.settings import DpSettings, PrivacyBudget
from client_kit.training.base import Example
from client_kit.training.ledger import Ledger, Spending, epsilon_of, noise_for
from client_kit.training.measuring import batch, encode_all, example_losses, pad_id
from client_kit.training.models import load_model, load_tokenizer
from client_kit.training.noisy import NoisySteps, with_positions
from client_kit.training.private import DPFineTuner

pytestmark = [
    pytest.mark.filterwarnings("ignore:Full backward hook is firing"),  # where a test asks for gradients itself
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False"),  # peft corrects it for GPT-2, and says so
]

ARCHITECTURES = ["llama", "gpt_neox", "qwen3", "gpt2"]
SETTINGS = {
    "kind": "dp", "steps": 1, "epsilon": 8.0, "delta": 1e-3, "planned_steps": 12, "learning_rate": 3e-3,
    "expected_batch": 8, "batch_size": 3, "device": "cpu", "accountant": "rdp",
}  # fmt: skip
LORA = {"method": "lora", "lora_rank": 2}
PRIVATE = [
    Example(f"What is the number of {number}?", f"It is {number} and {'x ' * number}more.") for number in range(20)
]
PUBLIC = [Example("What is the capital of France?", "Paris.", public=True)] * 4


@pytest.fixture(scope="module", params=ARCHITECTURES)
def any_model(request, pocket_base):
    return made(request.param, pocket_base)


@pytest.fixture(scope="module")
def model(pocket_base):
    return made("llama", pocket_base)


def made(architecture, pocket_base):
    recipe = ModelRecipe("m", architecture, "byte_bpe", 300, width=32, layers=1, heads=1, steps=2, batch_size=4)
    return pocket_base(recipe)


def noisy_steps(folder, *, clip=0.5, noise=0.0, batch_size=3, adapter=False, seed=0):
    network = load_model(folder)
    if adapter:
        from peft import LoraConfig, get_peft_model

        network = get_peft_model(network, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    return NoisySteps(
        network, learning_rate=1e-3, weight_decay=0.0, clip=clip, noise_multiplier=noise, expected=8.0,
        pad=pad_id(load_tokenizer(folder)), generator=torch.Generator().manual_seed(seed), batch_size=batch_size,
    )  # fmt: skip


def gradients_one_by_one(steps, tokens, weights):
    """Of each example, from a batch of its own and plain autograd: rows of all parameters together."""
    rows = []
    for one, weight in zip(tokens, weights, strict=True):
        loss = example_losses(steps.model, with_positions(batch([one], 0, "cpu"))).sum() * weight
        gradient = torch.autograd.grad(loss, steps.parameters, allow_unused=True)
        rows.append(
            torch.cat([
                (torch.zeros_like(parameter) if each is None else each).flatten()
                for parameter, each in zip(steps.parameters, gradient, strict=True)
            ])
        )  # fmt: skip
    return torch.stack(rows)


def capture_gradient(steps, monkeypatch):
    """What AdamW is given, as one row; the weights stay as they are."""
    seen = []

    def look(*_, **__):
        seen.append(torch.cat([parameter.grad.flatten().clone() for parameter in steps.parameters]))

    monkeypatch.setattr(steps.optimizer, "step", look)
    return seen


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_every_private_gradient_is_clipped_on_its_own_and_public_ones_are_not(any_model, monkeypatch, adapter):
    steps = noisy_steps(any_model, adapter=adapter)
    tokenizer = load_tokenizer(any_model)
    tokens, weights = encode_all(tokenizer, PRIVATE[:7], 64), [1.0, 0.01, 2.0, 1.0, 0.5, 1.0, 3.0]
    public = [(one, 0.5) for one in encode_all(tokenizer, PUBLIC[:2], 64)]
    alone = gradients_one_by_one(steps, tokens, weights)
    norms = alone.norm(dim=1)
    assert norms.min() < 0.5 < norms.max(), "some are cut and some are not"
    clipped = alone * (0.5 / (norms + 1e-6)).clamp(max=1.0)[:, None]
    assert clipped.norm(dim=1).max() <= 0.5 + 1e-6
    plain = gradients_one_by_one(steps, [one for one, _ in public], [0.5, 0.5])
    seen = capture_gradient(steps, monkeypatch)
    steps.step(tokens, weights, public)
    expected = (clipped.sum(dim=0) + plain.sum(dim=0)) / 8.0
    assert torch.allclose(seen[0], expected, atol=1e-6)


@pytest.mark.parametrize("count", [0, 5], ids=["no example drawn", "five drawn"])
def test_the_noise_is_gaussian_of_the_stated_size_whether_examples_were_drawn_or_not(model, monkeypatch, count):
    tokens = encode_all(load_tokenizer(model), PRIVATE[:count], 64)
    quiet, loud = noisy_steps(model), noisy_steps(model, noise=2.0)
    without, with_noise = capture_gradient(quiet, monkeypatch), capture_gradient(loud, monkeypatch)
    for steps in (quiet, loud):
        steps.step(tokens, [1.0] * count, [])
    noise = (with_noise[0] - without[0]) * 8.0
    assert len(noise) > 10_000
    # Standard error of a standard deviation: 1 / sqrt(2 n) of it.
    assert float(noise.std()) == pytest.approx(2.0 * 0.5, rel=5 / math.sqrt(2 * len(noise)))
    assert float(noise.mean()) == pytest.approx(0.0, abs=5 * 1.0 / math.sqrt(len(noise)))


def test_how_examples_are_split_into_batches_does_not_matter(model, monkeypatch):
    tokens = encode_all(load_tokenizer(model), PRIVATE[:7], 64)
    seen = []
    for size in (1, 3, 7):
        steps = noisy_steps(model, batch_size=size, noise=1.0)
        found = capture_gradient(steps, monkeypatch)
        steps.step(tokens, [1.0] * 7, [])
        seen += found
    assert torch.allclose(seen[0], seen[1], atol=1e-6)
    assert torch.allclose(seen[0], seen[2], atol=1e-6)


class Mixes(torch.nn.Module):
    """A layer in which examples of a batch see one another: no gradient is of one example alone."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **options):
        return self.inner(*args, **options) + self.inner(*args, **options).mean(dim=0, keepdim=True)


def test_a_model_without_gradients_of_single_examples_is_refused_by_name_of_the_layer(model):
    network = load_model(model)
    layer = network.model.layers[0].mlp
    layer.down_proj = Mixes(layer.down_proj)
    with pytest.raises(TrainingError, match=r"no per-example gradients: those of .* differ.*Take method lora"):
        NoisySteps(
            network, learning_rate=1e-3, weight_decay=0.0, clip=1.0, noise_multiplier=1.0, expected=8.0, pad=0,
            generator=torch.Generator(), batch_size=2,
        )  # fmt: skip


# The accountant


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_epsilon_is_opacus_own_over_all_trainings_together(accountant):
    from opacus.accountants import PRVAccountant, RDPAccountant

    history = [Spending(1.1, 0.1, 30), Spending(1.1, 0.1, 20), Spending(2.0, 0.2, 10)]
    theirs = {"rdp": RDPAccountant, "prv": PRVAccountant}[accountant]()
    for each in history:
        for _ in range(each.steps):
            theirs.step(noise_multiplier=each.noise_multiplier, sample_rate=each.sample_rate)
    budget = PrivacyBudget(epsilon=8.0, delta=1e-3, planned_steps=60, accountant=accountant)
    assert epsilon_of(history, budget) == pytest.approx(theirs.get_epsilon(delta=1e-3), rel=1e-3)
    assert 0 < epsilon_of(history[:1], budget) < epsilon_of(history[:2], budget) < epsilon_of(history, budget)


def test_the_noise_found_uses_the_budget_up_and_does_not_exceed_it():
    budget = PrivacyBudget(epsilon=2.0, delta=1e-4, planned_steps=100, accountant="rdp")
    noise = noise_for(budget, 0.05)
    assert 1.97 < epsilon_of([Spending(noise, 0.05, 100)], budget) <= 2.0
    assert noise_for(budget.model_copy(update={"planned_steps": 400}), 0.05) > noise


# Trainings over the rounds


def train(model, output, *, steps=4, examples=None, seed=0, **changes):
    tuner = DPFineTuner(DpSettings(**SETTINGS | changes), threads=1)
    return tuner.train(model, examples or [*PRIVATE, *PUBLIC], steps=steps, seed=seed, output=output)


def weights(folder):
    return load_file(next(iter(folder.glob("*.safetensors"))))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("adapter", [{}, LORA], ids=["full", "lora"])
def test_epsilon_grows_over_the_trainings_up_to_the_budget_and_no_further(model, tmp_path, adapter):
    reports, start = [], model
    for number in (1, 2, 3):
        reports.append(train(start, tmp_path / f"training-{number}", seed=number, **adapter))
        start = reports[-1].model
    spent = [report.privacy.epsilon for report in reports]
    assert spent == sorted(set(spent))
    assert spent[-1] == pytest.approx(8.0, abs=0.05)
    assert [report.privacy.steps for report in reports] == [4, 8, 12]
    with pytest.raises(TrainingError, match=r"budget is 8 at delta 0\.001; it was planned for 12 steps in all"):
        train(start, tmp_path / "training-4", seed=4, **adapter)
    assert not (tmp_path / "training-4").exists()
    assert len(json.loads((tmp_path / "privacy.json").read_text())["spendings"]) == 3


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.mark.parametrize("checkpoint_steps", [None, 2])
def test_a_training_that_was_killed_comes_to_the_same_model_and_is_counted_once(
    model, tmp_path, monkeypatch, checkpoint_steps
):
    options = {"steps": 6, "checkpoint_steps": checkpoint_steps, **LORA, "lora_dropout": 0.2}
    whole = train(model, tmp_path / "whole", **options)
    original, calls = NoisySteps.step, []

    def killed_once(self, *drawn):
        calls.append(len(drawn[0]))
        if len(calls) == 6:
            raise Killed
        return original(self, *drawn)

    monkeypatch.setattr(NoisySteps, "step", killed_once)
    with pytest.raises(Killed):
        train(model, tmp_path / "killed", **options)
    report = train(model, tmp_path / "killed", **options)
    assert len(calls) == 6 + (2 if checkpoint_steps else 6)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert report.privacy == whole.privacy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "privacy.json", "whole"]


def test_another_ledger_draws_other_noise_and_so_does_another_job(model, tmp_path):
    """A noise that anybody can compute, or that comes twice over different data, is none."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = train(model, tmp_path / "one" / "a").model
    assert same(weights(first), weights(train(model, tmp_path / "one" / "b").model))
    assert not same(weights(first), weights(train(model, tmp_path / "two" / "a").model))
    ledger = Ledger(tmp_path / "one" / "privacy.json")
    assert ledger.noise_seed("a job") != ledger.noise_seed("another job")
    assert (tmp_path / "one" / "privacy.json").stat().st_mode & 0o077 == 0


@pytest.mark.filterwarnings("ignore:Detected call of")  # no step is really taken
def test_each_private_example_is_drawn_with_the_stated_probability(model, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(NoisySteps, "step", lambda _, private, weights, public: drawn.append((private, public)) or 1.0)
    report = train(model, tmp_path / "out", steps=400, planned_steps=400, expected_batch=5)
    assert report.privacy.sample_rate == 0.25
    counts = [len(private) for private, _ in drawn]
    assert sum(counts) / 400 == pytest.approx(5, abs=5 * math.sqrt(20 * 0.25 * 0.75 / 400))
    assert len(set(counts)) > 3, "the number itself is drawn"
    assert {len(public) for _, public in drawn} == {1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delta": 0.05}, r"delta is 0\.05 with 20 private examples"),
        ({"examples": PUBLIC}, "no private examples"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(model, tmp_path, changes, message):
    with pytest.raises(TrainingError, match=message):
        train(model, tmp_path / "out", **changes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes", [{"epsilon": 0.0}, {"delta": 1.0}, {"clip": -1.0}, {"planned_steps": 0}, {"expected_batch": 0}]
)
def test_settings_that_bound_nothing_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        DpSettings(**SETTINGS | changes)


@pytest.mark.parametrize("method", ["dora", "qlora"])
def test_adapters_whose_gradients_opacus_does_not_know_are_refused(method):
    with pytest.raises(ValidationError, match="'full' or 'lora'"):
        DpSettings(**SETTINGS, method=method)


def test_a_damaged_ledger_is_not_begun_anew(model, tmp_path):
    (tmp_path / "privacy.json").write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match="restore it from a backup"):
        train(model, tmp_path / "out")
