"""A cross-encoder for natural language inference: whether one statement contradicts another, or follows from it."""

import json
import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client_kit.wire.digests import canonical_json
from consensus_server.backends.encoders.weights import EncoderError, file_digest, locate, weights_digest
from consensus_server.core.contradictions.doubts import Doubt, Verdict
from consensus_server.core.errors import ComparisonFailed

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_LIKELY: Final = 0.5
"""Probability from which a label holds, in both directions."""
_FILES: Final = ("*.safetensors", "*.json", "*.txt", "*.model")
_LEFT_OUT: Final = frozenset({"onnx", "openvino"})
_CONTRADICTION: Final = "contradiction"
_ENTAILMENT: Final = "entailment"


class NliModel:
    """A model on this machine, in float32. Its files are read when it is made, and its weights loaded when it is first asked.

    Both directions of a pair are one batch, and nothing else is in it: they have equally many tokens, so nothing is padded, and
    the verdict depends on no other pair.
    """

    kind = "nli"

    def __init__(self, name: str, *, threads: int | None = None) -> None:
        """name: of the hub, or a folder. threads: of torch in this process; None leaves its own choice.

        Raises ComparisonFailed for a model that is not there, or that has no label for contradictions.
        """
        self._name, self._threads = name, threads
        try:
            self._folder = locate(name, None)
            weights_digest(self._folder)  # refuses weights that can run code
            self._labels = _labels(self._folder)
            self.version = _version(self._folder)
        except (EncoderError, OSError, ValueError) as error:
            raise ComparisonFailed(f"the model {name} cannot tell contradictions: {error}") from error
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()

    def verdicts(self, doubts: Sequence[Doubt]) -> list[Verdict]:
        """One for each doubt. Raises ComparisonFailed where the model cannot be loaded, or its files were changed."""
        with self._lock:  # tokenizers are not made for threads
            if self._model is None:
                self._model = self._loaded()
            return [self._verdict(self._model, doubt) for doubt in doubts]

    def _verdict(self, model: "CrossEncoder", doubt: Doubt) -> Verdict:
        first, second = (f"{doubt.question} {each}".strip() for each in (doubt.first, doubt.second))
        chances = model.predict(
            [(first, second), (second, first)], batch_size=2, apply_softmax=True, show_progress_bar=False
        )
        for label, verdict in ((_CONTRADICTION, Verdict.CONTRADICTION), (_ENTAILMENT, Verdict.SAME)):
            if label in self._labels and round(float(chances[:, self._labels[label]].min()), 6) >= _LIKELY:
                return verdict
        return Verdict.NEITHER

    def _loaded(self) -> "CrossEncoder":
        if _version(self._folder) != self.version:
            raise ComparisonFailed(f"files of the model {self._name} were changed since the server started.")
        try:
            import torch  # noqa: PLC0415 - heavy
            from sentence_transformers import CrossEncoder  # noqa: PLC0415 - heavy
            from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - heavy
        except ImportError as error:
            raise ComparisonFailed(
                f"a model of entailment needs the extra: pip install 'semantic-consensus[server]' ({error})"
            ) from error
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        transformers_logging.disable_progress_bar()  # a bar of a tenth of a second in a server's log
        try:
            model = CrossEncoder(
                str(self._folder),
                device="cpu",
                local_files_only=True,
                model_kwargs={"dtype": torch.float32},
                activation_fn=torch.nn.Identity(),
            )
        except Exception as error:  # whatever a damaged file makes the libraries raise
            raise ComparisonFailed(
                f"{self._folder} holds no cross-encoder that sentence-transformers can load: {error}"
            ) from error
        return model


def short_name(name: str) -> str:
    """What a policy calls a model: the hub's name of it, or the last part of its folder's path."""
    folder = Path(name).expanduser()
    return folder.resolve().name if folder.is_dir() or name.startswith(("/", ".", "~")) else name


def _labels(folder: Path) -> Mapping[str, int]:
    """Places of the labels, by name in small letters. Raises ValueError where none of them is `contradiction`."""
    config = folder / "config.json"
    held = json.loads(config.read_text(encoding="utf-8")).get("id2label") if config.is_file() else None
    labels = {str(name).lower(): int(place) for place, name in (held or {}).items()}
    if _CONTRADICTION not in labels:
        named = ", ".join(sorted(labels)) or "none"
        raise ValueError(
            f"its config.json names no label `contradiction` (id2label: {named}). Take a model that was trained on natural "
            "language inference, or name its labels there."
        )
    return labels


def _version(folder: Path) -> str:
    """SHA-256 over the digests of all files that the model is made of."""
    files = sorted({path for pattern in _FILES for path in folder.rglob(pattern)})
    digests = {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in files
        if _LEFT_OUT.isdisjoint(path.relative_to(folder).parts)
    }
    return sha256(canonical_json(digests).encode()).hexdigest()
