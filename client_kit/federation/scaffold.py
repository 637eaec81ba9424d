"""Settings files of a participant and of a federation, to begin with."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from client_kit.commented_files import commented_file
from client_kit.federation.configuration import FederationSettings
from client_kit.settings import ParticipantSettings

GENERATORS: Mapping[str, Mapping[str, Any]] = {
    "transformers": {"model": "./base-model"},
    "vllm": {"model": "./base-model"},
    "vllm_server": {"model": "./base-model"},
    "openai": {"model": "some-model", "base_url": "http://127.0.0.1:11434/v1"},
    "scripted": {"answers": "answers.jsonl"},
}
"""What a kind of generator must be told."""

TRAINERS: Mapping[str, Mapping[str, Any]] = {
    "sft": {"steps": 200},
    "dpo": {"steps": 200},
    "dp": {"epsilon": 4.0, "delta": 0.0001, "planned_steps": 800, "steps": 200},
    "none": {},
}
"""What a kind of trainer must be told."""


def participant_file(generator: str, trainer: str) -> str:
    """A `participant.yaml`, commented."""
    values = {
        "server": "http://127.0.0.1:8000", "federation": "clinics", "token_file": "participant.token",
        "work": "work", "rounds": 3, **_site(generator, trainer),
    }  # fmt: skip
    return _file("One participant of one federation", "participant", ParticipantSettings, values)


def federation_file(generator: str, trainer: str) -> str:
    """A `federation.yaml`, commented: two participants on this machine."""
    sites = [{"participant": name, **_site(generator, trainer)} for name in ("anna", "bert")]
    values = {"federation": "clinics", "work": "work", "rounds": 3, "prompt_set": "general", "participants": sites}
    return _file("A whole federation on this machine", "federation", FederationSettings, values)


def _site(generator: str, trainer: str) -> dict[str, Any]:
    private = {} if trainer == "none" else {"private": "private.jsonl"}
    return {
        "generator": {"kind": generator, **GENERATORS[generator]},
        "trainer": {"kind": trainer, **TRAINERS[trainer]},
        **private,
    }


def _file(what: str, subject: str, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    return commented_file(
        what, model, values, schema_command=f"consensus schema {subject}", schema_file=f"{subject}.schema.json"
    )
