"""The parameter path: what a server makes of adapters and interventions that participants send. Pure functions."""

from consensus_server.core.parameters.admission import check_plan, check_update
from consensus_server.core.parameters.methods import METHODS, Method, aggregate
from consensus_server.core.parameters.updates import Aggregate, ParameterPlan, Tensors, TensorSpec, Update

__all__ = [
    "METHODS",
    "Aggregate",
    "Method",
    "ParameterPlan",
    "TensorSpec",
    "Tensors",
    "Update",
    "aggregate",
    "check_plan",
    "check_update",
]
