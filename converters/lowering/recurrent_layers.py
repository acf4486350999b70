"""Loops that are an LSTM or a GRU layer (`recurrent_cells`), as ONNX's op for that, which runtimes are fast at.

    X [time, batch, inputs], W [1, gates * units, inputs], R [1, gates * units, units], B [1, 2 * gates * units],
    lengths [batch], state [1, batch, units]...    ->    states of all steps [time, 1, batch, units], last state...

Anything that is not that for sure stays a Loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorferry.formats.dtype import FLOAT32, INT32
from tensorferry.formats.tensor import Tensor

from ..inference.regions import Region
from ..inference.values import Value
from ..ir import node_name
from .builder import Builder, Part
from .carried import as_tensor, length
from .linear_forms import Floats, NoFormError
from .loop_plan import LoopPlan
from .recurrent_cells import Cell, CellReader


def layer(g: Builder, body: Region, plan: LoopPlan, inputs: Sequence[Value], steps: Part | None) -> dict[int, Value]:
    """What is carried and what is written, by number, where the loop is one layer; else nothing."""
    if steps is None or plan.terms or not 1 <= len(plan.carried) <= 2:
        return {}
    if any(inputs[number].dtype != FLOAT32 or inputs[number].rank != 2 for number in plan.carried):
        return {}
    reader = CellReader(body, plan, inputs)
    try:
        cell = reader.cell()
        weights = _weights(reader, cell)
        _check(g, reader, cell)
    except NoFormError:
        return {}
    return _emitted(g, reader, cell, weights, steps)


def _weights(reader: CellReader, cell: Cell) -> tuple[Floats, Floats, Floats]:
    """W, R and B of the op."""
    state = reader.body.arguments[cell.hidden]
    units = reader.width(state)
    atoms = {name for form in cell.gates for name in form.weights}
    if len(reader.lists) != 1 or not atoms <= {state, *reader.lists}:
        raise NoFormError
    if any(form.bias.size != units for form in cell.gates):
        raise NoFormError
    (element,) = reader.lists
    size = reader.width(element)
    count = 4 if cell.op == "LSTM" else 3
    given, own = cell.gates[:count], [*cell.gates[: count - 1], cell.gates[-1]]
    w = [form.weights.get(element, np.zeros((size, units), np.float32)).T for form in given]
    r = [form.weights.get(state, np.zeros((units, units), np.float32)).T for form in own]
    bias = np.zeros(2 * count * units, np.float32)
    bias[: count * units] = np.concatenate([form.bias for form in given])
    if cell.before_reset:
        bias[-units:] = cell.gates[-1].bias
    return np.concatenate(w), np.concatenate(r), bias


def _check(g: Builder, reader: CellReader, cell: Cell) -> None:
    """NoFormError where batches differ, or where lists get anything but the new states (and zeros behind the end)."""
    (element,) = reader.lists
    batch = (reader.body.values[element].dims or (None,))[0]
    if batch is None or any((reader.inputs[number].dims or ())[:1] != (batch,) for number in reader.plan.carried):
        raise NoFormError
    state = reader.source(reader.body.results[cell.hidden])
    for write in reader.plan.written.values():
        if reader.lengths is None:
            if reader.source(write.item) != state:
                raise NoFormError
            continue
        ended, blank, new = reader.node(write.item, "Select").data_inputs
        reader.ended(ended)
        if reader.source(new) != reader.chosen(cell.hidden) or not _is_zeros(g, reader, blank):
            raise NoFormError


def _is_zeros(g: Builder, reader: CellReader, value: str) -> bool:
    """Whether a value is zeros, in the body or from outside of it."""
    if reader.is_constant(value):
        return not np.any(reader.constant(value))
    number = reader.argument(value)
    maker = g.nodes.get(node_name(reader.inputs[number].name)) if number in reader.plan.kept else None
    filled = maker.attrs.get("value") if maker is not None and maker.op == "ConstantOfShape" else None
    return isinstance(filled, Tensor) and not np.any(filled.numpy())


def _emitted(g: Builder, reader: CellReader, cell: Cell, weights: Sequence[Floats], steps: Part) -> dict[int, Value]:
    (listed,) = (reader.inputs[number] for number in reader.lists.values())
    x = as_tensor(g, listed)
    if length(g, listed) != steps:
        x = g.slice(x, [0], [steps], [0])
    lengths = None
    if reader.lengths is not None:
        given = reader.inputs[reader.body.arguments.index(reader.lengths)]
        lengths = g.cast(g.op("Min", g.int64(given), g.vector([steps])), INT32)
    numbers = [number for number in (cell.hidden, cell.memory) if number is not None]
    states = [g.unsqueeze(reader.inputs[number], [0]) for number in numbers]
    last = states[0].dims
    every = None if last is None else (None if isinstance(steps, Value) else steps, *last)
    made = g.ops(
        cell.op,
        x,
        *(g.constant_of(np.ascontiguousarray(array[None])) for array in weights),
        lengths,
        *states,
        outputs=1 + len(states),
        dims=[every, *[last] * len(states)],
        hidden_size=weights[1].shape[1],
        linear_before_reset=cell.before_reset,
    )
    found = {number: g.squeeze(made[0], [1]) for number in reader.plan.written}
    return found | {number: g.squeeze(value, [0]) for number, value in zip(numbers, made[1:], strict=True)}
