"""The sorted table: keys in rising order with their values, in blocks that are compressed and checked one by one.

It is LevelDB's table as TensorFlow writes it, the container of V2 bundle indexes and of V1 checkpoints:

    file      data block 0 | data block 1 | ... | metaindex block | index block | footer

    footer    metaindex handle | index handle | zeros up to byte 40 | magic db4775248b80fb57, little-endian
    handle    varint64 offset | varint64 size       of a block's contents, without its trailer

    block     contents (plain or snappy) | type: 1 byte, 0 plain, 1 snappy | masked CRC-32C of contents and type: 4
    contents  entry | entry | ... | restart offsets: 4 each | number of restarts: 4
    entry     varint32 shared | varint32 unshared | varint32 length | the key's last `unshared` bytes | the value

An entry's key begins with the first `shared` bytes of the key before it. A restart is an entry that shares none, for
binary search; reading in order needs none of them. The index block has one entry for each data block: its value is the
block's handle, its key merely separates that block's keys from the next one's, so keys come from the data blocks alone.
The metaindex block is empty in TensorFlow's files, and not read.

Bounds: data blocks lie in the order of the index, before the index block, and don't overlap, so no byte is read twice;
a snappy block may claim 22 times its size at most (64 bytes from 3 is the format's best), and 2 GiB.

Source: TensorFlow's lib/io/table_builder.cc and LevelDB's doc/table_format.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .binary import BinaryFile, Path, Window, open_file
from .crc import crc32c, unmask
from .errors import FormatError

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER_SIZE = 48
TRAILER_SIZE = 5
PLAIN, SNAPPY = 0, 1
SNAPPY_RATIO = 22
MAX_BLOCK = 1 << 31


@dataclass(frozen=True, slots=True)
class BlockHandle:
    """Where a block's contents are: `offset` and `size` in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind the block's trailer."""
        return self.offset + self.size + TRAILER_SIZE


def read_table(path: Path, what: str = "a table", *, verify: bool = True) -> Iterator[tuple[bytes, bytes]]:
    """The table's keys and values, in rising order of keys. `verify` False leaves the checksums out.

    One block is in memory at a time. FormatError on anything that is not a table, at the entry where it shows; `what`
    is what the message calls a file that isn't there.
    """
    with open_file(path, what) as file:
        previous = None
        for handle in read_handles(file, verify=verify):
            for key, value in block_entries(read_block(file, handle, "a data block", verify=verify)):
                if previous is not None and key <= previous:
                    raise FormatError(
                        path,
                        f"expected keys in rising order, got {key!r} after {previous!r} "
                        f"in the data block at byte {handle.offset}",
                    )
                previous = key
                yield key, value


def is_table(file: BinaryFile) -> bool:
    """Whether the file ends in a table's magic number."""
    return file.size >= FOOTER_SIZE and file.window(file.size - 8, 8, "the magic number").data == MAGIC


def read_handles(file: BinaryFile, *, verify: bool = True) -> list[BlockHandle]:
    """The handles of all data blocks, in the order of the file."""
    return [handle for _, handle in read_index(file, verify=verify)]


def read_index(file: BinaryFile, *, verify: bool = True) -> list[tuple[bytes, BlockHandle]]:
    """Every data block's separator (no key of it is larger, none of the next is as small) and handle.

    From the footer and the index block, in the order of the file.
    """
    if file.size < FOOTER_SIZE:
        raise FormatError(file.path, f"expected a table, {FOOTER_SIZE} bytes at least, got {file.size}")
    footer = file.window(file.size - FOOTER_SIZE, FOOTER_SIZE, "the table's footer")
    if footer.data[-8:] != MAGIC:
        raise FormatError(
            file.path, f"expected a table's magic number {MAGIC.hex()} at its end, got {footer.data[-8:].hex()}"
        )
    _handle(footer, "the metaindex block's handle")
    index = _handle(footer, "the index block's handle")
    _refuse_beyond(file, index, "the index block", file.size - FOOTER_SIZE)
    rows: list[tuple[bytes, BlockHandle]] = []
    end = 0
    for separator, value in block_entries(read_block(file, index, "the index block", verify=verify)):
        window = Window(value, file.path, within=f" of entry {len(rows)} in the index block")
        handle = _handle(window, "a data block's handle")
        if window.left:
            window.fail("a data block's handle and no more", f"{window.left} bytes more")
        _refuse_beyond(file, handle, "a data block", index.offset)
        if handle.offset < end:
            raise FormatError(
                file.path,
                f"expected data blocks one after another, got one at byte {handle.offset} "
                f"before the end of another at byte {end}",
            )
        end = handle.end
        rows.append((separator, handle))
    return rows


def read_block(file: BinaryFile, handle: BlockHandle, what: str, *, verify: bool = True) -> Window:
    """A block's contents, checked and uncompressed. `what` is for messages."""
    window = file.window(handle.offset, handle.size + TRAILER_SIZE, what)
    contents, kind = window.data[: handle.size], window.data[handle.size]
    if verify:
        expected = unmask(int.from_bytes(window.data[-4:], "little"))
        found = crc32c(memoryview(window.data)[:-4])
        if expected != found:
            raise FormatError(
                file.path,
                f"expected checksum {expected:08x} for {what} at byte {handle.offset}, got {found:08x}: "
                "the file is damaged",
            )
    if kind == PLAIN:
        return Window(contents, file.path, handle.offset)
    if kind == SNAPPY:
        within = f" of the uncompressed block at byte {handle.offset}"
        return Window(_uncompressed(Window(contents, file.path, handle.offset), what), file.path, within=within)
    return window.fail("block type 0 (plain) or 1 (snappy)", str(kind), at=handle.size)


def block_entries(block: Window) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of one block, in rising order of keys."""
    data = block.data
    end = _entries_end(block)
    position, key, first = 0, b"", True
    while position < end:
        start = position
        # Behind the entries come at least 8 bytes of restarts, so the three are there even if they aren't an entry's.
        shared, unshared, length = data[position], data[position + 1], data[position + 2]
        position += 3
        if shared > 0x7F or unshared > 0x7F or length > 0x7F:
            block.position = start
            shared = block.varint32("the shared length of a key")
            unshared = block.varint32("the unshared length of a key")
            length = block.varint32("the length of a value")
            position = block.position
        if shared > len(key):
            block.fail(f"a key that shares at most {len(key)} bytes with the one before", str(shared), at=start)
        middle = position + unshared
        if middle + length > end:
            got = f"a key of {unshared} and a value of {length}"
            block.fail(f"an entry within the {end} bytes of entries", got, at=start)
        new = key[:shared] + data[position:middle]
        if new <= key and not first:
            block.fail("keys in rising order", f"{new!r} after {key!r}", at=start)
        key, first = new, False
        position = middle + length
        yield key, data[middle:position]


def _entries_end(block: Window) -> int:
    """Where a block's entries end and its restarts begin."""
    size = len(block.data)
    if size < 4:
        block.fail("a block of 4 bytes at least", f"{size} bytes")
    restarts = int.from_bytes(block.data[-4:], "little")
    if restarts > (size - 4) // 4:
        block.fail(f"at most {(size - 4) // 4} restarts", str(restarts), at=size - 4)
    end = size - 4 - 4 * restarts
    if end and not restarts:
        block.fail("a restart where there are entries", "none", at=size - 4)
    return end


def _handle(window: Window, what: str) -> BlockHandle:
    return BlockHandle(window.varint64(what), window.varint64(what))


def _refuse_beyond(file: BinaryFile, handle: BlockHandle, what: str, limit: int) -> None:
    if handle.end > limit:
        raise FormatError(
            file.path,
            f"expected {what} that ends by byte {limit}, got a handle of {handle.size} bytes at byte {handle.offset}",
        )


def _uncompressed(block: Window, what: str) -> bytes:
    """The contents of a snappy block: a varint32 that tells how many bytes, then literals and copies."""
    import cramjam

    size = block.varint32("the uncompressed size of a block")
    limit = min(SNAPPY_RATIO * len(block.data), MAX_BLOCK)
    if size > limit:
        block.fail(f"{what} of at most {limit} bytes uncompressed", f"a claim of {size}", at=0)
    output = bytearray(size)
    try:
        cramjam.snappy.decompress_raw_into(block.data, output)
    except cramjam.DecompressionError as error:
        block.fail(f"{what} in snappy's form", f"{error}", at=0)
    return bytes(output)
