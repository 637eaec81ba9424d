"""Private data from files, and its mixture with pseudo-labels."""

import csv
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.errors import TrainingError, UnusableData
from client_kit.training.base import Example
from client_kit.training.dataset import Taught, as_rows, load_examples, mix, split

ROWS = [{"prompt": "2 + 2?", "completion": "4", "id": 1}, {"prompt": "Day, not?", "completion": "Night", "id": 2}]
EXAMPLES = [Example("2 + 2?", "4"), Example("Day, not?", "Night")]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_jsonl_json_csv_and_gzip_give_the_same_examples(tmp_path):
    jsonl = write(tmp_path / "data.jsonl", ROWS)
    packed = tmp_path / "data.jsonl.gz"
    packed.write_bytes(gzip.compress(jsonl.read_bytes()))
    listed = tmp_path / "data.json"
    listed.write_text(json.dumps(ROWS), encoding="utf-8")
    table = tmp_path / "data.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "completion", "id"])
        writer.writeheader()
        writer.writerows(ROWS)
    assert [load_examples(path) for path in (jsonl, packed, listed, table)] == [EXAMPLES] * 4


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c"])
def test_a_line_ends_at_its_newline_alone(tmp_path, separator):
    prompt = f"one{separator}two"
    jsonl, table = tmp_path / "data.jsonl", tmp_path / "data.csv"
    jsonl.write_text(json.dumps({"prompt": prompt, "completion": "4"}, ensure_ascii=False), encoding="utf-8")
    table.write_text(f"prompt,completion\r\n{prompt},4\r\n", encoding="utf-8", newline="")
    assert load_examples(jsonl) == load_examples(table) == [Example(prompt, "4")]


def test_messages_and_alpaca_rows_are_read(tmp_path):
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4"},
    ]
    system = (("system", "Be short."),)
    assert load_examples(write(tmp_path / "m.jsonl", [{"messages": messages}])) == [
        Example("2 + 2?", "4", turns=system)
    ]
    alpaca = [{"instruction": "Add.", "input": "2, 2", "output": "4"}, {"instruction": "Hi.", "output": "Ho."}]
    assert load_examples(write(tmp_path / "a.jsonl", alpaca)) == [Example("Add.\n\n2, 2", "4"), Example("Hi.", "Ho.")]


def test_each_answer_of_a_conversation_is_an_example_after_what_was_said_before(tmp_path):
    said = [
        "developer: Be short.",
        "user: 2 + 2?",
        "user: Now!",
        "assistant: <think>hm</think>4",
        "user: And 3?",
        "assistant: 7",
    ]
    parts = [each.split(": ", 1) for each in said]
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in parts]
    first = (("system", "Be short."),)
    examples = load_examples(write(tmp_path / "m.jsonl", [{"messages": messages, "weight": 2}]))
    assert examples == [
        Example("2 + 2?\n\nNow!", "4", 2, turns=first),
        Example("And 3?", "7", 2, turns=(*first, ("user", "2 + 2?\n\nNow!"), ("assistant", "4"))),
    ]
    training, held_out = split([*examples, Example("a", "b"), Example("c", "d")], 0.4)
    assert [set(examples) <= set(side) or not set(examples) & set(side) for side in (training, held_out)] == [
        True,
        True,
    ]


def test_a_cell_may_be_longer_than_the_module_s_own_limit_and_a_weight_empty(tmp_path):
    before, text = csv.field_size_limit(), "x" * 200_000
    (tmp_path / "a.csv").write_text(f"prompt,completion,weight\n{text},4,\n", encoding="utf-16")
    assert load_examples(tmp_path / "a.csv") == [Example(text, "4")]
    assert csv.field_size_limit() == before


def test_weights_are_read_and_reasoning_goes(tmp_path):
    rows = [{"prompt": "2 + 2?", "completion": "<think>hm</think>\n4", "weight": 0.5}]
    assert load_examples(write(tmp_path / "w.jsonl", rows)) == [Example("2 + 2?", "4", 0.5)]


def test_examples_written_as_rows_are_read_back(tmp_path):
    examples = [Example("a", "b", 0.25), Example("c", "d")]
    assert load_examples(write(tmp_path / "data.jsonl", as_rows(examples))) == examples


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            '{"question": "a", "answer": "b"}\n',
            "needs the columns 'prompt' and 'completion'.*has answer, question",
        ),
        ("a.jsonl", "", "has no rows"),
        ("a.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n', "line 2: lacks 'completion'"),
        ("a.jsonl", '{"prompt": "a", "completion": " "}\n', "line 1: has no text as its completion"),
        ("a.jsonl", '{"prompt": "a", "completion": "<think>b</think>"}\n', "line 1: has nothing but reasoning"),
        ("a.jsonl", '{"prompt": "a", "completion": "b", "weight": "x"}\n', "line 1: could not convert"),
        (
            "a.jsonl",
            '{"prompt": "a", "completion": "b", "weight": NaN}\n',
            "line 1: weight is nan; it must be 0 or more",
        ),
        ("a.csv", "prompt,completion,weight\na,b,-1\nc,d,inf\n", r"row 1: weight is -1; .*\n  row 2: weight is inf"),
        ("a.json", '[{"prompt": "a", "completion": "b"}, 1]', "row 2: must be a JSON object"),
        ("a.json", '[{"prompt": "a", "prompt": "b"}]', "the key 'prompt' stands twice"),
        ("a.jsonl", '{"prompt": "a",\n', "line 1: is not JSON"),
        ("a.jsonl", "[1]\n", "line 1: is a list; each line must be a JSON object"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "a"}]}\n', "line 1: messages must have a user's turn"),
        ("a.jsonl", '{"messages": "a"}\n', "line 1: "),
        ("a.jsonl", '{"messages": [{"role": "tool", "content": "a"}]}\n', "line 1: a message's role is 'tool'"),
        (
            "a.jsonl",
            '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}\n',
            "holds 'image_url'; only text",
        ),
        ("a.json", '{"prompt": "a"}', "must hold a list of objects"),
        ("a.txt", "a", "is of no known kind"),
        ("a.parquet", "a", "is not parquet"),
    ],
)
def test_bad_files_give_one_clear_error(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UnusableData, match=message):
        load_examples(tmp_path / name)


def test_missing_broken_and_foreign_files_are_named(tmp_path):
    with pytest.raises(UnusableData, match=r"none\.jsonl does not exist"):
        load_examples(tmp_path / "none.jsonl")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"text" * 99)[:20])
    with pytest.raises(UnusableData, match="cannot be read"):
        load_examples(tmp_path / "a.jsonl.gz")
    packed = bytearray(gzip.compress(b"text" * 99))
    packed[10] ^= 0xFF  # the head of the first block
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    with pytest.raises(UnusableData, match="cannot be read"):
        load_examples(tmp_path / "a.jsonl.gz")
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe\x00")  # half of UTF-16
    with pytest.raises(UnusableData, match="save it as UTF-8"):
        load_examples(tmp_path / "a.jsonl")
    with pytest.raises(UnusableData, match=r"no folder of Dataset\.save_to_disk"):
        load_examples(tmp_path)


PRIVATE = [Example(f"private {i}", "x") for i in range(10)]
TAUGHT = [Taught(f"public {i}", "y", confidence=(i + 1) / 4) for i in range(4)]


@given(ratio=st.floats(0, 4), seed=st.integers(0, 99))
def test_the_mixture_has_the_ratio_and_uses_labels_evenly(ratio, seed):
    mixed = mix(PRIVATE, TAUGHT, ratio=ratio, seed=seed)
    counts = [sum(example.prompt == label.prompt for example in mixed) for label in TAUGHT]
    assert sum(counts) == round(ratio * len(PRIVATE))
    assert max(counts) - min(counts) <= 1
    assert sorted(example.prompt for example in mixed if example.completion == "x") == sorted(e.prompt for e in PRIVATE)


def test_pseudo_labels_weigh_by_confidence_and_private_examples_by_their_own():
    private = [Example("a", "b", 3.0)]
    mixed = {example.prompt: example.weight for example in mix(private, TAUGHT, ratio=None, weight=2.0, seed=0)}
    assert mixed == {"a": 3.0, "public 0": 0.5, "public 1": 1.0, "public 2": 1.5, "public 3": 2.0}
    plain = mix([], TAUGHT, ratio=None, by_confidence=False, seed=0)
    assert [example.weight for example in plain] == [1.0] * 4


def test_mixing_is_seeded_and_shuffled():
    assert mix(PRIVATE, TAUGHT, seed=1) == mix(PRIVATE, TAUGHT, seed=1) != mix(PRIVATE, TAUGHT, seed=2)
    assert mix(PRIVATE, [], seed=1) != PRIVATE
    assert sorted(e.prompt for e in mix(PRIVATE, [], seed=1)) == sorted(e.prompt for e in PRIVATE)


def test_reasoning_in_pseudo_labels_is_not_learned():
    assert mix([], [Taught("a", "<think>b</think>c")], ratio=None, seed=0) == [Example("a", "c", public=True)]


@pytest.mark.parametrize("options", [{"ratio": -1.0}, {"weight": -0.5}])
def test_negative_proportions_are_refused(options):
    with pytest.raises(TrainingError, match="must be 0 or more"):
        mix(PRIVATE, TAUGHT, seed=0, **options)
