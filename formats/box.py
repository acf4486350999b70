"""A box of a tensor: some of its indices along each axis, read only when somebody asks.

TensorFlow 1 keeps a partitioned variable as several variables, and all of them under one name in a checkpoint; each is
restored from its own box of the whole:

    whole [10, 4]    w/part_0 = whole[0:5, 0:4]    w/part_1 = whole[5:10, 0:4]

Where the checkpoint holds that very box as a piece, the piece is read and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .sliced import Box, SlicedTensor
from .tensor import ArrayTensor, Buffer, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np


def box_of(whole: Tensor, box: Box) -> Tensor:
    """The tensor `whole[first:end, ...]` for (first, end) of each axis in `box`, which has to lie within it."""
    if box == tuple((0, size) for size in whole.shape):
        return whole
    if isinstance(whole, SlicedTensor):
        for part in whole.parts:
            if part.box == box:
                return part.tensor
    return BoxTensor(whole, box)


class BoxTensor(Tensor):
    """The elements of `whole` in `box`, (first, end) along each axis."""

    __slots__ = ("box", "whole")

    def __init__(self, whole: Tensor, box: Box) -> None:
        super().__init__(whole.dtype, tuple(end - first for first, end in box))
        self.whole = whole
        self.box = box

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        taken: np.ndarray[Any, Any] = self.whole.numpy()[tuple(slice(first, end) for first, end in self.box)]
        return np.array(taken)

    def chunks(self) -> Iterator[Buffer]:
        """Rows are taken out of the whole's stream, which is read to its end for the sake of its checksum."""
        refuse_strings(self)
        if self.shape[1:] != self.whole.shape[1:]:
            yield from ArrayTensor(self.numpy(), self.dtype).chunks()
            return
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        first, end = (bound * row for bound in self.box[0])
        position = 0
        for chunk in self.whole.chunks():
            taken = memoryview(chunk)[max(first - position, 0) : max(end - position, 0)]
            position += len(chunk)
            if len(taken):
                yield taken
