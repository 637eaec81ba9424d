"""What every generator does, run against each of them."""

from contextlib import closing, contextmanager
from itertools import islice

import pytest

from client_kit.errors import GenerationError
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_generator import OpenAICompatibleGenerator
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.wire import FinishReason, Prompt
from tests.support.openai_server import MODEL, openai_server
from tests.support.tiny_model import write_tiny_model

PROMPTS = [
    Prompt(prompt_id="long", prompt="what is the capital of a country in the green and blue"),
    Prompt(prompt_id="short", prompt="name one river"),
    Prompt(prompt_id="other", prompt="what is red"),
]
SAMPLED = Sampling(temperature=1.0, max_tokens=12, samples=2, seed=7)


@contextmanager
def scripted(_):
    yield ScriptedGenerator({prompt.prompt_id: ["one", "two"] for prompt in PROMPTS})


def behind(url, **options):
    return closing(OpenAICompatibleGenerator(OpenAICaller(InferenceApi(model=MODEL, base_url=url, **options))))


@contextmanager
def chat(_):
    with openai_server() as server, behind(server.url) as generator:
        yield generator


@contextmanager
def completions(_):
    with openai_server() as server, behind(server.url, api="completions") as generator:
        yield generator


@contextmanager
def cached(folder):
    """Once everything is held, answers come from the disk."""
    with openai_server() as server, closing(AnswerCache(folder / "answers.sqlite")) as cache:
        caller = OpenAICaller(InferenceApi(model=MODEL, base_url=server.url))
        with closing(OpenAICompatibleGenerator(caller, cache=cache)) as generator:
            yield generator


@contextmanager
def transformers(folder):
    with closing(TransformersGenerator(write_tiny_model(folder), batch_size=4, device="cpu", threads=1)) as generator:
        yield generator


@pytest.fixture(
    scope="module", params=[scripted, chat, completions, cached, transformers], ids=lambda make: make.__name__
)
def generator(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("model")) as generator:
        yield generator


def by_key(answers):
    return {(answer.prompt_id, answer.sample): answer for answer in answers}


def test_one_generation_per_prompt_and_sample(generator):
    answers = list(generator.generate(PROMPTS, SAMPLED))
    assert all(isinstance(answer, Generation) for answer in answers)
    keys = [(answer.prompt_id, answer.sample) for answer in answers]
    assert sorted(keys) == sorted((prompt.prompt_id, sample) for prompt in PROMPTS for sample in (0, 1))


def test_the_same_question_gets_the_same_answer(generator):
    assert by_key(generator.generate(PROMPTS, SAMPLED)) == by_key(generator.generate(PROMPTS, SAMPLED))


def test_an_answer_does_not_depend_on_order_or_company(generator):
    together = by_key(generator.generate(PROMPTS, SAMPLED))
    alone = by_key(answer for prompt in reversed(PROMPTS) for answer in generator.generate([prompt], SAMPLED))
    assert together == alone


def test_fewer_samples_are_the_first_of_more(generator):
    one = Sampling(temperature=1.0, max_tokens=12, samples=1, seed=7)
    fewer, more = by_key(generator.generate(PROMPTS, one)), by_key(generator.generate(PROMPTS, SAMPLED))
    assert fewer == {key: answer for key, answer in more.items() if key[1] == 0}


def test_counts_are_whole_or_absent_and_endings_are_known(generator):
    for answer in generator.generate(PROMPTS, SAMPLED):
        assert answer.finish_reason in FinishReason
        assert answer.prompt_tokens is None or answer.prompt_tokens > 0
        assert answer.completion_tokens is None or 0 < answer.completion_tokens <= 12


def test_nothing_is_asked_for_nothing(generator):
    assert list(generator.generate([], SAMPLED)) == []


def test_one_may_stop_reading_and_ask_again(generator):
    first = list(islice(generator.generate(PROMPTS, SAMPLED), 1))
    assert len(first) == 1
    assert len(list(generator.generate(PROMPTS, SAMPLED))) == 6


def test_a_failure_names_the_prompt(tmp_path):
    unknown = Prompt(prompt_id="unheard", prompt="of")
    with scripted(None) as generator, pytest.raises(GenerationError, match="prompt unheard"):
        list(generator.generate([unknown], SAMPLED))
    narrow = TransformersGenerator(write_tiny_model(tmp_path, context=4), device="cpu")
    with pytest.raises(GenerationError, match="prompt long"):
        list(narrow.generate(PROMPTS, SAMPLED))
