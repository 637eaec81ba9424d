"""Alerts and dashboard ask for metrics that the server has, by labels that they have, and ring when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from consensus_server.http_api.metrics import Metrics

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "semantic-consensus.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
OF_PROMETHEUS = {"up", "instance", "job", "le"}
DOCUMENTED = (DEPLOY.parent / "docs" / "operating.md").read_text()

QUERIES = [pytest.param(rule["expr"], id=rule["alert"]) for rule in ALERTS] + [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def labels_of():
    """The labels of every series that `/metrics` can show, by its name."""
    metrics = Metrics()
    metrics.watch_rounds(lambda: {"closed": 0})
    metrics.watch_threads(lambda: {"worker": 0})
    found = {}
    for collector in metrics.registry._collector_to_names:
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.describe():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
            own = labels | set(getattr(family, "_labelnames", ()))
            found |= {family.name + suffix: own | ({"le"} if suffix == "_bucket" else set()) for suffix in suffixes}
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_asked_for_is_there(query, labels_of):
    names = set(re.findall(r"\bconsensus_[a-z_]+", query))
    assert names <= labels_of.keys()
    used = set(re.findall(r"([a-z]+)(?:=~|!~|!=|=)\"", query))
    for listed in re.findall(r"\bby \(([^)]*)\)", query):
        used |= {label.strip() for label in listed.split(",")}
    known = set().union(*(labels_of[name] for name in names))
    assert used <= known | OF_PROMETHEUS


def test_every_metric_is_on_the_dashboard_and_in_the_docs(labels_of):
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in labels_of}
    assert {name for name in families if name not in shown} == set()
    panels_page = (DEPLOY.parent / "docs" / "inference.md").read_text()
    assert {name for name in families if name.removesuffix("_total") not in DOCUMENTED + panels_page} == set()


def test_panels_of_the_dashboard_have_places_and_names_of_their_own():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_pages_that_alerts_name_exist():
    root = DEPLOY.parent
    for rule in ALERTS:
        for page, anchor in re.findall(r"(docs/[a-z-]+\.md)#([a-z-]+)", rule["annotations"]["description"]):
            headings = re.findall(r"^#+ (.+)$", (root / page).read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (of Prometheus) is not installed"
)


def promtool(*arguments):
    run = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
def test_prometheus_reads_configuration_and_queries(tmp_path):
    promtool("check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yml")
    queries = [query.values[0].replace("$__rate_interval", "5m") for query in QUERIES]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", file)


def series(name, values):
    return {"series": name, "values": values}


HALF_AN_HOUR_OF = "x120"
"""At 15 seconds."""

RINGING = {
    "ConsensusServerAway": [series('up{job="semantic-consensus", instance="a"}', f"0{HALF_AN_HOUR_OF}")],
    "ConsensusEncoderNotReady": [series("consensus_encoder_ready", f"0{HALF_AN_HOUR_OF}")],
    "ConsensusRoundWaits": [series('consensus_rounds{state="closed"}', f"1{HALF_AN_HOUR_OF}")],
    "ConsensusRoundFailed": [series('consensus_rounds{state="failed"}', "0x60 1x60")],
    "ConsensusThreadRestarts": [series('consensus_thread_restarts_total{thread="worker"}', "0x60 1+1x60")],
    "ConsensusServerFaults": [series('consensus_http_requests_total{status="500"}', f"0+1{HALF_AN_HOUR_OF}")],
    "ConsensusBusy": [
        series('consensus_http_requests_total{status="503"}', f"0+1{HALF_AN_HOUR_OF}"),
        series('consensus_http_requests_total{status="200"}', f"0+3{HALF_AN_HOUR_OF}"),
    ],
    "ConsensusRoundAlarm": [series('consensus_alarms_total{kind="echo"}', "0x60 1x60")],
    "ConsensusAbstains": [
        series('consensus_abstentions_total{reason="tie"}', "0x60 9x60"),
        series('consensus_labels_total{grade="none"}', "0x60 1x60"),
    ],
    "ConsensusPanelMissesQuorum": [
        series('consensus_panel_seconds_count{panel="p", outcome="quorum_missed"}', f"0+1{HALF_AN_HOUR_OF}"),
        series('consensus_panel_seconds_count{panel="p", outcome="answered"}', f"0+4{HALF_AN_HOUR_OF}"),
    ],
}
WELL = [
    series('up{job="semantic-consensus", instance="a"}', f"1{HALF_AN_HOUR_OF}"),
    series("consensus_encoder_ready", f"1{HALF_AN_HOUR_OF}"),
    series('consensus_rounds{state="closed"}', "1x10 0x20 1x10 0x80"),
    series('consensus_rounds{state="failed"}', f"3{HALF_AN_HOUR_OF}"),
    series('consensus_thread_restarts_total{thread="worker"}', "0x60 1x60"),
    series('consensus_http_requests_total{status="200"}', f"0+9{HALF_AN_HOUR_OF}"),
    series('consensus_http_requests_total{status="503"}', "0x60 2x60"),
    series('consensus_alarms_total{kind="echo"}', f"2{HALF_AN_HOUR_OF}"),
    series('consensus_abstentions_total{reason="tie"}', "0x60 2x60"),
    series('consensus_labels_total{grade="none"}', "0x60 8x60"),
    series('consensus_panel_seconds_count{panel="p", outcome="answered"}', f"0+4{HALF_AN_HOUR_OF}"),
]


def firing(alert, given):
    """A test for promtool: at the thirtieth minute the alert fires, and prometheus says which."""
    return {
        "interval": "15s",
        "input_series": given,
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                "eval_time": "30m",
                "exp_samples": [{"labels": "{}", "value": int(given is not WELL)}],
            }
        ],
    }


@needs_promtool
def test_each_alert_rings_when_it_should_and_none_where_all_is_well(tmp_path):
    assert RINGING.keys() == {rule["alert"] for rule in ALERTS}
    tests = [firing(alert, given) for alert, given in RINGING.items()] + [firing(alert, WELL) for alert in RINGING]
    file = tmp_path / "tests.yml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": [str(DEPLOY / "prometheus" / "alerts.yml")], "evaluation_interval": "15s", "tests": tests}
        )
    )
    promtool("test", "rules", file)
