"""A ReFT adapter in vLLM. Experimental: tested with vLLM 0.32 on the CPU, with Llama; not on GPUs.

    llm = LLM(model=base, worker_extension_cls="client_kit.training.reft.vllm_worker.ReftWorker",
              enforce_eager=True, enable_prefix_caching=False)
    llm.collective_rpc("load_reft", args=(str(adapter_folder),))

vLLM lays the tokens of all requests end to end, in steps that mix prompts and answers. Before each step the edited rows
are found from what vLLM knows of its requests; hooks on the blocks then edit these rows. Prompts in several chunks are
edited where they are.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from client_kit.errors import TrainingError
from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.interventions import Tensors, read_adapter
from client_kit.training.reft.layer import Effective, change_of
from client_kit.training.reft.positions import Edited, Prompts, edited


class ReftWorker:
    """What vLLM adds to its worker; `self.model_runner` and `self.vllm_config` are the worker's."""

    model_runner: Any
    vllm_config: Any
    _reft: "_Serving | None" = None

    def load_reft(self, folder: str) -> int:
        """Edit with this adapter from the next request on, in place of any other; the number of edited blocks.

        Raises TrainingError where the folder is no ReFT adapter, or vLLM runs in a way that would lose edits.
        """
        _refuse(self.vllm_config)
        config, tensors = read_adapter(Path(folder))
        self.unload_reft()
        self._reft = _Serving(self.model_runner, config, tensors)
        return len(self._reft.blocks)

    def unload_reft(self) -> None:
        """Edit no more."""
        if self._reft is not None:
            self._reft.close()
        self._reft = None

    def reft_rows(self) -> int:
        """Tokens edited since the adapter was loaded, once for each group and step."""
        return 0 if self._reft is None else self._reft.count


class _Serving:
    """The hooks of one adapter."""

    def __init__(self, runner: Any, config: ReftConfig, tensors: Tensors) -> None:  # noqa: ANN401 - vLLM's
        layers = _layers(runner.get_model(), runner.vllm_config.model_config.hf_text_config.num_hidden_layers)
        self.blocks = sorted({int(name.split(".")[1]) for name in tensors})
        if self.blocks[-1] >= len(layers):
            raise TrainingError(
                f"the adapter edits block {self.blocks[-1]}; this model has {len(layers)}: another base?"
            )
        self.count = 0
        self._runner, self._config = runner, config
        self._rows: list[Tensor] = []
        # Not on the model itself: its compiled __call__ runs no hooks.
        self._handles = [layers[0].register_forward_pre_hook(self._before)]
        for block in self.blocks:
            hook = _edit(self, config, _effective(config, tensors, block, next(layers[block].parameters()).device))
            self._handles.append(layers[block].register_forward_hook(hook))

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    @property
    def rows(self) -> list[Tensor]:
        """Edited rows of the running step, for each group."""
        return self._rows

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Find this step's rows."""
        del args
        batch = self._runner.input_batch
        starts = self._runner.query_start_loc.np[: batch.num_reqs + 1].tolist()
        groups: list[list[Tensor]] = [[] for _ in self._config.groups]
        for request, (start, stop) in enumerate(pairwise(starts)):
            seen, length = int(batch.num_computed_tokens_cpu[request]), int(batch.num_prompt_tokens[request])
            if seen < length:
                found = edited(self._config.places, _prompt(length), seen=seen, width=stop - start)
                for rows, half in zip(groups, _halves(found, len(groups)), strict=True):
                    rows.append(found.index[0, half][found.used[0, half]] + start)
        device = next(module.parameters()).device
        self._rows = [torch.cat(found).to(device) if found else torch.empty(0, dtype=torch.long) for found in groups]
        self.count += sum(map(len, self._rows))


def _prompt(length: int) -> Prompts:
    return Prompts(torch.tensor([0]), torch.tensor([length]))


def _halves(found: Edited, groups: int) -> tuple[slice, ...]:
    """Slots of each group."""
    return (slice(0, found.prefix), slice(found.prefix, None)) if groups > 1 else (slice(None),)


def _edit(serving: _Serving, config: ReftConfig, tensors: Effective) -> Any:  # noqa: ANN401 - a hook
    """What edits the output of one block: a state, or two parts of which the state is the sum."""

    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:  # noqa: ANN401
        del module, args
        parts = output if isinstance(output, tuple) else (output,)
        hidden = parts[0]
        for group, rows in enumerate(serving.rows):
            if len(rows):
                states = sum((part[rows].float() for part in parts[1:] if part is not None), hidden[rows].float())
                hidden = hidden.index_add(0, rows, change_of(states, config, tensors, group).to(hidden.dtype))
        return (hidden, *parts[1:]) if isinstance(output, tuple) else hidden

    return hook


def _effective(config: ReftConfig, tensors: Tensors, block: int, device: torch.device) -> Effective:
    def stacked(name: str) -> Tensor:
        return torch.stack([tensors[f"layers.{block}.{group}.{name}"] for group in config.groups]).to(device)

    return Effective(stacked(config.form.up), stacked("W") if config.form.projects else None, stacked("b"))


def _layers(model: nn.Module, count: int) -> nn.ModuleList:
    found = [
        (name, part) for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part) == count
    ]
    if not found:
        raise TrainingError(
            f"{type(model).__name__} has no list of {count} blocks in vLLM; ReFT cannot be served with it"
        )
    return min(found, key=lambda pair: pair[0].count("."))[1]


def _refuse(config: Any) -> None:  # noqa: ANN401 - vLLM's
    parallel = config.parallel_config
    reasons = {
        "enforce_eager=True: compiled graphs run no hooks": not config.model_config.enforce_eager,
        "enable_prefix_caching=False: a cached prefix was edited for another prompt": config.cache_config.enable_prefix_caching,
        "one worker: parallel ones are untested": parallel.tensor_parallel_size * parallel.pipeline_parallel_size > 1,
        "no speculative decoding: drafts know no edits": config.speculative_config is not None,
    }
    if wrong := [reason for reason, found in reasons.items() if found]:
        raise TrainingError(f"vLLM serves ReFT only with {wrong[0]}")
