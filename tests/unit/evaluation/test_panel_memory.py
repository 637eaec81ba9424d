"""Panels that learn are measured on questions that they decide one by one."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation.answer_files import read_judged_answers
from consensus_server.evaluation.bank import make_bank
from consensus_server.evaluation.panel_memory import measure_learning
from tests.unit.evaluation.conftest import MemoryStore

POLICY = Policy(abstain=False, guards=False, reliability=False, contradictions="none")


@pytest.fixture(scope="module")
def bank(judged_file):
    return make_bank(read_judged_answers(judged_file), [], HashingEncoder(), MemoryStore(), drop_refusals=True)


def test_a_panel_gains_where_who_knows_more_is_more_central(bank):
    found = measure_learning("made", bank, POLICY, 5, 6, 7, 500.0)
    assert (found.judged, found.panel_size) == (12, 5)
    assert found.over_none.mean == pytest.approx(found.quality - found.without_memory)
    assert found.over_best.mean == pytest.approx(found.quality - found.best_upstream)
    assert found.over_none.mean > 0.01
    assert found == measure_learning("made", bank, POLICY, 5, 6, 7, 500.0)


def test_what_nobody_judged_is_left_out_and_too_few_models_are_told(bank):
    unknown = bank.worth.copy()
    unknown[:, 3] = np.nan
    found = measure_learning("made", replace(bank, worth=unknown), POLICY, 9, 1, 7, 500.0)
    assert found.quality is not None
    with pytest.raises(ValueError, match="a panel of 10 needs as many models"):
        measure_learning("made", bank, POLICY, 10, 2, 7, 500.0)
