"""Stacks: tensors put on each other by handle, as TensorFlow 1's gradients of loops keep what they need again.

max_size bounds the count where it is 0 or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorferry.formats.errors import GraphError

from ..kernels.kernel import Kernel, scalar
from ..ops import OpNode, OpTable
from .values import Array, boxed, unboxed

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")


class Stack:
    """Tensors, the last one on top."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.items: list[Array] = []


@OPERATIONS.op("StackV2", attrs={"elem_type", "stack_name"})
def stack(node: OpNode, run: Run, max_size: Array) -> Array:
    """A new, empty stack, each time that the node runs."""
    return boxed(Stack(scalar(node, max_size, "max_size")))


@OPERATIONS.op("StackPushV2", attrs={"swap_memory"})
def stack_push(node: OpNode, run: Run, handle: Array, elem: Array) -> Array:
    """elem itself, now on top of the stack."""
    held = _held(node, handle)
    if 0 <= held.most <= len(held.items):
        raise GraphError(node.name, f"expected at most {held.most} tensors on the stack, got one more")
    held.items.append(elem)
    return elem


@OPERATIONS.op("StackPopV2", attrs={"elem_type"})
def stack_pop(node: OpNode, run: Run, handle: Array) -> Array:
    """What was on top of the stack."""
    held = _held(node, handle)
    if not held.items:
        raise GraphError(node.name, "expected a tensor on the stack, got none")
    return held.items.pop()


@OPERATIONS.op("StackCloseV2")
def stack_close(node: OpNode, run: Run, handle: Array) -> tuple[Array, ...]:
    """Nothing is left on the stack."""
    _held(node, handle).items.clear()
    return ()


def _held(node: OpNode, handle: Array) -> Stack:
    return unboxed(node, handle, Stack, "stack")
