"""Vectors from any endpoint that speaks OpenAI's embeddings API: a provider, vLLM, text-embeddings-inference, Ollama."""

import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from client_kit._transport import RetryPolicy
from client_kit.certificates import told_of_tls
from client_kit.errors import ConfigurationError, FaultyFile
from client_kit.generation.dialects import ForPrompt, ForRun, Situation
from client_kit.generation.openai_errors import LONGEST_HOLD_SECONDS
from client_kit.generation.replies import Reading, read
from client_kit.input_files import read_file
from client_kit.proxies import environment_explained
from client_kit.wire import content_digest
from consensus_server.backends.encoders.probe import LEAST_COSINE, PROBES, kept_probes, lowest_cosine, probe_digest
from consensus_server.backends.encoders.terms import content_starts
from consensus_server.backends.encoders.weights import EncoderError
from consensus_server.core.chunking import Chunk, ChunkRule, first_chunks, mean_of_chunks
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.errors import EncoderChanged
from consensus_server.ports import EmbeddingStore

if TYPE_CHECKING:
    import openai

BATCH_TEXTS = 64
"""Texts of one request: fits every server that was tried, and keeps a request under a second or two."""
MOST_BYTES = 64 * 1024 * 1024
"""Longest body that is read: 64 vectors of 16,384 numbers are a third of it."""
RULE = ChunkRule(tokens=1000, chunks=6, least_last=60)
"""In characters, since nobody here knows the endpoint's tokens: about 250 tokens of English, as many as the default
encoder sees at once. Scripts whose letters are tokens of their own fit a window of 1,024 tokens still."""


class ExchangedModelError(EncoderError, EncoderChanged):
    """The endpoint gives other vectors than it once gave."""


@dataclass(frozen=True, slots=True)
class EmbeddingsApi:
    """Where the vectors come from."""

    url: str
    """Up to and including `/v1`."""
    dimension: int
    """Numbers of a vector, as the model's card says; an answer of another length is refused."""
    key: str | None = None
    """None for endpoints that ask for none; the environment's OPENAI_API_KEY is never sent unasked."""
    revision: str = ""
    """A word of the operator's for this state of the model; another word is another encoder."""
    timeout_seconds: float = 60.0
    retries: int = 5
    """Repetitions of a request after a broken connection, 408, 409, 429 or 5xx, at growing distances."""


class EmbeddingsApiEncoder:
    """Asks an endpoint for vectors of chunks, and makes them one unit vector per text.

    Each call asks for the probes too (`probe.py`): vectors of a model that was exchanged behind its name are refused
    before anything of them is stored. Not repeatable to the last bit, as the endpoint is not: the stored vector is the
    one that counts. A text for which the endpoint gives no finite vector comes back as NaN, which the service does not
    store and does not admit.
    """

    stand_in = False

    def __init__(self, model: str, api: EmbeddingsApi, store: EmbeddingStore) -> None:
        """Ask for the probes and take up the identity that they give.

        store: keeps the probes' vectors; one for all workers of a server. Raises EncoderError where the endpoint cannot
        be used, or gives other vectors than it once gave.
        """
        self._model, self._api = model, api
        self._openai = _library()
        bare = _identity(model, api)
        fresh = self._vectors(list(PROBES))
        if not np.isfinite(fresh).all():
            raise EncoderError(f"{self._where} gives vectors that are not finite. Look at the endpoint's log.")
        self._probes = kept_probes(bare, fresh, store)
        self._check(fresh)
        self._identity = replace(bare, weights=f"{bare.weights}; probes {probe_digest(self._probes)}")

    @property
    def identity(self) -> EncoderIdentity:
        return self._identity

    def encode_with_openings(
        self, texts: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "texts dimension"], Float32[np.ndarray, "texts dimension"]]:
        """Unit vectors of the texts and of their first chunks; zeros for a text without visible characters. Raises EncoderError."""
        distinct = sorted(set(texts), key=content_digest)
        # Nobody sees what is cut away, and the first chunk has to say something.
        shown = [text[content_starts(text) :] for text in distinct]
        chunks = [chunk for row, text in enumerate(shown) for chunk in _chunks(row, text)]
        pieces = [shown[chunk.text][chunk.start : chunk.stop] for chunk in chunks]
        vectors = self._checked_vectors(pieces) if pieces else np.zeros((0, self._api.dimension), np.float32)
        rows = {text: row for row, text in enumerate(distinct)}
        order = [rows[text] for text in texts]
        means = mean_of_chunks(vectors, chunks, len(distinct))
        return means[order], first_chunks(vectors, chunks, len(distinct))[order]

    def _checked_vectors(self, pieces: list[str]) -> Float32[np.ndarray, "pieces dimension"]:
        """Vectors of the pieces, from the model that gave the kept probes; equal pieces are asked for once."""
        asked = sorted({*PROBES, *pieces}, key=content_digest)
        rows = {text: row for row, text in enumerate(asked)}
        vectors = self._vectors(asked)
        self._check(vectors[[rows[text] for text in PROBES]])
        found: Float32[np.ndarray, "pieces dimension"] = vectors[[rows[text] for text in pieces]]
        return found

    def _check(self, fresh: Float32[np.ndarray, "probes dimension"]) -> None:
        lowest = lowest_cosine(self._probes, fresh)
        if not lowest >= LEAST_COSINE:
            raise ExchangedModelError(
                f"{self._where} is not the model that it was: a text that was encoded before now gets a vector at cosine "
                f"{lowest:.3f} to the old one ({LEAST_COSINE} or more is asked). Vectors of the two may not be compared. "
                "Put the old model back; or set CONSENSUS_ENCODER_REVISION to a new word and create a new federation."
            )

    def _vectors(self, texts: list[str]) -> Float32[np.ndarray, "texts dimension"]:
        """Unit vectors, row by row; NaN where the endpoint gave nothing that has a direction."""
        with self._client() as client:
            raw = np.array(
                [row for batch in _batches(texts) for row in self._ask_in_parts(client, batch)], dtype=np.float64
            )
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit: Float32[np.ndarray, "texts dimension"] = (raw / norms).astype(np.float32)
        return unit

    def _client(self) -> "openai.OpenAI":
        """To be closed after each use: an encoder has no end of its own."""
        from client_kit.generation.bounded_http import BoundedSyncClient  # noqa: PLC0415 - loads `openai`

        try:
            with environment_explained():
                client: openai.OpenAI = self._openai.OpenAI(
                    base_url=self._api.url,
                    api_key=self._api.key or "none",
                    timeout=self._api.timeout_seconds,
                    max_retries=0,
                    http_client=BoundedSyncClient(
                        self._api.url, most_bytes=MOST_BYTES, most_seconds=2 * self._api.timeout_seconds
                    ),
                )
        except ConfigurationError as error:
            raise EncoderError(str(error)) from error
        return client

    def _ask_in_parts(self, client: "openai.OpenAI", texts: list[str]) -> list[list[float]]:
        """Vectors of a batch. What is too much for one request goes in halves; a text that is too much alone gets NaN."""
        try:
            return self._ask(client, texts)
        except _TooMuchError:
            if len(texts) == 1:
                return [[float("nan")] * self._api.dimension]
            half = len(texts) // 2
            return [*self._ask_in_parts(client, texts[:half]), *self._ask_in_parts(client, texts[half:])]

    def _ask(self, client: "openai.OpenAI", texts: list[str]) -> list[list[float]]:
        try:
            rows = {item["index"]: item["embedding"] for item in self._answer(client, texts)["data"]}
            vectors = [[float(number) for number in rows[at]] for at in range(len(texts))]
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderError(
                f"{self._where} answered with something that is no list of {len(texts)} embeddings. "
                "CONSENSUS_ENCODER_URL must end with /v1 and name an OpenAI-compatible endpoint."
            ) from error
        wrong = {len(vector) for vector in vectors} - {self._api.dimension}
        if wrong:
            raise EncoderError(
                f"{self._where} gives vectors of {wrong.pop()} numbers, and {self._api.dimension} are declared. "
                "Set CONSENSUS_ENCODER_DIMENSION to the model's own."
            )
        return vectors

    def _answer(self, client: "openai.OpenAI", texts: list[str]) -> dict[str, Any]:
        """The body that came, after all retries. Raises EncoderError, and ValueError where it is no JSON object."""
        policy = RetryPolicy(attempts=self._api.retries + 1)
        for failures in count(1):
            document, reading = self._exchange(client, texts)
            if document is not None:
                return document
            if reading.meaning.prompt in _TOO_MUCH and not reading.meaning.doubtful:
                raise _TooMuchError
            asked = reading.pause_seconds or 0.0
            hopeless = reading.meaning.run not in _REPEATED or asked > LONGEST_HOLD_SECONDS
            if hopeless or failures >= policy.attempts:
                raise EncoderError(_told(reading, self._where))
            time.sleep(policy.pause_seconds(failures, asked, random.random()))  # noqa: S311 - jitter, no secret
        raise AssertionError("unreachable: the count has no end")

    def _exchange(self, client: "openai.OpenAI", texts: list[str]) -> tuple[dict[str, Any] | None, Reading]:
        """One request: the body of an answer, or what was told in its place."""
        try:
            raw = client.embeddings.with_raw_response.create(model=self._model, input=texts, encoding_format="float")
        except self._openai.OpenAIError as error:
            from client_kit.generation.bounded_http import read_failure  # noqa: PLC0415 - loads `openai`

            return None, read_failure(error)
        response = raw.http_response
        reading = read(response.status_code, response.headers, response.content)
        # A list of embeddings is no completion, and no error either.
        if reading.situation is Situation.UNREADABLE:
            document = json.loads(response.content)
            return (document if isinstance(document, dict) else {}), reading
        return None, reading

    @property
    def _where(self) -> str:
        return f"the model {self._model} at {self._api.url}"


def read_key(file: Path) -> str:
    """The key in a file. Raises EncoderError that shows nothing of it."""
    try:
        key = read_file(file.expanduser()).strip()
    except FaultyFile as error:
        raise EncoderError(f"the endpoint's key: {error}.") from None
    if not key or not key.isascii() or len(key.split()) != 1:
        raise EncoderError(f"{file} holds no key: one line of ASCII without spaces is asked.")
    return key


def _library() -> Any:  # noqa: ANN401 - a module
    try:
        import openai  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise EncoderError(
            f"an embeddings endpoint needs the extra: pip install 'semantic-consensus[openai]' ({error})"
        ) from error
    return openai


def _identity(model: str, api: EmbeddingsApi) -> EncoderIdentity:
    """Without the probes. The address is no part of it: the same model may move."""
    return EncoderIdentity(
        name=f"openai:{model}",
        weights=f"hosted{', revision ' + api.revision if api.revision else ''}",
        pooling="as the endpoint does, normalised",
        chunking=f"{RULE.tokens} characters, cut before a word, at most {RULE.chunks}, "
        f"last under {RULE.least_last} dropped, mean by characters",
        dtype="float32",
        backend="OpenAI-compatible endpoint",
        dimension=api.dimension,
    )


def _batches(texts: list[str]) -> Iterator[list[str]]:
    return (texts[start : start + BATCH_TEXTS] for start in range(0, len(texts), BATCH_TEXTS))


def _chunks(row: int, text: str) -> list[Chunk]:
    """Pieces of a text that say something, cut before words where words are shorter than a chunk."""
    cut = [Chunk(row, start, stop) for start, stop in _cuts(text)]
    return [chunk for chunk in cut if content_starts(text[chunk.start : chunk.stop]) < chunk.tokens]


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for _ in range(RULE.chunks):
        stop = min(start + RULE.tokens, len(text))
        if stop < len(text):
            stop = _before_a_word(text, start, stop)
        if stop == start or (start and stop - start < RULE.least_last):
            return
        yield start, stop
        start = stop


def _before_a_word(text: str, start: int, stop: int) -> int:
    """The last place at or before `stop`, in the chunk's second half, at which a word begins; else `stop`."""
    half = (start + stop) // 2
    places = [match.end() for match in re.finditer(r"\s+", text[half:stop])]
    return half + places[-1] if places else stop


_TOO_MUCH = frozenset({ForPrompt.TOO_LONG, ForPrompt.REFUSED})
_REPEATED = frozenset({ForRun.RETRY, ForRun.SLOW_DOWN})


class _TooMuchError(Exception):
    """The endpoint does not take these texts: too long together, or refused by a filter."""


def _told(reading: Reading, where: str) -> str:
    cause = told_of_tls(reading.said).rstrip(".") or reading.said or reading.situation.value
    return _REMEDIES.get(
        reading.situation, "{where} failed ({cause}). Look at the endpoint's log, then close the round again."
    ).format(where=where, cause=cause)


_REMEDIES = {
    Situation.UNREACHABLE: "{where} does not answer ({cause}). Start it, or correct CONSENSUS_ENCODER_URL.",
    Situation.MOVED: "{where} sends requests on ({cause}), and no redirect is followed. Correct CONSENSUS_ENCODER_URL.",
    Situation.TIMED_OUT: "{where} does not answer in time ({cause}). Start it, or correct CONSENSUS_ENCODER_URL.",
    Situation.WRONG_KEY: "{where} does not accept the key. Set CONSENSUS_ENCODER_KEY_FILE to a file that holds the right "
    "one, or CONSENSUS_ENCODER_KEY_VARIABLE to the variable that does.",
    Situation.UNKNOWN_MODEL: "{where} is not there ({cause}). Check the model's name, and that the address ends with /v1.",
    Situation.RATE_LIMIT: "{where} limits the rate ({cause}). Come again later, then close the round again.",
    Situation.QUOTA: "{where} has no quota left ({cause}). Check the quota and the bill, then close the round again.",
    Situation.PROXY: "a proxy on the way to {where} refuses the request ({cause}). Exempt the host in NO_PROXY.",
}
"""What to do, where it is more than to look at the endpoint's log."""
