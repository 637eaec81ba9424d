"""Findings are checked, never trusted; a failure tells nothing of the text. Detectors are opened by name."""

import sys
from types import SimpleNamespace

import pytest

from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.pii import Finding, masked, open_detector
from client_kit.pii.findings import findings
from client_kit.pii.patterns import find_patterns

TEXT = "Anna lives at anna@example.org."


def names(text):
    """A detector of one's own, as a site writes it."""
    return [(0, 4, "Name")] if text.startswith("Anna") else []


no_function = "x"


def broken(text):
    raise RuntimeError(text)


def test_a_mask_stands_in_place_of_each_finding():
    assert masked(TEXT, findings(lambda text: [*names(text), *find_patterns(text)], TEXT)) == "<NAME> lives at <EMAIL>."


def test_of_findings_that_overlap_the_longest_stays():
    assert findings(lambda _: [(0, 4, "a"), (2, 9, "b"), (4, 6, "c"), (9, 11, "d")], TEXT) == [
        (2, 9, "b"),
        (9, 11, "d"),
    ]


@pytest.mark.parametrize(
    "detect",
    [
        broken,
        lambda _: [(0, 99, "name")],
        lambda _: [(-1, 3, "name")],
        lambda _: [(3, 3, "name")],
        lambda _: [(0, 4, TEXT[:4] + " " + TEXT[5:])],  # a kind is recorded: it is no place for the text
        lambda _: [("0", 4, "name")],
        lambda _: None,
    ],
)
def test_a_detector_that_fails_stops_the_site_and_tells_nothing_of_the_text(detect):
    with pytest.raises(ConfigurationError, match="nothing was sent") as failed:
        findings(detect, TEXT)
    assert "Anna" not in str(failed.value)


def test_detectors_are_opened_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "hospital", SimpleNamespace(names=names, no_function=no_function))
    assert open_detector("patterns") is find_patterns
    assert open_detector("hospital.names") is names
    for name in ("hospital.nobody", "hospital.no_function", "no.such.module", "nothing"):
        with pytest.raises(ConfigurationError, match=r"pii\.find"):
            open_detector(name)


class FakeEngine:
    """The shape of `presidio_analyzer.AnalyzerEngine`, as its documentation has it."""

    def __init__(self, supported_languages):
        if supported_languages != ["en"]:
            raise ValueError("no NLP engine for this language")

    def analyze(self, *, text, language):
        assert language == "en"
        return [SimpleNamespace(entity_type="PERSON", start=0, end=4, score=0.85)] if "Anna" in text else []


def test_presidio_is_asked_as_its_documentation_has_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", SimpleNamespace(AnalyzerEngine=FakeEngine))
    assert findings(open_detector("presidio"), TEXT) == [Finding(0, 4, "person")]
    with pytest.raises(ConfigurationError, match="'xx'"):
        open_detector("presidio", "xx")


def test_presidio_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtra, match=r"semantic-consensus\[pii\]"):
        open_detector("presidio")


def test_the_real_presidio_finds_an_address():
    pytest.importorskip("presidio_analyzer", reason="the extra `pii` is not installed")
    assert "email_address" in {each.kind for each in findings(open_detector("presidio"), TEXT)}
