"""safetensors: named tensors behind a JSON header, one after the other.

    8 bytes                N, the header's length, little-endian; at most 100 MB
    N bytes                the header, JSON in UTF-8 that begins with {, padded with spaces
    to the end             the tensors' bytes, little-endian, in row-major order

    {"__metadata__": {"format": "pt"},
     "conv/kernel": {"dtype": "F32", "shape": [3, 3, 1, 8], "data_offsets": [0, 288]}, ...}

Offsets are relative to the header's end; the stretches lie without holes or overlaps, from 0 to the end of the file.
There is no checksum, no string, no complex128, no integer below 8 bits. F4 packs two elements a byte.

What is written is what the safetensors library 0.8 writes for the same tensors, byte for byte: tensors in descending
order of dtype (as ranked in `DTYPES`), then ascending order of name; a header without blanks, `"` and control
characters escaped and nothing else, padded to 8 bytes. Several metadata are in order of their keys here, and in no
fixed one there.

A sharded model is several such files, and an index beside them that tells where each tensor is:

    {"metadata": {"total_size": 288}, "weight_map": {"conv/kernel": "model-00001-of-00002.safetensors", ...}}

Reference: the format's description in the README of huggingface/safetensors, and the library's behaviour.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any

from . import dtype as types
from .atomic import OutputSet, output
from .binary import Path, open_file, read_file
from .dtype import DType
from .errors import FormatError, UnsupportedError, listing
from .named_tensors import NamedTensors
from .packed import OpaqueTensor, PackedTensor, packed_size
from .sibling import sibling
from .stream import Sink
from .tensor import FileTensor, Tensor

HEADER_LIMIT = 100_000_000
"""Bytes that a header may take."""

METADATA = "__metadata__"

MAX_RANK = 32
"""Dimensions that every version of numpy can hold."""

_OPAQUE_6_BITS = [DType(name, types.OPAQUE, 6, 0) for name in ("float6_e2m3fn", "float6_e3m2fn")]

DTYPES: dict[str, DType] = {
    "BOOL": types.BOOL,
    "F4": types.DTYPES["float4_e2m1fn"],
    "F6_E2M3": _OPAQUE_6_BITS[0],
    "F6_E3M2": _OPAQUE_6_BITS[1],
    "U8": types.UINT8,
    "I8": types.INT8,
    "F8_E5M2": types.DTYPES["float8_e5m2"],
    "F8_E4M3": types.DTYPES["float8_e4m3fn"],
    "F8_E8M0": DType("float8_e8m0fnu", types.FLOAT, 8, 1, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": types.DTYPES["float8_e4m3fnuz"],
    "F8_E5M2FNUZ": types.DTYPES["float8_e5m2fnuz"],
    "I16": types.INT16,
    "U16": types.UINT16,
    "F16": types.FLOAT16,
    "BF16": types.BFLOAT16,
    "I32": types.INT32,
    "U32": types.UINT32,
    "F32": types.FLOAT32,
    "C64": types.COMPLEX64,
    "F64": types.FLOAT64,
    "I64": types.INT64,
    "U64": types.UINT64,
}
"""The format's words, in the library's order of dtypes."""

_WORDS = {dtype.name: (rank, word) for rank, (word, dtype) in enumerate(DTYPES.items()) if dtype.is_plain}


class SafetensorsFile(NamedTensors):
    """The tensors of a file, or of the shards of an index, in the order of its header. Their bytes stay on disk."""

    def __init__(self, path: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        super().__init__(path, tensors)
        self.metadata = metadata


def read_safetensors(path: Path) -> SafetensorsFile:
    """The tensors of the file `path`, after its whole header was found to be right. FormatError where it isn't."""
    path = os.fspath(path)
    header, start, end = _read_header(path)
    metadata = _strings(header.pop(METADATA, {}), path, METADATA)
    tensors: dict[str, Tensor] = {}
    stretches: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        dtype, shape, (first, last) = _entry(entry, path, name)
        stretches.append((first, last, name))
        tensors[name] = _tensor(dtype, shape, path, start + first, name)
    position = 0
    for first, last, name in sorted(stretches):
        if first != position:
            raise FormatError(path, f"expected the data of {name!r} at offset {position}, got {first}")
        position = last
    if position != end - start:
        raise FormatError(path, f"expected {position} bytes of data after the header, got {end - start}")
    return SafetensorsFile(path, tensors, metadata)


def read_safetensors_index(path: Path) -> SafetensorsFile:
    """The tensors of all the shards that the index `path` (`*.safetensors.index.json`) names.

    `metadata` is what the shards say, the first shard's where they differ. FormatError where a shard is elsewhere than
    beside the index, and where index and shards don't name the same tensors.
    """
    path = os.fspath(path)
    index = _json(read_file(path, "an index of shards", HEADER_LIMIT), path)
    weight_map = _strings(index.get("weight_map"), path, "weight_map")
    shards = {shard: read_safetensors(sibling(path, shard)) for shard in dict.fromkeys(weight_map.values())}
    wrong = [f"{name!r} in {shard}" for name, shard in weight_map.items() if name not in shards[shard]]
    if wrong:
        raise FormatError(path, f"expected tensors where the index puts them, got no {listing(wrong)}")
    extra = [f"{name!r} in {s}" for s, shard in shards.items() for name in shard if weight_map.get(name) != s]
    if extra:
        raise FormatError(path, f"expected every tensor of the shards in the index, got {listing(extra)} besides")
    metadata: dict[str, str] = {}
    for shard in shards.values():
        metadata = shard.metadata | metadata
    return SafetensorsFile(path, {name: shards[shard][name] for name, shard in weight_map.items()}, metadata)


def write_safetensors(
    destination: Path | IO[bytes],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    force: bool = False,
    files: OutputSet | None = None,
) -> None:
    """Writes `tensors` to the file `destination`, whole or not at all, or into an open binary file.

    In memory there is one piece of one tensor at a time. Given `files`, `destination` becomes one of these.
    UnsupportedError as for `refuse_unstorable`.
    """
    header, order = safetensors_header(tensors, metadata)
    if isinstance(destination, str | os.PathLike):
        with output(destination, force, files) as file:
            _write(file, header, order, tensors)
    else:
        _write(destination, header, order, tensors)


def safetensors_header(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> tuple[bytes, list[str]]:
    """All that comes before the data, and the names in the order in which the data follow. No value is read."""
    refuse_unstorable(tensors)
    order = sorted(tensors, key=lambda name: (-_WORDS[tensors[name].dtype.name][0], name))
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    position = 0
    for name in order:
        tensor, first = tensors[name], position
        position += packed_size(tensor.size, tensor.dtype.bits)
        word = _WORDS[tensor.dtype.name][1]
        header[name] = {"dtype": word, "shape": list(tensor.shape), "data_offsets": [first, position]}
    try:
        encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise UnsupportedError("safetensors", f"expected metadata in UTF-8, got {metadata}") from None
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > HEADER_LIMIT:
        raise UnsupportedError(
            "safetensors",
            f"expected a header of at most {HEADER_LIMIT} bytes, got {len(encoded)} for {len(order)} tensors",
        )
    return len(encoded).to_bytes(8, "little") + encoded, order


def refuse_unstorable(tensors: Mapping[str, Tensor]) -> None:
    """UnsupportedError that lists all tensors whose types, or else names, the format has no place for."""
    hint = "--unstorable says what to do, or --exclude them"
    types_ = [f"{name!r} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype.name not in _WORDS]
    if types_:
        raise UnsupportedError("safetensors", f"has no type for {listing(types_)}", hint=hint)
    odd = [name for name, tensor in tensors.items() if not can_hold(tensor)]
    if odd:
        raise UnsupportedError(
            "safetensors", f"expected an even number of float4 elements, got an odd one in {listing(odd)}", hint=hint
        )
    names = [name for name in tensors if name == METADATA or not _is_utf8(name)]
    if names:
        raise UnsupportedError(
            "safetensors", f"can't hold tensors named {listing(map(repr, names))}", hint="rename them"
        )


def can_hold(tensor: Tensor) -> bool:
    """Whether the format has the element type, and a place for that many elements: those of 4 bits come in pairs."""
    return tensor.dtype.name in _WORDS and not tensor.size * tensor.dtype.bits % 8


def _write(file: IO[bytes], header: bytes, order: list[str], tensors: Mapping[str, Tensor]) -> None:
    with Sink(file) as sink:
        sink.write(header)
        for name in order:
            sink.append(tensors[name], name, min(tensors[name].dtype.bits, 8))


def _read_header(path: str) -> tuple[dict[str, Any], int, int]:
    """The header's object, and where the data begin and end in the file."""
    with open_file(path, "a safetensors file") as file:
        length = file.window(0, 8, "the header's length").fixed64("the header's length")
        if length > HEADER_LIMIT:
            raise FormatError(path, f"expected a header of at most {HEADER_LIMIT} bytes, got a length of {length}")
        return _json(file.window(8, length, "the header").data, path), 8 + length, file.size


def _json(encoded: bytes, path: str) -> dict[str, Any]:
    """A JSON object; FormatError for anything else, doubled keys and numbers that JSON doesn't have."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            doubled = Counter(name for name, _ in pairs).most_common(1)[0]
            raise FormatError(path, f"expected each key once, got {doubled[0]!r} {doubled[1]} times")
        for name, value in pairs:
            (name + value if isinstance(value, str) else name).encode()  # ValueError where it is no UTF-8
        return found

    def refuse(word: str) -> None:
        raise ValueError(f"no JSON value is spelled {word}")

    if not encoded.startswith(b"{"):
        raise FormatError(path, f"expected a JSON object, got {encoded[:16]!r}")
    try:
        found: dict[str, Any] = json.loads(encoded.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"expected a JSON object, got: {error}") from None
    return found


def _entry(entry: Any, path: str, name: str) -> tuple[DType, tuple[int, ...], tuple[int, int]]:
    """A tensor's dtype, shape and data_offsets."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(path, f"expected dtype, shape and data_offsets of {name!r}, got {_short(entry)}")
    word, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    dtype = DTYPES.get(word) if isinstance(word, str) else None
    if dtype is None:
        raise FormatError(path, f"expected a dtype for {name!r}, got {_short(word)}")
    if not _is_sizes(shape):
        raise FormatError(path, f"expected a shape for {name!r}, got {_short(shape)}")
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(path, f"expected a begin and an end for {name!r}, got {_short(offsets)}")
    if len(shape) > MAX_RANK:
        raise UnsupportedError(path, f"expected at most {MAX_RANK} dimensions of {name!r}, got {len(shape)}")
    if math.prod(filter(None, shape)) * dtype.bits >= 1 << 63:
        raise FormatError(path, f"expected a size below 2**60 bytes for {name!r}, got shape {_short(shape)}")
    bits = math.prod(shape) * dtype.bits
    if bits != 8 * (offsets[1] - offsets[0]):
        raise FormatError(
            path, f"expected {bits / 8:g} bytes of {word} {shape} for {name!r}, got {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), (offsets[0], offsets[1])


def _tensor(dtype: DType, shape: tuple[int, ...], path: str, offset: int, name: str) -> Tensor:
    if not dtype.is_plain:
        return OpaqueTensor(dtype, shape, path, name)
    if dtype.bits >= 8:
        return FileTensor(dtype, shape, path, offset, name=name)
    size = packed_size(math.prod(shape), dtype.bits)
    return PackedTensor(dtype, shape, FileTensor(types.UINT8, (size,), path, offset, name=name))


def _strings(found: Any, path: str, key: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise FormatError(path, f"expected strings in {key}, got {_short(found)}")
    return found


def _is_sizes(found: Any) -> bool:
    # bool is an int in Python, and not in JSON
    return isinstance(found, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in found)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(found: Any) -> str:
    text = json.dumps(found)
    return text if len(text) <= 80 else text[:80] + "..."
