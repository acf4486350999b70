"""Calls: functions, conditionals and loops of TensorFlow 2, which keep their parts as functions.

    PartitionedCall  f(*inputs)
    If               then_branch(*inputs) if cond else else_branch(*inputs)
    Case             branches[index](*inputs), the last one for an index that is none
    While            the inputs go round through body as long as cond of them is true

A condition that is not a bool is true where it is not 0, not an empty string, or, of another rank, not empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorferry.formats.errors import GraphError

from ..ir import Attr, AttrList, FuncRef
from ..kernels.kernel import Kernel, scalar
from ..op_registry import attr_value
from ..ops import OpNode, OpTable
from .values import Array

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")

CALL = {"f", "config", "config_proto", "executor_type"}
FLOW = {"output_shapes"}


@OPERATIONS.op("PartitionedCall", "StatefulPartitionedCall", attrs=CALL)
def call(node: OpNode, run: Run, *inputs: Array) -> tuple[Array, ...]:
    """The results of f."""
    return run.call(node.name, node.func("f"), inputs)


@OPERATIONS.op("RemoteCall", attrs={"f"})
def remote_call(node: OpNode, run: Run, target: Array, *inputs: Array) -> tuple[Array, ...]:
    """The results of f, which runs here whatever the target."""
    return run.call(node.name, node.func("f"), inputs)


@OPERATIONS.op("If", "StatelessIf", attrs={"then_branch", "else_branch"} | FLOW)
def if_(node: OpNode, run: Run, cond: Array, *inputs: Array) -> tuple[Array, ...]:
    """The results of one of two branches."""
    return run.call(node.name, node.func("then_branch" if is_true(cond) else "else_branch"), inputs)


@OPERATIONS.op("Case", "StatelessCase", attrs={"branches"} | FLOW)
def case(node: OpNode, run: Run, branch_index: Array, *inputs: Array) -> tuple[Array, ...]:
    """The results of one of several branches."""
    branches = called_by(attr_value(node.node, "branches"))
    if not branches:
        raise GraphError(node.name, f"expected {node.op} to have branches, got none")
    index = scalar(node, branch_index, "branch_index")
    return run.call(node.name, branches[index if 0 <= index < len(branches) else -1], inputs)


@OPERATIONS.op("While", "StatelessWhile", attrs={"cond", "body", "parallel_iterations"} | FLOW)
def while_(node: OpNode, run: Run, *inputs: Array) -> tuple[Array, ...]:
    """The inputs, as they are after the last iteration."""
    cond, body = node.func("cond"), node.func("body")
    while True:
        verdict = run.call(node.name, cond, inputs)
        if len(verdict) != 1:
            raise GraphError(node.name, f"expected {cond.name} to have 1 result, got {len(verdict)}")
        if not is_true(verdict[0]):
            return inputs
        inputs = run.call(node.name, body, inputs)


@OPERATIONS.op("ToBool")
def to_bool(node: OpNode, run: Run, value: Array) -> Array:
    """Whether a conditional would take the value for true."""
    import numpy as np

    return np.array(is_true(value))


def is_true(value: Array) -> bool:
    """What a conditional takes the value for."""
    return bool(value.reshape(-1)[0]) if value.ndim == 0 else value.size > 0


def called_by(attr: Attr) -> list[FuncRef]:
    """The functions in an attribute."""
    if isinstance(attr, FuncRef):
        return [attr]
    return [item for item in attr.items if isinstance(item, FuncRef)] if isinstance(attr, AttrList) else []
