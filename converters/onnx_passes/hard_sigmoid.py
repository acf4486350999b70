"""The piecewise linear sigmoid and what is gated with it.

clip(x + b, 0, m) * (1 / m)         = HardSigmoid(x), alpha 1 / m, beta b / m       relu6(x + 3) / 6
clip(a * x + b, 0, 1)               = HardSigmoid(x), alpha a, beta b
x * HardSigmoid(x)                  = HardSwish(x)                                  for alpha 1/6, beta 1/2
"""

from __future__ import annotations

from tensorferry.formats.dtype import FLOAT32

from ..ir import Node
from .editing import Editor, Fusion, Unfit, either_way, is_near


def fuse_hard_sigmoid(editor: Editor, node: Node) -> None:
    """Anchored at the Clip to [0, 1], or at the product or quotient behind the Clip."""
    if node.op == "Clip":
        _fuse_clip(editor, node)
        return
    if node.op == "Div":
        clipped, factor = node.inputs[0], 1 / _nonzero(editor.number(node.inputs[1]))
    else:
        clipped, factor = either_way(node, lambda made, c: (made, editor.number(c)))
    clip = editor.made(clipped, "Clip")
    low, high = _limits(editor, clip)
    if low != 0 or not is_near(high * factor, 1):
        raise Unfit(f"expected a clip from 0 to the divisor, got {low:g} to {high:g}")
    shifted = editor.made(clip.inputs[0], "Add")
    x, shift = either_way(shifted, lambda x, b: (x, editor.number(b)))
    _replace(editor, node, x, factor, shift * factor)


def _fuse_clip(editor: Editor, clip: Node) -> None:
    if _limits(editor, clip) != (0, 1):
        raise Unfit("expected a clip from 0 to 1")
    shifted = editor.made(clip.inputs[0], "Add")
    made, shift = either_way(shifted, lambda made, b: (made, editor.number(b)))
    scaled = editor.made(made, "Mul")
    x, slope = either_way(scaled, lambda x, a: (x, editor.number(a)))
    _replace(editor, clip, x, slope, shift)


def _replace(editor: Editor, last: Node, x: str, alpha: float, beta: float) -> None:
    editor.replace(last, Node(last.name, "HardSigmoid", (x,), {"alpha": alpha, "beta": beta}))


def _limits(editor: Editor, clip: Node) -> tuple[float, float]:
    if len(clip.inputs) != 3 or not all(clip.inputs):
        raise Unfit("expected a clip at both ends")
    if editor.constant(clip.inputs[1]).dtype != FLOAT32:
        raise Unfit("expected a clip of float32")
    return editor.number(clip.inputs[1]), editor.number(clip.inputs[2])


def _nonzero(number: float) -> float:
    if number == 0:
        raise Unfit("expected a divisor, got 0")
    return number


def fuse_hard_swish(editor: Editor, product: Node) -> None:
    """Anchored at the product of x and its HardSigmoid."""
    either_way(product, lambda x, gate: _fuse_swish(editor, product, x, gate))


def _fuse_swish(editor: Editor, product: Node, x: str, gate: str) -> None:
    sigmoid = editor.made(gate, "HardSigmoid")
    alpha, beta = sigmoid.attrs["alpha"], sigmoid.attrs["beta"]
    assert isinstance(alpha, float)
    assert isinstance(beta, float)
    if sigmoid.inputs[0] != x or not is_near(alpha, 1 / 6) or not is_near(beta, 0.5):
        raise Unfit("expected x * relu6(x + 3) / 6")
    editor.replace(product, Node(product.name, "HardSwish", (x,)))


def fuse_gated(editor: Editor, last: Node) -> None:
    """Anchored at the Div or Mul of x * relu6(x + 3) by 6, where the division comes last."""
    if last.op == "Div":
        product, factor = editor.made(last.inputs[0], "Mul"), 1 / _nonzero(editor.number(last.inputs[1]))
    else:
        product, factor = either_way(last, lambda made, c: (editor.made(made, "Mul"), editor.number(c)))
    clip, x = either_way(product, lambda x, made: (editor.made(made, "Clip"), x))
    shifted = editor.made(clip.inputs[0], "Add")
    inner, shift = either_way(shifted, lambda x, b: (x, editor.number(b)))
    if inner != x or shift != 3 or _limits(editor, clip) != (0, 6) or not is_near(factor, 1 / 6):
        raise Unfit("expected x * relu6(x + 3) / 6")
    editor.replace(last, Node(last.name, "HardSwish", (x,)))


HARD_SIGMOID = Fusion("hard_sigmoid", ("Clip", "Mul", "Div"), fuse_hard_sigmoid)
HARD_SWISH = Fusion("hard_sigmoid", ("Mul",), fuse_hard_swish, since=14)
GATED = Fusion("hard_sigmoid", ("Mul", "Div"), fuse_gated, since=14)
