"""gather: elements in any order of memory, beside numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.gather import BLOCK, blocks, merged, restrided, row_major


def gathered(array):
    found = [np.array(block) for block in blocks(array)]
    assert all(block.flags.c_contiguous for block in blocks(array))
    return np.concatenate([block.reshape(-1) for block in found])


@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        ((1024, 1024), (1, 0)),
        ((700, 900), (1, 0)),
        ((20_000, 100), (1, 0)),
        ((3, 400_000), (1, 0)),
        ((400_000, 3), (1, 0)),
        ((3, 3, 128, 256), (3, 2, 0, 1)),
        ((3, 3, 512, 1), (2, 3, 0, 1)),
        ((64, 64, 64), (0, 2, 1)),
        ((2, 900, 700), (0, 2, 1)),
        ((10, 20, 30, 40), (1, 3, 0, 2)),
    ],
)
def test_transposed(shape, perm):
    array = np.arange(math.prod(shape), dtype=np.int32).reshape(shape).transpose(perm)
    assert np.array_equal(gathered(array), array.reshape(-1))


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float64, np.complex128])
def test_elements_of_any_width(dtype):
    array = (np.arange(300 * 400) % 97).astype(dtype).reshape(300, 400)
    for each in (array.T, array[::-1, ::-1], array[:, ::3], array[::2].T[::-1]):
        assert gathered(each).tobytes() == each.tobytes()


def test_blocks_are_small():
    array = np.zeros((2048, 2048), np.float32)
    for each in (array, array.T, array[:, 1:], array[::-1, ::-1]):
        assert max(block.nbytes for block in blocks(each)) <= BLOCK


def test_memory_is_not_copied_where_it_lies_in_order():
    array = np.zeros((2048, 2048), np.float32)
    assert all(np.shares_memory(block, array) for block in blocks(array[100:200]))


@st.composite
def layouts(draw):
    """An array's view of some other order."""
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=5))
    array = np.arange(math.prod(shape)).reshape(shape)
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    where = tuple(slice(draw(st.integers(0, size - 1)), None, draw(st.sampled_from([1, 2]))) for size in array.shape)
    array = array[where]
    return np.flip(array, draw(st.sets(st.integers(0, array.ndim - 1)).map(tuple)))


def strides(array):
    return [stride // array.itemsize for stride in array.strides]


@given(layouts())
def test_any_layout(array):
    assert np.array_equal(gathered(array), array.reshape(-1))


@given(layouts())
def test_merging_keeps_the_order(array):
    found = merged(array.shape, strides(array))
    places = np.zeros((), int)
    for size, stride in found:
        places = places[..., None] + stride * np.arange(size)
    assert np.array_equal(places.reshape(-1) + array.reshape(-1)[0], array.reshape(-1))
    assert all(size > 1 for size, _ in found)
    assert len(found) <= array.ndim


@given(layouts(), st.data())
def test_another_shape(array, data):
    to, left = [], array.size
    while left > 1:
        to.append(data.draw(st.sampled_from([n for n in range(2, left + 1) if left % n == 0])))
        left //= to[-1]
    to = data.draw(st.permutations([*to, 1]))
    found = restrided(array.shape, strides(array), to)
    try:
        view = array.view()
        view.shape = to
    except AttributeError:
        assert found is None
    else:
        kept = [(size, stride) for size, stride in zip(to, strides(view), strict=True) if size > 1]
        assert found is not None
        assert [(size, stride) for size, stride in zip(to, found, strict=True) if size > 1] == kept


def test_row_major():
    assert row_major([2, 3, 4]) == (12, 4, 1)
    assert row_major([]) == ()
