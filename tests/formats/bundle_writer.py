"""A second, independent writer of tables and bundles, for tests: straight from the format's description.

It shares nothing with tensorferry. What it writes was checked once by hand against TensorFlow 1.15.5 and 2.21: both
read the same values from every bundle that

    python -m tests.formats.bundle_writer DIRECTORY

writes there (plain and snappy blocks, many blocks, big-endian, slices, strings, padding between tensors), as
`tf.train.load_checkpoint(PREFIX).get_tensor(NAME)` against PREFIX.npz.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
from crc32c import crc32c

NUMBERS = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8, "int64": 9, "bool": 10,
    "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22, "uint64": 23,
    "float8_e5m2": 24, "float8_e4m3fn": 25, "float8_e4m3fnuz": 26, "float8_e4m3b11fnuz": 27, "float8_e5m2fnuz": 28,
    "int4": 29, "uint4": 30, "int2": 31, "uint2": 32, "float4_e2m1fn": 33,
}  # fmt: skip
STRING, VARIANT = 7, 21
MAGIC = bytes.fromhex("57fb808b247547db")


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def unmasked(value: int) -> int:
    rotated = (value - 0xA282EAD8) % 2**32
    return (rotated << 15 | rotated >> 17) % 2**32


# --- the table --------------------------------------------------------------------------------------


def contents(rows: Sequence[tuple[bytes, bytes]], restart_interval: int = 16) -> bytes:
    """A block's contents: entries, each but every 16th shortened by what its key shares with the last; restarts."""
    out, restarts, last = b"", [0], b""
    for index, (key, value) in enumerate(rows):
        shared = 0
        if index % restart_interval == 0:
            restarts += [len(out)] if index else []
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))


def block(data: bytes, kind: int = 0) -> bytes:
    """Contents with their trailer; kind 1 compresses them."""
    if kind == 1:
        data = bytes(cramjam.snappy.compress_raw(data))
    return data + bytes([kind]) + struct.pack("<I", masked(crc32c(data + bytes([kind]))))


def footer(metaindex: tuple[int, int], index: tuple[int, int]) -> bytes:
    return b"".join(map(varint, (*metaindex, *index))).ljust(40, b"\0") + MAGIC


def table_of_blocks(blocks: Iterable[bytes], last_keys: Iterable[bytes], kind: int = 0) -> bytes:
    """A table of blocks that are ready, trailers included."""
    out, index = b"", []
    for data, key in zip(blocks, last_keys, strict=True):
        index.append((key, varint(len(out)) + varint(len(data) - 5)))
        out += data
    metaindex, at = block(contents([])), len(out)
    out += metaindex
    index_block, index_at = block(contents(index, 1), kind), len(out)
    return out + index_block + footer((at, len(metaindex) - 5), (index_at, len(index_block) - 5))


def table(
    rows: Iterable[tuple[bytes, bytes]], *, per_block: int = 1000, kind: int = 0, restart_interval: int = 16
) -> bytes:
    """A table of `rows` as they come, `per_block` of them in each block."""
    rows = list(rows)
    groups = [rows[start : start + per_block] for start in range(0, len(rows), per_block)]
    blocks = [block(contents(group, restart_interval), kind) for group in groups]
    return table_of_blocks(blocks, [group[-1][0] for group in groups], kind)


# --- messages ---------------------------------------------------------------------------------------


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def header(num_shards: int = 1, big_endian: int = 0, version: bytes = b"\x08\x01") -> bytes:
    return number(1, num_shards) + number(2, big_endian) + message(3, version)


def shape_proto(shape: Iterable[int]) -> bytes:
    return b"".join(message(2, number(1, size)) for size in shape)


def slice_proto(extents: Iterable[tuple[int, int]]) -> bytes:
    """(start, length) along each axis; length -1 leaves it out, which means all."""
    return b"".join(
        message(1, number(1, start) + (b"" if length == -1 else varint(2 << 3) + varint(length)))
        for start, length in extents
    )


def entry(
    dtype: int, shape: Iterable[int], *, shard: int = 0, offset: int = 0, size: int = 0, crc: int = 0, slices: Any = ()
) -> bytes:
    """BundleEntryProto; `crc` is not masked yet."""
    fields = number(1, dtype) + message(2, shape_proto(shape)) + number(3, shard) + number(4, offset) + number(5, size)
    return fields + b"\x35" + struct.pack("<I", masked(crc)) + b"".join(message(7, slice_proto(s)) for s in slices)


def slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of a slice whose numbers lie in -1..8191."""
    numbers = b"".join(
        b"\x7f" if n == -1 else bytes([0x80 | n]) if n < 64 else struct.pack(">H", 0xC000 | n)
        for e in extents
        for n in e
    )
    escaped = b"".join({0: b"\0\xff", 255: b"\xff\0"}.get(c, bytes([c])) for c in name)
    return b"\0" + escaped + b"\0\x01" + (bytes([1, len(extents)]) if extents else b"\0") + numbers


# --- the bundle -------------------------------------------------------------------------------------


class BundleWriter:
    """Tensors in memory, by key; `write` makes the files. `gap` bytes lie between two tensors."""

    def __init__(self, num_shards: int = 1, *, big_endian: bool = False, gap: int = 0) -> None:
        self.shards = [b""] * num_shards
        self.entries: dict[bytes, bytes] = {}
        self.order = ">" if big_endian else "<"
        self.gap = gap

    def add(self, name: str | bytes, array: Any, *, shard: int = 0, number: int | None = None) -> None:
        self._add(_bytes(name), np.asarray(array), shard, number)

    def add_slices(self, name: str | bytes, array: Any, boxes: Any, shards: Sequence[int] | None = None) -> None:
        """`array` in pieces; a box is (start, length) along each axis."""
        array, name = np.asarray(array), _bytes(name)
        for index, box in enumerate(boxes):
            where = tuple(slice(start, None if length < 0 else start + length) for start, length in box)
            self._add(slice_key(name, box), array[where], shards[index] if shards else 0, None)
        dtype = STRING if array.dtype == object else NUMBERS[array.dtype.name]
        self.entries[name] = entry(dtype, array.shape, slices=boxes)

    def _add(self, key: bytes, array: np.ndarray[Any, Any], shard: int, dtype: int | None) -> None:
        if array.dtype == object:
            data, crc = self._strings(array)
            dtype = STRING
        else:
            data = array.astype(array.dtype.newbyteorder(self.order)).tobytes()
            crc = crc32c(data)
        offset = len(self.shards[shard])
        self.shards[shard] += data + b"\xaa" * self.gap
        number_ = NUMBERS[array.dtype.name] if dtype is None else dtype
        self.entries[key] = entry(number_, array.shape, shard=shard, offset=offset, size=len(data), crc=crc)

    def _strings(self, array: np.ndarray[Any, Any]) -> tuple[bytes, int]:
        items = array.reshape(-1).tolist()
        crc = crc32c(b"".join(struct.pack(self.order + "I", len(item)) for item in items))
        rest = struct.pack(self.order + "I", masked(crc)) + b"".join(items)
        return b"".join(varint(len(item)) for item in items) + rest, crc32c(rest, crc)

    def write(self, prefix: Path, **options: Any) -> Path:
        """PREFIX.index and its data files; `options` are those of `table`."""
        first = (b"", header(len(self.shards), int(self.order == ">")))
        Path(f"{prefix}.index").write_bytes(table([first, *sorted(self.entries.items())], **options))
        for index, data in enumerate(self.shards):
            Path(f"{prefix}.data-{index:05d}-of-{len(self.shards):05d}").write_bytes(data)
        return prefix


def _bytes(name: str | bytes) -> bytes:
    return name.encode("utf-8") if isinstance(name, str) else name


def samples(directory: Path) -> dict[Path, dict[str, Any]]:
    """The bundles that TensorFlow was asked to read, {prefix: {name: value}}."""
    grid = np.arange(24, dtype=np.float32).reshape(4, 6)
    strings = np.array([[b"", b"\0", b"two"], [b"x" * 70_000, b"\xff", b"end"]], object)
    found: dict[Path, dict[str, Any]] = {}

    def write(label: str, options: dict[str, Any], **settings: Any) -> None:
        writer = BundleWriter(3, **settings)
        values = {f"v{i:03d}": np.arange(i % 5 * 2, dtype=np.int32).reshape(2, -1) - i for i in range(200)}
        for index, (name, value) in enumerate(values.items()):
            writer.add(name, value, shard=index % 3)
        for dtype in (np.float16, np.float64, np.int64, np.uint16, np.complex64, np.complex128, np.bool_):
            values[np.dtype(dtype).name] = np.array([1, 0, 3], dtype)
            writer.add(np.dtype(dtype).name, values[np.dtype(dtype).name], shard=1)
        writer.add("strings", strings)
        writer.add_slices("rows", grid, [[(0, 1), (0, 6)], [(1, 3), (0, -1)]], [0, 2])
        writer.add_slices("grid", grid, [[(r, 2), (c, 3)] for r in (2, 0) for c in (3, 0)], [2, 1, 0, 0])
        values |= {"strings": strings, "rows": grid, "grid": grid}
        found[writer.write(directory / label, **options)] = values

    write("plain", {})
    write("snappy", {"kind": 1})
    write("blocks", {"per_block": 7, "restart_interval": 3})
    write("snappy_blocks", {"per_block": 7, "kind": 1})
    write("big_endian", {}, big_endian=True)
    write("gaps", {}, gap=13)
    return found


if __name__ == "__main__":
    for prefix_, values_ in samples(Path(sys.argv[1])).items():
        np.savez(f"{prefix_}.npz", **{n: v.astype("S") if v.dtype == object else v for n, v in values_.items()})
