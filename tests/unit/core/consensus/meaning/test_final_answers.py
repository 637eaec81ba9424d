"""Final answers: one key for all ways of stating one, none for a text that states none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.meaning.final_answers import final_answer
from consensus_server.core.consensus.meaning.units import agree

STATED = {
    "number 42": [
        "42", "42.", " 42 ", "$42", "42%", "42 %", "42 km", "**42**", "42.00", "+42", "forty-two", "042", "42°C", "US$ 42", "42 N", "So 42 and the third is out.",
        r"\boxed{42}", r"So it is $\boxed{42}$.", r"\boxed{42\text{ km}}", "<answer>42</answer>", "#### 42",
        "The answer is 42.", "the final answer is: **42**", "**Answer:** 42", "Answer:\n\n42", "My answer would be 42 apples",
        "The answer is 42, because 6 * 7 = 42.", "The answer is 6 * 7 = 42.", "The result is x = 42", "Result: 42 m^2",
        "First 6, then 7.\nSo she has 42 apples left.", "The answer is 41. Wait, no: the answer is 42.",
        "The answer is not 41. It is 42.", "The answer to this question is approximately 42.", "\uff14\uff12", "\u0664\u0662",
        "The answer is \u200e42.", "\u200f42\u200f", "\\boxed{\u206642\u2069}", "#### \u200b42",
    ],
    "number 1234567": [r"\boxed{1{,}234{,}567}", r"\boxed{1\,234\,567}"],
    "number 3/4": [r"The answer is $\frac{3}{4}$."],
    "number 5/2": ["The answer is 2 1/2 cups.", "So she needs 2 1/2 cups.", "So she needs 2 and a half cups."],
    "number -5": [r"\boxed{-5}", "The answer is -5."],
    "number 2/3": ["The answer is two thirds."],
    "number 3": ["So she has 3 quarters."],
    "number 3000": ["The answer is three thousand dollars."],
    "choice B": ["B", "(B)", "b)", "B.", "B) Paris", "Option B", "The answer is (B).", "The correct option is B: Paris",
                 "the answer is (B) because A is wrong.", r"\boxed{\text{B}}", "Answer: B", "Answer: \ufeffB", "**B**",
                 "Option A is wrong, so the correct answer is option B."],
    "choice A C": ["A and C", "(A), (C)", "The answer is C and A."],
    "truth yes": ["Yes", "\u200eYes, because it rains.", "yes.", "True", "Yes, because it rains.", "The answer is yes.", r"\boxed{\text{True}}",
                  "Yes. There are 5 reasons for it.", "Correct!"],
    "truth no": ["No", "no, since it is dry", "False.", "The statement is checked. The answer is: False"],
    "number 18": ['{"reasoning": "3 + 15 = 18, or so", "answer": "18"}', '{"answer": 18}', "{'final_answer': '18'}",
                  '```json\n{\n  "answer": "17",\n  "answer": "18.00"\n}\n```', '{"reasoning": "broken off", "answer": "$18'],
    "written (3,4)": [r"\boxed{(3, 4)}", "The answer is (3,4).", "(3, 4)", '{"answer": "(3, 4)"}'],
    "written [1,2,3]": ["[1, 2, 3]", '{"answer": [1, 2, 3]}', "#### [1,2, 3]"],
    "written x=2,y=3": ["x = 2, y = 3", "The answer is x=2, y=3."],
    "written 2x+3": ["2x + 3", "2x+3."],
    "written 3:30": ["The answer is 3:30.", "3:30"],
    "written 10-12": ["10-12", r"\boxed{10-12}"],
    "written 1/0": ["1/0"],
    "written 1e99999": ["1e99999"],
    "written 5x": ["5x"],
    "written none": ["None", "none."],
    "written ['a','b']": ["['a', 'b']", "[ 'a','b' ]"],
    "text Paris": ["Paris", "Paris.", '{"answer": "Paris"}', r"So it is \boxed{\text{Paris}}.", "<answer>Paris</answer>", "**Paris**"],
    "text New York": ['{"answer": "New York"}', "#### New York", "'New York'"],
    "number 300": ["Answer: the book has 300 pages.", '{"answer": "It has 300 pages in all."}', "The answer is that he paid $300."],
    "written ['k','j']": ["['k', 'j']", '["k", "j"]'],
    "text try": ["try.", "try", "'try.'", '"try."'],
    "date 2020-05-04": ["May 4, 2020", "4 May 2020", "the 4th of May, 2020", "The answer is 4 May 2020.", '{"answer": "May 4th, 2020"}'],
    "date 2020-06-09": ["June 9, 2020"],
}  # fmt: skip


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, texts in STATED.items() for text in texts])
def test_ways_of_stating_one_answer(key, text):
    assert agree(final_answer(text), key)


@pytest.mark.parametrize(
    "text",
    ["", "I don't know.", "No one knows", "A dog", "I, however, think so", "[see above]!", '"answer": "nobody can say what it is"'],
)  # fmt: skip
def test_texts_that_state_none(text):
    assert final_answer(text) is None


@pytest.mark.parametrize("text", ["So she ate 2 thirds.", "2 thirds", "5 hundred thousand", "The answer"])
def test_a_number_that_is_only_part_of_one_is_not_the_answer(text):
    assert final_answer(text) is None


DENIED = [
    "It is 42, not 43.", "So the total is 42 and not 43.", "So it is 42 rather than 43.", "We get 42 instead of the 43.",
    "It is not 43 but 42.", "So it is 42, neither 43 nor 44.", "So 42 apples; it cannot be 43 or 44.", "Well, 42, not $43.",
    "So it is 42, it isn't 43.", "42, not 3 to 5", "The answer is 42 rather than 43.", "The answer is 42 and not 43.",
    "The answer is certainly not 43 but 42.", "Instead of 43, we get 42.", "So it is not more than 42.",
]  # fmt: skip


@pytest.mark.parametrize("text", DENIED)
def test_a_number_that_is_denied_is_not_the_answer(text):
    assert final_answer(text) == "number 42"


def test_a_denied_number_alone_is_no_answer():
    assert final_answer("It's not 43.") is None
    assert final_answer("The answer is B and not A.") == "choice B"


COURTESIES = [
    "I hope this helps in 2024!", "Hope that helps!", "Let me know if you need any of the other 7.", "Feel free to ask 24/7.",
    "Please let me know if my answer is correct.", "If you have any more questions, ask. I'm happy to help 7 days a week.",
    "**Hope this helps!** Thanks for asking 1 question.", "Have a nice day!", "Good luck with the other 3!",
]  # fmt: skip


@pytest.mark.parametrize("end", COURTESIES)
@pytest.mark.parametrize("text", ["So she has 42.", "The answer is 42.", "42\n"])
def test_courtesies_at_the_end_state_no_answer(text, end):
    assert final_answer(f"{text} {end}") == "number 42"


@pytest.mark.parametrize(
    "text",
    ["She has 41. Thanks to her friends she has 42.", "First 41. I hope this helps: 42.", r"It's 41. Feel free to use \boxed{42}."],
)  # fmt: skip
def test_what_only_looks_like_a_courtesy_is_read(text):
    assert final_answer(text) == "number 42"


def test_a_courtesy_alone_states_no_answer():
    assert final_answer("I hope this helps in 2024!") is None


SEVERAL = [
    "between 3 and 5", "3 to 5", "3 or 5", "from 3 to 5", "So it takes between 3 and 5 days.", "It takes 3 - 5 days.",
    "So it takes 3\u20135 days.", "So it takes between 3 km and 5 km.", "Of 12 apples, 3-5 are red.", "So it is 3% to 5%.",
    "The roots are 3 and 5 and 7.", "So it is 12 minus 5.", "So 12 lies between $10 and $15.", "So it is $3 million to $5 million.",
    "1 in 5", "3 out of 4", "So it is 3 of 4.",
]  # fmt: skip


@pytest.mark.parametrize("text", SEVERAL)
def test_a_sentence_that_ends_with_several_numbers_states_none(text):
    assert final_answer(text) is None


@pytest.mark.parametrize(
    "text",
    ["The sum of 3 and 39 is 42.", "It adds up to 42.", "Between 3 and 5 there are 42.", "She has 42 on 2024-11-28.", "50 - 8 = 42"],
)  # fmt: skip
def test_several_numbers_before_the_last_one_do_no_harm(text):
    assert final_answer(text) == "number 42"


@pytest.mark.parametrize(
    "text",
    [
        "{" * 10**6,
        r"\boxed{" * 10**5,
        "9" * 10**6,
        "the answer is " * 10**5,
        "1," * 10**6,
        "3 and " * 10**5,
        "not 3 or " * 10**5,
        "I hope this helps. " * 10**5,
        "between 3 " * 10**5,
        "one and " * 10**5,
        "The answer is " + "one " * 30 + "and a" * 30,
        "1 1 " * 10**5,
        "3-" * 10**5,
        "3 -5 " * 10**5 + "x",
    ],
)
def test_huge_and_hostile_texts_are_read_in_no_time(text):
    assert final_answer(text) is None or len(final_answer(text)) < 300


def test_an_exponent_of_thousands_of_digits_is_compared_as_written():
    """One character may stand for two digits: more of them than `int` reads."""
    assert final_answer("\\boxed{1e" + "\u32bf" * 2500 + "}") == "written 1e" + "50" * 2500


@settings(deadline=None)
@given(st.text())
def test_any_text_has_a_key_or_none(text):
    key = final_answer(text)
    assert key is None or "".join(key).split(" ", 1)[0] in {"number", "choice", "truth", "written", "text"}


numbers = st.integers(-(10**9), 10**9)
frames = st.sampled_from(
    [
        "{}",
        "The answer is {}.",
        "Let us see: 3 + 4 = 7.\n\nFinal answer: {}",
        "\\boxed{{{}}}",
        "#### {}",
        "**Answer:** {} km",
    ]
)
formats = st.sampled_from(["{}", "{:,}", "{}.0", "{:.2f}"])


@settings(deadline=None)
@given(number=numbers, frame=frames, form=formats, other=frames)
def test_neither_format_nor_frame_changes_a_number(number, frame, form, other):
    keys = final_answer(frame.format(form.format(number))), final_answer(other.format(number))
    assert agree(*keys)
    assert all(agree(key, f"number {number}") for key in keys)


@settings(deadline=None)
@given(numbers, numbers, frames)
def test_other_numbers_are_other_answers(one, other, frame):
    assert (final_answer(frame.format(one)) == final_answer(frame.format(other))) is (one == other)


@settings(deadline=None)
@given(data=st.data())
def test_formats_order_and_names_do_not_change_the_winning_answer(make_pool, data):
    counts = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4).filter(lambda c: c.count(max(c)) == 1))
    values = [value for value, count in enumerate(counts) for _ in range(count)]
    order = data.draw(st.permutations(values))
    texts = [data.draw(frames).format(data.draw(formats).format(value)) for value in order]
    vectors = [[1.0, float(i % 3)] for i in range(len(texts))]
    names = data.draw(st.permutations([f"site-{i}" for i in range(len(texts))]))
    held = {}
    rows = [held.setdefault(text, vector) for text, vector in zip(texts, vectors, strict=True)]
    pool = make_pool(rows, participants=names, texts=texts, equivalence="final_answer")
    [decision] = decide([pool], Policy(rule="vote", abstain=False, guards=False))
    assert order[decision.pick] == counts.index(max(counts))
