"""Microsoft Presidio as a detector. Written against its documented API, and tested with a stand-in of that shape."""

from typing import Any

from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.pii.findings import Detector, Finding


def open_presidio(language: str) -> Detector:
    """Presidio's analyzer with its default recognizers. Loads its language model.

    language: two letters; its default engine knows `en`, and others where a configuration of its own names them. Raises
    MissingExtra, and ConfigurationError where Presidio cannot be loaded.
    """
    try:
        from presidio_analyzer import AnalyzerEngine  # noqa: PLC0415 - an optional extra, loaded where it is used
    except ImportError as error:
        raise MissingExtra("finding personal data with Presidio", "pii") from error
    try:
        engine: Any = AnalyzerEngine(supported_languages=[language])
    except (Exception, SystemExit) as error:  # it ends the process where it can download no language model
        raise ConfigurationError(f"Presidio cannot be loaded for the language {language!r} ({error})") from error

    def detect(text: str) -> list[Finding]:
        found = engine.analyze(text=text, language=language)
        return [Finding(each.start, each.end, each.entity_type) for each in found]

    return detect
