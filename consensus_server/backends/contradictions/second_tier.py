"""Words first, a model for what they leave open.

A verdict is kept by the digest of what was judged and the model's version, and the first one stays: an inference API need not say
the same twice, and a round that is decided again must come out as it did.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Protocol

from client_kit.wire.digests import canonical_json
from consensus_server.core.contradictions.compare import compare
from consensus_server.core.contradictions.doubts import Doubt, Verdict, open_pairs, settled
from consensus_server.core.contradictions.findings import Finding
from consensus_server.core.contradictions.questions import read_question
from consensus_server.core.contradictions.words import WordContradictions, answers_in, placed
from consensus_server.ports import FeatureStore

AT_ONCE: Final = 32
"""Doubts that are judged before their verdicts are kept: what an outage costs at most."""
_VERSION: Final = 1
"""Of what is asked and of what follows from it; raised when a change can change a finding."""

_log = logging.getLogger(__name__)


class Model(Protocol):
    """What judges two statements."""

    @property
    def kind(self) -> str:
        """Of its findings: `nli` or `judge`."""
        ...

    @property
    def version(self) -> str:
        """SHA-256 of everything that a verdict depends on."""
        ...

    def verdicts(self, doubts: Sequence[Doubt]) -> list[Verdict]:
        """One for each doubt, whatever the others are. Raises ComparisonFailed where it cannot be asked."""
        ...


class SecondTier:
    """`ports.Contradictions` by words and a model."""

    def __init__(self, name: str, model: Model, features: FeatureStore | None) -> None:
        """name: as policies give it, such as `nli:MODEL`. features: keeps verdicts; None where nothing may be kept."""
        self._name, self._model, self._features = name, model, features
        self._words = WordContradictions()

    @property
    def identity(self) -> str:
        """Name, version of what is asked, digest of the model, and what the words have."""
        return f"{self._name}-{_VERSION}-{self._model.version[:12]}+{self._words.identity}"

    def between(self, texts: Sequence[str], prompt: str) -> list[Finding]:
        """The strongest difference between every two answers; see `ports.Contradictions`. Raises ComparisonFailed."""
        question = read_question(prompt)
        answers = answers_in(texts, question)
        found = compare(answers, question)
        asked = open_pairs(sorted(set(texts)), answers, prompt, found)
        verdicts = self._verdicts({each.doubt for each in asked.values()})
        strongest = {pair: each[0].difference for pair, each in found.items()}
        for pair, each in asked.items():
            told = settled(self._model.kind, verdicts[each.doubt], each, found.get(pair, ()))
            if told is None:
                strongest.pop(pair, None)
            else:
                strongest[pair] = told
        return placed(texts, strongest)

    def _verdicts(self, doubts: Iterable[Doubt]) -> Mapping[Doubt, Verdict]:
        """The kept verdicts, and those of the model, which are kept from now on."""
        by_digest = {_digest(doubt): doubt for doubt in sorted(doubts)}
        held = self._kept(by_digest)
        missing = [digest for digest in by_digest if digest not in held]
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            fresh = dict(zip(some, self._model.verdicts([by_digest[each] for each in some]), strict=True))
            held |= self._keep(fresh)
        if unreadable := sum(held[each] is Verdict.UNREADABLE for each in missing):
            _log.warning(
                "%s: %d of %d replies could not be read and tell nothing", self._name, unreadable, len(missing)
            )
        return {doubt: held[digest] for digest, doubt in by_digest.items()}

    def _keep(self, fresh: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """What holds from now on: another worker may have been faster."""
        if self._features is None:
            return dict(fresh)
        self._features.put(
            self._model.kind, self._model.version, {digest: each.value for digest, each in fresh.items()}
        )
        return self._kept(fresh)

    def _kept(self, digests: Iterable[str]) -> dict[str, Verdict]:
        if self._features is None:
            return {}
        held = self._features.get(self._model.kind, self._model.version, digests)
        return {digest: Verdict(value) for digest, value in held.items()}


def _digest(doubt: Doubt) -> str:
    return sha256(canonical_json(list(doubt)).encode()).hexdigest()
