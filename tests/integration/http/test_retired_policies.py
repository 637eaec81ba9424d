"""Clients of version 0.1.0: what they send of policies that have changed since, and what they read."""

import json

import pytest
from sqlalchemy import create_engine, text

from client_kit.client import ConsensusClient

OF_0_1_0 = {"rule": "mean_nearest", "clusterer": "average_linkage", "guards": False, "reliability": False}


def test_the_default_is_accepted_and_dropped_and_the_alias_kept_as_medoid(live, new_arena, answer_rows):
    arena = new_arena(live, policy=OF_0_1_0)
    arena.publish({"anna": answer_rows(), "bert": answer_rows("{} is forty-two.")})
    for path in (arena.path, f"{arena.round}/card"):
        policy = arena.operator.get(path).json()["policy"]
        assert (policy["rule"], "clusterer" in policy) == ("medoid", False)
    changed = arena.operator.post(f"{arena.round}/what-if", json=OF_0_1_0).json()
    assert (changed["policy"]["rule"], changed["changed"]) == ("medoid", 0)
    assert "clusterer" not in changed["policy"]


def test_another_clusterer_is_refused_with_reason_and_remedy(live, arena, problem):
    create = {"federation": "cut-otherwise", "prompt_set": arena.prompt_set, "policy": {"clusterer": "kmeans"}}
    for response, where in (
        (arena.operator.post("/v1/federations", json=create), "policy.clusterer"),
        (arena.operator.post(f"{arena.round}/what-if", json={"clusterer": "kmeans"}), "clusterer"),
    ):
        told = problem(response, 422, "validation_failed")
        (fault,) = told["errors"]
        assert fault["where"] == where
        assert "'kmeans' any more: clusters are found by average_linkage" in fault["message"]
        assert "leave the field out" in fault["message"]
    assert arena.operator.get("/v1/federations/cut-otherwise").status_code == 404


@pytest.fixture
def cut_otherwise(start_server, new_arena, answer_rows):
    """A federation that published a round under version 0.1.0 with another clusterer."""
    live = start_server()
    arena = new_arena(live, policy={"rule": "medoid", "guards": False, "reliability": False})
    arena.publish({"anna": answer_rows(), "bert": answer_rows("{} is forty-two.")})
    engine = create_engine(f"sqlite:///{live.server.settings.data_dir}/consensus.sqlite3")
    with engine.begin() as connection:
        terms = json.loads(connection.scalar(text("SELECT terms FROM federations")))
        card = json.loads(connection.scalar(text("SELECT card FROM round_cards")))
        card["policy"] |= {"clusterer": "kmeans", "rule": "mean_nearest"}
        card.pop("retired_clusterer")
        connection.execute(
            text("UPDATE federations SET terms = :t"), {"t": json.dumps(terms | {"retired_clusterer": "kmeans"})}
        )
        connection.execute(text("UPDATE round_cards SET card = :c"), {"c": json.dumps(card)})
    engine.dispose()
    return arena


def test_what_was_published_under_another_clusterer_is_read_and_no_round_begins(cut_otherwise, problem):
    arena = cut_otherwise
    assert arena.operator.get("/v1/federations").json()["items"][0]["retired_clusterer"] == "kmeans"
    card = arena.operator.get(f"{arena.round}/card").json()
    assert (card["retired_clusterer"], card["policy"]["rule"], "clusterer" in card["policy"]) == (
        "kmeans", "mean_nearest", False,
    )  # fmt: skip
    with ConsensusClient(arena.live.url, arena.live.operator_token, federation=arena.name) as operator:
        assert len(list(operator.pseudo_labels(1))) == 5
        assert operator.card(1).policy.rule == "mean_nearest"
        assert operator.explanation(1, "p1").answers
        assert operator.what_if(1, operator.card(1).policy).policy.rule == "medoid"
        assert operator.what_if(1, operator.federation().policy).changed == 0
    told = problem(arena.operator.post(f"{arena.path}/rounds", json={}), 422, "unknown_rule")
    assert "agreed on the clusterer 'kmeans'" in told["detail"]
    assert "Create a federation of another name" in told["remedy"]
