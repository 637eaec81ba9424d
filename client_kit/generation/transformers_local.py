"""Answers from a causal language model on this machine, with transformers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit._quiet import without_progress_bars
from client_kit.adapter_folders import ADAPTER_FILE, base_of
from client_kit.errors import ConfigurationError, ContextTooLong, MissingExtra, UnknownModel
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.seeds import answer_seed
from client_kit.rendering import encode
from client_kit.wire import FinishReason, Prompt

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig


class TransformersGenerator:
    """Generates in batches of about equal length, padded on the left.

    model: folder, or name on the model hub. A path that is no folder is found out before any hub is asked. A folder with
        an adapter is loaded onto its base model.
    batch_size: answers generated at once.
    device: `auto` (a GPU where there is one), or what torch calls a device.
    dtype: as torch calls it; `auto` takes that of the weights.
    device_map: how accelerate spreads the model over GPUs and memory; `device` is then `auto`. None: it lies on one device.
    prompt_template: how a prompt becomes the model's input, `{prompt}` standing for it; by default the tokenizer's chat
        template, or the bare prompt where it has none.
    threads: CPU threads of torch in this process; torch's choice where None.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        batch_size: int = 16,
        device: str = "auto",
        dtype: str = "auto",
        device_map: str | None = None,
        prompt_template: str | None = None,
        threads: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"batch_size is {batch_size}; it must be 1 or more")
        if prompt_template is not None and "{prompt}" not in prompt_template:
            raise ConfigurationError("prompt_template has no {prompt}, so that every input would be the same")
        if device_map is not None and device != "auto":
            raise ConfigurationError(
                f"device_map spreads the model, and device {device} names one place; remove one of the two"
            )
        local = _is_folder(model)
        try:
            import torch  # noqa: PLC0415  optional extras are loaded where they are used
            import transformers  # noqa: F401, PLC0415
        except ImportError as error:
            raise MissingExtra("generating with transformers", "generate") from error
        if threads is not None:
            torch.set_num_threads(threads)
        self._batch_size = batch_size
        self._template = prompt_template
        self._tokenizer, self._model = _load(model, _device(device), dtype, device_map, local=local)
        self._ends = _end_tokens(self._tokenizer, self._model)
        self._pad = self._ends[0] if self._tokenizer.pad_token_id is None else self._tokenizer.pad_token_id

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield answers batch by batch, short prompts first.

        A sampled answer depends on the seed, its prompt and its sample number; its neighbours in the batch change it
        only where padding changes a logit by rounding.
        """
        inputs = {prompt.prompt_id: encode(self._tokenizer, prompt.prompt, self._template) for prompt in prompts}
        jobs = ((prompt.prompt_id, sample) for prompt in prompts for sample in range(sampling.samples))
        ordered = iter(sorted(jobs, key=lambda job: (len(inputs[job[0]]), job)))
        while batch := list(islice(ordered, self._batch_size)):
            yield from self._answer(batch, [inputs[prompt_id] for prompt_id, _ in batch], sampling)

    def close(self) -> None:
        """Let go of the model."""
        self._model = None

    def _answer(
        self, batch: Sequence[tuple[str, int]], inputs: Sequence[list[int]], sampling: Sampling
    ) -> Iterator[Generation]:
        import torch  # noqa: PLC0415

        ids, mask = self._pad_left(inputs)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._config(batch, ids.shape[1], sampling),
                logits_processor=_drawing(batch, sampling),
                stopping_criteria=self._stopping(sampling.stop, ids.shape[1]),
            )
        for (prompt_id, sample), tokens, answer in zip(batch, inputs, output[:, ids.shape[1] :].tolist(), strict=True):
            text, finish, count = self._decode(answer, sampling.stop)
            yield Generation(prompt_id, sample, text, finish, len(tokens), count)

    def _pad_left(self, inputs: Sequence[list[int]]) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Token ids and attention mask, both (answers, longest prompt)."""
        import torch  # noqa: PLC0415

        width = max(map(len, inputs))
        ids = [[self._pad] * (width - len(tokens)) + tokens for tokens in inputs]
        mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in inputs]
        return torch.tensor(ids, device=self._model.device), torch.tensor(mask, device=self._model.device)

    def _config(self, batch: Sequence[tuple[str, int]], width: int, sampling: Sampling) -> "GenerationConfig":
        from transformers import GenerationConfig  # noqa: PLC0415

        return GenerationConfig(
            max_new_tokens=min(sampling.max_tokens, self._room(batch, width)),
            do_sample=False,  # drawing is a logits processor: see _drawing
            num_beams=1,
            eos_token_id=self._ends,
            pad_token_id=self._pad,
        )

    def _stopping(self, stop: Sequence[str], width: int) -> Any:  # noqa: ANN401  a transformers class
        from transformers import StoppingCriteriaList  # noqa: PLC0415

        if not stop:
            return StoppingCriteriaList()
        from client_kit.generation.decoding import StopTexts  # noqa: PLC0415

        return StoppingCriteriaList([StopTexts(self._tokenizer, stop, width)])

    def _room(self, batch: Sequence[tuple[str, int]], width: int) -> int:
        """Tokens that the model's context leaves for the answer."""
        context = getattr(self._model.config, "max_position_embeddings", None) or width + 2**20
        if context <= width:
            raise ContextTooLong(
                f"it takes {width} tokens and the model's context is {context}: no room for an answer. "
                "Take a model with a longer context, or another prompt set.",
                prompt_id=batch[-1][0],
            )
        return int(context) - width

    def _decode(self, tokens: list[int], stop: Sequence[str]) -> tuple[str, FinishReason, int]:
        """Text, how it ended, and the number of tokens with the one that ended it."""
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        count = len(tokens) if end is None else end + 1
        text = self._tokenizer.decode(tokens[:count], skip_special_tokens=True)
        cuts = [place for place in (text.find(mark) for mark in stop) if place >= 0]
        if cuts:
            return text[: min(cuts)], FinishReason.STOP, self._unpadded(tokens[:end])
        return text, FinishReason.LENGTH if end is None else FinishReason.STOP, count

    def _unpadded(self, tokens: list[int]) -> int:
        """Tokens of an answer that ended before its neighbours in the batch."""
        count = len(tokens)
        while count and tokens[count - 1] == self._pad:
            count -= 1
        return count


def _drawing(batch: Sequence[tuple[str, int]], sampling: Sampling) -> Any:  # noqa: ANN401  a transformers class
    """Logits processors by which the greatest logit is a sample; none for greedy answers."""
    from transformers import (  # noqa: PLC0415
        LogitsProcessorList,
        TemperatureLogitsWarper,
        TopPLogitsWarper,
    )

    if sampling.temperature == 0.0:
        return LogitsProcessorList()
    from client_kit.generation.decoding import GumbelNoise  # noqa: PLC0415

    seeds = [answer_seed(sampling.seed, prompt_id, sample) for prompt_id, sample in batch]
    nucleus = [TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1.0 else []
    return LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature), *nucleus, GumbelNoise(seeds)])


def _load(model: str | Path, device: str, dtype: str, device_map: str | None, *, local: bool) -> tuple[Any, Any]:
    from transformers import AutoTokenizer  # noqa: PLC0415

    try:
        if (Path(model) / ADAPTER_FILE).is_file():
            base_of(Path(model))  # transformers would look for a base that moved on a hub
        tokenizer = AutoTokenizer.from_pretrained(str(model), local_files_only=local)
        with without_progress_bars():
            options = {"local_files_only": local, "dtype": dtype, "device_map": device_map}
            network = _with_edits(model, options) if _edits(model) else _plain(model, options)
    except (OSError, ValueError, KeyError) as error:
        what = (
            "the folder is no complete model" if local else "it is no folder here, and the model hub does not give it"
        )
        raise UnknownModel(f"model {model} cannot be loaded: {what} ({_first_line(error)})") from error
    return tokenizer, (network.to(device) if device_map is None else network).eval()


def _plain(model: str | Path, options: Mapping[str, Any]) -> Any:  # noqa: ANN401  a transformers model
    """A model, or one with a LoRA adapter: transformers loads both."""
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    return AutoModelForCausalLM.from_pretrained(str(model), **options)


def _edits(model: str | Path) -> bool:
    """Whether the folder holds a ReFT adapter, which changes no weights and which only PEFT itself can load."""
    try:
        return bool(json.loads((Path(model) / ADAPTER_FILE).read_text(encoding="utf-8"))["peft_type"] == "REFT")
    except (OSError, ValueError, KeyError):
        return False


def _with_edits(folder: str | Path, options: Mapping[str, Any]) -> Any:  # noqa: ANN401  a PEFT model
    """The base of a ReFT adapter with the adapter. PEFT knows the method once `client_kit.training.reft` is imported."""
    try:
        from peft import PeftConfig, PeftModel  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("generating with a ReFT adapter", "train") from error
    try:
        base = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
    except KeyError as error:
        raise UnknownModel(
            f"{folder} holds a ReFT adapter; import client_kit.training.reft before loading it"
        ) from error
    return PeftModel.from_pretrained(_plain(base, options), str(folder))


def _is_folder(model: str | Path) -> bool:
    """Whether the model is on this disk. Raises UnknownModel for a path that is not there, before any hub is asked."""
    path = Path(model).expanduser()
    if path.is_dir():
        return True
    if isinstance(model, Path) or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise UnknownModel(f"there is no model folder {path}. Check the path; a name on the hub looks like owner/model")
    return False


def _device(device: str) -> str:
    import torch  # noqa: PLC0415

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _end_tokens(tokenizer: Any, model: Any) -> list[int]:  # noqa: ANN401
    """Tokens that end an answer: the model's and the tokenizer's, which differ in chat models."""
    known = model.generation_config.eos_token_id
    ends = [*(known if isinstance(known, list) else [known]), tokenizer.eos_token_id]
    found = sorted({token for token in ends if token is not None})
    if not found:
        raise UnknownModel("the model has no end-of-text token: set eos_token_id in its generation_config.json")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
