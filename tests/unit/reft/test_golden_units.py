"""The edits, their gradients and the choice of positions, against numbers of pyreft and adapters."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.layer import Effective, change_of
from client_kit.training.reft.positions import Positions, Prompts, edited

GOLDEN = Path(__file__).parents[2] / "golden" / "reft"
VARIANT_OF = {
    "LoReFT": "loreft",
    "NoReFT": "noreft",
    "DiReFT": "direft",
    "DiReFT_orth": "direft_orth",
    "ConsReFT": "consreft",
    "LobiReFT": "lobireft",
}


def meta(file):
    return json.loads(bytes(file["__meta__"]))


def unit_cases():
    for path in sorted(GOLDEN.glob("unit_*.npz")):
        for case in meta(np.load(path))["cases"]:
            yield pytest.param(path, case, id=f"{path.stem}-{case}")


@pytest.mark.parametrize(("path", "case"), list(unit_cases()))
def test_edits_and_gradients_equal_the_references(path, case):
    file, name = np.load(path), case.removesuffix("_relu")
    config = ReftConfig(
        rank=4, variant=VARIANT_OF[name], activation="relu" if case != name else "identity", positions="f1"
    )
    read = lambda key: torch.from_numpy(file[f"{case}/{key}"]).requires_grad_()  # noqa: E731
    up, b, h = read(config.form.up), read("b"), read("h")
    W = read("W") if config.form.projects else None  # noqa: N806
    tensors = Effective(up[None], None if W is None else W[None], b[None])
    out = h + change_of(h, config, tensors, 0)
    (out * torch.from_numpy(file[f"{case}/G"])).sum().backward()
    found = {"out": out.detach(), "grad_h": h.grad, f"grad_{config.form.up}": up.grad, "grad_b": b.grad}
    found |= {} if W is None else {"grad_W": W.grad}
    for key, value in found.items():
        np.testing.assert_allclose(value.numpy(), file[f"{case}/{key}"], rtol=0, atol=1e-11, err_msg=key)


def test_every_variant_stands_in_the_golden_data():
    cases = {case.values[1].removesuffix("_relu") for case in unit_cases()}
    assert {VARIANT_OF[case] for case in cases} == set(VARIANT_OF.values())


POSITIONS = json.loads((GOLDEN / "positions.json").read_text(encoding="utf-8"))
ROWS = POSITIONS["rows"]


@pytest.mark.parametrize("start", [0, 3])
def test_positions_are_pyrefts(start):
    for row in ROWS:
        first, last, length = row["first_n"], row["last_n"], row["prompt_len"]
        prompts = Prompts(torch.tensor([start]), torch.tensor([length]))
        found = edited(Positions(first, last), prompts, seen=0, width=start + length)
        columns = [index - start for index, used in zip(found.index[0].tolist(), found.used[0].tolist(), strict=True)]
        used = found.used[0].tolist()
        prefix = sorted(c for c, on in zip(columns[:first], used[:first], strict=True) if on)
        suffix = sorted(c for c, on in zip(columns[first:], used[first:], strict=True) if on)
        groups = [prefix, suffix] if first and last and not row["tied"] else [prefix + suffix]
        assert groups == row["real"], row
    assert len(ROWS) == 160
