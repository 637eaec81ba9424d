"""Prompts and answers as token ids, the same for answering, for every training and for measuring a loss.

What a model is trained on begins with exactly the ids that it is asked with. So it has the same beginning of text once,
whatever writes it, and an answer's loss is that of its own tokens and of its end.
"""

from itertools import takewhile
from typing import Any

Turn = tuple[str, str]
"""(role, text); the role is `system`, `user` or `assistant`."""

Turns = tuple[Turn, ...]


def encode(tokenizer: Any, prompt: str, template: str | None = None, turns: Turns = ()) -> list[int]:  # noqa: ANN401  a class of transformers
    """Tokens of the model's input.

    template: the input, `{prompt}` standing for the prompt; None: the tokenizer's chat template, or the bare prompt
    where it has none. turns: what was said before the prompt.
    """
    asked: Turns = (*turns, ("user", prompt))
    if template is None and tokenizer.chat_template:
        # The template brings the markers, so the tokenizer must not add them.
        return _ids(tokenizer, _dialogue(tokenizer, asked, ask=True))
    text = (template or "{prompt}").replace("{prompt}", "\n\n".join(said for _, said in asked))
    return _with_beginning(tokenizer, text)


def encode_answered(
    tokenizer: Any,  # noqa: ANN401
    prompt: str,
    completion: str,
    turns: Turns = (),
) -> tuple[list[int], int]:
    """Tokens of prompt and completion with its end, and how many of them are the prompt's, which are those of `encode`."""
    asked = encode(tokenizer, prompt, turns=turns)
    said: Turns = (*turns, ("user", prompt))
    if tokenizer.chat_template:
        before = _dialogue(tokenizer, said, ask=True)
        whole = _dialogue(tokenizer, (*said, ("assistant", completion)), ask=False)
        answer = _answer(tokenizer, before, whole, completion)
        together = _ids(tokenizer, before + answer)
    else:
        answer = completion + tokenizer.eos_token
        together = _with_beginning(tokenizer, "\n\n".join(text for _, text in said) + answer)
    if together[: len(asked)] != asked:  # tokens merge where prompt and answer meet: the model is asked without that
        together = [*asked, *_ids(tokenizer, answer)]
    if not any(each in _ends(tokenizer) for each in together[len(asked) :]):
        together.append(tokenizer.eos_token_id)
    return together, len(asked)


def _answer(tokenizer: Any, before: str, whole: str, completion: str) -> str:  # noqa: ANN401
    """The completion with the end that a chat template gives to it.

    A template may render an answer that is over otherwise than the beginning of one: Qwen3 puts an empty block of reasoning
    before it, others leave out the block that they open for the model. Neither is part of the completion.
    """
    said = completion.strip()
    if whole.startswith(before) and whole[len(before) :].lstrip().startswith(said):
        return whole[len(before) :]
    end = whole.rfind(said) + len(said)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, whole, strict=False)))
    return said + (whole[end:] if end > shared else str(tokenizer.eos_token))


def _dialogue(tokenizer: Any, turns: Turns, *, ask: bool) -> str:  # noqa: ANN401
    """Turns as the chat template writes them; one that knows no system turn gets it within the user's."""
    from jinja2 import TemplateError  # noqa: PLC0415 - comes with transformers' templates

    def rendered(given: Turns) -> str:
        messages = [{"role": role, "content": text} for role, text in given]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))

    try:
        return rendered(turns)
    except TemplateError:
        if all(role != "system" for role, _ in turns):
            raise
        return rendered(_without_system(turns))


def _without_system(turns: Turns) -> Turns:
    """Each system turn before the text of the turn that follows it."""
    merged: list[Turn] = []
    waiting: list[str] = []
    for role, text in turns:
        if role == "system":
            waiting.append(text)
        else:
            merged.append((role, "\n\n".join([*waiting, text])))
            waiting = []
    return tuple(merged)


def _ids(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _with_beginning(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """The text's tokens after what the tokenizer puts before every text, once, and without what it puts behind."""
    body = _ids(tokenizer, text)
    if body[:1] == [tokenizer.bos_token_id]:  # the text writes it itself
        return body
    whole = list(tokenizer(text)["input_ids"])
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            return whole[: start + len(body)]
    return whole


def _ends(tokenizer: Any) -> set[int]:  # noqa: ANN401
    """Tokens that are marks and no text; the end of an answer is one of them."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    marks = {*tokenizer.all_special_ids, *(each for each, token in added.items() if token.special)}
    return marks - {tokenizer.bos_token_id, tokenizer.unk_token_id}
