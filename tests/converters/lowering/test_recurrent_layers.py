"""Loops written in many ways that are one layer or nearly so, against the textbook in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Attr, AttrList, FuncRef, Graph, Node
from tensorferry.converters.lowering import lower
from tensorferry.converters.passes.raise_loops import body_graph, function
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, VARIANT

from ..graph_text import const, graph, op, placeholder
from ..onnx_model import ops_of, run_graph

Array = np.ndarray[Any, Any]

TIME, BATCH, SIZE, UNITS = 5, 2, 3, 4
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(TIME, BATCH, SIZE)).astype(np.float32)
W = RANDOM.normal(size=(SIZE + UNITS, 4 * UNITS)).astype(np.float32)
B = RANDOM.normal(size=4 * UNITS).astype(np.float32)
H = RANDOM.normal(size=(BATCH, UNITS)).astype(np.float32)
C = RANDOM.normal(size=(BATCH, UNITS)).astype(np.float32)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm(bias: float = 0.0) -> tuple[Array, Array]:
    """All hidden states, and the last memory; the gates are input, new, forget, output."""
    h, c, states = H, C, []
    for x in X:
        i, n, f, o = np.split(np.concatenate([x, h], 1) @ W + B, 4, 1)
        c = sigmoid(f + bias) * c + sigmoid(i) * np.tanh(n)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states), c


def gru(late: bool) -> tuple[Array, Array]:
    h, states = H, []
    wx, wh = W[:SIZE, : 3 * UNITS], W[SIZE:, : 3 * UNITS]
    b = B[: 3 * UNITS]
    for x in X:
        u, r, _ = np.split(x @ wx + h @ wh + b, 3, 1)
        u, r = sigmoid(u), sigmoid(r)
        n = (x @ wx)[:, 2 * UNITS :]
        own, bias = wh[:, 2 * UNITS :], b[2 * UNITS :]
        n = np.tanh(n + (r * (h @ own + bias) if late else (r * h) @ own + bias))
        h = u * h + (1 - u) * n
        states.append(h)
    return np.stack(states), h


def model(body: Sequence[Node], written: str = "h2", results: tuple[str, str] = ("c2", "h2"), start: int = 0) -> Graph:
    """A loop over the elements of x, with the state c, h; `written` goes to a list."""
    arguments = {"i": INT32, "out": VARIANT, "c": FLOAT32, "h": FLOAT32, "xs": VARIANT}
    step = [
        const("one", 1, "int32"), op("next", "AddV2", "i", "one", T=INT32), const("any", -1, "int32"),
        Node("x", "TensorListGetItem", ("xs", "i", "any"), {"element_dtype": FLOAT32}),
        Node("set", "TensorListSetItem", ("out", "i", written), {"element_dtype": FLOAT32}),
    ]  # fmt: skip
    ends = ["next", "set", *results, "xs"]
    test = [const("five", TIME, "int32"), op("test", "Less", "i", "five", T=INT32)]
    kinds = list(arguments.values())
    functions = {
        "body": function("body", arguments, body_graph(arguments, [*step, *body], {}), ends, kinds),
        "cond": function("cond", arguments, body_graph(arguments, test, {}), ["test"], [BOOL]),
    }
    attrs: dict[str, Attr] = {"T": AttrList("dtype", tuple(kinds)), "body": FuncRef("body"), "cond": FuncRef("cond")}
    source = graph(
        placeholder("X", [TIME, BATCH, SIZE]), placeholder("C", [BATCH, UNITS]), placeholder("H", [BATCH, UNITS]),
        const("start", start, "int32"), const("count", TIME, "int32"), const("shape", -1, "int32"),
        Node("list", "TensorListReserve", ("shape", "count"), {"element_dtype": FLOAT32, "shape_type": INT32}),
        Node("items", "TensorListFromTensor", ("X", "shape"), {"element_dtype": FLOAT32, "shape_type": INT32}),
        Node("loop", "While", ("start", "list", "C", "H", "items"), attrs),
        Node("states", "TensorListStack", ("loop:1", "shape"), {"element_dtype": FLOAT32}),
        op("memory", "Identity", "loop:2"), op("hidden", "Identity", "loop:3"),
    )  # fmt: skip
    source.functions = functions
    return source


def found(source: Graph, *outputs: str) -> tuple[list[str], list[Array]]:
    lowered = lower(source, None, list(outputs))
    values = run_graph(lowered, {"X:0": X, "C:0": C, "H:0": H})
    return ops_of(lowered), [values[f"{name}:0"] for name in outputs]


AXIS = const("axis", 1, "int32")
JOINED = [
    const("w", W), const("b", B), AXIS, op("row", "ConcatV2", "x", "h", "axis", N=2, Tidx=INT32),
    op("product", "MatMul", "row", "w"), op("sum", "BiasAdd", "product", "b", data_format="NHWC"),
]  # fmt: skip
TURNED = [
    const("w", np.concatenate([W[SIZE:], W[:SIZE]]).T), const("b", B), const("axis", -1, "int32"),
    op("row", "ConcatV2", "h", "x", "axis", N=2, Tidx=INT32),
    op("product", "MatMul", "row", "w", transpose_b=True), op("sum", "AddV2", "b", "product"),
]  # fmt: skip
APART = [
    const("wx", W[:SIZE]), const("wh", W[SIZE:]), const("b", B), AXIS, op("a", "MatMul", "x", "wx"),
    op("m", "MatMul", "h", "wh"), op("am", "Add", "m", "a"), op("sum", "AddV2", "am", "b"),
]  # fmt: skip
SPLIT = [op("parts", "Split", "axis", "sum", num_split=4)]


def sliced(name: str, index: int) -> list[Node]:
    begin, end = [0, index * UNITS], [0, (index + 1) * UNITS]
    masks = {"begin_mask": 1, "end_mask": 1, "Index": INT32}
    bounds = [const(f"{name}_begin", begin, "int32"), const(f"{name}_end", end, "int32")]
    strides = const(f"{name}_strides", [1, 1], "int32")
    return [
        *bounds,
        strides,
        op(name, "StridedSlice", "sum", f"{name}_begin", f"{name}_end", f"{name}_strides", **masks),
    ]


SLICED = [node for index, name in enumerate(["i", "n", "f", "o"]) for node in sliced(f"s{name}", index)]
PARTS = {"i": "parts:0", "n": "parts:1", "f": "parts:2", "o": "parts:3"}
SLICES = {"i": "si", "n": "sn", "f": "sf", "o": "so"}


def cell(gates: dict[str, str], *, turned: bool = False, squash: str = "Tanh", forget: str = "") -> list[Node]:
    """The rest of the LSTM; `turned` has the inputs of products and sums the other way round."""

    def both(name: str, kind: str, left: str, right: str) -> Node:
        return op(name, kind, *((right, left) if turned else (left, right)))

    return [
        op("I", "Sigmoid", gates["i"]), op("N", "Tanh", gates["n"]), op("F", "Sigmoid", forget or gates["f"]),
        op("O", "Sigmoid", gates["o"]),
        both("old", "Mul", "F", "c"), both("new", "Mul", "I", "N"), both("c2", "AddV2", "old", "new"),
        op("squashed", squash, "c2"), both("h2", "Mul", "O", "squashed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        [*JOINED, *SPLIT, *cell(PARTS)],
        [*JOINED, *SLICED, *cell(SLICES, turned=True)],
        [*TURNED, *SPLIT, *cell(PARTS, turned=True)],
        [*APART, *SPLIT, *cell(PARTS)],
    ],
    ids=["joined", "sliced", "turned", "apart"],
)
def test_an_lstm(body: list[Node]) -> None:
    ops, (states, memory, hidden) = found(model(body), "states", "memory", "hidden")
    assert "LSTM" in ops
    assert "Loop" not in ops
    expected, last = lstm()
    for value, wanted in ((states, expected), (memory, last), (hidden, expected[-1])):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


def test_a_forget_bias() -> None:
    forget = [const("bias", 0.75), op("biased", "Add", "parts:2", "bias")]
    ops, (states,) = found(model([*JOINED, *SPLIT, *forget, *cell(PARTS, forget="biased")]), "states")
    assert "LSTM" in ops
    np.testing.assert_allclose(states, lstm(0.75)[0], rtol=1e-4, atol=1e-5)


def test_the_memory_may_come_second() -> None:
    # The loop's state is h, c by name; what is the memory, the equations say.
    swapped = {"c": "h", "h": "c", "c2": "h2", "h2": "c2"}
    nodes = [
        node.with_(name=swapped.get(node.name, node.name), inputs=tuple(swapped.get(v, v) for v in node.inputs))
        for node in [*JOINED, *SPLIT, *cell(PARTS)]
    ]
    ops, _ = found(model(nodes, written="c2"), "states")
    assert "LSTM" in ops


GATES = [
    const("w", W[:, : 2 * UNITS]), const("b", B[: 2 * UNITS]), AXIS,
    op("row", "ConcatV2", "x", "h", "axis", N=2, Tidx=INT32), op("product", "MatMul", "row", "w"),
    op("sum", "BiasAdd", "product", "b", data_format="NHWC"), op("gates", "Sigmoid", "sum"),
    op("parts", "Split", "axis", "gates", num_split=2),
]  # fmt: skip
EARLY = [
    const("wn", W[:, 2 * UNITS : 3 * UNITS]), const("bn", B[2 * UNITS : 3 * UNITS]), op("rh", "Mul", "parts:1", "h"),
    op("row_n", "ConcatV2", "x", "rh", "axis", N=2, Tidx=INT32), op("product_n", "MatMul", "row_n", "wn"),
    op("inner", "AddV2", "product_n", "bn"),
]  # fmt: skip
LATE = [
    const("wxn", W[:SIZE, 2 * UNITS : 3 * UNITS]), const("whn", W[SIZE:, 2 * UNITS : 3 * UNITS]),
    const("bn", B[2 * UNITS : 3 * UNITS]), op("xn", "MatMul", "x", "wxn"), op("hn", "MatMul", "h", "whn"),
    op("own", "AddV2", "hn", "bn"), op("rhn", "Mul", "own", "parts:1"), op("inner", "AddV2", "rhn", "xn"),
]  # fmt: skip
MIXED = [
    op("N", "Tanh", "inner"), const("unit", 1.0), op("rest", "Sub", "unit", "parts:0"), op("new", "Mul", "N", "rest"),
    op("old", "Mul", "parts:0", "h"), op("h2", "Add", "new", "old"),
]  # fmt: skip


@pytest.mark.parametrize(("inner", "late"), [(EARLY, False), (LATE, True)])
def test_a_gru(inner: list[Node], late: bool) -> None:
    ops, (states, hidden) = found(model([*GATES, *inner, *MIXED], results=("c", "h2")), "states", "hidden")
    assert "GRU" in ops
    assert "Loop" not in ops
    expected, last = gru(late)
    np.testing.assert_allclose(states, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(hidden, last, rtol=1e-4, atol=1e-5)


def changed(nodes: list[Node], name: str, **changes: object) -> list[Node]:
    return [node.with_(**changes) if node.name == name else node for node in nodes]


PLAIN = [*JOINED, *SPLIT, *cell(PARTS)]
RECURRENT = [*GATES, *EARLY, *MIXED]
DIRECT = [
    const("extra", W[SIZE:, :UNITS]), op("direct", "MatMul", "h", "extra"), op("more", "AddV2", "inner", "direct"),
]  # fmt: skip

NEARLY = {
    "relu of the memory": model(changed(PLAIN, "squashed", op="Relu")),
    "tanh of the old memory": model(changed(PLAIN, "squashed", inputs=("c",))),
    "the memory is made of h": model(changed(PLAIN, "old", inputs=("F", "h"))),
    "another activation": model(changed(PLAIN, "N", op="Sigmoid")),
    "a difference": model(changed(PLAIN, "c2", op="Sub")),
    "a gate of the memory": model(changed(PLAIN, "row", inputs=("x", "c", "axis"))),
    "not the state is written": model(PLAIN, written="squashed"),
    "not the state goes round": model(PLAIN, results=("c2", "c2")),
    "the second element is the first": model(PLAIN, start=1),
    "a reset of something else": model(changed(RECURRENT, "rh", inputs=("parts:1", "parts:0")), results=("c", "h2")),
    "the rest of another gate": model(changed(RECURRENT, "rest", inputs=("unit", "parts:1")), results=("c", "h2")),
    "not the rest": model(changed(RECURRENT, "unit", attrs=const("unit", 2.0).attrs), results=("c", "h2")),
    "the state past the reset": model(
        [*GATES, *EARLY, *DIRECT, *changed(MIXED, "N", inputs=("more",))], results=("c", "h2")
    ),
    "a part of the new state is written": model(RECURRENT, results=("c", "h2"), written="new"),
}


@pytest.mark.parametrize("name", NEARLY)
def test_what_is_nearly_a_layer_stays_a_loop(name: str) -> None:
    ops, _ = found(NEARLY[name], "states", "hidden")
    assert "Loop" in ops
    assert not {"LSTM", "GRU"} & set(ops)
