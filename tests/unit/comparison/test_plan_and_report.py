"""Plans of comparisons, what is said over seeds, and the reports."""

import csv
import io
import json
from statistics import stdev

import pytest

from client_kit.comparison.arms import ARMS
from client_kit.comparison.plan import Cell, Plan
from client_kit.comparison.report import write_reports
from client_kit.comparison.results import CellResult, LabelRound, ParticipantOutcome, Stage, interval, primary_test
from client_kit.comparison.run import Comparison, load_plan, read_results, run_comparison
from client_kit.comparison.tables import report_of
from client_kit.comparison.text import markdown
from client_kit.errors import ConfigurationError


def outcome(name, private, sent=(), downloaded=None):
    stages = [
        Stage(name=stage, quality={"private": value, "overall": value / 2, "validation": value})
        for stage, value in zip(("before", "private", "round 1"), (0.0, private / 2, private), strict=True)
    ]
    return ParticipantOutcome(
        participant=name,
        architecture="llama",
        stages=stages,
        sent_bytes=list(sent),
        received_bytes=list(sent),
        trainable=10,
        downloaded=None
        if downloaded is None
        else {"private": downloaded, "overall": downloaded, "validation": downloaded},
    )


def result(method, seed, private, *, sent=(), variant="", labels=(), downloaded=None):
    return CellResult(
        cell=Cell(variant=variant, method=method, seed=seed),
        participants=[outcome("a", private, sent, downloaded), outcome("b", private + 0.02, sent, downloaded)],
        labels=list(labels), wall_seconds=2.0, cpu_seconds=1.0,
    )  # fmt: skip


PLAN = Plan(rounds=1, seeds=[0, 1, 2], methods=["local_only", "consensus", "fedit", "fedreft"])
RESULTS = [
    *(result("local_only", seed, 0.50 + 0.01 * seed) for seed in range(3)),
    *(result("consensus", seed, 0.70 + 0.01 * seed, sent=[3_000, 2_000], labels=[LabelRound(labels=8, right=6, prompts=10)]) for seed in range(3)),
    *(result("fedit", seed, 0.71 + 0.02 * seed, sent=[2_000_000], downloaded=0.5) for seed in range(3)),
    *(result("fedreft", seed, 0.40, sent=[40_000]) for seed in range(3)),
]  # fmt: skip


def test_the_mean_of_three_seeds_has_students_interval():
    found = interval([0.5, 0.6, 0.7])
    assert found.mean == pytest.approx(0.6)
    assert (found.low, found.high) == pytest.approx((0.6 - 4.303 * 0.1 / 3**0.5, 0.6 + 4.303 * 0.1 / 3**0.5), rel=1e-3)
    assert interval([0.5]).low is None


def test_beyond_ten_seeds_the_interval_is_still_student_s():
    """2.228 at ten degrees of freedom, not the normal distribution's 1.96."""
    values = [0.1 * i for i in range(11)]
    assert interval(values).high - 0.5 == pytest.approx(2.228 * stdev(values) / 11**0.5, rel=1e-3)


def test_the_primary_test_is_paired_and_against_the_best_on_validation():
    found = primary_test(PLAN, RESULTS)
    assert (found.consensus, found.best) == ("consensus", "fedit")
    assert found.difference.mean == pytest.approx(-0.02)
    assert found.lower_bound == pytest.approx(-0.02 - 2.920 * 0.01 / 3**0.5, rel=1e-3)
    assert found.not_inferior is True
    assert primary_test(PLAN.model_copy(update={"margin": 0.03}), RESULTS).not_inferior is False


def test_without_a_rival_or_with_one_seed_there_is_no_primary_test():
    assert primary_test(PLAN, RESULTS[:6]) is None
    one = [each for each in RESULTS if each.cell.seed == 0]
    assert primary_test(PLAN, one).not_inferior is None


def test_a_row_is_the_mean_over_participants_and_seeds_with_the_bytes_of_all_rounds():
    row = {row.method: row for row in report_of(PLAN, RESULTS).rows}["consensus"]
    assert row.private.mean == pytest.approx(0.72)
    assert row.overall.mean == pytest.approx(0.36)
    assert (row.total_sent_bytes, row.label_precision, row.label_coverage) == (5_000, 0.75, 0.8)


def test_the_reports_say_the_same(tmp_path):
    report = report_of(PLAN, RESULTS)
    write_reports(report, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["primary_test"]["best"] == "fedit"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert [row["method"] for row in rows] == PLAN.methods
    assert float(rows[1]["private"]) == pytest.approx(0.72)
    assert [row["downloaded"] for row in rows] == ["", "", "0.5", ""]
    text = markdown(report)
    assert "| FedIT | lora | 0.740 (0.690 to 0.790) | 0.370 (0.345 to 0.395) | 0.500 (0.500 to 0.500) |" in text
    assert "| semantic consensus | full | 0.720" in text
    assert "not inferior" in text
    page = (tmp_path / "report.html").read_text()
    assert all(f'id="chart-{name}"' in page for name in ("quality", "traffic", "curves"))
    assert "2.0 MB" in page


def test_a_variant_changes_the_setting_and_may_run_fewer_methods():
    plan = Plan(
        seeds=[4], methods=["consensus", "fedit"], variants={"hot": {"temperature": 1.0, "methods": ["consensus"]}}
    )
    assert [cell.name for cell in plan.cells()] == ["consensus.4", "fedit.4", "hot.consensus.4"]
    assert (plan.setting().temperature, plan.setting("hot").temperature) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methods: [fedprox]", "there is no 'fedprox'; known are local_only"),
        ("variants: {a: {methods: [fedprox]}}", "variants.a.methods: there is no 'fedprox'"),
        ("variants: {a: {sites: 1}}", "variants.a.sites: Input should be greater than or equal to 2"),
        ("seeds: [0]\nvariants:\n  a: {}\n  b:\n    sites: 1", "plan.yaml, line 5: variants.b.sites: Input"),
        ("seeds: [0]\nmethods:\n  - fedprox", "plan.yaml, line 2: methods: there is no 'fedprox'"),
        ("seeds: [0]\nround: 3", "plan.yaml, line 2: round: Extra inputs are not permitted"),
        ("seeds: 2026-13-45", "is no YAML"),
        ("- 3", "Fields and their meaning: consensus schema plan"),
        ("variants: {a: {colour: blue}}", "Extra inputs are not permitted"),
        ("seeds: []", "seeds"),
        ("round: 3", "round: Extra inputs are not permitted"),
        ("a: [", "is no YAML"),
        ("{task: behaviour, drift: {after: 1}}", "drift, dirichlet and public_share are of the task facts"),
        ("{task: behaviour, public_share: 1}", "drift, dirichlet and public_share are of the task facts"),
        ("public_share: 0.5", "public_share is 0.5; the pocket world has public prompts for .75 of its facts"),
        ("samples_per_prompt: 4", "several samples at temperature 0 are one text; set temperature"),
        ("drift: {after: 3}", "drift.after is 3 and there are 2 rounds"),
        ("task: own", "task own goes with data of your own"),
        ("{task: own, sites: 3, own: {models: [a], private: [b, c], public: d, test: e}}", "sites is 3; say the same"),
        ("{task: own, sites: 2, own: {models: [a, b, c], private: [b, c], public: d, test: e}}", "names 3 folders"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_before_anything_runs(tmp_path, text, message):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load_plan(tmp_path / "plan.yaml")
    assert message in str(refused.value)


def test_an_empty_plan_is_the_default(tmp_path):
    (tmp_path / "plan.yaml").write_text("")
    assert load_plan(tmp_path / "plan.yaml") == Plan()
    assert set(Plan().methods) == set(ARMS)


def staged(qualities, **groups):
    """A run whose participant has these qualities on own questions, stage by stage."""
    stages = [
        Stage(name=str(i), quality={"private": value, "overall": value, "validation": value, **groups})
        for i, value in enumerate(qualities)
    ]
    participant = outcome("a", 0.5).model_copy(update={"stages": stages})
    return result("consensus", 0, 0.5, variant="drift").model_copy(update={"participants": [participant]})


@pytest.mark.parametrize(("later", "rounds"), [((0.7, 0.77), 2), ((0.77, 0.2), 1), ((0.1, 0.2), None)])
def test_rounds_to_recover_are_counted_from_the_replacement(later, rounds):
    """Stages: before, private, round 1 (0.8); facts are replaced after it."""
    assert staged([0.0, 0.5, 0.8, *later]).rounds_to_recover(2) == rounds


def test_a_report_with_drift_says_what_became_of_old_and_new_facts(tmp_path):
    plan = Plan(rounds=3, seeds=[0], methods=[], variants={"drift": {"drift": {"after": 2}, "methods": ["consensus"]}})
    report = report_of(plan, [staged([0.0, 0.5, 0.8, 0.7, 0.2], kept=0.9, replaced=0.25, stale=0.5)])
    assert "| semantic consensus | 0.900 | 0.250 | 0.500 | never |" in markdown(report)
    write_reports(report, tmp_path)
    assert "<td>0.900</td><td>0.250</td><td>0.500</td><td>never</td>" in (tmp_path / "report.html").read_text()


def test_variants_stand_in_one_table_beside_the_plan_s_own_setting():
    plan = PLAN.model_copy(update={"variants": {"hot": {"temperature": 1.0, "methods": ["consensus"]}}})
    hot = [result("consensus", seed, 0.6, variant="hot", sent=[4_000]) for seed in range(2)]
    text = markdown(report_of(plan, [*RESULTS, *hot]))
    assert "- hot: temperature 1.0\n" in text
    assert "| hot | semantic consensus | 0.610 | 0.305 | 0.305, 0.305 |  | -0.052 | 4.0 kB |  |" in text
    assert report_of(plan, hot).rows[0].against_plan is None


def test_a_group_of_questions_that_only_one_task_has_gets_a_column():
    text = markdown(
        report_of(PLAN.model_copy(update={"variants": {}}), [own_setting(staged([0.0, 0.5], content=0.75))])
    )
    assert "| All questions | At the download | Content | Sent |" in text
    assert "| 0.500 | 0.500 |  | 0.750 | 0 B |" in text


def own_setting(run):
    return run.model_copy(update={"cell": run.cell.model_copy(update={"variant": ""})})


def test_trainable_numbers_stand_beside_lora_s():
    rows = {row.method: row for row in report_of(PLAN, RESULTS).rows}
    assert rows["fedreft"].against_lora == 1.0
    assert "| of LoRA's |" in markdown(report_of(PLAN, RESULTS))
    assert report_of(PLAN, RESULTS[:3]).rows[0].against_lora is None


def test_what_is_done_is_not_run_again(tmp_path):
    comparison = Comparison(PLAN, tmp_path)
    for each in RESULTS:
        each.cell.result_in(tmp_path).parent.mkdir(exist_ok=True)
        each.cell.result_in(tmp_path).write_text(each.model_dump_json())
    assert run_comparison(comparison) == read_results(comparison)
    assert len(read_results(comparison)) == 12
    grown = Comparison(PLAN.model_copy(update={"methods": ["fedit"]}), tmp_path)
    assert [each.cell.method for each in run_comparison(grown)] == ["fedit"] * 3


def test_results_of_another_plan_are_not_mixed_in(tmp_path):
    run_comparison(Comparison(PLAN.model_copy(update={"methods": []}), tmp_path))
    with pytest.raises(ConfigurationError, match=r"another plan \(round_steps differ\)"):
        run_comparison(Comparison(PLAN.model_copy(update={"round_steps": 7}), tmp_path))
