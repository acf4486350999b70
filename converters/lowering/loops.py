"""Loops of our own making, for the few lowerings whose steps build on each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorferry.formats.dtype import BOOL, INT64

from ..inference.values import Value
from .builder import Builder, Part
from .carried import add_input, add_output

Body = Callable[[Builder, Value, Sequence[Value]], Sequence[Value]]
"""(builder, the step's number as a scalar, the state) -> the next state, of the same types and shapes."""


def repeated(g: Builder, count: Part, state: Sequence[Value], body: Body) -> tuple[Value, ...]:
    """The state after `count` steps. A body may use values of the graph around it."""
    names = [g.ref(value) for value in state]
    steps = g.ref(g.reshape(g.vector([count]), []))
    inner = g.inner()
    step, again = add_input(inner, "step", Value(INT64, ())), add_input(inner, "again", Value(BOOL, ()))
    given = [add_input(inner, f"state_{i}", Value(value.dtype, value.dims)) for i, value in enumerate(state)]
    add_output(inner, "goes_on", again)
    for i, (value, before) in enumerate(zip(body(inner, step, given), state, strict=True)):
        assert value.dtype == before.dtype, f"state {i} is {before.dtype}, and became {value.dtype}"
        add_output(inner, f"next_{i}", value.with_(dims=before.dims))
    inner.finish([])
    return g.emit_with({"body": inner}, "Loop", [steps, "", *names], [(value.dtype, value.dims) for value in state])
