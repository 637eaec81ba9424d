"""The client half of the parameter path: adapters to files and back, and how they are mixed. Needs the extra `train`."""

from client_kit.parameters.files import rank_of as rank_of
from client_kit.parameters.files import read_file as read_file
from client_kit.parameters.files import write_update as write_update
from client_kit.parameters.lora import merge_into_base as merge_into_base
from client_kit.parameters.lora import read_lora as read_lora
from client_kit.parameters.lora import scaling_of as scaling_of
from client_kit.parameters.lora import write_lora as write_lora
from client_kit.parameters.mixing import COEFFICIENTS as COEFFICIENTS
from client_kit.parameters.mixing import choose_coefficient as choose_coefficient
from client_kit.parameters.mixing import mix_interventions as mix_interventions
from client_kit.parameters.plans import PARTS as PARTS
from client_kit.parameters.plans import base_digest as base_digest
from client_kit.parameters.plans import make_plan as make_plan
