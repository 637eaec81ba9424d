"""Whole models with adapters against pyreft's and adapters' numbers: logits, losses, gradients, greedy answers."""

import numpy as np
import pytest
import torch
from peft import get_peft_model
from torch.nn.utils.parametrizations import orthogonal

from client_kit.training.reft import ReftConfig, load_interventions
from client_kit.training.reft import layer as layer_module
from client_kit.training.reft.layer import Effective, ReftLayer
from client_kit.training.reft.orthonormal import orthonormal_rows
from tests.support.reft import GOLDEN, golden_base, meta, tensor

VARIANTS = {
    "LoreftIntervention": "loreft",
    "NodireftIntervention": "direft",
    "LoReftConfig": "loreft",
    "DiReftConfig": "direft",
    "NoReftConfig": "noreft",
}
FILES = [path for path in sorted(GOLDEN.glob("*.npz")) if meta(np.load(path))["kind"] == "model"]
BASE = ("input_ids", "attention_mask", "position_ids")


def positions(first, last):
    return "+".join(part for part in (f"f{first}" * (first > 0), f"l{last}" * (last > 0)) if part)


def config_of(about):
    if about["library"] == "pyreft":
        variant, layers = VARIANTS[about["intervention"]], sorted(set(about["layers"]))
        first, last = about["first_n"], about["last_n"]
    else:
        variant, layers = VARIANTS[about["config"]], [0, 1, 2, 3]
        first, last = about["prefix_positions"], about["suffix_positions"]
    return ReftConfig(
        rank=about["rank"], variant=variant, layers=layers, positions=positions(first, last), tied=about["tied"],
        task_type="CAUSAL_LM",
    )  # fmt: skip


def places(about, config):
    """The golden name of every intervention: (block, group) -> key."""
    if about["library"] == "pyreft":
        return {
            (block, group): f"iv{k}"
            for k, (block, group) in enumerate(zip(about["layers"], about["groups"], strict=True))
        }
    unit = {"all": 0, "prefix": 0, "suffix": 1}
    return {(block, group): f"l{block}u{unit[group]}" for block in range(4) for group in config.groups}


def adapted(file, about):
    config = config_of(about)
    model = get_peft_model(golden_base(about["model"]), config).eval()
    tensors = {
        f"layers.{block}.{group}.{name}": tensor(file[f"{key}/{name}"])
        for (block, group), key in places(about, config).items()
        for name in config.form.tensors
    }
    load_interventions(model, tensors)
    return model, config


def call(model, file, about):
    """The model on the file's batch. adapters edits the whole text, as if all of it were prompt."""
    inputs = {name: tensor(file[name]) for name in (*BASE, "labels")}
    lengths = {} if about["library"] == "pyreft" else {"prompt_lengths": inputs["attention_mask"].sum(1)}
    return model(**inputs, **lengths)


def blocks(model):
    return {int(name.rpartition(".")[2]): part for name, part in model.named_modules() if isinstance(part, ReftLayer)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_logits_loss_and_gradients_equal_the_references(path, monkeypatch):
    file = np.load(path)
    about, ups = meta(file), {}

    def kept(raw):
        rows = orthonormal_rows(raw)
        if rows.requires_grad:
            rows.retain_grad()
            ups[id(raw)] = rows
        return rows

    model, config = adapted(file, about)
    monkeypatch.setattr(layer_module, "orthonormal_rows", kept)
    output = call(model, file, about)
    output.loss.backward()
    real = file["attention_mask"][..., None]
    np.testing.assert_allclose(output.logits.detach().numpy() * real, file["logits"] * real, rtol=0, atol=5e-5)
    np.testing.assert_allclose(output.loss.item(), file["loss"], rtol=0, atol=5e-5)
    for (block, group), key in places(about, config).items():
        part, place = blocks(model)[block], config.groups.index(group)
        up = part.reft_up["default"]
        gradients = {"W": part.reft_W["default"].grad, "b": part.reft_b["default"].grad}
        gradients[config.form.up] = ups[id(up)].grad if config.form.orthonormal else up.grad
        for name, value in gradients.items():
            wanted = file[f"{key}/grad_{name}"]
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(
                value[place], wanted, rtol=0, atol=max(2e-3 * scale, 1e-7), err_msg=f"{key} {name}"
            )


@pytest.mark.parametrize("path", [p for p in FILES if "gen" in meta(np.load(p))], ids=lambda path: path.stem)
@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_greedy_answers_equal_pyrefts(path, cache):
    file = np.load(path)
    about = meta(file)
    model, _ = adapted(file, about)
    found = model.generate(
        input_ids=tensor(file["gen/input_ids"]), attention_mask=tensor(file["gen/attention_mask"]), do_sample=False,
        max_new_tokens=about["gen"]["max_new_tokens"], min_new_tokens=about["gen"]["min_new_tokens"], use_cache=cache,
        return_dict_in_generate=True, output_logits=True, pad_token_id=0,
    )  # fmt: skip
    assert found.sequences.tolist() == file["gen/sequences"].tolist()
    assert found.sequences.tolist() != file["gen/base_sequences"].tolist()
    np.testing.assert_allclose(torch.stack(found.logits), file["gen/logits"], rtol=0, atol=2e-4)


@pytest.mark.parametrize("path", [p for p in FILES if "base_logits" in np.load(p)], ids=lambda path: path.stem)
def test_without_the_adapter_the_base_answers(path):
    file = np.load(path)
    model, _ = adapted(file, meta(file))
    with model.disable_adapter(), torch.no_grad():
        output = model(**{name: tensor(file[name]) for name in BASE})
    real = file["attention_mask"][..., None]
    np.testing.assert_allclose(output.logits.numpy() * real, file["base_logits"] * real, rtol=0, atol=5e-5)


TRAJECTORY = next(path for path in FILES if "traj" in meta(np.load(path)))
OPTIMISERS = {
    "sgd": (lambda numbers: torch.optim.SGD(numbers, lr=0.05), 1e-4, 1e-4),
    "adamw": (lambda numbers: torch.optim.AdamW(numbers, lr=5e-3, weight_decay=0.0), 2e-4, 5e-3),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_training_follows_pyrefts_losses_under_its_parametrization(name, monkeypatch):
    """R is trained through torch's householder form here, as pyreft does: so each step must be the same."""
    optimiser, loss_tolerance, rows_tolerance = OPTIMISERS[name]
    file = np.load(TRAJECTORY)
    about, references = meta(file), {}
    model, config = adapted(file, about)
    for (block, group), key in places(about, config).items():
        references[block, group] = householder(file, key, base=f"traj/{name}/{key}/base")

    def effective(self, _):
        block = next(number for number, part in blocks(model).items() if part is self)
        chosen = [references[block, group] for group in config.groups]
        return Effective(*(torch.stack(parts) for parts in zip(*((m.weight.T, m.W, m.b) for m in chosen), strict=True)))

    monkeypatch.setattr(ReftLayer, "effective", effective)
    steps = optimiser([number for part in references.values() for number in part.parameters()])
    losses = [descend(model, steps, file, about) for _ in range(5)]
    np.testing.assert_allclose(losses, file[f"traj/{name}/loss"], rtol=0, atol=loss_tolerance)
    for place, key in places(about, config).items():
        wanted = file[f"traj/{name}/{key}/R"]
        np.testing.assert_allclose(references[place].weight.T.detach(), wanted, rtol=0, atol=rows_tolerance)


def householder(file, key, *, base):
    part = torch.nn.Module()
    part.weight = torch.nn.Parameter(tensor(file[f"{key}/R"]).T.contiguous())
    orthogonal(part)
    part.W, part.b = (torch.nn.Parameter(tensor(file[f"{key}/{name}"])) for name in ("W", "b"))
    if base in file:
        part.parametrizations.weight[0].base = tensor(file[base]).clone()
    return part


def descend(model, optimiser, file, about):
    optimiser.zero_grad()
    loss = call(model, file, about).loss
    loss.backward()
    optimiser.step()
    return loss.item()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_our_own_parametrization_learns_from_the_first_step_on(name):
    file = np.load(TRAJECTORY)
    model, _ = adapted(file, meta(file))
    steps = OPTIMISERS[name][0]([number for number in model.parameters() if number.requires_grad])
    losses = [descend(model, steps, file, meta(file)) for _ in range(5)]
    reference = file[f"traj/{name}/loss"]
    assert losses[0] == pytest.approx(reference[0], abs=5e-5)
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 0.5 * (reference[0] - reference[-1]) > 0
