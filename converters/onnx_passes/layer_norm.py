"""Layer normalisation, written out in steps as TensorFlow has it, is one op.

    m = mean(x)  v = mean((x - m)^2)  r = 1 / sqrt(v + epsilon)         over the last dimension
    (x - m) * r * scale + offset                                        as BERT writes it
    x * (r * scale) + (offset - m * (r * scale))                        as tf.nn.batch_normalization does
    = LayerNormalization(x, scale, offset)

The scale has to be there, [C]; the offset may be missing in the first form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..inference.dims import Dims
from ..ir import Graph, Node
from .editing import Editor
from .layout import int_list

OPSET = 17
"""The first opset that has the op."""


@dataclass(frozen=True)
class _Moments:
    """Where a normalisation begins: its input, the mean, the centred input, and 1 / deviation."""

    x: str
    mean: str
    centred: str
    inverse: str
    epsilon: float


def fuse_layer_norm(graph: Graph, dims: Mapping[str, Dims]) -> Graph:
    """The graph with LayerNormalization for what is one. `dims` has the shapes of values."""
    editor = Editor(graph)
    for node in editor.of("Reciprocal"):
        moments = _moments(editor, node, dims)
        found = None if moments is None else _centred_form(editor, moments) or _affine_form(editor, moments)
        if moments is not None and found is not None:
            last, scale, offset = found
            inputs = (moments.x, scale, offset) if offset else (moments.x, scale)
            fused = Node(last.name, "LayerNormalization", inputs, {"axis": -1, "epsilon": moments.epsilon})
            editor.replace(last, fused)
    return editor.graph()


def _moments(editor: Editor, inverse: Node, dims: Mapping[str, Dims]) -> _Moments | None:
    root = editor.maker(inverse.inputs[0], "Sqrt")
    shifted = editor.maker(root.inputs[0], "Add") if root is not None else None
    if shifted is None:
        return None
    for value, constant in (shifted.inputs, shifted.inputs[::-1]):
        epsilon = editor.constant(constant)
        variance = editor.maker(value, "ReduceMean")
        if epsilon is None or epsilon.size != 1 or variance is None:
            continue
        square = editor.maker(variance.inputs[0], "Mul")
        centred = editor.maker(square.inputs[0], "Sub") if square is not None else None
        if square is None or centred is None or square.inputs[0] != square.inputs[1]:
            return None
        x, middle = centred.inputs
        mean = editor.maker(middle, "ReduceMean")
        if (
            mean is None
            or mean.inputs[0] != x
            or not all(_is_over_last(editor, n, dims.get(x)) for n in (mean, variance))
        ):
            return None
        number = float(epsilon.numpy().reshape(-1)[0])
        return _Moments(x, middle, square.inputs[0], f"{inverse.name}:0", number)
    return None


def _is_over_last(editor: Editor, mean: Node, dims: Dims) -> bool:
    """Whether a reduction is over the last dimension, which stays as 1."""
    axes = editor.constant(mean.inputs[1]) if len(mean.inputs) > 1 else None
    listed = axes.numpy().reshape(-1).tolist() if axes is not None and axes.size == 1 else int_list(mean, "axes")
    last = [-1] if dims is None else [-1, len(dims) - 1]
    return len(listed) == 1 and listed[0] in last and mean.attrs.get("keepdims", 1) == 1


def _other(node: Node, value: str) -> str:
    """The operand of a node of two that is not `value`."""
    return node.inputs[1] if node.inputs[0] == value else node.inputs[0]


def _lone_user(editor: Editor, value: str, op: str) -> Node | None:
    users = editor.users.get(value, [])
    node = editor.nodes[users[0]] if len(users) == 1 else None
    return node if node is not None and node.op == op else None


def _is_vector(editor: Editor, value: str) -> bool:
    tensor = editor.constant(value)
    return tensor is not None and tensor.rank == 1


def _centred_form(editor: Editor, moments: _Moments) -> tuple[Node, str, str] | None:
    """(last node, scale, offset) of (x - m) * r * scale + offset, in any order of the factors."""
    product = _lone_user(editor, moments.inverse, "Mul")
    if product is None:
        return None
    factors = [_other(product, moments.inverse)]
    outer = _lone_user(editor, f"{product.name}:0", "Mul")
    if outer is None:
        return None
    factors.append(_other(outer, f"{product.name}:0"))
    if moments.centred not in factors:
        return None
    scale = next((value for value in factors if value != moments.centred), "")
    if not _is_vector(editor, scale):
        return None
    sum_ = _lone_user(editor, f"{outer.name}:0", "Add")
    offset = _other(sum_, f"{outer.name}:0") if sum_ is not None else ""
    if sum_ is not None and _is_vector(editor, offset):
        return sum_, scale, offset
    return outer, scale, ""


def _affine_form(editor: Editor, moments: _Moments) -> tuple[Node, str, str] | None:
    """(last node, scale, offset) of x * g + (offset - m * g), g = r * scale."""
    factor = _lone_user(editor, moments.inverse, "Mul")
    if factor is None:
        return None
    scale, name = _other(factor, moments.inverse), f"{factor.name}:0"
    products = [editor.nodes[user] for user in editor.users.get(name, [])]
    by_operand = {_other(node, name): node for node in products if node.op == "Mul"}
    if len(products) != 2 or set(by_operand) != {moments.x, moments.mean} or not _is_vector(editor, scale):
        return None
    rest = _lone_user(editor, f"{by_operand[moments.mean].name}:0", "Sub")
    whole = _lone_user(editor, f"{by_operand[moments.x].name}:0", "Add")
    if rest is None or whole is None or f"{rest.name}:0" not in whole.inputs:
        return None
    offset = rest.inputs[0]
    return (whole, scale, offset) if _is_vector(editor, offset) else None
