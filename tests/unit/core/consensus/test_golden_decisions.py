import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[3] / "golden" / "consensus"


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_golden_decisions", GOLDEN / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_decisions_are_the_bytes_they_were(make):
    """If this is meant to change: python tests/golden/consensus/make.py, and read the difference."""
    assert make.decisions_json(make.read_pools()) == (GOLDEN / "decisions.json").read_text()


def test_the_golden_pools_have_every_outcome():
    outcomes = Counter(row["abstention"] for row in json.loads((GOLDEN / "decisions.json").read_text()))
    assert set(outcomes) == {None, "tie", "low_support", "single_answer", "low_evidence", "conflict"}
