"""Adapters as folders and beside one another; named tensors; what is refused."""

import copy
import json
import pickle

import pytest
import torch
from peft import PeftConfig, PeftModel

from client_kit.errors import ConfigurationError, TrainingError
from client_kit.training.reft import (
    VARIANTS,
    ReftConfig,
    interventions,
    load_interventions,
    read_adapter,
    write_adapter,
)
from tests.support.reft import adapted, batch, golden_base


def logits(model):
    with torch.no_grad():
        return model(**batch()).logits


def moved(model, seed=1):
    """The model with every trainable number moved at random."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for number in model.parameters():
            if number.requires_grad:
                number.add_(0.3 * torch.randn_like(number))
    return model


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("positions", ["f2+l2", "all"])
def test_a_saved_adapter_loads_to_the_same_model(variant, positions, tmp_path):
    model = moved(adapted(variant=variant, positions=positions))
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(golden_base(), tmp_path).eval()
    assert torch.equal(logits(loaded), logits(model))
    assert not torch.equal(logits(model), logits_of_base())


def logits_of_base():
    with torch.no_grad():
        return golden_base()(**batch()).logits


def test_an_adapter_folder_is_small_and_shaped_as_the_hub_has_them(tmp_path):
    model = adapted(rank=4)
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["peft_type"], config["rank"], config["positions"]) == ("REFT", 4, "f2+l2")
    count = sum(number.numel() for number in model.parameters() if number.requires_grad)
    assert count == 2 * 2 * 4 * (2 * 32 + 1)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 4 * count + 2000
    assert isinstance(PeftConfig.from_pretrained(tmp_path), ReftConfig)


def test_weights_can_be_put_on_the_meta_device_first(tmp_path):
    model = moved(adapted())
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(golden_base(), tmp_path, low_cpu_mem_usage=True).eval()
    assert torch.equal(logits(loaded), logits(model))


def test_models_can_be_copied_and_configs_pickled():
    model = moved(adapted())
    assert torch.equal(logits(copy.deepcopy(model)), logits(model))
    assert pickle.loads(pickle.dumps(model.peft_config["default"])) == model.peft_config["default"]


def test_named_tensors_go_out_and_come_back_as_the_same_function():
    model, other = moved(adapted()), adapted(seed=9)
    tensors = interventions(model)
    assert sorted(tensors) == sorted(
        f"layers.{block}.{group}.{name}"
        for block in (0, 2)
        for group in ("prefix", "suffix")
        for name in ("R", "W", "b")
    )
    assert {tuple(value.shape) for name, value in tensors.items() if not name.endswith("b")} == {(3, 32)}
    load_interventions(other, tensors)
    assert torch.allclose(logits(other), logits(model), atol=1e-5)


def test_turned_coordinates_are_the_same_function():
    """(R, W, b) and (QR, QW, Qb): why raw tensors must not be averaged."""
    model, tensors = moved(adapted()), interventions(moved(adapted()))
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    load_interventions(model, {name: turn @ value for name, value in tensors.items()})
    assert torch.allclose(logits(model), logits(moved(adapted())), atol=1e-5)
    assert not torch.allclose(interventions(model)["layers.0.prefix.R"], tensors["layers.0.prefix.R"], atol=0.1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_folder_is_read_and_written_without_its_base_model(variant, tmp_path):
    model = moved(adapted(variant=variant))
    model.save_pretrained(tmp_path / "one")
    config, tensors = read_adapter(tmp_path / "one")
    assert (config.variant, config.rank) == (variant, 3)
    assert all(torch.allclose(value, interventions(model)[name], atol=1e-6) for name, value in tensors.items())
    theirs = interventions(moved(adapted(variant=variant, seed=4), seed=4))
    write_adapter(tmp_path / "two", theirs, like=tmp_path / "one")
    loaded = PeftModel.from_pretrained(golden_base(), tmp_path / "two").eval()
    found = interventions(loaded)
    assert all(torch.allclose(found[name], value, atol=1e-6) for name, value in theirs.items())


SPOILED = {
    "lack layers.0.prefix.R": lambda tensors: tensors.pop("layers.0.prefix.R"),
    "have too many: layers.9.prefix.R": lambda tensors: tensors.update({"layers.9.prefix.R": torch.eye(3, 32)}),
    r"layers.0.prefix.W has shape \(4, 32\); it must have \(3, 32\)": lambda tensors: tensors.update(
        {"layers.0.prefix.W": torch.zeros(4, 32)}
    ),
    "layers.2.suffix.b holds numbers that are not finite": lambda tensors: tensors["layers.2.suffix.b"].fill_(
        float("nan")
    ),
    "rows of layers.2.prefix.R are not orthonormal": lambda tensors: tensors["layers.2.prefix.R"].mul_(2),
}


@pytest.mark.parametrize("message", SPOILED)
def test_tensors_that_do_not_fit_change_nothing(message, tmp_path):
    model = moved(adapted())
    model.save_pretrained(tmp_path / "one")
    before, tensors = logits(model), interventions(model)
    SPOILED[message](tensors)
    with pytest.raises(TrainingError, match=message):
        load_interventions(model, tensors)
    with pytest.raises(TrainingError, match=message):
        write_adapter(tmp_path / "two", tensors, like=tmp_path / "one")
    assert torch.equal(logits(model), before)
    assert not (tmp_path / "two").exists()


def test_folders_that_hold_no_reft_adapter_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="holds no adapter that PEFT reads"):
        read_adapter(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}', encoding="utf-8")
    with pytest.raises(TrainingError, match=r"an adapter of .*LORA, not of ReFT"):
        read_adapter(tmp_path)


def test_several_adapters_take_turns():
    model = moved(adapted(rank=2))
    first = logits(model)
    model.add_adapter("second", ReftConfig(rank=3, layers=[1], positions="l1", task_type="CAUSAL_LM"))
    assert torch.equal(logits(model), first)
    model.set_adapter("second")
    second = logits(model)
    assert not torch.equal(second, first)
    trained = {name for name, number in model.named_parameters() if number.requires_grad}
    assert all(".second" in name and ".1.reft_" in name for name in trained)
    model.set_adapter("default")
    model.delete_adapter("second")
    assert torch.equal(logits(model), first)


def test_adapters_at_other_layers_or_tokens_work_together_and_overlapping_ones_are_refused():
    model = adapted(positions="f2", layers=[0, 2])
    model.add_adapter("last", ReftConfig(rank=2, layers=[2], positions="l1", task_type="CAUSAL_LM"))
    model.add_adapter("clash", ReftConfig(rank=2, layers=[2, 3], positions="f1+l1", task_type="CAUSAL_LM"))
    alone = logits(model)
    model.base_model.set_adapter(["default", "last"])
    assert not torch.equal(logits(model), alone)
    for pair in (["default", "clash"], ["last", "clash"]):
        with pytest.raises(ConfigurationError, match=r"both edit .* after model.layers.2"):
            model.base_model.set_adapter(pair)


def test_layers_ranks_and_models_that_do_not_fit_are_refused():
    with pytest.raises(ConfigurationError, match="layer 4 is not there; the model has 0 to 3"):
        adapted(layers=[0, 4])
    with pytest.raises(ConfigurationError, match="rank 33 is above the model's width 32"):
        adapted(rank=33)


def test_identity_init_edits_nothing_and_random_init_does():
    """Trap: LoReFT as pyreft initialises it is no no-op."""
    base = logits_of_base()
    for variant in VARIANTS:
        silent = torch.allclose(logits(adapted(variant=variant, init="identity")), base, atol=1e-5)
        assert silent == (variant != "consreft"), "a constant target cannot be silent"
    assert not torch.allclose(logits(adapted()), base, atol=1e-2)


def test_edits_cannot_be_merged_and_can_be_unloaded():
    model = moved(adapted())
    with pytest.raises(TrainingError, match="cannot be merged"):
        model.merge_and_unload()
    plain = model.unload()
    with torch.no_grad():
        assert torch.equal(plain(**batch()).logits, logits_of_base())


def test_hidden_states_show_a_blocks_output_before_its_edit():
    """Trap: what transformers records is the block's own output; the next block sees the edited one."""
    model = adapted(layers=[0], init="random")
    with torch.no_grad():
        found = model(**batch(), output_hidden_states=True).hidden_states
        base = golden_base()(**batch(), output_hidden_states=True).hidden_states
    assert torch.equal(found[1], base[1])
    assert not torch.allclose(found[2], base[2], atol=1e-4)
