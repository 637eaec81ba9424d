"""Tiny models with ReFT adapters, for tests."""

import json
from pathlib import Path

import numpy as np
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM

from client_kit.training.reft import ReftConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "reft"


def meta(file):
    """What a golden file says about itself."""
    return json.loads(bytes(file["__meta__"]))


def tensor(array):
    return torch.from_numpy(np.array(array))


def golden_base(name="llama", dtype=torch.float32):
    """A random model of four layers, width 32 and 64 tokens: llama, gpt2, neox or qwen3."""
    folder = GOLDEN / "models" / name
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def adapted(name="llama", *, seed=0, dtype=torch.float32, **settings):
    """A golden model with a new adapter."""
    torch.manual_seed(seed)
    options = {"rank": 3, "layers": [0, 2], "positions": "f2+l2", "task_type": "CAUSAL_LM"} | settings
    return get_peft_model(golden_base(name, dtype), ReftConfig(**options)).eval()


def batch():
    """Three rows padded on the right, with prompts of 5, 4 and 7 of 8, 6 and 9 tokens."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(3, 64, (3, 9), generator=generator)
    lengths, prompts = torch.tensor([8, 6, 9]), torch.tensor([5, 4, 7])
    mask = (torch.arange(9) < lengths[:, None]).long()
    supervised = (torch.arange(9) >= prompts[:, None]) & (mask > 0)
    return {
        "input_ids": torch.where(mask > 0, ids, 0),
        "attention_mask": mask,
        "labels": torch.where(supervised, ids, -100),
    }


def left_padded():
    """Three prompts of 5, 4 and 7 tokens, padded on the left."""
    generator = torch.Generator().manual_seed(6)
    ids = torch.randint(3, 64, (3, 7), generator=generator)
    mask = (torch.arange(7) >= torch.tensor([2, 3, 0])[:, None]).long()
    return {"input_ids": torch.where(mask > 0, ids, 0), "attention_mask": mask}
