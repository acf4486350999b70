"""Variables: made, assigned to and read, as references (VariableV2) and as resources (VarHandleOp).

    VariableV2    gives the variable itself to ops that take a reference, to all others its value of that moment
    VarHandleOp   gives a boxed Variable, which ReadVariableOp and its like take

A variable starts with the value given for its node, else with none. Assignments replace its value and never write
into it: who has read it keeps what was read (an Identity in TensorFlow 1 may see what becomes of it). One that is
made anew by another node of the same shared name is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorferry.formats.errors import GraphError
from tensorferry.formats.tensor import Tensor

from ..kernels.indexing import gathered, gathered_at, scattered
from ..kernels.kernel import Kernel
from ..kernels.math import truncated_division
from ..ops import OpNode, OpTable
from .values import Array, boxed, unboxed

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")

PLACE = {"container", "shared_name"}


class Variable:
    """A value that can change. `tensor` is the first one, read when it is wanted."""

    def __init__(self, name: str, tensor: Tensor | None = None) -> None:
        self.name = name
        self._tensor = tensor
        self._value: Array | None = None

    @property
    def is_initialized(self) -> bool:
        return self._value is not None or self._tensor is not None

    def read(self) -> Array:
        """The value; GraphError where it has none yet."""
        if self._value is None:
            if self._tensor is None:
                raise GraphError(self.name, "expected the variable to have a value before it is read, got none")
            self._value = self._tensor.numpy()
        return self._value

    def assign(self, value: Array) -> Variable:
        """The variable itself, with another value."""
        self._value = value
        return self


REFERENCES: OpTable[Callable[..., Any]] = OpTable("kernel")
"""Operations that take a Variable by reference first, or make one (steps.Refer)."""

ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
"""The ops that give a variable its first value."""

_UPDATES: dict[str, Callable[..., Array] | None] = {
    "Update": None, "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": truncated_division,
    "Min": np.minimum, "Max": np.maximum,
}  # fmt: skip
"""What the last word of a scattering op does to what was there; None puts the update in its place."""

_SCATTERS = {f"Scatter{word}": word for word in _UPDATES}
_SCATTERS_ND = {f"ScatterNd{word}": word for word in ("Update", "Add", "Sub", "Min", "Max")}


@REFERENCES.op("VariableV2", "Variable", attrs=PLACE | {"shape", "dtype"})
def variable(node: OpNode, run: Run) -> Variable:
    """The variable of the node's name."""
    return _made(node, run)


@REFERENCES.op("RefIdentity")
def ref_identity(node: OpNode, run: Run, ref: Variable) -> Variable:
    """The variable itself."""
    return ref


@REFERENCES.op("IsVariableInitialized", attrs={"dtype"})
def is_variable_initialized(node: OpNode, run: Run, ref: Variable) -> Array:
    """Whether the variable has a value."""
    return np.array(ref.is_initialized)


@REFERENCES.op("Assign", attrs={"validate_shape", "use_locking"})
def assign(node: OpNode, run: Run, ref: Variable, value: Array) -> Variable:
    """The variable, with another value."""
    return ref.assign(value)


@REFERENCES.op("AssignAdd", "AssignSub", attrs={"use_locking"})
def assign_add(node: OpNode, run: Run, ref: Variable, value: Array) -> Variable:
    """The variable, with a value more or less."""
    return ref.assign(_changed(node, ref, value))


@REFERENCES.op(*_SCATTERS, attrs={"use_locking"})
def scatter(node: OpNode, run: Run, ref: Variable, indices: Array, updates: Array) -> Variable:
    """The variable, changed at indices of its first dimension."""
    return ref.assign(_scattered(node, ref.read(), indices[..., None], updates, _UPDATES[_SCATTERS[node.op]]))


@REFERENCES.op(*_SCATTERS_ND, attrs={"use_locking", "bad_indices_policy"})
def scatter_nd(node: OpNode, run: Run, ref: Variable, indices: Array, updates: Array) -> Variable:
    """The variable, changed at vectors of indices."""
    return ref.assign(_scattered(node, ref.read(), indices, updates, _UPDATES[_SCATTERS_ND[node.op]]))


@OPERATIONS.op("VarHandleOp", attrs=PLACE | {"shape", "dtype", "allowed_devices", "debug_name"})
def var_handle_op(node: OpNode, run: Run) -> Array:
    """A handle of the variable."""
    return boxed(_made(node, run))


@OPERATIONS.op("ReadVariableOp", attrs={"dtype"})
def read_variable_op(node: OpNode, run: Run, resource: Array) -> Array:
    """The variable's value."""
    return _held(node, resource).read()


@OPERATIONS.op("VarIsInitializedOp")
def var_is_initialized(node: OpNode, run: Run, resource: Array) -> Array:
    """Whether the variable has a value."""
    return np.array(_held(node, resource).is_initialized)


@OPERATIONS.op("VariableShape")
def variable_shape(node: OpNode, run: Run, resource: Array) -> Array:
    """The variable's shape as a vector."""
    return np.array(_held(node, resource).read().shape, node.dtype("out_type").numpy())


@OPERATIONS.op("AssignVariableOp", attrs={"dtype", "validate_shape"})
def assign_variable_op(node: OpNode, run: Run, resource: Array, value: Array) -> tuple[Array, ...]:
    """Gives the variable another value."""
    _held(node, resource).assign(value)
    return ()


@OPERATIONS.op("AssignAddVariableOp", "AssignSubVariableOp", attrs={"dtype"})
def assign_add_variable_op(node: OpNode, run: Run, resource: Array, value: Array) -> tuple[Array, ...]:
    """Makes the variable's value more or less."""
    held = _held(node, resource)
    held.assign(_changed(node, held, value))
    return ()


@OPERATIONS.op("ResourceGather", attrs={"batch_dims", "validate_indices", "dtype"})
def resource_gather(node: OpNode, run: Run, resource: Array, indices: Array) -> Array:
    """Gather from a variable; with batch dimensions, along the one after them."""
    batch = node.integer("batch_dims")
    return gathered(node, _held(node, resource).read(), indices, batch, batch)


@OPERATIONS.op("ResourceGatherNd", attrs={"dtype"})
def resource_gather_nd(node: OpNode, run: Run, resource: Array, indices: Array) -> Array:
    """The part of a variable at each vector of indices."""
    return gathered_at(node, _held(node, resource).read(), indices)


@OPERATIONS.op(*(f"Resource{op}" for op in _SCATTERS), attrs={"dtype"})
def resource_scatter(node: OpNode, run: Run, resource: Array, indices: Array, updates: Array) -> tuple[Array, ...]:
    """Changes a variable at indices of its first dimension."""
    held, update = _held(node, resource), _UPDATES[_SCATTERS[node.op.removeprefix("Resource")]]
    held.assign(_scattered(node, held.read(), indices[..., None], updates, update))
    return ()


@OPERATIONS.op(*(f"Resource{op}" for op in _SCATTERS_ND), attrs={"use_locking", "bad_indices_policy"})
def resource_scatter_nd(node: OpNode, run: Run, resource: Array, indices: Array, updates: Array) -> tuple[Array, ...]:
    """Changes a variable at vectors of indices."""
    held, update = _held(node, resource), _UPDATES[_SCATTERS_ND[node.op.removeprefix("Resource")]]
    held.assign(_scattered(node, held.read(), indices, updates, update))
    return ()


@OPERATIONS.op("DestroyResourceOp", attrs={"ignore_lookup_error"})
def destroy_resource_op(node: OpNode, run: Run, resource: Array) -> tuple[Array, ...]:
    """Nothing: what a handle stands for goes with its last user."""
    return ()


def _made(node: OpNode, run: Run) -> Variable:
    """The variable that a node makes a handle of."""
    tensor = run.variables.get(node.name)
    name = node.name if tensor is not None else node.text("shared_name") or node.name
    return run.resource(Variable, name, lambda: Variable(node.name, tensor))


def _held(node: OpNode, resource: Array) -> Variable:
    return unboxed(node, resource, Variable, "variable")


def _changed(node: OpNode, held: Variable, value: Array) -> Array:
    """A variable's value plus or minus another of its shape."""
    old = held.read()
    if old.shape != value.shape or old.dtype != value.dtype:
        problem = f"expected {old.dtype} {list(old.shape)} for {held.name}, got {value.dtype} {list(value.shape)}"
        raise GraphError(node.name, problem)
    return np.asarray(old - value if "Sub" in node.op else old + value)


def _scattered(node: OpNode, old: Array, indices: Array, updates: Array, update: Any) -> Array:
    """`scattered`, where one update may be given for all indices."""
    if not updates.ndim and indices.shape[-1:] and indices.shape[-1] <= old.ndim:
        updates = np.broadcast_to(updates, (*indices.shape[:-1], *old.shape[indices.shape[-1] :]))
    if update is not truncated_division:
        return scattered(node, old, indices, updates, update)
    divisors = scattered(node, np.ones_like(old), indices, updates, np.multiply)
    return np.asarray(truncated_division(old, divisors))
