"""What can be found out before hours of work, is: files, model folders, names of rules, and whose token it is."""

from collections.abc import Iterable
from pathlib import Path

from client_kit.errors import ConfigurationError, UnknownRule
from client_kit.federation.site import read_known_answers, read_questions
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.settings import ScriptedSettings, SiteSettings, TransformersSettings, VLLMServerSettings, VLLMSettings
from client_kit.training.dataset import load_examples
from client_kit.vocabulary import CONFIDENCE_NAMES, RULE_NAMES, Role
from client_kit.wire import ConsensusPolicy, Identity

_OLD_RULE = "mean_nearest"
"""Of version 0.1.0; the server takes it for `medoid`."""
_MODEL_FILES = ("config.json", "adapter_config.json")


def require_participant(identity: Identity) -> None:
    """Raise ConfigurationError for a token with which nobody can submit."""
    if identity.role is Role.PARTICIPANT:
        return
    whose = f"{identity.participant}'s, whose role is {identity.role}" if identity.participant else "the operator's"
    raise ConfigurationError(
        f"the token is {whose}: only a participant can submit answers. Take the token that the operator issued for this site"
    )


def check_site(settings: SiteSettings) -> None:
    """Read every file that a site names, and look for its model. Raises ConfigurationError naming what is not usable."""
    generator = settings.generator
    if isinstance(generator, ScriptedSettings):
        ScriptedGenerator.from_file(generator.answers)
    if isinstance(generator, TransformersSettings | VLLMSettings) or (
        isinstance(generator, VLLMServerSettings) and generator.base_url is None
    ):
        check_model_folder(Path(generator.model))
    if settings.private is not None:
        load_examples(settings.private)
    if settings.evaluation is not None:
        read_questions(settings.evaluation)
    if settings.collapse.gold is not None:
        read_known_answers(settings.collapse.gold)


def check_model_folder(folder: Path) -> None:
    """Raise ConfigurationError for a folder without a model. A name on the model hub, `owner/name`, is not looked for."""
    if any((folder / name).is_file() for name in _MODEL_FILES):
        return
    if folder.is_dir():
        raise ConfigurationError(
            f"model folder {folder} has no config.json; give the folder of a saved Hugging Face model"
        )
    if folder.is_absolute():
        raise ConfigurationError(f"model folder {folder} does not exist; give the folder of a saved Hugging Face model")


def check_policy(policy: ConsensusPolicy, *, rule: str = "policy.rule") -> None:
    """Raise UnknownRule, as the server would, for a rule or a confidence score that there is not. rule: where it was named."""
    if policy.rule != _OLD_RULE:
        _require_known(policy.rule, RULE_NAMES, rule)
    _require_known(policy.confidence, CONFIDENCE_NAMES, "policy.confidence")


def _require_known(name: str, known: Iterable[str], where: str) -> None:
    if name not in known:
        raise UnknownRule(f"{where}: there is no {name!r}; known are {', '.join(sorted(known))}.")
