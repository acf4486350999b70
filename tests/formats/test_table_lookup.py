"""table_lookup: what the reader of whole tables finds, key by key; and values that stay in the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import table_lookup
from tensorferry.formats.errors import FormatError
from tensorferry.formats.table import read_table
from tensorferry.formats.table_lookup import LoadedValue, StreamedValue, TableLookup
from tests.fixture import FIXTURES

from .bundle_writer import block, contents, table, table_of_blocks, varint


def found(lookup: TableLookup, key: bytes) -> bytes | None:
    value = lookup.find(key)
    return None if value is None else b"".join(map(bytes, value.chunks(value.start, value.end)))


@pytest.mark.parametrize("large", [1, 1 << 30])
@pytest.mark.parametrize("packed", [False, True])
def test_every_key_of_tables_that_tensorflow_wrote(
    tmp_path: Path, packed: bool, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_lookup, "LARGE", large)
    fixture, path = FIXTURES["v1_compressed"], tmp_path / "plain"
    path.write_bytes(zlib.decompress((fixture.path / "plain.z").read_bytes()))
    path = fixture.prefix if packed else path
    lookup = TableLookup(path)
    rows = list(read_table(path))
    for key, value in [*rows, *reversed(rows)]:
        assert found(lookup, key) == value
        assert found(lookup, key + b"\0") is None
    assert found(lookup, b"\xff" * 20) is None


@given(
    rows=st.dictionaries(st.binary(max_size=6), st.binary(max_size=40), max_size=30),
    others=st.lists(st.binary(max_size=6), max_size=10),
    per_block=st.integers(1, 9),
    kind=st.integers(0, 1),
    large=st.integers(0, 100),
)
def test_it_finds_what_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[bytes, bytes],
    others: list[bytes],
    per_block: int,
    kind: int,
    large: int,
) -> None:
    path = tmp_path_factory.mktemp("table") / "t"
    path.write_bytes(table(sorted(rows.items()), per_block=per_block, kind=kind))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_lookup, "LARGE", large)
        patch.setattr(table_lookup, "CHUNK", 7)
        lookup = TableLookup(path)
        for key in [*rows, *others]:
            assert found(lookup, key) == rows.get(key)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One block of a small value, a large one (bytes 0 to 255, four times) and another small one."""
    monkeypatch.setattr(table_lookup, "LARGE", 1000)
    path = tmp_path / "t"
    path.write_bytes(table([(b"a", b"1"), (b"b", bytes(range(256)) * 4), (b"c", b"2")]))
    return path


def test_only_a_value_of_more_than_half_its_block_is_streamed(large: Path) -> None:
    lookup = TableLookup(large)
    value = lookup.find(b"b")
    assert isinstance(value, StreamedValue)
    data = large.read_bytes()
    assert data[value.start : value.end] == bytes(range(256)) * 4
    assert b"".join(map(bytes, value.chunks(value.start + 3, value.start + 6))) == b"\3\4\5"
    small = lookup.find(b"c")
    assert small == LoadedValue(large, b"2")
    assert isinstance(lookup.find(b"b"), LoadedValue)  # the block is in memory by now


def test_a_value_reads_as_a_file(large: Path) -> None:
    lookup = TableLookup(large)
    for key, start in (b"b", b"\0\1\2"), (b"a", b"1"):
        value = lookup.find(key)
        assert value is not None
        with value.open("a value") as file:
            assert file.window(value.start, len(start), "the start").data == start


def test_places_in_a_loaded_value_are_told_as_such(large: Path) -> None:
    value = TableLookup(large).find(b"a")
    assert value is not None
    with value.open("the value of 'a'") as file, pytest.raises(FormatError) as caught:
        file.window(0, 5, "more")
    assert caught.value.where == f"{large}: the value of 'a'"
    assert caught.value.problem == "expected more (5 bytes) at byte 0, got the end of the file at byte 1"


def test_a_streamed_value_is_checked_with_its_whole_block(large: Path) -> None:
    whole = large.read_bytes()
    value = TableLookup(large).find(b"b")
    assert value is not None
    for position in 4, value.start, value.end - 1, value.end + 3:
        damaged = bytearray(whole)
        damaged[position] ^= 1
        large.write_bytes(damaged)
        with pytest.raises(
            FormatError, match=r"expected checksum .{8} for a data block at byte 0, got .{8}: the file is"
        ):
            list(value.chunks(value.start, value.end))
    large.write_bytes(whole[:500])
    with pytest.raises(
        FormatError, match=r"expected a data block \(\d+ bytes\) at byte 0, got the end of the file at byte 500"
    ):
        list(value.chunks(value.start, value.end))


def test_separators_that_lie_find_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t"
    blocks = [block(contents([(b"a", b"1"), (b"m", b"2")])), block(contents([(b"n", b"3")]))]
    path.write_bytes(table_of_blocks(blocks, [b"b", b"z"]))
    assert [found(TableLookup(path), key) for key in (b"a", b"m", b"n")] == [b"1", None, b"3"]


@pytest.mark.parametrize(
    "entry",
    [
        varint(5) + varint(1) + varint(800) + b"b" + bytes(800),
        varint(0) + varint(1) + varint(1 << 20) + b"b" + bytes(800),
        varint(0) + varint(1 << 30) + varint(800) + b"b" + bytes(800),
        b"\xff" * 5 + bytes(800),
    ],
)
def test_entries_that_cannot_be_in_a_large_block(tmp_path: Path, entry: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_lookup, "LARGE", 100)
    path = tmp_path / "t"
    path.write_bytes(table_of_blocks([block(entry + struct.pack("<II", 0, 1))], [b"z"]))
    with pytest.raises(FormatError):
        TableLookup(path).find(b"b")


def test_more_restarts_than_a_large_block_has_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_lookup, "LARGE", 100)
    path = tmp_path / "t"
    path.write_bytes(table_of_blocks([block(bytes(200) + b"\xff\xff\xff\xff")], [b"z"]))
    with pytest.raises(FormatError, match="expected at most 50 restarts, got 4294967295"):
        TableLookup(path).find(b"b")


def test_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a table, got no such file"):
        TableLookup(tmp_path / "none")
