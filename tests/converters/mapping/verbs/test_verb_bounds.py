"""How much a verb makes at most, and of how little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.mapping.inverse import invert_rule
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.rule import read_rule
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.tensor import SplatTensor


@pytest.mark.parametrize(
    ("shape", "verb", "problem"),
    [
        ((4,), {"pad": {"axis": 0, "before": 1 << 23, "after": (1 << 23) + 1}}, "expected from 0 to 16777216 more"),
        ((0,), {"chunk": {"axis": 0, "parts": 2}}, "expected a size along axis 0 that 2 divides"),
        ((2, 100_001), {"unstack": 1}, "expected a size from 1 to 100000 along axis 1"),
        ((2, 0), {"unstack": 1}, "expected a size from 1 to 100000 along axis 1"),
    ],
)
def test_refused(shape: tuple[int, ...], verb: Any, problem: str) -> None:
    tensor = SplatTensor(np.zeros((), np.float32), shape, DTYPES["float32"])
    rule = read_rule({"from": "w", "to": "x" if "pad" in verb else ["x", "y"], "do": verb}, "t", {})
    (found,) = make_plan([rule], {"w": tensor}).problems
    assert f": {problem}" in found


def test_padding_up_to_the_bound() -> None:
    rule = read_rule({"from": "w", "to": "x", "do": {"pad": {"axis": 0, "after": 1 << 24}}}, "t", {})
    plan = make_plan([rule], {"w": SplatTensor(np.zeros((), np.float32), (4,), DTYPES["float32"])})
    assert plan.moves[0].targets["x"].shape == (4 + (1 << 24),)


def test_a_reshape_back_says_what_it_comes_from() -> None:
    do = {"reshape": {"from": [6, 4], "to": [24]}}
    back = invert_rule(read_rule({"from": "w", "to": "x", "do": do}, "t", {}))
    assert back["do"] == {"reshape": {"to": [6, 4], "from": [24]}}
