"""The tuner: which blocks are edited, where prompts end, and what cannot be done with ReFT."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import Tensor, nn

from client_kit.errors import ConfigurationError, TrainingError
from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.layer import ReftLayer
from client_kit.training.reft.prompts import State, chosen_subspaces, from_lengths, from_mask

_ENCODER_TASKS = ("SEQ_CLS", "TOKEN_CLS", "FEATURE_EXTRACTION", "QUESTION_ANS")

_ASSISTED = ("assistant_model", "prompt_lookup_num_tokens", "assistant_early_exit")

_CONTINUOUS = (
    "ReFT cannot be served by continuous batching, which lays prompts end to end in one row; use generate() with a padded "
    "batch, or client_kit.training.reft.vllm_worker"
)

_REPLICAS = (
    "ReFT cannot be trained on several GPUs in one process, whose threads would take one another's prompts; start one process "
    "for each with torchrun or accelerate, or show this one a single GPU (CUDA_VISIBLE_DEVICES)"
)


class ReftModel(BaseTuner):  # type: ignore[misc]  # peft is untyped here
    """Edits the outputs of decoder or encoder blocks at positions of the prompt, never at generated tokens.

    Prompts end where `labels` begin in training, and are the whole input in generate() and for encoders. Everything
    else says it: `model(..., prompt_lengths=lengths)`. What cannot work raises TrainingError with the remedy.
    """

    prefix = "reft_"
    tuner_layer_cls = ReftLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - PEFT's declaration
    uses_shared_state = True  # the prompts of a forward pass; so PEFT's direct injection refuses ReFT

    # What PEFT asks of a tuner.

    def _pre_injection_hook(self, model: nn.Module, config: ReftConfig, adapter_name: str) -> None:
        del adapter_name
        if "_state" not in self.__dict__:
            if not hasattr(model, "config"):
                raise ConfigurationError(
                    f"{type(model).__name__} has no config: give get_peft_model the model itself, and wrap the result"
                )
            if getattr(model.config, "is_encoder_decoder", False):
                raise ConfigurationError("ReFT is there for decoders and for encoders, not for encoder-decoder models")
            self._state = State(causal=str(config.task_type or _guess(model)) not in _ENCODER_TASKS)
            self._hook = model.register_forward_pre_hook(self._before_forward, with_kwargs=True)

    def _prepare_adapter_config(self, peft_config: ReftConfig, model_config: dict[str, Any]) -> ReftConfig:
        del model_config
        if peft_config.target_modules is None:
            path, count = _blocks(self.model)
            layers = range(count) if peft_config.layers == "all" else peft_config.layers
            if outside := [layer for layer in layers if layer not in range(count)]:
                raise ConfigurationError(f"ReFT's layer {outside[0]} is not there; the model has 0 to {count - 1}")
            peft_config.target_modules = rf"{re.escape(path)}\.({'|'.join(map(str, layers))})"
        width = _width(self.model)
        if peft_config.form.orthonormal and peft_config.rank > width:
            raise ConfigurationError(f"ReFT's rank {peft_config.rank} is above the model's width {width}")
        return peft_config

    def _create_and_replace(  # noqa: PLR0917 - PEFT's signature
        self,
        peft_config: ReftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        del current_key, parameter_name
        layer = target if isinstance(target, ReftLayer) else ReftLayer(target, self._state)
        layer.update_layer(adapter_name, peft_config, _width(self.model))
        if layer is not target:
            setattr(parent, target_name, layer)
        if adapter_name not in self.active_adapters:
            layer.set_adapter(layer.active_adapters)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        del child  # PEFT's own looks for a weight, which a block does not have
        setattr(parent, child_name, new_module)

    def set_adapter(self, adapter_name: str | list[str], inference_mode: bool = False) -> None:  # noqa: FBT001, FBT002
        """Switch adapters on. Raises ConfigurationError where two would edit the same token after the same block."""
        names = [adapter_name] if isinstance(adapter_name, str) else adapter_name
        for place, name in enumerate(names):
            for other in names[:place]:
                self._refuse_overlap(self.peft_config[other], self.peft_config[name], (other, name))
        super().set_adapter(adapter_name, inference_mode=inference_mode)

    def _refuse_overlap(self, one: ReftConfig, other: ReftConfig, names: tuple[str, str]) -> None:
        shared = [key for key, _ in self.model.named_modules() if _targets(one, key) and _targets(other, key)]
        if shared and one.places.overlap(other.places):
            raise ConfigurationError(
                f"adapters {names[0]} and {names[1]} both edit {one.positions} and {other.positions} after {shared[0]}; "
                "use other layers or positions, or subspaces of one adapter"
            )

    def _enable_adapter_layers(self, enabled: bool = True) -> None:  # noqa: FBT001, FBT002 - PEFT's signature
        self._state.enabled = enabled
        super()._enable_adapter_layers(enabled)

    def _unload_and_optionally_merge(self, merge: bool = True, **options: Any) -> nn.Module:  # noqa: ANN401, FBT001, FBT002
        if merge:
            raise TrainingError("ReFT's edits depend on a token's position; they cannot be merged. Use unload()")
        self._hook.remove()
        model: nn.Module = super()._unload_and_optionally_merge(merge=False, **options)
        return model

    # Where prompts end.

    def _before_forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if getattr(module, "_is_replica", False):  # what nn.DataParallel makes; all would share one State
            raise TrainingError(_REPLICAS)
        given = {key: value for key, value in kwargs.items() if key != "prompt_lengths"}
        if self._state.enabled and self.active_adapters:
            self._state.begin(given, _inputs(args, given), kwargs.get("prompt_lengths"))
        else:
            self._state.forget()
        return args, given

    @contextmanager
    def subspaces(self, *names: str) -> Iterator[None]:
        """Within, only these subspaces of the active adapters are switched on, in training and in generation.

        Directions are orthonormal, so that two subspaces switched on together change a state by the sum of what each
        does alone (after one block; later blocks are not linear).
        """
        before = self._state.subspaces
        known = {name: bounds for key in self.active_adapters for name, bounds in self._named(key).items()}
        self._state.subspaces = chosen_subspaces(names, known)
        try:
            yield
        finally:
            self._state.subspaces = before

    def _named(self, adapter: str) -> Mapping[str, list[int]]:
        return self.peft_config[adapter].subspaces or {}

    # Generation.

    def generate(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - transformers' generate
        """As transformers' generate(). The input is the prompt, or its first `prompt_lengths` tokens are.

        Positions are found once, for the whole prompt: chunked prefill, any cache, beams and samples see the same edits.
        """
        lengths = kwargs.pop("prompt_lengths", None)
        if not (self._state.enabled and self.active_adapters):
            return self.model.generate(*args, **kwargs)
        ids = _prompt_ids(args, kwargs)
        self._refuse(kwargs)
        mask = kwargs.get("attention_mask")
        _refuse_hidden_padding(ids, mask, kwargs.get("generation_config") or self.model.generation_config)
        prompts = from_mask(mask, ids.shape[0], ids.shape[1], ids.device)
        if lengths is not None:
            prompts = from_lengths(lengths, mask, ids.shape[0], ids.shape[1], ids.device)
        with self._state.generating(prompts, ids.shape[1]):
            return self.model.generate(*args, **kwargs)

    def _refuse(self, kwargs: Mapping[str, Any]) -> None:
        settings = kwargs.get("generation_config") or self.model.generation_config
        for name in _ASSISTED:
            if kwargs.get(name, getattr(settings, name, None)) is not None:
                raise TrainingError(f"ReFT cannot generate with {name}: drafts would be scored without the edits")
        cache = kwargs.get("past_key_values")
        if cache is not None and int(cache.get_seq_length()) > 0:
            raise TrainingError(
                "ReFT cannot go on from a filled cache: what it holds was computed for another prompt's positions; "
                "call generate() with the whole text and no past_key_values"
            )
        if "paged" in str(kwargs.get("cache_implementation", getattr(settings, "cache_implementation", None))):
            raise TrainingError(_CONTINUOUS)

    def generate_batch(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Refused."""
        raise TrainingError(_CONTINUOUS)

    init_continuous_batching = continuous_batching_context_manager = generate_batch


def _guess(model: nn.Module) -> str:
    """The task of a model whose config names none."""
    can_generate = getattr(model, "can_generate", None)
    return "CAUSAL_LM" if can_generate is not None and can_generate() else "FEATURE_EXTRACTION"


def _targets(config: ReftConfig, key: str) -> bool:
    return re.fullmatch(str(config.target_modules), key) is not None


def _width(model: Any) -> int:  # noqa: ANN401 - a transformers model
    return int(model.config.get_text_config().hidden_size)


def _blocks(model: Any) -> tuple[str, int]:  # noqa: ANN401
    """Path and number of the model's blocks: the outermost list of modules as long as the config says."""
    count = model.config.get_text_config().num_hidden_layers
    found = [name for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part) == count]
    if not found:
        raise ConfigurationError(
            f"{type(model).__name__} has no list of {count} blocks; set target_modules to a pattern of their names"
        )
    return min(found, key=lambda name: name.count(".")), count


def _inputs(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    for value in (kwargs.get("input_ids"), kwargs.get("inputs_embeds"), *args[:1]):
        if isinstance(value, Tensor):
            return value
    raise TrainingError("ReFT found neither input_ids nor inputs_embeds in the call of the model; pass them by name")


def _prompt_ids(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    ids = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
    if not isinstance(ids, Tensor) or ids.dim() != 2 or not ids.shape[1]:  # noqa: PLR2004
        raise TrainingError("ReFT generates from input_ids of shape (rows, tokens); embeddings alone are not enough")
    return ids


def _refuse_hidden_padding(ids: Tensor, mask: Tensor | None, settings: Any) -> None:  # noqa: ANN401
    """transformers guesses a missing mask from padding tokens; a guess is no ground for choosing what is edited."""
    pad, end = settings.pad_token_id, settings.eos_token_id
    ends = torch.as_tensor(end if end is not None else [], device=ids.device).flatten()
    if mask is None and pad is not None and not bool((ends == pad).any()) and bool((ids == pad).any()):
        raise TrainingError(
            "these prompts hold padding tokens; pass their attention_mask, so that ReFT knows the prompts"
        )
