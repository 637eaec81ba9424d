"""Representation fine-tuning (ReFT, arXiv 2404.03592) as a PEFT method: LoReFT and its relatives.

    model = peft.get_peft_model(base, ReftConfig(rank=8, positions="f2+l2", layers=[8, 16], task_type="CAUSAL_LM"))
    trainer = trl.SFTTrainer(model=base, peft_config=ReftConfig(...), ...)

Importing this package tells PEFT the method; it must be imported before an adapter folder is loaded. Needs the extra
`train`.
"""

from client_kit.training.reft.config import ReftConfig as ReftConfig
from client_kit.training.reft.interventions import interventions as interventions
from client_kit.training.reft.interventions import load_interventions as load_interventions
from client_kit.training.reft.interventions import read_adapter as read_adapter
from client_kit.training.reft.interventions import write_adapter as write_adapter
from client_kit.training.reft.model import ReftModel as ReftModel
from client_kit.training.reft.registration import REFT as REFT
from client_kit.training.reft.registration import register
from client_kit.training.reft.variants import VARIANTS as VARIANTS
from client_kit.training.reft.variants import Variant as Variant

register(ReftConfig, ReftModel)
