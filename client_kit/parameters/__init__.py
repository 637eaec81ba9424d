"""The client half of the parameter path: adapters to files and back, and how they are mixed. Needs the extra `train`."""

from client_kit.parameters.files import rank_of, read_file, write_update
from client_kit.parameters.lora import merge_into_base, read_lora, scaling_of, write_lora
from client_kit.parameters.mixing import COEFFICIENTS, choose_coefficient, mix_interventions
from client_kit.parameters.plans import PARTS, base_digest, make_plan

__all__ = [
    "COEFFICIENTS",
    "PARTS",
    "base_digest",
    "choose_coefficient",
    "make_plan",
    "merge_into_base",
    "mix_interventions",
    "rank_of",
    "read_file",
    "read_lora",
    "scaling_of",
    "write_lora",
    "write_update",
]
