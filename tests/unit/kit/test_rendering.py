"""Prompts and answers as token ids: one beginning, the completion exactly, and an end."""

import pytest

from client_kit.rendering import encode, encode_answered
from tests.support.tiny_model import tiny_tokenizer

CHAT = (
    "{{ bos_token }}{% for m in messages %}<user> {{ m.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<bot> {% endif %}"
)
LOOP = "{% for m in messages %}{% if m.role == 'user' %}<user> {{ m.content }} {% else %}"
TEMPLATES = {
    "plain": (
        LOOP + "<bot> {{ m.content }} <end> {% endif %}{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
    ),
    # Qwen3: an answer that is over has an empty block of reasoning.
    "empty block": (
        LOOP + "<bot> <think> </think> {{ m.content }} <end> {% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<bot> {% endif %}"
    ),
    # Qwen3-Thinking: the block is opened for the model, and left out of an answer that is over.
    "opened block": (
        LOOP
        + "<bot> {{ m.content }} <end> {% endif %}{% endfor %}{% if add_generation_prompt %}<bot> <think> {% endif %}"
    ),
    "trimmed": (
        LOOP
        + "<bot> {{ m.content | trim }} <end> {% endif %}{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
    ),
    "no end": LOOP + "<bot> {{ m.content }} {% endif %}{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}",
    "upper": (
        LOOP + "<bot> {{ m.content | upper }} <end> {% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<bot> {% endif %}"
    ),
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("completion", ["the river", " the river\n", "bird"])
def test_a_prompt_begins_its_example_and_the_rest_is_the_completion_and_its_end(template, completion):
    tokenizer = tiny_tokenizer(chat_template=template)
    ids, start = encode_answered(tokenizer, "what bird", completion)
    assert ids[:start] == encode(tokenizer, "what bird")
    assert tokenizer.convert_ids_to_tokens(ids[start:]) == [*completion.split(), "<end>"]


@pytest.mark.parametrize("beginning", ["<bos>", None])
@pytest.mark.parametrize("ending", ["<end>", None])
@pytest.mark.parametrize("template", [None, CHAT])
def test_the_beginning_stands_once_and_no_end_before_the_answer(beginning, ending, template):
    tokenizer = tiny_tokenizer(chat_template=template, beginning=beginning, ending=ending)
    ids, start = encode_answered(tokenizer, "what bird", "the river")
    tokens = tokenizer.convert_ids_to_tokens(ids)
    written = beginning or template
    assert tokens.count("<bos>") == (1 if written else 0)
    assert tokens[0] == ("<bos>" if written else "what")
    assert ids[:start] == encode(tokenizer, "what bird")
    assert tokens[start:] == ["the", "river", "<end>"]
    own = tokenizer.convert_ids_to_tokens(encode(tokenizer, "what bird", "<bos> {prompt} <bot>"))
    assert own == ["<bos>", "what", "bird", "<bot>"]


def test_an_end_that_also_pads_is_learned():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    ids, start = encode_answered(tokenizer, "what bird", "the river")
    assert ids[-1] == tokenizer.eos_token_id
    assert len(ids) - start == 3


SYSTEM = (("system", "name one"), ("user", "what"), ("assistant", "tree"))


def test_earlier_turns_stand_before_the_prompt():
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATES["plain"]
    for template in (TEMPLATES["plain"], strict):
        tokenizer = tiny_tokenizer(chat_template=template)
        ids, start = encode_answered(tokenizer, "and", "bird", SYSTEM)
        said = tokenizer.convert_ids_to_tokens(ids[:start])
        assert [word for word in said if not word.startswith("<")] == ["name", "one", "what", "tree", "and"]
        assert said[-1] == "<bot>"
    plain, start = encode_answered(tiny_tokenizer(), "and", "bird", SYSTEM)
    assert tiny_tokenizer().convert_ids_to_tokens(plain) == ["name", "one", "what", "tree", "and", "bird", "<end>"]
