"""Every text that can stand in a panel, read once: panels are cut out of it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from client_kit.wire import content_digest
from consensus_server.core.consensus.answers.characters import printable_share
from consensus_server.core.consensus.answers.conflicts import Conflicts, conflicts
from consensus_server.core.consensus.answers.gates import REFUSAL, Candidates, usable_answers
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.answers.table import Answers, codes
from consensus_server.core.consensus.meaning.equivalences import KEYS, KeyClasses, Keys, classes_of, statements
from consensus_server.core.consensus.records import SEMANTIC, Policy
from consensus_server.core.consensus.round.measures import (
    GateMeasures,
    Measures,
    measure,
    measure_for_gates,
    other_scripts,
    relevance,
)
from consensus_server.core.consensus.words.lexical import Words, distinct_words, folded
from consensus_server.core.consensus.words.order import WordPairs, word_pairs
from consensus_server.core.consensus.words.repetition import Units, read_units
from consensus_server.core.federations import Prompt
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.rounds import Round
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.service.contradictions import BY_WORDS, NONE, Comparisons, adapter_of, pinned
from consensus_server.service.deciding import Embedded
from consensus_server.service.embedding import EmbeddingResult, embed_texts


@dataclass(frozen=True)
class Bank:
    """Columns of answers to the same prompts: the models of a file, then an attack's variants.

    Rows are numbered prompt after prompt, column after column.
    """

    names: tuple[str, ...]
    """Of the columns."""
    worth: Float64[np.ndarray, "prompts columns"]
    """What an answer is worth as a label, 0..1; nan where unknown."""
    length: Int64[np.ndarray, "prompts columns"]
    cosine: Float64[np.ndarray, "prompts columns columns"]
    opening_cosine: Float64[np.ndarray, "prompts columns columns"]
    answers: Answers
    """All of them, one row each; its participants are the columns."""
    usable: Bool[np.ndarray, " rows"]
    """Neither empty nor without a vector."""
    refused: Bool[np.ndarray, " rows"]
    """Refusals, which stand in no panel; none where they are kept."""
    unusable: Mapping[int, str]
    """Gate that keeps a row out of every panel, by row: refusals, and what is not usable."""
    printable: Float64[np.ndarray, " rows"]
    relevance: Float64[np.ndarray, " rows"]
    wording: Int64[np.ndarray, " rows"]
    rank: Int64[np.ndarray, " rows"]
    """Place of each digest among all: decisions take the answers of a pool in that order."""
    words: Words
    neighbours: WordPairs
    units: Units
    keys: Mapping[str, tuple[Hashable | None, ...]]
    """Of each row, by equivalence that compares keys."""
    round: Round | None = None
    """Where rows name questions or samples: what decides the panels instead of what is measured here."""

    def telling(self, contradictions: str, comparisons: Comparisons = BY_WORDS) -> "Bank":
        """The bank with what another adapter finds; see `make_bank`."""
        if self.round is not None:  # asks for itself
            return self
        columns = len(self.names)
        rows = [self.answers.texts[at : at + columns] for at in range(0, len(self.answers.texts), columns)]
        found = _found(self.answers.prompts, self.answers.equivalences, rows, contradictions, comparisons)
        return replace(self, answers=replace(self.answers, conflicts=found))

    def rows(self, columns: Int64[np.ndarray, "prompts size"]) -> tuple[Answers, Int64[np.ndarray, " answers"]]:
        """The answers of a panel without its refusals, in the order of decisions, and their rows here.

        columns: where the answer of each member stands. Its place in the panel is the answer's participant and place.
        """
        prompt, slot = np.indices(columns.shape).reshape(2, -1)
        row = prompt * len(self.names) + columns.ravel()
        order = np.lexsort((slot, self.rank[row], prompt))
        order = order[~self.refused[row[order]]]
        row, slot = row[order], slot[order]
        names = tuple(f"{number:06}" for number in range(columns.shape[1]))
        return replace(self.answers.at(row), names=names, participant=slot, places=slot), row

    def keys_of(self, row: Int64[np.ndarray, " answers"]) -> Keys:
        """Reads the keys of answers that stand in those rows."""

        def keys(answers: Answers, some: Int64[np.ndarray, " some"], name: str) -> KeyClasses:
            held = self.keys[name]
            return classes_of(answers.at(some), [held[at] for at in row[some].tolist()])

        return keys

    def measures(
        self, answers: Answers, row: Int64[np.ndarray, " answers"], policy: Policy, *, gates: bool = True
    ) -> tuple[Measures, Int64[np.ndarray, " usable"]]:
        """Measures of the usable answers of a panel, and which of the panel's answers these are.

        answers, row: as `rows` gives them. gates: whether what gates read is measured, too.
        """
        usable = np.flatnonzero(self.usable[row])
        some, at = answers.at(usable), row[usable]
        pairs = Pairs(some.pool)
        table = at[pairs.left] // len(self.names), at[pairs.left] % len(self.names), at[pairs.right] % len(self.names)
        measures = measure(
            some,
            pairs,
            policy,
            for_gates=self._for_gates(answers, row, usable) if gates else None,
            words=self.words.of(at),
            wording=self.wording[at],
            stated=statements(some, self.keys_of(at)),
            cosine=self.cosine[table],
            opening_cosine=self.opening_cosine[table],
        )
        return measures, usable

    def _for_gates(
        self, answers: Answers, row: Int64[np.ndarray, " answers"], usable: Int64[np.ndarray, " usable"]
    ) -> GateMeasures:
        at = row[usable]
        return measure_for_gates(
            answers,
            usable,
            printable=self.printable[at],
            relevance=self.relevance[at],
            neighbours=self.neighbours.of(at),
            units=self.units.of(row),
        )


def make_bank(  # noqa: PLR0917 - what it is made of
    judged: JudgedAnswers,
    extra: Sequence[tuple[str, Sequence[str], Float64[np.ndarray, " prompts"]]],
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Callable[[int, int], None] | None = None,
    contradictions: str = NONE,
    comparisons: Comparisons = BY_WORDS,
    *,
    drop_refusals: bool = False,
) -> Bank:
    """Embed and read all columns. extra: further columns, as (name, text for each prompt, worth for each prompt).

    contradictions: name of what tells contradictory answers apart; asked of all columns of a prompt, however many.
    """
    rows = [(*row, *(column[1][p] for column in extra)) for p, row in enumerate(judged.outputs)]
    names = (*judged.columns, *(name for name, _, _ in extra))
    texts = tuple(text for row in rows for text in row)
    embedded = embed_texts(
        {content_digest(text): text for text in (*texts, *judged.prompts)}, encoder, store, progress=progress
    )
    digests = tuple(map(content_digest, texts))
    vectors = np.array([embedded.vectors[each] for each in digests], np.float32)
    answers = _table(
        judged,
        names,
        texts,
        digests,
        vectors,
        found=_found(
            judged.prompts, judged.equivalences, rows, NONE if judged.by_rounds else contradictions, comparisons
        ),
    )
    openings = unit_vectors(np.array([embedded.openings[each] for each in digests], dtype=np.float32))
    asked = unit_vectors(np.array([embedded.openings[content_digest(each)] for each in judged.prompts], np.float32))
    usable, rejections = usable_answers(Candidates(texts, answers.vectors, np.full(len(texts), drop_refusals)))
    gates = {row: rejection.gate for row, rejection in rejections.items()}
    table, square, pairs = (len(rows), len(names)), (len(rows), len(names), len(names)), Pairs(answers.pool)
    return Bank(
        names=names,
        worth=np.column_stack([judged.preferences, *(worth for _, _, worth in extra)]),
        length=np.fromiter(map(len, texts), dtype=np.int64).reshape(table),
        cosine=pairs.cosines(answers.unit).reshape(square),
        opening_cosine=pairs.cosines(openings).reshape(square),
        answers=answers,
        usable=usable,
        refused=np.array([gates.get(row) == REFUSAL for row in range(len(texts))], dtype=bool),
        unusable=gates,
        printable=np.fromiter(map(printable_share, texts), dtype=np.float64),
        relevance=relevance(openings, asked[answers.pool], other_scripts(texts, judged.prompts, answers.pool)),
        wording=codes(map(folded, texts)),
        rank=np.unique(np.array(digests), return_inverse=True)[1],
        words=distinct_words(texts, judged.prompts, answers.pool),
        neighbours=word_pairs(texts, judged.prompts, answers.pool),
        units=read_units(texts, judged.prompts, answers.pool),
        keys={name: tuple(map(KEYS[name], texts)) for name in KEYS if name in {"exact", *judged.equivalences}},
        round=_round(judged, rows, embedded, comparisons, drop_refusals=drop_refusals) if judged.by_rounds else None,
    )


def _table(
    judged: JudgedAnswers,
    names: tuple[str, ...],
    texts: tuple[str, ...],
    digests: tuple[str, ...],
    vectors: Float32[np.ndarray, "answers dimension"],
    *,
    found: Conflicts,
) -> Answers:
    """All answers, prompt after prompt and column after column."""
    pool, column = np.divmod(np.arange(len(texts)), len(names))
    return Answers(
        names=names,
        prompt_ids=judged.prompt_ids,
        prompts=judged.prompts,
        equivalences=judged.equivalences,
        sources=np.arange(len(judged.prompts)),
        pool=pool,
        prompt=pool,
        places=column,
        participant=column,
        content=codes(zip(pool.tolist(), digests, strict=True)),
        digests=digests,
        texts=texts,
        vectors=vectors,
        unit=unit_vectors(vectors),
        conflicts=found,
    )


def _round(
    judged: JudgedAnswers,
    rows: Sequence[Sequence[str]],
    embedded: EmbeddingResult,
    comparisons: Comparisons,
    *,
    drop_refusals: bool,
) -> Round:
    """The material of rounds. rows: texts by prompt and column."""
    prompts = zip(judged.prompt_ids, judged.prompts, judged.equivalences, judged.questions, strict=True)
    asked = {content_digest(prompt): embedded.openings[content_digest(prompt)] for prompt in judged.prompts}
    dimension = len(next(iter(embedded.vectors.values())))
    return Round(
        prompts=tuple(
            Prompt(name, prompt, equivalence=equivalence, question=question)
            for name, prompt, equivalence, question in prompts
        ),
        samples=judged.samples,
        answers=tuple(tuple((text, content_digest(text)) for text in row) for row in rows),
        embedded=Embedded(embedded.vectors, embedded.openings, asked, dimension),
        drop_refusals=drop_refusals,
        comparisons=comparisons,
    )


def _found(
    prompts: Sequence[str],
    equivalences: Sequence[str],
    rows: Sequence[Sequence[str]],
    contradictions: str,
    comparisons: Comparisons,
) -> Conflicts:
    """What contradicts among the answers to each prompt that is compared by meaning. rows: texts by prompt and column."""
    adapter = adapter_of(pinned(Policy(contradictions=contradictions), comparisons), comparisons)
    columns = len(rows[0]) if rows else 0
    found = [
        (prompt * columns, each)
        for prompt, texts in enumerate(rows)
        if adapter is not None and equivalences[prompt] == SEMANTIC
        for each in adapter.between(texts, prompts[prompt])
    ]
    return conflicts(
        np.array([first + each.first for first, each in found], dtype=np.int64),
        np.array([first + each.second for first, each in found], dtype=np.int64),
        np.array([each.strength for _, each in found], dtype=np.float64),
        len(rows) * columns,
    )
