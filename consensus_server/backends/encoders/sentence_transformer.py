"""Encoders of the sentence-transformers library, fed with token ids so that long answers are tokenised once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from client_kit.wire import content_digest
from consensus_server.backends.encoders.terms import content_starts
from consensus_server.backends.encoders.weights import PINNED, EncoderError, file_digest, locate, verify, weights_digest
from consensus_server.core.chunking import ChunkRule, first_chunks, mean_of_chunks, plan_batches
from consensus_server.core.encoders import EncoderIdentity

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CPU_BATCH_TOKENS = 1024
"""Fastest of 1,024, 4,096 and 8,192 on two cores; larger batches leave the caches."""
GPU_BATCH_TOKENS = 65_536


class SentenceTransformerEncoder:
    """A sentence-transformers model over whole answers, in chunks (`core.chunking`), in float32.

    Tokens go straight from the tokenizer to the model: chunks are never turned back into text. The same set of texts
    gives the same bytes whatever its order, because batches are planned over the texts sorted by content digest.
    """

    stand_in = False

    def __init__(self, model: "SentenceTransformer", identity: EncoderIdentity, rule: ChunkRule, prefix: str) -> None:
        self._model = model.eval()
        self._identity = identity
        self._rule = rule
        before, self._after = _special_tokens(model)
        self._before = [*before, *_prefix_tokens(model, prefix)]
        self._prefixed = bool(prefix)
        self._batch_tokens = CPU_BATCH_TOKENS if model.device.type == "cpu" else GPU_BATCH_TOKENS

    @classmethod
    def load(
        cls,
        name: str,
        *,
        folder: Path | None = None,
        device: str = "cpu",
        threads: int | None = None,
        prefix: str | None = None,
        tokens: int | None = None,
    ) -> "SentenceTransformerEncoder":
        """Find, verify and load a model; see `weights.locate` for where it is looked for.

        threads: CPU threads of torch in this process; None leaves its own choice.
        prefix: stands before each chunk, as the cards of some models ask (`query:` of multilingual-e5); None takes the
            model's default prompt where it declares one, "" takes none. White space at its end says nothing: it belongs
            to the first token of the text, which is tokenised by itself.
        tokens: most tokens of a chunk, without prefix and special tokens; None: 254, or what fits into a smaller window.
        Raises EncoderError naming cause and remedy, WeightsMismatchError where a pinned file was changed.
        """
        found = locate(name, folder)
        pinned = PINNED.get(name)
        if pinned:
            verify(found, pinned)
        weights = pinned.files["model.safetensors"] if pinned else weights_digest(found)
        model = _load_model(found, device, threads)
        chosen = (_default_prefix(model) if prefix is None else prefix).rstrip()
        rule = _rule_for(model, chosen, tokens)
        return cls(model, _identity(name, found, weights, model, rule, chosen), rule, chosen)

    @property
    def identity(self) -> EncoderIdentity:
        return self._identity

    def encode_with_openings(
        self, texts: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "texts dimension"], Float32[np.ndarray, "texts dimension"]]:
        """Unit vectors of the texts and of their first chunks; zeros for a text without tokens. Equal texts are encoded once."""
        distinct = sorted(set(texts), key=content_digest)
        ids = self._tokenise(distinct)
        batches = plan_batches([len(row) for row in ids], self._rule, self._batch_tokens)
        vectors = [self._forward([ids[chunk.text][chunk.start : chunk.stop] for chunk in batch]) for batch in batches]
        chunks = [chunk for batch in batches for chunk in batch]
        stacked = np.concatenate([np.zeros((0, self._identity.dimension), np.float32), *vectors])
        rows = {text: row for row, text in enumerate(distinct)}
        order = [rows[text] for text in texts]
        means = mean_of_chunks(stacked, chunks, len(distinct))
        return means[order], first_chunks(stacked, chunks, len(distinct))[order]

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        """Token ids of whole texts, without special tokens and not cut; none of a text that nobody sees."""
        if not texts:
            return []
        tokenizer = self._model.tokenizer
        encoded = tokenizer(
            texts,
            add_special_tokens=False,
            truncation=False,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # longer than the model's window is what chunks are for
        )
        # Some tokenizers make a token of white space.
        return [
            list(ids) if content_starts(text) < len(text) else []
            for text, ids in zip(texts, encoded["input_ids"], strict=True)
        ]

    def _forward(self, chunks: list[list[int]]) -> Float32[np.ndarray, "chunks dimension"]:
        """Unit vectors of chunks of equal length."""
        import torch  # noqa: PLC0415 - heavy, and loaded with the model

        with torch.inference_mode():
            ids = torch.tensor([[*self._before, *chunk, *self._after] for chunk in chunks], device=self._model.device)
            features: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if self._prefixed:  # some models leave the prefix out of the mean
                features["prompt_length"] = len(self._before)
            vectors = self._model(features)["sentence_embedding"].float()
            unit: Float32[np.ndarray, "chunks dimension"] = torch.nn.functional.normalize(vectors).cpu().numpy()
            return unit


def _load_model(folder: Path, device: str, threads: int | None) -> "SentenceTransformer":
    try:
        import torch  # noqa: PLC0415 - heavy
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - heavy
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - heavy
    except ImportError as error:
        raise EncoderError(
            f"this encoder needs the extra: pip install 'semantic-consensus[server]' ({error})"
        ) from error
    if threads is not None:
        torch.set_num_threads(threads)
    transformers_logging.disable_progress_bar()  # a bar of a tenth of a second in a server's log
    try:
        return SentenceTransformer(
            str(folder), device=device, local_files_only=True, model_kwargs={"dtype": torch.float32}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise EncoderError(f"{folder} holds no model that sentence-transformers can load: {error}") from error


def _default_prefix(model: "SentenceTransformer") -> str:
    name = model.default_prompt_name
    return "" if name is None else str(model.prompts[name])


def _rule_for(model: "SentenceTransformer", prefix: str, tokens: int | None) -> ChunkRule:
    """254 tokens a chunk or as many as are asked for; fewer where the model's window leaves less room.

    Raises EncoderError where it has no room for the number that was asked for, or for any text beside the prefix.
    """
    rule = ChunkRule() if tokens is None else replace(ChunkRule(), tokens=tokens)
    window = model.max_seq_length
    if window is None:
        return rule
    room = window - sum(map(len, _special_tokens(model))) - len(_prefix_tokens(model, prefix))
    if room < (tokens or 1):
        raise EncoderError(
            f"the model's window of {window} tokens has room for {max(room, 0)} tokens of text beside its special tokens "
            f"and the prefix {prefix!r}. Ask for at most as many, or shorten the prefix."
        )
    return replace(rule, tokens=min(rule.tokens, room))


def _prefix_tokens(model: "SentenceTransformer", prefix: str) -> list[int]:
    return list(model.tokenizer(prefix, add_special_tokens=False)["input_ids"]) if prefix else []


def _special_tokens(model: "SentenceTransformer") -> tuple[list[int], list[int]]:
    """Ids that the tokenizer puts before and after a text, found by asking it."""
    bare = list(model.tokenizer("a", add_special_tokens=False)["input_ids"])
    dressed = list(model.tokenizer("a")["input_ids"])
    at = next(at for at in range(len(dressed)) if dressed[at : at + len(bare)] == bare)
    return dressed[:at], dressed[at + len(bare) :]


def _identity(  # noqa: PLR0917 - an identity is all of it
    name: str, folder: Path, weights: str, model: "SentenceTransformer", rule: ChunkRule, prefix: str
) -> EncoderIdentity:
    tokenizer = folder / "tokenizer.json"
    tokenizer_digest = file_digest(tokenizer) if tokenizer.is_file() else "none"
    prefixed = f"; prefix {prefix!r}" if prefix else ""
    return EncoderIdentity(
        name=folder.name if Path(name).is_dir() else name,
        weights=weights,
        pooling=_pooling(model),
        chunking=f"{rule.describe()}; tokenizer {tokenizer_digest}{prefixed}",
        dtype="float32",
        backend="sentence-transformers/torch",
        dimension=int(model.get_embedding_dimension() or 0),
    )


def _pooling(model: "SentenceTransformer") -> str:
    """What follows the transformer: `mean > normalised`, with other modules by their class."""
    steps = [str(getattr(module, "pooling_mode", type(module).__name__)) for module in list(model)[1:]]
    return " > ".join([*(step for step in steps if step != "Normalize"), "normalised"])
