"""The Gaussian error linear unit, written out in steps, is one op from opset 20 on.

    x * 1/2 * (1 + erf(x / sqrt 2))                                     = Gelu(x)
    x * 1/2 * (1 - erf(-x / sqrt 2))                                    the same, from erfc: 1 - erf(-y) = 1 + erf(y)
    x * 1/2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))           = Gelu(x, approximate="tanh")

in any order of the factors. Below opset 20 the steps stay, the first or the last: runtimes know them.
"""

from __future__ import annotations

import math

from ..ir import Node
from .editing import Editor, Fusion, Unfit, either_way, is_near, other


def fuse_gelu(editor: Editor, step: Node) -> None:
    """Anchored at the Erf or the Tanh."""
    x = _x_of_erf(editor, step) if step.op == "Erf" else _x_of_tanh(editor, step)
    shifted = editor.only_user(f"{step.name}:0", "Add")
    if editor.number(other(shifted, f"{step.name}:0")) != 1:
        raise Unfit("expected 1 to be added")
    last = _product(editor, f"{shifted.name}:0", x)
    kind = "none" if step.op == "Erf" else "tanh"
    editor.replace(last, Node(last.name, "Gelu", (x,), {"approximate": kind.encode()}))


def turn_erfc(editor: Editor, negative: Node) -> None:
    """Anchored at the Neg of 1 - erf(-x * c)."""
    scaled = editor.only_user(f"{negative.name}:0", "Mul", "Div")
    step = editor.only_user(f"{scaled.name}:0", "Erf")
    rest = editor.only_user(f"{step.name}:0", "Sub")
    if scaled.inputs[0] != f"{negative.name}:0" or rest.inputs[1] != f"{step.name}:0":
        raise Unfit("expected 1 - erf(-x * c)")
    editor.replace(scaled, scaled.with_(inputs=(negative.inputs[0], scaled.inputs[1])))
    editor.replace(rest, Node(rest.name, "Add", rest.inputs[::-1]))


def _product(editor: Editor, value: str, x: str) -> Node:
    """The last node of a product of `value`, x and 1/2."""
    lacking = {"x", "half"}
    while lacking:
        node = editor.only_user(value, "Mul", "Div")
        factor = other(node, value)
        if node.op == "Div":
            if node.inputs[0] != value or editor.number(factor) != 2:
                raise Unfit("expected half of it")
            found = {"half"}
        elif factor == x:
            found = {"x"}
        else:
            found = {"half"} if _is_half(editor, factor) else {"x", "half"}
            if len(found) > 1:
                halved = editor.made(factor, "Mul")
                if not (x in halved.inputs and _is_half(editor, other(halved, x))):
                    raise Unfit("expected a product with x / 2")
        if not found <= lacking:
            raise Unfit("expected x and 1/2 once each")
        lacking -= found
        value = f"{node.name}:0"
    return node


def _is_half(editor: Editor, value: str) -> bool:
    try:
        return editor.number(value) == 0.5
    except Unfit:
        return False


def _x_of_erf(editor: Editor, step: Node) -> str:
    """x, if the step is erf(x / sqrt 2)."""
    scaled = editor.made(step.inputs[0], "Mul", "Div")
    if scaled.op == "Div":
        x, slope = scaled.inputs[0], 1 / (editor.number(scaled.inputs[1]) or math.inf)
    else:
        x, slope = either_way(scaled, lambda x, factor: (x, editor.number(factor)))
    if not is_near(slope, math.sqrt(0.5)):
        raise Unfit(f"expected erf(x / sqrt 2), got {slope:g} as the factor")
    return x


def _x_of_tanh(editor: Editor, step: Node) -> str:
    scaled = editor.made(step.inputs[0], "Mul")
    sum_, factor = either_way(scaled, lambda inner, c: (editor.made(inner, "Add"), editor.number(c)))
    if not is_near(factor, math.sqrt(2 / math.pi)):
        raise Unfit(f"expected sqrt(2 / pi) as the factor, got {factor:g}")
    return either_way(sum_, lambda x, cubic: _check_cubic(editor, x, cubic))


def _check_cubic(editor: Editor, x: str, value: str) -> str:
    """x, if the value is 0.044715 * x^3."""
    scaled = editor.made(value, "Mul")
    cube, factor = either_way(scaled, lambda cube, c: (editor.made(cube, "Pow", "Mul"), editor.number(c)))
    if not is_near(factor, 0.044715):
        raise Unfit(f"expected 0.044715 as the factor, got {factor:g}")
    if cube.op == "Pow":
        if cube.inputs[0] != x or editor.number(cube.inputs[1]) != 3:
            raise Unfit("expected the cube of x")
    else:
        square = editor.made(other(cube, x), "Mul")
        if x not in cube.inputs or square.inputs != (x, x):
            raise Unfit("expected the cube of x")
    return x


ERFC = Fusion("gelu", ("Neg",), turn_erfc)
GELU = Fusion("gelu", ("Erf", "Tanh"), fuse_gelu, since=20)
