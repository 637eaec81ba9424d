"""Whether public prompts repeat private text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.errors import ConfigurationError
from client_kit.overlap import overlap, read_private_prompts
from client_kit.wire import Prompt

SKY = "Explain to a child why the sky is blue and sunsets are red"


def found(public, private, **options):
    pairs = overlap([Prompt(prompt_id="p", prompt=public)], [private], **options)
    return pairs[0].containment if pairs else None


@pytest.mark.parametrize(
    "private", [SKY, SKY.upper() + "!!", "  explain, to a CHILD why the sky is blue and sunsets are red?"]
)
def test_equal_but_for_case_spacing_and_punctuation(private):
    assert found(SKY, private) == 1.0


def test_a_prompt_inside_a_longer_text_and_the_other_way_round():
    assert found(SKY, f"Homework of Monday. {SKY}. Use three sentences and a drawing for it.") == 1.0
    assert found(f"Please answer at length: {SKY}, and say who found out", SKY) == 1.0


def test_some_shared_words_are_no_overlap():
    assert found(SKY, "Explain to a child why bread rises in a warm oven") is None
    assert found(SKY, "Explain to a child why bread rises in a warm oven", threshold=0.01) is not None


def test_short_texts_overlap_only_as_a_whole():
    assert found("What is iron?", "what is IRON") == 1.0
    assert found("What is iron?", "I asked myself what is iron made of, and why") is None


def test_ideographs_are_words_of_their_own():
    assert found("为什么天空是蓝色的", "请问为什么天空是蓝色的呢") == 1.0
    assert found("为什么天空是蓝色的", "水在多少度会沸腾呢请回答") is None


@pytest.mark.parametrize("text", ["", "?!", "   "])
def test_a_text_without_words_overlaps_with_nothing(text):
    assert found(SKY, text) is None


def test_the_worst_come_first_with_their_rows():
    prompts = [
        Prompt(prompt_id="a", prompt=SKY),
        Prompt(prompt_id="b", prompt="Name five rivers of northern Spain now"),
    ]
    pairs = overlap(prompts, ["nothing", "name five rivers of northern spain today", SKY], threshold=0.5)
    assert [(pair.prompt_id, pair.row) for pair in pairs] == [("a", 3), ("b", 2)]


@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_containment_is_symmetric_and_at_most_one(one, other):
    if not one.strip() or not other.strip() or "\x00" in one + other:
        return
    there, back = found(one, other, threshold=0.0), found(other, one, threshold=0.0)
    assert there == back
    assert there is None or 0 < there <= 1


def test_private_rows_are_read_by_field(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "q": "b"}\n\n{"prompt": "c", "q": "d"}\n', encoding="utf-8")
    assert read_private_prompts(file) == ["a", "c"]
    assert read_private_prompts(file, "q") == ["b", "d"]


def test_a_line_separator_inside_a_row_is_no_end_of_line(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a\u2028b"}\r\n', encoding="utf-8", newline="")
    assert read_private_prompts(file) == ["a\u2028b"]


@pytest.mark.parametrize(
    ("content", "named"), [('{"q": "b"}', "line 1: has no text in a field 'prompt'"), ("{", "line 1: is not JSON")]
)
def test_faulty_private_rows_are_named(tmp_path, content, named):
    file = tmp_path / "rows.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=named):
        read_private_prompts(file)
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_private_prompts(tmp_path / "absent.jsonl")


def test_a_file_without_rows_proves_nothing(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="has no rows"):
        read_private_prompts(file)


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a"}\n', encoding="utf-8-sig")
    assert read_private_prompts(file) == ["a"]
