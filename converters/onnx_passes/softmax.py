"""Softmax written out, with the maximum taken off so that nothing overflows, is one op.

    e = exp(x - max(x)),  e / sum(e)                    = Softmax(x)            along one dimension
    d = x - max(x),       d - log(sum(exp(d)))          = LogSoftmax(x)

Without the maximum it stays as it is: Softmax would give numbers where TensorFlow's overflows.
"""

from __future__ import annotations

from ..ir import Node
from .editing import Editor, Fusion, Unfit
from .layout import int_list


def fuse_softmax(editor: Editor, quotient: Node) -> None:
    """Anchored at the Div."""
    powers, total = quotient.inputs
    x, axis = _centred(editor, editor.made(powers, "Exp").inputs[0])
    _check_sum(editor, total, powers, axis)
    editor.replace(quotient, Node(quotient.name, "Softmax", (x,), {"axis": axis}))


def fuse_log_softmax(editor: Editor, difference: Node) -> None:
    """Anchored at the outer Sub."""
    centred, logarithm = difference.inputs
    total = editor.made(logarithm, "Log").inputs[0]
    powers = editor.made(total, "ReduceSum").inputs[0]
    if editor.made(powers, "Exp").inputs[0] != centred:
        raise Unfit("expected the sum of the powers of what it is taken from")
    x, axis = _centred(editor, centred)
    _check_sum(editor, total, powers, axis)
    editor.replace(difference, Node(difference.name, "LogSoftmax", (x,), {"axis": axis}))


def _centred(editor: Editor, value: str) -> tuple[str, int]:
    """x and the axis, of x - max(x)."""
    centred = editor.made(value, "Sub")
    x, most = centred.inputs
    largest = editor.made(most, "ReduceMax")
    if largest.inputs[0] != x:
        raise Unfit("expected the maximum of what it is taken from")
    return x, _axis(editor, largest, x)


def _check_sum(editor: Editor, total: str, powers: str, axis: int) -> None:
    sum_ = editor.made(total, "ReduceSum")
    if sum_.inputs[0] != powers or _axis(editor, sum_, powers) != axis:
        raise Unfit("expected the sum of the powers along the dimension of the maximum")


def _axis(editor: Editor, reduction: Node, x: str) -> int:
    """The one axis of a reduction that keeps its dimension, counted from the end."""
    axes = editor.integers(reduction.inputs[1]) if len(reduction.inputs) > 1 else int_list(reduction, "axes")
    if len(axes) != 1 or not reduction.attrs.get("keepdims", 1):
        raise Unfit(f"expected a reduction of one dimension, which stays, got {list(axes)}")
    return axes[0] if axes[0] < 0 else axes[0] - editor.rank(x)


SOFTMAX = Fusion("softmax", ("Div",), fuse_softmax)
LOG_SOFTMAX = Fusion("softmax", ("Sub",), fuse_log_softmax)
