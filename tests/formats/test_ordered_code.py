import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import table
from tensorferry.formats.binary import Window
from tensorferry.formats.errors import FormatError
from tensorferry.formats.ordered_code import (
    SliceKey,
    decode_number,
    decode_signed,
    decode_slice_key,
    decode_string,
    encode_number,
    encode_signed,
    encode_slice_key,
    encode_string,
)
from tests.fixture import FIXTURES

INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = sorted(
    {sign * 2**power + step for power in range(64) for step in (-1, 0, 1) for sign in (1, -1)}
    - {2**63, 2**63 + 1, -(2**63) - 1}
)


def keys_of(name):
    return [key for key, _ in table.read_table(f"{FIXTURES[name].prefix}.index") if key.startswith(b"\0")]


# --- TensorFlow's own bytes -------------------------------------------------------------------------


def test_the_keys_that_tensorflow_wrote():
    """fixtures/bundle_partitioned: fixture.json lists what was saved, the index holds TensorFlow's encoding of it."""
    saved = FIXTURES["bundle_partitioned"].about["slices"]
    expected = {encode_slice_key(name.encode(), box) for name, boxes in saved.items() for box in boxes}
    assert set(keys_of("bundle_partitioned")) == expected


def test_the_keys_that_tensorflow_wrote_are_read():
    saved = FIXTURES["bundle_partitioned"].about["slices"]
    found = {decode_slice_key(key, "f") for key in keys_of("bundle_partitioned")}
    assert found == {SliceKey(n.encode(), tuple(map(tuple, box))) for n, boxes in saved.items() for box in boxes}


def test_a_slice_far_out():
    """fixtures/bundle_odd: "far" begins at row 1099511627000; "partial" has an extent without a length, -1."""
    assert [decode_slice_key(key, "f") for key in keys_of("bundle_odd")] == [
        SliceKey(b"far", ((1099511627000, 2), (0, 4))),
        SliceKey(b"partial", ((0, 2), (0, -1))),
        SliceKey(b"partial", ((5, 2), (0, -1))),
    ]
    key = encode_slice_key(b"far", [(1099511627000, 2), (0, 4)])
    assert key == b"\x00far\x00\x01\x01\x02\xfc\xff\xff\xff\xfc\xf8\x82\x80\x84"


# --- by hand, from the description ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (1, "01 01"), (255, "01 ff"), (256, "02 01 00"), (2**64 - 1, "08" + " ff" * 8)],
)
def test_numbers(value, encoded):
    assert encode_number(value).hex(" ") == encoded
    assert decode_number(Window(bytes.fromhex(encoded), "f")) == value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (b"", "00 01"),
        (b"ab", "61 62 00 01"),
        (b"\0", "00 ff 00 01"),
        (b"\xff", "ff 00 00 01"),
        (b"\0\xff\x01\xff\0", "00 ff ff 00 01 ff 00 00 ff 00 01"),
    ],
)
def test_strings(value, encoded):
    assert encode_string(value).hex(" ") == encoded
    window = Window(bytes.fromhex(encoded) + b"more", "f")
    assert decode_string(window) == value
    assert window.left == 4


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "80"),
        (1, "81"),
        (63, "bf"),
        (64, "c0 40"),
        (8191, "df ff"),
        (8192, "e0 20 00"),
        (-1, "7f"),
        (-64, "40"),
        (-65, "3f bf"),
        (-8192, "20 00"),
        (-8193, "1f df ff"),
        (2**55 - 1, "ff 7f ff ff ff ff ff ff"),
        (2**55, "ff 80 80 00 00 00 00 00 00"),
        (2**63 - 1, "ff c0 7f ff ff ff ff ff ff ff"),
        (-(2**63), "00 3f 80 00 00 00 00 00 00 00"),
    ],
)
def test_signed_numbers(value, encoded):
    assert encode_signed(value).hex(" ") == encoded
    assert decode_signed(Window(bytes.fromhex(encoded), "f")) == value


# --- laws -------------------------------------------------------------------------------------------


@given(INT64)
def test_a_signed_number_comes_back(value):
    window = Window(encode_signed(value) + b"\x81", "f")
    assert decode_signed(window) == value
    assert window.left == 1


@pytest.mark.parametrize("value", EDGES)
def test_signed_numbers_at_the_edges(value):
    assert decode_signed(Window(encode_signed(value), "f")) == value


def test_signed_numbers_sort_as_they_do():
    assert [encode_signed(value) for value in EDGES] == sorted(encode_signed(value) for value in EDGES)


@given(INT64, INT64)
def test_encoded_numbers_sort_as_they_do(a, b):
    assert (encode_signed(a) < encode_signed(b)) == (a < b)
    assert (encode_number(a % 2**64) < encode_number(b % 2**64)) == (a % 2**64 < b % 2**64)


NAMES = st.lists(st.sampled_from([b"\0", b"\x01", b"\xff", b"a", b"\xfe"]), max_size=8).map(b"".join)


@given(NAMES, NAMES)
def test_encoded_strings_sort_as_they_do_whatever_follows(a, b):
    assert (encode_string(a) + b"\xff" < encode_string(b)) == (a < b)


@given(NAMES | st.binary(max_size=20), st.lists(st.tuples(INT64, INT64), max_size=5))
def test_a_slice_key_comes_back(name, extents):
    assert decode_slice_key(encode_slice_key(name, extents), "f") == SliceKey(name, tuple(extents))


@given(st.binary(max_size=30))
def test_what_is_decoded_is_encoded_as_it_was(data):
    """One key, one encoding: so looking a slice up by its encoded key can't miss it."""
    try:
        key = decode_slice_key(b"\0" + data, "f")
    except FormatError:
        return
    assert encode_slice_key(key.name, key.extents) == b"\0" + data


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (b"", "expected the size of a number (1 bytes), got 0 bytes and the end at byte 0"),
        (b"\x01\x05", "expected the key of a slice, which begins with 0, got 1 at byte 0"),
        (b"\x09", "expected a number of 8 bytes at most, got 9 bytes at byte 0"),
        (b"\x02\x00\x05", "expected a number without leading zeros, got 5 in 2 bytes at byte 0"),
        (b"\x00name", "expected a string that ends in 00 01, got the end at byte 1"),
        (b"\x00name\x00", "expected a string that ends in 00 01, got the end at byte 1"),
        (b"\x00na\xff\x01", "expected 00 ff, ff 00 or 00 01 (the end) in a string, got ff 01 at byte 3"),
        (b"\x00n\x00\x01", "expected the size of a number (1 bytes), got 0 bytes and the end at byte 4"),
        (b"\x00n\x00\x01\x01\xff", "expected a slice of 254 dimensions at most, got 255 at byte 6"),
        (b"\x00n\x00\x01\x01\x01\x80", "expected a signed number (1 bytes), got 0 bytes and the end at byte 7"),
        (b"\x00n\x00\x01\x01\x01\x80\xc0", "expected a signed number (2 bytes), got 1 bytes and the end at byte 7"),
        (
            b"\x00n\x00\x01\x01\x01\x80\xc0\x01",
            "expected a signed number of 64 bits in its shortest form, got c0 01 at byte 7",
        ),
        (
            b"\x00n\x00\x01\x01\x01\x80\xff\xdf" + b"\xff" * 8,
            "expected a signed number of 64 bits in its shortest form, got ff df ff ff ff ff ff ff ff ff at byte 7",
        ),
        (b"\x00n\x00\x01\x00\x80", "expected the end of a slice's key of 0 dimensions, got 1 bytes more at byte 5"),
    ],
)
def test_keys_that_are_none(key, problem):
    with pytest.raises(FormatError) as caught:
        decode_slice_key(key, "some.index")
    assert str(caught.value) == f"some.index: {problem} of the key {key!r}"
