"""What `/metrics` shows, in a registry of its own, so that two servers in one process do not share counts.

No metric carries the name of a federation or a participant: the page is open, as monitoring expects it to be. Panels and
upstreams are named: an operator must see which one fails.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from client_kit.vocabulary import Abstention
from consensus_server.core.alarms import KINDS as ALARMS
from consensus_server.core.errors import StoreUnavailable
from consensus_server.core.labels import Label, RoundCard
from consensus_server.service.aggregation import Result

PANEL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
"""Seconds: from a cached answer to a reasoning model behind a queue."""

TENTHS = tuple(tenth / 10 for tenth in range(1, 11))

EVIDENCE_BUCKETS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16)
"""Participants: from what nobody is sure of to what many are."""

AGGREGATION_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)
"""Seconds: from a handful of prompts to a large set on a slow machine."""


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "consensus_http_requests",
            "Requests by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "consensus_http_request_seconds",
            "Seconds to the end of the answer",
            ["method", "route"],
            registry=self.registry,
        )
        self.traffic = Counter(
            "consensus_traffic_bytes",
            "Bytes on the wire of participants, by direction",
            ["direction"],
            registry=self.registry,
        )
        self.answers = Counter("consensus_answers", "Answers stored", registry=self.registry)
        self.encoder_ready = Gauge("consensus_encoder_ready", "1 once the encoder is loaded", registry=self.registry)
        self.aggregation = Histogram(
            "consensus_aggregation_seconds",
            "Seconds of aggregation by outcome",
            ["outcome"],
            buckets=AGGREGATION_BUCKETS,
            registry=self.registry,
        )
        self.encoding = Histogram(
            "consensus_encoding_seconds",
            "Seconds of the aggregation of published rounds that encoding took",
            buckets=AGGREGATION_BUCKETS,
            registry=self.registry,
        )
        self.deciding = Histogram(
            "consensus_deciding_seconds",
            "Seconds of the aggregation of published rounds that deciding took",
            buckets=AGGREGATION_BUCKETS,
            registry=self.registry,
        )
        self.confidence = Histogram(
            "consensus_label_confidence",
            "Confidence of pseudo-labels published",
            buckets=TENTHS,
            registry=self.registry,
        )
        self.evidence = Histogram(
            "consensus_label_evidence",
            "Evidence, in participants, behind pseudo-labels published, where evidence decides",
            buckets=EVIDENCE_BUCKETS,
            registry=self.registry,
        )
        self.abstentions = Counter(
            "consensus_abstentions",
            "Prompts of published rounds without a pseudo-label, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.labels = Counter(
            "consensus_labels",
            "Pseudo-labels published, by grade; `none` where support decides",
            ["grade"],
            registry=self.registry,
        )
        self.hearsay = Counter(
            "consensus_hearsay_labels", "Pseudo-labels published that rest on taught models", registry=self.registry
        )
        self.alarms = Counter(
            "consensus_alarms", "Alarms of published rounds, by kind", ["kind"], registry=self.registry
        )
        self.panel = Histogram(
            "consensus_panel_seconds",
            "Seconds from a question to a panel to its answer, by outcome",
            ["panel", "outcome"],
            buckets=PANEL_BUCKETS,
            registry=self.registry,
        )
        self.panel_encoding = Histogram(
            "consensus_panel_encoding_seconds",
            "Seconds of these that the encoding of the answers took",
            ["panel"],
            buckets=PANEL_BUCKETS,
            registry=self.registry,
        )
        self.panel_requests = Counter(
            "consensus_panel_requests",
            "Requests of panels to upstreams, made and saved (`not_asked`)",
            ["panel", "outcome"],
            registry=self.registry,
        )
        self.panel_tokens = Counter(
            "consensus_panel_tokens",
            "Tokens that panels have spent; estimated where no upstream counted them",
            ["panel"],
            registry=self.registry,
        )
        self.panel_money = Counter(
            "consensus_panel_money", "Money that panels with prices have spent", ["panel"], registry=self.registry
        )
        self.upstream_failures = Counter(
            "consensus_upstream_failures",
            "Requests to upstreams that brought no answer in time, by reason",
            ["panel", "upstream", "reason"],
            registry=self.registry,
        )
        self._begin_at_nought()

    def _begin_at_nought(self) -> None:
        """Monitoring sees a counter rise only from a value that it has seen before."""
        for result in Result:
            self.aggregation.labels(result.value)
        for reason in Abstention:
            self.abstentions.labels(reason.value)
        for kind in ALARMS:
            self.alarms.labels(kind)

    def count_bytes(self, received: int, sent: int) -> None:
        """Bytes of participants that have just crossed the wire."""
        self.traffic.labels("received").inc(received)
        self.traffic.labels("sent").inc(sent)

    def count_round(self, card: RoundCard, labels: Iterable[Label]) -> None:
        """What a round that was published took and gave."""
        self.encoding.observe(card.timings.encoding_seconds)
        self.deciding.observe(card.timings.deciding_seconds)
        for reason, count in card.counts.abstentions.items():
            self.abstentions.labels(reason).inc(count)
        for label in labels:
            self._count_label(label)
        for grade, count in (card.counts.grades or {"none": card.counts.labels}).items():
            self.labels.labels(grade).inc(count)
        self.hearsay.inc(card.counts.hearsay)
        for alarm in card.alarms:
            self.alarms.labels(alarm.kind).inc()

    def _count_label(self, label: Label) -> None:
        if label.abstention is None:
            self.confidence.observe(label.confidence)
            if label.evidence is not None:
                self.evidence.observe(label.evidence)

    def watch_rounds(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Show the number of rounds by state, asked for at every scrape."""
        self.registry.register(_Asked(_rounds, count))

    def watch_participants(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Show how many active participants were seen lately, asked for at every scrape."""
        self.registry.register(_Asked(_participants, count))

    def watch_threads(self, restarts: Callable[[], Mapping[str, int]]) -> None:
        """Show how often each thread was started again, asked for at every scrape."""
        self.registry.register(_Asked(_restarts, restarts))

    def render(self) -> bytes:
        """The page in Prometheus' text format."""
        return generate_latest(self.registry)


class _Asked(Collector):
    """Numbers that are asked for at every scrape, by the one label of their family."""

    def __init__(
        self, family: Callable[[], GaugeMetricFamily | CounterMetricFamily], numbers: Callable[[], Mapping[str, int]]
    ) -> None:
        """family: makes an empty one."""
        self._family = family
        self._numbers = numbers

    def describe(self) -> Iterable[Metric]:
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        with suppress(StoreUnavailable):  # all other metrics are wanted most when the database is away
            for label, number in sorted(self._numbers().items()):
                family.add_metric([label], number)
        return [family]


def _rounds() -> GaugeMetricFamily:
    return GaugeMetricFamily("consensus_rounds", "Rounds by state", labels=["state"])


def _participants() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "consensus_participants", "Active participants: seen lately, silent since, or never", labels=["presence"]
    )


def _restarts() -> CounterMetricFamily:
    return CounterMetricFamily("consensus_thread_restarts", "Threads started again after an error", labels=["thread"])
