"""Representation fine-tuning (ReFT, arXiv 2404.03592) as a PEFT method: LoReFT and its relatives.

    model = peft.get_peft_model(base, ReftConfig(rank=8, positions="f2+l2", layers=[8, 16], task_type="CAUSAL_LM"))
    trainer = trl.SFTTrainer(model=base, peft_config=ReftConfig(...), ...)

Importing this package tells PEFT the method; it must be imported before an adapter folder is loaded. Needs the extra
`train`.
"""

from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.interventions import (
    interventions,
    load_interventions,
    read_adapter,
    write_adapter,
)
from client_kit.training.reft.model import ReftModel
from client_kit.training.reft.registration import REFT, register
from client_kit.training.reft.variants import VARIANTS, Variant

__all__ = [
    "REFT",
    "VARIANTS",
    "ReftConfig",
    "ReftModel",
    "Variant",
    "interventions",
    "load_interventions",
    "read_adapter",
    "write_adapter",
]

register(ReftConfig, ReftModel)
