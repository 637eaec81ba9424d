"""The plan of a comparison, to begin with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from client_kit.commented_files import commented_file
from client_kit.comparison.plan import Plan

_METHODS = ["local_only", "consensus", "fedavg", "fedit", "centralised"]

_OWN = {
    "models": ["./base-model"],
    "private": ["site-0.jsonl", "site-1.jsonl", "site-2.jsonl"],
    "public": "public.jsonl",
    "test": "test.jsonl",
}

TASKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"facts": {}, "behaviour": {}, "own": {"sites": len(_OWN["private"]), "own": _OWN}}
)
"""What a task must be told."""


def plan_file(task: str) -> str:
    """A `plan.yaml`, commented."""
    values = {"task": task, **TASKS[task], "methods": _METHODS, "seeds": [0, 1, 2], "rounds": 2}
    return commented_file(
        "A comparison of methods", Plan, values, schema_command="consensus schema plan", schema_file="plan.schema.json"
    )
