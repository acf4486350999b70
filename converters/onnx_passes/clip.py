"""Two limits, one after the other, are one op.

Max(Min(x, high), low)              = Clip(x, low, high)            numbers, low <= high
Min(Max(x, low), high)              = Clip(x, low, high)
"""

from __future__ import annotations

from ..ir import Node
from .editing import Editor, Fusion, Unfit, either_way

_INNER = {"Max": "Min", "Min": "Max"}


def fuse_clip(editor: Editor, outer: Node) -> None:
    """Anchored at the outer one; both limits have to be scalars."""
    if len(outer.inputs) != 2:
        raise Unfit(f"expected two operands, got {len(outer.inputs)}")
    inner, limit = either_way(outer, lambda made, limit: (_inner(editor, outer, made), _scalar(editor, limit)))
    x, other_limit = either_way(inner, lambda x, limit: (x, _scalar(editor, limit)))
    low, high = (limit, other_limit) if outer.op == "Max" else (other_limit, limit)
    if not editor.number(low) <= editor.number(high):
        raise Unfit("expected the lower limit below the higher")
    editor.replace(outer, Node(outer.name, "Clip", (x, low, high)), inner)


def _inner(editor: Editor, outer: Node, value: str) -> Node:
    inner = editor.made_alone(value, _INNER[outer.op])
    if len(inner.inputs) != 2:
        raise Unfit(f"expected two operands, got {len(inner.inputs)}")
    return inner


def _scalar(editor: Editor, value: str) -> str:
    if editor.weights(value).rank:
        raise Unfit(f"expected a scalar, got {list(editor.weights(value).shape)}")
    return value


CLIP = Fusion("clip", ("Max", "Min"), fuse_clip)
