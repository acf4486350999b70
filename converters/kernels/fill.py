"""Arrays from numbers: Const, Fill, Range, LinSpace, zeros and ones."""

from __future__ import annotations

import math

import numpy as np

from tensorferry.formats.errors import GraphError, UnsupportedError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar, sizes, widened, zero

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("Const", attrs={"value", "dtype"})
def const(node: OpNode) -> Array:
    """The tensor in the attribute `value`."""
    tensor = node.tensor("value")
    if tensor.dtype != node.dtype("dtype"):
        raise GraphError(node.name, f"expected a tensor of {node.dtype('dtype')}, got {tensor.dtype}")
    try:
        stored = tensor.dtype.numpy()
    except ValueError as error:
        raise UnsupportedError(node.name, str(error)) from None
    make_room(node, tensor.shape, stored)
    return tensor.numpy()


@KERNELS.op("Fill")
def fill(node: OpNode, dims: Array, value: Array) -> Array:
    """One value everywhere (a view of it)."""
    if value.size != 1:
        raise GraphError(node.name, f"expected a scalar value, got shape {list(value.shape)}")
    return np.broadcast_to(value.reshape(()), make_room(node, sizes(dims), value.dtype))


@KERNELS.op("ZerosLike", "OnesLike")
def zeros_like(node: OpNode, x: Array) -> Array:
    """Zeros (empty strings) or ones in the shape of x."""
    value = np.ones((), x.dtype) if node.op == "OnesLike" else zero(x.dtype)
    return np.broadcast_to(value, make_room(node, x.shape, x.dtype))


@KERNELS.op("Empty", attrs={"init"})
def empty(node: OpNode, shape: Array) -> Array:
    """Zeros: what TensorFlow leaves unsaid without `init` had better not differ from run to run."""
    dtype = node.dtype("dtype").numpy()
    return np.zeros(make_room(node, sizes(shape), dtype), dtype)


@KERNELS.op("Range")
def range_(node: OpNode, start: Array, limit: Array, delta: Array) -> Array:
    """start, start + delta, ... before `limit`.

    Floats are start + i * delta, as TensorFlow 2 has them; version 1 added delta up, rounding at each step.
    """
    first, last, step = (scalar(node, widened(x), name) for x, name in
                         ((start, "start"), (limit, "limit"), (delta, "delta")))  # fmt: skip
    if step == 0 or not all(map(math.isfinite, (first, last, step))):
        raise GraphError(node.name, f"expected finite numbers and a step other than 0, got {first}, {last}, {step}")
    count = -((first - last) // step) if isinstance(step, int) else math.ceil((last - first) / step)
    if count < 0:
        raise GraphError(node.name, f"expected a step towards the limit, got {first}, {last}, {step}")
    make_room(node, (count,), np.int64)
    dtype = widened(start).dtype
    return (widened(start) + np.arange(count, dtype=np.int64).astype(dtype) * widened(delta)).astype(start.dtype)


@KERNELS.op("LinSpace")
def lin_space(node: OpNode, start: Array, stop: Array, num: Array) -> Array:
    """`num` values at equal distances, `start` and `stop` among them."""
    count = scalar(node, num, "num")
    if count < 1:
        raise GraphError(node.name, f"expected 1 value or more, got {count}")
    make_room(node, (count,), np.float64)
    first, last = widened(start).reshape(()), widened(stop).reshape(())
    values = first + np.arange(count).astype(first.dtype) * ((last - first) / first.dtype.type(max(count - 1, 1)))
    if count > 1:
        values[-1] = last
    return values.astype(start.dtype)
