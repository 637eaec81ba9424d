"""Every text that can stand in a panel, measured once: panels are cut out of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from client_kit.wire import content_digest
from consensus_server.core.consensus.answers import Answers
from consensus_server.core.consensus.clustering import BlockedNeighbours
from consensus_server.core.consensus.equivalence import KEYS, equivalence_named
from consensus_server.core.consensus.gates import Candidates, refusals
from consensus_server.core.consensus.guards import printable_share
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.lexical import Words, distinct_words, information, overlaps
from consensus_server.core.consensus.measures import Cues, Measures
from consensus_server.core.consensus.pools import Policy
from consensus_server.core.consensus.repetition import repetition
from consensus_server.core.consensus.similarity import row_cosines, unit_vectors
from consensus_server.core.consensus.word_order import WordPairs, shares_in_order, word_pairs
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.service.embedding import embed_texts


@dataclass(frozen=True)
class Bank:
    """Columns of answers to the same prompts: the models of a file, then an attack's variants."""

    prompt_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    equivalences: tuple[str, ...]
    """Of the prompts."""
    names: tuple[str, ...]
    """Of the columns."""
    texts: tuple[tuple[str, ...], ...]
    digests: tuple[tuple[str, ...], ...]
    worth: Float64[np.ndarray, "prompts columns"]
    """What an answer is worth as a label, 0..1; nan where unknown."""
    length: Int64[np.ndarray, "prompts columns"]
    vectors: Float32[np.ndarray, "prompts columns dimension"]
    usable: Bool[np.ndarray, "prompts columns"]
    """Neither empty nor without a vector."""
    printable: Float64[np.ndarray, "prompts columns"]
    relevance: Float64[np.ndarray, "prompts columns"]
    cosine: Float64[np.ndarray, "prompts columns columns"]
    opening_cosine: Float64[np.ndarray, "prompts columns columns"]
    said: Words
    pairs: WordPairs
    """These two of all texts, prompt after prompt."""
    _repetition: dict[bytes, float] = field(default_factory=dict)
    _order: dict[bytes, Float64[np.ndarray, "prompts size"]] = field(default_factory=dict)

    @cached_property
    def unit(self) -> Float64[np.ndarray, "prompts columns dimension"]:
        """The vectors as decisions read them."""
        flat = unit_vectors(self.vectors.reshape(-1, self.vectors.shape[2]))
        return flat.reshape(self.vectors.shape)

    @cached_property
    def rank(self) -> Int64[np.ndarray, "prompts columns"]:
        """Place of each digest among those of its prompt: decisions take answers in that order."""
        ranks = [np.unique(np.array(row), return_inverse=True)[1] for row in self.digests]
        return np.stack(ranks).astype(np.int64)

    @cached_property
    def _written(self) -> np.ndarray:
        return np.array(
            [list(zip(*row, strict=True)) for row in zip(self.digests, self.texts, strict=True)], dtype=object
        )

    def table(
        self,
        prompt: Int64[np.ndarray, " answers"],
        column: Int64[np.ndarray, " answers"],
        place: Int64[np.ndarray, " answers"],
    ) -> Answers:
        """The answers of one panel, in the order of decisions, as `answers.read` would put them down."""
        sources, pool = np.unique(prompt, return_inverse=True)
        written = self._written[prompt, column]
        return Answers(
            prompt_ids=tuple(self.prompt_ids[p] for p in sources.tolist()),
            sources=sources,
            pool=pool,
            places=place,
            participant=np.arange(len(prompt)),
            content=np.unique(prompt * len(self.names) + self.rank[prompt, column], return_inverse=True)[1],
            digests=tuple(written[:, 0].tolist()),
            texts=tuple(written[:, 1].tolist()),
            vectors=self.vectors[prompt, column],
            unit=self.unit[prompt, column],
        )

    @cached_property
    def keyed(self) -> dict[str, tuple[Int64[np.ndarray, "prompts columns"], Bool[np.ndarray, "prompts columns"]]]:
        """By equivalence that compares keys: the class of each answer, and whether it has one."""
        prompt, column = np.indices(self.usable.shape).reshape(2, -1)
        everything = self.table(prompt, column, column)
        used = {"exact"} | set(self.equivalences)
        groups = {
            name: equivalence_named(name)(everything, Policy(), BlockedNeighbours()) for name in KEYS if name in used
        }
        shape = self.usable.shape
        return {name: (each.clusters.reshape(shape), each.may_win.reshape(shape)) for name, each in groups.items()}

    def prepare(self) -> None:
        """Compute now what every panel needs, so that it is not computed once per process."""
        _ = self.rank, self.keyed
        for column in range(len(self.names)):
            self.repetition(np.full(len(self.prompts), column))

    def repetition(self, columns: Int64[np.ndarray, " prompts"]) -> float:
        """Repetition of a participant that answers each prompt with one of the columns."""
        key = columns.tobytes()
        if key not in self._repetition:
            texts = [row[column] for row, column in zip(self.texts, columns.tolist(), strict=True)]
            found = repetition([""] * len(texts), self.prompts, texts, range(len(texts)))
            self._repetition[key] = found.get("", 0.0)
        return self._repetition[key]

    def _rows(self, columns: Int64[np.ndarray, "prompts size"]) -> Int64[np.ndarray, "prompts size"]:
        """Where the texts of a panel stand among all texts, prompt after prompt."""
        rows: Int64[np.ndarray, "prompts size"] = np.arange(len(columns))[:, None] * len(self.names) + columns
        return rows

    def order(self, columns: Int64[np.ndarray, "prompts size"]) -> Float64[np.ndarray, "prompts size"]:
        """Share of each answer's neighbouring words that stand in the panel's order; nan where it knows too little."""
        key = columns.tobytes()
        if key not in self._order:
            prompts, size = columns.shape
            rows = self._rows(columns).ravel()
            slots, places = np.tile(np.arange(size), prompts), np.repeat(np.arange(prompts), size)
            self._order[key] = shares_in_order(self.pairs.of(rows), slots, places).reshape(columns.shape)
        return self._order[key]

    def measures(
        self, columns: Int64[np.ndarray, "prompts size"]
    ) -> tuple[Measures, Int64[np.ndarray, " answers"], Int64[np.ndarray, " answers"]] | None:
        """Measures of the panel whose answers stand in `columns`; with the prompt and the slot of each answer measured.

        None where no answer is usable.
        """
        rows = np.arange(len(columns))[:, None]
        usable = self.usable[rows, columns]
        prompt, slot = np.nonzero(usable)
        if not len(prompt):
            return None
        pairs = usable[:, :, None] & usable[:, None, :]

        def of_pairs(table: Float64[np.ndarray, "prompts columns columns"]) -> Float64[np.ndarray, " pairs"]:
            values: Float64[np.ndarray, " pairs"] = table[rows[:, :, None], columns[:, :, None], columns[:, None, :]][
                pairs
            ]
            return values

        def of_answers(table: Float64[np.ndarray, "prompts columns"]) -> Float64[np.ndarray, " answers"]:
            values: Float64[np.ndarray, " answers"] = table[rows, columns][usable]
            return values

        repeated = np.array([self.repetition(each) for each in columns.T])
        layout = Layout(np.unique(prompt, return_inverse=True)[1])
        said = self.said.of(self._rows(columns)[usable])
        f1, coverage = overlaps(said, layout, information(said, layout.pool))
        measured = Measures(
            layout=layout,
            participant=slot,
            length=self.length[rows, columns][usable],
            wording=self.keyed["exact"][0][rows, columns][usable],
            by_key=(np.array(self.equivalences, dtype=object) != "semantic")[prompt],
            cosine=of_pairs(self.cosine),
            f1=f1,
            coverage=coverage,
            cues=Cues(
                of_pairs(self.opening_cosine),
                of_answers(self.printable),
                of_answers(self.relevance),
                repeated[slot],
                self.order(columns)[usable],
            ),
        )
        return measured, prompt, slot


def make_bank(
    answers: JudgedAnswers,
    extra: Sequence[tuple[str, Sequence[str], Float64[np.ndarray, " prompts"]]],
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Embed and measure all columns. extra: further columns, as (name, text for each prompt, worth for each prompt)."""
    texts = [(*row, *(column[1][p] for column in extra)) for p, row in enumerate(answers.outputs)]
    digests = [tuple(map(content_digest, row)) for row in texts]
    distinct = {content_digest(text): text for row in (*texts, answers.prompts) for text in row}
    embedded = embed_texts(distinct, encoder, store, progress=progress)
    vectors = np.array([[embedded.vectors[digest] for digest in row] for row in digests], dtype=np.float32)
    openings = np.array([embedded.openings[digest] for row in digests for digest in row], dtype=np.float32)
    asked = np.array([embedded.openings[content_digest(prompt)] for prompt in answers.prompts], dtype=np.float32)
    return _measured(answers, extra, texts, digests, vectors, openings, asked)


def _measured(  # noqa: PLR0917 - the columns of a bank
    answers: JudgedAnswers,
    extra: Sequence[tuple[str, Sequence[str], Float64[np.ndarray, " prompts"]]],
    texts: list[tuple[str, ...]],
    digests: list[tuple[str, ...]],
    vectors: Float32[np.ndarray, "prompts columns dimension"],
    openings: Float32[np.ndarray, "answers dimension"],
    asked: Float32[np.ndarray, "prompts dimension"],
) -> Bank:
    prompts, columns, dimension = vectors.shape
    flat = [text for row in texts for text in row]
    whole = vectors.reshape(-1, dimension)
    layout = Layout(np.repeat(np.arange(prompts), columns))
    unit, prompt = unit_vectors(openings), np.repeat(unit_vectors(asked), columns, axis=0)
    table, square = (prompts, columns), (prompts, columns, columns)
    return Bank(
        prompt_ids=answers.prompt_ids,
        prompts=answers.prompts,
        equivalences=answers.equivalences,
        names=(*answers.models, *(name for name, _, _ in extra)),
        texts=tuple(texts),
        digests=tuple(digests),
        worth=np.column_stack([answers.preferences, *(worth for _, _, worth in extra)]),
        length=np.array([len(text) for text in flat], dtype=np.int64).reshape(table),
        vectors=vectors,
        usable=np.array([gate is None for gate in refusals(Candidates(flat, whole))]).reshape(table),
        printable=np.array([printable_share(text) for text in flat]).reshape(table),
        relevance=np.where(prompt.any(axis=1), row_cosines(unit, prompt), np.nan).reshape(table),
        cosine=layout.cosines(unit_vectors(whole)).reshape(square),
        opening_cosine=layout.cosines(unit).reshape(square),
        said=distinct_words(flat),
        pairs=word_pairs(flat, answers.prompts, np.repeat(np.arange(prompts), columns)),
    )
