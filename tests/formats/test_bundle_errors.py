import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.errors import FormatError, UnsupportedError
from tests.fixture import FIXTURES

from .bundle_writer import STRING, VARIANT, entry, header, message, number, slice_key, table

HEADER = header()


# --- damage -----------------------------------------------------------------------------------------


def everything(prefix):
    return {name: tensor.numpy().tolist() for name, tensor in read_bundle(prefix).items()}


@pytest.fixture
def copy(tmp_path):
    """A fixture's checkpoint, copied: (prefix, index, data)."""

    def copy(name):
        for path in FIXTURES[name].path.glob("model.ckpt.*"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        return tmp_path / "model.ckpt", tmp_path / "model.ckpt.index", tmp_path / "model.ckpt.data-00000-of-00001"

    return copy


@pytest.mark.parametrize("name", ["add", "bundle_partitioned"])
def test_truncation_at_every_length(copy, name):
    prefix, index, data = copy(name)
    for path in index, data:
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(FormatError):
                read_bundle(prefix)
        path.write_bytes(whole)
    read_bundle(prefix)


@pytest.mark.parametrize(("name", "bits"), [("add", range(8)), ("bundle_partitioned", [0, 7])])
def test_a_flipped_bit_at_every_byte(copy, name, bits):
    """In the index only the metaindex block (13 bytes) and the footer may change, if nothing that is read does."""
    prefix, index, data = copy(name)
    expected = everything(prefix)
    whole = index.read_bytes()
    footer = len(whole) - 48
    size, shift, position = 0, 0, footer
    while True:  # the metaindex block's offset, the first varint of the footer
        size |= (whole[position] & 127) << shift
        if whole[position] < 128:
            break
        position, shift = position + 1, shift + 7
    unchecked = {*range(size, size + 13), *range(footer, footer + 40)}
    for path in index, data:
        whole = path.read_bytes()
        for position in range(len(whole)):
            for bit in bits:
                damaged = bytearray(whole)
                damaged[position] ^= 1 << bit
                path.write_bytes(damaged)
                try:
                    found = everything(prefix)
                except FormatError:
                    continue
                assert path == index, f"bit {bit} of byte {position} of the data went unnoticed"
                assert position in unchecked, f"bit {bit} of byte {position} of the index went unnoticed"
                assert found == expected
        path.write_bytes(whole)


def test_bytes_behind_the_data_do_not_matter(copy):
    prefix, _, data = copy("add")
    expected = everything(prefix)
    data.write_bytes(data.read_bytes() + b"more")
    assert everything(prefix) == expected


def test_data_that_are_damaged_say_whose(copy):
    prefix, _, data = copy("add")
    data.write_bytes(b"\0\0\x80\x3f\0\0\0\0")
    bundle = read_bundle(prefix)
    assert bundle["v1"].numpy() == [1]
    with pytest.raises(FormatError) as caught:
        bundle["v2"].numpy()
    assert caught.value.where == str(data)
    assert caught.value.problem.startswith("expected checksum ")
    assert " for 'v2', got " in caught.value.problem


# --- errors, one by one -----------------------------------------------------------------------------


@pytest.fixture
def refused(tmp_path):
    """The message for an index of these rows beside 100 bytes of data, the directory left out."""

    def refused(rows, *, first=HEADER, kind=FormatError):
        (tmp_path / "m.index").write_bytes(table([(b"", first), *sorted(rows.items())]))
        (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(100))
        with pytest.raises(kind) as caught:
            read_bundle(tmp_path / "m")
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refused


def test_no_index(tmp_path):
    with pytest.raises(FormatError) as caught:
        read_bundle(tmp_path / "m")
    assert str(caught.value) == f"{tmp_path}/m.index: expected a checkpoint's index, got no such file"


def test_no_header(tmp_path):
    for rows, got in ([(b"v", entry(1, (), size=4))], "b'v'"), ([], "None"):
        (tmp_path / "m.index").write_bytes(table(rows))
        with pytest.raises(FormatError) as caught:
            read_bundle(tmp_path / "m")
        assert str(caught.value) == f"{tmp_path}/m.index: expected the header under the empty key first, got {got}"


def test_a_header_that_is_none(refused):
    assert refused({}, first=b"\x08").startswith(
        "m.index: expected a BundleHeaderProto message, got 1 bytes that are none"
    )


def test_a_negative_number_of_shards(refused):
    assert refused({}, first=header(-1)) == "m.index: expected a number of shards, got -1"


def test_an_unknown_byte_order(refused):
    assert refused({}, first=header(1, 2)) == (
        "m.index: expected byte order 0 (little-endian) or 1 (big-endian), got 2"
    )


@pytest.mark.parametrize(("version", "least"), [(b"\x08\x02\x10\x02", 2), (b"\x08\x01\x18\x01", 0)])
def test_a_newer_version(refused, version, least):
    assert refused({}, first=header(version=version), kind=UnsupportedError) == (
        f"m.index: expected a bundle for readers of version 1, got one for {least} and later"
    )


def test_a_newer_producer_that_older_readers_may_read(tmp_path):
    (tmp_path / "m.index").write_bytes(table([(b"", header(version=b"\x08\x05\x10\x01"))]))
    assert len(read_bundle(tmp_path / "m")) == 0


def test_an_entry_that_is_none(refused):
    assert refused({b"v": b"\x08"}).startswith(
        "m.index: 'v': expected a BundleEntryProto message, got 1 bytes that are none"
    )


@pytest.mark.parametrize("shard", [1, -1, 2**31 - 1])
def test_a_shard_out_of_range(refused, shard):
    assert refused({b"v": entry(1, (), shard=shard, size=4)}) == (
        f"m.index: tensor 'v': expected a shard below 1, got shard {shard}"
    )


def test_a_missing_shard(refused):
    assert refused({b"v": entry(1, (), shard=2, size=4)}, first=header(3)) == (
        "m.data-00002-of-00003: expected the data shard 2 of 3, got no such file"
    )


def test_the_missing_shard_of_a_fixture(copy):
    prefix, _, data = copy("add")
    data.unlink()
    with pytest.raises(FormatError) as caught:
        read_bundle(prefix)
    assert str(caught.value) == f"{prefix}.data-00000-of-00001: expected the data shard 0 of 1, got no such file"


@pytest.mark.parametrize(("offset", "size"), [(97, 4), (101, 0), (-1, 4), (0, -4), (2**63 - 1, 4), (0, 2**63 - 1)])
def test_a_place_outside_of_the_shard(refused, offset, size):
    assert refused({b"v": entry(1, (), offset=offset, size=size)}) == (
        f"m.data-00000-of-00001: expected {size} bytes of 'v' at byte {offset}, got a file that ends at byte 100"
    )


@pytest.mark.parametrize("dtype", [0, 34, 101, -1])
def test_an_unknown_type(refused, dtype):
    assert refused({b"v": entry(dtype, (), size=4)}) == (
        f"m.index: tensor 'v': expected a type that TensorFlow saves, got number {dtype}"
    )


@pytest.mark.parametrize(
    ("shape", "size", "needed"), [((), 8, 4), ((3,), 8, 12), ((0, 5), 4, 0), ((2**61 - 1,), 4, 2**63 - 4)]
)
def test_a_size_that_is_not_the_shapes(refused, shape, size, needed):
    assert refused({b"v": entry(1, shape, size=size)}) == (
        f"m.index: tensor 'v': expected {needed} bytes of float32 {list(shape)}, got an entry of {size}"
    )


@pytest.mark.parametrize("shape", [(-1,), (2, -3), (-(2**63), 0)])
def test_a_negative_dimension(refused, shape):
    assert refused({b"v": entry(1, shape, size=4)}) == (
        f"m.index: tensor 'v': expected a known shape, got shape {list(shape)}"
    )


def test_an_unknown_rank(refused):
    value = number(1, 1) + message(2, number(3, 1)) + number(5, 4)
    assert refused({b"v": value}) == "m.index: tensor 'v': expected a known shape, got an unknown rank"


@pytest.mark.parametrize("shape", [(2**32, 2**31), (2**62, 0, 2**62), (2**63 - 1, 2)])
def test_a_shape_that_overflows(refused, shape):
    assert refused({b"v": entry(1, shape, size=0)}) == (
        f"m.index: tensor 'v': expected a shape below 2**63 bytes, got shape {list(shape)}"
    )


def test_more_dimensions_than_arrays_have(refused):
    assert refused({b"v": entry(1, (1,) * 33, size=4)}, kind=UnsupportedError) == (
        "m.index: tensor 'v': expected at most 32 dimensions, got 33"
    )


def test_more_strings_than_bytes(refused):
    assert refused({b"v": entry(STRING, (6,), size=5)}) == (
        "m.index: tensor 'v': expected a byte at least for each string of [6], got an entry of 5"
    )


def test_a_variant_outside_of_its_shard(refused):
    assert "expected 101 bytes of 'v' at byte 0" in refused({b"v": entry(VARIANT, (), size=101)})


@pytest.mark.parametrize("extents", [[(0, 1)], [(0, 1)] * 3, []])
def test_a_slice_of_another_rank(refused, extents):
    assert refused({b"v": entry(1, (2, 2), slices=[[(0, 1), (0, 2)], extents])}).startswith(
        "m.index: tensor 'v': expected an entry for its slice [0:1, 0:2], got none"
    )
    assert refused({b"v": entry(1, (2, 2), slices=[extents])}) == (
        f"m.index: tensor 'v': expected slices of 2 dimensions, got one of {len(extents)}"
    )


@pytest.mark.parametrize(
    ("extent", "text"),
    [((3, 2), "[3:5]"), ((-1, 2), "[-1:1]"), ((1, -1), "[1:0]"), ((0, -2), "[0:-2]"), ((5, 0), "[5:5]")],
)
def test_a_slice_outside_of_its_tensor(refused, extent, text):
    assert refused({b"v": entry(1, (4,), slices=[[extent]])}) == (
        f"m.index: tensor 'v': expected slices within [4], got {text}"
    )


def test_a_slice_without_an_entry(refused):
    rows = {b"v": entry(1, (4,), slices=[[(0, 2)], [(2, 2)]]), slice_key(b"v", [(0, 2)]): entry(1, (2,), size=8)}
    assert refused(rows) == "m.index: tensor 'v': expected an entry for its slice [2:4], got none"


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (entry(1, (3,), size=12), "float32 [3]"),
        (entry(1, (2, 1), size=8), "float32 [2, 1]"),
        (entry(3, (2,), size=8), "int32 [2]"),
    ],
)
def test_a_slice_that_is_not_what_its_tensor_says(refused, value, got):
    rows = {b"v": entry(1, (4,), slices=[[(0, 2)]]), slice_key(b"v", [(0, 2)]): value}
    assert refused(rows) == f"m.index: tensor 'v': expected float32 [2] for its slice [0:2], got {got}"


def test_a_slice_of_a_slice(refused):
    rows = {b"v": entry(1, (4,), slices=[[(0, 2)]])}
    rows[slice_key(b"v", [(0, 2)])] = entry(1, (2,), size=8, slices=[[(0, 1)]])
    assert refused(rows) == (
        "m.index: tensor 'v': expected an entry with data for its slice [0:2], got one that lists slices"
    )


def test_a_slice_outside_of_the_data(refused):
    rows = {b"v": entry(1, (4,), slices=[[(0, 2)]]), slice_key(b"v", [(0, 2)]): entry(1, (2,), offset=96, size=8)}
    assert refused(rows) == (
        "m.data-00000-of-00001: expected 8 bytes of 'v [0:2]' at byte 96, got a file that ends at byte 100"
    )


def test_a_slice_that_no_tensor_lists(refused):
    rows = {b"v": entry(1, (), size=4), slice_key(b"v", [(0, 2)]): entry(1, (2,), size=8)}
    assert refused(rows) == (
        "m.index: tensor 'v': expected an entry that lists each of its slices, got a slice that none lists"
    )


def test_a_slice_key_that_is_none(refused):
    assert refused({b"\0v": entry(1, (2,), size=8)}) == (
        "m.index: expected a string that ends in 00 01, got the end at byte 1 of the key b'\\x00v'"
    )


def test_slices_listed_twice_overlap(tmp_path):
    rows = {b"v": entry(1, (2,), slices=[[(0, 2)], [(0, 2)]]), slice_key(b"v", [(0, 2)]): entry(1, (2,), size=8)}
    (tmp_path / "m.index").write_bytes(table([(b"", header()), *sorted(rows.items())]))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(100))
    with pytest.raises(FormatError, match=r"got 2 pieces for \[0:2\]"):
        read_bundle(tmp_path / "m")["v"].numpy()


@given(st.dictionaries(st.binary(min_size=1, max_size=12), st.binary(max_size=40), max_size=4))
def test_no_entries_break_the_reader(tmp_path_factory, rows):
    """Entries of anything: they are read, or there is one error of ours."""
    directory = tmp_path_factory.mktemp("b")
    (directory / "m.index").write_bytes(table([(b"", header()), *sorted(rows.items())]))
    (directory / "m.data-00000-of-00001").write_bytes(bytes(100))
    try:
        for tensor in read_bundle(directory / "m").values():
            tensor.numpy()
    except (FormatError, UnsupportedError):
        pass


FIELDS = st.tuples(
    st.sampled_from([1, 3, 7, 9, 21, 99]), st.lists(st.integers(-1, 4), max_size=3), st.integers(-1, 2),
    st.integers(-1, 110), st.integers(-1, 40),
)  # fmt: skip


@given(
    st.lists(FIELDS, max_size=4),
    st.lists(st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5)), max_size=2), max_size=3),
)
def test_no_values_break_the_reader(tmp_path_factory, entries, slices):
    """Entries that are nearly right."""
    directory = tmp_path_factory.mktemp("b")
    rows = {b"v%d" % i: entry(d, s, shard=n, offset=o, size=z) for i, (d, s, n, o, z) in enumerate(entries)}
    rows[b"w"] = entry(1, (4,) * (len(slices[0]) if slices else 1), slices=slices)
    for extents in slices:
        if all(start >= 0 and length >= -1 for start, length in extents):
            rows[slice_key(b"w", extents)] = entry(1, [n % 5 for _, n in extents], size=4)
    (directory / "m.index").write_bytes(table([(b"", header()), *sorted(rows.items())]))
    (directory / "m.data-00000-of-00001").write_bytes(bytes(100))
    try:
        for tensor in read_bundle(directory / "m").values():
            tensor.numpy()
    except (FormatError, UnsupportedError):
        pass
