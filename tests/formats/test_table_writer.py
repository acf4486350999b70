"""table_writer: the blocks, keys and bytes of TensorFlow's own tables."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.binary import open_file
from tensorferry.formats.table import block_entries, read_block, read_handles, read_table
from tensorferry.formats.table_writer import BLOCK_SIZE, short_successor, shortest_separator, write_table
from tests.fixture import HOME

from . import bundle_writer as independent

INDEXES = sorted(path for path in HOME.glob("**/*.index*"))


def written(entries: dict[bytes, bytes]) -> bytes:
    file = io.BytesIO()
    write_table(file, entries)
    return file.getvalue()


def save(path: Path, entries: dict[bytes, bytes]) -> Path:
    path.write_bytes(written(entries))
    return path


def blocks_of(path: Path) -> list[list[tuple[bytes, bytes]]]:
    with open_file(path, "a table") as file:
        return [list(block_entries(read_block(file, handle, "a block"))) for handle in read_handles(file)]


def test_there_are_tables_of_tensorflow() -> None:
    assert len(INDEXES) >= 15


@pytest.mark.parametrize("source", INDEXES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_tensorflows_tables_byte_for_byte(source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    if source.suffix == ".z":
        data = zlib.decompress(data)
    path = tmp_path / "index"
    path.write_bytes(data)
    assert written(dict(read_table(path))) == data


def test_a_table_of_one_entry_by_hand() -> None:
    contents = bytes.fromhex("00 01 02") + b"k" + b"vw" + bytes(4) + b"\1\0\0\0"
    empty = bytes(4) + b"\1\0\0\0"
    index = bytes.fromhex("00 01 02") + b"l" + bytes([0, len(contents)]) + bytes(4) + b"\1\0\0\0"
    data, metaindex = independent.block(contents), independent.block(empty)
    handles = bytes([len(data), len(empty), len(data) + len(metaindex), len(index)])
    expected = data + metaindex + independent.block(index) + handles.ljust(40, b"\0")
    assert written({b"k": b"vw"}) == expected + bytes.fromhex("57fb808b247547db")


def test_an_empty_table(tmp_path: Path) -> None:
    assert written({}) == independent.table([])
    assert list(read_table(save(tmp_path / "t", {}))) == []


def test_keys_are_sorted_by_their_bytes(tmp_path: Path) -> None:
    entries = dict.fromkeys((b"b", b"\xff", b"a", b"", b"ab", b"\x00", b"\x7f", b"\x80"), b"")
    assert [key for key, _ in read_table(save(tmp_path / "t", entries))] == sorted(entries)


def test_one_block_as_another_writer_has_it() -> None:
    """Restarts after 16 entries, and what is shared between them. The last key's successor is made to be the key."""
    rows = sorted((b"scope/%d/" % (i // 7) + b"w" * (i % 9) + b"%d" % i, b"v" * i) for i in range(100))
    rows.append((b"\xff" * 3, b""))
    assert written(dict(rows)) == independent.table(rows)


def test_a_block_ends_when_it_is_full(tmp_path: Path) -> None:
    """An entry of n bytes in a block: 1 + 1 + 3 bytes of lengths, key and value; one restart and their number: 8."""
    full = BLOCK_SIZE - 8 - 5 - 1
    for size, blocks in (full, [[b"a"], [b"b"]]), (full - 1, [[b"a", b"b"]]):
        path = save(tmp_path / f"t{size}", {b"a": bytes(size), b"b": b""})
        assert [[key for key, _ in block] for block in blocks_of(path)] == blocks


def test_a_huge_entry_has_a_block_of_its_own(tmp_path: Path) -> None:
    for size, blocks in (2 * BLOCK_SIZE - 1, [[b"a"], [b"b"], [b"c"]]), (2 * BLOCK_SIZE - 2, [[b"a", b"b"], [b"c"]]):
        path = save(tmp_path / f"t{size}", {b"a": b"", b"b": bytes(size), b"c": b""})
        assert [[key for key, _ in block] for block in blocks_of(path)] == blocks


def test_a_huge_first_entry(tmp_path: Path) -> None:
    path = save(tmp_path / "t", {b"a": bytes(3 * BLOCK_SIZE), b"b": b""})
    assert [len(block) for block in blocks_of(path)] == [1, 1]


def test_many_blocks(tmp_path: Path) -> None:
    entries = {b"%07d" % i: b"v" * (i % 50) for i in range(30_000)}
    path = save(tmp_path / "t", entries)
    assert len(blocks_of(path)) > 3
    assert dict(read_table(path)) == entries


@pytest.mark.parametrize(
    ("low", "high", "separator"),
    [
        (b"the quick brown fox", b"the who", b"the r"),
        (b"abc", b"abd", b"abc"),  # nothing fits between c and d
        (b"abc1", b"abe", b"abd"),
        (b"abc", b"abcd", b"abc"),  # one begins with the other
        (b"a\xfe\x01", b"b", b"a\xfe\x01"),
        (b"a\x01", b"a\xff", b"a\x02"),
        (b"", b"x", b""),
        (b"\xfe\xff", b"\xff", b"\xfe\xff"),
    ],
)
def test_separators(low: bytes, high: bytes, separator: bytes) -> None:
    assert shortest_separator(low, high) == separator


@pytest.mark.parametrize(
    ("key", "successor"),
    [(b"abc", b"b"), (b"\xffabc", b"\xffb"), (b"\xff\xff", b"\xff\xff"), (b"", b""), (b"\xfe", b"\xff")],
)
def test_successors(key: bytes, successor: bytes) -> None:
    assert short_successor(key) == successor


KEYS = st.binary(max_size=6) | st.lists(st.sampled_from([b"a", b"\xfe", b"\xff", b"\0"]), max_size=8).map(b"".join)


@given(st.sets(KEYS, min_size=2, max_size=2))
def test_a_separator_lies_between(keys: set[bytes]) -> None:
    low, high = sorted(keys)
    separator = shortest_separator(low, high)
    assert low <= separator < high
    assert len(separator) <= len(low)
    assert low <= short_successor(low)


@given(st.dictionaries(KEYS, st.binary(max_size=300), max_size=60))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, entries: dict[bytes, bytes]) -> None:
    path = save(tmp_path_factory.mktemp("table") / "t", entries)
    assert list(read_table(path)) == sorted(entries.items())
