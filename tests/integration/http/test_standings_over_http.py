"""Reliability, rejections and appeals over the wire, through both clients and both command lines."""

import json

import pytest
from typer.testing import CliRunner

from client_kit import cli as kit
from client_kit.client import AsyncConsensusClient, ConsensusClient
from client_kit.errors import (
    AlreadyExists,
    Forbidden,
    NothingToAppeal,
    RoundNotPublished,
    UnknownAppeal,
    ValidationFailed,
)
from client_kit.wire import AppealOutcome
from consensus_server import cli

GARBAGE = "\ufffd\ufffd\ufffd\x01\ufffd!"


def rows(text):
    return [{"prompt_id": f"p{n}", "text": text.format(n)} for n in range(1, 6)]


@pytest.fixture
def published(live, new_arena):
    """`carl` sends garbage in round 1."""
    arena = new_arena(live, participants=("anna", "bert", "carl"), quorum=3)
    arena.publish(
        {
            "anna": rows("The answer to question {} is forty-two."),
            "bert": rows("To question {}, forty-two is the answer."),
            "carl": rows(GARBAGE + "{}"),
        }
    )
    return arena


def client_of(arena, participant):
    return ConsensusClient(arena.live.url, arena.tokens[participant])


def test_a_participant_reads_why_appeals_and_is_heard(published, live):
    carl, anna, bert = (client_of(published, name) for name in ("carl", "anna", "bert"))
    with carl, anna, bert:
        operator = ConsensusClient(live.url, live.operator_token, federation=published.name)
        refused = carl.rejections(1)
        assert [(each.prompt_id, each.gate) for each in refused] == [(f"p{n}", "garbage") for n in range(1, 6)]
        assert "29% of its characters can be printed; it takes 70%" in refused[0].reason
        assert (anna.rejections(1), operator.rejections(1)) == ([], refused)
        own = [each for each in carl.explanation(1, "p1").answers if not each.admitted]
        assert [(each.gate, each.limit) for each in own] == [("garbage", 0.7)]
        appeal = carl.appeal(1, "garbage", "It is an old script that your fonts lack.")
        with pytest.raises(AlreadyExists) as twice:
            carl.appeal(1, "garbage", "Again.")
        assert "Look at what became of the first appeal" in twice.value.remedy
        with pytest.raises(NothingToAppeal):
            anna.appeal(1, "garbage", "Me too.")
        with pytest.raises(ValidationFailed):
            carl.appeal(1, "empty", "No.")
        with pytest.raises(Forbidden):
            carl.resolve_appeal(appeal.number, AppealOutcome.UPHELD)
        with pytest.raises(UnknownAppeal):
            operator.resolve_appeal(99, AppealOutcome.UPHELD)
        resolved = operator.resolve_appeal(appeal.number, AppealOutcome.UPHELD, "It is.")
        assert (carl.appeals(), anna.appeals(), operator.appeals()) == ([resolved], [], [resolved])
        operator.create_round()
        with pytest.raises(RoundNotPublished):
            carl.rejections(2)
        for client, text in (
            (anna, "Forty-two, {}."),
            (bert, "It is {}."),
            (carl, GARBAGE + "{}"),
        ):
            client.submit_and_seal(2, {f"p{n}": text.format(n) for n in range(1, 6)})
        assert live.aggregate()
        assert carl.rejections(2) == []
        card = operator.card(2)
        assert [(each.participant, each.gate) for each in card.exemptions] == [("carl", "garbage")]
        operator.close()


def test_reliability_is_shown_to_whom_it_concerns(published, live):
    with client_of(published, "carl") as carl:
        operator = ConsensusClient(live.url, live.operator_token, federation=published.name)
        everybody = operator.reliability(1)
        assert [each.participant for each in everybody] == ["anna", "bert", "carl"]
        assert carl.reliability(1) == everybody[2:]
        assert (everybody[2].prompts, everybody[2].newcomer, everybody[2].weight) == (0, True, 1.0)
        assert [each.refused for each in everybody] == [0, 0, 5]
        assert operator.card(1).reliability.newcomers == 3
        operator.close()


async def test_the_asynchronous_client_does_the_same(published):
    async with AsyncConsensusClient(published.live.url, published.tokens["carl"]) as carl:
        assert len(await carl.rejections(1)) == 5
        assert [each.participant for each in await carl.reliability(1)] == ["carl"]
        appeal = await carl.appeal(1, "garbage", "Please.")
        assert await carl.appeals() == [appeal]
    async with AsyncConsensusClient(
        published.live.url, published.live.operator_token, federation=published.name
    ) as operator:
        assert (await operator.resolve_appeal(appeal.number, AppealOutcome.REJECTED, "No.")).note == "No."


def test_a_text_that_is_too_long_or_cannot_be_stored_is_named(published, problem):
    client = published.as_("carl")
    for text in ("", "x" * 4001, "a\x00b"):
        response = client.post(f"{published.round}/appeals", json={"gate": "garbage", "text": text})
        assert problem(response, 422, "validation_failed")["errors"][0]["where"] == "text"


@pytest.fixture
def run(live, monkeypatch):
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(live.server.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "300")

    def invoke(*words):
        result = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.stdout

    return invoke


@pytest.fixture
def run_kit(published, monkeypatch):
    monkeypatch.setenv("CONSENSUS_SERVER", published.live.url)
    monkeypatch.setenv("CONSENSUS_TOKEN", published.tokens["carl"])
    monkeypatch.setenv("COLUMNS", "300")

    def invoke(*words):
        result = CliRunner().invoke(kit.app, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    return invoke


def test_the_command_lines_say_the_same(published, run, run_kit):
    name = published.name
    assert "29% of its characters" in run_kit("rejections")
    assert len(json.loads(run_kit("rejections", "--json"))) == 5
    assert json.loads(run_kit("reliability", "--json"))[0]["participant"] == "carl"
    assert "You have made no appeal" in run_kit("appeal")
    assert "Appeal 1 against garbage in round 1 is made" in run_kit("appeal", "garbage", "An old script.")
    assert "An old script." in run("appeal", "list", name)
    assert "Appeal 1 of carl against garbage is upheld" in run(
        "appeal", "resolve", name, 1, "upheld", "--note", "So it is."
    )
    assert "So it is." in run_kit("appeal")
    assert json.loads(run_kit("appeal", "--json"))[0]["outcome"] == "upheld"
    assert json.loads(run("appeal", "list", name, "--json"))["items"][0]["note"] == "So it is."
    assert "newcomer" in run("round", "reliability", name)
    shown = {line.split()[0]: line.split() for line in run("round", "reliability", name).splitlines()}
    assert shown["participant"][1:4] == ["mean", "prompts", "rejected"]
    assert (shown["carl"][1:4], shown["carl"][-1]) == (["-", "0", "5"], "-")
    assert shown["anna"][2:4] == ["5", "0"]
    assert [each["refused"] for each in json.loads(run("round", "reliability", name, 1, "--json"))["items"]] == [
        0,
        0,
        5,
    ]
    assert "70%" in run("round", "rejections", name, "--participant", "carl")
    assert json.loads(run("round", "rejections", name, 1, "--participant", "anna", "--json"))["items"] == []
    header, _, row = run_kit("reliability").partition("carl")
    assert "Rejected" in header
    assert row.split()[:3] == ["-", "0", "5"]


def test_a_few_far_above_are_told_without_alarm(live, new_arena, run, monkeypatch):
    monkeypatch.setattr("consensus_server.core.reliability.FAR_ABOVE", 0.0)
    monkeypatch.setattr("consensus_server.core.reliability.FEW", 1.0)
    arena = new_arena(live, participants=("anna", "bert", "carl"), quorum=3)
    texts = {"anna": "It is forty-two, {}.", "bert": "It is forty-two then, {}.", "carl": "Nobody knows of {} at all."}
    arena.publish({name: rows(text) for name, text in texts.items()})
    assert "This is not an alarm" in run("round", "reliability", arena.name)
