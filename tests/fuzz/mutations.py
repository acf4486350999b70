"""Mutations that know a format's structure, and repairs of the checksums that would hide everything behind them.

    mutate_bytes      any bytes: flips, numbers at the edges, stretches cut, doubled, moved
    mutate_message    protobuf: numbers, strings and sub-messages of its fields; fields dropped, doubled, swapped
    mutate_table      a sorted table: keys and values of its rows, written anew with valid checksums
    mutate_text       JSON, TOML, protobuf's text form: their words
    mutate_zip        a zip: its entries' contents, packed anew; or its bytes

    repair_table      a table after any edit: the checksums of its blocks, as far as its handles still lead there
    repair_bundle     a bundle's index after any edit of index or data: the checksums of its entries too

All take the random numbers from `rng`, so one seed is one result.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

from crc32c import crc32c

from tests.formats.bundle_writer import MAGIC, masked, table, varint

EDGES = (0, 1, 2, 3, 7, 8, 15, 16, 31, 63, 100, 127, 128, 129, 255, 256, 1000, 65535, 1 << 16, 1 << 20, (1 << 31) - 1,
         1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 60, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
"""Numbers at which readers go wrong."""

WORDS = (
    b"", b"\0", b"..", b"../..", b"/etc/passwd", b"a\0b/c", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"{", b"[", b"]", b"}", b'"', b"'", b"\\", b"\\ud800", b"#", b"\n", b"=", b":", b"a.b.c", b"null", b"true",
    b"1e999", b"-1", b"-0", b"NaN", b"0x10", b"1.5", b"1e5", b"9" * 5000, b"-" * 5000, b"x" * 5000,
    b"<" * 300, b"(" * 300, b"[" * 20000, b'{"a":' * 5000,
)  # fmt: skip

Parts = list[bytes]


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """One to four edits anywhere."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        length = min(rng.choice((1, 1, 2, 4, 8, 16, 64, 256)), len(out) - at)
        match rng.randrange(8):
            case 0:
                out[at : at + length] = b""
            case 1:
                out[at:at] = out[at : at + length]
            case 2:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                out[at : at + 1] = bytes([(out[at] if length else 0) ^ 1 << rng.randrange(8)])
            case 4:
                out[at : at + length] = rng.choice(WORDS)[:5000]
            case 5:
                number = varint(rng.choice(EDGES))
                out[at : at + (rng.randrange(2) and len(number))] = number
            case 6:
                width = rng.choice((2, 4, 8))
                out[at : at + width] = (rng.choice(EDGES) % (1 << 8 * width)).to_bytes(width, "little")
            case 7:
                to = rng.randrange(len(out) + 1)
                out[to : to + length] = out[at : at + length]
    return bytes(out)


def mutate_text(rng: Random, data: bytes) -> bytes:
    """Words of a text dropped, doubled, swapped, or replaced."""
    words = re.findall(rb"\w+|\s+|[^\w\s]", data) or [b""]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(words))
        match rng.randrange(5):
            case 0:
                words[at] = rng.choice(WORDS)
            case 1:
                words[at] = str(rng.choice((1, -1)) * rng.choice(EDGES)).encode()
            case 2:
                words[at] = rng.choice(words)
            case 3:
                end = at + rng.choice((1, 4, 16))
                words[at:end] = [word for word in words[at:end] for _ in range(rng.randrange(3))] or [b""]
            case 4:
                words[at] = mutate_bytes(rng, words[at])
    return b"".join(words)


# --- protobuf ---------------------------------------------------------------------------------------

Node = tuple[int, int, "int | bytes"]
"""Field number, wire type, value."""


def parse_message(data: bytes) -> list[Node] | None:
    """The fields of a message; None for what is none."""
    found: list[Node] = []
    at = 0
    try:
        while at < len(data):
            tag, at = read_varint(data, at)
            kind, value = tag & 7, 0 if tag & 7 == 0 else b""
            if kind == 0:
                value, at = read_varint(data, at)
            elif kind in (1, 5, 2):
                size, at = read_varint(data, at) if kind == 2 else (8 if kind == 1 else 4, at)
                value, at = data[at : at + size], at + size
            if kind in (3, 4, 6, 7) or at > len(data) or not tag >> 3:
                return None
            found.append((tag >> 3, kind, value))
    except (IndexError, ValueError):
        return None
    return found


def write_message(nodes: list[Node]) -> bytes:
    out = []
    for number, kind, value in nodes:
        out.append(varint(number << 3 | kind))
        if isinstance(value, int):
            out.append(varint(value))
        else:
            out.append(varint(len(value)) + value if kind == 2 else value)
    return b"".join(out)


def mutate_message(rng: Random, data: bytes, depth: int = 0) -> bytes:
    """One edit of one field, at a random depth."""
    nodes = parse_message(data)
    if nodes is None or (not nodes and depth):
        return mutate_bytes(rng, data)
    if not nodes or rng.random() < 0.05:
        kind = rng.choice((0, 2))
        value: int | bytes = rng.choice(EDGES) if kind == 0 else rng.choice(WORDS)
        nodes.insert(rng.randrange(len(nodes) + 1), (rng.randrange(1, 20), kind, value))
        return write_message(nodes)
    at = rng.randrange(len(nodes))
    number, kind, value = nodes[at]
    match rng.randrange(10):
        case 0:
            del nodes[at]
        case 1:
            nodes[at:at] = [nodes[at]] * rng.choice((1, 1, 2, 40))
        case 2:
            other = rng.randrange(len(nodes))
            nodes[at], nodes[other] = nodes[other], nodes[at]
        case 3:
            nodes[at] = (rng.randrange(1, 20), kind, value)
        case 4 if kind == 2 and depth < 3:
            nested = bytes(value)  # type: ignore[arg-type]
            for _ in range(rng.choice((2, 110, 3000))):
                nested = varint(number << 3 | 2) + varint(len(nested)) + nested
                if len(nested) > 30_000:
                    break
            nodes[at] = (number, kind, nested)
        case _ if isinstance(value, int):
            near = (value + rng.choice((-1, 1, 2, 8))) % (1 << 64)
            nodes[at] = (number, kind, rng.choice((near, near, rng.choice(EDGES), rng.randrange(40))))
        case _ if kind == 2:
            changed = rng.choice(WORDS) if rng.random() < 0.05 else mutate_message(rng, value, depth + 1)
            nodes[at] = (number, kind, changed)
        case _:
            nodes[at] = (number, kind, bytes(rng.randrange(256) for _ in value))
    return write_message(nodes)


# --- tables -----------------------------------------------------------------------------------------


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint at `at`, and where it ends. IndexError at the end of the data, ValueError where it is too long."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError


def entries(contents: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Key, value and the value's place in a block, as long as they make sense."""
    with suppress(IndexError, ValueError, struct.error):
        end = len(contents) - 4 - 4 * struct.unpack("<I", contents[-4:])[0]
        at, key = 0, b""
        while 0 <= at < end:
            shared, at = read_varint(contents, at)
            unshared, at = read_varint(contents, at)
            length, at = read_varint(contents, at)
            key = key[:shared] + contents[at : at + unshared]
            at += unshared
            if at + length > end:
                return
            yield key, contents[at : at + length], at
            at += length


def handles(data: bytes) -> Iterator[tuple[int, int]]:
    """Offset and size of the index block, and of the data blocks that lie within the file."""
    if len(data) < 48 or data[-8:] != MAGIC:
        return
    with suppress(IndexError, ValueError):
        at = len(data) - 48
        for _ in range(3):
            _, at = read_varint(data, at)
        at = len(data) - 48
        _, at = read_varint(data, at)
        _, at = read_varint(data, at)
        offset, at = read_varint(data, at)
        size, at = read_varint(data, at)
        if offset + size + 5 > len(data):
            return
        yield offset, size
        for _, value, _ in entries(data[offset : offset + size]):
            with suppress(IndexError, ValueError):
                start, at = read_varint(value, 0)
                length, _ = read_varint(value, at)
                if start + length + 5 <= len(data):
                    yield start, length


def repair_table(data: bytes) -> bytes:
    """`data` with the checksum of each block that its handles lead to; the index block's first, as the others' come."""
    out = bytearray(data)
    for offset, size in list(handles(data))[:1000]:
        end = offset + size + 1
        out[end : end + 4] = struct.pack("<I", masked(crc32c(bytes(out[offset:end]))))
    return bytes(out)


def rows(data: bytes) -> list[tuple[bytes, bytes]]:
    """The rows of a table with plain blocks, as far as there are any."""
    found = [
        (key, value)
        for offset, size in list(handles(data))[1:]
        for key, value, _ in entries(data[offset : offset + size])
    ]
    return found[:5000]


def mutate_table(rng: Random, data: bytes) -> bytes:
    """A table with other rows, in other blocks."""
    found = rows(data)
    if not found:
        return repair_table(mutate_bytes(rng, data))
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(found))
        key, value = found[at]
        match rng.randrange(8):
            case 0:
                found[at : at + 1] = []
            case 1:
                found.append((mutate_bytes(rng, key), value))
            case 2:
                found[at] = (mutate_bytes(rng, key), value)
            case 3:
                found[at] = (key, rng.choice(found)[1])
            case _:
                found[at] = (key, mutate_message(rng, value))
        found = found or [(b"", b"")]
    if rng.random() < 0.95:
        found = sorted(dict(found).items())
    return table(
        found, per_block=rng.choice((1, 3, 1000)), kind=rng.choice((0, 0, 1)), restart_interval=rng.choice((1, 16))
    )


def repair_bundle(index: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Index and data (one shard's) with the checksums of the entries in plain blocks, and of the blocks."""
    out, shard = bytearray(index), bytearray(data)
    for offset, size in list(handles(index))[1:50]:
        if index[offset + size] != 0:
            continue
        for key, value, at in entries(index[offset : offset + size]):
            crc = _entry_checksum(value, shard) if key else None
            place = value.rfind(b"\x35")
            if crc is not None and place >= 0 and len(value) - place >= 5:
                out[offset + at + place + 1 : offset + at + place + 5] = struct.pack("<I", masked(crc))
    return repair_table(bytes(out)), bytes(shard)


def _entry_checksum(value: bytes, shard: bytearray) -> int | None:
    """The checksum of the data that an entry points at; of strings, that of their lengths is written there too."""
    nodes = {number: content for number, kind, content in parse_message(value) or () if kind in (0, 2)}
    offset, size, dtype = (nodes.get(n, 0) for n in (4, 5, 1))
    if not all(isinstance(n, int) for n in (offset, size, dtype)) or offset + size > len(shard):  # type: ignore[operator]
        return None
    end = offset + size  # type: ignore[operator]
    if dtype in (20, 21):  # opaque ones have checksums of their own
        return None
    if dtype != 7:
        return crc32c(bytes(shard[offset:end]))
    shape = nodes.get(2, b"")
    count = 1
    for number, kind, dim in parse_message(shape if isinstance(shape, bytes) else b"") or ():
        sizes = parse_message(bytes(dim)) if (number, kind) == (2, 2) else None  # type: ignore[arg-type]
        count *= next((n for _, k, n in sizes or () if k == 0 and isinstance(n, int)), 0) if sizes is not None else 1
    at, lengths = offset, b""
    try:
        for _ in range(min(count, size)):  # type: ignore[type-var]
            length, at = read_varint(bytes(shard[:end]), at)  # type: ignore[arg-type]
            lengths += length.to_bytes(4 if length < 1 << 32 else 8, "little")
    except (IndexError, ValueError, OverflowError):
        return None
    if at + 4 > end:  # type: ignore[operator]
        return None
    crc = crc32c(lengths)
    shard[at : at + 4] = struct.pack("<I", masked(crc))  # type: ignore[operator]
    return crc32c(bytes(shard[at:end]), crc)


# --- zip --------------------------------------------------------------------------------------------


def mutate_zip(rng: Random, data: bytes) -> bytes:
    """An archive with other contents of its entries, or with other bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(rng, data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [(name, archive.read(name)) for name in archive.namelist()[:20]]
    except Exception:  # any damage: it was mutated before
        return mutate_bytes(rng, data)
    if not found:
        return mutate_bytes(rng, data)
    at = rng.randrange(len(found))
    name, content = found[at]
    header, _, elements = content.partition(b"\n")
    if rng.random() < 0.7:
        magic, text = header[:10], mutate_text(rng, header[10:])
        header = magic[:8] + struct.pack("<H", (len(text) + 1) % (1 << 16)) + text
        content = header + b"\n" + elements
    else:
        content = mutate_bytes(rng, content)
    found[at] = (name, content)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in found:
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


# --- several files in one ---------------------------------------------------------------------------


def join(parts: Parts) -> bytes:
    """Files as one run of bytes: each behind its length (4 bytes), the last to the end."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts[:-1]) + parts[-1]


def split(data: bytes, count: int) -> Parts:
    """The inverse; any bytes are some files."""
    found = []
    for _ in range(count - 1):
        size = int.from_bytes(data[:4], "little") % (len(data) + 1)
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return [*found, data]


Mutator = Callable[[Random, bytes], bytes]


def either(*mutators: Mutator) -> Mutator:
    """One of them each time."""
    return lambda rng, data: rng.choice(mutators)(rng, data)


def in_part(count: int, *mutators: Mutator) -> Mutator:
    """Mutates one of the joined files, the first with the first mutator, and so on."""

    def mutate(rng: Random, data: bytes) -> bytes:
        parts = split(data, count)
        at = rng.randrange(count)
        parts[at] = mutators[at](rng, parts[at])
        return join(parts)

    return mutate


def repaired(mutator: Mutator) -> Mutator:
    """The same for a table, with its checksums put right afterwards, mostly."""

    def mutate(rng: Random, data: bytes) -> bytes:
        changed = mutator(rng, data)
        return repair_table(changed) if rng.random() < 0.9 else changed

    return mutate


def repaired_bundle(mutator: Mutator) -> Mutator:
    """The same for an index and a data file."""

    def mutate(rng: Random, data: bytes) -> bytes:
        index, shard = split(mutator(rng, data), 2)
        if rng.random() < 0.9:
            index, shard = repair_bundle(index, shard)
        return join([index, shard])

    return mutate
