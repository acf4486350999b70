"""Of two reshapes in a row the second says it all.

Reshape(Reshape(x, a), b)           = Reshape(x, b)        unless b copies a size (0) that a made
"""

from __future__ import annotations

from ..ir import Node
from .editing import Editor, Fusion, Unfit


def merge_reshapes(editor: Editor, second: Node) -> None:
    """Anchored at the second."""
    first = editor.made(second.inputs[0], "Reshape")
    if 0 in editor.integers(second.inputs[1]) and not second.attrs.get("allowzero"):
        raise Unfit("expected a shape that copies no size")
    gone = [first] if len(editor.users[second.inputs[0]]) == 1 else []
    editor.replace(second, second.with_(inputs=(first.inputs[0], second.inputs[1])), *gone)


RESHAPES = Fusion("reshapes", ("Reshape",), merge_reshapes)
