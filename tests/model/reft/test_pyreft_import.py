"""Folders as pyreft 0.1 writes them, made here by hand, give pyreft's logits."""

import json

import numpy as np
import pytest
import torch
from torch.nn.utils.parametrizations import orthogonal

from client_kit.errors import TrainingError
from client_kit.training.reft.pyreft import from_pyreft
from tests.support.reft import GOLDEN, adapted, batch, golden_base, meta, tensor


def write(
    folder, states, kind="pyreft.interventions.LoreftIntervention", name="layer_{}_comp_block_output_unit_pos_nunit_2"
):
    folder.mkdir(exist_ok=True)
    types = [f"<class '{kind}'>"] * len(states)
    (folder / "config.json").write_text(json.dumps({"intervention_types": types}), encoding="utf-8")
    for (block, number), state in states.items():
        torch.save(state, folder / f"intkey_{name.format(block)}#{number}.bin")
    return folder


def golden_states(file):
    counter = {}
    for k, block in enumerate(meta(file)["layers"]):
        counter[block] = counter.get(block, -1) + 1
        read = lambda name, k=k: tensor(file[f"iv{k}/{name}"])  # noqa: E731
        yield (block, counter[block]), read


NAMES = [
    "layer_{}_comp_block_output_unit_pos_nunit_2",
    "layer.{}.comp.block_output.unit.pos.nunit.2",
    "comp_model_layers[{}]_output_unit_pos_nunit_2",
    "comp.model.layers[{}].output.unit.pos.nunit.2",
]


def compare(model, file):
    with torch.no_grad():
        found = model(
            **{name: tensor(file[name]) for name in ("input_ids", "attention_mask", "position_ids", "labels")}
        )
    real = file["attention_mask"][..., None]
    np.testing.assert_allclose(found.logits.numpy() * real, file["logits"] * real, rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", NAMES)
def test_loreft_folders_of_every_naming_are_read(name, tmp_path):
    file = np.load(GOLDEN / "llama_loreft_untied_f2l2.npz")
    states = {
        place: {"weight": read("W"), "bias": read("b"), "rotate_layer": read("R").T}
        for place, read in golden_states(file)
    }
    model = from_pyreft(write(tmp_path / "saved", states, name=name), golden_base(), positions="f2+l2").eval()
    compare(model, file)
    model.save_pretrained(tmp_path / "peft")
    assert (tmp_path / "peft" / "adapter_config.json").is_file()


def test_the_papers_direft_is_read(tmp_path):
    file = np.load(GOLDEN / "gpt2_direft_untied_f2l2.npz")
    states = {
        place: {"proj_layer.weight": read("W2"), "learned_source.weight": read("W"), "learned_source.bias": read("b")}
        for place, read in golden_states(file)
    }
    folder = write(tmp_path / "saved", states, "pyreft.interventions.NodireftIntervention")
    compare(from_pyreft(folder, golden_base("gpt2"), positions="f2+l2").eval(), file)


def test_a_rotation_in_torchs_parametrization_is_read(tmp_path):
    part = torch.nn.Module()
    part.weight = torch.nn.Parameter(torch.nn.init.orthogonal_(torch.empty(32, 3)))
    orthogonal(part)
    state = {f"rotate_layer.{name}": value for name, value in part.state_dict().items()}
    folder = write(
        tmp_path / "saved",
        {(1, 0): state | {"learned_source": torch.ones(3)}},
        "pyreft.interventions.LobireftIntervention",
    )
    found = from_pyreft(folder, golden_base(), positions="l1").eval()
    layer = found.base_model.model.model.layers[1]
    assert torch.allclose(layer.effective("default").up[0], part.weight.T, atol=1e-6)


def test_a_bias_of_the_projection_is_taken_into_b(tmp_path):
    twin = adapted(variant="noreft", positions="f2", layers=[0])
    values = twin.base_model.model.model.layers[0].effective("default")
    shift = torch.tensor([0.1, -0.2, 0.3])
    state = {
        "proj_layer.weight": values.up[0].detach(), "proj_layer.bias": shift,
        "learned_source.weight": values.W[0].detach(), "learned_source.bias": values.b[0].detach() + shift,
    }  # fmt: skip
    folder = write(tmp_path / "saved", {(0, 0): state}, "pyreft.interventions.NoreftIntervention")
    found = from_pyreft(folder, golden_base(), positions="f2").eval()
    with torch.no_grad():
        assert torch.allclose(found(**batch()).logits, twin(**batch()).logits, atol=1e-5)
    with pytest.raises(TrainingError, match="bias behind an activation"):
        from_pyreft(folder, golden_base(), positions="f2", activation="relu")


def test_what_is_no_pyreft_adapter_is_refused(tmp_path):
    state = {"weight": torch.zeros(3, 32), "bias": torch.zeros(3), "rotate_layer": torch.eye(32, 3)}
    with pytest.raises(TrainingError, match=r"no config\.json of pyreft"):
        from_pyreft(tmp_path, golden_base(), positions="l1")
    with pytest.raises(TrainingError, match="no files intkey"):
        from_pyreft(_only_config(tmp_path / "a"), golden_base(), positions="l1")
    with pytest.raises(TrainingError, match="VanillaIntervention"):
        from_pyreft(write(tmp_path / "b", {(0, 0): state}, "pyvene.VanillaIntervention"), golden_base(), positions="l1")
    with pytest.raises(TrainingError, match="no edit of a block's output"):
        from_pyreft(
            write(tmp_path / "c", {(0, 0): state}, name="layer_{}_comp_mlp_output_unit_pos_nunit_1"),
            golden_base(),
            positions="l1",
        )
    with pytest.raises(TrainingError, match="has 2 interventions per block, positions l1 have one"):
        from_pyreft(write(tmp_path / "d", {(0, 0): state, (0, 1): state}), golden_base(), positions="l1")
    with pytest.raises(TrainingError, match="not one or two interventions for each"):
        from_pyreft(write(tmp_path / "e", {(0, 0): state, (1, 1): state}), golden_base(), positions="f1+l1")


def _only_config(folder):
    folder.mkdir()
    (folder / "config.json").write_text('{"intervention_types": ["<class \'LoreftIntervention\'>"]}', encoding="utf-8")
    return folder
