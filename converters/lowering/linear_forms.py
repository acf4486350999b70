"""Linear forms in the body of a loop: what MatMul, Concat, Split and Add make of constants, the state and one element.

    [x, h] W + b   =   x W1 + h W2 + b      x the element of a list that the step reads, h a part of the state

A form is read from the nodes, whichever of them made it, as its weights: a row of atoms times constants. An atom is an
element that is read, a part of the state, or the product of such a part and something else (`products`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tensorferry.formats.dtype import FLOAT32

from ..inference.regions import PASSING, Region
from ..inference.values import Value
from ..ir import Node, node_name, split_value, value_name
from ..kernels import run
from ..op_registry import attr_value
from .loop_plan import LoopPlan

CUTS = ("Split", "SplitV", "StridedSlice", "Slice")
"""The ops that take some columns."""

Floats = npt.NDArray[np.float32]

LARGEST = 1 << 28
"""Bytes of weights that are read at most."""

WIDEST = 1 << 22
"""Columns of a form that parts are taken of."""


@dataclass(frozen=True, slots=True)
class Form:
    """A linear form of width n: weights [k, n] by what they are multiplied with, and a bias [n]."""

    weights: Mapping[str, Floats]
    bias: Floats

    def plus(self, other: Form) -> Form:
        """The sum."""
        weights = dict(self.weights)
        for name, value in other.weights.items():
            weights[name] = weights[name] + value if name in weights else value
        return Form(weights, self.bias + other.bias)

    def part(self, index: int, count: int) -> Form:
        """One of `count` parts of one width."""
        width = self.bias.size // count
        span = slice(index * width, (index + 1) * width)
        return Form({name: value[:, span] for name, value in self.weights.items()}, self.bias[span])


class NoFormError(Exception):
    """The body is something else."""


class FormReader:
    """Reads the body of a loop; NoFormError where it is something else."""

    def __init__(self, body: Region, plan: LoopPlan, inputs: Sequence[Value]) -> None:
        self.body, self.plan, self.inputs = body, plan, inputs
        self.makers = {node.name: node for node in body.nodes}
        self.lists: dict[str, int] = {}
        """The elements that a step reads, and the argument that is their list."""
        self.products: dict[str, tuple[str, str]] = {}

    # What a value is

    def source(self, value: str) -> str:
        """The value that `value` is, seen through what only passes it on."""
        full = value_name(value)
        while (node := self.makers.get(node_name(full))) is not None and node.op in PASSING and node.data_inputs:
            full = value_name(node.data_inputs[0])
        return full

    def node(self, value: str, *ops: str) -> Node:
        """The node of one of `ops` that makes a value."""
        node = self.makers.get(node_name(self.source(value)))
        if node is None or node.op not in ops:
            raise NoFormError
        return node

    def operands(self, value: str, *ops: str) -> tuple[str, str]:
        """The two inputs of such a node."""
        left, right = self.node(value, *ops).data_inputs
        return self.source(left), self.source(right)

    def constant(self, value: str) -> Floats:
        """The elements of a constant."""
        tensor = self.body.values[self.source(value)].tensor
        if tensor is None or tensor.dtype != FLOAT32 or tensor.nbytes > LARGEST:
            raise NoFormError
        return np.asarray(tensor.numpy(), np.float32)

    def is_constant(self, value: str) -> bool:
        """Whether a value is one."""
        return self.body.values[self.source(value)].tensor is not None

    def argument(self, value: str) -> int:
        """The number of the argument that a value is."""
        source = self.source(value)
        if source not in self.body.arguments:
            raise NoFormError
        return self.body.arguments.index(source)

    def is_step(self, value: str) -> bool:
        """Whether a value counts the steps from 0."""
        source = self.source(value)
        if source not in self.body.arguments:
            return False
        number = self.body.arguments.index(source)
        return self.plan.counted.get(number) == 1 and self.inputs[number].integer() == 0

    # Linear forms

    def form(self, value: str) -> Form:
        """The form that a value is."""
        source = self.source(value)
        if self.is_constant(source):
            bias = self.constant(source)
            if bias.ndim > 1:
                raise NoFormError
            return Form({}, bias)
        node = self.node(source, "MatMul", "BiasAdd", "Add", "AddV2", *CUTS)
        if node.op == "MatMul":
            return self.product(node)
        if node.op in CUTS:
            return self.cut(node, source, self.form(self.whole(node)))
        left, right = map(self.form, node.data_inputs)
        if left.bias.shape != right.bias.shape and () not in (left.bias.shape, right.bias.shape):
            raise NoFormError
        return left.plus(right)

    @staticmethod
    def whole(node: Node) -> str:
        """What a node takes a part of."""
        return node.data_inputs[1 if node.op == "Split" else 0]

    def cut(self, node: Node, value: str, form: Form) -> Form:
        """Some columns of a form: those that the node takes of their numbers."""
        count = form.bias.size
        if count > WIDEST:
            raise NoFormError
        numbers = np.arange(2 * count, dtype=np.float32).reshape(2, count)
        others = [self.body.values[self.source(name)].array() for name in node.data_inputs if name != self.whole(node)]
        known = [array for array in others if array is not None]
        if len(known) < len(others):
            raise NoFormError
        taken = run(node, [*known, numbers] if node.op == "Split" else [numbers, *known])[split_value(value)[1]]
        if taken.ndim != 2 or len(taken) != 2 or not np.array_equal(taken[0] + count, taken[1]):
            raise NoFormError
        columns = taken[0].astype(np.int64)
        return Form({name: array[:, columns] for name, array in form.weights.items()}, form.bias[columns])

    def product(self, node: Node) -> Form:
        """Of a MatMul with constant weights."""
        if attr_value(node, "transpose_a") or attr_value(node, "adjoint_a"):
            raise NoFormError
        weights = self.constant(node.data_inputs[1])
        if weights.ndim != 2:
            raise NoFormError
        weights = weights.T if attr_value(node, "transpose_b") else weights
        made: dict[str, Floats] = {}
        start = 0
        for atom in self.atoms(node.data_inputs[0]):
            width = self.width(atom)
            if atom in made:
                raise NoFormError
            made[atom] = weights[start : start + width]
            start += width
        if start != weights.shape[0]:
            raise NoFormError
        return Form(made, np.zeros(weights.shape[1], np.float32))

    def atoms(self, value: str) -> list[str]:
        """What a row is joined of."""
        source = self.source(value)
        node = self.makers.get(node_name(source))
        if node is None or node.op != "ConcatV2":
            return [self.atom(source)]
        *pieces, axis = node.data_inputs
        if self.body.values[self.source(axis)].integer() not in (1, -1):
            raise NoFormError
        return [self.atom(piece) for piece in pieces]

    def atom(self, value: str) -> str:
        """An element that is read, a part of the state, or the product of the state and a gate."""
        source = self.source(value)
        node = self.makers.get(node_name(source))
        if node is None:
            if self.argument(source) not in self.plan.carried:
                raise NoFormError
        elif node.op == "TensorListGetItem":
            number = self.argument(node.data_inputs[0])
            if number not in self.plan.kept or not self.is_step(node.data_inputs[1]):
                raise NoFormError
            self.lists[source] = number
        elif node.op == "Mul":
            self.products[source] = self.operands(source, "Mul")
        else:
            raise NoFormError
        return source

    def width(self, value: str) -> int:
        """The second of two sizes."""
        dims = self.body.values[value].dims
        if dims is None or len(dims) != 2 or not isinstance(dims[1], int):
            raise NoFormError
        return dims[1]

    def gate(self, value: str, activation: str = "Sigmoid") -> Form:
        """The form whose activation a value is; parts may be taken before it or after it."""
        node = self.node(value, activation, *CUTS)
        if node.op == activation:
            return self.form(node.data_inputs[0])
        return self.cut(node, self.source(value), self.gate(self.whole(node), activation))

    def is_a(self, value: str, op: str) -> bool:
        """Whether a value is what `op` makes, or a part of that."""
        node = self.makers.get(node_name(self.source(value)))
        while node is not None and node.op in CUTS and op not in CUTS:
            node = self.makers.get(node_name(self.source(self.whole(node))))
        return node is not None and node.op == op
