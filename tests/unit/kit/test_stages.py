"""Where there is no terminal, plain lines say how far a command is."""

import pytest

from client_kit import stages
from client_kit.cli.board import Board
from client_kit.cli.join import describe
from client_kit.federation.progress import Progress, Step


def test_a_stage_begins_with_a_line_and_has_one_every_ten_seconds():
    now, said = [0.0], []
    observe = stages.Lines(clock=lambda: now[0], write=said.append)
    observe("Starting the server", 0, 0)
    for second in range(26):
        now[0] = second
        observe("Aggregating: encoding", 40 * second, 1000)
    assert said == [
        "Starting the server",
        "Aggregating: encoding: 0 of 1,000",
        "Aggregating: encoding: 400 of 1,000, about 15 s left",
        "Aggregating: encoding: 800 of 1,000, about 5 s left",
    ]


def test_without_a_terminal_lines_are_written_and_nothing_where_they_are_hidden(capsys):
    with stages.shown() as observe:
        observe("Submitting", 1, 3)
    with stages.shown(hidden=True) as observe:
        observe("Submitting", 2, 3)
    assert capsys.readouterr().err == "Submitting: 1 of 3\n"


def test_the_board_tells_what_lasts_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    board = Board()
    for second in range(25):
        now[0] = float(second)
        board(Progress("(server)", Step.AGGREGATING, 1, second, 25, "encoding"))
        board(Progress("anna", Step.ANSWERING, 1, second, 25))
    said = capsys.readouterr().err.splitlines()
    assert [line.split("s  ")[1] for line in said if "(server)" in line] == [
        "(server): Round 1: encoding 0 of 25",
        "(server): Round 1: encoding 10 of 25",
        "(server): Round 1: encoding 20 of 25",
    ]
    assert len(said) == 6


@pytest.mark.parametrize("step", Step)
def test_every_step_has_a_line(step):
    assert describe(Progress("anna", step, 1, 1, 2, "detail"))
