"""Recurrent cells that TensorFlow computes in one op.

    LSTMBlockCell, BlockLSTM   gates in the order i, c, f, o; BlockLSTMV2: i, f, c, o
    GRUBlockCell               r, u together, then c

x [B, I], states [B, C]; BlockLSTM has a first dimension of time. w multiplies x and the state h side by side.
"""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar, widened
from .math import sigmoid

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("LSTMBlockCell", attrs={"forget_bias", "cell_clip", "use_peephole"})
def lstm_block_cell(node: OpNode, *inputs: Array) -> tuple[Array, ...]:
    """One step: i, cs, f, o, ci, co, h for x, cs_prev, h_prev, w, wci, wcf, wco, b."""
    wide = [widened(x) for x in inputs]
    return tuple(x.astype(inputs[0].dtype, copy=False) for x in _lstm(node, wide, node.real("forget_bias"), "icfo"))


@KERNELS.op("BlockLSTM", "BlockLSTMV2", attrs={"forget_bias", "cell_clip", "use_peephole"})
def block_lstm(node: OpNode, seq_len_max: Array, x: Array, cs: Array, h: Array, *weights: Array) -> tuple[Array, ...]:
    """All steps below seq_len_max, each output with a first dimension of time; zeros beyond."""
    if x.ndim != 3:
        raise GraphError(node.name, f"expected x [time, batch, inputs], got {list(x.shape)}")
    order, bias = ("ifco", 0.0) if node.op == "BlockLSTMV2" else ("icfo", node.real("forget_bias"))
    steps = min(scalar(node, seq_len_max, "seq_len_max"), len(x))
    outputs = [np.zeros(make_room(node, (len(x), *cs.shape), x.dtype), x.dtype) for _ in range(7)]
    state = [widened(cs), widened(h)]
    wide = [widened(weight) for weight in weights]
    for step in range(steps):
        made = _lstm(node, [widened(x[step]), *state, *wide], bias, order)
        state = [made[1], made[6]]
        for output, value in zip(outputs, made, strict=True):
            output[step] = value
    return tuple(outputs)


def _lstm(node: OpNode, inputs: list[Array], forget_bias: float, order: str) -> tuple[Array, ...]:
    x, cs_prev, h_prev, w, wci, wcf, wco, b = inputs
    gates = dict(zip(order, np.split(np.concatenate([x, h_prev], 1) @ w + b, 4, axis=1), strict=True))
    peeps = node.flag("use_peephole")
    clip = node.real("cell_clip")
    i = sigmoid(gates["i"] + cs_prev * wci if peeps else gates["i"])
    f = gates["f"] + np.asarray(forget_bias, x.dtype)
    f = sigmoid(f + cs_prev * wcf if peeps else f)
    ci = np.tanh(gates["c"])
    cs = ci * i + cs_prev * f
    if clip > 0:
        cs = np.clip(cs, -clip, clip)
    o = sigmoid(gates["o"] + cs * wco if peeps else gates["o"])
    co = np.tanh(cs)
    return i, cs, f, o, ci, co, co * o


@KERNELS.op("GRUBlockCell")
def gru_block_cell(
    node: OpNode, x: Array, h_prev: Array, w_ru: Array, w_c: Array, b_ru: Array, b_c: Array
) -> tuple[Array, ...]:
    """One step: r, u, c, h."""
    r, u = np.split(sigmoid(np.concatenate([x, h_prev], 1) @ w_ru + b_ru), 2, axis=1)
    c = np.tanh(np.concatenate([x, h_prev * r], 1) @ w_c + b_c)
    return r, u, c, u * h_prev + (1 - u) * c
