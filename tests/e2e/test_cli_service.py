"""`consensus submit`, `labels` and `doctor` against a real server."""

import json

import pytest
from typer.testing import CliRunner

from client_kit import ConsensusClient
from client_kit.cli import app
from client_kit.command_line import Exit
from client_kit.federation.server_process import ServerProcess
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.wire import FederationCreate, PrivacyStatement, Prompt, RoundState

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"Question {number}?") for number in range(3)]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Server, operator and token files of two participants, with an open round."""
    folder = tmp_path_factory.mktemp("service")
    facts = {"name": "few", "version": "1.0", "description": "Few.", "licence": "CC0-1.0", "language": "en"}
    digest = write_prompt_set(folder / "prompts", PROMPTS, **facts).digest
    with (
        ServerProcess(folder / "server", environment={"CONSENSUS_ENCODER": "hashing"}) as server,
        ConsensusClient(server.url, server.operator_token, federation="f") as operator,
    ):
        operator.upload_prompt_set(load_prompt_set(folder / "prompts").upload())
        operator.create_federation(FederationCreate(federation="f", prompt_set=digest))
        for name in ("a", "b"):
            (folder / name).write_text(operator.add_participant(name).token + "\n")
        operator.create_round()
        yield server.url, operator, folder


def consensus(service, *arguments, token="a"):
    url, _, folder = service
    options = ["--server", url, "--token-file", str(folder / token)]
    return CliRunner().invoke(app, [*map(str, arguments), *options])


def answers(path, texts):
    path.write_text("".join(json.dumps({"prompt_id": p, "text": t}) + "\n" for p, t in texts.items()))
    return path


def test_from_answers_in_a_file_to_labels_in_a_file(service, tmp_path):
    early = consensus(service, "labels", "--json")
    assert early.exit_code == Exit.FAILED
    assert json.loads(early.stderr)["code"] == "round_not_published"

    file = answers(tmp_path / "a.jsonl", {"p0": "<think>hm</think>Yes.", "p1": "No.", "p2": "<think>only this</think>"})
    nothing = consensus(service, "submit", answers(tmp_path / "n.jsonl", {"p0": "<think>only this</think>"}))
    assert nothing.exit_code == Exit.USAGE
    assert "(1 empty); nothing was sent or sealed" in nothing.stderr

    open_still = consensus(service, "submit", file, "--no-seal", "--json")
    assert json.loads(open_still.stdout)["sealed"] is False
    assert "Round 1: 2 answers withdrawn; it holds none of yours." in consensus(service, "withdraw").stdout
    consensus(service, "submit", file, "--no-seal")
    sealed = json.loads(consensus(service, "submit", file, "--json").stdout)
    assert (sealed["answers"], sealed["stored"], sealed["unchanged"], sealed["sealed"]) == (2, 0, 2, True)
    assert sealed["dropped"] == {"empty": 1}
    assert (sealed["prompts_covered"], sealed["prompts"]) == (2, len(PROMPTS))
    late = consensus(service, "withdraw")
    assert (late.exit_code, late.stdout) == (Exit.FAILED, "")
    assert "nothing of it can be withdrawn" in late.stderr
    assert "send new answers in the next round" in late.stderr

    file = answers(tmp_path / "b.jsonl", {"p0": "Yes.", "p1": "No."})
    said = consensus(service, "submit", file, "--epsilon", 3, "--delta", 1e-6, token="b").stdout
    assert "2 answers stored, 2 of them new." in said
    assert f"answers 2 of the {len(PROMPTS)} prompts" in said

    out = tmp_path / "labels.jsonl"
    done = consensus(service, "labels", "--wait", 60, "--format", "trl", "--out", out, "--json")
    assert json.loads(done.stdout)["labels"] == 2
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["prompt"], row["completion"]) for row in rows] == [("Question 0?", "Yes."), ("Question 1?", "No.")]
    assert consensus(service, "labels", "--format", "openai").stdout.count('"messages"') == 2
    stated = {each.participant: each.stated for each in service[1].card(1).privacy.participants}
    assert stated == {"a": None, "b": PrivacyStatement(epsilon=3, delta=1e-6)}


def test_the_prompts_of_a_federation_are_fetched_once_and_are_a_prompt_set(service, tmp_path):
    out = tmp_path / "fetched"
    assert consensus(service, "prompts", "fetch", out).stdout.startswith(f"{len(PROMPTS)} prompts in ")
    assert load_prompt_set(out).prompts == tuple(PROMPTS)
    again = consensus(service, "prompts", "fetch", out)
    assert again.exit_code == Exit.BAD_FILE
    assert "exists" in again.stderr


def test_an_unknown_prompt_is_refused_and_nothing_is_stored(service, tmp_path):
    _, operator, _ = service
    if operator.current_round().state is RoundState.PUBLISHED:
        operator.create_round()
    result = consensus(service, "submit", answers(tmp_path / "x.jsonl", {"p0": "Yes.", "elsewhere": "No."}))
    assert result.exit_code == Exit.FAILED
    assert "elsewhere" in result.stderr
    with ConsensusClient(service[0], (service[2] / "a").read_text().strip()) as client:
        assert client.held(operator.current_round().number).answers == []


def test_the_doctor_sees_server_encoder_and_token(service, tmp_path):
    checks = json.loads(consensus(service, "doctor", "--json").stdout)
    found = {check["subject"]: check for check in checks}
    assert found["readiness"]["verdict"] == "ok"
    assert found["encoder"]["verdict"] == "warning"
    assert "stand-in" in found["encoder"]["remedy"]
    assert found["token"]["found"] == "a (participant) in f"
    (service[2] / "wrong").write_text("no-such-token")
    wrong = consensus(service, "doctor", "--json", token="wrong")
    assert wrong.exit_code == Exit.FAILED
    assert {check["subject"]: check["verdict"] for check in json.loads(wrong.stdout)}["token"] == "fault"


def test_no_server_is_told_with_its_own_exit_code(service, tmp_path):
    _, _, folder = service
    arguments = ["labels", "--server", "http://127.0.0.1:9", "--token-file", str(folder / "a"), "--round", "1"]
    assert CliRunner().invoke(app, arguments).exit_code == Exit.NO_SERVER
    doctor = CliRunner().invoke(app, ["doctor", "--server", "http://127.0.0.1:9", "--json"])
    assert doctor.exit_code == Exit.FAILED
