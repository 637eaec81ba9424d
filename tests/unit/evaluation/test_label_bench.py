from dataclasses import replace

import numpy as np
import pytest

from consensus_server.backends.encoders import HashingEncoder
from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.rules import RULES
from consensus_server.evaluation.answer_files import AnswerFileError, read_judged_answers
from consensus_server.evaluation.attacks import ATTACKS, attack_columns, attacked_prompts, seated, weakest
from consensus_server.evaluation.bank import make_bank
from consensus_server.evaluation.panels import Panel, _pool, decide_panel, draw_panel
from consensus_server.evaluation.report import write_reports, write_results
from consensus_server.evaluation.run import Plan, run

SETTINGS = [(False, False), (True, False), (True, True), (False, True)]


@pytest.fixture(scope="module")
def answers(judged_file):
    return read_judged_answers(judged_file)


def with_openings(bank, pool, encoder):
    return replace(
        pool,
        prompt=(prompt := bank.prompts[bank.prompt_ids.index(pool.prompt_id)]),
        prompt_opening=encoder.encode_with_openings([prompt])[1][0],
        openings=encoder.encode_with_openings(pool.texts)[1],
    )


@pytest.mark.parametrize("attack", ["on_topic_copies", "garbage", "empty", "over_long", "constant_spam"])
def test_a_panel_is_decided_as_the_service_decides_a_round(answers, store, attack):
    encoder = HashingEncoder()
    bank = make_bank(answers, attack_columns(answers, attack, 3, 7), encoder, store)
    columns, attacked = seated(draw_panel(9, 6, 7, 0), answers, attack, 3, 7)
    panel = Panel(columns, 3, attacked)
    pools = [with_openings(bank, _pool(bank, panel, number), encoder) for number in range(len(answers.prompts))]
    for rule in RULES:
        for guards, reliability in SETTINGS:
            policy = Policy(rule=rule, guards=guards, reliability=reliability, abstain=False, seed=3)
            expected = [-1 if d.pick is None else d.pick for d in decide(pools, policy)]
            assert decide_panel(bank, panel, policy).slot.tolist() == expected


def test_rules_find_the_models_that_tell_most_truth(answers, store):
    plan = Plan(panel_size=6, panels=8, rules=("hybrid", "random"))
    rows = list(run(answers, plan, HashingEncoder(), store, lambda *_: None))
    assert [(r.rule, r.guards, r.reliability) for r in rows] == [
        ("hybrid", False, False), ("hybrid", False, True), ("hybrid", True, False), ("hybrid", True, True), ("random", False, False),
    ]  # fmt: skip
    best, control = rows[3], rows[4]
    assert best.quality > best.random + 0.05
    assert control.quality == pytest.approx(control.random, abs=0.08)
    for row in rows:
        assert row.quality_low < row.quality < row.quality_high
        assert (row.coverage, row.attack, row.attackers, row.attack_success) == (1, None, 0, None)
        assert 0 <= row.auroc <= 1


def test_attackers_sit_last_and_what_they_win_is_counted(answers, store):
    plan = Plan(panel_size=8, panels=4, rules=("medoid", "hybrid"), attacks=("off_topic_copies",), attackers=(5,))
    medoid, hybrid = (r for r in run(answers, plan, HashingEncoder(), store, lambda *_: None) if r.attack)
    assert medoid.attack_success > 0.9
    assert hybrid.attack_success < 0.05
    assert medoid.quality < 0.1 < hybrid.quality


def test_the_picks_of_copies_are_worth_what_the_weak_answer_is(answers):
    columns = attack_columns(answers, "on_topic_copies", 2, 7)
    weak = weakest(answers)
    for _, texts, worth in columns:
        assert texts == [row[k] for row, k in zip(answers.outputs, weak, strict=True)]
        np.testing.assert_array_equal(worth, np.nanmin(answers.preferences, axis=1))
    assert not attack_columns(answers, "off_topic_copies", 1, 7)[0][2].any()


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_gives_each_attacker_a_text_for_each_prompt(answers, name):
    columns = attack_columns(answers, name, 3, 7)
    assert [len(texts) for _, texts, _ in columns] == [24] * 3
    assert attack_columns(answers, name, 3, 7)[1][1] == columns[1][1]
    seats, attacked = seated(np.array([1, 2, 3, 4, 5]), answers, name, 3, 7)
    assert attacked.sum() == (5 if "_20" in name else 24)
    assert (seats[attacked][:, 2:] == [9, 10, 11]).all()
    elsewhere = seats[~attacked][:, 2:]
    assert (np.isin(elsewhere, [8, 7, 6]) if name.endswith("good_name") else elsewhere == [3, 4, 5]).all()


def test_panels_are_drawn_as_the_source_says():
    expected = np.random.default_rng([7, 8, 3]).choice(sorted(f"m{i:02}" for i in range(37)), 8, replace=False)
    assert [f"m{i:02}" for i in draw_panel(37, 8, 7, 3)] == expected.tolist()
    assert attacked_prompts("empty_20", 50, 1).sum() == 10


def test_abstention_lowers_coverage(answers, store):
    plan = Plan(panel_size=4, panels=3, rules=("vote",), abstention=True)
    (row,) = run(answers, plan, HashingEncoder(), store, lambda *_: None)
    assert row.coverage < 0.1


def test_reports_hold_every_row(answers, store, tmp_path):
    rows = list(run(answers, Plan(4, 2, rules=("medoid",)), HashingEncoder(), store, lambda *_: None))
    write_results(rows, tmp_path)
    write_reports(rows, tmp_path, "consensus-server evaluate-labels <made>")
    page = (tmp_path / "report.html").read_text()
    assert "&lt;made&gt;" in page
    assert "Plotly.newPlot" in page
    assert f"{rows[0].quality:.3f}" in (tmp_path / "report.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md", "results.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no answers"),
        ("{", "line 1 is no JSON"),
        ("[]", "line 1 is no JSON object"),
        ('{"prompt_id": "p", "prompt": "q", "model": "m"}', "line 1: output is None"),
        ('{"prompt_id": "p", "prompt": "q", "model": "m", "output": "", "preference": 2}', "preference is 2"),
        ('{"prompt_id": "p", "prompt": "q", "model": "m", "output": ""}\n' * 2, "line 2: 'm' answered 'p' before"),
        (
            '{"prompt_id": "p", "prompt": "q", "model": "m", "output": ""}\n{"prompt_id": "o", "prompt": "q", "model": "n", "output": ""}',
            r"'n' has no answer to 'p' \(2 answers are missing\)",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, content, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(AnswerFileError, match=message):
        read_judged_answers(path)
    with pytest.raises(AnswerFileError, match="cannot be read"):
        read_judged_answers(tmp_path / "none.jsonl")
