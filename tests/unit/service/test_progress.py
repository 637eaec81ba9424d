"""Progress of an aggregation: throttled, with the time that a step may still take."""

from client_kit.vocabulary import AggregationStep
from consensus_server.core.rounds import AggregationProgress
from consensus_server.service.progress import Reporter

ENCODING, DECIDING = AggregationStep.ENCODING, AggregationStep.DECIDING


def reported(*calls):
    """What is told of calls (second, step, done, total)."""
    now, told = [0.0], []
    reporter = Reporter(lambda progress, event: told.append((progress, event)), clock=lambda: now[0])
    for second, *call in calls:
        now[0] = second
        reporter(*call)
    return told


def test_a_small_round_tells_nothing():
    assert reported((0.1, ENCODING, 0, 30), (0.4, ENCODING, 30, 30), (0.9, DECIDING, 0, 30)) == []


def test_a_large_one_begins_with_a_report_and_tells_one_a_second():
    told = reported(*((tenth / 10, ENCODING, tenth, 200) for tenth in range(31)))
    assert [progress.done for progress, _ in told] == [0, 10, 20, 30]


def test_the_rest_is_estimated_from_the_pace_of_the_step():
    told = reported((0, ENCODING, 100, 300), (5, ENCODING, 200, 300), (6, DECIDING, 0, 40), (8, DECIDING, 10, 40))
    assert [progress for progress, _ in told] == [
        AggregationProgress(ENCODING, 100, 300, None),
        AggregationProgress(ENCODING, 200, 300, 5.0),
        AggregationProgress(DECIDING, 0, 40, None),
        AggregationProgress(DECIDING, 10, 40, 6.0),
    ]


def test_an_event_is_made_every_ten_seconds():
    told = reported(*((second, ENCODING, second, 1000) for second in range(31)))
    assert [progress.done for progress, event in told if event] == [10, 20, 30]
