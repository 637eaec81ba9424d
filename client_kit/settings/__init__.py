"""What one participant is told: its model, its data, its federation (`consensus join`). Pydantic only.

`client_kit.federation.configuration` reads it from YAML. Secrets never stand in settings: a token comes from an
environment variable or a file.
"""

from client_kit.settings.base import FolderOrName, LocalPath, Settings
from client_kit.settings.generators import (
    TRAINABLE,
    GeneratorSettings,
    OpenAISettings,
    ScriptedSettings,
    TransformersSettings,
    VLLMServerSettings,
    VLLMSettings,
)
from client_kit.settings.site import (
    CollapseSettings,
    MixingSettings,
    ParticipantSettings,
    SamplingSettings,
    SiteSettings,
    SlotSettings,
    SpendingSettings,
    ValidationSettings,
)
from client_kit.settings.trainers import (
    Accountant,
    DpoSettings,
    DpSettings,
    NoTrainerSettings,
    PrivacyBudget,
    Reporter,
    Schedule,
    SftSettings,
    TrainerSettings,
    TrainingSettings,
    TrlSettings,
)

__all__ = [
    "TRAINABLE", "Accountant", "CollapseSettings", "DpSettings", "DpoSettings", "FolderOrName", "GeneratorSettings",
    "LocalPath", "MixingSettings", "NoTrainerSettings", "OpenAISettings", "ParticipantSettings", "PrivacyBudget",
    "Reporter", "SamplingSettings", "Schedule", "ScriptedSettings", "Settings", "SftSettings", "SiteSettings",
    "SlotSettings", "SpendingSettings", "TrainerSettings", "TrainingSettings", "TransformersSettings", "TrlSettings",
    "VLLMServerSettings", "VLLMSettings", "ValidationSettings",
]  # fmt: skip
