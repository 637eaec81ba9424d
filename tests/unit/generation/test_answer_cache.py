"""Answers on disk."""

import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from client_kit.errors import ConfigurationError
from client_kit.generation.answer_cache import AnswerCache, answer_key
from client_kit.generation.base import Generation, Sampling
from client_kit.wire import FinishReason, Prompt

PROMPT = Prompt(prompt_id="a", prompt="why?")
ANSWER = Generation("a", 1, "because — of \ud800 that", FinishReason.LENGTH, 3, None)
SAMPLING = Sampling(temperature=0.5, seed=3)


def test_an_answer_comes_back_as_it_was_but_for_what_no_text_can_hold(tmp_path):
    with closing(AnswerCache(tmp_path / "a.sqlite")) as cache:
        assert cache.get("key", PROMPT, 1) is None
        cache.put("key", ANSWER)
        cache.put("key", replace(ANSWER, text="another"))
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}
    with closing(AnswerCache(tmp_path / "a.sqlite")) as cache:
        assert cache.get("key", PROMPT, 1) == replace(ANSWER, text="because — of  that")
        assert (len(cache), cache.tokens()) == (1, (3, 0))


def test_a_key_depends_on_everything_that_an_answer_depends_on():
    same = answer_key({"model": "m"}, PROMPT, 0, SAMPLING)
    others = [
        answer_key({"model": "n"}, PROMPT, 0, SAMPLING),
        answer_key({"model": "m"}, replace_prompt("how?"), 0, SAMPLING),
        answer_key({"model": "m"}, PROMPT, 1, SAMPLING),
        *(
            answer_key({"model": "m"}, PROMPT, 0, replace(SAMPLING, **change))
            for change in (
                {"temperature": 0.6}, {"top_p": 0.9}, {"max_tokens": 9}, {"stop": ("x",)}, {"seed": 4},
            )
        ),
    ]  # fmt: skip
    assert len({same, *others}) == 1 + len(others)
    assert same == answer_key({"model": "m"}, PROMPT, 0, replace(SAMPLING, samples=5)), "more samples, the same answer"


def replace_prompt(text):
    return Prompt(prompt_id="a", prompt=text)


def test_what_was_put_survives_a_kill(tmp_path):
    path = tmp_path / "a.sqlite"
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from client_kit.generation.answer_cache import AnswerCache\n"
        "from client_kit.generation.base import Generation\n"
        "from client_kit.wire import FinishReason\n"
        "cache = AnswerCache(Path(sys.argv[1]))\n"
        "for number in range(50): cache.put(str(number), Generation('a', 0, 'text', FinishReason.STOP))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    with closing(AnswerCache(path)) as cache:
        assert len(cache) == 50


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_text("no database, though long enough to look like one " * 100)
    with pytest.raises(ConfigurationError, match=r"a\.sqlite cannot be used .* Remove it"):
        AnswerCache(path)
