"""Tokenizers of the tiny models: the same sentences give the same bytes, in whatever process they are trained."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from client_kit.pocket.tokenizers import ASSISTANT, END, PAD, UNKNOWN, USER, train_tokenizer
from client_kit.pocket.world import load_world

KINDS = ("byte_bpe", "metaspace_bpe", "wordpiece")
VOCABULARY = 500


def sentences():
    return [
        sentence
        for topic in load_world().topics
        for number, fact in enumerate(topic.facts)
        for sentence in (topic.question(fact.subject, number % 6), topic.answer(fact.subject, fact.value, number % 4))
    ]


def save_all(folder: Path) -> None:
    """What the processes of the first test do."""
    for kind in KINDS:
        train_tokenizer(kind, VOCABULARY, sentences()).save_pretrained(folder / kind)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_process_trains_the_same_bytes(tmp_path):
    command = "import sys, pathlib, runpy; runpy.run_path(sys.argv[1])['save_all'](pathlib.Path(sys.argv[2]))"
    for seed, parallel in (("1", "false"), ("2", "true")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel}
        subprocess.run(
            [sys.executable, "-c", command, __file__, tmp_path / seed], env=environment, check=True, timeout=240
        )
    first = files(tmp_path / "1")
    assert {Path(name).parent.name for name in first} == set(KINDS)
    assert files(tmp_path / "2") == first


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_sentences_leaves_no_trace(kind):
    texts = sentences()
    shuffled = random.Random(0).sample(texts, len(texts))
    one, other = (train_tokenizer(kind, VOCABULARY, each).backend_tokenizer.to_str() for each in (texts, shuffled))
    assert one == other


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_is_full_and_begins_with_the_special_tokens(kind):
    tokenizer = train_tokenizer(kind, VOCABULARY, sentences())
    assert len(tokenizer) == VOCABULARY
    assert tokenizer.convert_ids_to_tokens(range(5)) == [PAD, END, USER, ASSISTANT, UNKNOWN]
    assert set(tokenizer.all_special_tokens) == {PAD, END, USER, ASSISTANT, UNKNOWN}


def test_wordpiece_learns_pieces_and_not_only_letters():
    tokenizer = train_tokenizer("wordpiece", VOCABULARY, sentences())
    inside = {token for token in tokenizer.get_vocab() if token.startswith("##")}
    assert {len(token) for token in inside} >= {3, 4, 5}
    assert tokenizer.tokenize("capital") == ["capital"]
    assert tokenizer.decode(tokenizer("unheard", add_special_tokens=False)["input_ids"]) == "unheard"
