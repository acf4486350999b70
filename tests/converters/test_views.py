"""Tensors made from others when they are read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import crc32c
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorferry.converters.views import View, cast, flipped, reshaped, taken, transposed
from tensorferry.formats.dtype import FLOAT16, FLOAT32
from tensorferry.formats.errors import FormatError
from tensorferry.formats.room import Room
from tensorferry.formats.tensor import ArrayTensor, FileTensor, Tensor

ARRAY = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class Counting(ArrayTensor):
    """Counts how often it is read."""

    __slots__ = ("reads",)

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        super().__init__(array)
        self.reads = 0

    def numpy(self) -> np.ndarray[Any, Any]:
        self.reads += 1
        return super().numpy()


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (transposed(ArrayTensor(ARRAY), [2, 0, 1]), ARRAY.transpose(2, 0, 1)),
        (transposed(transposed(ArrayTensor(ARRAY), [2, 0, 1]), [1, 0, 2]), ARRAY.transpose(0, 2, 1)),
        (reshaped(ArrayTensor(ARRAY), (4, 6)), ARRAY.reshape(4, 6)),
        (reshaped(transposed(ArrayTensor(ARRAY), [1, 0, 2]), (3, 8)), ARRAY.transpose(1, 0, 2).reshape(3, 8)),
        (flipped(ArrayTensor(ARRAY), {0, 2}), ARRAY[::-1, :, ::-1]),
        (taken(ArrayTensor(ARRAY), 1, range(0, 3, 2)), ARRAY[:, ::2]),
        (taken(transposed(ArrayTensor(ARRAY), [2, 0, 1]), 0, range(1, 3)), ARRAY.transpose(2, 0, 1)[1:3]),
        (reshaped(taken(ArrayTensor(ARRAY), 2, range(2)), (6, 2)), ARRAY[..., :2].reshape(6, 2)),
        (reshaped(taken(ArrayTensor(ARRAY), 2, range(2)), (3, 4)), ARRAY[..., :2].reshape(3, 4)),
        (flipped(ArrayTensor(ARRAY[:, :0]), {0}), ARRAY[:, :0]),
        (cast(ArrayTensor(ARRAY), FLOAT16), ARRAY.astype(np.float16)),
        (View(FLOAT32, (2,), lambda x: x.sum((1, 2)), ArrayTensor(ARRAY)), ARRAY.sum((1, 2))),
    ],
)
def test_values(view: Tensor, expected: np.ndarray[Any, Any]) -> None:
    assert view.shape == expected.shape
    np.testing.assert_array_equal(view.numpy(), expected)
    assert view.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_what_changes_nothing_is_the_tensor_itself() -> None:
    base = ArrayTensor(ARRAY)
    assert transposed(base, [0, 1, 2]) is base
    assert transposed(transposed(base, [2, 0, 1]), [1, 2, 0]) is base
    assert flipped(flipped(base, {1, 2}), {2, 1}) is base
    assert taken(base, 1, range(3)) is base
    assert reshaped(base, base.shape) is base
    assert cast(base, FLOAT32) is base


def test_nothing_is_read_before_it_is_asked_for() -> None:
    base = Counting(ARRAY)
    view = cast(reshaped(transposed(base, [2, 1, 0]), (8, 3)), FLOAT16)
    assert (view.shape, view.nbytes, base.reads) == ((8, 3), 48, 0)
    view.numpy()
    assert base.reads == 1


def test_a_view_that_makes_another_shape_than_it_says() -> None:
    with pytest.raises(AssertionError, match=r"a view of \(3,\) made an array of \(2, 3, 4\)"):
        View(FLOAT32, (3,), lambda x: x, ArrayTensor(ARRAY)).numpy()


def stored(path: Path, array: np.ndarray[Any, Any], dtype: str = "<f4") -> FileTensor:
    data = array.astype(dtype).tobytes()
    path.write_bytes(b"head" + data)
    big = dtype.startswith(">")
    return FileTensor(FLOAT32, array.shape, path, 4, name="t", crc32c=crc32c.crc32c(data), big_endian=big)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(["<f4", ">f4"]))
def test_views_of_views_of_a_file(tmp_path: Path, data: st.DataObject, dtype: str) -> None:
    """Beside numpy, each read twice in a room."""
    array = np.arange(120, dtype=np.float32).reshape(
        data.draw(st.sampled_from([(120,), (8, 15), (2, 3, 4, 5), (4, 1, 30)]))
    )
    view: Tensor = stored(tmp_path / "f", array, dtype)
    for _ in range(data.draw(st.integers(1, 4))):
        axis = data.draw(st.integers(0, array.ndim - 1))
        kind = data.draw(st.sampled_from(["transposed", "flipped", "taken", "reshaped"]))
        if kind == "transposed":
            perm = data.draw(st.permutations(range(array.ndim)))
            array, view = array.transpose(perm), transposed(view, perm)
        elif kind == "flipped":
            array, view = np.flip(array, axis), flipped(view, {axis})
        elif kind == "taken":
            first = data.draw(st.integers(0, array.shape[axis] - 1))
            kept = range(first, array.shape[axis], data.draw(st.integers(1, 2)))
            array, view = array.take(kept, axis), taken(view, axis, kept, readers=2)
        else:
            rows = data.draw(st.sampled_from([n for n in range(1, array.size + 1) if array.size % n == 0]))
            array, view = array.reshape(rows, -1), reshaped(view, (rows, array.size // rows))
    assert view.shape == array.shape
    np.testing.assert_array_equal(view.numpy(), array)
    with Room():
        assert view.tobytes() == view.tobytes() == array.tobytes()


def test_parts_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they lie in stripes, or were transposed before."""
    array = np.random.default_rng(0).standard_normal((600, 800), np.float32)
    base = stored(tmp_path / "f", array)
    read: list[int] = []
    original = FileTensor._stored
    monkeypatch.setattr(FileTensor, "_stored", lambda self, into: read.append(self.nbytes) or original(self, into))
    for whole, expected in ((base, array), (transposed(base, [1, 0]), array.T)):
        for axis in (0, 1):
            read.clear()
            size = expected.shape[axis] // 4
            with Room():
                for n in range(4):
                    part = taken(whole, axis, range(n * size, n * size + size), readers=4)
                    assert part.tobytes() == expected.take(range(n * size, n * size + size), axis).tobytes()
            assert sum(read) == base.nbytes


def test_damage_is_found_in_any_part(tmp_path: Path) -> None:
    base = stored(tmp_path / "f", np.zeros((600, 800)))
    with (tmp_path / "f").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    for axis in (0, 1):
        part = taken(base, axis, range(10), readers=2)
        for view in (part, transposed(part, [1, 0])):
            for read in (view.tobytes, view.numpy):
                with pytest.raises(FormatError, match="the data are damaged$"):
                    read()


def test_a_layer_of_a_stack_is_held_alone(tmp_path: Path) -> None:
    layers = stored(tmp_path / "f", np.zeros((64, 512, 512)))
    turned = [transposed(reshaped(taken(layers, 0, range(n, n + 1), 64), (512, 512)), [1, 0]) for n in range(64)]
    tracemalloc.start()
    with Room():
        for each in turned:
            assert sum(map(len, each.chunks())) == 1 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20


def test_strings() -> None:
    words = np.array([[b"a", b"bc"], [b"d", b""]], object)
    view = flipped(transposed(ArrayTensor(words), [1, 0]), {0})
    assert view.numpy().tolist() == [[b"bc", b""], [b"a", b"d"]]
    assert taken(view, 0, range(1, 2)).numpy().tolist() == [[b"a", b"d"]]
