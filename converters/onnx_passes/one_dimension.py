"""A convolution or pooling along one of two dimensions, the other of size 1 for its sake, needs only the one.

    Squeeze(Conv(Unsqueeze(x, a), w), a)  = Conv(x, w without a)            where w has size 1 along a

TensorFlow has no convolution of one dimension: its Python puts a second around it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Attr, AttrList, Node
from ..views import reshaped
from .editing import Editor, Fusion, Unfit
from .layout import int_list, ints


def drop_dimension(editor: Editor, squeeze: Node) -> None:
    """Anchored at the Squeeze. Between the window and the Unsqueeze may be a Transpose, which loses a dimension too."""
    window = editor.made_alone(squeeze.inputs[0], "Conv", "MaxPool", "AveragePool")
    made = editor.made(window.inputs[0], "Unsqueeze", "Transpose")
    if made.op == "Transpose":
        editor.made_alone(window.inputs[0], "Transpose")
    unsqueeze = made if made.op == "Unsqueeze" else editor.made(made.inputs[0], "Unsqueeze")
    rank = editor.rank(squeeze.inputs[0])
    came, went = (_axis(editor, node, rank) for node in (unsqueeze, squeeze))
    perm = int_list(made, "perm") if made is not unsqueeze else tuple(range(rank))
    if perm.index(came) != went or went < 2:
        raise Unfit(f"expected a spatial dimension that comes and goes, got {perm.index(came)} and {went}")
    if window.attrs.get("_outputs", 1) != 1:
        raise Unfit("expected one result")
    attrs = _narrowed(window, went - 2, rank - 2)
    x, *rest = unsqueeze.inputs[0], *window.inputs[1:]
    if window.op == "Conv":
        weights = editor.weights(rest[0])
        if weights.shape[went] != 1:
            raise Unfit(f"expected weights of size 1, got {weights.shape[went]}")
        narrow = reshaped(weights, (*weights.shape[:went], *weights.shape[went + 1 :]))
        rest[0] = editor.add_constant(f"{window.name}/narrow", narrow)
    if made is not unsqueeze:
        inner = [axis - (axis > came) for axis in perm if axis != came]
        x = editor.add(f"{made.name}/narrow", "Transpose", x, perm=ints(inner))
    editor.replace(squeeze, Node(squeeze.name, window.op, (x, *rest), attrs), window)


def _axis(editor: Editor, node: Node, rank: int) -> int:
    axes = editor.integers(node.inputs[1]) if len(node.inputs) > 1 else ()
    if len(axes) != 1:
        raise Unfit(f"expected one dimension to come and go, got {list(axes)}")
    return axes[0] % rank


def _narrowed(window: Node, at: int, count: int) -> dict[str, Attr]:
    """The attributes without what they say of spatial dimension `at` of `count`, which has to be nothing."""
    attrs = dict(window.attrs)
    for key, neutral in ("kernel_shape", 1), ("strides", 1), ("dilations", None), ("pads", 0):
        numbers = int_list(window, key)
        if not isinstance(attrs.get(key), AttrList):
            continue
        places = [at, at + count] if key == "pads" else [at]
        if neutral is not None and any(numbers[place] != neutral for place in places):
            raise Unfit(f"expected {neutral} in {key} along the dimension that comes and goes, got {list(numbers)}")
        attrs[key] = ints(_without(numbers, places))
    return attrs


def _without(numbers: Sequence[int], places: Sequence[int]) -> list[int]:
    return [number for place, number in enumerate(numbers) if place not in places]


ONE_DIMENSION = Fusion("one_dimension", ("Squeeze",), drop_dimension)
