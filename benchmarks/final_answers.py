"""How well two ways of reading final answers tell right answers from wrong ones: ours, and math-verify's.

    pip install math-verify
    python benchmarks/final_answers.py FILE...

FILE: judged answers as in docs/label-quality.md, with a preference of 1 for a right answer and 0 for a wrong one. For each file: the
share of pairs of right answers to a prompt that agree, and of pairs of a right and a wrong one that do; and the time.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from client_kit.answer_files import read_model_answers
from consensus_server.core.consensus.meaning.final_answers import final_answer
from consensus_server.core.consensus.meaning.units import agree

Read, Agree = Callable[[str], object], Callable[[object, object], bool]


def math_verify() -> tuple[Read, Agree]:
    """Its parser of LaTeX and expressions, and its comparison, which has a direction: either serves."""
    from math_verify import parse, verify  # noqa: PLC0415 - no dependency of ours

    def read(text: str) -> object:
        return parse(text, parsing_timeout=None, raise_on_error=False)

    def same(one: object, other: object) -> bool:
        return any(verify(*each, timeout_seconds=None, raise_on_error=False) for each in ((one, other), (other, one)))

    return read, same


def measure(path: Path, read: Read, same: Agree) -> str:
    """One row of the table."""
    answers, start = defaultdict[str, list[tuple[object, bool]]](list), time.process_time()
    for each in read_model_answers(path).answers:
        if each.preference is not None:
            answers[each.prompt_id].append((read(each.output), each.preference > 0.5))  # noqa: PLR2004
    agreeing, pairs = [0, 0], [0, 0]
    for given in answers.values():
        for (one, right), (other, right_too) in combinations(given, 2):
            if right or right_too:
                pairs[right and right_too] += 1
                agreeing[right and right_too] += same(one, other)
    both, mixed = (agreeing[i] / max(1, pairs[i]) for i in (True, False))
    return f"both right {both:.4f}   one right {mixed:.4f}   {time.process_time() - start:.1f} s"


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        for name, (read, same) in {"ours": (final_answer, agree), "math-verify": math_verify()}.items():
            print(f"{file.name:32} {name:12} {measure(file, read, same)}", flush=True)
