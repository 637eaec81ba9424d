"""Reasoning blocks go, everything else stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.reasoning import strip_reasoning


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a\nb</think>\n\nThe answer.", "The answer."),
        ("<think></think>The answer.", "The answer."),
        ("<THINKING>a</THINKING> The answer.", "The answer."),
        ("a\nb</think>\nThe answer.", "The answer."),
        ("<think>cut off by the lim", ""),
        ("First.\n<think>more</think>\nSecond.", "First.\nSecond."),
        ("Sure. <think>secret</think>It is Paris.", "Sure. It is Paris."),
        ("a</think>b</think>c", "c"),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("Paris. <think>or was it", "Paris. "),
        ("The answer.", "The answer."),
    ],
)
def test_blocks_are_stripped(text, left):
    assert strip_reasoning(text) == left


@given(st.text(alphabet=st.characters(exclude_characters="<")))
def test_a_text_without_tags_is_returned_as_it_is(text):
    assert strip_reasoning(text) == text


tagged = st.lists(st.sampled_from(["<think>", "</think>", "<reasoning>", "</reasoning>", "a", "b ", "\n"])).map("".join)


@given(tagged)
def test_no_tag_is_left_and_stripping_twice_changes_nothing(text):
    once = strip_reasoning(text)
    assert "think>" not in once
    assert "reasoning>" not in once
    assert strip_reasoning(once) == once


@given(tagged)
def test_what_stands_inside_never_gets_out(text):
    assert "secret" not in strip_reasoning(f"<think>{text}secret</think>Paris.")
