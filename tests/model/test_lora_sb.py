"""LoRA-SB adapters: where they begin, what training moves, and that Fed-SB's mean of R is the mean of the changes."""

import numpy as np
import pytest

from client_kit import parameters
from client_kit.errors import ConfigurationError, TrainingError
from client_kit.settings import DpoSettings, DpSettings, SftSettings
from client_kit.training import lora_sb
from client_kit.training.base import Example
from client_kit.training.dpo import DPOFineTuner
from client_kit.training.private import DPFineTuner
from client_kit.training.sft import SFTFineTuner
from consensus_server.core.parameters import ParameterPlan, Update, aggregate, check_plan
from consensus_server.http_api.translate import to_core
from consensus_server.service.parameters import read_update
from tests.support.tiny_model import write_tiny_model

EXAMPLES = [
    Example("what is the tree", " red"),
    Example("what is the bird", " blue and green"),
    Example("name a river", " one"),
]
RANK, RATE = 4, 1e-2


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def gradients(base):
    return lora_sb.first_gradients(base, EXAMPLES)


@pytest.fixture(scope="module")
def start(base, gradients, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters") / "start"
    lora_sb.begin(base, gradients, folder, rank=RANK, learning_rate=RATE)
    return folder


def trained(start, folder, seed, steps=4):
    settings = SftSettings(kind="sft", steps=1, learning_rate=RATE, batch_size=2, weight_decay=0.1, device="cpu")
    return SFTFineTuner(settings, threads=1).train(start, EXAMPLES[seed:], steps=steps, seed=seed, output=folder).model


def change_of(folder):
    """B A of each module, as everything that reads LoRA sees the folder."""
    held = parameters.read_lora(folder)
    assert parameters.scaling_of(folder) == 1.0
    return {name: (held[f"{name}.lora_B"] @ held[f"{name}.lora_A"]).numpy() for name in lora_sb.read_fixed(folder)}


def test_gradients_are_those_of_the_mean_loss(base, gradients):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    losses = []
    for example in EXAMPLES:
        prompt = tokenizer(example.prompt)["input_ids"]
        whole = tokenizer(example.prompt + example.completion)["input_ids"] + [tokenizer.eos_token_id]
        labels = torch.tensor([[-100] * len(prompt) + whole[len(prompt) :]])
        losses.append(model(input_ids=torch.tensor([whole]), labels=labels).loss)
    (sum(losses) / len(losses)).backward()
    expected = {name: value.grad for name, value in model.named_parameters()}
    assert len(gradients) == 2 * 7
    for name, found in gradients.items():
        wanted = expected[f"{name}.weight"]
        # A batch with padding adds its float32 terms in another order than one example does, as the processor likes.
        assert np.allclose(found, wanted, rtol=0, atol=1e-4 * wanted.abs().max().item())


def test_it_begins_as_the_nearest_change_of_its_rank_to_adamws_first_step(gradients, start):
    for name, change in change_of(start).items():
        step = -RATE * np.sign(gradients[name].numpy())
        left, sizes, right = np.linalg.svd(step, full_matrices=False)
        assert np.allclose(change, (left[:, :RANK] * sizes[:RANK]) @ right[:RANK], atol=1e-5)
        assert np.linalg.matrix_rank(change, tol=1e-4) == RANK


def test_training_moves_r_and_nothing_else(start, tmp_path):
    before, after = parameters.read_lora(start), parameters.read_lora(trained(start, tmp_path / "after", seed=0))
    middles = lora_sb.read_middle(start), lora_sb.read_middle(tmp_path / "after")
    for name, rows in lora_sb.read_fixed(tmp_path / "after").items():
        assert np.array_equal(rows, lora_sb.read_fixed(start)[name])
        assert np.array_equal(after[f"{name}.lora_B"], before[f"{name}.lora_B"])
        assert not np.allclose(middles[0][f"{name}.lora_R"], middles[1][f"{name}.lora_R"], atol=1e-4)
        assert np.allclose(after[f"{name}.lora_A"], middles[1][f"{name}.lora_R"] @ rows, atol=1e-6)


def test_the_trained_folder_answers_as_any_lora_adapter(base, start, tmp_path):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    folder = trained(start, tmp_path / "after", seed=0, steps=1)
    assert all("parametrizations" not in name for name in load_file(folder / "adapter_model.safetensors"))
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    merged = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for name, change in change_of(folder).items():
            merged.get_submodule(name).weight += torch.tensor(change)
        asked = torch.tensor([[5, 6, 7, 8]])
        assert np.allclose(adapted(asked).logits, merged(asked).logits, atol=1e-4)


def test_the_mean_of_r_is_the_mean_of_the_changes(base, start, tmp_path):
    folders = [trained(start, tmp_path / f"p{seed}", seed=seed) for seed in range(3)]
    first = lora_sb.read_middle(folders[0])
    plan = parameters.make_plan(first, "fed_sb", parameters.base_digest(base))
    core = to_core(ParameterPlan, plan)
    check_plan(core)
    files = [parameters.write_update(lora_sb.read_middle(folder), plan) for folder in folders]
    sent = [read_update(f"p{place}", file, core) for place, file in enumerate(files)]
    held = [{name: value.numpy() for name, value in parameters.read_file(file).items()} for file in files]
    updates = [
        Update(each.participant, tensors, each.rank, each.examples) for each, tensors in zip(sent, held, strict=True)
    ]
    import torch

    mean = {name: torch.tensor(value).float() for name, value in aggregate(updates, core).common.items()}
    back = change_of(lora_sb.write_middle(tmp_path / "back", mean, like=folders[0]))
    each = [change_of(folder) for folder in folders]
    for name, change in back.items():
        assert np.allclose(change, sum(one[name] for one in each) / 3, atol=1e-5)
    assert sum(value.numel() for value in first.values()) == len(first) * RANK**2


def test_what_it_cannot_do_is_refused(base, gradients, start, tmp_path):
    with pytest.raises(ConfigurationError, match="rank 40 is more than"):
        lora_sb.begin(base, gradients, tmp_path / "wide", rank=40, learning_rate=RATE)
    with pytest.raises(ConfigurationError, match=r"has no fixed_factors\.safetensors"):
        lora_sb.read_middle(base)
    with pytest.raises(ConfigurationError, match="it is of other settings"):
        lora_sb.write_middle(tmp_path / "other", {}, like=start)
    settings = SftSettings(kind="sft", steps=1, device="cpu", checkpoint_steps=1)
    with pytest.raises(TrainingError, match="LoRA-SB adapter, which has no checkpoints"):
        SFTFineTuner(settings).train(start, EXAMPLES, steps=1, seed=0, output=tmp_path / "refused")
    private = DpSettings(kind="dp", steps=1, epsilon=8.0, delta=1e-2, planned_steps=2, expected_batch=2, device="cpu")
    with pytest.raises(TrainingError, match="LoRA-SB adapter, which has no training with record-level privacy"):
        DPFineTuner(private).train(start, EXAMPLES, steps=1, seed=0, output=tmp_path / "refused")
    preferences = DpoSettings(kind="dpo", steps=1, device="cpu")
    with pytest.raises(TrainingError, match="LoRA-SB adapter, which has no training on preferences"):
        DPOFineTuner(preferences).train(start, EXAMPLES, steps=1, seed=0, output=tmp_path / "refused")
    assert not list(tmp_path.iterdir()), "no ledger either"
