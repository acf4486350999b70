"""What is different between two tensors."""

import numpy as np
import pytest

from tensorferry.converters.difference import Difference, diff_tensors
from tensorferry.formats.dtype import BFLOAT16, DTYPES, FLOAT32, INT8
from tensorferry.formats.tensor import ArrayTensor, SplatTensor, Tensor


def tensor(values, dtype=np.float32):
    return ArrayTensor(np.array(values, dtype))


class Chunked(Tensor):
    """A tensor of bytes that arrives in pieces of given sizes."""

    def __init__(self, data, sizes):
        super().__init__(INT8, (len(data),))
        self.data, self.sizes, self.ended = data, sizes, False

    def numpy(self):
        return np.frombuffer(self.data, np.int8)

    def chunks(self):
        at = 0
        for size in self.sizes:
            yield self.data[at : at + size]
            at += size
        self.ended = True


def differ(a, b, **tolerance):
    found = diff_tensors("x", a, b, **tolerance)
    return None if found is None else (found.reason, found.largest)


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (tensor([1, 2]), tensor([1, 2]), None),
        (tensor([1, 2]), tensor([1, 2], np.float64), ("float32 against float64", None)),
        (tensor([1, 2]), tensor([[1, 2]]), ("shape [2] against [1, 2]", None)),
        (tensor([1, 2]), tensor([1, 3]), ("1 of 2 differ", 1.0)),
        (tensor([0.0]), tensor([-0.0]), ("the same values in different bytes (signs of zero or kinds of NaN)", 0.0)),
        (tensor([np.nan, 1]), tensor([np.nan, 1]), None),
        (tensor([np.inf, 1]), tensor([np.inf, 1]), None),
        (tensor([np.inf]), tensor([-np.inf]), ("1 of 1 differ", np.inf)),
        (tensor([1, 5], np.uint8), tensor([1, 250], np.uint8), ("1 of 2 differ", 245.0)),
        (tensor([-128], np.int8), tensor([127], np.int8), ("1 of 1 differ", 255.0)),
        (tensor([True, False], bool), tensor([False, True], bool), ("2 of 2 differ", 1.0)),
        (tensor([3 + 4j], np.complex64), tensor([0], np.complex64), ("1 of 1 differ", 5.0)),
        (tensor([b"a", b"b"], object), tensor([b"a", b"c"], object), ("1 of 2 strings differ", None)),
        (tensor([b"a"], object), tensor([b"a"], object), None),
        (tensor(b"a", object), tensor(b"b", object), ("1 of 1 strings differ", None)),
        (tensor([[]]), tensor([[]]), None),
        (tensor([-(2**63)], np.int64), tensor([2**63 - 1], np.int64), ("1 of 1 differ", 2.0**64)),
        (tensor([0], np.uint64), tensor([2**64 - 1], np.uint64), ("1 of 1 differ", 2.0**64)),
        (tensor([2**53 + 1], np.int64), tensor([2**53], np.int64), ("1 of 1 differ", 1.0)),
    ],
    ids=str,
)
def test_values(a, b, found):
    assert differ(a, b) == found
    assert (differ(b, a) is None) == (found is None)


def test_nan_against_a_number():
    reason, largest = differ(tensor([np.nan, 1]), tensor([2, 1]))
    assert reason == "1 of 2 differ"
    assert np.isnan(largest)


def test_two_kinds_of_nan_differ_in_bytes():
    quiet, payload = (np.array([bits], np.uint32).view(np.float32) for bits in (0x7FC00000, 0x7FC00001))
    reason = "the same values in different bytes (signs of zero or kinds of NaN)"
    assert differ(ArrayTensor(quiet), ArrayTensor(payload)) == (reason, 0.0)
    assert differ(ArrayTensor(quiet), ArrayTensor(payload), atol=1e-9) is None


class TestTolerance:
    def test_absolute(self):
        assert differ(tensor([1.0]), tensor([1.25]), atol=0.25) is None
        assert differ(tensor([1.0]), tensor([1.5]), atol=0.25) == ("1 of 1 differ", 0.5)

    def test_relative_to_the_second(self):
        assert differ(tensor([3.0]), tensor([4.0]), rtol=0.25) is None
        assert differ(tensor([4.0]), tensor([3.0]), rtol=0.25) == ("1 of 1 differ", 1.0)

    def test_both_add_up(self):
        assert differ(tensor([2.0]), tensor([4.0]), rtol=0.25, atol=1) is None

    def test_counts_are_of_what_lies_beyond(self):
        assert differ(tensor([1.0, 2.0, 3.0]), tensor([1.0, 2.1, 5.0]), atol=0.5) == ("1 of 3 differ", 2.0)

    def test_narrow_floats(self):
        a = ArrayTensor(np.array([1.0, 2.0]).astype(BFLOAT16.numpy()))
        b = ArrayTensor(np.array([1.0, 2.5]).astype(BFLOAT16.numpy()))
        assert differ(a, b) == ("1 of 2 differ", 0.5)
        assert differ(a, b, atol=0.5) is None

    @pytest.mark.parametrize(
        "name", sorted(name for name, dtype in DTYPES.items() if dtype.is_plain and name != "bool")
    )
    def test_every_type_of_numbers(self, name):
        dtype = DTYPES[name]
        a, b = (ArrayTensor(np.array(values).astype(dtype.numpy()), dtype) for values in ([1, 0], [1, 1]))
        assert differ(a, a) is None
        assert differ(a, b) == ("1 of 2 differ", 1.0)

    def test_integers_have_none(self):
        assert differ(tensor([1], np.int32), tensor([2], np.int32), rtol=1, atol=10) == ("1 of 1 differ", 1.0)
        assert differ(tensor([True], bool), tensor([False], bool), atol=10) == ("1 of 1 differ", 1.0)

    def test_nan_is_never_near_a_number(self):
        assert differ(tensor([np.nan]), tensor([1.0]), atol=np.inf) is not None


class TestBytes:
    @pytest.mark.parametrize("sizes_a", [[6], [1, 5], [3, 3], [2, 2, 2]])
    @pytest.mark.parametrize("sizes_b", [[6], [5, 1], [2, 4]])
    def test_chunks_of_any_size(self, sizes_a, sizes_b):
        a, b, c = Chunked(b"abcdef", sizes_a), Chunked(b"abcdef", sizes_b), Chunked(b"abcdeF", sizes_b)
        assert diff_tensors("x", a, b) is None
        assert diff_tensors("x", a, c) == Difference("x", "1 of 6 differ", 32.0)

    def test_both_streams_run_to_their_end(self):
        """Their checksums are compared there."""
        a, b = Chunked(b"Xbcdef", [1] * 6), Chunked(b"abcdef", [2] * 3)
        assert diff_tensors("x", a, b) == Difference("x", "1 of 6 differ", 9.0)
        assert a.ended
        assert b.ended

    def test_a_terabyte_of_one_value_is_not_held_in_memory(self):
        a = SplatTensor(np.array(1, np.float32), (5_000_000,), FLOAT32)
        b = ArrayTensor(np.broadcast_to(np.float32(1), (5_000_000,)))
        assert diff_tensors("x", a, b) is None


def test_what_is_above_the_bits_of_a_narrow_integer_does_not_count():
    import ml_dtypes

    a, b, c = (ArrayTensor(np.frombuffer(data, ml_dtypes.int4)) for data in (b"\xf8\x07", b"\x08\x07", b"\x08\x06"))
    assert diff_tensors("x", a, b) is None
    assert diff_tensors("x", a, c) == Difference("x", "1 of 2 differ", 1.0)


def test_differences_far_apart_are_counted_together():
    a = np.zeros(3_000_000, np.float32)
    b = a.copy()
    b[[0, 1_500_000, 2_999_999]] = [1, 3, 2]
    assert differ(FileLike(a), FileLike(b)) == ("3 of 3000000 differ", 3.0)
    b[1_500_000] = np.nan
    reason, largest = differ(FileLike(a), FileLike(b))
    assert reason == "3 of 3000000 differ"
    assert np.isnan(largest)


class FileLike(ArrayTensor):
    """An array whose bytes come in pieces of 1 MB."""

    def chunks(self):
        data = memoryview(self.numpy()).cast("B")
        for start in range(0, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]
