"""A Pad right before a MaxPool names its axes.

    MaxPool(Pad(x, pads, 0))            = MaxPool(Pad(x, pads, 0, axes))        axes: all of them, in order; opset 18

Nothing is computed otherwise. But onnxruntime up to 1.23 takes a Pad without axes for the pooling's own padding, which
no maximum counts, and gives other results where all the elements of a window are negative.
"""

from __future__ import annotations

import numpy as np

from tensorferry.formats.tensor import ArrayTensor

from ..ir import Node
from .editing import Editor, Fusion, Unfit


def name_axes(editor: Editor, pool: Node) -> None:
    """Anchored at the MaxPool."""
    pad = editor.made(pool.inputs[0], "Pad")
    if len(pad.inputs) > 3:
        raise Unfit("expected a Pad that does not name its axes, got one that does")
    rank = len(editor.integers(pad.inputs[1])) // 2
    axes = editor.add_constant(f"{pad.name}/axes", ArrayTensor(np.arange(rank, dtype=np.int64)))
    editor.replace(pad, pad.with_(inputs=(*pad.inputs, *[""] * (3 - len(pad.inputs)), axes)))


NAMED_AXES = Fusion("named_axes", ("MaxPool",), name_axes, since=18)
