"""Checks, and what only passes a value on or does nothing."""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("Identity", "StopGradient", "PreventGradient", "Snapshot", "DeepCopy", attrs={"message"})
def passed(node: OpNode, x: Array) -> Array:
    """The input itself."""
    return x


@KERNELS.op("Print", attrs={"message", "first_n", "summarize"})
def print_(node: OpNode, x: Array, *data: Array) -> Array:
    """The first input itself; nothing is printed."""
    return x


@KERNELS.op("IdentityN")
def identity_n(node: OpNode, *inputs: Array) -> tuple[Array, ...]:
    """The inputs themselves."""
    return inputs


@KERNELS.op("CheckNumerics", "CheckNumericsV2", attrs={"message"})
def check_numerics(node: OpNode, x: Array) -> Array:
    """x, if all of it is finite; else GraphError."""
    if not np.isfinite(x).all():
        raise GraphError(node.name, f"expected finite numbers, got infinity or NaN: {node.text('message')}")
    return x


@KERNELS.op("NoOp", "ControlTrigger", "PrintV2", "DisableCopyOnRead", attrs={"output_stream", "end"})
def no_op(node: OpNode, *inputs: Array) -> tuple[Array, ...]:
    """Nothing."""
    return ()


@KERNELS.op("Assert", attrs={"summarize"})
def assert_(node: OpNode, condition: Array, *data: Array) -> tuple[Array, ...]:
    """Nothing, if the condition holds; else GraphError with the first values of the data."""
    if not condition.all():
        values = [str(value) for array in data for value in array.reshape(-1)[:3].tolist()]
        raise GraphError(node.name, f"expected an assertion to hold, got {' '.join(values)[:300] or 'False'}")
    return ()
