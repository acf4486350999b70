import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import sliced
from tensorferry.formats.dtype import FLOAT32, INT64, STRING_TYPE
from tensorferry.formats.errors import FormatError, UnsupportedError
from tensorferry.formats.sliced import Part, SlicedTensor, first_fault, refuse_incomplete
from tensorferry.formats.tensor import ArrayTensor

WHOLE = np.arange(7 * 5 * 3, dtype=np.float32).reshape(7, 5, 3)


def cut(whole, boxes):
    """The parts of `whole` in `boxes`, (first, end) along each axis."""
    return [
        Part(tuple(f for f, _ in box), ArrayTensor(whole[tuple(slice(*edges) for edges in box)].copy()))
        for box in boxes
    ]


def tensor(whole, boxes, dtype=FLOAT32):
    return SlicedTensor(dtype, whole.shape, cut(whole, boxes), name="w", path="x.index")


def grid(*cuts):
    return list(itertools.product(*([(a, b) for a, b in itertools.pairwise(axis)] for axis in cuts)))


LAYOUTS = {
    "whole": grid([0, 7], [0, 5], [0, 3]),
    "rows": grid([0, 1, 4, 7], [0, 5], [0, 3]),
    "columns": grid([0, 7], [0, 2, 5], [0, 3]),
    "last axis": grid([0, 7], [0, 5], [0, 1, 2, 3]),
    "grid": grid([0, 3, 7], [0, 1, 5], [0, 2, 3]),
    "reversed": grid([0, 3, 7], [0, 1, 5], [0, 2, 3])[::-1],
    "bricks": [
        ((0, 4), (0, 2), (0, 3)),
        ((0, 2), (2, 5), (0, 3)),
        ((4, 7), (0, 3), (0, 3)),
        ((2, 4), (2, 5), (0, 3)),
        ((4, 7), (3, 5), (0, 3)),
    ],
    "with empty ones": [*grid([0, 3, 7], [0, 5], [0, 3]), ((3, 3), (0, 5), (0, 3)), ((2, 4), (5, 5), (0, 3))],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chunk", [4 << 20, 100, 1])
@pytest.mark.parametrize("side_by_side", [32, 1])
def test_layouts(monkeypatch, layout, chunk, side_by_side):
    """Whatever the pieces, the chunk and the way of putting rows together: the whole."""
    monkeypatch.setattr(sliced, "CHUNK", chunk)
    monkeypatch.setattr(sliced, "SIDE_BY_SIDE", side_by_side)
    found = tensor(WHOLE, LAYOUTS[layout])
    np.testing.assert_array_equal(found.numpy(), WHOLE)
    assert found.numpy().dtype == np.float32
    assert found.tobytes() == WHOLE.tobytes()


@st.composite
def tilings(draw):
    """Boxes that tile a shape: cut it in two at random, and the halves again."""
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    boxes = [tuple((0, size) for size in shape)]
    for _ in range(draw(st.integers(0, 8))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        first, end = box[axis]
        middle = draw(st.integers(first, end))
        boxes += [(*box[:axis], half, *box[axis + 1 :]) for half in ((first, middle), (middle, end))]
    return tuple(shape), boxes


@given(tilings())
def test_any_tiling_gives_the_whole(tiling):
    shape, boxes = tiling
    whole = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    found = tensor(whole, boxes, INT64)
    assert found.tobytes() == whole.tobytes()
    np.testing.assert_array_equal(found.numpy(), whole)


@given(tilings(), st.data())
def test_coverage_is_what_counting_says(tiling, data):
    """Boxes moved, dropped or doubled: a fault exactly where numpy counts other than one, and there is the first."""
    shape, boxes = tiling
    for _ in range(data.draw(st.integers(0, 2))):
        index = data.draw(st.integers(0, len(boxes) - 1)) if boxes else 0
        change = data.draw(st.sampled_from(["drop", "double", "shrink"]))
        if not boxes:
            break
        if change == "double":
            boxes.append(boxes[index])
        elif change == "shrink":
            boxes[index] = tuple((first, max(first, end - 1)) for first, end in boxes[index])
        else:
            del boxes[index]
    counts = np.zeros(shape, int)
    for box in boxes:
        counts[tuple(slice(*edges) for edges in box)] += 1
    fault = first_fault(shape, boxes)
    if fault is None:
        assert (counts == 1).all()
    else:
        count, box = fault
        there = counts[tuple(slice(*edges) for edges in box)]
        assert there.size
        assert (there == count).all()
        assert count != 1


@pytest.mark.parametrize(
    ("boxes", "got"),
    [
        ([], "none for [0:4, 0:6]"),
        ([((0, 2), (0, 6))], "none for [2:4, 0:6]"),
        ([((2, 4), (0, 6))], "none for [0:2, 0:6]"),
        (grid([0, 2, 4], [0, 3, 6])[:3], "none for [2:4, 3:6]"),
        ([((0, 1), (0, 6)), ((2, 4), (0, 6))], "none for [1:2, 0:6]"),
        ([((0, 3), (0, 6)), ((2, 4), (0, 6))], "2 pieces for [2:3, 0:6]"),
        ([((0, 4), (0, 6))] * 3, "3 pieces for [0:4, 0:6]"),
        ([((0, 4), (0, 4)), ((0, 4), (3, 6))], "2 pieces for [0:4, 3:4]"),
    ],
)
def test_pieces_that_do_not_cover_the_whole_once(boxes, got):
    found = tensor(np.zeros((4, 6), np.float32), boxes)
    for call in found.numpy, found.tobytes, found.check:
        with pytest.raises(FormatError) as caught:
            call()
        assert str(caught.value) == f"x.index: expected one piece of 'w' [4, 6] for each element, got {got}"


def test_all_that_is_incomplete_is_told_at_once():
    whole, half, third = ([(0, 7)], [(0, 4)], [(2, 7)])
    rest = [(0, 5), (0, 3)]
    tensors = [tensor(WHOLE, [(*rows, *rest)]) for rows in (whole, half, third)]
    refuse_incomplete([tensors[0], ArrayTensor(WHOLE)])
    with pytest.raises(FormatError) as caught:
        refuse_incomplete(tensors)
    assert str(caught.value) == (
        "x.index: expected one piece of 'w' [7, 5, 3] for each element, got none for [4:7, 0:5, 0:3], "
        "expected one piece of 'w' [7, 5, 3] for each element, got none for [0:2, 0:5, 0:3] (--exclude them)"
    )


def test_nothing_is_set_aside_for_a_whole_that_is_not_there():
    found = SlicedTensor(FLOAT32, (2**40, 2**20), cut(np.zeros((4, 6), np.float32), [((0, 4), (0, 6))]), name="w")
    with pytest.raises(FormatError, match=r"got none for \[0:4, 6:1048576\]"):
        found.numpy()


def test_an_empty_tensor_needs_no_pieces():
    found = SlicedTensor(FLOAT32, (0, 3), [])
    assert found.tobytes() == b""
    assert found.numpy().shape == (0, 3)


def test_a_scalar_in_one_piece():
    found = tensor(np.array(2.5, np.float32), [()])
    assert found.numpy() == 2.5
    assert found.tobytes() == np.float32(2.5).tobytes()
    with pytest.raises(FormatError, match=r"got 2 pieces for \[\]"):
        tensor(np.array(2.5, np.float32), [(), ()]).numpy()


def test_strings():
    whole = np.array([[b"a", b"bb"], [b"", b"\0"]], object)
    found = tensor(whole, grid([0, 1, 2], [0, 2]), STRING_TYPE)
    assert found.numpy().tolist() == whole.tolist()
    with pytest.raises(UnsupportedError, match="expected a type of fixed width, got string"):
        next(found.chunks())


class Counting(ArrayTensor):
    """Tells when its stream was read to the end, and how many are open."""

    open = 0
    most = 0
    finished = 0

    def chunks(self):
        Counting.open += 1
        Counting.most = max(Counting.most, Counting.open)
        for chunk in super().chunks():
            for start in range(0, len(chunk), 1000):
                yield chunk[start : start + 1000]
        Counting.open -= 1
        Counting.finished += 1


def counted(whole, boxes):
    Counting.open = Counting.most = Counting.finished = 0
    parts = [Part(part.start, Counting(part.tensor.numpy())) for part in cut(whole, boxes)]
    return SlicedTensor(FLOAT32, whole.shape, parts)


def test_every_stream_is_read_to_its_end_where_its_checksum_is():
    whole = np.zeros((100, 40), np.float32)
    for boxes in grid(range(0, 101, 10), [0, 40]), grid([0, 100], range(0, 41, 10)), grid([0, 50, 100], [0, 20, 40]):
        for _ in counted(whole, boxes).chunks():
            pass
        assert Counting.finished == len(boxes)


def test_rows_hold_one_file_open_and_columns_as_many_as_lie_side_by_side():
    whole = np.zeros((100, 40), np.float32)
    for boxes, most in (
        (grid(range(101), [0, 40]), 1),
        (grid([0, 50, 100], [0, 20, 40]), 2),
        (grid([0, 100], range(41)), 1),
    ):
        assert counted(whole, boxes).tobytes() == whole.tobytes()
        assert Counting.most <= most


def test_columns_stream_in_little_memory(monkeypatch):
    """Two halves side by side of 16 MB: with chunks of 64 KB nothing of that size is ever held."""
    monkeypatch.setattr(sliced, "CHUNK", 1 << 16)
    whole = np.zeros((4096, 1024), np.float32)
    found = counted(whole, grid([0, 4096], [0, 512, 1024]))
    tracemalloc.start()
    assert sum(len(chunk) for chunk in found.chunks()) == whole.nbytes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_many_pieces_are_checked_quickly():
    boxes = [((i, i + 1), (0, 8)) for i in range(100_000)]
    assert first_fault((100_000, 8), boxes) is None


def test_a_layout_that_takes_too_long_to_check():
    """Disjoint boxes in a staircase: each ends where no other does, along both axes."""
    n = 3000
    boxes = [((0, i + 1), (i, i + 1)) for i in range(n)] + [((i + 1, n), (i, i + 1)) for i in range(n)]
    with pytest.raises(UnsupportedError) as caught:
        first_fault((n, n), boxes, "x.index: 'w'")
    assert str(caught.value) == "x.index: 'w': expected pieces in a grid, got 6000 in too irregular a layout"
