"""Tensors joined and parted, padded, turned around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder, Part

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("ConcatV2")
def concat_v2(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """Joined along the axis, which is the last input."""
    return _joined(g, inputs[:-1], inputs[-1])


@LOWERINGS.op("Concat")
def concat(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """The same with the axis first."""
    return _joined(g, inputs[1:], inputs[0])


def _joined(g: Builder, inputs: Sequence[Value], axis: Value) -> Value:
    place = axis.integer()
    if place is None:
        raise UnsupportedError("", "expected the axis to be a constant, got a computed one")
    if len(inputs) == 1:
        return inputs[0]
    return g.op("Concat", *inputs, dims=g.results[0].dims, axis=place)


@LOWERINGS.op("Pack", attrs={"axis"})
def pack(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """Joined along a new dimension."""
    axis = node.integer("axis")
    ranks = {value.rank for value in inputs} - {None}
    if axis >= 0 and not ranks and axis != 0:
        raise UnsupportedError("", "expected an input of known rank", hint="give the inputs' shapes")
    dims = g.results[0].dims
    return g.op("Concat", *(g.unsqueeze(value, [axis]) for value in inputs), dims=dims, axis=axis)


@LOWERINGS.op("ParallelConcat", attrs={"shape"})
def parallel_concat(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """Joined along the first dimension."""
    return inputs[0] if len(inputs) == 1 else g.op("Concat", *inputs, dims=g.results[0].dims, axis=0)


@LOWERINGS.op("Unpack", attrs={"axis"})
def unpack(node: OpNode, g: Builder, x: Value) -> list[Value]:
    """One output for each place along the axis."""
    axis, count = node.integer("axis"), node.integer("num")
    if count == 1:
        return [g.squeeze(x, [axis])]
    parts = g.ops("Split", x, g.ints([1] * count), outputs=count, dims=[_part_dims(x, axis)] * count, axis=axis)
    return [g.squeeze(part, [axis]) for part in parts]


def _part_dims(x: Value, axis: int) -> Any:
    if x.dims is None:
        return None
    dims = list(x.dims)
    dims[axis] = 1
    return tuple(dims)


@LOWERINGS.op("Split")
def split(node: OpNode, g: Builder, axis: Value, x: Value) -> Sequence[Value]:
    """Equal parts."""
    count = node.integer("num_split")
    place = axis.integer()
    if place is None:
        raise UnsupportedError("", "expected the axis to be a constant, got a computed one")
    if count == 1:
        return [x]
    dims = [value.dims for value in g.results]
    size = dims[0][place] if dims[0] is not None else None
    if isinstance(size, int):
        return g.ops("Split", x, g.ints([size] * count), outputs=count, dims=dims, axis=place)
    if g.opset >= 18:
        return g.ops("Split", x, outputs=count, dims=dims, axis=place, num_outputs=count)
    return g.ops("Split", x, outputs=count, dims=dims, axis=place)


@LOWERINGS.op("SplitV", attrs={"Tlen"})
def split_v(node: OpNode, g: Builder, x: Value, sizes: Value, axis: Value) -> Sequence[Value]:
    """Parts of given sizes, of which one may be -1: the rest."""
    place = axis.integer()
    if place is None:
        raise UnsupportedError("", "expected the axis to be a constant, got a computed one")
    dims = [value.dims for value in g.results]
    if len(dims) == 1:
        return [x]
    lengths = [None if shape is None else shape[place] for shape in dims]
    if g.can_make(lengths):
        return g.ops("Split", x, Value.of_entries(INT64, lengths), outputs=len(dims), dims=dims, axis=place)
    parts = g.parts(sizes)
    if -1 in parts:
        hole = parts.index(-1)
        rest = g.plus(*parts[:hole], *parts[hole + 1 :])
        parts[hole] = g.minus(g.size(x, g.axis(place, g.rank(x))), rest)
        given = g.vector(parts)
    else:
        computed = any(isinstance(part, Value) for part in parts)
        given = _rest_for_negative(g, x, place, parts) if computed else g.vector(parts)
    return g.ops("Split", x, given, outputs=len(dims), dims=dims, axis=place)


def _rest_for_negative(g: Builder, x: Value, axis: int, parts: Sequence[Part]) -> Value:
    """Computed sizes with the rest in place of a -1, if there is one."""
    given = g.vector(parts)
    total = g.vector([g.size(x, g.axis(axis, g.rank(x)))])
    negative = g.op("Less", given, g.ints([0]))
    sure = g.op("Max", given, g.ints([0]))
    rest = g.op("Sub", total, g.reduce("ReduceSum", sure, [0], keep=True))
    return g.select(negative, rest, given)


@LOWERINGS.op("Pad")
def pad(node: OpNode, g: Builder, x: Value, paddings: Value) -> Value:
    """Zeros around x; paddings [rank, 2]."""
    return _padded(g, x, paddings, None)


@LOWERINGS.op("PadV2")
def pad_v2(node: OpNode, g: Builder, x: Value, paddings: Value, value: Value) -> Value:
    """A value around x."""
    return _padded(g, x, paddings, value)


@LOWERINGS.op("MirrorPad", attrs={"mode"})
def mirror_pad(node: OpNode, g: Builder, x: Value, paddings: Value) -> Value:
    """x mirrored around: REFLECT without its edge, SYMMETRIC with it."""
    mode = node.text("mode")
    if mode == "REFLECT":
        return _padded(g, x, paddings, None, mode="reflect")
    before_after = g.numbers(paddings, "paddings of mode SYMMETRIC")
    for axis in range(len(before_after) // 2):
        x = _symmetric(g, x, axis, *before_after[2 * axis : 2 * axis + 2])
    return x


def _symmetric(g: Builder, x: Value, axis: int, before: int, after: int) -> Value:
    """The first `before` and the last `after` places, turned round, on either side of x."""
    pieces = [x]
    if before:
        pieces.insert(0, g.slice(x, [before - 1], [-TO_END], [axis], [-1]))
    if after:
        pieces.append(g.slice(x, [-1], [-after - 1], [axis], [-1]))
    return g.concat(pieces, axis)


def _padded(g: Builder, x: Value, paddings: Value, value: Value | None, mode: str | None = None) -> Value:
    dims = g.results[0].dims
    around = paddings.known_entries() if paddings.rank == 2 else None
    if around is not None and g.can_make(around):
        if not any(around):
            return x
        pads = g.vector([*around[::2], *around[1::2]])  # type: ignore[list-item]
    else:
        pads = g.reshape(g.transpose(g.int64(paddings), [1, 0]), [-1], None)
    if value is not None and value.rank != 0:
        value = g.reshape(value, [])
    return g.op("Pad", x, pads, value, dims=dims, mode=mode)


@LOWERINGS.op("ReverseV2")
def reverse_v2(node: OpNode, g: Builder, x: Value, axis: Value) -> Value:
    """x turned round along some dimensions."""
    axes = axis.integers()
    if axes is None:
        if axis.dims in ((), (1,)):
            place = g.reshape(g.int64(axis), [1])
            ends = [g.ints([-1]), g.ints([-TO_END]), place, g.ints([-1])]
            return g.op("Slice", x, *ends, dims=x.dims)
        raise UnsupportedError("", "expected constant axes, got computed ones")
    return _reversed(g, x, axes)


@LOWERINGS.op("Reverse")
def reverse(node: OpNode, g: Builder, x: Value, chosen: Value) -> Value:
    """The same with a truth for each dimension."""
    axes = [axis for axis, truth in enumerate(g.numbers(chosen, "dimensions")) if truth]
    return _reversed(g, x, axes)


def _reversed(g: Builder, x: Value, axes: Sequence[int]) -> Value:
    if not axes:
        return x
    count = len(axes)
    return g.slice(x, [-1] * count, [-TO_END] * count, axes, [-1] * count)


@LOWERINGS.op("Roll")
def roll(node: OpNode, g: Builder, x: Value, shift: Value, axis: Value) -> Value:
    """What goes out at one end comes in at the other."""
    axes = g.numbers(axis, "axes")
    shifts = g.parts(shift) if shift.rank == 1 else [g.part(shift)]
    for place, by in zip(axes, shifts, strict=True):
        at = g.axis(place, g.rank(x))
        dim = x.dims[at] if x.dims is not None else None
        if isinstance(by, int) and isinstance(dim, int):
            start: Part = -by % dim if dim else 0
        else:
            start = g.op("Mod", g.vector([g.times(by, -1)]), g.vector([g.size(x, at)]))
        if start == 0:
            continue
        x = g.concat([g.slice(x, [start], [TO_END], [at]), g.slice(x, [0], [start], [at])], at).with_(dims=x.dims)
    return x


@LOWERINGS.op("ReverseSequence", attrs={"seq_dim", "batch_dim"})
def reverse_sequence(node: OpNode, g: Builder, x: Value, lengths: Value) -> Value:
    """The first lengths[i] places of sequence i turned round."""
    rank = g.rank(x)
    time, batch = g.axis(node.integer("seq_dim"), rank), g.axis(node.integer("batch_dim"), rank)
    long = g.int64(lengths)
    if {time, batch} == {0, 1}:
        return g.op("ReverseSequence", x, long, batch_axis=batch, time_axis=time)
    order = [batch, time, *(axis for axis in range(rank) if axis not in (batch, time))]
    turned = g.op("ReverseSequence", g.transpose(x, order), long, batch_axis=0, time_axis=1)
    return g.transpose(turned, [order.index(axis) for axis in range(rank)])
