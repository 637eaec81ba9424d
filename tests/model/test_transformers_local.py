"""Generation with transformers, by a tiny random model."""

from collections import Counter
from contextlib import closing

import pytest

from client_kit.errors import ConfigurationError, UnknownModel
from client_kit.generation.base import Sampling
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.rendering import encode
from client_kit.wire import FinishReason, Prompt
from tests.support.tiny_model import CHAT_TEMPLATE, WORDS, write_tiny_model

PROMPTS = [
    Prompt(prompt_id=str(number), prompt=" ".join(WORDS[number : number + 1 + number % 7])) for number in range(16)
]
GREEDY = Sampling(max_tokens=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def answers(folder, prompts=PROMPTS, sampling=GREEDY, **options):
    with closing(TransformersGenerator(folder, device="cpu", threads=1, **options)) as generator:
        return {(answer.prompt_id, answer.sample): answer for answer in generator.generate(prompts, sampling)}


def test_batches_and_padding_do_not_change_greedy_answers(folder):
    assert answers(folder, batch_size=1) == answers(folder, batch_size=5) == answers(folder, batch_size=16)


def test_greedy_answers_are_the_model_s_own(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(PROMPTS[3].prompt, return_tensors="pt")["input_ids"]
    for _ in range(10):
        token = model(ids).logits[0, -1].argmax()
        ids = torch.cat([ids, token.reshape(1, 1)], dim=1)
        if token == tokenizer.eos_token_id:
            break
    start = tokenizer(PROMPTS[3].prompt, return_tensors="pt")["input_ids"].shape[1]
    expected = tokenizer.decode(ids[0, start:], skip_special_tokens=True)
    assert answers(folder)["3", 0].text == expected


def test_short_prompts_come_first(folder):
    with closing(TransformersGenerator(folder, device="cpu", batch_size=4)) as generator:
        lengths = [answer.prompt_tokens for answer in generator.generate(PROMPTS, GREEDY)]
    assert lengths == sorted(lengths)


def test_an_answer_that_hit_the_limit_says_so(folder):
    found = answers(folder, sampling=Sampling(temperature=1.5, max_tokens=8, samples=4, seed=1)).values()
    for answer in found:
        assert (answer.finish_reason is FinishReason.LENGTH) <= (answer.completion_tokens == 8)
        assert (answer.completion_tokens < 8) <= (answer.finish_reason is FinishReason.STOP)
    assert {answer.finish_reason for answer in found} == {FinishReason.LENGTH, FinishReason.STOP}


def test_a_stop_text_ends_the_answer_before_it(folder):
    whole = max(answers(folder).values(), key=lambda answer: len(answer.text.split()))
    second = whole.text.split()[1]
    prompt = PROMPTS[int(whole.prompt_id)]
    stopped = answers(folder, [prompt], Sampling(max_tokens=10, stop=(second,)))[whole.prompt_id, 0]
    assert stopped.text == whole.text[: whole.text.index(second)]
    assert stopped.finish_reason is FinishReason.STOP
    assert stopped.completion_tokens <= whole.completion_tokens


def test_samples_differ_from_one_another_and_by_seed(folder):
    sampling = Sampling(temperature=1.0, max_tokens=10, samples=3)
    first, other = answers(folder, sampling=sampling), answers(folder, sampling=Sampling(1.0, 1.0, 10, 3, seed=1))
    assert len({first["3", sample].text for sample in range(3)}) > 1
    assert first != other


def test_sampling_follows_the_model_s_distribution(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(**tokenizer(PROMPTS[0].prompt, return_tensors="pt")).logits[0, -1]
    expected = torch.softmax(logits / 2.0, dim=-1)
    draws = answers(folder, PROMPTS[:1], Sampling(temperature=2.0, max_tokens=1, samples=2000), batch_size=500)
    counts = Counter(answer.text for answer in draws.values())
    for word in WORDS:
        probability = expected[tokenizer.convert_tokens_to_ids(word)].item()
        deviation = (probability * (1 - probability) / 2000) ** 0.5
        assert counts[word] / 2000 == pytest.approx(probability, abs=5 * deviation + 1e-3)


def test_a_nucleus_leaves_the_tail_out(folder):
    narrow = answers(folder, PROMPTS, Sampling(temperature=1.0, top_p=1e-6, max_tokens=6))
    assert {key: answer.text for key, answer in narrow.items()} == {
        key: answer.text for key, answer in answers(folder, sampling=Sampling(max_tokens=6)).items()
    }


def test_a_chat_template_brings_its_markers_once(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(write_tiny_model(tmp_path, chat_template=CHAT_TEMPLATE))
    marked = tokenizer.convert_tokens_to_ids(["<user>", "the", "capital", "<bot>"])
    assert encode(tokenizer, "the capital", None) == marked
    framed = tokenizer.convert_tokens_to_ids(["what", "is", "the", "capital"])
    assert encode(tokenizer, "the capital", "what is {prompt}") == framed


def test_the_answer_gets_the_room_that_the_context_leaves(tmp_path):
    found = answers(write_tiny_model(tmp_path, context=12), PROMPTS, Sampling(max_tokens=500), batch_size=1)
    assert all(answer.prompt_tokens + answer.completion_tokens <= 12 for answer in found.values())


@pytest.mark.parametrize("model", ["./absent", "/absent/model", "a/b/c"])
def test_a_path_that_is_no_folder_is_found_before_any_hub(model):
    with pytest.raises(UnknownModel, match="no model folder"):
        TransformersGenerator(model)


def test_an_incomplete_folder_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnknownModel, match="no complete model"):
        TransformersGenerator(tmp_path)


def test_a_model_that_is_spread_answers_the_same(folder):
    spread = TransformersGenerator(folder, device_map="auto")
    assert list(spread.generate(PROMPTS, GREEDY)) == list(TransformersGenerator(folder).generate(PROMPTS, GREEDY))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"prompt_template": "no place"}, {"device_map": "auto", "device": "cpu"}]
)
def test_options_that_cannot_work_are_refused(folder, options):
    with pytest.raises(ConfigurationError):
        TransformersGenerator(folder, **options)
