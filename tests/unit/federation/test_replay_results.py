from datetime import UTC, datetime

import pytest

from client_kit.errors import ConfigurationError
from client_kit.federation.replay import Replay
from client_kit.federation.replay_file import AnswerFile
from client_kit.federation.replay_results import label_rows, summarise, write_results
from client_kit.wire import (
    ConsensusPolicy,
    EncoderCard,
    PseudoLabel,
    RoundCard,
    RoundCounts,
    RoundTimings,
    content_digest,
)

ANSWERS = AnswerFile(
    prompts={"p1": "?", "p2": "?", "p3": "?"},
    outputs={
        "a": {"p1": "xx", "p2": "longer", "p3": "q"},
        "b": {"p1": "same", "p2": "zz"},
        "c": {"p1": "same", "p2": "yy", "p3": "r"},
        "not playing": {"p1": "same", "p2": "yy"},
    },
    preferences={("p1", "a"): 0.2, ("p1", "b"): 1.0, ("p2", "a"): 0.6, ("p3", "c"): 0.0, ("p1", "not playing"): 1.0},
)


def label(prompt_id, text):
    given = {"text": text, "digest": content_digest(text)} if text else {"abstention": "tie"}
    support = 2.0 if text else 0.0
    return PseudoLabel(
        prompt_id=prompt_id, confidence=0.5, confidence_method="x", support=support, share=0.5, clusters=[], **given
    )


@pytest.fixture
def played():
    card = RoundCard(
        federation="replay-1",
        number=1,
        prompt_set="0" * 64,
        policy=ConsensusPolicy(),
        encoder=EncoderCard(
            name="e", digest="0" * 64, weights="w", pooling="p", chunking="c", dtype="f", backend="b", dimension=1
        ),
        constants={},
        labels="0" * 64,
        counts=RoundCounts(
            prompts=3, submissions=3, answers=8, admitted=8, labels=2, abstentions={"tie": 1}, encoded=6, reused=0
        ),
        support=[],
        traffic=[],
        timings=RoundTimings(encoding_seconds=1, deciding_seconds=1, total_seconds=2),
        versions={},
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    labels = {"p1": label("p1", "same"), "p2": label("p2", "longer"), "p3": label("p3", None)}
    return Replay("replay-1", ("a", "b", "c"), {"a": "a", "b": "b", "c": "c"}, labels, card)


def test_the_source_is_the_first_model_by_name_among_equal_texts(played):
    rows = label_rows(played, ANSWERS)
    assert [(row["prompt_id"], row["text"], row["source"], row["abstained"]) for row in rows] == [
        ("p1", "same", "b", False),
        ("p2", "longer", "a", False),
        ("p3", None, None, True),
    ]
    assert set(rows[0]) == {"prompt_id", "text", "source", "confidence", "support", "share", "abstained"}


def test_the_summary_joins_the_judgements_of_those_who_took_part(played):
    summary = summarise(label_rows(played, ANSWERS), played, ANSWERS)
    assert summary["coverage"] == pytest.approx(2 / 3)
    assert summary["judged_picks"] == 2
    assert summary["mean_preference"]["picks"] == pytest.approx((1.0 + 0.6) / 2)
    assert summary["mean_preference"]["all_answers"] == pytest.approx((0.2 + 0.6 + 1.0 + 0.0) / 4)
    assert (summary["best_model"], summary["mean_preference"]["best_model"]) == ("b", 1.0)
    assert summary["length_ratio"] == pytest.approx((4 + 6) / (10 / 3 + 10 / 3))


def test_results_are_written_whole_and_an_old_summary_goes(played, tmp_path):
    rows = label_rows(played, ANSWERS)
    write_results(tmp_path / "out", rows, played, {"coverage": 1})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "pseudo_labels.jsonl",
        "round_card.json",
        "summary.json",
    }
    write_results(tmp_path / "out", rows, played, None)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"pseudo_labels.jsonl", "round_card.json"}
    assert RoundCard.model_validate_json((tmp_path / "out" / "round_card.json").read_text()) == played.card


def test_a_folder_that_cannot_be_written_is_named(played, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be written to .*file"):
        write_results(tmp_path / "file", [], played, None)
