"""Conditionals and loops: what is known behind them, and in their bodies (`regions`).

Of a conditional, what is known of the results of all branches. Of a loop

    state = inputs
    while cond(state):                region `first` for the inputs, `next` for what the body gives
        state = body(state)           region `body`

what stays known from step to step: the body is inferred again with what its results and its arguments have in common,
until that is all. A size that changes is a symbol of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tensorferry.formats.errors import GraphError

from ..ir import AttrList, FuncRef
from ..ops import OpNode
from .regions import Region, Regions, join
from .values import Items, Value

if TYPE_CHECKING:
    from .engine import Inference

ROUNDS = 12
"""So often a loop's body is inferred, before all that still changes is given up; that comes to rest in a few more."""

FlowRule: TypeAlias = "Callable[[Inference, OpNode, Sequence[Value]], tuple[list[Value], Regions]]"


def conditional(inference: Inference, node: OpNode, inputs: Sequence[Value]) -> tuple[list[Value], Regions]:
    """One of two branches; only that, where the condition is known."""
    branches = {"else_branch": node.func("else_branch"), "then_branch": node.func("then_branch")}
    taken = inputs[0].integer() if inputs[0].rank == 0 else None
    if taken is not None:
        name = "then_branch" if taken else "else_branch"
        branches = {name: branches[name]}
    return _joined(inference, node, branches, inputs[1:])


def case(inference: Inference, node: OpNode, inputs: Sequence[Value]) -> tuple[list[Value], Regions]:
    """The branch of that number; the last, where there is none."""
    branches = _functions(node, "branches")
    taken = inputs[0].integer() if inputs[0].rank == 0 else None
    if taken is not None:
        number = taken if 0 <= taken < len(branches) else len(branches) - 1
        branches = {str(number): branches[str(number)]}
    return _joined(inference, node, branches, inputs[1:])


def _functions(node: OpNode, name: str) -> dict[str, FuncRef]:
    listed = node.node.attrs.get(name)
    items = listed.items if isinstance(listed, AttrList) else ()
    if not items or not all(isinstance(item, FuncRef) for item in items):
        raise GraphError(node.name, f"expected functions in {node.op}'s attribute {name!r}, got none")
    return {str(number): item for number, item in enumerate(items) if isinstance(item, FuncRef)}


def _joined(
    inference: Inference, node: OpNode, branches: Mapping[str, FuncRef], arguments: Sequence[Value]
) -> tuple[list[Value], Regions]:
    regions = {name: inference.enter(node, called, arguments) for name, called in branches.items()}
    found = [[region.leaving(region.result(i)) for i in range(len(region.results))] for region in regions.values()]
    if len({len(values) for values in found}) != 1:
        raise GraphError(node.name, f"expected branches of {node.op} with as many results each")
    results = found[0]
    for values in found[1:]:
        results = [_either(node, a, b) for a, b in zip(results, values, strict=True)]
    return results, regions


def _either(node: OpNode, a: Value, b: Value) -> Value:
    if a.dtype != b.dtype:
        raise GraphError(node.name, f"expected one type where {node.op} joins values, got {a.dtype} and {b.dtype}")
    return join(a, b)


def loop(inference: Inference, node: OpNode, inputs: Sequence[Value]) -> tuple[list[Value], Regions]:
    """The state when the condition fails."""
    body = node.func("body")
    state = [value.with_(name="") for value in inputs]
    for count in range(ROUNDS + 4):
        region = inference.enter(node, body, state)
        if len(region.results) != len(state):
            raise GraphError(node.name, f"expected a body of {len(state)} results, got {len(region.results)}")
        after = [_either(node, value, region.leaving(region.result(i))) for i, value in enumerate(state)]
        if after == state:
            break
        state = after if count != ROUNDS else [_given_up(region, i, value) for i, value in enumerate(after)]
    else:
        raise GraphError(node.name, f"expected shapes of {node.op} that come to rest, got ones that change for ever")
    regions = {
        "body": region,
        "first": _condition(inference, node, inputs),
        "next": _condition(inference, node, [region.result(i) for i in range(len(state))]),
    }
    return state, regions


def _given_up(body: Region, number: int, value: Value) -> Value:
    """What is left of a value that the body does not just pass on: its type."""
    if body.source(body.results[number]) == body.arguments[number]:
        return value
    return Value(value.dtype, items=None if value.items is None else Items(value.items.dtype))


def _condition(inference: Inference, node: OpNode, state: Sequence[Value]) -> Region:
    region = inference.enter(node, node.func("cond"), state)
    if len(region.results) != 1:
        raise GraphError(node.name, f"expected a condition of one result, got {len(region.results)}")
    return region


CONTROL_FLOW: Mapping[str, FlowRule] = {
    "If": conditional,
    "StatelessIf": conditional,
    "Case": case,
    "StatelessCase": case,
    "While": loop,
    "StatelessWhile": loop,
}
"""The ops that run bodies."""
