"""Recurrent cells and layers that are one op in TensorFlow, as plain matrix products.

x [batch, inputs] (of a layer [time, batch, inputs]), states [batch, units], weights [inputs + units, gates * units].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import BOOL, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder
from .carried import add_input, add_output

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("LSTMBlockCell", attrs={"forget_bias", "cell_clip", "use_peephole"})
def lstm_block_cell(
    node: OpNode,
    g: Builder,
    x: Value,
    cell: Value,
    hidden: Value,
    w: Value,
    w_input: Value,
    w_forget: Value,
    w_output: Value,
    bias: Value,
) -> Sequence[Value]:
    """The gates of [x, hidden] w + bias are input, new cell, forget, output; peepholes add cell * weight to them.

    cell' = forget cell + input tanh(new)      hidden' = output tanh(cell')
    """
    i, new, f, o = _gates(g, x, hidden, w, bias, 4, cell)
    peepholes = [w_input, w_forget, w_output] if node.flag("use_peephole") else []
    return _lstm(g, cell, (i, new, _forgetting(node, g, f), o), peepholes, node.real("cell_clip"))


def _forgetting(node: OpNode, g: Builder, gate: Value) -> Value:
    bias = node.real("forget_bias") if node.has("forget_bias") else 0
    return g.op("Add", gate, g.scalar(bias, like=gate)) if bias else gate


def _lstm(g: Builder, cell: Value, gates: Sequence[Value], peepholes: Sequence[Value], clip: float) -> Sequence[Value]:
    """One step, from the gates (input, new cell, forget, output) before their activations: all that comes of it."""
    i, new, f, o = gates
    if peepholes:
        i = g.op("Add", i, g.op("Mul", cell, peepholes[0]))
        f = g.op("Add", f, g.op("Mul", cell, peepholes[1]))
    i, f, new = g.op("Sigmoid", i), g.op("Sigmoid", f), g.op("Tanh", new)
    after = g.op("Add", g.op("Mul", new, i), g.op("Mul", cell, f))
    if clip > 0:
        after = g.op("Clip", after, g.scalar(-clip, like=cell), g.scalar(clip, like=cell), dims=after.dims)
    if peepholes:
        o = g.op("Add", o, g.op("Mul", after, peepholes[2]))
    o, out = g.op("Sigmoid", o), g.op("Tanh", after)
    return [i, after, f, o, new, out, g.op("Mul", out, o)]


@LOWERINGS.op("BlockLSTM", "BlockLSTMV2", attrs={"forget_bias", "cell_clip", "use_peephole"})
def block_lstm(
    node: OpNode,
    g: Builder,
    length: Value,
    x: Value,
    cell: Value,
    hidden: Value,
    w: Value,
    w_input: Value,
    w_forget: Value,
    w_output: Value,
    bias: Value,
) -> Sequence[Value | None]:
    """All steps of x up to `length`, and zeros from there on: the cells and the hidden states.

    What x gives to the gates is one product before the loop. The gates are not handed out. V2 has input, forget, new
    cell, output.
    """
    time, _, inputs = g.sizes_of(g.ranked(x, 3))
    units = cell.dims[1] if cell.dims is not None else None
    if not isinstance(units, int) or w.dims is None:
        raise UnsupportedError("", "expected weights and a state of known size")
    w_x, w_hidden = g.slice(w, [0], [inputs], [0]), g.slice(w, [inputs], [TO_END], [0])
    given = g.op("Add", g.op("MatMul", x, w_x, dims=(*(x.dims or (None,) * 3)[:2], 4 * units)), bias)
    inner = g.inner()
    step = add_input(inner, "step", Value(INT64, ()))
    add_input(inner, "again", Value(BOOL, ()))
    state = Value(x.dtype, (None, units))
    before, out = add_input(inner, "cell", state), add_input(inner, "hidden", state)
    sums = inner.op("Add", inner.gather(given, step), inner.op("MatMul", out, w_hidden, dims=(None, 4 * units)))
    i, a, b, o = inner.ops("Split", sums, inner.ints([units] * 4), outputs=4, dims=[(None, units)] * 4, axis=1)
    new, f = (b, a) if node.op == "BlockLSTMV2" else (a, b)
    peepholes = [w_input, w_forget, w_output] if node.flag("use_peephole") else []
    _, after, *_, h = _lstm(inner, before, (i, new, _forgetting(node, inner, f), o), peepholes, node.real("cell_clip"))
    add_output(inner, "goes_on", inner.scalar(1, like=BOOL))
    for title, value in (("next_cell", after), ("next_hidden", h), ("cells", after), ("hiddens", h)):
        add_output(inner, title, value)
    inner.finish([])
    steps = g.op("Min", g.vector([g.part(length)]), g.vector([time]), dims=(1,))
    names = [g.ref(g.reshape(steps, [])), "", g.ref(cell), g.ref(hidden)]
    each = (None, None, units)
    kinds = [(x.dtype, (None, units))] * 2 + [(x.dtype, each)] * 2
    *_, cells, hiddens = g.emit_with({"body": inner}, "Loop", names, kinds)
    rest = g.minus(time, steps)
    padded = [g.pad(value, [0, 0, 0], [rest, 0, 0]) for value in (cells, hiddens)]
    return [None, padded[0], None, None, None, None, padded[1]]


@LOWERINGS.op("GRUBlockCell")
def gru_block_cell(
    node: OpNode,
    g: Builder,
    x: Value,
    hidden: Value,
    w_gates: Value,
    w_new: Value,
    b_gates: Value,
    b_new: Value,
) -> Sequence[Value]:
    """The gates of [x, hidden] w_gates + b_gates are reset and update; new = tanh([x, reset hidden] w_new + b_new).

    hidden' = update hidden + (1 - update) new
    """
    r, u = (g.op("Sigmoid", gate) for gate in _gates(g, x, hidden, w_gates, b_gates, 2, hidden))
    (new,) = _gates(g, x, g.op("Mul", hidden, r), w_new, b_new, 1, hidden)
    new = g.op("Tanh", new)
    rest = g.op("Sub", g.scalar(1, like=x), u)
    return [r, u, new, g.op("Add", g.op("Mul", rest, new), g.op("Mul", u, hidden))]


def _gates(g: Builder, x: Value, hidden: Value, w: Value, bias: Value, count: int, like: Value) -> Sequence[Value]:
    """[x, hidden] w + bias, in `count` parts [batch, units]."""
    rows = None if x.dims is None else x.dims[0]
    wide = None if w.dims is None else w.dims[1]
    both = g.concat([x.with_(dims=x.dims or (None, None)), hidden.with_(dims=hidden.dims or (None, None))], 1)
    sums = g.op("Add", g.op("MatMul", both, w, dims=(rows, wide)), bias)
    if count == 1:
        return [sums]
    units = like.dims[1] if like.dims is not None else None
    if isinstance(units, int):
        return g.ops("Split", sums, g.ints([units] * count), outputs=count, dims=[like.dims] * count, axis=1)
    parts = count if g.opset >= 18 else None
    return g.ops("Split", sums, outputs=count, dims=[like.dims] * count, axis=1, num_outputs=parts)
