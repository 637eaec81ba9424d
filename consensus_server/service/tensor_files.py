"""safetensors to and from arrays of float64. Never pickle: a file can hold numbers and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, TensorSpec, deserialize, serialize

from client_kit.wire.digests import canonical_json
from client_kit.wire.parameters import METADATA_KEY, StatedParameters
from consensus_server.core.errors import ParametersRefused

MAX_HEADER_BYTES: Final = 4 * 1024 * 1024
_LENGTH_BYTES: Final = 8
_SPELT: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NUMPY: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


def read_stated(content: bytes) -> StatedParameters:
    """What a file states beside its tensors. Raises ParametersRefused for anything but the numbers that it may state."""
    text = _stated(content)
    try:
        return StatedParameters.model_validate_json(text, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join([METADATA_KEY, *(str(part) for part in fault["loc"])])
        raise ParametersRefused(f"The file's metadata cannot be used: {where}: {fault['msg']}.") from None


def read_tensors(content: bytes, dtype: str) -> dict[str, np.ndarray]:
    """Tensors as float64 by name.

    Raises ParametersRefused for what is no safetensors file, and for a tensor of another dtype.
    """
    _stated(content)
    try:
        found = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ParametersRefused(f"The body is not a sound safetensors file: {error}.") from None
    tensors = {}
    for name, tensor in found:
        if tensor["dtype"] != dtype:
            raise ParametersRefused(f"Tensor {name[:80]} is {tensor['dtype']}; this federation exchanges {dtype}.")
        tensors[name] = _numbers(tensor["data"], dtype).reshape(tensor["shape"])
    return tensors


def write_tensors(tensors: Mapping[str, np.ndarray], dtype: str, stated: Mapping[str, str | int]) -> bytes:
    """A file whose bytes depend on nothing but the arguments. stated: what the file says beside its tensors."""
    held = {name: _as_dtype(array, dtype) for name, array in tensors.items()}
    specs = {
        name: TensorSpec(
            dtype=_SPELT[dtype], shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes
        )
        for name, array in held.items()
    }
    # One key, for the library writes several in an order of chance.
    return bytes(serialize(specs, metadata={METADATA_KEY: canonical_json(dict(stated))}))


def file_digest(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def _stated(content: bytes) -> str:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) < _LENGTH_BYTES or length > len(content) - _LENGTH_BYTES:
        raise ParametersRefused("The body is not a safetensors file: it ends before its header does.")
    if length > MAX_HEADER_BYTES:
        raise ParametersRefused(f"The file's header has {length} bytes; at most {MAX_HEADER_BYTES} are read.")
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
        stated = header["__metadata__"][METADATA_KEY]
    except (ValueError, RecursionError):
        raise ParametersRefused("The body is not a safetensors file: its header is no JSON object.") from None
    except (KeyError, TypeError):
        raise ParametersRefused(
            f"The file's header has no {METADATA_KEY!r}; make it with client_kit.parameters."
        ) from None
    return stated if isinstance(stated, str) else ""


def _numbers(data: bytes, dtype: str) -> np.ndarray:
    if dtype in _NUMPY:
        return np.frombuffer(data, _NUMPY[dtype]).astype(np.float64)
    upper = np.frombuffer(data, np.dtype("<u2")).astype(np.uint32) << 16
    return upper.view(np.float32).astype(np.float64)


def _as_dtype(array: np.ndarray, dtype: str) -> np.ndarray:
    if dtype in _NUMPY:
        return np.ascontiguousarray(array, _NUMPY[dtype])
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded: np.ndarray = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to nearest, ties to even
    return rounded.astype("<u2")
