"""A published round decided again from its bundle, with nothing from a database: the same code, the same texts, the same labels."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float32

from client_kit import wire
from client_kit.verifying import Contents
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.errors import AggregationRefused
from consensus_server.core.federations import Federation, Prompt
from consensus_server.ports import Encoder, NeighbourIndex, PooledAnswer, SealedSubmission
from consensus_server.service.basis import read_basis
from consensus_server.service.contradictions import BY_WORDS, Comparisons, require_contradictions, with_findings
from consensus_server.service.deciding import Embedded, RoundLabels, build_pools, label_round
from consensus_server.service.embedding import embed_texts
from consensus_server.service.material import Held, material_of
from consensus_server.service.refusals import require_refusals

_Vectors = Mapping[str, Float32[np.ndarray, " dimension"]]


class VectorsOfThisRun:
    """`ports.EmbeddingStore` that ends with the process: no vector of anybody's database is believed."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Float32[np.ndarray, " dimension"]] = {}

    def get(self, encoder: str, digests: Iterable[str]) -> _Vectors:
        return {each: self._kept[encoder, each] for each in digests if (encoder, each) in self._kept}

    def put(self, encoder: str, vectors: _Vectors) -> None:
        for digest, vector in vectors.items():
            self._kept.setdefault((encoder, digest), vector)


def decided_again(
    contents: Contents,
    federation: Federation,
    encoder: Encoder,
    *,
    neighbours: NeighbourIndex | None = None,
    comparisons: Comparisons = BY_WORDS,
) -> RoundLabels:
    """The pseudo-labels of a bundle that shows every text. federation: as the bundle has it.

    Raises AggregationRefused where this installation decides otherwise: another encoder, or other words or models.
    """
    if encoder.identity.digest != federation.encoder:
        raise AggregationRefused(
            f"this is {encoder.identity.name} ({encoder.identity.digest[:12]}), not its encoder", ""
        )
    require_contradictions(federation, comparisons)
    require_refusals(federation)
    policy = federation.terms.policy
    material = material_of(_held(contents), policy, comparisons)
    store = VectorsOfThisRun()
    found = embed_texts(material.texts(), encoder, store)
    prompts = embed_texts(material.prompt_texts() if policy.guards else {}, encoder, store)
    embedded = Embedded(found.vectors, found.openings, prompts.openings, encoder.identity.dimension)
    pools = list(with_findings(build_pools(material, embedded, policy), policy, comparisons))
    telling = federation.terms.refusals_told_by is not None
    decided = decide_round(pools, policy, neighbours, material.earlier, drop_refusals=telling)
    return label_round(material, pools, decided, policy)


def _held(contents: Contents) -> Held:
    earlier, known = read_basis(contents.opened.lines("basis.jsonl"))
    return Held(
        prompts=tuple(sorted((_prompt(each) for each in contents.prompts), key=lambda each: each.prompt_id)),
        equivalence=contents.manifest.equivalence.value,
        answers=tuple(_pooled(contents.answers)),
        seals={each.participant: _sealed(each) for each in contents.seals},
        known=known,
        submissions=len(contents.seals),
        earlier=earlier,
    )


def _prompt(each: wire.Prompt) -> Prompt:
    return Prompt(**each.model_dump(mode="json"))


def _pooled(answers: Mapping[str, list[wire.Answer]]) -> list[PooledAnswer]:
    found = [
        PooledAnswer(each.prompt_id, who, each.sample, each.text, wire.content_digest(each.text))
        for who, given in answers.items()
        for each in given
    ]
    return sorted(found, key=lambda each: (each.prompt_id, each.participant, each.sample))


def _sealed(record: wire.SealRecord) -> SealedSubmission:
    return SealedSubmission(
        record.count, record.digest, record.sealed_at, None, record.taught_through, record.carried_from
    )
