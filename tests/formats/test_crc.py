"""Expected values: the test vectors of RFC 3720, B.4, and those of LevelDB's mask, worked out by hand below."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.crc import combined, crc32c, mask, unmask


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_vectors(data, crc):
    assert crc32c(data) == crc
    assert crc32c(memoryview(bytearray(data))) == crc


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_continuing_is_joining(a, b):
    assert crc32c(b, crc32c(a)) == crc32c(a + b)


@pytest.mark.parametrize(
    ("crc", "masked"),
    [
        (0, 0xA282EAD8),
        # 1 rotated right by 15 is 1 << 17
        (1, 0xA282EAD8 + (1 << 17)),
        # the top bit goes to bit 16
        (0x80000000, 0xA282EAD8 + (1 << 16)),
        # all ones stay so, and adding them subtracts one
        (0xFFFFFFFF, 0xA282EAD7),
    ],
)
def test_mask(crc, masked):
    assert mask(crc) == masked
    assert unmask(masked) == crc


@given(st.integers(0, 0xFFFFFFFF))
def test_unmask_is_the_inverse(crc):
    assert unmask(mask(crc)) == crc
    assert 0 <= mask(crc) <= 0xFFFFFFFF


@pytest.mark.parametrize("length", [0, 1, 7, 4096, 1_000_003])
def test_checksums_of_two_stretches_make_that_of_both(length):
    first, second = b"123456789", bytes(n * 7 & 255 for n in range(length))
    assert combined(crc32c(first), crc32c(second), length) == crc32c(first + second)
    assert combined(0, crc32c(second), length) == crc32c(second)
