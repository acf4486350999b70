"""Prints of tensors: sums that no layout and no division into pieces changes."""

from collections.abc import Iterator

import numpy as np
import pytest

from tensorferry.converters.drafting.prints import mixed, print_of, running_sums
from tensorferry.formats.tensor import ArrayTensor

NUMBERS = np.random.default_rng(0).standard_normal((30, 20), np.float32)
ODD = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, 3.4e38, 1.0] * 5, np.float32)


class Pieces(ArrayTensor):
    """A tensor that is read in pieces of 7 bytes, as from a slow stream."""

    def chunks(self) -> Iterator[memoryview]:
        data = memoryview(self.numpy().tobytes())
        yield from (data[place : place + 7] for place in range(0, len(data), 7))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("array", [NUMBERS, ODD], ids=["numbers", "infinite and none"])
def test_the_sum_of_pieces_wraps_around_in_silence(array: np.ndarray) -> None:
    total = sum(int(number) for number in mixed(array.view(np.uint32).reshape(-1)))
    assert total >= 1 << 64
    found = print_of(Pieces(array))
    assert found is not None
    assert found.total == total % (1 << 64)


def total_of(array: np.ndarray) -> int:
    found = print_of(ArrayTensor(array))
    assert found is not None
    return found.total


@pytest.mark.filterwarnings("error")
def test_layouts_and_parts() -> None:
    assert total_of(NUMBERS) == total_of(NUMBERS.T) == total_of(NUMBERS.reshape(20, 30))
    sums = [int(total) for total in running_sums(NUMBERS, 0)]
    assert (sums[20] - sums[10]) % (1 << 64) == total_of(NUMBERS[10:20])
    assert total_of(NUMBERS) != total_of(NUMBERS + 1)
