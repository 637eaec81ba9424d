import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from client_kit.errors import FaultyFile
from consensus_server.backends.encoders import HashingEncoder
from consensus_server.core.consensus import Policy, Pool
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.meaning.final_answers import final_answer
from consensus_server.core.consensus.rules import RULES
from consensus_server.evaluation.answer_files import Wanted, read_judged_answers
from consensus_server.evaluation.attacks import ATTACKS, attack_columns, attacked_prompts, seated, weakest
from consensus_server.evaluation.bank import make_bank
from consensus_server.evaluation.clusterers import CLUSTERERS, DEFAULT, UnknownClusterer
from consensus_server.evaluation.complete import complete_part
from consensus_server.evaluation.made_questions import write_made_answers
from consensus_server.evaluation.panels import decide_panel, draw_panel
from consensus_server.evaluation.records import Panel, nothing_picked
from consensus_server.evaluation.report import warning, write_reports, write_results
from consensus_server.evaluation.rows import theirs
from consensus_server.evaluation.run import Plan, run
from tests.support.shapes import unchecked

SETTINGS = [(False, False), (True, False), (True, True), (False, True)]
OTHER_KINDS = ["cluster_medoid", "random", "vote"]
"""Beside `hybrid`: rules that decide pool by pool, pick anywhere, and compare texts where a prompt compares meanings."""


@pytest.fixture(scope="module")
def answers(judged_file):
    return read_judged_answers(judged_file)


@cache
def opening_of(text):
    return HashingEncoder().encode_with_openings([text])[1][0]


def with_openings(bank, pool):
    prompt = bank.answers.prompts[bank.answers.prompt_ids.index(pool.prompt_id)]
    openings = np.array([opening_of(text) for text in pool.texts])
    return replace(pool, prompt=prompt, prompt_opening=opening_of(prompt), openings=openings)


@pytest.mark.parametrize(
    "attack", ["on_topic_copies", "short_copies", "garbage", "empty", "over_long", "constant_spam"]
)
def test_a_panel_is_decided_as_the_service_decides_a_round(answers, store, attack):
    bank = make_bank(answers, attack_columns(answers, attack, 3, 7), HashingEncoder(), store)
    columns, attacked = seated(draw_panel(9, 6, 7, 0), answers, attack, 3, 7)
    panel = Panel(columns, 3, attacked)
    assert_decided_as_by_the_service(bank, panel, one_of_each())


class BlindEncoder(HashingEncoder):
    """Gives no direction to texts that say so."""

    def encode_with_openings(self, texts):
        seen = np.array([["unseen" not in text] for text in texts], dtype=np.float32)
        return tuple(each * seen for each in super().encode_with_openings(texts))


def test_unusable_answers_leave_a_panel_as_they_leave_a_round(made_answers, store):
    """Every third answer of every second prompt, and all to one: empty, or without a vector."""
    unusable = (" ", "This is unseen.", "\u200b", "So is this: unseen.")
    outputs = tuple(
        tuple(unusable[(p + k) % 4] if p == 5 or (p % 2 and k % 3 == p % 3) else text for k, text in enumerate(row))
        for p, row in enumerate(made_answers.outputs)
    )
    names = tuple(["exact", "semantic", "final_answer"][p // 2 % 3] for p in range(len(outputs)))
    answers = replace(made_answers, outputs=outputs, equivalences=names)
    bank = make_bank(answers, [], BlindEncoder(), store)
    columns = np.tile(draw_panel(12, 6, 7, 0), (len(outputs), 1))
    panel = Panel(columns, 6, np.ones(len(outputs), dtype=bool))
    assert_decided_as_by_the_service(bank, panel, one_of_each())
    assert decide_panel(bank, panel, settings_of("hybrid"))[0].slot[5] == -1


def test_refusals_leave_a_panel_as_if_they_had_not_been_given(made_answers, store):
    declined = "I'm sorry, but I can't help with that."
    outputs = tuple(
        tuple(declined if p == 5 or (p + k) % 4 == 0 else text for k, text in enumerate(row))
        for p, row in enumerate(made_answers.outputs)
    )
    answers = replace(made_answers, outputs=outputs)
    kept = make_bank(answers, [], HashingEncoder(), store)
    bank = make_bank(answers, [], HashingEncoder(), store, drop_refusals=True)
    assert (int(kept.refused.sum()), int(bank.refused.sum())) == (0, 12 + 59 * 3)
    panel = Panel(np.tile(draw_panel(12, 6, 7, 0), (len(outputs), 1)), 6, np.ones(len(outputs), dtype=bool))
    assert_decided_as_by_the_service(kept, panel, one_of_each())
    assert_decided_as_by_the_service(bank, panel, one_of_each(), drop_refusals=True)
    assert decide_panel(bank, panel, settings_of("hybrid"))[0].slot[5] == -1


def one_of_each():
    """Each setting, each kind of rule, and abstention: the ways in which an attack or an equivalence can be met."""
    kinds = [Policy(rule=rule, abstain=False, seed=3) for rule in OTHER_KINDS]
    return [*settings_of("hybrid"), *kinds, Policy(rule="hybrid", abstain=True, seed=3)]


def settings_of(rule):
    return [
        Policy(rule=rule, guards=guards, reliability=reliability, abstain=False, seed=3)
        for guards, reliability in SETTINGS
    ]


@pytest.mark.parametrize("equivalence", ["semantic", "exact", "final_answer", "mixed"])
def test_whatever_the_equivalence(made_answers, store, equivalence):
    names = ["exact", "semantic", "final_answer", "code"] * len(made_answers.prompts)
    names = names if equivalence == "mixed" else [equivalence] * len(names)
    answers = replace(made_answers, equivalences=tuple(names[: len(made_answers.prompts)]))
    bank = make_bank(answers, [], HashingEncoder(), store)
    columns = np.tile(draw_panel(12, 6, 7, 0), (len(answers.prompts), 1))
    everywhere = np.ones(len(answers.prompts), dtype=bool)
    policies = every_policy() if equivalence == "mixed" else one_of_each()
    assert_decided_as_by_the_service(bank, Panel(columns, 6, everywhere), policies)


def every_policy():
    """Every rule under every setting; every kind of rule with abstention, with guards and without."""
    abstaining = [
        Policy(rule=rule, guards=each, reliability=each, abstain=True, seed=3)
        for rule in ("hybrid", *OTHER_KINDS)
        for each in (False, True)
    ]
    return [policy for rule in RULES for policy in settings_of(rule)] + abstaining


def pool_of(bank, panel, number):
    columns, held = panel.columns[number].tolist(), bank.answers
    rows = [number * len(bank.names) + column for column in columns]
    return Pool(
        prompt_id=held.prompt_ids[number],
        participants=tuple(f"member-{slot:03}" for slot in range(len(columns))),
        samples=(0,) * len(columns),
        texts=tuple(held.texts[row] for row in rows),
        digests=tuple(held.digests[row] for row in rows),
        vectors=held.vectors[rows],
        equivalence=held.equivalences[number],
    )


def assert_decided_as_by_the_service(bank, panel, policies, *, drop_refusals=False):
    pools = [with_openings(bank, pool_of(bank, panel, number)) for number in range(len(bank.answers.prompts))]
    for policy, picks in zip(policies, decide_panel(bank, panel, policies), strict=True):
        with unchecked():  # the bench's calls of the core are checked above
            decided = decide_round(pools, policy, drop_refusals=drop_refusals).decisions
            expected = [-1 if d.pick is None else d.pick for d in decided]
        assert picks.slot.tolist() == expected, policy


def test_a_panel_is_decided_by_the_clusterer_that_is_asked_for(answers, store):
    bank = make_bank(answers, [], HashingEncoder(), store)
    members = draw_panel(9, 6, 7, 0)
    panel = Panel(np.tile(members, (24, 1)), 6, np.ones(24, dtype=bool))
    policy = Policy(
        rule="cluster_medoid",
        confidence="dominant_share",
        guards=False,
        reliability=False,
        abstain=False,
        distance_long=0.35,
    )
    shares = {name: decide_panel(bank, panel, [policy], name)[0].confidence for name in CLUSTERERS}
    joined = [connected_components(cosine[np.ix_(members, members)] >= 1 - 0.35)[1] for cosine in bank.cosine]
    np.testing.assert_allclose(shares["components"], [np.bincount(each).max() / 6 for each in joined], atol=1e-6)
    assert (shares["components"] >= shares[DEFAULT]).all()
    for name in set(CLUSTERERS) - {DEFAULT}:
        assert (shares[name] != shares[DEFAULT]).any(), name
    with pytest.raises(UnknownClusterer, match="'spectral'"):
        decide_panel(bank, panel, [policy], "spectral")


def rows_of(answers, plan, store):
    return [finding.row for finding in run(answers, plan, HashingEncoder(), store, lambda *_: None)]


def test_rules_find_the_models_that_tell_most_truth(answers, store):
    plan = Plan(panel_size=6, panels=8, rules=("hybrid", "random"))
    rows = rows_of(answers, plan, store)
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


def test_a_row_has_its_differences_whether_or_not_the_baselines_are_asked_for(answers, store):
    policy = Policy(abstain=False, contradictions="none")
    plans = [Plan(6, 2, rules=rules, policy=policy) for rules in (("hybrid", "vote"), ("vote",))]
    both, alone = (rows_of(answers, plan, store) for plan in plans)
    by_rule = {(row.rule, row.guards, row.reliability): row for row in both}
    hybrid, vote = by_rule["hybrid", True, True], by_rule["vote", False, False]
    named = {each.baseline: each for each in hybrid.differences}
    assert set(named) == {"cluster_medoid", "vote", "without_guards"}
    for name, other in (("vote", vote), ("without_guards", by_rule["hybrid", False, True])):
        assert named[name].difference == pytest.approx(hybrid.quality - other.quality)
        assert (named[name].baseline_quality, named[name].share) == (other.quality, 1)
        assert named[name].low <= named[name].difference <= named[name].high
    assert alone == [row for row in both if row.rule == "vote"]
    assert [each.baseline for each in vote.differences] == ["cluster_medoid"]


def test_a_whole_policy_is_measured_and_held_against_another(answers, store):
    """Rows of a policy that fixes what others vary; each figure is that of the policy alone."""
    policy = Policy(abstain=False, guards=False, distance_long=0.3, contradictions="none", confidence="dominant_share")
    plan = Plan(6, 2, rules=("hybrid",), policy=policy, fixed=frozenset({"guards", "reliability"}))
    changed = {"distance_long": 0.9, "contradictions": "words", "guards": True}
    (row,) = rows_of(answers, replace(plan, against=changed), store)
    (other,) = rows_of(answers, replace(plan, policy=replace(policy, **changed)), store)
    assert row.policy == replace(policy, seed=plan.seed)
    against = next(each for each in row.differences if each.baseline == "against")
    assert against.difference == pytest.approx(row.quality - other.quality)
    assert (row.auroc, row.votes) != (other.auroc, other.votes)


def test_a_row_tells_what_stands_behind_its_labels(answers, store):
    """What the best answers would be worth, who was kept out, how many count."""
    declined = tuple(("I'm sorry, but I can't help with that.", "", *row[2:]) for row in answers.outputs)
    plan = Plan(9, 2, rules=("hybrid",), policy=Policy(abstain=False, contradictions="none"))
    bare, *_, guarded = rows_of(replace(answers, outputs=declined), plan, store)
    assert bare.oracle == pytest.approx(np.nanmax(answers.preferences, axis=1).mean())
    assert bare.turned_away == {"empty": pytest.approx(1 / 9), "refusal": pytest.approx(1 / 9)}
    assert guarded.turned_away.items() >= bare.turned_away.items()
    assert bare.votes == 7 >= guarded.votes


def test_attackers_sit_last_and_what_they_win_is_counted(answers, store):
    plan = Plan(panel_size=8, panels=4, rules=("medoid", "hybrid"), attacks=("off_topic_copies",), attackers=(5,))
    medoid, hybrid = (r for r in rows_of(answers, plan, store) if r.attack)
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
    plan = Plan(panel_size=4, panels=3, rules=("vote",), policy=Policy(abstain=True))
    assert all(row.coverage < 0.1 for row in rows_of(answers, plan, store))


def test_reports_hold_every_row(answers, store, tmp_path):
    plan = Plan(4, 2, rules=("medoid",), attacks=("injection",), attackers=(1, 2))
    findings = list(run(answers, plan, HashingEncoder(), store, lambda *_: None))
    rows = [finding.row for finding in findings]
    write_results(rows, tmp_path)
    write_reports(findings, tmp_path, "consensus-server evaluate-labels <made>")
    page, text = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    assert "&lt;made&gt;" in page
    assert page.count("Plotly.newPlot(") == 3
    for title in ("Quality by rule", "Risk and coverage", "Labels won by attackers", "Differences", "All figures"):
        assert f"<h3>{title}</h3>" in page
    assert all(f"{row.quality:.3f}" in text for row in rows)
    assert text.count("```mermaid") == 2
    assert "medoid x 2" in text
    gain = next(each.difference for each in rows[0].differences if each.baseline == "vote")
    assert f"| {gain:.3f} |" in text
    assert f"<td>{gain:.3f}</td>" in page
    assert "| agreement |" in text
    assert "<td>agreement</td>" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md", "results.json"]


def test_the_number_of_processes_does_not_show(answers, store, monkeypatch):
    monkeypatch.setattr("consensus_server.evaluation.run._WORTH_A_POOL", 0)
    plan = Plan(5, 3, rules=("hybrid", "random"), attacks=("injection", "injection_20_good_name"), attackers=(1, 2))
    assert rows_of(answers, replace(plan, workers=2), store) == rows_of(answers, plan, store)


def test_a_report_warns_where_the_best_participant_stands_far_above_the_labels(answers, store):
    row, *_ = rows_of(answers, Plan(4, 2, rules=("medoid",)), store)
    low = replace(row, quality=0.2, quality_high=0.3, best_single=0.5)
    assert "agreement is no guide" in warning([low])
    assert warning([replace(row, quality=0.5, quality_high=0.52, best_single=0.55)]) is None
    assert warning([replace(low, quality_high=0.51)]) is None, "the interval reaches the best participant"
    assert warning([low, replace(low, rule="hybrid", quality=0.45)]) is None, "the best rule is what counts"
    for control in ("random", "longest"):
        assert warning([replace(low, rule=control)]) is None
        assert warning([low, replace(low, rule=control, quality=0.5)]) == warning([low])


def test_what_is_right_by_a_key_is_not_adjusted_for_length(made_answers, answers, store, tmp_path):
    plan = Plan(panel_size=4, panels=2, rules=("medoid",))
    findings = list(run(made_answers, plan, HashingEncoder(), store, lambda *_: None))
    assert [each.row.length_adjusted_quality for each in findings] == [None]
    write_reports(findings, tmp_path, "made")
    assert "adjusted for length" not in (tmp_path / "report.html").read_text()
    assert rows_of(answers, plan, store)[0].length_adjusted_quality is not None


def test_a_row_names_its_confidence_score(answers, store):
    plans = [Plan(4, 1, rules=("medoid",)), Plan(4, 1, rules=("medoid",), policy=Policy(confidence="semantic_entropy"))]
    rows = [rows_of(answers, plan, store)[0] for plan in plans]
    assert [row.confidence for row in rows] == ["agreement", "semantic_entropy"]
    assert rows[0].top_half_quality != rows[1].top_half_quality


def test_without_judgements_a_report_has_no_chart_of_quality(answers, store, tmp_path):
    answers = replace(answers, preferences=np.full_like(answers.preferences, np.nan))
    plan = Plan(4, 1, rules=("medoid",))
    write_reports(list(run(answers, plan, HashingEncoder(), store, lambda *_: None)), tmp_path, "made")
    page, text = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    assert text.count("```mermaid") == page.count("Plotly.newPlot(") == 1
    assert "not judged" in text
    assert "Quality by rule" not in text + page


def test_without_labels_a_report_has_no_chart(answers, store, tmp_path):
    plan = Plan(2, 1, rules=("vote",), policy=Policy(abstain=True))
    findings = list(run(answers, plan, HashingEncoder(), store, lambda *_: None))
    assert {each.row.coverage for each in findings} == {0}
    write_reports(findings, tmp_path, "made")
    assert "mermaid" not in (tmp_path / "report.md").read_text()


def test_vote_by_final_answer_beats_exact_vote_the_medoid_and_every_single_participant(made_answers, store):
    rules = ("vote", "hybrid", "medoid")
    by_answer = {
        (row.rule, row.guards, row.reliability): row
        for row in rows_of(made_answers, Plan(panel_size=8, panels=12, rules=rules), store)
    }
    by_text = {
        (row.rule, row.guards, row.reliability): row
        for row in rows_of(made_answers, Plan(panel_size=8, panels=12, rules=("vote",), equivalence="exact"), store)
    }
    vote = by_answer["vote", False, False]
    assert vote.quality > by_text["vote", False, False].quality + 0.05
    assert vote.quality > by_answer["medoid", False, False].quality + 0.05
    assert vote.quality > vote.best_single
    assert vote.quality == by_answer["hybrid", False, False].quality
    assert vote.top_half_quality > vote.quality
    assert by_answer["vote", True, True].quality > by_text["vote", True, True].quality + 0.05


def test_made_questions_have_right_and_wrong_answers_of_every_kind(made_answers, tmp_path):
    means = made_answers.preferences.mean(axis=0)
    assert 0.2 < means.min() < means.mean() < means.max() < 0.9
    assert np.corrcoef(means, np.arange(12))[0, 1] > 0.8
    assert {"".join(final_answer(text)).split()[0] for row in made_answers.outputs for text in row if final_answer(text)} == {
        "number", "truth", "choice",
    }  # fmt: skip
    assert any(final_answer(text) is None for row in made_answers.outputs for text in row)
    write_made_answers(tmp_path / "again.jsonl", prompts=60, models=12, seed=7)
    again = read_judged_answers(tmp_path / "again.jsonl")
    assert (again.outputs, again.prompts) == (made_answers.outputs, made_answers.prompts)


GOLD = {"prompt_id": "p", "prompt": "q", "model": "m", "output": "The answer is 1,200."}


@pytest.mark.parametrize(
    ("equivalence", "gold", "worth"),
    [
        ("final_answer", "1200", 1),
        ("final_answer", "1201", 0),
        ("exact", "1200", 0),
        ("exact", "the answer is 1,200.", 1),
    ],
)
def test_an_answer_equal_to_gold_is_worth_one(tmp_path, equivalence, gold, worth):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(GOLD | {"gold": gold, "equivalence": equivalence}))
    answers = read_judged_answers(path)
    assert answers.preferences.tolist() == [[worth]]
    assert answers.equivalences == (equivalence,)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"gold": "42"}, "gold needs an equivalence that can tell right from wrong: exact, final_answer, code"),
        ({"gold": "a dog", "equivalence": "final_answer"}, "gold 'a dog' states no final_answer"),
        ({"gold": 42, "equivalence": "final_answer"}, "gold is 42; it must be a text"),
        ({"gold": "42", "equivalence": "final_answer", "preference": 1}, "both preference and gold"),
        ({"equivalence": "alike"}, "equivalence is 'alike'; known are semantic, exact"),
    ],
)
def test_gold_that_cannot_be_used_says_why(tmp_path, more, message):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(GOLD | more))
    with pytest.raises(FaultyFile, match=message):
        read_judged_answers(path)


@pytest.mark.parametrize(
    ("more", "worth"),
    [
        ({"gold": "1200", "equivalence": "final_answer", "preference": None}, 1),
        ({"gold": "1201", "equivalence": "final_answer", "preference": -1}, 0),
        ({"preference": None}, None),
        ({"gold": None}, None),
    ],
)
def test_what_is_unknown_may_be_null(tmp_path, more, worth):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(GOLD | more))
    assert read_judged_answers(path).preferences.tolist() == [
        [pytest.approx(np.nan if worth is None else worth, nan_ok=True)]
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no answers"),
        ("{", "line 1: is not JSON"),
        ("[]", "line 1: is a list"),
        ('{"prompt_id": "p", "prompt": "q", "model": "m"}', "line 1: output is missing"),
        ('{"prompt_id": "p", "prompt": "q", "model": "m", "output": "", "preference": 2}', "preference is 2"),
        (
            '{"prompt_id": "p", "prompt": "q", "model": "m", "output": "", "preferense": 1}',
            "line 1: has neither preference",
        ),
        (
            '{"prompt_id": "p", "prompt": "q", "model": "m", "output": "\\ud83d", "preference": 1}',
            "line 1: output has half of a character",
        ),
        (
            "".join(
                f'{{"prompt_id": "p", "prompt": "q", "model": "m", "output": "{said}", "preference": 1}}\n'
                for said in "ab"
            ),
            "line 2: 'm' has another answer to prompt 'p' before",
        ),
        (
            '{"prompt_id": "p", "prompt": "q", "model": "m", "output": "", "preference": 1}\n{"prompt_id": "o", "prompt": "q", "model": "n", "output": "", "preference": 1}',
            r"'n' has no answer to 'p' \(2 answers are missing\)",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, content, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(FaultyFile, match=message):
        read_judged_answers(path)
    with pytest.raises(FaultyFile, match="cannot read"):
        read_judged_answers(tmp_path / "none.jsonl")


def test_what_keeps_most_answers_stays():
    """One model that answered a third, one prompt that two others missed: both go, and nothing else."""
    given = np.ones((9, 5), dtype=bool)
    given[3:, 1] = False
    given[0, [2, 3]] = False
    prompts, models = complete_part(given, 2)
    assert (np.flatnonzero(~prompts).tolist(), np.flatnonzero(~models).tolist()) == ([0], [1])
    everybody = complete_part(given, 5)
    assert (everybody[0].sum(), everybody[1].sum()) == (2, 5)
    nobody = complete_part(np.zeros((2, 3), dtype=bool), 2)
    assert not nobody[0].any()


def test_a_sample_of_prompts_is_drawn_over_the_whole_file(judged_file):
    drawn = [read_judged_answers(judged_file, Wanted(8, seed)) for seed in (7, 7, 8)]
    assert drawn[0].outputs == drawn[1].outputs
    assert drawn[0].prompt_ids != drawn[2].prompt_ids
    assert list(drawn[0].prompt_ids) == sorted(drawn[0].prompt_ids) != [f"p{p:02}" for p in range(8)]
    assert read_judged_answers(judged_file, Wanted(99)).prompt_ids == tuple(f"p{p:02}" for p in range(24))


@pytest.mark.parametrize(("question", "pooled"), [("q", 1.0), (None, 0.5)])
def test_wordings_of_one_question_are_one_pool(tmp_path, store, question, pooled):
    """Of three models one says 7 to both wordings and two to the first only: the second is a label of the question alone."""
    said = {"first": (7, 7, 7), "second": (7, 3, 3)}
    rows = [
        GOLD | {"prompt_id": p, "prompt": f"The {p}?", "model": f"m{k}", "output": f"{p}: the answer is {value}."}
        | {"gold": "7", "equivalence": "final_answer", "question": question}
        for p, values in said.items() for k, value in enumerate(values)
    ]  # fmt: skip
    path = tmp_path / "wordings.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    row, *_ = rows_of(read_judged_answers(path), Plan(3, 1, rules=("vote",)), store)
    assert (row.quality, row.oracle, row.best_single, row.coverage, row.votes) == (pooled, 1, 1, 1, 3)


def test_samples_of_a_model_share_its_vote(tmp_path, store):
    """Four models of two samples each; the one that is sure stands against two that are half as sure, and one sure of another."""
    said = [("7", "7"), ("7", "3"), ("3", "7"), ("5", "5")]
    rows = [
        GOLD | {"model": f"m{k}", "output": f"It is {value}.", "gold": "7", "equivalence": "final_answer", "sample": s}
        for k, values in enumerate(said) for s, value in enumerate(values)
    ]  # fmt: skip
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    answers = read_judged_answers(path)
    assert answers.columns[:3] == ("m0 #0", "m0 #1", "m1 #0")
    row, *_ = rows_of(answers, Plan(4, 1, rules=("vote",), policy=Policy(confidence="evidence")), store)
    assert (row.quality, row.panel_size, row.votes, row.best_single, row.random) == (1, 4, 4, 1, 0.5)
    assert [each.coverage for each in rows_of(answers, Plan(4, 1, rules=("hybrid",)), store)] == [1] * 4
    with pytest.raises(ValueError, match="Attackers give one answer"):
        rows_of(answers, Plan(4, 1, rules=("vote",), attacks=("empty",), attackers=(1,)), store)


def test_attackers_are_counted_among_labels_and_not_among_abstentions():
    panel = Panel(np.tile(np.arange(8), (5, 1)), 6, np.array([True, True, True, True, False]))
    picks = replace(nothing_picked(5), slot=np.array([-1, 5, -1, 7, 7]))
    assert theirs(panel, picks).tolist() == [0, 1]


def test_a_good_name_needs_models_outside_the_panel(answers, store):
    plan = Plan(panel_size=9, panels=2, rules=("hybrid",), attacks=("empty_20_good_name",), attackers=(2,))
    with pytest.raises(ValueError, match=r"`empty_20_good_name` borrows .* 9 models.* smaller"):
        rows_of(answers, plan, store)
