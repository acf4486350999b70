"""How each op works on a view: on the base, with its axes translated.

A view has dimension i where its base has dimension perm[i]; so an axis a of the view is axis perm[a] of the base. A
rule returns whether it took the node over; if not, the layout pass keeps the node as it is, on real inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from ..inference.dims import Dim, known
from ..ir import Node
from ..lowering.emitter import BROADCASTING, SAME_SHAPE
from ..views import reshaped, transposed
from .layout import Layout, int_list, ints, keeps_order

Rule = Callable[[Layout, Node], bool]
Perm = tuple[int, ...]

_WITH_AXES = {
    "BatchNormalization", "CumSum", "LayerNormalization", "LogSoftmax", "LRN", "ReverseSequence", "ScatterElements",
    "ScatterND", "Softmax", "Trilu", "PRelu",
}  # fmt: skip


def _first(work: Layout, node: Node) -> Perm | None:
    return work.view(node.inputs[0]).perm


def elementwise(work: Layout, node: Node) -> bool:
    """All inputs as views with one perm."""
    aligned = work.aligned_all(node.inputs)
    if aligned is None:
        return False
    work.change(node, *aligned)
    return True


def concat(work: Layout, node: Node) -> bool:
    """The same along the base's axis; nothing broadcasts here."""
    ranks = {len(dims) if dims is not None else None for dims in map(work.old_dims.get, node.inputs)}
    axis = node.attrs["axis"]
    if len(ranks) != 1 or None in ranks or not isinstance(axis, int):
        return False
    aligned = work.aligned_all(node.inputs)
    if aligned is None:
        return False
    inputs, perm = aligned
    work.change(node, inputs, perm, axis=perm[axis])
    return True


def along_axis(work: Layout, node: Node) -> bool:
    """Softmax, Split and others with one axis in an attribute, which stays."""
    perm, axis = _first(work, node), node.attrs.get("axis", -1 if "oftmax" in node.op else 0)
    if perm is None or not isinstance(axis, int):
        return False
    work.change(node, [work.view(node.inputs[0]).base, *map(work.real, node.inputs[1:])], perm, axis=perm[axis])
    return True


def pad(work: Layout, node: Node) -> bool:
    """Constant pads in the base's order: all before, then all after."""
    perm = _first(work, node)
    pads = work.numbers(node.inputs[1])
    if perm is None or pads is None or len(pads) != 2 * len(perm) or len(node.inputs) > 3:
        return False
    rank = len(perm)
    moved = [pads[perm.index(axis) + side * rank] for side in (0, 1) for axis in range(rank)]
    rest = [work.real(value) if value else "" for value in node.inputs[2:]]
    work.change(node, [work.view(node.inputs[0]).base, work.add_ints(moved), *rest], perm)
    return True


def tile(work: Layout, node: Node) -> bool:
    """Constant repeats in the base's order."""
    perm, repeats = _first(work, node), work.numbers(node.inputs[1])
    if perm is None or repeats is None:
        return False
    moved = [repeats[perm.index(axis)] for axis in range(len(perm))]
    work.change(node, [work.view(node.inputs[0]).base, work.add_ints(moved)], perm)
    return True


def slice_(work: Layout, node: Node) -> bool:
    """Constant axes, translated."""
    perm = _first(work, node)
    axes = work.numbers(node.inputs[3]) if len(node.inputs) > 3 else None
    if perm is None or axes is None:
        return False
    data, starts, ends, _, *steps = node.inputs
    inputs = [work.view(data).base, work.real(starts), work.real(ends), work.add_ints([perm[axis] for axis in axes])]
    work.change(node, [*inputs, *map(work.real, steps)], perm)
    return True


def without(perm: Perm, axes: Sequence[int]) -> Perm:
    """The perm of a view that has lost its dimensions `axes`."""
    gone = {axis % len(perm) for axis in axes}
    left = sorted(perm[axis] for axis in range(len(perm)) if axis not in gone)
    return tuple(left.index(perm[axis]) for axis in range(len(perm)) if axis not in gone)


def reduce(work: Layout, node: Node) -> bool:
    """Axes in an input or in an attribute; without any, all are reduced and no order is left."""
    perm = _first(work, node)
    in_attribute = "axes" in node.attrs
    axes = int_list(node, "axes") if in_attribute else work.numbers(node.inputs[1]) if len(node.inputs) > 1 else ()
    if perm is None or axes is None:
        return False
    base = work.view(node.inputs[0]).base
    after = perm if node.attrs.get("keepdims", 1) else without(perm, axes)
    if not axes:
        if node.attrs.get("noop_with_empty_axes"):
            return False
        work.change(node, [base, *node.inputs[1:]], None)
    elif in_attribute:
        work.change(node, [base], after, axes=ints(sorted(perm[axis] for axis in axes)))
    else:
        work.change(node, [base, work.add_ints(sorted(perm[axis] for axis in axes))], after)
    return True


def arg_max(work: Layout, node: Node) -> bool:
    """A reduction with its one axis in an attribute."""
    perm, axis = _first(work, node), node.attrs.get("axis", 0)
    if perm is None or not isinstance(axis, int):
        return False
    after = perm if node.attrs.get("keepdims", 1) else without(perm, [axis])
    work.change(node, [work.view(node.inputs[0]).base], after, axis=perm[axis])
    return True


def squeeze(work: Layout, node: Node) -> bool:
    """Constant axes."""
    perm = _first(work, node)
    axes = work.numbers(node.inputs[1]) if len(node.inputs) > 1 else None
    if perm is None or axes is None:
        return False
    moved = work.add_ints(sorted(perm[axis] for axis in axes))
    work.change(node, [work.view(node.inputs[0]).base, moved], without(perm, axes))
    return True


def unsqueeze(work: Layout, node: Node) -> bool:
    """Constant axes; the new dimensions come to where in the base they make the next Transpose vanish.

    So [N, W, C] becomes [N, 1, W, C], to be transposed to [N, C, 1, W]: that is how a base [N, C, W] gets its new one.
    """
    perm = _first(work, node)
    axes = work.numbers(node.inputs[1])
    if perm is None or axes is None:
        return False
    new = sorted(axis % (len(perm) + len(axes)) for axis in axes)
    view: list[int] = list(perm)  # its dimensions, by their places in the base; the new ones are -1 - axis
    for axis in new:
        view.insert(axis, -1 - axis)
    base = next(_orders(work, node, view))
    inputs = [work.view(node.inputs[0]).base, work.add_ints(sorted(base.index(-1 - axis) for axis in new))]
    work.change(node, inputs, tuple(base.index(each) for each in view))
    return True


def _orders(work: Layout, node: Node, view: Sequence[int]) -> Iterator[list[int]]:
    """The orders that the base can have: what a Transpose behind wants, or else the new dimensions last."""
    for user in work.users(f"{node.name}:0"):
        if user.op == "Transpose":
            wanted = [view[axis] for axis in int_list(user, "perm")]
            if [each for each in wanted if each >= 0] == sorted(each for each in view if each >= 0):
                yield wanted
    yield [*sorted(each for each in view if each >= 0), *(each for each in view if each < 0)]


def gather(work: Layout, node: Node) -> bool:
    """By a vector of indices the dimension stays, by a scalar it goes."""
    perm, axis = _first(work, node), node.attrs.get("axis", 0)
    indices = work.dims.get(work.view(node.inputs[1]).base)
    if perm is None or not isinstance(axis, int) or indices is None or len(indices) > 1:
        return False
    after = perm if indices else without(perm, [axis])
    work.change(node, [work.view(node.inputs[0]).base, work.real(node.inputs[1])], after, axis=perm[axis])
    return True


def shape(work: Layout, node: Node) -> bool:
    """The base's sizes, picked in the view's order."""
    perm = _first(work, node)
    start, end = node.attrs.get("start", 0), node.attrs.get("end")
    if perm is None or not isinstance(start, int) or not (end is None or isinstance(end, int)):
        return False
    wanted = perm[start:end]
    base = work.view(node.inputs[0]).base
    if len(wanted) == 1 and work.opset >= 15:
        work.change(node, [base], None, start=wanted[0], end=wanted[0] + 1)
        return True
    whole = work.add(Node(work.fresh(f"{node.name}/Shape"), "Shape", (base,)), (len(perm),))
    picked = Node(node.name, "Gather", (whole, work.add_ints(wanted)), {"axis": 0})
    work.add(picked, (len(wanted),))
    return True


def reshape(work: Layout, node: Node) -> bool:
    """The base itself, where the view has its elements in the same order, or only matrix products care for it."""
    view = work.view(node.inputs[0])
    dims = work.dims.get(view.base)
    target = work.numbers(node.inputs[1])
    if view.perm is None or dims is None or target is None:
        return False
    if keeps_order(dims, view.perm) and 0 not in target:
        work.change(node, [view.base, work.real(node.inputs[1])], None)
        return True
    return flatten(work, node, view.perm, dims, target)


def flatten(work: Layout, node: Node, perm: Perm, dims: Sequence[Dim], target: Sequence[int]) -> bool:
    """Rows of the view made flat for products with constant matrices: those matrices' rows change places instead."""
    inner = known(tuple(dims[1:]))
    if perm[0] != 0 or inner is None or len(target) != 2 or target[1] not in (-1, math.prod(inner)):
        return False
    if target[0] not in (-1, 0) and target[0] != dims[0]:
        return False
    users = work.users(f"{node.name}:0")
    weights = [work.old_constant(user.inputs[1]) if user.op == "MatMul" else None for user in users]
    if not users or any(tensor is None or tensor.rank != 2 for tensor in weights):
        return False
    work.flat[f"{node.name}:0"] = (perm, inner)
    work.change(node, [work.view(node.inputs[0]).base, work.real(node.inputs[1])], None)
    return True


def mat_mul(work: Layout, node: Node) -> bool:
    """The product of rows that were flattened in the base's order: so are the rows of the weights [k, n]."""
    if node.inputs[0] not in work.flat:
        return False
    perm, inner = work.flat[node.inputs[0]]
    weights = work.constant(work.real(node.inputs[1]))
    assert weights is not None
    as_view = tuple(inner[axis - 1] for axis in perm[1:])
    order = [perm.index(axis) - 1 for axis in range(1, len(perm))]
    parted = transposed(reshaped(weights, (*as_view, weights.shape[1])), [*order, len(order)])
    moved = work.add_constant(reshaped(parted, weights.shape), node.inputs[1], perm)
    work.change(node, [node.inputs[0], moved], None)
    return True


_UNARY = ("Identity", "Dropout")
RULES: dict[str, Rule] = dict.fromkeys((BROADCASTING | SAME_SHAPE | set(_UNARY)) - _WITH_AXES, elementwise)
"""The rule of each op that has one."""
RULES |= dict.fromkeys(("Softmax", "LogSoftmax", "Split"), along_axis)
RULES |= dict.fromkeys(("ArgMax", "ArgMin"), arg_max)
RULES |= {
    "Concat": concat, "Pad": pad, "Tile": tile, "Slice": slice_, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
    "Gather": gather, "Shape": shape, "Reshape": reshape, "MatMul": mat_mul,
}  # fmt: skip
RULES |= dict.fromkeys(
    ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
     "ReduceSum", "ReduceSumSquare"),
    reduce,
)  # fmt: skip
