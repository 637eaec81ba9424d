"""Reasoning blocks of language models: neither submitted nor trained on."""

import re

_NAMES = "think|thinking|thought|reasoning"
_INNERMOST = re.compile(rf"<({_NAMES})>(?:(?!</?(?:{_NAMES})>).)*</\1>\s*", re.DOTALL | re.IGNORECASE)
_UNOPENED = re.compile(rf"\A.*</(?:{_NAMES})>\s*", re.DOTALL | re.IGNORECASE)
_UNCLOSED = re.compile(rf"<(?:{_NAMES})>.*\Z", re.DOTALL | re.IGNORECASE)


def strip_reasoning(text: str) -> str:
    """The text without its reasoning blocks; a text without any is returned as it is.

    Whole blocks go, nested ones too; what stands before a closing tag that is left goes, since its opening tag stood in
    the chat template; and what stands after an opening tag that is left goes, since the generation's limit cut it off.
    An answer that writes *about* such tags is shortened as well: reasoning that leaks out of a site is the worse fault.
    """
    while (shorter := _INNERMOST.sub("", text)) != text:
        text = shorter
    return _UNCLOSED.sub("", _UNOPENED.sub("", text))
