"""What can be found out before hours of work, is."""

import json
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from client_kit import wiring
from client_kit.cli import app
from client_kit.comparison.plan import Plan
from client_kit.comparison.run import check_plan
from client_kit.errors import ConfigurationError, UnknownRule
from client_kit.federation import joining
from client_kit.federation.beforehand import check_policy, check_site, require_participant
from client_kit.federation.configuration import FederationSettings
from client_kit.federation.runner import run_federation
from client_kit.settings import ParticipantSettings
from client_kit.vocabulary import CONFIDENCE_NAMES, RULE_NAMES
from client_kit.wire import ConsensusPolicy, Identity, Role
from consensus_server.core import consensus
from consensus_server.wiring import EncoderSlot

SCRIPTED = {"generator": {"kind": "scripted", "answers": "/a.jsonl"}, "trainer": {"kind": "none"}}


def participant(folder, **changes):
    fields = {
        **SCRIPTED,
        "server": "http://127.0.0.1:9",
        "federation": "f",
        "work": folder / "work",
        "rounds": 1,
        **changes,
    }
    return ParticipantSettings.model_validate({"token_env": "SOME_TOKEN", **fields})


def scripted(folder, *lines, name="answers.jsonl"):
    file = folder / name
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"kind": "scripted", "answers": file}


@pytest.mark.parametrize(
    ("who", "role", "words"),
    [(None, Role.OPERATOR, "the operator's"), ("olga", Role.OBSERVER, "olga's, whose role is observer")],
)
def test_a_token_that_cannot_submit_is_refused_and_leaves_no_journal(tmp_path, monkeypatch, who, role, words):
    class Client:
        def identity(self):
            return Identity(participant=who, role=role, federation=None)

    monkeypatch.setenv("SOME_TOKEN", "t")
    monkeypatch.setattr(joining, "ConsensusClient", lambda *_, **__: nullcontext(Client()))
    settings = participant(tmp_path, generator=scripted(tmp_path, {"prompt_id": "p", "text": "x"}))
    with pytest.raises(ConfigurationError, match=words):
        joining.take_part(settings, wiring)
    assert not (tmp_path / "work" / joining.JOURNAL).exists()
    require_participant(Identity(participant="anna", role=Role.PARTICIPANT, federation="f"))


def sites(folder):
    rows = folder / "rows.jsonl"
    rows.write_text('{"prompt": "Q?", "completion": "A."}\n')
    local = {"generator": {"kind": "transformers", "model": str(folder / "absent")}}
    training = {"trainer": {"kind": "sft", "steps": 1}, "private": str(rows)}
    fine = {"generator": scripted(folder, {"prompt_id": "p", "text": "x"}, name="good.jsonl")}
    (folder / "empty").mkdir()
    return {
        "answers": ({"generator": scripted(folder, {"prompt_id": "p"})}, "line 1: text: Field required"),
        "no answers": ({"generator": {"kind": "scripted", "answers": folder / "none.jsonl"}}, "cannot read"),
        "model": ({**local, **training}, "absent does not exist"),
        "not a model": (
            {**local, **training, "generator": {"kind": "vllm", "model": str(folder / "empty")}},
            "has no config.json",
        ),
        "private data": ({**fine, "private": folder / "none.jsonl"}, "none.jsonl"),
        "questions": ({**fine, "evaluation": folder / "none.jsonl"}, "cannot read"),
        "known answers": ({**fine, "collapse": {"gold": folder / "none.jsonl"}}, "cannot read"),
    }


@pytest.mark.parametrize(
    "case", ["answers", "no answers", "model", "not a model", "private data", "questions", "known answers"]
)
def test_files_and_model_of_a_site_are_looked_at_first(tmp_path, case):
    changes, words = sites(tmp_path)[case]
    settings = participant(tmp_path, **changes)
    with pytest.raises(ConfigurationError, match=words):
        joining.take_part(settings, wiring)
    with pytest.raises(ConfigurationError, match=words):
        check_site(settings)


def test_a_federation_starts_nothing_where_a_site_or_the_rule_cannot_work(tmp_path):
    file = tmp_path / "answers.jsonl"
    site = {**SCRIPTED, "participant": "anna", "generator": {"kind": "scripted", "answers": str(file)}}
    fields = {"federation": "f", "prompt_set": "general", "work": tmp_path / "work", "quorum": 1, "rounds": 1,
              "participants": [site, {**site, "participant": "bert"}]}  # fmt: skip
    with pytest.raises(ConfigurationError, match="cannot read"):
        run_federation(FederationSettings.model_validate(fields))
    file.write_text('{"prompt_id": "p", "text": "x"}\n')
    with pytest.raises(UnknownRule, match=r"policy\.rule: there is no 'nonsense'; known are cluster_medoid"):
        run_federation(FederationSettings.model_validate({**fields, "policy": {"rule": "nonsense"}}))
    assert not (tmp_path / "work").exists()


def test_names_are_those_of_the_server():
    assert set(RULE_NAMES) == set(consensus.RULES)
    assert set(CONFIDENCE_NAMES) == set(consensus.CONFIDENCES)
    check_policy(ConsensusPolicy(rule="mean_nearest"))
    with pytest.raises(UnknownRule, match=r"policy\.confidence: there is no 'x'"):
        check_policy(ConsensusPolicy(confidence="x"))


def test_replay_refuses_an_unknown_rule_before_it_starts_a_server(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"prompt_id": "p", "prompt": "Q?", "model": "m", "output": "x"}\n')
    done = CliRunner().invoke(
        app, ["replay", str(file), "--model", "m", "--rule", "hybird", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 1
    assert "--rule: there is no 'hybird'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_submit_opens_its_file_before_it_asks_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSENSUS_TOKEN", "t")
    done = CliRunner().invoke(app, ["submit", str(tmp_path / "none.jsonl"), "--server", "http://127.0.0.1:9"])
    assert "cannot read" in done.stderr


def test_files_of_a_user_s_own_comparison_are_read_first(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Q?", "completion": "A."}\n')
    own = {"models": [tmp_path / "model"], "private": [rows, rows], "public": rows, "test": rows}
    check_plan(Plan(task="own", sites=2, methods=["local_only"], own=own))
    for name, value in {
        "models": [tmp_path / "none"],
        "private": [rows, tmp_path / "none"],
        "test": tmp_path / "none",
    }.items():
        with pytest.raises(ConfigurationError, match="none"):
            check_plan(Plan(task="own", sites=2, methods=["local_only"], own={**own, name: value}))
    with pytest.raises(UnknownRule, match="there is no 'x'"):
        check_plan(Plan(methods=["local_only"], variants={"other": {"policy": {"rule": "x"}}}))


def test_an_encoder_that_is_known_is_not_loaded_for_its_identity():
    def load():
        raise AssertionError("loaded")

    from consensus_server.backends.encoders import HashingEncoder

    slot = EncoderSlot(load, lambda: HashingEncoder().identity)
    assert slot.identity() is None
    slot.identify()
    assert slot.identity() == HashingEncoder().identity
    assert slot.loaded() is None
