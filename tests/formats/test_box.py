"""Expected values: numpy's slices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.box import BoxTensor, box_of
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, SplatTensor

WHOLE = np.arange(7 * 5 * 3, dtype=np.float32).reshape(7, 5, 3)


@given(st.data())
def test_any_box(data):
    box = tuple(tuple(sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size))))) for size in WHOLE.shape)
    expected = WHOLE[tuple(slice(*edges) for edges in box)]
    found = box_of(ArrayTensor(WHOLE), box)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.tobytes() == expected.tobytes()


def test_rows_are_streamed():
    """Of a tensor that would not fit into memory."""
    splat = SplatTensor(np.float32(2), (1 << 20, 1 << 8), FLOAT32)
    found = box_of(splat, ((1000, 1003), (0, 1 << 8)))
    assert found.tobytes() == np.full((3, 1 << 8), 2, np.float32).tobytes()


def test_the_whole_is_itself():
    whole = ArrayTensor(WHOLE)
    assert box_of(whole, ((0, 7), (0, 5), (0, 3))) is whole


def test_a_piece_as_it_is_stored():
    parts = [Part((0, 0, 0), ArrayTensor(WHOLE[:4])), Part((4, 0, 0), ArrayTensor(WHOLE[4:]))]
    whole = SlicedTensor(FLOAT32, WHOLE.shape, parts, name="w")
    assert box_of(whole, ((4, 7), (0, 5), (0, 3))) is parts[1].tensor
    found = box_of(whole, ((3, 5), (0, 5), (0, 3)))
    assert isinstance(found, BoxTensor)
    np.testing.assert_array_equal(found.numpy(), WHOLE[3:5])


def test_scalars():
    assert box_of(ArrayTensor(np.float32(3).reshape(())), ()).tobytes() == np.float32(3).tobytes()


def test_an_array_of_its_own():
    """Nobody can change the whole through a part."""
    whole = WHOLE.copy()
    box_of(ArrayTensor(whole), ((0, 2), (0, 5), (0, 3))).numpy()[:] = -1
    np.testing.assert_array_equal(whole, WHOLE)


def test_strings_have_no_bytes():
    texts = np.array([b"a", b"bc", b"d"], object)
    found = box_of(ArrayTensor(texts), ((1, 3),))
    assert found.numpy().tolist() == [b"bc", b"d"]
    with pytest.raises(UnsupportedError, match="expected a type of fixed width, got string"):
        found.tobytes()
