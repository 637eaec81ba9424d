import numpy as np
import pytest

from consensus_server.core.consensus.answers.gates import ANSWER_GATES, Candidates, usable_answers


def gates(texts, vectors):
    usable, found = usable_answers(Candidates(texts, np.asarray(vectors, dtype=np.float32)))
    assert usable.tolist() == [row not in found for row in range(len(texts))]
    return [found[row].gate if row in found else None for row in range(len(texts))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\t\r",
        "\u200b",
        "\ufeff \u2060",
        "\x00\x1b",
        "\u00ad\u200f",
        "\u3164\u2800",
        "\u2028 " * 50,
        "\ufe0f",
        "\u17b4\u180b\U000e0100",
    ],
)
def test_what_shows_nothing_is_empty(text):
    assert gates([text], [[1, 0]]) == ["empty"]


@pytest.mark.parametrize("text", ["0", "\u200bA\u200b", "no", "מים", "水", "🙂", "?", "\u200d👩"])
def test_what_shows_something_is_admitted(text):
    assert gates([text], [[1, 0]]) == [None]


@pytest.mark.parametrize("vector", [[0, 0], [np.nan, 1], [np.inf, 0], [1, -np.inf]])
def test_a_text_without_a_direction_is_not_embeddable(vector):
    assert gates(["Paris", "Rome"], [vector, [0, 1]]) == ["not_embeddable", None]


def test_the_first_gate_gives_the_name():
    assert gates([" ", "word", ""], [[0, 0], [0, 0], [np.nan, 0]]) == ["empty", "not_embeddable", "empty"]


def test_refusals_are_rejected_where_they_may_be():
    texts, vectors = ["I can't help with that."] * 3 + ["Paris.", " "], np.eye(5, dtype=np.float32)
    vectors[1] = 0
    _, found = usable_answers(Candidates(texts, vectors, np.array([True, True, False, True, True])))
    assert {row: each.gate for row, each in found.items()} == {0: "refusal", 1: "not_embeddable", 4: "empty"}
    assert gates(texts, vectors) == [None, "not_embeddable", None, None, "empty"]


def test_every_gate_judges_each_answer_by_itself():
    candidates = Candidates(["a", " ", "b"], np.array([[1, 0], [1, 0], [0, 0]], np.float32))
    for gate in ANSWER_GATES.values():
        together = gate.find(candidates).rejected
        alone = [gate.find(Candidates([candidates.texts[i]], candidates.vectors[i : i + 1])).rejected for i in range(3)]
        assert [[v] for v in together.tolist()] == [each.tolist() for each in alone]
    assert gates([], np.zeros((0, 2))) == []
