"""Files with gold answers made from templates: simulated participants that know more or less, and say it in their own way.

STAND-IN for real models, for checks of the bench itself and of rules for final answers. Participants err independently
but for traps, wrong values that suggest themselves and that several fall for. Each states its answer by a convention of
its own, in a format of its own, after reasoning of its own length. Equal seeds give equal files.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

CHOICES: Final = "ABCD"
MUTE: Final = 0.04
"""How often a participant states no final answer."""
TRAP: Final = 0.35
"""How often a wrong answer is the one that suggests itself."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One question with its right answer, the one that suggests itself, and others."""

    prompt: str
    kind: str
    gold: str
    trap: str
    wrong: tuple[str, ...]
    unit: str
    steps: tuple[str, ...]
    """What a participant may say on its way, whatever it ends with."""


@dataclass(frozen=True, slots=True)
class _Style:
    """How one participant talks."""

    accuracy: float
    steps: int
    frame: str
    number: str
    says_unit: bool


_FRAMES: Final = (
    "{steps} The answer is {value}.",
    "{steps}\n\n**Answer:** {value}",
    "{steps}\n#### {value}",
    "{steps} So we get \\boxed{{{value}}}.",
    "{value}",
    "{steps} Final answer: {value}",
    "{steps} Therefore the correct answer is **{value}**.",
    "The answer is {value}, because {lower}",
)
_NUMBERS: Final = ("{:.0f}", "{:,.0f}", "{:.1f}", "{:,.2f}")
_NAMES: Final = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
_THINGS: Final = ("apples", "books", "tickets", "bottles", "stamps", "bricks")


def _shop(rng: np.random.Generator) -> _Question:
    name, thing = rng.choice(_NAMES), rng.choice(_THINGS)
    boxes, each, sold = int(rng.integers(12, 90)), int(rng.integers(20, 400)), int(rng.integers(3, 200))
    gold, trap = boxes * each - sold, boxes * each
    return _Question(
        f"{name} has {boxes} boxes with {each} {thing} each and sells {sold} {thing}. How many {thing} are left?",
        "number", str(gold), str(trap), _near(gold, rng), str(thing),
        (f"There are {boxes} boxes of {each}.", f"That makes {trap} {thing} in all.", f"{sold} of them are sold."),
    )  # fmt: skip


def _journey(rng: np.random.Generator) -> _Question:
    name = rng.choice(_NAMES)
    speed, hours, more = int(rng.integers(30, 120)), int(rng.integers(2, 15)), int(rng.integers(10, 400))
    gold, trap = speed * hours + more, speed * (hours + more)
    return _Question(
        f"{name} travels {hours} hours at {speed} km per hour and then another {more} km. How many km is that in all?",
        "number", str(gold), str(trap), _near(gold, rng), "km",
        (f"The first part takes {hours} hours.", f"At {speed} km per hour that is {speed * hours} km.", f"Then come {more} km."),
    )  # fmt: skip


def _comparison(rng: np.random.Generator) -> _Question:
    one, other = (int(each) for each in rng.choice(np.arange(12, 99), 2, replace=False))
    factor = int(rng.integers(2, 9))
    gold = "yes" if one * factor > other * (factor + 1) else "no"
    trap = "yes" if one > other else "no"
    return _Question(
        f"Is {factor} times {one} more than {factor + 1} times {other}?",
        "truth", gold, trap, ("no" if gold == "yes" else "yes",), "",
        ("We compare two products.", f"The first is {factor} times {one}.", f"The second is {factor + 1} times {other}."),
    )  # fmt: skip


def _choice(rng: np.random.Generator) -> _Question:
    base = int(rng.integers(11, 60))
    gold_value, trap_value = base * base, base * 2
    options = [gold_value, trap_value, gold_value + base, gold_value - 10]
    order = rng.permutation(4).tolist()
    letters = {options[which]: CHOICES[place] for place, which in enumerate(order)}
    listed = " ".join(f"({CHOICES[place]}) {options[which]}" for place, which in enumerate(order))
    gold, trap = letters[gold_value], letters[trap_value]
    return _Question(
        f"What is the square of {base}? {listed}",
        "choice", gold, trap, tuple(letter for letter in CHOICES if letter != gold), "",
        ("The square is the number times itself.", f"The number is {base}.", "One of the four is right."),
    )  # fmt: skip


_TEMPLATES: Final[tuple[Callable[[np.random.Generator], _Question], ...]] = (_shop, _journey, _comparison, _choice)


def _near(gold: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Slips of arithmetic."""
    return tuple(
        str(gold + int(by)) for by in rng.choice([-100, -10, -2, -1, 1, 2, 10, 100, 90, -90], 4, replace=False)
    )


def write_made_answers(path: Path, *, prompts: int, models: int, seed: int) -> None:
    """Write a file of answers with gold answers, as the bench reads it, whole or not at all.

    prompts: questions, of four kinds by turns. models: participants, right in 35 % to 75 % of the cases by themselves.
    """
    lines = [json.dumps(row) for row in made_answers(prompts=prompts, models=models, seed=seed)]
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.replace(path)


def made_answers(*, prompts: int, models: int, seed: int) -> Iterator[dict[str, str]]:
    """The rows of the file."""
    rng = np.random.default_rng([seed, prompts, models])
    styles = [_style(rng, number, models) for number in range(models)]
    for number in range(prompts):
        question = _TEMPLATES[number % len(_TEMPLATES)](rng)
        for model, style in enumerate(styles):
            yield {
                "prompt_id": f"made-{number:04}",
                "prompt": question.prompt,
                "model": f"participant-{model:02}",
                "output": _answer(question, style, rng),
                "gold": question.gold,
                "equivalence": "final_answer",
            }


def _style(rng: np.random.Generator, number: int, models: int) -> _Style:
    return _Style(
        accuracy=0.35 + 0.4 * number / max(1, models - 1),
        steps=int(rng.integers(0, 4)),
        frame=_FRAMES[int(rng.integers(len(_FRAMES)))],
        number=_NUMBERS[int(rng.integers(len(_NUMBERS)))],
        says_unit=bool(rng.random() < 0.5),  # noqa: PLR2004 - a coin
    )


def _answer(question: _Question, style: _Style, rng: np.random.Generator) -> str:
    steps = " ".join(rng.permutation(question.steps)[: style.steps].tolist()) or "Let us see."
    if rng.random() < MUTE:
        return "I am not sure that this can be told from what is given here."
    if rng.random() < style.accuracy:
        value = question.gold
    else:
        value = (
            question.trap if rng.random() < TRAP and question.trap != question.gold else str(rng.choice(question.wrong))
        )
    return style.frame.format(steps=steps, lower=steps[0].lower() + steps[1:], value=_written(value, question, style))


def _written(value: str, question: _Question, style: _Style) -> str:
    if question.kind == "choice":
        return {0: value, 1: f"({value})"}[len(style.frame) % 2]
    if question.kind == "truth":
        return value if style.says_unit else {"yes": "true", "no": "false"}[value].capitalize()
    number = style.number.format(int(value))
    return f"{number} {question.unit}" if style.says_unit else number
