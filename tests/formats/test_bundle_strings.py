import struct

import numpy as np
import pytest
from crc32c import crc32c

from tensorferry.formats.bundle_strings import StringTensor
from tensorferry.formats.errors import FormatError, UnsupportedError

from .bundle_writer import masked


@pytest.fixture
def stored(tmp_path):
    """A StringTensor over bytes, its checksum right unless given."""
    path = tmp_path / "x.data"

    def stored(shape, lengths, sizes, text, *, order="<", crc=None, lengths_crc=None):
        """`lengths` as varints in the file, `sizes` as the numbers that the checksum is over."""
        sum_ = crc32c(sizes)
        rest = struct.pack(order + "I", masked(sum_) if lengths_crc is None else lengths_crc) + text
        data = b"....." + lengths + rest
        path.write_bytes(data + b"!!!")
        crc = crc32c(rest, sum_) if crc is None else crc
        return StringTensor(shape, path, 5, len(data) - 5, name="s", crc32c=crc, big_endian=order == ">")

    return stored


def test_strings_spelled_out(stored):
    found = stored((2, 2), b"\x01\x00\x03\x02", struct.pack("<4I", 1, 0, 3, 2), b"abcd\0\xff")
    assert found.shape == (2, 2)
    assert found.dtype.name == "string"
    assert found.numpy().tolist() == [[b"a", b""], [b"bcd", b"\0\xff"]]


def test_the_checksum_of_lengths_is_in_the_files_byte_order(stored):
    found = stored((2,), b"\x01\x02", struct.pack(">2I", 1, 2), b"abc", order=">")
    assert found.numpy().tolist() == [b"a", b"bc"]


def test_lengths_are_varints_and_count_as_four_bytes(stored):
    found = stored((), b"\xb0\xea\x01", struct.pack("<I", 30_000), b"x" * 30_000)
    assert found.numpy() == np.array(b"x" * 30_000, object)


def test_no_strings(stored):
    assert stored((0, 3), b"", b"", b"").numpy().shape == (0, 3)


def test_no_strings_and_no_bytes_either(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    assert StringTensor((0,), tmp_path / "x", 0, 0, name="s", crc32c=0).numpy().tolist() == []


def test_shape_and_size_cost_no_reading():
    found = StringTensor((3,), "/nowhere", 0, 10, name="s", crc32c=0)
    assert (found.shape, found.size, found.nbytes) == ((3,), 3, 0)
    with pytest.raises(UnsupportedError, match="expected a type of fixed width, got string"):
        next(found.chunks())


def refused(tensor):
    with pytest.raises(FormatError) as caught:
        tensor.numpy()
    assert caught.value.where == str(tensor.path)
    return caught.value.problem


def test_a_checksum_of_lengths_that_differs(stored):
    assert refused(stored((1,), b"\x01", struct.pack("<I", 2), b"a")).startswith(
        f"expected checksum {crc32c(struct.pack('<I', 2)):08x} for the lengths of 's', "
        f"got {crc32c(struct.pack('<I', 1)):08x}: the data are damaged"
    )


def test_a_checksum_of_strings_that_differs(stored):
    assert refused(stored((1,), b"\x01", struct.pack("<I", 1), b"a", crc=7)).startswith(
        "expected checksum 00000007 for 's', got "
    )


@pytest.mark.parametrize("text", [b"", b"ab", b"abcd"])
def test_strings_of_another_size_than_the_lengths(stored, text):
    found = stored((2,), b"\x01\x02", struct.pack("<2I", 1, 2), text)
    assert refused(found) == f"expected the 2 strings of 's' (3 bytes), got {len(text)} bytes at byte 11"


def test_a_length_beyond_the_end(stored):
    size = 2**63
    found = stored((1,), b"\x80" * 9 + b"\x01", struct.pack("<Q", size), b"a")
    assert refused(found) == f"expected the 1 strings of 's' ({size} bytes), got 1 bytes at byte 19"


def test_lengths_that_end_early(stored):
    assert refused(stored((9,), b"\x01", struct.pack("<I", 1), b"a")).startswith(
        "expected a string's length in 's' (a varint"
    )


def test_no_room_for_the_checksum(tmp_path):
    (tmp_path / "x").write_bytes(b"\0\0\0")
    assert refused(StringTensor((2,), tmp_path / "x", 0, 3, name="s", crc32c=0)) == (
        "expected the checksum of the lengths in 's' (4 bytes), got 1 bytes and the end at byte 2"
    )


def test_a_file_that_ends_early(tmp_path):
    (tmp_path / "x").write_bytes(b"\0\0\0")
    assert refused(StringTensor((2,), tmp_path / "x", 1, 30, name="s", crc32c=0)) == (
        "expected the strings of 's' (30 bytes) at byte 1, got the end of the file at byte 3"
    )


def test_no_file(tmp_path):
    assert refused(StringTensor((2,), tmp_path / "x", 1, 30, name="s", crc32c=0)) == (
        "expected the data of 's', got no such file"
    )
