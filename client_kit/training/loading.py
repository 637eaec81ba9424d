"""Models and tokenizers from folders, ready to be trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import TrainingError
from client_kit.training.sft_settings import Lora, SFTSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER_FILE = "adapter_config.json"


def check_paths(model: Path, output: Path) -> None:
    """Raises TrainingError where `model` holds neither a model nor an adapter, or `output` is there already."""
    if not (model / "config.json").is_file() and not (model / ADAPTER_FILE).is_file():
        there = "has no config.json" if model.is_dir() else "does not exist"
        raise TrainingError(f"model folder {model} {there}; give the folder of a saved Hugging Face model")
    if output.exists():
        raise TrainingError(f"output {output} is there already; remove it or choose another folder")


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer in `folder`. Raises TrainingError where there is none, or it cannot end a text."""
    from transformers import AutoTokenizer  # noqa: PLC0415

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise TrainingError(f"model folder {folder} has no tokenizer that loads: {error}") from error
    if tokenizer.eos_token is None:
        raise TrainingError(f"the tokenizer in {folder} has no end-of-text token; set eos_token and save it again")
    return tokenizer


def load_model(folder: Path, settings: SFTSettings) -> "PreTrainedModel":
    """The model in `folder`; where an adapter lies there, its base with the adapter ready to be trained on."""
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "device is cuda, and torch finds no GPU; install torch for CUDA, or take device auto or cpu"
        )
    adapter = (folder / ADAPTER_FILE).is_file()
    frozen = adapter or settings.lora is not None
    # A frozen base may lie in bfloat16; weights that are trained would lose small updates there.
    dtype = torch.bfloat16 if frozen and settings.precision == "bfloat16" else torch.float32
    try:
        if not adapter:
            return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        from peft import PeftConfig, PeftModel  # noqa: PLC0415

        base = AutoModelForCausalLM.from_pretrained(
            PeftConfig.from_pretrained(folder).base_model_name_or_path, dtype=dtype
        )
        return PeftModel.from_pretrained(base, folder, is_trainable=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the model in {folder} does not load: {error}") from error


def peft_config(lora: Lora | None, folder: Path) -> Any:  # noqa: ANN401 - peft is untyped here
    """What TRL makes a new adapter from; None where there is one already, or none is wanted."""
    if lora is None or (folder / ADAPTER_FILE).is_file():
        return None
    from peft import LoraConfig  # noqa: PLC0415

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
