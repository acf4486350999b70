"""Expected values: the specification's bytes; files come from a writer made by the same specification."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tensorferry.formats.errors import FormatError, UnsupportedError
from tensorferry.formats.highway_hash import highway_hash
from tensorferry.formats.riegeli import MAX_SPARE, RiegeliFile, open_riegeli

from .riegeli_writer import KEY, SIGNATURE, Writer, chunk_data, header, varint

NOISE = random.Random(1).randbytes(200_000)


def test_the_hash_of_the_specification() -> None:
    """The file's first 64 bytes hold three: of 16 bytes, of 32, and of none."""
    for data, at in (SIGNATURE[8:24], 0), (SIGNATURE[32:64], 24), (b"", 40):
        assert highway_hash(data, KEY).to_bytes(8, "little") == SIGNATURE[at : at + 8]


@pytest.mark.parametrize(
    ("size", "expected"), [(0, 0x907A56DE22C26E53), (1, 0x7EAB43AAC7CDDD78), (2, 0xB8D0569AB0B53D62)]
)
def test_the_hash_of_its_authors(size: int, expected: int) -> None:
    """Of the bytes 0, 1, ..., under the key 0, 1, ..., 31: the table in their tests."""
    key = [int.from_bytes(range(8 * lane, 8 * lane + 8), "little") for lane in range(4)]
    assert highway_hash(bytes(range(size)), key) == expected


def read(data: bytes, folder: Path, positions: list[int]) -> list[bytes]:
    path = folder / "x.cpb"
    path.write_bytes(data)
    with open_riegeli(path, "records") as file:
        records = RiegeliFile(file)
        found = [records.record(position, "a record") for position in positions]
        if positions:
            assert records.last("a record") == found[-1]
        return found


@pytest.mark.parametrize("compression", ["", "b", "z"])
def test_records(compression: str, tmp_path: Path) -> None:
    writer = Writer()
    groups = [[b"one", b"", b"three"], [NOISE[:70_000], b"x"], [b"m" * 100_000, NOISE], [b"end"]]
    for group in groups:
        writer.records(group, compression)
        writer.chunk(b"{}", "m")
        writer.chunk(bytes(10), "p")
    assert read(writer.data, tmp_path, writer.positions) == [record for group in groups for record in group]


@pytest.mark.parametrize("gap", range(60))
def test_headers_of_blocks_may_interrupt_anything(gap: int, tmp_path: Path) -> None:
    """The second chunk begins `gap` bytes before a block's end: its header is cut, or it begins at the block."""
    writer = Writer()
    filler = (1 << 16) - len(SIGNATURE) - 40 - len(chunk_data([b"ab"])) - 40 - gap
    writer.records([b"ab"])
    writer.chunk(bytes(filler), "p")
    writer.records([b"cd", NOISE[:99]])
    writer.records([b"ef"])
    assert read(writer.data, tmp_path, writer.positions) == [b"ab", b"cd", NOISE[:99], b"ef"]


def test_many_small_records_are_padded(tmp_path: Path) -> None:
    """A chunk has at least as many bytes as records, so that each has a position."""
    writer = Writer()
    writer.records([b""] * 5000, "z")
    writer.records([b"end"])
    assert writer.positions[-1] - writer.positions[0] == 5000
    assert read(writer.data, tmp_path, writer.positions[-2:]) == [b"", b"end"]


def refused(kind: type[Exception], message: str, data: bytes, folder: Path, positions: list[int]) -> None:
    with pytest.raises(kind) as error:
        read(data, folder, positions)
    assert str(error.value) == f"{folder / 'x.cpb'}: {message}"


def small() -> Writer:
    writer = Writer()
    writer.records([b"one", b"two"], "b")
    return writer


def test_truncation_at_every_length(tmp_path: Path) -> None:
    writer = small()
    for length in range(1, len(writer.data)):
        if length != len(SIGNATURE):
            with pytest.raises(FormatError):
                read(writer.data[:length], tmp_path, writer.positions)


def test_one_flipped_bit_anywhere(tmp_path: Path) -> None:
    """But in headers of blocks, that nothing depends on."""
    writer = small()
    for place in range(24, len(writer.data)):
        for bit in 0, 5:
            damaged = bytearray(writer.data)
            damaged[place] ^= 1 << bit
            with pytest.raises((FormatError, UnsupportedError)):
                read(damaged, tmp_path, writer.positions)


PLACE = " at byte 64 (a chunk's begin)"


class TestErrors:
    def test_other_files(self, tmp_path: Path) -> None:
        message = "expected a chunk of Riegeli records, got a header whose checksum is wrong at byte 0"
        refused(FormatError, message, bytes(100), tmp_path, [0])

    def test_no_signature(self, tmp_path: Path) -> None:
        writer = Writer()
        del writer.data[:]
        writer.records([b"x"])
        message = "expected Riegeli records, got a file without their signature"
        refused(FormatError, message, writer.data, tmp_path, [0])
        refused(FormatError, message, b"", tmp_path, [0])

    def test_no_records(self, tmp_path: Path) -> None:
        path = tmp_path / "x.cpb"
        path.write_bytes(SIGNATURE)
        with open_riegeli(path, "records") as file, pytest.raises(FormatError, match="expected it, got a file without"):
            RiegeliFile(file).last("it")

    def test_positions_without_a_record(self, tmp_path: Path) -> None:
        for position in 0, 63, 66, 10_000:
            message = f"expected a record at position {position}, got no record there"
            refused(FormatError, message, small().data, tmp_path, [position])

    @pytest.mark.parametrize(
        ("data", "kind", "counts", "message"),
        [
            (b"", "t", (1, 0), "expected records in rows, got transposed ones at byte 64"),
            (b"", "m", (1, 0), "expected records in rows, got a chunk of type 'm' at byte 64"),
            (b"", "x", (1, 0), "expected a chunk of a known type, got type 'x' at byte 64"),
            (b"\0\1\1a", "r", (2, 1), "expected 2 sizes of records, got 1 bytes of them" + PLACE),
            (b"\0\1\1ab", "r", (1, 2), "expected records that fill their chunk, got 1 bytes beyond" + PLACE),
            (b"\0\1\1ab", "r", (1, 3), "expected records of 3 bytes, got 2" + PLACE),
            (b"\0\1\5ab", "r", (1, 2), "expected a record (5 bytes), got 2 bytes and the end" + PLACE),
            (b"s\0", "r", (1, 0), "expected no compression, brotli or zstd, got compression b's'" + PLACE),
        ],
    )  # fmt: skip
    def test_chunks(self, data: bytes, kind: str, counts: tuple[int, int], message: str, tmp_path: Path) -> None:
        writer = Writer()
        writer.chunk(data, kind, *counts)
        refused(FormatError if "rows" not in message else UnsupportedError, message, writer.data, tmp_path, [64])

    @pytest.mark.parametrize("compression", [b"b", b"z"])
    def test_bombs(self, compression: bytes, tmp_path: Path) -> None:
        writer = Writer()
        writer.chunk(compression + b"\6" + varint(1 << 40), "r", 1, 1)
        limit = 4096 * 6 + MAX_SPARE
        message = f"expected data of at most {limit} bytes uncompressed, got a claim of {1 << 40}"
        refused(FormatError, f"{message} at byte 64 (a chunk's begin)", writer.data, tmp_path, [64])

    def test_sizes_beyond_the_file(self, tmp_path: Path) -> None:
        message = "expected a chunk that ends by byte 104, got one that ends at byte"
        with pytest.raises(FormatError, match=message):
            read(bytes(SIGNATURE) + header(b"", "r", 1 << 50, 0), tmp_path, [])
