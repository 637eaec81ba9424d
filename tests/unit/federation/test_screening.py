"""What becomes of answers with personal data, before anything counts, shows or sends them."""

import pytest

from client_kit.federation.screening import Screen
from client_kit.generation.cleaning import Cleaned
from client_kit.pii import open_detector
from client_kit.wire import Answer, FinishReason

ANSWERS = [
    Answer(prompt_id="p1", text="Ask anna@example.org, or bob@example.org.", finish_reason=FinishReason.STOP),
    Answer(prompt_id="p2", text="Paris."),
]
CLEANED = Cleaned(ANSWERS, {"empty": ["p3"]}, [])


@pytest.mark.parametrize(
    ("action", "texts", "dropped"),
    [
        ("mask", ["Ask <EMAIL>, or <EMAIL>.", "Paris."], {"empty": ["p3"]}),
        ("block", ["Paris."], {"empty": ["p3"], "personal_data": ["p1"]}),
        ("ask", [ANSWERS[0].text, "Paris."], {"empty": ["p3"]}),
    ],
)
def test_each_action(action, texts, dropped):
    screened = Screen(open_detector("patterns"), action)(CLEANED, 100)
    assert [answer.text for answer in screened.answers] == texts
    assert screened.dropped == dropped
    assert screened.personal == {"email": 2}
    assert CLEANED.answers == ANSWERS
    assert CLEANED.dropped == {"empty": ["p3"]}


def test_a_mask_makes_no_answer_too_long():
    (answer,) = Screen(open_detector("patterns"), "mask")(
        Cleaned([Answer(prompt_id="p", text="a@b.de")], {}, []), 6
    ).answers
    assert answer.text == "<EMAIL"


def test_each_text_is_looked_at_once():
    seen = []
    screen = Screen(lambda text: seen.append(text) or [], "mask")
    for _ in range(2):
        assert screen(CLEANED, 100).answers == ANSWERS
    assert seen == [answer.text for answer in ANSWERS]
