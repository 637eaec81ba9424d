"""The methods that can be compared: what each trains, and what each exchanges."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Arm:
    """One method."""

    kind: Literal["alone", "pooled", "labels", "parameters"]
    training: Literal["full", "lora", "lora_sb", "reft"]
    label: str
    """As tables name it."""
    mixed: bool = False
    """Whether participants have different architectures."""
    exchange: str = ""
    """Rule of the labels, where the policy's own is not meant; or the server's method for parameters."""
    abstain: bool = True
    """Whether weak labels are left out."""
    witness: bool = True
    """Of methods that exchange labels: whether a model that was taught none answers, and evidence decides. Else the model that
    is trained on labels answers, in every round again, and support decides."""
    frozen: tuple[str, ...] = ()
    """Parts of the adapter that are not trained."""
    mixed_ranks: bool = False


ARMS: Final[Mapping[str, Arm]] = MappingProxyType(
    {
        "local_only": Arm("alone", "full", "local only"),
        "local_only_mixed": Arm("alone", "full", "local only, mixed architectures", mixed=True),
        "local_only_lora": Arm("alone", "lora", "local only, LoRA"),
        "local_only_reft": Arm("alone", "reft", "local only, LoReFT"),
        "centralised": Arm("pooled", "full", "centralised"),
        "consensus": Arm("labels", "full", "semantic consensus"),
        "consensus_mixed": Arm("labels", "full", "semantic consensus, mixed architectures", mixed=True),
        "consensus_echo": Arm("labels", "full", "semantic consensus, taught models answer", witness=False),
        "exact_vote": Arm("labels", "full", "exact vote (FedCT's way)", exchange="vote", witness=False),
        "random_label": Arm(
            "labels", "full", "a random answer (control)", exchange="random", abstain=False, witness=False
        ),
        "fedavg": Arm("parameters", "full", "FedAvg", exchange="fedavg"),
        "fedit": Arm("parameters", "lora", "FedIT", exchange="fedit"),
        "flora": Arm("parameters", "lora", "FLoRA", exchange="flora"),
        "ffa_lora": Arm("parameters", "lora", "FFA-LoRA", exchange="ffa_lora", frozen=("lora_A",)),
        "het_lora": Arm("parameters", "lora", "HetLoRA", exchange="het_lora", mixed_ranks=True),
        "fedsa_lora": Arm("parameters", "lora", "FedSA-LoRA", exchange="fedsa_lora"),
        "fed_sb": Arm("parameters", "lora_sb", "Fed-SB", exchange="fed_sb"),
        "fedreft": Arm("parameters", "reft", "FedReFT (geometric median)", exchange="fedreft"),
        "fedreft_mean": Arm("parameters", "reft", "FedReFT (mean of the others)", exchange="fedreft_mean"),
        "fedreft_fedavg": Arm("parameters", "reft", "LoReFT, FedAvg of functions", exchange="fedreft_fedavg"),
    }
)
