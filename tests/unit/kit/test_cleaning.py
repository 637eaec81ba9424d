"""From what a model said to what is submitted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.generation.base import Generation
from client_kit.generation.cleaning import Dropped, clean, clean_all, storable, whole_sentences
from client_kit.generation.dialects import COMPLETIONS, MEANINGS
from client_kit.generation.losses import WHY, lost_in_words
from client_kit.wire import Answer, AnswerPolicy, FinishReason, Refusals, TruncatedAnswers, Usage

KEEP = AnswerPolicy(truncated=TruncatedAnswers.KEEP)
TRIM = AnswerPolicy(truncated=TruncatedAnswers.TRIM, refusals=Refusals.KEEP)
DROP = AnswerPolicy(truncated=TruncatedAnswers.DROP)
REFUSE = AnswerPolicy(refusals=Refusals.DROP)


def cleaned(text, policy=TRIM, finish=FinishReason.STOP, **options):
    result = clean(Generation("p", 3, text, finish), policy, **options)
    return result.text if isinstance(result, Answer) else result


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<think>hm\nhm</think>\n\nParis.", "Paris."),
        ("hm, so it is Paris.</think>Paris.", "Paris."),
        ("<THINKING>hm</THINKING> Paris.", "Paris."),
        ("<think></think>Paris.", "Paris."),
        ("Paris. <think>Or was it", "Paris."),
        ("  Paris. \n", "Paris."),
    ],
)
def test_reasoning_goes(said, left):
    assert cleaned(said) == left


@pytest.mark.parametrize("said", ["", " \n", "<think>it never came to an answer", "<think>hm</think>", "\x00"])
def test_an_answer_of_nothing_is_dropped(said):
    assert cleaned(said, finish=FinishReason.LENGTH) is Dropped.EMPTY


@pytest.mark.parametrize(("policy", "left"), [(KEEP, "One. Two is cu"), (TRIM, "One."), (DROP, Dropped.TRUNCATED)])
def test_truncated_answers_follow_the_policy(policy, left):
    assert cleaned("One. Two is cu", policy, FinishReason.LENGTH) == left
    assert cleaned("One. Two is cu", policy, FinishReason.STOP) == "One. Two is cu"


def test_what_is_too_long_costs_its_prompt_and_is_told_by_name():
    said = [
        Generation(f"p{n}", 0, text, FinishReason.STOP) for n, text in enumerate(["Yes.", "x" * 31, "One. " * 8, ""])
    ]
    found = clean_all(said, TRIM, 30)
    assert [answer.prompt_id for answer in found.answers] == ["p0", "p2"]
    assert found.dropped == {"too_long": ["p1"], "empty": ["p3"]}
    assert lost_in_words(found.lost) == "1 dropped: empty (p3), 1 dropped: too_long (p1), 1 shortened: too_long (p2)"
    many = clean_all([Generation(f"p{n}", 0, "", FinishReason.STOP) for n in range(7)], TRIM, 30)
    assert lost_in_words(many.lost) == "7 dropped: empty (p0, p1, p2, p3, p4, and 2 more)"


def test_every_reason_for_which_an_answer_is_lost_is_put_into_words():
    costing = {each.value for each, meaning in MEANINGS.items() if meaning.prompt and each not in COMPLETIONS}
    assert WHY["left_out"].keys() == costing
    assert WHY["dropped"].keys() == {each.value for each in Dropped}


def test_trimming_an_answer_without_a_whole_sentence_drops_it():
    assert cleaned("It costs 3.5 and", TRIM, FinishReason.LENGTH) is Dropped.TRUNCATED


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('He said "Go." And th', 'He said "Go."'),
        ("(One!) Two? Thr", "(One!) Two?"),
        ("第一句。第二", "第一句。"),
        ("pi is 3.14159", ""),
        ("One.\n- two", "One."),
    ],
)
def test_sentences_end_with_their_quotes_and_not_in_numbers(text, whole):
    assert whole_sentences(text) == whole


def test_an_answer_over_the_limit_counts_as_truncated():
    result = clean(Generation("p", 0, "One. " * 10, FinishReason.STOP), TRIM, max_chars=12)
    assert (result.text, result.finish_reason) == ("One. One.", FinishReason.LENGTH)


def test_refusals_are_dropped_only_where_agreed():
    assert cleaned("I'm sorry, but I can't help with that.", REFUSE) is Dropped.REFUSAL
    assert cleaned("I'm sorry, but I can't help with that.", TRIM) == "I'm sorry, but I can't help with that."
    assert cleaned("I can't recommend this book enough.", REFUSE) == "I can't recommend this book enough."


def test_counts_and_names_stay():
    generation = Generation("p", 3, "x", FinishReason.STOP, prompt_tokens=5, completion_tokens=7)
    expected = Answer(
        prompt_id="p", sample=3, text="x", finish_reason=FinishReason.STOP,
        usage=Usage(prompt_tokens=5, completion_tokens=7),
    )  # fmt: skip
    assert clean(generation, TRIM) == expected


anything = st.text(st.characters(), max_size=80)
finishes = st.sampled_from(FinishReason)
policies = st.builds(AnswerPolicy, truncated=st.sampled_from(TruncatedAnswers), refusals=st.sampled_from(Refusals))


@given(anything, finishes, policies, st.integers(1, 100))
def test_whatever_a_model_says_becomes_an_answer_that_can_be_sent_or_is_dropped(text, finish, policy, max_chars):
    result = clean(Generation("p", 0, text, finish), policy, max_chars=max_chars)
    if isinstance(result, Answer):
        assert 0 < len(result.text) <= max_chars
        assert result.text == result.text.strip()
        result.model_dump_json().encode()
    else:
        assert isinstance(result, Dropped)


@given(anything, finishes, policies)
def test_cleaning_twice_changes_nothing_more(text, finish, policy):
    once = clean(Generation("p", 0, text, finish), policy)
    if isinstance(once, Answer) and "</" not in once.text:
        assert clean(Generation("p", 0, once.text, once.finish_reason), policy) == once


@given(st.text(max_size=80).filter(lambda text: "\x00" not in text))
def test_ordinary_text_is_storable_as_it_is(text):
    assert storable(text) == text
