"""Models that are quantised, compiled, or run by several processes: right, or refused with the reason. On the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from torch import nn
from torch.nn.functional import linear

from client_kit.errors import ConfigurationError, TrainingError
from client_kit.training.reft import ReftConfig
from tests.support.reft import adapted, batch, golden_base, left_padded

CONFIG = {"rank": 3, "layers": [0, 2], "positions": "f2+l2", "task_type": "CAUSAL_LM"}


class Int8Linear(nn.Module):
    """A matrix kept as int8 with one scale per row, and multiplied in float32: no floating parameter is left."""

    def __init__(self, layer):
        super().__init__()
        scale = layer.weight.abs().amax(1, keepdim=True) / 127
        self.register_buffer("scale", scale.detach())
        self.register_buffer("weight", (layer.weight / scale).round().to(torch.int8).detach())

    def forward(self, states):
        return linear(states, self.weight.float() * self.scale)


def fold(norm):
    """A normalisation whose numbers are a buffer."""
    numbers = norm.weight.detach()
    del norm.weight
    norm.register_buffer("weight", numbers)


def quantised(*, folded=False):
    """The golden Llama with every block's matrices in int8; folded: without any parameter in its blocks."""
    base = golden_base()
    for block in base.model.layers:
        for name, layer in [(n, m) for n, m in block.named_modules() if isinstance(m, nn.Linear)]:
            block.set_submodule(name, Int8Linear(layer))
        for name in ("input_layernorm", "post_attention_layernorm") if folded else ():
            fold(block.get_submodule(name))
    return base


def dequantised():
    """The same numbers in float32."""
    base = golden_base()
    for name, layer in quantised().named_modules():
        if isinstance(layer, Int8Linear):
            base.get_submodule(name).weight.data.copy_(layer.weight.float() * layer.scale)
    return base


def with_reft(base, **changes):
    torch.manual_seed(0)
    return get_peft_model(base, ReftConfig(**CONFIG | changes)).eval()


def gradients(model):
    model(**batch(), use_cache=False).loss.backward()
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def test_edits_of_an_int8_base_are_those_of_the_same_numbers_in_float32():
    """What an int8 base does to ReFT; the kernels of quantisation libraries are not tested here, they need a GPU."""
    found, wanted = gradients(with_reft(quantised())), gradients(with_reft(dequantised()))
    assert found
    assert all("reft_" in name and value.dtype == torch.float32 for name, value in found.items())
    assert all(torch.allclose(value, wanted[name], atol=1e-6) for name, value in found.items())


def test_a_base_whose_blocks_have_buffers_only_can_be_edited():
    model = with_reft(quantised(folded=True))
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    wanted = with_reft(dequantised()).generate(**left_padded(), **options)
    assert torch.equal(model.generate(**left_padded(), **options), wanted)


# torch's own tracing instantiates autograd functions, and warns of it
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_model_edits_as_the_plain_one():
    """Compiled before training or serving; traced by dynamo, with the backend that generates no code."""
    compiled = torch.compile(adapted(), backend="eager")
    with torch.no_grad():
        for positions in (batch(), {name: value[:2] for name, value in batch().items()}):
            assert torch.allclose(compiled(**positions).logits, adapted()(**positions).logits, atol=1e-6)


def test_a_base_that_is_wrapped_already_is_refused():
    with pytest.raises(ConfigurationError, match=r"DataParallel has no config: .* wrap the result"):
        with_reft(nn.DataParallel(golden_base()))


def test_copies_in_threads_are_refused_since_they_share_what_is_known_of_the_prompts():
    """What nn.DataParallel makes for each GPU of one process, as a trainer does without being asked."""
    copy = adapted().base_model.model._replicate_for_data_parallel()
    with pytest.raises(TrainingError, match=r"several GPUs in one process.*torchrun"):
        copy(**batch())


WORKER = """
import json, sys, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tests.support.reft import adapted, batch

rank = int(sys.argv[1])
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
rows = {name: value[2 * rank : 2 * rank + 2] for name, value in json.loads(sys.argv[3]).items()}
model = DistributedDataParallel(adapted(seed=rank).train())
steps = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
for _ in range(3):
    steps.zero_grad()
    model(**{name: torch.tensor(value) for name, value in rows.items()}).loss.backward()
    steps.step()
print("RESULT " + json.dumps({n: p.tolist() for n, p in model.module.named_parameters() if p.requires_grad}))
dist.destroy_process_group()
"""


def test_two_processes_train_one_adapter_as_one_process_does(tmp_path):
    """Each has half of the rows, prompts of unequal lengths; equal counts of supervised tokens make the losses' mean exact."""
    rows = four_rows()
    (tmp_path / "worker.py").write_text(WORKER)
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", tmp_path / "worker.py", str(rank), tmp_path / "meeting", json.dumps(rows)],
            stdout=subprocess.PIPE, text=True, cwd=Path.cwd(), env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )
        for rank in range(2)
    ]  # fmt: skip
    results = [process.communicate(timeout=200)[0].partition("RESULT ")[2] for process in started]
    first, second = map(json.loads, results)
    assert first == second
    alone = trained_alone({name: torch.tensor(value) for name, value in rows.items()})
    assert first.keys() == alone.keys()
    assert all(torch.allclose(torch.tensor(first[name]), alone[name], atol=1e-5) for name in alone)


def four_rows():
    """Prompts of 5, 4, 3 and 6 of 9 tokens, each with three supervised ones."""
    ids = torch.randint(3, 64, (4, 9), generator=torch.Generator().manual_seed(5))
    place, prompts = torch.arange(9), torch.tensor([5, 4, 3, 6])[:, None]
    mask = (place < prompts + 3).long()
    labels = torch.where((place >= prompts) & (mask > 0), ids, -100)
    ids = torch.where(mask > 0, ids, 0)
    return {"input_ids": ids.tolist(), "attention_mask": mask.tolist(), "labels": labels.tolist()}


def trained_alone(rows):
    model = adapted(seed=0).train()
    steps = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        steps.zero_grad()
        model(**rows).loss.backward()
        steps.step()
    return {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}
