from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.inference.dims import Dims
from tensorferry.converters.inference.regions import Region, join, join_items
from tensorferry.converters.inference.values import Items, Value
from tensorferry.formats.dtype import FLOAT32, INT32, VARIANT
from tensorferry.formats.tensor import ArrayTensor

from ..graph_text import op

REGION = Region(
    "body",
    ("a:0", "b:0"),
    ("d:0", "a:0"),
    (op("c", "Identity", "a"), op("e", "Neg", "b"), op("d", "AddV2", "c", "a")),
    {},
    {},
    frozenset({"n", "a_dim0"}),
)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (None, None),
        ((3, "batch"), (3, "batch")),
        (("n", 2), (None, 2)),
        (("2*batch*n+1", "ns"), (None, "ns")),
        (("((a_dim0+1)//2)",), (None,)),
    ],
)
def test_symbols_of_a_region_mean_nothing_behind_it(inside: Dims, outside: Dims) -> None:
    assert REGION.leaving(Value(FLOAT32, inside)).dims == outside
    items = REGION.leaving(Value(VARIANT, (), items=Items(FLOAT32, inside, "n"))).items
    assert items == Items(FLOAT32, outside, None)


def test_nor_do_contents_that_are_made_of_them() -> None:
    assert REGION.leaving(Value.of_entries(INT32, ["n", 3])).entries == (None, 3)
    assert REGION.leaving(Value.of_entries(INT32, ["n", "n-1"])).entries is None
    assert REGION.leaving(Value.of_entries(INT32, [])).entries == ()


def test_what_a_value_depends_on() -> None:
    assert [node.name for node in REGION.needed(["d:0"])] == ["c", "d"]
    assert REGION.arguments_of(["d:0"]) == {0}
    assert REGION.arguments_of(["d:0", "e:0"]) == {0, 1}
    assert REGION.arguments_of(["b:0"]) == {1}
    assert REGION.source("c") == "a:0"


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ((2, "n"), (2, "n"), (2, "n")),
        ((2, "n"), (2, "m"), (2, None)),
        ((2,), (2, 2), None),
        (None, (2,), None),
        ((), (), ()),
    ],
)
def test_shapes_in_common(a: Dims, b: Dims, both: Dims) -> None:
    assert join(Value(FLOAT32, a), Value(FLOAT32, b)).dims == both
    assert join(Value(FLOAT32, b), Value(FLOAT32, a)).dims == both


def test_contents_in_common() -> None:
    one, same, other = (Value.of_tensor(ArrayTensor(np.array(x, np.float32))) for x in ([1, 2], [1, 2], [1, 3]))
    assert join(one, same).tensor is one.tensor
    assert join(one, other).tensor is None
    sizes = join(Value.of_entries(INT32, ["n", 3]), Value.of_entries(INT32, ["n", 4]))
    assert sizes.entries == ("n", None)
    assert join(Value.of_entries(INT32, [1]), Value.of_entries(INT32, [2])).entries is None


def test_lists_in_common() -> None:
    blank = Items(FLOAT32, (None, 3), 5, blank=True)
    full = Items(FLOAT32, ("n", 3), 5)
    # What a list that holds nothing says of its elements is no more than a wish.
    assert join_items(blank, full) == join_items(full, blank) == full
    assert join_items(blank, blank) == blank
    assert join_items(full, Items(FLOAT32, ("m", 3), 4)) == Items(FLOAT32, (None, 3), None)
