import struct
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.binary import open_file
from tensorferry.formats.errors import FormatError
from tensorferry.formats.table import is_table, read_block, read_handles, read_table
from tests.fixture import FIXTURES

from .bundle_writer import block, contents, crc32c, footer, masked, table, table_of_blocks, varint

ROWS = [(b"", b"first"), (b"a", b""), (b"ab", b"1"), (b"abc", b"22"), (b"b\x00\xff", b"3" * 300)]


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "t"

    def read(data, **options):
        path.write_bytes(data)
        return list(read_table(path, **options))

    return read


@pytest.fixture
def refused(read, tmp_path):
    """The message without the path."""

    def refused(data, **options):
        with pytest.raises(FormatError) as caught:
            read(data, **options)
        assert caught.value.where == str(tmp_path / "t")
        return caught.value.problem

    return refused


def one_block(data, kind=0):
    """A table of one block with these contents."""
    return table_of_blocks([block(data, kind)], [b"zzz"])


def entry(shared, unshared, length, data):
    return varint(shared) + varint(unshared) + varint(length) + data


END = struct.pack("<II", 0, 1)


# --- what is read -----------------------------------------------------------------------------------


def test_the_table_that_tensorflow_wrote():
    """fixtures/add: two variables of one float each; the values are BundleEntryProtos, spelled out by hand."""
    rows = dict(read_table(f"{FIXTURES['add'].prefix}.index"))
    assert list(rows) == [b"", b"v1", b"v2"]
    assert rows[b""] == bytes.fromhex("0801 1a02 0801".replace(" ", ""))
    assert rows[b"v1"][:-4] == bytes.fromhex("0801 1204 1202 0801 2804 35".replace(" ", ""))
    assert rows[b"v2"][:-4] == bytes.fromhex("0801 1204 1202 0801 2004 2804 35".replace(" ", ""))


def test_every_block_of_a_large_index_of_tensorflow(tmp_path):
    fixture = FIXTURES["bundle_many"]
    path = tmp_path / "many"
    path.write_bytes(zlib.decompress(fixture.file("model.ckpt.index.z").read_bytes()))
    with open_file(path, "a table") as file:
        assert len(read_handles(file)) == 3
    assert sum(1 for _ in read_table(path)) == 601


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("per_block", [1, 2, 5])
@pytest.mark.parametrize("restart_interval", [1, 2, 16])
def test_blocks_restarts_and_compression(read, kind, per_block, restart_interval):
    assert read(table(ROWS, per_block=per_block, kind=kind, restart_interval=restart_interval)) == ROWS


def test_an_empty_table(read):
    assert read(table([])) == []


def test_an_empty_block_between_others(read):
    blocks = [block(contents(ROWS[:2])), block(contents([])), block(contents(ROWS[2:]))]
    assert read(table_of_blocks(blocks, [b"a", b"aa", b"z"])) == ROWS


def test_long_keys_and_values_take_longer_varints(read):
    rows = [(b"k" * 200, b"v" * 20_000), (b"k" * 200 + b"l" * 130, b""), (b"k" * 201, b"w")]
    rows.sort()
    assert read(table(rows)) == rows
    assert read(table(rows, kind=1)) == rows


@given(
    st.dictionaries(st.binary(max_size=40), st.binary(max_size=300), max_size=40),
    st.integers(1, 40),
    st.integers(1, 20),
    st.sampled_from([0, 1]),
)
def test_what_was_written_is_read(tmp_path_factory, values, per_block, restart_interval, kind):
    rows = sorted(values.items())
    path = tmp_path_factory.mktemp("t") / "t"
    path.write_bytes(table(rows, per_block=per_block, restart_interval=restart_interval, kind=kind))
    assert list(read_table(path)) == rows


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(tmp_path_factory, data):
    """Contents of anything, behind checksums that hold: rows in order, or one FormatError."""
    path = tmp_path_factory.mktemp("t") / "t"
    for made in block(data), snappy_of(data):
        path.write_bytes(table_of_blocks([made], [b"z"]))
        try:
            keys = [key for key, _ in read_table(path)]
        except FormatError:
            continue
        assert keys == sorted(set(keys))


def snappy_of(data):
    """A block of type 1 whose compressed bytes are `data`, with the right checksum."""
    return data + b"\x01" + struct.pack("<I", masked(crc32c(data + b"\x01")))


def test_a_table_is_known_by_its_end(tmp_path):
    path = tmp_path / "t"
    for data, expected in [(table(ROWS), True), (table(ROWS)[:-1], False), (table([])[-47:], False), (b"", False)]:
        path.write_bytes(data)
        with open_file(path, "a table") as file:
            assert is_table(file) == expected


def test_one_block_can_be_read_by_its_handle(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(table(ROWS, per_block=2))
    with open_file(path, "a table") as file:
        handles = read_handles(file)
        assert len(handles) == 3
        assert read_block(file, handles[1], "a data block").data == contents(ROWS[2:4])


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [0, 1])
def test_truncation_at_every_length(read, kind):
    data = table(ROWS, per_block=2, kind=kind)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            read(data[:length])


@pytest.mark.parametrize("kind", [0, 1])
def test_a_flipped_bit_at_every_byte(read, kind):
    """Only the metaindex block and the footer have no checksum: what changes there is noticed, or changes nothing."""
    data = table(ROWS, per_block=2, kind=kind)
    metaindex = sum(len(block(contents(group), kind)) for group in (ROWS[:2], ROWS[2:4], ROWS[4:]))
    unchecked = {*range(metaindex, metaindex + 13), *range(len(data) - 48, len(data) - 8)}
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            try:
                rows = read(bytes(damaged))
            except FormatError:
                continue
            assert position in unchecked, (position, bit)
            assert rows == ROWS


def test_too_short(refused):
    assert refused(b"x" * 47) == "expected a table, 48 bytes at least, got 47"


def test_no_magic_number(refused):
    assert refused(b"x" * 48) == ("expected a table's magic number 57fb808b247547db at its end, got 7878787878787878")


def test_a_footer_without_handles(refused):
    assert refused(b"\xff" * 40 + table([])[-8:]) == (
        "expected the metaindex block's handle (a varint below 2**64), got a larger one at byte 0"
    )


@pytest.mark.parametrize(("offset", "size"), [(0, 2**63), (2**63, 0), (44, 0), (40, 4), (0, 2**64 - 1)])
def test_an_index_handle_out_of_range(refused, offset, size):
    data = b"\0" * 48 + footer((0, 0), (offset, size))
    assert refused(data) == (
        f"expected the index block that ends by byte 48, got a handle of {size} bytes at byte {offset}"
    )


def index_of(*values, before=b""):
    """A table with an index block of these handles, behind the bytes `before`."""
    index = block(contents([(bytes([i]), value) for i, value in enumerate(values)], 1))
    return before + index + footer((0, 0), (len(before), len(index) - 5))


DATA = block(contents(ROWS[:2]))


def handle(offset, size):
    return varint(offset) + varint(size)


@pytest.mark.parametrize(("offset", "size"), [(0, len(DATA) - 4), (len(DATA), 5), (0, 2**40), (2**63, 1), (3, 10**6)])
def test_a_data_handle_out_of_range(refused, offset, size):
    assert refused(index_of(handle(offset, size), before=DATA)) == (
        f"expected a data block that ends by byte {len(DATA)}, got a handle of {size} bytes at byte {offset}"
    )


def test_an_index_that_is_its_own_data(refused):
    index = block(contents([(b"a", varint(0) + varint(15))], 1))
    data = index + footer((0, 0), (0, len(index) - 5))
    assert refused(data) == "expected a data block that ends by byte 0, got a handle of 15 bytes at byte 0"


@pytest.mark.parametrize("second", [0, len(DATA) - 1])
def test_blocks_that_overlap_or_repeat(refused, second):
    size = len(DATA) - 5
    assert refused(index_of(handle(0, size), handle(second, size), before=DATA * 2)) == (
        f"expected data blocks one after another, "
        f"got one at byte {second} before the end of another at byte {len(DATA)}"
    )


def test_a_handle_that_goes_on(refused):
    assert refused(index_of(handle(0, len(DATA) - 5) + b"xy", before=DATA)) == (
        "expected a data block's handle and no more, got 2 bytes more at byte 2 of entry 0 in the index block"
    )


def test_a_handle_that_ends_early(refused):
    assert refused(index_of(b"\x05", before=DATA)) == (
        "expected a data block's handle (a varint), got the end at byte 1 of entry 0 in the index block"
    )


def test_a_checksum_that_differs(refused, read):
    data = bytearray(table(ROWS))
    data[4] ^= 1  # in the first value
    problem = refused(bytes(data))
    assert problem.startswith("expected checksum ")
    assert " for a data block at byte 0, got " in problem
    assert problem.endswith(": the file is damaged")
    assert len(read(bytes(data), verify=False)) == len(ROWS)


def test_the_checksum_covers_the_type(refused):
    data = contents(ROWS)
    plain = block(data)
    assert "expected checksum" in refused(table_of_blocks([data + b"\x01" + plain[-4:]], [b"z"]))


def test_an_unknown_block_type(refused):
    data = contents(ROWS)
    assert refused(table_of_blocks([block(data, 2)], [b"z"])) == (
        f"expected block type 0 (plain) or 1 (snappy), got 2 at byte {len(data)}"
    )


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0"])
def test_a_block_too_short_for_restarts(refused, data):
    assert refused(one_block(data)) == f"expected a block of 4 bytes at least, got {len(data)} bytes at byte 0"


@pytest.mark.parametrize("count", [2, 3, 2**30, 2**32 - 1])
def test_more_restarts_than_fit(refused, count):
    assert refused(one_block(b"\0" * 4 + struct.pack("<I", count))) == (
        f"expected at most 1 restarts, got {count} at byte 4"
    )


def test_entries_without_a_restart(refused):
    assert refused(one_block(entry(0, 1, 1, b"kv") + struct.pack("<I", 0))) == (
        "expected a restart where there are entries, got none at byte 5"
    )


def test_a_key_that_shares_more_than_there_is(refused):
    first = entry(0, 1, 0, b"k")
    assert refused(one_block(entry(1, 1, 0, b"k") + END)) == (
        "expected a key that shares at most 0 bytes with the one before, got 1 at byte 0"
    )
    assert refused(one_block(first + entry(2, 1, 0, b"k") + END)) == (
        "expected a key that shares at most 1 bytes with the one before, got 2 at byte 4"
    )
    assert refused(one_block(first + entry(2**32 - 1, 1, 0, b"k") + END)) == (
        "expected a key that shares at most 1 bytes with the one before, got 4294967295 at byte 4"
    )


@pytest.mark.parametrize(("unshared", "length"), [(2, 0), (0, 2), (1, 1), (2**32 - 1, 0), (1, 2**32 - 1), (9, 0)])
def test_an_entry_longer_than_the_block(refused, unshared, length):
    data = varint(0) + varint(unshared) + varint(length) + b"k"
    assert refused(one_block(data + END)) == (
        f"expected an entry within the {len(data)} bytes of entries, "
        f"got a key of {unshared} and a value of {length} at byte 0"
    )


@pytest.mark.parametrize("data", [b"\0", b"\0\0"])
def test_an_entry_cut_short(refused, data):
    assert refused(one_block(data + END)).startswith(f"expected an entry within the {len(data)} bytes of entries")


def test_an_entry_with_a_length_above_32_bits(refused):
    assert refused(one_block(b"\xff\xff\xff\xff\x7f\0\0" + END)) == (
        "expected the shared length of a key (a varint below 2**32), got a larger one at byte 0"
    )


@pytest.mark.parametrize("second", [b"b", b"a", b""])
def test_keys_that_do_not_rise_within_a_block(refused, second):
    assert refused(table([(b"b", b""), (second, b"")], restart_interval=1)) == (
        f"expected keys in rising order, got {second!r} after b'b' at byte 4"
    )


@pytest.mark.parametrize("second", [b"b", b"a", b""])
def test_keys_that_do_not_rise_from_block_to_block(refused, second):
    blocks = [block(contents([(b"b", b"")])), block(contents([(second, b"")]))]
    assert refused(table_of_blocks(blocks, [b"b", b"c"])) == (
        f"expected keys in rising order, got {second!r} after b'b' in the data block at byte {len(blocks[0])}"
    )


@pytest.mark.parametrize("claim", [2**32 - 1, 2**31, 23 * 12])
def test_a_snappy_block_that_claims_too_much(refused, claim):
    """22 bytes for one is more than snappy can reach; memory must not be set aside for such a claim."""
    data = varint(claim).ljust(12, b"\0")
    assert refused(table_of_blocks([snappy_of(data)], [b"z"])) == (
        f"expected a data block of at most {22 * 12} bytes uncompressed, got a claim of {claim} at byte 0"
    )


def test_the_best_that_snappy_can_do_is_below_the_limit(read):
    rows = [(b"k", b"\0" * 1_000_000)]
    packed = block(contents(rows), 1)
    assert 21 < 1_000_000 / len(packed) < 22
    assert read(table_of_blocks([packed], [b"z"])) == rows


def test_a_snappy_block_of_less_than_it_claims(refused):
    good = bytes(cramjam.snappy.compress_raw(contents(ROWS)))
    problem = refused(table_of_blocks([snappy_of(good[:-2])], [b"z"]))
    assert problem.startswith("expected a data block in snappy's form, got snappy: ")
    assert problem.endswith("at byte 0")


def test_an_empty_snappy_block(refused):
    assert refused(table_of_blocks([snappy_of(b"")], [b"z"])) == (
        "expected the uncompressed size of a block (a varint), got the end at byte 0"
    )
    assert refused(table_of_blocks([snappy_of(b"\0")], [b"z"])) == (
        "expected a block of 4 bytes at least, got 0 bytes at byte 0 of the uncompressed block at byte 0"
    )


def test_an_error_in_a_snappy_block_tells_the_place_in_it(refused):
    data = entry(0, 1, 0, b"k") + entry(2, 1, 0, b"k") + END
    assert refused(one_block(data, 1)) == (
        "expected a key that shares at most 1 bytes with the one before, got 2 at byte 4 "
        "of the uncompressed block at byte 0"
    )


def test_no_file(tmp_path):
    with pytest.raises(FormatError, match="expected a table, got no such file"):
        list(read_table(tmp_path / "none"))
