"""What a replay writes: pseudo-labels with the model they come from, the round card and, where judged, a summary."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from client_kit.errors import ConfigurationError
from client_kit.federation.replay import Replay
from client_kit.federation.replay_file import AnswerFile

LABELS_FILE = "pseudo_labels.jsonl"
CARD_FILE = "round_card.json"
SUMMARY_FILE = "summary.json"


def label_rows(played: Replay, answers: AnswerFile) -> list[dict[str, Any]]:
    """One row per prompt of the file, in the order of prompt_id; `text` and `source` are null for an abstention.

    source: the model whose answer it is; of models with identical answers the first by name.
    """
    return [
        {
            "prompt_id": prompt_id,
            "text": label.text,
            "source": None if label.text is None else _source(prompt_id, label.text, played, answers),
            "confidence": label.confidence,
            "support": label.support,
            "share": label.share,
            "abstained": label.text is None,
        }
        for prompt_id, label in played.labels.items()
    ]


def summarise(rows: list[dict[str, Any]], played: Replay, answers: AnswerFile) -> dict[str, Any]:
    """How good the picks are, by the file's own judgements, joined here and never sent.

    A pick without a valid judgement is left out of the mean. length_ratio: characters of the picks, divided by the sum
    over the same prompts of the mean characters of all answers; judges favour length, so quality is read beside it.
    Means are null where nothing was judged.
    """
    picks = [row for row in rows if not row["abstained"]]
    by_model = {model: list(_judgements(model, answers)) for model in played.models}
    means = {model: fmean(values) for model, values in by_model.items() if values}
    best = max(means, key=lambda model: (means[model], model), default=None)
    keys = [(row["prompt_id"], row["source"]) for row in picks]
    judged = [answers.preferences[key] for key in keys if key in answers.preferences]
    return {
        "federation": played.federation,
        "models": list(played.models),
        "participants": dict(played.participants),
        "prompts": len(rows),
        "labels": len(picks),
        "coverage": len(picks) / len(rows),
        "judged_picks": len(judged),
        "mean_preference": {
            "picks": _mean(judged),
            "all_answers": _mean([value for values in by_model.values() for value in values]),
            "best_model": means.get(best) if best else None,
        },
        "best_model": best,
        "length_ratio": _length_ratio(picks, played, answers),
    }


def write_results(folder: Path, rows: list[dict[str, Any]], played: Replay, summary: Mapping[str, Any] | None) -> None:
    """Write each file whole or not at all; a summary of an earlier run goes where this one has none."""
    contents = {
        LABELS_FILE: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        CARD_FILE: played.card.model_dump_json(indent=2) + "\n",
    }
    if summary is not None:
        contents[SUMMARY_FILE] = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drafts = {folder / name: _draft(folder / name, content) for name, content in contents.items()}
        for path, draft in drafts.items():
            draft.replace(path)
        if summary is None:
            (folder / SUMMARY_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the results cannot be written to {folder}: {error.strerror}") from error


def _draft(path: Path, content: str) -> Path:
    draft = path.with_name(f".{path.name}.writing")
    draft.write_text(content, encoding="utf-8", newline="\n")
    return draft


def _source(prompt_id: str, text: str, played: Replay, answers: AnswerFile) -> str:
    return next(model for model in sorted(played.models) if answers.outputs[model].get(prompt_id) == text)


def _judgements(model: str, answers: AnswerFile) -> Iterator[float]:
    for prompt_id in answers.outputs[model]:
        value = answers.preferences.get((prompt_id, model))
        if value is not None:
            yield value


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None


def _length_ratio(picks: list[dict[str, Any]], played: Replay, answers: AnswerFile) -> float | None:
    picked = sum(len(row["text"]) for row in picks)
    usual = sum(fmean(_lengths(row["prompt_id"], played, answers)) for row in picks)
    return picked / usual if usual else None


def _lengths(prompt_id: str, played: Replay, answers: AnswerFile) -> Iterator[int]:
    for model in played.models:
        if prompt_id in answers.outputs[model]:
            yield len(answers.outputs[model][prompt_id])
