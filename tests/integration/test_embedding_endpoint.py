"""Vectors from an endpoint that misbehaves, and a server that runs on one."""

import socket

import numpy as np
import pytest

from client_kit.wire import content_digest
from consensus_server.backends.encoders import EmbeddingsApi, EncoderError, load_encoder
from consensus_server.backends.encoders.embeddings_api import BATCH_TEXTS, RULE, read_key
from consensus_server.backends.encoders.probe import PROBES
from consensus_server.backends.store import open_store
from consensus_server.service.embedding import embed_texts
from consensus_server.settings import load_settings
from consensus_server.wiring import build_server, load_configured_encoder
from tests.support.embedding_server import DIMENSION, MODEL, embedding_server
from tests.support.service import OPERATOR, Service

TEXTS = ["The bus leaves at nine.", "At nine the bus leaves.", "Cats sleep for most of the day."]


@pytest.fixture
def server():
    with embedding_server() as server:
        yield server


@pytest.fixture
def store(tmp_path):
    with_probes = open_store(f"sqlite:///{tmp_path / 'vectors.sqlite'}")
    yield with_probes.embeddings
    with_probes.close()


@pytest.fixture
def load(server, store):
    def load(model=MODEL, *, url=None, dimension=DIMENSION, retries=2, **options):
        endpoint = EmbeddingsApi(url or server.url, dimension, retries=retries, **options)
        return load_encoder(f"openai:{model}", api=endpoint, store=store)

    return load


def test_requests_are_batched_and_equal_texts_asked_for_once(load, server):
    encoder = load()
    server.bodies.clear()
    server.asked.clear()
    texts = [f"text number {number}" for number in range(100)]
    encoder.encode_with_openings([*texts, *texts])[0]
    assert {server.asked[text] for text in texts} == {1}
    assert [len(body["input"]) for body in server.bodies] == [BATCH_TEXTS, 100 + len(PROBES) - BATCH_TEXTS]
    assert {body["encoding_format"] for body in server.bodies} == {"float"}


def test_nothing_is_asked_for_texts_without_content(load, server):
    encoder = load()
    server.bodies.clear()
    assert not encoder.encode_with_openings(["", "\u200b \n"])[0].any()
    assert server.bodies == []


def test_long_texts_go_in_pieces_cut_before_words(load, server):
    encoder = load()
    server.asked.clear()
    long = "".join(f"honeybee{number} " for number in range(250))
    encoder.encode_with_openings([long, "\u200b" * 2000 + "seen"])[0]
    pieces = [text for text in server.asked if "honeybee" in text]
    assert sum(map(len, pieces)) + RULE.least_last > len(long)
    assert max(map(len, pieces)) <= RULE.tokens
    assert len(pieces) > 2
    assert all(piece.startswith("honeybee") and piece.endswith(" ") for piece in pieces)
    assert "seen" in server.asked


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_repeated(load, server, status):
    server.failures = [status, status]
    assert load().identity.dimension == DIMENSION


def test_what_is_too_large_for_one_request_goes_in_halves(load, server):
    plain = load().encode_with_openings(TEXTS)[0]
    server.most_texts = 2
    assert load().encode_with_openings(TEXTS)[0].tobytes() == plain.tobytes()
    assert min(len(body["input"]) for body in server.bodies) <= 2


REFUSALS = {
    "too long": (400, {"error": {"message": "the input length exceeds the context length", "code": None}}),
    "refused": (403, {"error": {"message": "Your input was flagged", "code": 403}}),
    "with status 200": (200, {"error": {"message": "maximum context length is 512 tokens", "code": 400}}),
}


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_text_that_the_endpoint_refuses_costs_itself_and_not_the_others(load, server, reply):
    encoder = load()
    server.replies = {TEXTS[1]: REFUSALS[reply]}
    vectors = encoder.encode_with_openings(TEXTS)[0]
    assert [bool(np.isfinite(vector).all()) for vector in vectors] == [True, False, True]


def test_an_error_in_a_body_of_status_200_is_read_like_the_status_that_it_names(load, server):
    encoder = load()
    server.replies = {TEXTS[0]: (200, {"error": {"message": "Insufficient credits", "code": 402}})}
    with pytest.raises(EncoderError, match=r"no quota left \(Insufficient credits\)"):
        encoder.encode_with_openings(TEXTS)


def test_answers_are_matched_by_their_index(load, server):
    plain = load().encode_with_openings(TEXTS)[0]
    server.shape = "reversed"
    assert load().encode_with_openings(TEXTS)[0].tobytes() == plain.tobytes()


def test_small_noise_makes_no_other_encoder(load, server):
    first = load().identity
    server.noise = 0.0005
    again = load()
    assert again.identity == first
    assert np.isfinite(again.encode_with_openings(TEXTS)[0]).all()


def test_a_model_exchanged_while_the_server_was_down_is_refused(load, server):
    load()
    server.exchanged = True
    with pytest.raises(EncoderError, match=r"is not the model that it was.*CONSENSUS_ENCODER_REVISION"):
        load()


def test_a_model_exchanged_under_way_is_refused_before_a_vector_is_kept(load, server, store):
    encoder = load()
    server.exchanged = True
    texts = {content_digest(text): text for text in TEXTS}
    with pytest.raises(EncoderError, match="is not the model that it was"):
        embed_texts(texts, encoder, store)
    assert not store.get(encoder.identity.digest, texts)


def test_a_new_revision_takes_the_new_model_as_another_encoder(load, server):
    old = load().identity
    server.exchanged = True
    new = load(revision="2026-11").identity
    assert new.digest != old.digest
    assert "2026-11" in new.weights
    assert load(revision="2026-11").identity == new


def test_two_workers_on_one_store_have_one_identity_wherever_the_model_is_served(load, server):
    with embedding_server() as moved:
        server.noise = moved.noise = 0.0005
        assert load().identity == load(url=moved.url).identity


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0])
def test_a_text_without_a_usable_vector_is_neither_stored_nor_admitted(load, server, store, number):
    server.numbers = {TEXTS[1]: number}
    encoder = load()
    digests = [content_digest(text) for text in TEXTS]
    result = embed_texts(dict(zip(digests, TEXTS, strict=True)), encoder, store)
    assert [bool(result.vectors[digest].any()) for digest in digests] == [True, False, True]
    assert set(store.get(encoder.identity.digest, digests)) == {digests[0], digests[2]}


def test_a_model_that_cannot_embed_the_probes_is_refused(load, server):
    server.numbers = dict.fromkeys(PROBES, float("nan"))
    with pytest.raises(EncoderError, match="not finite"):
        load()


def test_vectors_of_another_length_are_refused(load, server):
    server.cut = 256
    with pytest.raises(
        EncoderError, match=r"vectors of 256 numbers, and 1024 are declared.*CONSENSUS_ENCODER_DIMENSION"
    ):
        load()


@pytest.mark.parametrize("shape", ["other", "short"])
def test_what_is_no_list_of_embeddings_is_refused(load, server, shape):
    server.shape = shape
    with pytest.raises(EncoderError, match="no list of 4 embeddings"):
        load()


def test_a_wrong_key_is_refused_without_being_shown(load, server):
    server.key = "right"
    with pytest.raises(EncoderError, match="does not accept the key") as caught:
        load(key="sk-wrong")
    assert "sk-" not in str(caught.value)
    assert load(key="right").identity


def test_an_unknown_model_and_a_closed_port_are_named(load):
    with pytest.raises(EncoderError, match=r"the model nobody at .* is not there"):
        load("nobody")
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
    with pytest.raises(EncoderError, match="does not answer"):
        load(url=closed, retries=0)


@pytest.fixture
def sealed(server, tmp_path):
    """A service on the endpoint's model whose round 1 waits to be aggregated."""
    held = open_store(f"sqlite:///{tmp_path / 'rounds.sqlite'}")
    endpoint = EmbeddingsApi(server.url, DIMENSION, retries=0)
    service = Service(held, encoder=load_encoder(f"openai:{MODEL}", api=endpoint, store=held.embeddings))
    for site in service.found(sites=("north", "south")):
        if service.rounds.all(OPERATOR, "clinics") == ():
            service.open()
        service.submit(site, {f"p-{i}": text for i, text in enumerate(TEXTS)})
    yield service
    held.close()


def test_a_model_exchanged_in_mid_round_fails_the_round_with_its_remedy_until_it_is_put_back(sealed, server):
    server.exchanged = True
    assert sealed.worker.run_once()
    failure = sealed.rounds.get(OPERATOR, "clinics", 1).failure
    assert failure.code == "encoder_changed"
    assert "puts the old model back and closes the round again" in failure.detail
    assert server.url not in failure.detail
    assert not sealed.store.embeddings.get(sealed.encoder.identity.digest, [content_digest(text) for text in TEXTS])
    server.exchanged = False
    sealed.rounds.close(OPERATOR, "clinics", 1)
    assert sealed.worker.run_once()
    assert sealed.state() == "published"


@pytest.mark.parametrize("fault", [{"key": "another"}, {"failures": [500]}, {"shape": "other"}])
def test_an_endpoint_that_fails_in_mid_round_is_told_from_one_with_another_model(sealed, server, fault):
    for name, value in fault.items():
        setattr(server, name, value)
    assert sealed.worker.run_once()
    failure = sealed.rounds.get(OPERATOR, "clinics", 1).failure
    assert failure.code == "encoder_unavailable"
    assert "closes the round again" in failure.detail
    assert server.url not in failure.detail


class TestSettings:
    def settings(self, server, tmp_path, **variables):
        environ = {
            "CONSENSUS_ENCODER": f"openai:{MODEL}",
            "CONSENSUS_ENCODER_URL": server.url,
            "CONSENSUS_ENCODER_DIMENSION": str(DIMENSION),
            **variables,
        }
        return load_settings(environ, data_dir=tmp_path / "data")

    def test_the_key_comes_by_name_and_the_users_own_is_never_sent_unasked(self, server, store, tmp_path, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "the-users-own")
        load_configured_encoder(self.settings(server, tmp_path), store)
        assert server.authorizations == {"Bearer none"}
        monkeypatch.setenv("HOSPITAL_KEY", "by-variable")
        load_configured_encoder(self.settings(server, tmp_path, CONSENSUS_ENCODER_KEY_VARIABLE="HOSPITAL_KEY"), store)
        (tmp_path / "key").write_text("by-file\n")
        load_configured_encoder(
            self.settings(server, tmp_path, CONSENSUS_ENCODER_KEY_FILE=str(tmp_path / "key")), store
        )
        assert server.authorizations == {"Bearer none", "Bearer by-variable", "Bearer by-file"}

    def test_a_variable_that_is_not_set_is_named(self, server, store, tmp_path):
        settings = self.settings(server, tmp_path, CONSENSUS_ENCODER_KEY_VARIABLE="NOT_SET_ANYWHERE")
        with pytest.raises(EncoderError, match="NOT_SET_ANYWHERE"):
            load_configured_encoder(settings, store)

    def test_a_key_file_without_a_key_is_named_and_not_shown(self, tmp_path):
        (tmp_path / "key").write_text("two words")
        with pytest.raises(EncoderError, match="holds no key") as caught:
            read_key(tmp_path / "key")
        assert "two words" not in str(caught.value)
        with pytest.raises(EncoderError, match="No such file"):
            read_key(tmp_path / "none")

    def test_what_is_missing_for_an_endpoint_is_said(self, store):
        with pytest.raises(EncoderError, match=r"CONSENSUS_ENCODER_URL.*CONSENSUS_ENCODER_DIMENSION"):
            load_configured_encoder(load_settings({"CONSENSUS_ENCODER": "openai:some"}), store)

    def test_a_server_starts_on_an_endpoint_and_again(self, server, tmp_path):
        identities = []
        for _ in range(2):
            started = build_server(self.settings(server, tmp_path), "a-long-secret-token")
            started.encoder.load_now()
            identities.append(started.encoder.identity())
            started.close()
        assert identities[0] == identities[1]
        assert identities[0].name == f"openai:{MODEL}"
