"""The kit's side of tokens: a participant gets its token itself and replaces it, and clients have a method for each route."""

import json
from contextlib import ExitStack

import pytest
from typer.testing import CliRunner

from client_kit.cli import app
from client_kit.client import ConsensusClient
from client_kit.command_line import Exit
from client_kit.errors import ConfigurationError, DigestMismatch, InvitationUsed, OutOfScope, Unauthenticated
from client_kit.vocabulary import Scope
from client_kit.wire import InvitationCreate, OperatorCreate, TokenWish
from consensus_server.cli.application import app as server_app


@pytest.fixture
def client(live):
    """Makes clients, and closes them."""
    with ExitStack() as made:
        yield lambda *token, **options: made.enter_context(ConsensusClient(live.url, *token, **options))


@pytest.fixture
def consensus(live):
    def run(*arguments, expect=0, given=None, bare=False):
        options = [] if bare else ["--server", live.url]
        result = CliRunner().invoke(app, [*map(str, arguments), *options], input=given)
        assert result.exit_code == expect, result.output
        return result

    return run


def test_an_invitation_becomes_a_token_in_a_file_of_its_own(live, arena, client, consensus, tmp_path):
    operator = client(live.operator_token, federation=arena.name)
    code = operator.invite(InvitationCreate(participant="carl")).code
    file = tmp_path / "carl.token"
    told = consensus("redeem", "--token-file", file, given=code + "\n").output
    assert (file.stat().st_mode & 0o777, code in told, file.read_text().strip() in told) == (0o600, False, False)
    status = json.loads(consensus("status", "--token-file", file, "--json").stdout)
    assert status["identity"]["participant"] == "carl"
    consensus("redeem", "--token-file", file, given=code, expect=Exit.BAD_FILE)  # it may be in use
    consensus("redeem", "--token-file", tmp_path / "other", given=code, expect=Exit.FAILED)
    consensus("redeem", "--token-file", tmp_path / "other", given="", expect=Exit.USAGE)
    assert [each.name for each in tmp_path.iterdir()] == ["carl.token"]
    with pytest.raises(InvitationUsed, match="tell the operator"):
        client().redeem(code)


def test_a_token_is_rotated_in_its_file_and_the_old_one_ends(arena, consensus, tmp_path):
    file = tmp_path / "anna.token"
    file.write_text(arena.tokens["anna"])
    consensus("token", "rotate", "--token-file", file, "--grace-hours", "1")
    assert (file.stat().st_mode & 0o777, file.read_text() != arena.tokens["anna"]) == (0o600, True)
    old, new = json.loads(consensus("token", "list", "--token-file", file, "--json").stdout)["items"]
    assert (old["replaced"], old["expires_at"] is None, new["replaced"]) == (True, False, False)
    assert arena.as_("anna").get("/v1/identity").status_code == 200
    consensus("token", "revoke", old["id"], "--token-file", file)
    assert arena.as_("anna").get("/v1/identity").status_code == 401


def test_clients_have_a_method_for_each_route(live, arena, client):
    operator = client(live.operator_token, federation=arena.name)
    made = operator.invite()
    operator.withdraw_invitation(made.invitation.id)
    assert operator.invitations() == []
    name = f"op-{arena.name}"
    issued = operator.add_operator(OperatorCreate(operator=name, scopes=[Scope.OBSERVE]))
    assert name in [each.operator for each in operator.operators()]
    named = client(issued.token, federation=arena.name)
    second = named.new_operator_token(name, TokenWish(keep=True))
    assert [each.id for each in named.operator_tokens(name)] == [issued.kept.id, second.kept.id]
    named.revoke_operator_token(name, second.kept.id)
    with pytest.raises(OutOfScope, match="operate"):
        named.participants()
    with pytest.raises(ConfigurationError, match="no participant"):
        named.tokens()
    operator.remove_operator(name)
    with pytest.raises(Unauthenticated):
        named.identity()


def test_a_site_makes_a_key_registers_it_and_signs_what_it_seals(live, new_arena, client, consensus, tmp_path):
    arena = new_arena(live, participants=("anna", "bert"), signatures="required")
    token, key, answers = tmp_path / "anna.token", tmp_path / "anna.key", tmp_path / "answers.jsonl"
    token.write_text(arena.tokens["anna"])
    answers.write_text(json.dumps({"prompt_id": "p1", "text": "Yes, it is."}) + "\n")
    public = json.loads(consensus("key", "new", key, "--json", bare=True).stdout)["key"]
    sent = ("submit", answers, "--token-file", token)
    assert "--signing-key" in consensus(*sent, expect=Exit.FAILED).output  # the remedy
    unknown = consensus(*sent, "--signing-key", key, expect=Exit.FAILED).output
    assert "has registered no signing key" in unknown
    consensus("key", "register", key, "--token-file", token)
    consensus(*sent, "--signing-key", key)
    (listed,) = json.loads(consensus("key", "list", "--token-file", token, "--json").stdout)["items"]
    operator = client(live.operator_token, federation=arena.name)
    keys = {each.participant: each.signing_key for each in operator.participants()}
    assert (listed["key"], keys) == (public, {"anna": public, "bert": None})
    assert arena.seal("bert").json()["code"] == "signature_missing"
    operator.end_key("anna")
    assert operator.signing_keys("anna")[0].ended_at is not None


def test_a_client_believes_only_rounds_of_the_server_that_it_knows(live, new_arena, client, answer_rows):
    arena = new_arena(live, participants=("anna", "bert"))
    for name in ("anna", "bert"):
        arena.submit(name, answer_rows())
        arena.seal(name)
    assert live.aggregate()
    key = client(arena.tokens["anna"]).server_key()
    known = client(arena.tokens["anna"], server_key=key)
    assert known.signature(1).signature.key == key
    assert known.pseudo_labels(1) == client(arena.tokens["bert"]).pseudo_labels(1)
    with pytest.raises(DigestMismatch, match="the server's key is 0000"):
        client(arena.tokens["anna"], server_key="0" * 64).pseudo_labels(1)


def test_a_published_round_is_taken_along_and_checked_elsewhere(live, new_arena, consensus, answer_rows, tmp_path):
    arena = new_arena(live, participants=("anna", "bert"))
    for name in ("anna", "bert"):
        arena.submit(name, answer_rows())
        arena.seal(name)
    assert live.aggregate()
    token, own, whole = tmp_path / "anna.token", tmp_path / "own.zip", tmp_path / "whole.zip"
    token.write_text(arena.tokens["anna"])
    consensus("bundle", "--token-file", token, "--out", own)
    consensus("bundle", "--token-file", token, "--out", own, expect=Exit.USAGE)  # it is never written over
    token.write_text(live.operator_token)
    consensus("bundle", "--token-file", token, "--federation", arena.name, "--out", whole)
    assert [each.stat().st_mode & 0o777 for each in (own, whole)] == [0o600, 0o600]
    told = json.loads(consensus("verify-round", own, "--json", bare=True).stdout)
    assert (told["seen_by"], told["holds"], told["checks"][-1]["outcome"]) == ("participant", True, "not checked")
    decided = server_verifies("--encoder", "hashing", whole)
    assert (decided["holds"], decided["checks"][-1]["outcome"]) == (True, "passed")
    assert server_verifies("--encoder", "hashing", own)["checks"][-1]["outcome"] == "not checked"
    assert "compare it" in consensus("verify-round", whole, bare=True).output.replace("\n", " ")
    consensus("verify-round", whole, "--server-key", "0" * 64, bare=True, expect=Exit.FAILED)
    whole.write_bytes(whole.read_bytes().replace(b"Question 1?", b"Question 8?"))
    assert "prompts.jsonl" in consensus("verify-round", whole, bare=True, expect=Exit.FAILED).output


def server_verifies(*arguments):
    result = CliRunner().invoke(server_app, ["verify-round", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
