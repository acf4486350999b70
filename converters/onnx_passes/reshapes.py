"""Of two reshapes in a row the second says it all.

Reshape(Reshape(x, a), b)  =  Reshape(x, b)        unless b copies a size (0) that a made
"""

from __future__ import annotations

from ..ir import Graph
from .editing import Editor


def merge_reshapes(graph: Graph) -> Graph:
    """The graph with no reshape right after another."""
    editor = Editor(graph)
    for second in editor.of("Reshape"):
        first = editor.maker(second.inputs[0], "Reshape")
        shape = editor.constant(second.inputs[1])
        if first is None or shape is None or (0 in shape.numpy() and not second.attrs.get("allowzero")):
            continue
        gone = [first] if len(editor.users[second.inputs[0]]) == 1 else []
        editor.replace(second, second.with_(inputs=(first.inputs[0], second.inputs[1])), *gone)
    return editor.graph()
