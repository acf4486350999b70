"""What lies in which shard of a bundle, and in which order: what `bundle_writer` needs besides names and values.

    [[Piece("a"), Piece("b", ((0, 3), (0, FULL)))],      shard 0: the tensor a, three rows of b
     [Piece("b", ((3, 2), (0, FULL)))]]                  shard 1: the other two

A layout that was read from a bundle writes the same bundle again, byte for byte, if TensorFlow wrote it. It keeps what
a tensor's value doesn't tell: the shards, the order, and whether a slice's extent was saved as a length or left open.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import protos
from .binary import Path
from .errors import FormatError, UsageError, listing
from .ordered_code import FULL, decode_slice_key
from .sliced import Box, SlicedTensor, box_text
from .table import read_table
from .tensor import Tensor

Extents = tuple[tuple[int, int], ...]
"""(start, length) along each axis; (0, FULL) for the whole axis where the bundle leaves the length open."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The tensor `name`, or the slice of it that `extents` tell."""

    name: str
    extents: Extents | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece whose value is `tensor`."""

    name: str
    extents: Extents | None
    tensor: Tensor


Layout = list[list[Piece]]
"""The pieces of each shard, in the order of their data."""


def read_layout(prefix: Path) -> Layout:
    """The layout of a bundle that `read_bundle` accepts; shards without data are left out, except the only one.

    What takes no bytes comes before what lies at the same place, as whoever wrote one after the other had it.
    """
    index = f"{os.fspath(prefix)}.index"
    placed: list[tuple[tuple[int, int, int], Piece]] = []
    for key, value in read_table(index):
        if not key:
            continue
        entry = protos.parse("BundleEntryProto", value, index)
        if entry.slices:
            continue
        if key[0] == 0:
            found = decode_slice_key(key, index)
            piece = Piece(_text(found.name), found.extents)
        else:
            piece = Piece(_text(key))
        placed.append(((entry.shard_id, entry.offset, entry.size), piece))
    shards: dict[int, list[Piece]] = {}
    for (shard, _, _), piece in sorted(placed, key=lambda item: item[0]):
        shards.setdefault(shard, []).append(piece)
    return list(shards.values()) or [[]]


def plan_layout(
    tensors: Mapping[str, Tensor],
    shards: Sequence[Sequence[str | Piece]] | int = 1,
    order: Sequence[str | Piece] | None = None,
    keep_slices: bool = False,
) -> list[list[Placed]]:
    """What each shard will hold, all of `tensors` once; the arguments are those of `write_bundle`.

    UsageError that lists what is missing, doubled or not there.
    """
    plan = _Plan(tensors, keep_slices)
    if isinstance(shards, int):
        placed = plan.resolve(tensors if order is None else order)
        plan.check()
        return _divided(placed, shards)
    if order is not None:
        raise UsageError("bundle", "expected an order of the tensors or what each shard holds, got both")
    if not shards:
        raise UsageError("bundle", "expected at least one shard, got none")
    layout = [plan.resolve(shard) for shard in shards]
    plan.check()
    return layout


class _Plan:
    """The tensors that have to be placed, and what was asked for so far, by name and box."""

    def __init__(self, tensors: Mapping[str, Tensor], keep_slices: bool) -> None:
        self.tensors = tensors
        self.keep_slices = keep_slices
        self.parts: dict[str, dict[Box, Tensor]] = {}
        self.asked: Counter[tuple[str, Box | None]] = Counter()

    def resolve(self, items: Iterable[str | Piece]) -> list[Placed]:
        """The items with their values, a name with `keep_slices` as its slices; what isn't there is left to `check`."""
        placed = []
        for item in items:
            piece = Piece(item) if isinstance(item, str) else item
            tensor = self.tensors.get(piece.name)
            slices: list[Extents | None] = [piece.extents]
            if piece.extents is None and self.keep_slices and isinstance(tensor, SlicedTensor):
                slices = [tuple(zip(part.start, part.tensor.shape, strict=True)) for part in tensor.parts]
            for extents in slices:
                found = self.find(piece.name, extents)
                if found is not None:
                    placed.append(found)
        return placed

    def find(self, name: str, extents: Extents | None) -> Placed | None:
        """A piece's value, and the piece. A slice that is all of its tensor becomes that, as TensorFlow saves it."""
        tensor = self.tensors.get(name)
        box = None if tensor is None or extents is None else _box(extents, tensor.shape)
        if tensor is None or box is None or box == tuple((0, size) for size in tensor.shape):
            self.asked[name, None] += 1
            return None if tensor is None else Placed(name, None, tensor)
        self.asked[name, box] += 1
        part = self.parts_of(name, tensor).get(box)
        return None if part is None else Placed(name, extents, part)

    def parts_of(self, name: str, tensor: Tensor) -> dict[Box, Tensor]:
        """The slices of a tensor by their boxes, looked up once."""
        if name not in self.parts:
            self.parts[name] = {}
            if not isinstance(tensor, SlicedTensor):
                return self.parts[name]
            self.parts[name] = {part.box: part.tensor for part in tensor.parts}
            if len(self.parts[name]) < len(tensor.parts):
                box = box_text(Counter(part.box for part in tensor.parts).most_common(1)[0][0])
                raise FormatError(tensor.path, f"expected each slice of {name!r} once, got several of {box}")
        return self.parts[name]

    def check(self) -> None:
        """Raises UsageError unless every tensor was asked for once: whole, or slice by slice."""
        wanted: set[tuple[str, Box | None]] = {(name, None) for name in self.tensors}
        for name, parts in self.parts.items():
            wanted.remove((name, None))
            wanted.update((name, box) for box in parts)
        twice = {(name, None) for name in self.parts if self.asked[name, None]}  # whole, and in slices
        problems = {
            "none of": [item for item in wanted if item not in self.asked],
            "more than one of": [item for item, count in self.asked.items() if count > 1 or item in twice],
            "what isn't there:": [item for item in self.asked if item not in wanted and item not in twice],
        }
        found = [f"{what} {listing(sorted(map(_described, items)))}" for what, items in problems.items() if items]
        if found:
            raise UsageError("bundle", f"expected every tensor once, got {', '.join(found)}")


def _divided(placed: list[Placed], count: int) -> list[list[Placed]]:
    """Runs of about as many bytes, none empty unless there are too few pieces: then UsageError."""
    if not 1 <= count <= max(1, len(placed)):
        raise UsageError("bundle", f"expected 1 to {max(1, len(placed))} shards for {len(placed)} tensors, got {count}")
    left = sum(item.tensor.nbytes for item in placed)
    runs: list[list[Placed]] = []
    begin = 0
    for shards in range(count, 0, -1):
        end, used = begin + 1, placed[begin].tensor.nbytes if placed else 0
        last = len(placed) - shards + 1
        while end < last and (shards == 1 or used + placed[end].tensor.nbytes / 2 <= left / shards):
            used += placed[end].tensor.nbytes
            end += 1
        runs.append(placed[begin:end])
        left -= used
        begin = end
    return runs


def _box(extents: Extents, shape: tuple[int, ...]) -> Box:
    """The first and the end along each axis; where the ranks differ, a box that no part has."""
    sizes = shape if len(extents) == len(shape) else (0,) * len(extents)
    return tuple(
        (0, size) if (start, length) == (0, FULL) else (start, start + length)
        for (start, length), size in zip(extents, sizes, strict=True)
    )


def _described(item: tuple[str, Box | None]) -> str:
    name, box = item
    return repr(name) if box is None else f"{name!r} {box_text(box)}"


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
