"""Published rounds looked at again: maps of pools, and what another policy would have decided.

Nothing is written but what a model says of pairs that it was not asked about before.
"""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float32, Float64

from client_kit.wire import content_digest
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import ComparisonFailed, Fault, NotReady, ValidationFailed, VectorsMissing
from consensus_server.core.labels import AnswerFate, RoundCard
from consensus_server.core.maps import MapPoint, PoolMap, principal_plane
from consensus_server.core.what_if import WhatIf, compare
from consensus_server.ports import Clock, EmbeddingStore, Store
from consensus_server.service.access import OPERATORS, Caller, federation_for
from consensus_server.service.contradictions import BY_WORDS, Comparisons, pinned, with_findings
from consensus_server.service.deciding import Embedded, Material, Vectors, build_pools, label_round
from consensus_server.service.federations import check_policy
from consensus_server.service.label_lines import read_label
from consensus_server.service.material import material_of, read_held
from consensus_server.service.published import may_see, published_labels, published_round, unknown_prompt

MOST_CHANGES = 1_000
"""Changes that one comparison lists."""

_PCA = "pca"

_log = logging.getLogger(__name__)

Projection = Callable[[Float32[np.ndarray, "answers dimension"]], Float64[np.ndarray, "answers 2"]]


class Inspection:
    """Maps and what-ifs of published rounds."""

    def __init__(
        self,
        store: Store,
        embeddings: EmbeddingStore,
        clock: Clock,
        projections: Mapping[str, Projection],
        comparisons: Comparisons = BY_WORDS,
    ) -> None:
        """projections: further methods of maps, by name, beside `pca`. They raise ValueError or RuntimeError in words."""
        self._store = store
        self._embeddings = embeddings
        self._clock = clock
        self._projections = projections
        self._comparisons = comparisons

    def map(self, caller: Caller, federation: str, number: int, prompt_id: str, *, method: str = _PCA) -> PoolMap:
        """The answers to a prompt in two dimensions; participants read whose an answer is only of their own.

        Answers without a vector lie in no map. Raises as `published_labels`, UnknownPrompt, and ValidationFailed for a
        method that cannot be used.
        """
        round_ = published_labels(self._store, self._clock, caller, federation, number)
        with self._store.reading() as tx:
            record, card = tx.labels.get(round_, prompt_id), tx.labels.card(round_)
        if record is None or card is None:
            raise unknown_prompt(federation, prompt_id)
        fates = sorted(record.fates, key=lambda fate: (fate.digest, fate.participant, fate.sample))
        held = self._embeddings.get(card.encoder.digest, {fate.digest for fate in fates})
        shown = [fate for fate in fates if fate.digest in held and held[fate.digest].any()]
        stacked = np.zeros((len(shown), card.encoder.dimension), dtype=np.float32)
        for row, fate in enumerate(shown):
            stacked[row] = held[fate.digest]
        places, explained = self._project(method, stacked)
        points = zip(shown, places.tolist(), strict=True)
        return PoolMap(
            prompt_id=prompt_id,
            method=method,
            explained=explained,
            points=tuple(_point(caller, fate, x, y) for fate, (x, y) in points),
        )

    def _project(
        self, method: str, vectors: Float32[np.ndarray, "answers dimension"]
    ) -> tuple[Float64[np.ndarray, "answers 2"], tuple[float, float] | None]:
        if method == _PCA:
            return principal_plane(vectors)
        if method not in self._projections:
            known = ", ".join(sorted({_PCA, *self._projections}))
            raise _refused(f"there is no {method!r}; known are {known}.")
        try:
            return self._projections[method](vectors), None
        except (ValueError, RuntimeError) as error:
            raise _refused(str(error)) from None

    def what_if(self, caller: Caller, federation: str, number: int, policy: Policy) -> WhatIf:
        """The round as `policy` would have decided it, from the answers, vectors, reputations and exemptions that it had.

        Answers are compared by words, by nothing, or by the model that the round was decided with: they are shown to no other.
        Raises UnknownFederation, Forbidden unless an operator calls, UnknownRound, RoundNotPublished, RoundFailed,
        UnknownRule, VectorsMissing where the policy guards and the round did not, and NotReady where the model cannot be asked.
        """
        check_policy(policy)
        round_ = published_round(self._store, self._clock, caller, federation, number, roles=OPERATORS)
        with self._store.reading() as tx:
            home, card = federation_for(tx, caller, federation, OPERATORS), tx.labels.card(round_)
        if card is None:
            raise LookupError(f"round {number} of {federation} is published without a card")
        with _model_asked():
            policy = pinned(policy, self._comparisons_of(card, policy.contradictions))
        exempt = frozenset((each.participant, each.gate) for each in card.exemptions)
        with self._store.reading() as tx:
            held = read_held(tx, home, round_, policy, exempt)
            lines = tx.labels.lines(round_, after="", limit=len(held.prompts))
        with _model_asked():
            material = material_of(held, policy, self._comparisons)
            bare = build_pools(material, self._embedded(material, card, policy), policy)
            pools = list(with_findings(bare, policy, self._comparisons))
        telling = card.refusals_told_by is not None
        decided = decide_round(pools, policy, earlier=material.earlier, drop_refusals=telling)
        labelled = label_round(material, pools, decided, policy)
        before = [read_label(line) for _, line in lines]
        return compare(policy, (card.labels, labelled.digest), before, labelled.labels, MOST_CHANGES)

    def _comparisons_of(self, card: RoundCard, said: str) -> Comparisons:
        """What a policy may name that is held against the card's: a model only if it is the one that decided. Raises ComparisonFailed."""
        own = card.policy.contradictions
        if f"{own}-".startswith(f"{said}-"):
            for name, each in self._comparisons.named(own):
                if each.identity == own and said in {name, own}:
                    return self._comparisons
        return BY_WORDS

    def _embedded(self, material: Material, card: RoundCard, policy: Policy) -> Embedded:
        """The stored vectors. What the encoder could not embed was never stored: zeros, as when the round was decided."""
        nothing = np.zeros(card.encoder.dimension, dtype=np.float32)
        openings = card.encoder.of_openings.digest
        texts = material.texts()
        asked = {content_digest(prompt.prompt): prompt.prompt_id for prompt in material.prompts}
        prompts: Vectors = {}
        if policy.guards:
            prompts = self._embeddings.get(openings, asked)
            missing = asked.keys() - prompts.keys()
            if missing and not card.policy.guards:
                raise VectorsMissing(
                    f"The policy guards, and round {card.number} did not: the openings of {len(missing)} prompts that guards "
                    "read were never embedded."
                )
        return Embedded(
            dict.fromkeys(texts, nothing) | dict(self._embeddings.get(card.encoder.digest, texts)),
            dict.fromkeys(texts, nothing) | dict(self._embeddings.get(openings, texts)),
            (dict.fromkeys(asked, nothing) | dict(prompts)) if policy.guards else {},
            card.encoder.dimension,
        )


@contextmanager
def _model_asked() -> Generator[None]:
    """Raises NotReady where a model cannot be asked."""
    try:
        yield
    except ComparisonFailed as error:
        _log.warning("contradictions cannot be told: %s", error)
        raise NotReady(
            "The model that tells contradictions cannot be asked now; the server's log has the cause."
        ) from None


def _point(caller: Caller, fate: AnswerFate, x: float, y: float) -> MapPoint:
    return MapPoint(
        participant=fate.participant if may_see(caller, fate.participant) else None,
        sample=fate.sample,
        x=x,
        y=y,
        cluster=fate.cluster,
        gate=fate.gate,
        chosen=fate.chosen,
    )


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed(
        f"method: {message}", [Fault("method", message)], remedy="Choose another method; pca can always be used."
    )
