"""Rounds in words, for both command lines."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from client_kit.cli import app
from client_kit.cli.join import describe
from client_kit.client import ConsensusClient
from client_kit.federation.progress import Progress, Step
from client_kit.showing import MILDER, fewer_votes, milder_policy, seen, show_card, show_rounds, show_why
from client_kit.vocabulary import Abstention, abstained
from client_kit.wire import ConsensusPolicy, Prompt, PromptExplanation, PseudoLabel, Round, RoundCard
from client_kit.wire.rounds import RoundCounts, RoundFailure

COUNTS = {"tie": 1, "low_evidence": 4}


def counts(labels, abstentions):
    return RoundCounts(
        prompts=5, submissions=3, answers=15, admitted=15, labels=labels, abstentions=abstentions, encoded=1, reused=0
    )


def label(**changes):
    fields = {"prompt_id": "p1", "abstention": "low_evidence", "confidence": 0.0, "confidence_method": "agreement",
              "support": 0.0, "share": 0.5, "clusters": [{"answers": 2, "votes": 1.0, "share": 0.5}]}  # fmt: skip
    return PseudoLabel.model_validate(fields | changes)


def fate(participant, **changes):
    return {"participant": participant, "sample": 0, "digest": "0" * 64, "admitted": True, "cluster": 0, **changes}


def why(*fates, **changes):
    return PromptExplanation.model_validate({"label": label(**changes).model_dump(), "answers": fates})


def test_abstentions_are_told_by_reason_in_words():
    assert abstained(COUNTS) == (
        "4 low_evidence (no meaning leads by enough evidence); 1 tie (several meanings have equal support)"
    )
    assert abstained({}) == ""
    assert abstained({"of_a_newer_server": 1}) == "1 of_a_newer_server (of a newer server)"


def test_a_round_without_a_label_names_a_policy_to_try():
    hint = milder_policy(counts(0, COUNTS), "clinics", 3, " --data-dir d")
    assert "consensus-server round what-if clinics 3 --set minimum_margin=0.1 --data-dir d" in hint
    assert milder_policy(counts(1, COUNTS), "clinics", 3) == ""
    assert set(MILDER) == set(Abstention)
    for change in MILDER.values():
        name, _, value = change.partition("=")
        ConsensusPolicy.model_validate({name: None if value == "null" else value})


def test_two_answers_that_count_as_one_are_told_with_the_reason():
    found = fewer_votes(why(fate("anna"), fate("bert")))
    assert len(found) == 1
    assert found[0].startswith("Cluster 0: 2 answers with 2.00 votes by right count as 1.00.")
    assert "copies" in found[0]
    samples = [fate("anna", sample=number) for number in range(2)]
    assert fewer_votes(why(*samples)) == []  # samples of one participant share its vote
    assert fewer_votes(why(fate("anna"))) == []  # the other's answer is not shown


def test_why_and_card_and_rounds_tell_reasons(capsys):
    show_why(why(fate("anna"), fate("bert")))
    card = RoundCard.model_validate(
        {"federation": "f", "number": 1, "prompt_set": "0" * 64, "policy": {}, "constants": {}, "labels": "1" * 64,
         "encoder": {"name": "e", "digest": "2" * 64, "weights": "w", "pooling": "p", "chunking": "c", "dtype": "d",
                     "backend": "b", "dimension": 3},
         "counts": counts(0, COUNTS), "support": [], "traffic": [], "versions": {},
         "timings": {"encoding_seconds": 0, "deciding_seconds": 0, "total_seconds": 0},
         "published_at": datetime(2030, 1, 1, tzinfo=UTC)}
    )  # fmt: skip
    show_card(card)
    failure = RoundFailure(code="quorum_missed", detail="1 of 3 sealed.")
    show_rounds([Round(federation="f", number=1, state="failed", quorum=3, active=3, sealed=1, failure=failure)], "f")
    shown = " ".join(capsys.readouterr().out.split())
    assert "count as 1.00" in shown
    assert "Without a label: 4 low_evidence (no meaning leads by enough evidence); 1 tie" in shown
    assert "Round 1 failed, quorum_missed: 1 of 3 sealed." in shown


def test_join_tells_why_prompts_have_no_label():
    told = describe(Progress("anna", Step.LABELLED, round=1, done=0, total=1, detail=abstained({"tie": 1})))
    assert told == "Round 1: pseudo-labels for 0 of 1 prompts; without: 1 tie (several meanings have equal support)"


@pytest.mark.parametrize("options", [[], ["--json"], ["--min"]])
def test_labels_of_a_round_in_which_all_abstain(monkeypatch, tmp_path, options):
    monkeypatch.setattr(ConsensusClient, "pseudo_labels", lambda *_: [label()])
    monkeypatch.setattr(ConsensusClient, "prompts", lambda *_: [Prompt(prompt_id="p1", prompt="?")])
    monkeypatch.setenv("CONSENSUS_TOKEN", "t")
    extra = ["--minimum-confidence", "0.5"] if options == ["--min"] else options
    done = CliRunner().invoke(app, ["labels", "--server", "http://127.0.0.1:9", "--round", "1", *extra])
    assert done.exit_code == 1
    assert "Round 1 has no pseudo-label" in done.stderr
    assert "1 low_evidence (no meaning leads by enough evidence)" in done.stderr
    assert "/tmp" not in done.stderr


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-3, "seen 0 s ago"), (12, "seen 12 s ago"), (200, "seen 3 min ago"), (7300, "silent 2 h"), (9e5, "silent 10 d")],
)
def test_when_somebody_was_heard_of_is_told_in_one_unit(seconds, told):
    now = datetime(2026, 12, 1, tzinfo=UTC)
    assert seen(now - timedelta(seconds=seconds), now) == told
    assert seen(None, now) == "never seen"
