"""Padding with a constant goes into the convolution or pooling that follows.

    Conv(Pad(x, zeros around), pads p)  = Conv(x, pads p + those)
    MaxPool(Pad(x))                     = MaxPool(x, pads)                  if what is padded is never the maximum:
                                          it is the lowest number, or 0 and x is nowhere negative
    AveragePool(Pad(x, zeros around))   = AveragePool(x, pads, count_include_pad)

A window of a pooling must not fit into the padding. A Pad that somebody else takes too stays for them.
"""

from __future__ import annotations

from ..ir import Attr, AttrList, Node
from .editing import Editor, Fusion, Unfit
from .layout import int_list, ints

_POSITIVE = ("Relu", "Sigmoid", "Softplus", "Exp", "Abs", "HardSigmoid")


def fuse_pad(editor: Editor, window: Node) -> None:
    """Anchored at the Conv, MaxPool or AveragePool. Between it and the Pad may be a Transpose, which stays."""
    made = editor.made(window.inputs[0], "Pad", "Transpose")
    pad = made if made.op == "Pad" else editor.made(editor.made_alone(window.inputs[0], "Transpose").inputs[0], "Pad")
    perm = int_list(made, "perm") if made is not pad else None
    around, attrs = _with_pads(editor, window, pad, perm)
    value = editor.number(pad.inputs[2]) if len(pad.inputs) > 2 and pad.inputs[2] else 0.0
    if window.op != "Conv":
        _check_pooling(editor, window, around, pad.inputs[0], value)
    elif value != 0:
        raise Unfit(f"expected zeros around, got {value:g}")
    x = pad.inputs[0]
    if perm is not None:
        editor.replace(made, made.with_(inputs=(x,)))
        dims = editor.dims.get(x)
        editor.dims[f"{made.name}:0"] = None if dims is None else tuple(dims[axis] for axis in perm)
        x = f"{made.name}:0"
    editor.replace(window, window.with_(inputs=(x, *window.inputs[1:]), attrs=attrs))


def _with_pads(
    editor: Editor, window: Node, pad: Node, perm: tuple[int, ...] | None
) -> tuple[list[int], dict[str, Attr]]:
    """The padding in all, before and then after each spatial dimension, and the window's attributes with it."""
    pads = editor.integers(pad.inputs[1])
    rank = len(pads) // 2
    order = perm or tuple(range(rank))
    before, after = ([pads[axis + side * rank] for axis in order] for side in (0, 1))
    if pad.attrs.get("mode", b"constant") != b"constant" or any(pad.inputs[3:]):
        raise Unfit("expected constant padding of all dimensions")
    if min(pads) < 0 or any((*before[:2], *after[:2])):
        raise Unfit(f"expected padding of the spatial dimensions alone, got {[*before, *after]}")
    if window.attrs.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise Unfit("expected padding by numbers, got one that depends on the size")
    own = int_list(window, "pads") or (0,) * (2 * (rank - 2))
    around = [a + b for a, b in zip((*before[2:], *after[2:]), own, strict=True)]
    attrs = {key: value for key, value in window.attrs.items() if key != "auto_pad"} | {"pads": ints(around)}
    if window.op == "AveragePool":
        if any(own) and not window.attrs.get("count_include_pad"):
            raise Unfit("expected the zeros of the pooling to count")
        attrs["count_include_pad"] = 1
    return around, attrs


def _check_pooling(editor: Editor, window: Node, around: list[int], x: str, value: float) -> None:
    kernel = int_list(window, "kernel_shape")
    if any(width >= size for width, size in zip(around, kernel * 2, strict=True)):
        raise Unfit("expected a window that is larger than the padding")
    dilations = window.attrs.get("dilations")
    if window.attrs.get("ceil_mode") or (isinstance(dilations, AttrList) and set(dilations.items) != {1}):
        raise Unfit("expected a pooling without dilations, rounding down")
    if window.op == "AveragePool":
        if value != 0:
            raise Unfit(f"expected zeros around, got {value:g}")
        return
    if window.attrs.get("_outputs", 1) != 1:
        raise Unfit("expected the maxima alone")
    if value == 0:
        _check_positive(editor, x)
    elif value > -3.4e38:
        raise Unfit(f"expected the lowest number around, got {value:g}")


def _check_positive(editor: Editor, x: str) -> None:
    node = editor.made(x, *_POSITIVE, "Clip")
    if node.op == "Clip" and (len(node.inputs) < 2 or editor.number(node.inputs[1]) < 0):
        raise Unfit("expected a value that is nowhere negative")


PADS = Fusion("pads", ("Conv", "MaxPool", "AveragePool"), fuse_pad)
