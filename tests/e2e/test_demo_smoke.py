"""The demonstration in small, end to end. `make demo-smoke` runs the same in CI with its check; here on request only."""

import json
import os
import subprocess
import sys

import pytest

from client_kit.pocket.results import DemoResults

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        "CONSENSUS_DEMO_TEST" not in os.environ, reason="`make demo-smoke` runs it; set CONSENSUS_DEMO_TEST=1"
    ),
]


def test_the_demonstration_teaches_and_reports(tmp_path):
    command = [sys.executable, "-c", "from client_kit.cli import main; main()", "demo", "--smoke", "--check", "--json"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=590, check=False)
    assert done.returncode == 0, done.stderr
    results = DemoResults.model_validate(json.loads(done.stdout))
    assert results == DemoResults.model_validate_json((tmp_path / "results.json").read_bytes())
    assert len({site.architecture for site in results.participants}) == 3
    assert [round_.number for round_ in results.rounds] == [1, 2]
    for site in results.participants:
        assert site.scores[1]["overall"].total == results.test_questions
        assert all(traffic.sent_bytes > 0 and traffic.received_bytes > 0 for traffic in site.traffic)
    page = (tmp_path / "report.html").read_text()
    assert 'src="http' not in page
    assert all(site.participant in page for site in results.participants)
