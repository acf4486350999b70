"""Rules of recurrent cells, and of whole layers in one op."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .facts import Result
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("LSTMBlockCell", attrs={"forget_bias", "cell_clip", "use_peephole"})
def lstm_block_cell(node: OpNode, x: Value, state: Value, *others: Value) -> Result:
    """All outputs are as the state [batch, units]."""
    return [state.dims] * 7


@RULES.op("GRUBlockCell")
def gru_block_cell(node: OpNode, x: Value, state: Value, *others: Value) -> Result:
    """All outputs are as the state [batch, units]."""
    return [state.dims] * 4


@RULES.op("BlockLSTM", "BlockLSTMV2", attrs={"forget_bias", "cell_clip", "use_peephole"})
def block_lstm(node: OpNode, length: Value, x: Value, state: Value, *others: Value) -> Result:
    """All outputs are [time, batch, units], for x [time, batch, inputs] and a state [batch, units]."""
    if x.dims is None or len(x.dims) != 3 or state.dims is None or len(state.dims) != 2:
        return [(None, None, None)] * 7
    return [(*x.dims[:2], state.dims[1])] * 7
