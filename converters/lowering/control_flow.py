"""Conditionals and loops: If and Loop.

    If      condition                        -> results of the branch that runs
    Loop    most steps, condition, state...  -> state..., elements that each step adds (stacked along a new dimension)
            its body: step, condition, state... -> condition, state..., element...

What a body takes from the graph around it, it captures; it has no arguments for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorferry.formats.dtype import BOOL, INT64, STRING_TYPE, DType
from tensorferry.formats.errors import GraphError, UnsupportedError

from ..inference.dims import Dims
from ..inference.values import Value
from ..ops import OpTable
from .builder import TO_END, Builder, Part
from .carried import add_input, add_output, as_tensor, as_tensor_type, carried_by, elements, length, list_of, padded
from .loop_plan import LoopPlan, Write, plan_loop
from .recurrent_layers import layer
from .scope import FlowNode, Subgraph

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("If", "StatelessIf", attrs={"then_branch", "else_branch", "output_shapes"})
def if_(node: FlowNode, g: Builder, condition: Value, *inputs: Value) -> Sequence[Value | None]:
    """One of two branches; in place of the node, where it is known which."""
    if len(node.subgraphs) == 1:
        (taken,) = node.subgraphs.values()
        return _in_place(node, g, taken, inputs)
    branches = [node.subgraphs["then_branch"], node.subgraphs["else_branch"]]
    return _chosen(node, g, branches, 0, lambda g, _: _truth(g, condition), inputs)


@LOWERINGS.op("Case", "StatelessCase", attrs={"branches", "output_shapes"})
def case(node: FlowNode, g: Builder, index: Value, *inputs: Value) -> Sequence[Value | None]:
    """The branch of that number, the last if there is none: a tree of conditionals."""
    branches = list(node.subgraphs.values())
    if len(branches) == 1:
        return _in_place(node, g, branches[0], inputs)
    last = g.scalar(len(branches) - 1, like=index)
    missing = g.op("Or", g.op("Less", index, g.scalar(0, like=index)), g.op("Greater", index, last))
    number = g.select(missing, last, index)

    def below(g: Builder, limit: int) -> Value:
        return g.op("Less", number, g.scalar(limit, like=index))

    return _chosen(node, g, branches, 0, below, inputs)


def _in_place(node: FlowNode, g: Builder, taken: Subgraph, inputs: Sequence[Value]) -> list[Value | None]:
    asked = [result for result, used in zip(taken.region.results, node.used, strict=True) if used]
    made = iter(taken.lower(g, inputs, asked))
    return [next(made) if used else None for used in node.used]


def _truth(g: Builder, condition: Value) -> Value:
    """What TensorFlow takes a scalar for: a number that is not 0, a text that is not empty."""
    if condition.rank not in (0, None):
        raise UnsupportedError("", "expected a condition that is a scalar")
    if condition.dtype == STRING_TYPE:
        return g.op("Not", g.op("Equal", condition, g.constant_of(np.array(b"", object), STRING_TYPE)))
    return condition if condition.dtype == BOOL else g.cast(condition, BOOL)


def _chosen(
    node: FlowNode,
    g: Builder,
    branches: Sequence[Subgraph],
    first: int,
    below: Callable[[Builder, int], Value],
    inputs: Sequence[Value],
) -> list[Value | None]:
    """The results of one of some branches, the first of which has the number `first`.

    `below(g, n)` is whether the branch that runs has a number below n.
    """
    if len(branches) == 1:
        return _in_place(node, g, branches[0], inputs)
    results, middle = g.results, (len(branches) + 1) // 2
    likes = [like for like, used in zip(results, node.used, strict=True) if used]
    bodies = {}
    for title, half, number in (
        ("then_branch", branches[:middle], first),
        ("else_branch", branches[middle:], first + middle),
    ):
        inner = g.inner(title)
        inner.results = results
        made = [value for value in _chosen(node, inner, half, number, below, inputs) if value is not None]
        for index, (value, like) in enumerate(zip(made, likes, strict=True)):
            add_output(inner, f"result_{index}", as_tensor(inner, value, like.items))
        inner.finish([])
        bodies[title] = inner
    tensors = [as_tensor_type(like) for like in likes]
    outputs = [(tensor.dtype, tensor.dims) for tensor in tensors]
    found = iter(g.emit_with(bodies, "If", [g.ref(below(g, first + middle))], outputs))
    return [carried_by(next(found), like) if used else None for like, used in zip(results, node.used, strict=True)]


@LOWERINGS.op("While", "StatelessWhile", attrs={"cond", "body", "output_shapes", "parallel_iterations"})
def while_(node: FlowNode, g: Builder, *inputs: Value) -> Sequence[Value | None]:
    """The state when the condition fails."""
    plan = plan_loop(node.subgraphs["body"].region, node.subgraphs["next"].region, inputs, node.used)
    loop = _Loop(node, g, plan, inputs)
    return loop.results(loop.emit())


class _Loop:
    """One loop on its way to ONNX."""

    def __init__(self, node: FlowNode, g: Builder, plan: LoopPlan, inputs: Sequence[Value]) -> None:
        self.node, self.g, self.plan, self.inputs = node, g, plan, inputs
        self.body, self.first, self.next = (node.subgraphs[name] for name in ("body", "first", "next"))
        self.kinds = g.results
        self.written = sorted(plan.written)
        self.bound: Part | None = None

    def emit(self) -> Mapping[int, Value]:
        """The Loop; by number, the tensors that it makes of what is carried and of what is written."""
        g, plan = self.g, self.plan
        starts = self._conjunction(g, self.first.lower(g, self.inputs, plan.terms))
        state = {number: as_tensor(g, self.inputs[number], self.kinds[number].items) for number in plan.carried}
        self.bound = self._most_steps()
        found = {} if "recurrent" in g.without else layer(g, self.body.region, plan, self.inputs, self.bound)
        if found:
            return found
        inner = g.inner()
        elements_ = self._fill(inner)
        most = "" if self.bound is None else g.ref(_scalar(g, self.bound))
        names = [most, "" if starts is None else g.ref(starts), *(g.ref(value) for value in state.values())]
        outputs: list[tuple[DType, Dims]] = [
            (tensor.dtype, tensor.dims) for tensor in (as_tensor_type(self.kinds[number]) for number in plan.carried)
        ]
        outputs += [(value.dtype, None if value.dims is None else (None, *(_sizes(value.dims)))) for value in elements_]
        made = g.emit_with({"body": inner}, "Loop", names, outputs)
        return dict(zip([*plan.carried, *self.written], made, strict=True))

    def _conjunction(self, g: Builder, terms: Sequence[Value]) -> Value | None:
        """Whether all terms hold; None where there is nothing to hold."""
        whole: Value | None = None
        for term in terms:
            holds = _truth(g, term)
            whole = holds if whole is None else g.op("And", whole, holds)
        return whole

    def _most_steps(self) -> Part | None:
        """The number of steps that the bounds allow; None where there are none."""
        g = self.g
        allowed: list[Part] = []
        for bound in self.plan.bounds:
            limit, start = (
                g.part(self.first.lower(g, self.inputs, [bound.limit])[0]),
                g.part(self.inputs[bound.counter]),
            )
            steps = g.minus(limit, start) if bound.direction > 0 else g.minus(start, limit)
            allowed.append(g.plus(steps, bound.extra))
        if not allowed:
            return None
        numbers = [part for part in allowed if isinstance(part, int)]
        if len(numbers) == len(allowed):
            return max(min(numbers), 0)
        first = allowed[0]
        if isinstance(first, str) and "-" not in first and all(part == first for part in allowed):
            return first
        vectors = [g.vector([part]) for part in allowed]
        fewest = vectors[0] if len(vectors) == 1 else g.op("Min", *vectors, dims=(1,))
        return g.op("Max", fewest, g.ints([0]), dims=(1,))

    def _fill(self, inner: Builder) -> list[Value]:
        """Makes the body; the elements that are written."""
        plan, region = self.plan, self.body.region
        step = add_input(inner, "step", Value(INT64, ()))
        add_input(inner, "again", Value(BOOL, ()))
        arguments: list[Value | None] = [None] * len(self.inputs)
        for number in plan.carried:
            arguments[number] = add_input(inner, f"state_{number}", region.values[region.arguments[number]])
        for number in plan.kept:
            arguments[number] = self.inputs[number]
        for number in plan.counted:
            arguments[number] = self._counter(inner, number, step)
        items = [plan.written[number].item for number in self.written]
        made = self.body.lower(inner, arguments, [*(region.results[number] for number in plan.carried), *items])
        self._condition(inner, step, dict(zip(plan.carried, made, strict=False)))
        for number, value in zip(plan.carried, made, strict=False):
            like = self.kinds[number]
            if value.dtype != like.dtype:
                raise GraphError(self.node.name, f"expected a state of {like.dtype}, got {value.dtype}")
            add_output(inner, f"next_{number}", as_tensor(inner, value, like.items))
        found = [as_tensor(inner, value) for value in made[len(plan.carried) :]]
        for number, value in zip(self.written, found, strict=True):
            add_output(inner, f"element_{number}", value)
        inner.finish([])
        return found

    def _condition(self, inner: Builder, step: Value, state: Mapping[int, Value]) -> None:
        """The first output of the body: whether the loop goes on."""
        after = inner.op("Add", step, inner.scalar(1, like=INT64))
        arguments: list[Value | None] = [None] * len(self.inputs)
        for number in self.next.region.arguments_of(self.plan.terms):
            if number in self.plan.kept:
                arguments[number] = self.inputs[number]
            elif number in self.plan.counted:
                arguments[number] = self._counter(inner, number, after)
            else:
                arguments[number] = state[number]
        holds = self._conjunction(inner, self.next.lower(inner, arguments, self.plan.terms))
        add_output(inner, "goes_on", inner.scalar(1, like=BOOL) if holds is None else holds)

    def _counter(self, g: Builder, number: int, step: Value) -> Value:
        """A counter's value after `step` steps."""
        start = self.inputs[number]
        counted = g.op("Mul", step, g.scalar(by, like=INT64)) if (by := self.plan.counted[number]) != 1 else step
        counted = counted if start.integer() == 0 else g.op("Add", counted, g.int64(start))
        return g.cast(counted, start.dtype)

    def results(self, made: Mapping[int, Value]) -> list[Value | None]:
        """What each part of the state is in the end."""
        found: list[Value | None] = []
        for number, used in enumerate(self.node.used):
            if not used:
                found.append(None)
            elif number in self.plan.kept:
                found.append(self.inputs[number])
            elif number in self.plan.counted:
                assert self.bound is not None
                found.append(self._counter(self.g, number, _scalar(self.g, self.bound)))
            elif number in self.plan.written:
                found.append(self._list(number, self.plan.written[number], made[number]))
            else:
                found.append(carried_by(made[number], self.kinds[number]))
        return found

    def _list(self, number: int, write: Write, new: Value) -> Value:
        """The list with the elements that the steps have written."""
        g, handle = self.g, self.inputs[number]
        assert handle.items is not None
        before = length(g, handle)
        if write.place is None:
            joined = new if before == 0 else g.concat([elements(g, handle, self.kinds[number].items), new], 0)
            return list_of(g, handle, joined)
        exact = not self.plan.terms and write.place == 0 and not write.again
        if exact and not isinstance(before, Value) and before == self.bound:
            return list_of(g, handle, new.with_(dims=None if new.dims is None else (before, *new.dims[1:])))
        if write.again:
            new = g.slice(new, [-1], [TO_END], [0])
        end = g.plus(g.size(new, 0), write.place)
        if not handle.items.blank:
            held = elements(g, handle)
            ahead = [g.slice(held, [0], [write.place], [0])] if write.place else []
            return list_of(g, handle, g.concat([*ahead, new, g.slice(held, [end], [TO_END], [0])], 0))
        behind = g.minus(before, end)
        if write.grows:
            behind = 0 if before == 0 else g.op("Max", g.vector([behind]), g.ints([0]), dims=(1,))
        if behind == 0 and write.place == 0:
            return list_of(g, handle, new)
        return list_of(g, handle, padded(g, new, write.place, behind))


def _scalar(g: Builder, part: Part) -> Value:
    return g.reshape(part, []) if isinstance(part, Value) else Value.of_entries(INT64, [part], scalar=True)


def _sizes(dims: tuple[int | str | None, ...]) -> tuple[int | None, ...]:
    """Symbols of a body mean nothing behind it."""
    return tuple(dim if isinstance(dim, int) else None for dim in dims)
