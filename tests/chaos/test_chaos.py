"""A short storm over each database; `python -m tests.chaos` is the long one."""

import pytest

from tests.chaos.trial import differences, in_peace, scratch, under_a_monkey

ROUNDS = 2


@pytest.fixture(scope="module")
def peace(tmp_path_factory):
    return in_peace(scratch(tmp_path_factory.mktemp("peace"), "data"), ROUNDS)


def test_what_two_of_three_say_has_a_label(peace):
    assert all('"text":"It became the' in labels for labels in peace.labels)
    assert len(set(peace.labels)) == ROUNDS


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost_doubled_or_changed(peace, tmp_path, database):
    trial = under_a_monkey(scratch(tmp_path, "data"), ROUNDS, database, seed=1, most=4)
    if trial is None:
        pytest.skip("PostgreSQL of its own takes root on Debian")
    assert differences(peace, trial) == []
    assert trial.done
