"""The demonstration's report: right figures in one file, drawn in a real browser without a network."""

import re
import shutil

import pytest

from client_kit.pocket.report import write_report
from client_kit.pocket.results import (
    GROUPS,
    DemoResults,
    GradePrecision,
    GroupScore,
    LocalOnly,
    ParticipantResult,
    RoundResult,
    Traffic,
)

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def scores(right, total=20, **others):
    return {group: GroupScore(right=others.get(group, right), total=total) for group in GROUPS}


def participant(name, after):
    alone = LocalOnly(steps=[9, 15], scores=[scores(8), scores(6)], best_step=9, best=scores(8), seconds=3.0)
    return ParticipantResult(
        participant=name, architecture="llama", tokenizer="byte_bpe", parameters=450_000, topics=["capitals"],
        held_facts=12, wrong_facts=2, scores=[scores(1), scores(8), scores(after)], local_only=alone,
        traffic=[Traffic(sent_bytes=7_000, received_bytes=9_000)],
        seconds={"training": 4.0, "answering": 1.0, "waiting": 2.0},
    )  # fmt: skip


@pytest.fixture
def results():
    grades = [
        GradePrecision(grade="corroborated", labels=10, right=5), GradePrecision(grade="single_witness", labels=4, right=4)
    ]  # fmt: skip
    round_ = RoundResult(
        number=1, prompts=20, labels=14, right=9, abstentions={"conflict": 6}, by_grade=grades, encoded=30,
        reused=0, aggregation_seconds=0.5,
    )  # fmt: skip
    return DemoResults(
        form="smoke", seed=0, finished_at="2030-01-01T00:00:00+00:00", facts=24, public_facts=18, test_questions=20,
        prompts=20, participants=[participant("a", 12), participant("<b>", 14)], rounds=[round_], encoder="e",
        policy={}, seconds={"total": 60.0}, cores=2, versions={"torch": "2"},
    )  # fmt: skip


def test_means_and_gain_are_over_participants_and_against_the_better_of_both(results):
    assert results.mean("overall", -1) == pytest.approx(0.65)
    assert results.mean_local("overall") == pytest.approx(0.30)
    assert results.mean_local("overall", best=True) == pytest.approx(0.40)
    assert results.gain("overall") == pytest.approx(0.25)
    assert results.rounds[0].precision == pytest.approx(9 / 14)


def test_groups_in_which_nobody_was_asked_count_nothing(results):
    site = results.participants[0]
    asked_none = site.model_copy(update={"scores": [scores(0, total=0)] * 3})
    changed = results.model_copy(update={"participants": [asked_none, results.participants[1]]})
    assert changed.mean("overall", -1) == pytest.approx(0.70)


def test_the_page_escapes_names_and_fetches_nothing(results, tmp_path):
    write_report(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = page[page.index("<main>") :]
    assert "+25.0" in text
    assert "&lt;b&gt;<br>" in text
    assert re.findall(r'(?:src|href)="', text) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_draws_every_chart_without_an_error_or_a_request(results, tmp_path):
    from playwright.sync_api import sync_playwright

    write_report(results, tmp_path / "report.html")
    faults, requests = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector("#chart-traffic svg.main-svg")
        drawn = page.locator("svg.main-svg").evaluate_all(
            "svgs => new Set(svgs.map(s => s.closest('[id^=chart]').id)).size"
        )
        width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        browser.close()
    assert (faults, requests) == ([], [(tmp_path / "report.html").as_uri()])
    assert drawn == 4
    assert width <= 0
