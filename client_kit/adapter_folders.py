"""The folder of an adapter, and the base model that it names."""

import json
from pathlib import Path

ADAPTER_FILE = "adapter_config.json"


def base_of(adapter: Path) -> str:
    """The base model of an adapter: a folder that is there, or a name on the model hub.

    Raises ValueError where the adapter names none, or a folder that is not there any more.
    """
    facts = json.loads((adapter / ADAPTER_FILE).read_text(encoding="utf-8"))
    base = str(facts.get("base_model_name_or_path") or "")
    if not base:
        raise ValueError(f"{adapter / ADAPTER_FILE} names no base model; write its folder as base_model_name_or_path")
    is_path = base.startswith((".", "/", "~")) or base.count("/") > 1
    if is_path and not Path(base).expanduser().is_dir():
        raise ValueError(
            f"the adapter in {adapter} was trained on {base}, which is not there: put that model back, or write where it lies "
            f"now as base_model_name_or_path in {adapter / ADAPTER_FILE}. Another model will not do"
        )
    return base
