"""Adapters of real models to files and back: what the server takes, and what comes of what it gives."""

import json

import numpy as np
import pytest

from client_kit import parameters
from client_kit.errors import ConfigurationError
from client_kit.wire import Dtype
from consensus_server.core.parameters import ParameterPlan, Update, aggregate, check_plan, check_update
from consensus_server.http_api.translate import to_core
from consensus_server.service.parameters import read_update
from consensus_server.service.tensor_files import write_tensors
from tests.support.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "base")


def adapter(base, folder, *, rank=4, seed=0):
    """A LoRA adapter with random factors, as training leaves one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    where = tmp_path_factory.mktemp("adapters")
    return [adapter(base, where / f"p{seed}", seed=seed) for seed in range(3)]


def logits(base, folder=None):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    if folder is not None:
        model = PeftModel.from_pretrained(model, folder)
    with torch.no_grad():
        return model(torch.tensor([[5, 6, 7, 8, 9]])).logits.numpy()


def plan_for(base, folder, method, **options):
    digest = parameters.base_digest(base)
    return parameters.make_plan(
        parameters.read_lora(folder), method, digest, scaling=parameters.scaling_of(folder), **options
    )


def download(plan, files):
    """What the server would give for these updates, as the client reads it."""
    core = to_core(ParameterPlan, plan)
    sent = [read_update(f"p{i}", file, core) for i, file in enumerate(files)]
    tensors = [{name: value.numpy() for name, value in parameters.read_file(file).items()} for file in files]
    found = aggregate([Update(s.participant, t, s.rank, s.examples) for s, t in zip(sent, tensors, strict=True)], core)
    return parameters.read_file(write_tensors(found.common, "F32", {"base_model": plan.base_model, "rank": 0}))


@pytest.mark.parametrize("method", ["fedit", "flora", "het_lora", "ffa_lora", "fedsa_lora"])
@pytest.mark.parametrize("dtype", list(Dtype))
def test_the_server_takes_what_the_kit_writes(base, adapters, method, dtype):
    plan = plan_for(base, adapters[0], method, dtype=dtype)
    check_plan(to_core(ParameterPlan, plan))
    file = parameters.write_update(parameters.read_lora(adapters[1]), plan, examples=17)
    read = read_update("anna", file, to_core(ParameterPlan, plan))
    assert (read.rank, read.examples) == (4, 17)


def test_an_adapter_written_is_the_adapter_read(base, adapters, tmp_path):
    tensors = parameters.read_lora(adapters[1])
    parameters.write_lora(tmp_path / "again", tensors, like=adapters[0])
    assert logits(base, tmp_path / "again") == pytest.approx(logits(base, adapters[1]), abs=1e-6)
    with pytest.raises(ConfigurationError, match="is there already"):
        parameters.write_lora(tmp_path / "again", tensors, like=adapters[0])


def test_only_what_travels_is_exchanged(base, adapters, tmp_path):
    """FedSA-LoRA: A is the mean, B stays one's own."""
    plan = plan_for(base, adapters[0], "fedsa_lora")
    files = [parameters.write_update(parameters.read_lora(each), plan) for each in adapters]
    parameters.write_lora(tmp_path / "mixed", download(plan, files), like=adapters[2])
    mixed, own = parameters.read_lora(tmp_path / "mixed"), parameters.read_lora(adapters[2])
    for name, value in mixed.items():
        mean = sum(parameters.read_lora(each)[name] for each in adapters) / 3
        assert np.allclose(value, mean if name.endswith("lora_A") else own[name], atol=1e-6)


def test_flora_merged_into_the_base_is_the_mean_of_all_changes(base, adapters, tmp_path):
    from safetensors.torch import load_file

    plan = plan_for(base, adapters[0], "flora")
    files = [parameters.write_update(parameters.read_lora(each), plan) for each in adapters]
    parameters.merge_into_base(base, download(plan, files), adapters[0], tmp_path / "merged")
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "merged"))
    factors = [parameters.read_lora(each) for each in adapters]
    for module in {name.rpartition(".")[0] for name in factors[0]}:
        change = sum(2.0 * t[f"{module}.lora_B"] @ t[f"{module}.lora_A"] for t in factors) / 3
        assert np.allclose(after[f"{module}.weight"], before[f"{module}.weight"] + change, atol=1e-5)
    assert not list(tmp_path.glob(".*"))


def test_a_plan_that_the_adapter_cannot_serve_is_refused(base, adapters):
    with pytest.raises(ConfigurationError, match="fedreft exchanges R, W, W2, b"):
        plan_for(base, adapters[0], "fedreft")
    plan = plan_for(base, adapters[0], "fedit")
    with pytest.raises(ConfigurationError, match="has no tensor"):
        parameters.write_update({}, plan)


def test_folders_that_hold_no_adapter_or_no_model_are_refused(base, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no adapter_model\.safetensors"):
        parameters.read_lora(base)
    with pytest.raises(ConfigurationError, match=r"no \*.safetensors"):
        parameters.base_digest(tmp_path)


def test_another_base_has_another_name(base, tmp_path):
    other = write_tiny_model(tmp_path / "other", seed=1)
    assert parameters.base_digest(base) != parameters.base_digest(other)


def interventions(seed, rank=3, width=10):
    import torch

    torch.manual_seed(seed)
    return {
        "0.all.R": torch.linalg.qr(torch.randn(width, rank))[0].T,
        "0.all.W": torch.randn(rank, width),
        "0.all.b": torch.randn(rank),
    }


def as_map(tensors):
    r, w, b = (tensors[f"0.all.{part}"].double().numpy() for part in ("R", "W", "b"))
    return r.T @ np.column_stack([w - r, b])


@pytest.mark.parametrize("coefficient", [0.0, 0.25, 1.0])
def test_edits_are_mixed_as_functions(coefficient):
    own, others = interventions(0, rank=6), interventions(1, rank=6)
    own = {name: value.clone() for name, value in own.items()}
    mixed = parameters.mix_interventions(own, others, coefficient)
    wanted = (1 - coefficient) * as_map(own) + coefficient * as_map(others)
    missing = np.linalg.svd(wanted)[1][6:]
    assert np.linalg.norm(as_map(mixed) - wanted) == pytest.approx(np.linalg.norm(missing), abs=1e-4)
    r = mixed["0.all.R"].double().numpy()
    assert np.abs(r @ r.T - np.eye(6)).max() < 1e-5


def test_the_coefficient_is_the_one_with_the_least_loss_and_of_equal_ones_the_smallest():
    assert parameters.choose_coefficient(lambda share: abs(share - 0.6))[0] == 0.5
    assert parameters.choose_coefficient(lambda _: 1.0)[0] == 0.0
    losses = parameters.choose_coefficient(lambda share: share)[1]
    assert json.loads(json.dumps(losses)) == {str(c): c for c in parameters.COEFFICIENTS}


def test_a_mixture_is_never_worse_on_the_held_out_part_than_ones_own():
    for seed in range(5):
        losses = dict(zip(parameters.COEFFICIENTS, np.random.default_rng(seed).random(6).tolist(), strict=True))
        chosen, _ = parameters.choose_coefficient(losses.__getitem__)
        assert losses[chosen] <= losses[0.0]


def test_update_files_hold_an_update(base, adapters):
    core = to_core(ParameterPlan, plan_for(base, adapters[0], "fedit"))
    tensors = {name: value.numpy().astype(float) for name, value in parameters.read_lora(adapters[0]).items()}
    check_update(Update("anna", tensors, rank=4), parameters.base_digest(base), core)
