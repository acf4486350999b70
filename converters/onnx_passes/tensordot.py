"""A product with a matrix needs its left side no flatter than it is.

    Reshape(Reshape(x [.., k], [-1, k]) @ w [k, n], [.., n])            = x @ w
    Reshape(Reshape(x [.., k], [-1, k]) @ w [k, n] + b [n], [.., n])    = x @ w + b

TensorFlow's tensordot and its dense layers put the reshapes there; ONNX's MatMul takes x as it is.
"""

from __future__ import annotations

from ..ir import Node
from .editing import Editor, Fusion, Unfit, either_way


def drop_flattening(editor: Editor, last: Node) -> None:
    """Anchored at the second Reshape."""
    value = last.inputs[0]
    try:
        product, add, bias = editor.made_alone(value, "MatMul"), None, ""
    except Unfit:
        add = editor.made_alone(value, "Add")
        product, bias = either_way(add, lambda made, bias: (editor.made_alone(made, "MatMul"), bias))
    flat = editor.made(product.inputs[0], "Reshape")
    x, weights = flat.inputs[0], editor.weights(product.inputs[1])
    before, between, after = (editor.dims.get(each) for each in (x, product.inputs[0], f"{last.name}:0"))
    if before is None or between is None or after is None or weights.rank != 2:
        raise Unfit("expected a product of known rank with a matrix")
    if len(before) < 3 or len(between) != 2 or before[-1] != weights.shape[0] or between[-1] != weights.shape[0]:
        raise Unfit(f"expected rows of {weights.shape[0]} numbers, got {list(before)} as {list(between)}")
    if None in before or after != (*before[:-1], weights.shape[1]):
        raise Unfit(f"expected the dimensions that were there before, got {list(after)}")
    matmul = Node(last.name, "MatMul", (x, product.inputs[1]))
    if add is None:
        editor.replace(last, matmul, product)
        return
    if editor.weights(bias).shape != (weights.shape[1],):
        raise Unfit(f"expected {weights.shape[1]} numbers to add, got {list(editor.weights(bias).shape)}")
    made = editor.add(product.name, "MatMul", x, product.inputs[1], dims=after)
    editor.replace(last, Node(last.name, "Add", (made, bias)), add, product)


TENSORDOT = Fusion("tensordot", ("Reshape",), drop_flattening)
