"""bundle_layout: where TensorFlow put things, and where we were asked to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.bundle_layout import Extents, Piece, plan_layout, read_layout
from tensorferry.formats.errors import FormatError, UsageError
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tests.fixture import FIXTURES

from .bundle_writer import BundleWriter, header, table


def floats(*shape: int) -> Tensor:
    return ArrayTensor(np.zeros(shape, np.float32))


def sliced(shape: tuple[int, ...], *boxes: Extents) -> SlicedTensor:
    parts = [Part(tuple(first for first, _ in box), floats(*(length for _, length in box))) for box in boxes]
    return SlicedTensor(parts[0].tensor.dtype, shape, parts, name="s", path="p.index")


ROWS: tuple[Extents, Extents] = (((0, 2), (0, 4)), ((2, 3), (0, 4)))


def planned(tensors: dict[str, Tensor], **options: Any) -> list[list[Piece]]:
    return [[Piece(placed.name, placed.extents) for placed in shard] for shard in plan_layout(tensors, **options)]


def names(tensors: dict[str, Tensor], **options: Any) -> list[list[str]]:
    return [[piece.name for piece in shard] for shard in planned(tensors, **options)]


# --- read -------------------------------------------------------------------------------------------


def test_the_layout_of_a_sharded_saver() -> None:
    """As make/bundles.py placed the variables: v0, v3 and v6 on the first device, and so on."""
    first, second, third = read_layout(FIXTURES["bundle_sharded"].prefix)
    assert [p.name for p in first if p.name[0] == "v"] == ["v0", "v3", "v6"]
    assert [p.name for p in second if p.name[0] in "vt"] == ["table", "v1", "v4"]
    assert [p.name for p in third if p.name[0] == "v"] == ["v2", "v5"]
    assert Piece("by_rows", ((0, 2), (0, 5))) in first
    assert Piece("by_columns", ((0, 6), (0, 2))) in [*first, *second, *third]


def test_the_layout_of_slices() -> None:
    """In the order in which make/bundles.py saved them, extents that it left open included."""
    fixture = FIXTURES["bundle_partitioned"]
    expected = [Piece("plain")]
    for name, boxes in fixture.about["slices"].items():
        key = name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        expected += [Piece(key, tuple((start, length) for start, length in box)) for box in boxes]
    (shard,) = read_layout(fixture.prefix)
    assert shard == expected


def test_the_order_is_that_of_the_data() -> None:
    (shard,) = read_layout(FIXTURES["bundle_dtypes"].prefix)
    found = [piece.name for piece in shard]
    assert found[:8] == [f"types/{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    assert found.index("strings/scalar") < found.index("shapes/scalar") < found.index("shapes/ones") < found.index(" ")


def test_what_takes_no_bytes_comes_first(tmp_path: Any) -> None:
    writer = BundleWriter()
    writer.add("b", np.zeros(2, np.int8))
    writer.add("z", np.zeros((0, 3), np.int8))
    writer.add("a", np.zeros(1, np.int8))
    (shard,) = read_layout(writer.write(tmp_path / "p"))
    assert [piece.name for piece in shard] == ["b", "z", "a"]


def test_shards_without_data_are_left_out(tmp_path: Any) -> None:
    writer = BundleWriter(4)
    writer.add("a", np.zeros(2, np.int8), shard=3)
    writer.add("b", np.zeros(2, np.int8), shard=1)
    assert read_layout(writer.write(tmp_path / "p")) == [[Piece("b")], [Piece("a")]]


def test_an_entry_that_is_none(tmp_path: Any) -> None:
    (tmp_path / "p.index").write_bytes(table([(b"", header()), (b"a", b"\xff")]))
    with pytest.raises(FormatError, match=r"p.index: expected a BundleEntryProto message, got 1 bytes that are none"):
        read_layout(tmp_path / "p")


# --- plan -------------------------------------------------------------------------------------------


def test_the_mapping_s_order_or_another() -> None:
    tensors = {name: floats(2) for name in "cab"}
    assert names(tensors) == [["c", "a", "b"]]
    assert names(tensors, order=["b", Piece("a"), "c"]) == [["b", "a", "c"]]
    assert names(tensors, shards=[["b"], [], ["c", "a"]]) == [["b"], [], ["c", "a"]]
    assert names({}) == [[]]


def test_shards_of_about_as_many_bytes() -> None:
    tensors = {f"t{i}": floats(size) for i, size in enumerate([1, 1, 8, 2, 2, 2, 1, 1])}
    assert names(tensors, shards=2) == [["t0", "t1", "t2"], ["t3", "t4", "t5", "t6", "t7"]]
    assert names(tensors, shards=8) == [[name] for name in tensors]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.data())
def test_a_number_of_shards(sizes: list[int], data: st.DataObject) -> None:
    """Every one has something, the order stays, and no run is longer than its share and one tensor more."""
    count = data.draw(st.integers(1, len(sizes)))
    tensors = {f"t{i}": floats(size) for i, size in enumerate(sizes)}
    runs = names(tensors, shards=count)
    assert [name for run in runs for name in run] == list(tensors)
    assert len(runs) == count
    assert all(runs)
    assert max(sum(tensors[n].nbytes for n in run) for run in runs) <= 4 * (sum(sizes) / count + 2 * max(sizes))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"order": ["a"]}, "expected every tensor once, got none of 'b'"),
        ({"order": ["a", "b", "a"]}, "expected every tensor once, got more than one of 'a'"),
        ({"order": ["x", "a", "b", "y"]}, "expected every tensor once, got what isn't there: 'x', 'y'"),
        (
            {"shards": [["a", "a", "x"], ["a"]]},
            "expected every tensor once, got none of 'b', more than one of 'a', what isn't there: 'x'",
        ),
        (
            {"shards": [["a"]], "order": ["a", "b"]},
            "expected an order of the tensors or what each shard holds, got both",
        ),
        ({"shards": []}, "expected at least one shard, got none"),
        ({"shards": 0}, "expected 1 to 2 shards for 2 tensors, got 0"),
        ({"shards": 3}, "expected 1 to 2 shards for 2 tensors, got 3"),
        (
            {"order": [Piece("a", ((0, 1),)), "b"]},
            "expected every tensor once, got what isn't there: 'a' [0:1]",
        ),
    ],
)
def test_bad_layouts(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_layout({"a": floats(2), "b": floats(2)}, **options)
    assert str(caught.value) == f"bundle: {problem}"


# --- slices -----------------------------------------------------------------------------------------


def test_slices_are_kept_only_if_asked() -> None:
    tensors: dict[str, Tensor] = {"a": floats(2), "s": sliced((5, 4), *ROWS)}
    assert planned(tensors) == [[Piece("a"), Piece("s")]]
    assert planned(tensors, keep_slices=True) == [[Piece("a"), Piece("s", ROWS[0]), Piece("s", ROWS[1])]]
    pieces = [[Piece("s", ROWS[1])], [Piece("s", ((0, 2), (0, -1))), Piece("a")]]
    assert planned(tensors, shards=pieces) == pieces


def test_a_slice_that_is_the_whole() -> None:
    tensors: dict[str, Tensor] = {"s": sliced((5, 4), ((0, 5), (0, 4)))}
    for options in {"keep_slices": True}, {"order": [Piece("s", ((0, -1), (0, 4)))]}, {"order": [Piece("s")]}:
        assert planned(tensors, **options) == [[Piece("s")]]
    assert planned({"a": floats(2)}, order=[Piece("a", ((0, 2),))]) == [[Piece("a")]]


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ([Piece("s", ROWS[0])], "none of 's' [2:5, 0:4]"),
        ([Piece("s", ROWS[0]), Piece("s", ROWS[1]), Piece("s", ROWS[0])], "more than one of 's' [0:2, 0:4]"),
        ([Piece("s", ROWS[0]), Piece("s", ROWS[1]), "s"], "more than one of 's'"),
        (
            [Piece("s", ROWS[0]), Piece("s", ROWS[1]), Piece("s", ((0, 1), (0, 4)))],
            "what isn't there: 's' [0:1, 0:4]",
        ),
        ([*(Piece("s", box) for box in ROWS), Piece("s", (*ROWS[0], (0, 1)))], "what isn't there: 's' [0:2, 0:4, 0:1]"),
    ],
)
def test_bad_slices(order: list[str | Piece], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_layout({"s": sliced((5, 4), *ROWS)}, order=order)
    assert str(caught.value) == f"bundle: expected every tensor once, got {problem}"


def test_slices_that_are_doubled_in_the_source() -> None:
    doubled = sliced((5, 4), *ROWS, ROWS[1])
    with pytest.raises(FormatError, match=r"p.index: expected each slice of 's' once, got several of \[2:5, 0:4\]"):
        plan_layout({"s": doubled}, keep_slices=True)


def test_slices_that_do_not_cover_the_whole_are_kept() -> None:
    assert planned({"s": sliced((5, 4), ROWS[1])}, keep_slices=True) == [[Piece("s", ROWS[1])]]
