"""A prompt as the model's input, where the kit holds the tokenizer."""

from typing import Any


def encode(tokenizer: Any, prompt: str, template: str | None) -> list[int]:  # noqa: ANN401  a class of transformers
    """Tokens of the model's input. Where a chat template brings the markers, the tokenizer must not add them.

    template: the input, `{prompt}` standing for the prompt; None: the tokenizer's chat template, or the bare prompt
    where it has none.
    """
    if template is None and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return list(tokenizer((template or "{prompt}").replace("{prompt}", prompt))["input_ids"])
