"""A user's own data, base models and metric as the task of a comparison."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from client_kit.comparison.plan import OwnData, Setting
from client_kit.comparison.tasks import SiteData, split_site
from client_kit.errors import ConfigurationError, FaultyFile
from client_kit.federation.beforehand import check_model_folder
from client_kit.generation.base import Generation
from client_kit.input_files import read_rows
from client_kit.training.dataset import load_examples
from client_kit.wire import Prompt

Metric = Callable[[str, str], float]
"""Answer and wanted completion to quality, 0..1."""


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str = Field(min_length=1)
    completion: str | None = None
    participant: int | None = Field(default=None, ge=0)
    validation: bool = False


class OwnTask:
    """Files of one's own. Every fourth question chooses, and is not reported, where the file marks none for it."""

    def __init__(self, setting: Setting) -> None:
        if setting.own is None:
            raise ConfigurationError("task own has no data; name it under `own` in the plan")
        self._own: OwnData = setting.own
        self._count = setting.sites
        self._score = metric(self._own.metric)
        self.max_answer_tokens = self._own.max_answer_tokens

    def sites(self, seed: int, *, mixed: bool, drifted: bool = False) -> list[SiteData]:
        """Seeds differ in which tenth of the data is held out, and in the training; the data is that of the files."""
        del drifted  # a plan with drift and this task is refused
        folders = self._own.mixed_models if mixed else self._own.models
        if not folders:
            raise ConfigurationError("this method has participants of different architectures; name own.mixed_models")
        each = folders * self._count if len(folders) == 1 else folders
        pairs = zip(each, self._own.private, strict=True)
        return [
            split_site(i, _architecture(folder), folder, load_examples(file), seed)
            for i, (folder, file) in enumerate(pairs)
        ]

    def prompts(self) -> list[Prompt]:
        """The public prompts, without what is known of their answers."""
        return _prompts(self._public)

    def questions(self) -> list[Prompt]:
        """All questions, of every participant."""
        return _prompts(self._test)

    def judge(self, seed: int, site: int, answers: Sequence[Generation], *, drifted: bool = False) -> dict[str, float]:
        """Mean of the metric; `private`: the participant's own questions, and those that are nobody's."""
        del seed, drifted
        scores = {
            each.prompt_id: self._score(each.text, self._test[each.prompt_id].completion or "") for each in answers
        }
        test = {name: row for name, row in self._test.items() if name in scores and not row.validation}
        own = [name for name, row in test.items() if row.participant in {None, site}]
        return {
            "private": _mean(scores, own),
            "overall": _mean(scores, list(test)),
            "validation": _mean(scores, [name for name in scores if name not in test]),
        }

    def right(self, prompt_id: str, text: str, *, drifted: bool = False) -> bool | None:
        """None where the file of public prompts states no completion."""
        del drifted
        wanted = self._public[prompt_id].completion
        return None if wanted is None else self._score(text, wanted) >= self._own.right_from

    @cached_property
    def _public(self) -> dict[str, _Question]:
        return _read(self._own.public)

    @cached_property
    def _test(self) -> dict[str, _Question]:
        rows = _read(self._own.test)
        for name, row in rows.items():
            if row.completion is None:
                raise ConfigurationError(f"{self._own.test}: {name} has no completion to judge answers by; add it")
            if row.participant is not None and row.participant >= self._count:
                raise ConfigurationError(
                    f"{self._own.test}: {name} is of participant {row.participant} of {self._count}"
                )
        if any(row.validation for row in rows.values()):
            return rows
        places = enumerate(rows.items())
        return {name: row.model_copy(update={"validation": place % 4 == 0}) for place, (name, row) in places}


def metric(name: str) -> Metric:
    """The metric of this name, or `module:function` of the user's. Raises ConfigurationError."""
    if found := _METRICS.get(name):
        return found
    module, _, function = name.partition(":")
    try:
        chosen: Metric = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        known = ", ".join(_METRICS)
        raise ConfigurationError(f"there is no metric {name!r} ({error}); take {known} or module:function") from error
    return chosen


def exact(answer: str, wanted: str) -> float:
    """1 where the texts are the same but for blanks and case."""
    return float(_words(answer) == _words(wanted))


def contains(answer: str, wanted: str) -> float:
    """1 where the wanted text stands in the answer, whatever its case."""
    return float(" ".join(_words(wanted)) in " ".join(_words(answer)))


def f1(answer: str, wanted: str) -> float:
    """Harmonic mean of precision and recall of words, as in SQuAD (arXiv 1606.05250) but with articles and marks."""
    given, gold = Counter(_words(answer)), Counter(_words(wanted))
    shared = (given & gold).total()
    return 2 * shared / (given.total() + gold.total()) if shared else 0.0


_METRICS: dict[str, Metric] = {"exact": exact, "contains": contains, "f1": f1}


def _words(text: str) -> list[str]:
    return text.casefold().split()


def _mean(scores: dict[str, float], names: Sequence[str]) -> float:
    return sum(scores[name] for name in names) / len(names) if names else 0.0


def _read(file: Path) -> dict[str, _Question]:
    """Rows by id, `q0`, `q1`, ... in the order of the file. Raises FaultyFile naming file and line."""
    rows = read_rows(file, _Question.model_validate)
    if not rows:
        raise FaultyFile(f"{file} has no lines; there is nothing to ask")
    return {f"q{number}": row for number, row in enumerate(rows)}


def _prompts(rows: dict[str, _Question]) -> list[Prompt]:
    return [Prompt(prompt_id=name, prompt=row.prompt) for name, row in rows.items()]


def _architecture(folder: Path) -> str:
    check_model_folder(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder} is no model folder: {error}") from error
    return str(config.get("model_type", "unknown"))
