"""From a name in the settings to a detector."""

from importlib import import_module

from client_kit.errors import ConfigurationError
from client_kit.pii.findings import Detector
from client_kit.pii.patterns import find_patterns
from client_kit.pii.presidio import open_presidio


def open_detector(name: str, language: str = "en") -> Detector:
    """The detector of this name: `patterns`, `presidio`, or a function of one's own, `package.module.function`.

    Raises ConfigurationError for a name that leads to no function, and MissingExtra.
    """
    if name == "patterns":
        return find_patterns
    if name == "presidio":
        return open_presidio(language)
    module, _, function = name.rpartition(".")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"pii.find: {name!r} is neither patterns, presidio nor a function that can be imported ({error})"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"pii.find: {name} is no function")
    detector: Detector = found
    return detector
