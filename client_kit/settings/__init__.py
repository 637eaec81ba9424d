"""What one participant is told: its model, its data, its federation (`consensus join`). Pydantic only.

`client_kit.federation.configuration` reads it from YAML. Secrets never stand in settings: a token comes from an
environment variable or a file.
"""

from client_kit.settings.base import FolderOrName as FolderOrName
from client_kit.settings.base import LocalPath as LocalPath
from client_kit.settings.base import Settings as Settings
from client_kit.settings.generators import TRAINABLE as TRAINABLE
from client_kit.settings.generators import GeneratorSettings as GeneratorSettings
from client_kit.settings.generators import OpenAISettings as OpenAISettings
from client_kit.settings.generators import ScriptedSettings as ScriptedSettings
from client_kit.settings.generators import TransformersSettings as TransformersSettings
from client_kit.settings.generators import VLLMServerSettings as VLLMServerSettings
from client_kit.settings.generators import VLLMSettings as VLLMSettings
from client_kit.settings.site import ApprovedSettings as ApprovedSettings
from client_kit.settings.site import CollapseSettings as CollapseSettings
from client_kit.settings.site import MixingSettings as MixingSettings
from client_kit.settings.site import ParticipantSettings as ParticipantSettings
from client_kit.settings.site import PiiAction as PiiAction
from client_kit.settings.site import PiiSettings as PiiSettings
from client_kit.settings.site import SamplingSettings as SamplingSettings
from client_kit.settings.site import SiteSettings as SiteSettings
from client_kit.settings.site import SlotSettings as SlotSettings
from client_kit.settings.site import SpendingSettings as SpendingSettings
from client_kit.settings.site import ValidationSettings as ValidationSettings
from client_kit.settings.trainers import Accountant as Accountant
from client_kit.settings.trainers import DpoSettings as DpoSettings
from client_kit.settings.trainers import DpSettings as DpSettings
from client_kit.settings.trainers import NoTrainerSettings as NoTrainerSettings
from client_kit.settings.trainers import PrivacyBudget as PrivacyBudget
from client_kit.settings.trainers import Reporter as Reporter
from client_kit.settings.trainers import Schedule as Schedule
from client_kit.settings.trainers import SftSettings as SftSettings
from client_kit.settings.trainers import TrainerSettings as TrainerSettings
from client_kit.settings.trainers import TrainingSettings as TrainingSettings
from client_kit.settings.trainers import TrlSettings as TrlSettings
