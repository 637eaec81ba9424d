"""Models and tokenizers: from a folder or the model hub, ready to be trained, and whole into a folder again.

Adapters of all kinds come and go here: LoRA, ReFT, which PEFT has to be told of, and LoRA-SB.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.adapter_folders import ADAPTER_FILE, base_of
from client_kit.errors import TrainingError
from client_kit.settings import TrainingSettings, TrlSettings
from client_kit.training import lora_sb

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What a model needs: weights as safetensors only, never pickles."""


def model_folder(model: Path, settings: TrainingSettings) -> Path:
    """The folder of a model, or of an adapter; a name on the model hub is fetched into the hub's local cache.

    Raises TrainingError where neither is to be had, or these settings cannot train what lies there.
    """
    folder = model if any((model / name).is_file() for name in ("config.json", ADAPTER_FILE)) else _from_hub(model)
    try:
        if (folder / ADAPTER_FILE).is_file():
            base_of(folder)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{error}") from error
    lora_sb.check(folder, settings)
    return folder


def _from_hub(model: Path) -> Path:
    if model.is_dir():
        raise TrainingError(f"model folder {model} has no config.json; give the folder of a saved Hugging Face model")
    if model.is_absolute() or len(model.parts) != 2:  # noqa: PLR2004 - owner/name
        raise TrainingError(f"model folder {model} does not exist; give the folder of a saved Hugging Face model")
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - of the extra `train`
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    name = model.as_posix()
    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (OSError, ValueError, HfHubHTTPError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"} else ""
        raise TrainingError(
            f"model {name} is neither a folder here nor in the local cache of the model hub, and the hub did not give "
            f"it{offline}: {type(error).__name__}. Run `hf download {name}` where the hub is within reach, or give a folder"
        ) from error


def on_gpus(settings: TrainingSettings) -> bool:
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


def make_known(folder: Path) -> None:
    """Tell PEFT of ReFT where the folder holds such an adapter; PEFT does not know it by itself."""
    try:
        kind = json.loads((folder / ADAPTER_FILE).read_text(encoding="utf-8")).get("peft_type")
    except (OSError, ValueError):
        return
    if kind == "REFT":
        import client_kit.training.reft  # noqa: F401, PLC0415 - heavy


def load_model(folder: Path, settings: TrlSettings | None = None, *, frozen: tuple[str, ...] = ()) -> "PreTrainedModel":
    """The model in `folder`; where an adapter lies there, its base with the adapter ready to be trained on.

    settings: say in what type the weights lie; in float32 without them. frozen: parts of the adapter that stay as they
    are. Raises TrainingError where it does not load.
    """
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    adapter = (folder / ADAPTER_FILE).is_file()
    options = _options(settings, adapter=adapter)
    make_known(folder)
    try:
        if not adapter:
            return AutoModelForCausalLM.from_pretrained(folder, **options)
        from peft import PeftModel  # noqa: PLC0415

        base = AutoModelForCausalLM.from_pretrained(base_of(folder), **options)
        model = lora_sb.attach(PeftModel.from_pretrained(base, folder, is_trainable=True), folder)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the model in {folder} does not load: {error}") from error
    for name, parameter in model.named_parameters():
        if not set(frozen).isdisjoint(name.split(".")):
            parameter.requires_grad = False
    return model


def _options(settings: TrlSettings | None, *, adapter: bool) -> dict[str, Any]:
    """Type and place of the weights that are loaded."""
    import torch  # noqa: PLC0415

    if settings is None:
        return {"dtype": torch.float32}
    # A frozen base may lie in bfloat16; weights that are trained would lose small updates there.
    frozen = adapter or settings.method != "full"
    dtype = torch.bfloat16 if frozen and settings.precision == "bfloat16" else torch.float32
    if settings.method != "qlora":
        return {"dtype": dtype}
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    four_bit = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    place = int(os.environ.get("LOCAL_RANK", "0"))
    return {"dtype": dtype, "quantization_config": four_bit, "device_map": {"": place}}


def new_adapter(settings: TrainingSettings, folder: Path) -> Any:  # noqa: ANN401 - peft is untyped here
    """PEFT's configuration of the adapter that is made; None where there is one already, or none is wanted."""
    if settings.method == "full" or (folder / ADAPTER_FILE).is_file():
        return None
    return _reft(settings) if isinstance(settings, TrlSettings) and settings.method == "reft" else _lora(settings)


def _lora(settings: TrainingSettings) -> Any:  # noqa: ANN401 - peft is untyped here
    from peft import LoraConfig  # noqa: PLC0415

    targets = settings.lora_target_modules
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        use_dora=settings.method == "dora",
        task_type="CAUSAL_LM",
    )


def _reft(settings: TrlSettings) -> Any:  # noqa: ANN401 - peft is untyped here
    from client_kit.training.reft import ReftConfig  # noqa: PLC0415 - heavy

    layers = settings.reft_layers
    return ReftConfig(
        rank=settings.reft_rank,
        variant=settings.reft_variant,
        layers=layers if isinstance(layers, str) else list(layers),
        positions=settings.reft_positions,
        tied=settings.reft_tied,
        dropout=settings.reft_dropout,
        init=settings.reft_init,
        task_type="CAUSAL_LM",
    )


def trainable(model: Any) -> int:  # noqa: ANN401 - of transformers or peft
    """Numbers that training changes."""
    return sum(numbers.numel() for numbers in model.parameters() if numbers.requires_grad)


def save(model: Any, tokenizer: Any, output: Path, state: dict[str, Any] | None = None) -> None:  # noqa: ANN401 - of transformers or peft
    """Write everything into a folder of its own, then give it its name in one step.

    state: the weights, where the model itself holds a part of them only.
    """
    from peft import PeftModel  # noqa: PLC0415

    # The copy of an adapter that DPO compares with is not the result.
    only = {"selected_adapters": ["default"]} if isinstance(model, PeftModel) else {}
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.saving-") as saving:
        folder = Path(saving) / "model"
        fixed = lora_sb.fold(model)
        model.save_pretrained(folder, **only, **({} if state is None else {"state_dict": state}))
        tokenizer.save_pretrained(folder)
        lora_sb.write_fixed(folder, fixed)
        folder.rename(output)
