"""A participant erases its answers with the kit; another one goes on to read what is left."""

import json

from typer.testing import CliRunner

from client_kit.cli import app
from client_kit.client import ConsensusClient


def test_a_participant_erases_its_answers_and_others_verify_what_is_left(live, arena, answer_rows, tmp_path):
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    token = tmp_path / "token"
    token.write_text(arena.tokens["anna"])
    token.chmod(0o600)
    words = ["erase", "--yes", "--json", "--server", live.url, "--token-file", str(token)]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    assert (told["rounds"][0]["answers"], told["rounds"][0]["labels"]) == (len(answer_rows()), 0)
    assert arena.as_("anna").delete(f"/v1/federations/{arena.name}/participants/bert/answers").status_code == 403
    with ConsensusClient(live.url, arena.tokens["bert"]) as bert:
        before = bert.pseudo_labels(1)
        assert bert.erase().rounds[0].labels == sum(label.text is not None for label in before) > 0
        after = bert.pseudo_labels(1)  # verified against the digest that the round has now
        assert after == [
            label.model_copy(update={"text": None, "erased": True}) if label.text else label for label in before
        ]
        card = bert.card(1)
        assert [(each.participant, each.answers > 0) for each in card.erased] == [("anna", True), ("bert", True)]
        assert card.labels != bert.round(1).labels
