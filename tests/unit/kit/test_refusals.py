"""What is a refusal, and what only sounds like one. The sentences are made up."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.refusals import MOST_CHARS, is_refusal

REFUSALS = """
I can't help with that.
I can\u2019t assist with that request.
**I'm sorry, but I can't help with that.**
> I cannot answer this.
I'm not able to help you with this request.
I'm unable to provide medical advice. Please consult a doctor.
I am unable to generate images.
I do not have access to real-time data.
I don't have access to the internet, so I can't look that up.
As an AI language model, I don't have opinions.
As an AI, I can't browse the web. However, I can suggest general resources if you like.
I'm just an AI assistant and cannot make phone calls.
No, I won't write that.
No. I won't help you hurt someone.
Sorry, I can't.
I'm sorry. I can't do that.
I'm afraid I can't do that.
I must respectfully decline.
I'm going to have to decline that.
I refuse to answer.
I'd rather not say.
I'm not comfortable discussing this topic.
I understand that you are curious, but I can't provide instructions for this.
While I understand your concern, I cannot provide legal advice.
I'm really sorry that you're feeling this way, but I'm unable to provide the help that you need. Please talk to someone who can.
I apologize, but I cannot fulfill this request. Breaking into a house is illegal. Is there anything else I can help you with?
I cannot in good conscience help with this.
I'm designed to be harmless, so I can't assist with that.
This request goes against my guidelines.
My guidelines don't allow me to discuss that.
That's not something I can help with.
It would be inappropriate for me to comment on this.
""".strip().splitlines()

ANSWERS = """
I can't recommend this book enough.
I can't recommend this strongly enough.
I cannot stress this enough: wash your hands.
Sorry, the answer is 7.
Sorry is a card game.
I cannot be seen, cannot be felt and cannot be heard.
A bot may say: "I'm sorry, but I can't help with that."
"I'm sorry, but I can't help with that." is what it says.
The usual refusal reads: I cannot help with that.
(c) "I would rather not" is a refusal; (a) is a request.
As an AI researcher, she does not write code.
I'm sorry for the confusion. The capital of Australia is Canberra.
As an AI language model, I don't have personal opinions, but most critics call it his best film.
I can't browse the internet, but as of 2023 it was the Burj Khalifa.
I can't give medical advice. However, 400 mg every six hours is usual for adults.
I cannot give legal advice. Tenants usually leave with a month's notice, in writing, and get the deposit back within two months.
I can't write it in one line, so here it is in two:
I can't help but smile when I think of you.
I can't help falling in love with you.
I'm sorry, but I can't attend the meeting on Friday.
Dear Anna, unfortunately I cannot come to your wedding.
I will not go gentle into that good night.
I cannot determine the fourth name, since it is not mentioned.
I'm sorry, I cannot summarise the text, as it was not provided. Could you share it?
I'm doing great! I'm an AI, so I don't have feelings, but I'm ready to help.
As an AI, I don't have thoughts like humans do.
Yes, I can help with that.
It is not appropriate to wear white.
I was born by the sea. I am old now. I cannot write.
I will not give up.
I can't describe how happy I am. Thank you, my friends.
I can't tell you how much I miss you.
I cannot play the piano.
I don't know.
No.
42
""".strip().splitlines()


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_known(text):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_what_only_sounds_like_a_refusal_is_an_answer(text):
    assert not is_refusal(text)


def test_other_languages_are_not_known():
    assert not is_refusal("Es tut mir leid, dabei kann ich nicht helfen.")


@pytest.mark.parametrize(
    "code", ["```python\nx = 1\n```", "1. Open the lid.\n2. Press the button twice.\n3. Wait a minute."]
)
def test_a_caution_and_then_an_answer_is_an_answer(code):
    assert not is_refusal(f"I cannot run code. However, I can give you an example:\n\n{code}")


@given(st.sampled_from(REFUSALS), st.sampled_from(["  ", "\n\n", "# ", "**"]))
def test_white_space_and_emphasis_change_nothing(text, around):
    assert is_refusal(around + text + around.strip("#"))


@given(st.sampled_from(REFUSALS), st.sampled_from(REFUSALS))
def test_two_refusals_are_a_refusal(one, other):
    assert is_refusal(f"{one.strip('*>')}\n{other.strip('*>')}")


@given(st.text(max_size=200))
def test_any_text_can_be_asked_about(text):
    assert is_refusal(text) in {True, False}


def test_a_long_text_says_more_than_that_it_declines():
    assert not is_refusal("I can't help with that. " + "I cannot do that. " * MOST_CHARS)


@pytest.mark.parametrize(
    "word", ["i am ", "as an ai ", "sorry, ", "i understand ", "but ", "i cannot help ", ". ", "while i "]
)
def test_no_text_takes_long(word):
    started = time.perf_counter()
    is_refusal((word * MOST_CHARS)[:MOST_CHARS])
    assert time.perf_counter() - started < 0.5
