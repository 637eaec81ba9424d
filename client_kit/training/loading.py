"""Models and tokenizers from folders or the model hub, ready to be trained."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import TrainingError
from client_kit.training import lora_sb
from client_kit.training.adapters import ADAPTER_FILE, make_known, reft_config
from client_kit.training.sft_settings import Lora, SFTSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What a model needs: weights as safetensors only, never pickles."""


def model_folder(model: Path) -> Path:
    """The folder of a model, or of an adapter; a name on the model hub is fetched into the hub's local cache.

    Raises TrainingError where neither is to be had.
    """
    if (model / "config.json").is_file() or (model / ADAPTER_FILE).is_file():
        return model
    if model.is_dir():
        raise TrainingError(f"model folder {model} has no config.json; give the folder of a saved Hugging Face model")
    if model.is_absolute() or len(model.parts) != 2:  # noqa: PLR2004 - owner/name
        raise TrainingError(f"model folder {model} does not exist; give the folder of a saved Hugging Face model")
    return _from_hub(model.as_posix())


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - of the extra `train`
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (OSError, ValueError, HfHubHTTPError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"} else ""
        raise TrainingError(
            f"model {name} is neither a folder here nor in the local cache of the model hub, and the hub did not give "
            f"it{offline}: {type(error).__name__}. Run `hf download {name}` where the hub is within reach, or give a folder"
        ) from error


def check_output(output: Path) -> None:
    """Raises TrainingError where `output` is there already."""
    if output.exists():
        raise TrainingError(f"output {output} is there already; remove it or choose another folder")


def check_hardware(settings: SFTSettings) -> None:
    """Refuse, before anything is loaded, what this machine cannot do. Raises TrainingError with the remedy."""
    import torch  # noqa: PLC0415

    gpu = torch.cuda.is_available()
    if on_gpus(settings) and settings.processes > torch.cuda.device_count():
        raise TrainingError(
            f"processes is {settings.processes}, one per GPU, and torch finds {torch.cuda.device_count()}; lower it"
        )
    if settings.device == "cuda" and not gpu:
        raise TrainingError(
            "device is cuda, and torch finds no GPU; install torch for CUDA, or take device auto or cpu"
        )
    if settings.lora is None or not settings.lora.four_bit:
        return
    lacking = []
    if not gpu or settings.device == "cpu":
        lacking.append("an NVIDIA GPU that torch sees" if not gpu else "a GPU, and device is cpu")
    if find_spec("bitsandbytes") is None:
        lacking.append("the package bitsandbytes")
    if lacking:
        raise TrainingError(
            f"QLoRA keeps the base model in four bits, which needs {' and '.join(lacking)}; take method lora "
            "(with precision bfloat16 it needs 2 bytes per weight), or train on a machine with a GPU "
            "after `pip install bitsandbytes`"
        )


def on_gpus(settings: SFTSettings) -> bool:
    """Whether training runs on GPUs: it is not kept from it, and there is one."""
    import torch  # noqa: PLC0415

    return settings.device != "cpu" and torch.cuda.is_available()


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
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    adapter = (folder / ADAPTER_FILE).is_file()
    options = _options(settings, frozen=adapter or settings.lora is not None or settings.reft is not None)
    make_known(folder)
    try:
        if not adapter:
            return AutoModelForCausalLM.from_pretrained(folder, **options)
        from peft import PeftConfig, PeftModel  # noqa: PLC0415

        base = AutoModelForCausalLM.from_pretrained(
            PeftConfig.from_pretrained(folder).base_model_name_or_path, **options
        )
        return _frozen(
            lora_sb.attach(PeftModel.from_pretrained(base, folder, is_trainable=True), folder), settings.frozen
        )
    except (OSError, ValueError) as error:
        raise TrainingError(f"the model in {folder} does not load: {error}") from error


def _options(settings: SFTSettings, *, frozen: bool) -> dict[str, Any]:
    """Type and place of the weights that are loaded."""
    import torch  # noqa: PLC0415

    # A frozen base may lie in bfloat16; weights that are trained would lose small updates there.
    half = frozen and settings.precision == "bfloat16"
    dtype = torch.bfloat16 if half else torch.float32
    if settings.lora is None or not settings.lora.four_bit:
        return {"dtype": dtype}
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    four_bit = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    place = int(os.environ.get("LOCAL_RANK", "0"))
    return {"dtype": dtype, "quantization_config": four_bit, "device_map": {"": place}}


def _frozen(model: Any, parts: tuple[str, ...]) -> Any:  # noqa: ANN401 - peft is untyped here
    """The model with these parts of its adapter left as they are."""
    for name, parameter in model.named_parameters():
        if not set(parts).isdisjoint(name.split(".")):
            parameter.requires_grad = False
    return model


def peft_config(settings: SFTSettings, folder: Path) -> Any:  # noqa: ANN401 - peft is untyped here
    """What TRL makes a new adapter from; None where there is one already, or none is wanted."""
    if (folder / ADAPTER_FILE).is_file():
        return None
    if settings.reft is not None:
        return reft_config(settings.reft)
    return None if settings.lora is None else _lora_config(settings.lora)


def _lora_config(lora: Lora) -> Any:  # noqa: ANN401 - peft is untyped here
    from peft import LoraConfig  # noqa: PLC0415

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        use_dora=lora.dora,
        task_type="CAUSAL_LM",
    )
