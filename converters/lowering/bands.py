"""Bands of diagonals whose bounds, or whose matrices' sizes, only the running model knows.

Diagonal d has the elements (i, j) with j - i = d, so many of them:

    length(d) = min(rows + min(d, 0), columns - max(d, 0))

As a tensor [..., diagonals, longest] a band has diagonal `high` in its first row and `low` in the last. Row m holds
element s of diagonal d = high - m, which is (max(-d, 0) + s, max(d, 0) + s), in column s + offset(d). The offset is 0
for a diagonal that begins at the left, and longest - length(d) for one that ends at the right. Of one diagonal the
tensor has no dimension for rows; whether there is but one may be a matter of the run, too.
"""

from __future__ import annotations

from tensorferry.formats.dtype import INT64

from ..inference.values import Value
from .builder import TO_END, Builder, Part
from .linear import counted


class ComputedBand:
    """The diagonals k[0] to k[-1] of matrices of `rows` times `columns`; `k` is a scalar or a vector of one or two.

    `is_one` says whether it is one diagonal, None where that is unknown.
    """

    def __init__(self, g: Builder, k: Value, align: str) -> None:
        self.g = g
        numbers = k.integers()
        bounds = g.reshape(g.int64(k), [-1], (None,))
        self.low = g.slice(bounds, [0], [1], [0]).with_(dims=(1,))
        self.high = g.slice(bounds, [-1], [TO_END], [0]).with_(dims=(1,))
        self.count = g.op("Add", g.op("Sub", self.high, self.low), g.ints([1]))
        self.is_one = True if k.rank == 0 or k.dims == (1,) else None
        if numbers is not None:
            self.is_one = numbers[0] == numbers[-1]
        upper, _, lower = align.partition("_")
        self.right = (upper == "RIGHT", lower == "RIGHT")
        self.rows: Part = 0
        self.columns: Part = 0
        self.longest: Part = 0

    def within(self, rows: Part, columns: Part) -> None:
        """Takes the sizes of the matrices."""
        self.rows, self.columns = rows, columns
        self.longest = self._length(self.low, self.high)

    def around(self, longest: Part, rows: Value, columns: Value) -> None:
        """Takes the length of the longest diagonal, and sizes of which -1 means as few as will do, both square."""
        g = self.g
        self.longest = longest
        zero, unsaid = g.ints([0]), g.ints([-1])
        fewest = [
            g.op("Sub", g.vector([longest]), g.op("Min", self.high, zero)),
            g.op("Add", g.vector([longest]), g.op("Max", self.low, zero)),
        ]
        given = [g.reshape(g.int64(size), [1]) for size in (rows, columns)]
        open_ = [g.op("Equal", size, unsaid) for size in given]
        square = g.op("And", *open_)
        least = [g.select(square, g.op("Max", *fewest), size) for size in fewest]
        self.rows, self.columns = (g.select(*three) for three in zip(open_, least, given, strict=True))

    def _length(self, below: Value, above: Value) -> Value:
        """min(rows + min(above, 0), columns - max(below, 0)): of the longest diagonal, or of one that is both."""
        g, zero = self.g, self.g.ints([0])
        down = g.op("Add", g.vector([self.rows]), g.op("Min", above, zero))
        across = g.op("Sub", g.vector([self.columns]), g.op("Max", below, zero))
        return g.op("Min", down, across)

    def _offset(self, diagonal: Value, length: Value) -> Value:
        g, zero = self.g, self.g.ints([0])
        if not any(self.right):
            return zero
        gap = g.op("Sub", g.vector([self.longest]), length)
        if all(self.right):
            return gap
        return g.select(g.op("Greater" if self.right[0] else "Less", diagonal, zero), gap, zero)

    def places(self) -> tuple[Value, Value]:
        """[diagonals, longest]: row * columns + column of each element, and whether there is one."""
        g, zero = self.g, self.g.ints([0])
        diagonal = g.unsqueeze(g.op("Sub", self.high, counted(g, self.count)), [1])
        length = self._length(diagonal, diagonal)
        step = g.op("Sub", g.unsqueeze(counted(g, self.longest), [0]), self._offset(diagonal, length))
        exists = g.op("And", g.op("GreaterOrEqual", step, zero), g.op("Less", step, length))
        row = g.op("Sub", step, g.op("Min", diagonal, zero))
        column = g.op("Add", step, g.op("Max", diagonal, zero))
        place = g.op("Add", g.op("Mul", row, g.vector([self.columns])), column)
        return g.select(exists, place, zero), exists

    def sources(self) -> tuple[Value, Value]:
        """[rows, columns]: the place in the flat band that each element of a matrix comes from, and whether it does."""
        g, zero = self.g, self.g.ints([0])
        i, j = g.unsqueeze(counted(g, self.rows), [1]), g.unsqueeze(counted(g, self.columns), [0])
        diagonal = g.op("Sub", j, i)
        exists = g.op("And", g.op("GreaterOrEqual", diagonal, self.low), g.op("LessOrEqual", diagonal, self.high))
        step = g.op("Add", g.op("Min", i, j), self._offset(diagonal, self._length(diagonal, diagonal)))
        place = g.op("Add", g.op("Mul", g.op("Sub", self.high, diagonal), g.vector([self.longest])), step)
        return g.select(exists, place, zero), exists

    def ahead(self, diagonal: Value) -> Value:
        """The sizes in front of the band [..., (diagonals,) longest], as a vector."""
        g = self.g
        sizes = g.sizes_of(diagonal)
        if self.is_one is not None:
            return g.vector(sizes[: -1 if self.is_one else -2])
        rank = len(sizes)
        kept = g.select(g.op("Equal", self.count, g.ints([1])), g.ints([rank - 1]), g.ints([rank - 2]))
        return g.op("Slice", g.vector(sizes), g.ints([0]), kept, dims=(None,))

    def behind(self) -> list[Value]:
        """The sizes of the band itself."""
        g = self.g
        longest = g.vector([self.longest])
        if self.is_one is not None:
            return [longest] if self.is_one else [self.count, longest]
        some = g.op("Min", g.op("Sub", self.count, g.ints([1])), g.ints([1]))
        return [g.op("Slice", self.count, g.ints([0]), some, dims=(None,)), longest]


def band_of(g: Builder, x: Value, k: Value, padding: Value, align: str) -> Value:
    """The band of x [..., m, n], where inference couldn't say its place."""
    sizes = g.sizes_of(x)
    band = ComputedBand(g, k, align)
    band.within(sizes[-2], sizes[-1])
    ahead = sizes[:-2]
    flat = g.reshape(x, [*ahead, g.times(*sizes[-2:])])
    index, exists = band.places()
    found = g.select(exists, g.gather(flat, index, len(ahead)), g.cast(padding, x.dtype))
    return _shaped(g, found, [g.vector(ahead)] if ahead else [], band.behind())


def matrices_of(
    g: Builder, diagonal: Value, k: Value, rows: Value, columns: Value, padding: Value, align: str
) -> Value:
    """Matrices with a band, and padding around it."""
    band = ComputedBand(g, k, align)
    band.around(g.size(diagonal, g.rank(diagonal) - 1), rows, columns)
    found, exists = _spread(g, band, diagonal)
    chosen = g.select(exists, found, g.cast(padding, diagonal.dtype))
    return _shaped(g, chosen, [band.ahead(diagonal)], [g.vector([band.rows, band.columns])])


def with_band(g: Builder, x: Value, diagonal: Value, k: Value, align: str) -> Value:
    """x [..., m, n] with another band."""
    sizes = g.sizes_of(x)
    band = ComputedBand(g, k, align)
    band.within(sizes[-2], sizes[-1])
    found, exists = _spread(g, band, diagonal)
    return g.select(exists, g.reshape(found, sizes, x.dims), x).with_(dims=x.dims)


def _spread(g: Builder, band: ComputedBand, diagonal: Value) -> tuple[Value, Value]:
    """Matrices [n, rows, columns] with the band's elements in their places, and where these are [rows, columns]."""
    flat = g.reshape(diagonal, [-1, g.times(band.count, band.longest)])
    index, exists = band.sources()
    return g.gather(flat, index, 1), exists


def _shaped(g: Builder, x: Value, ahead: list[Value], behind: list[Value]) -> Value:
    pieces = [piece for piece in (*ahead, *behind) if piece.dims != (0,)]
    shape = g.op("Concat", *pieces, axis=0, dims=(g.results[0].rank,)) if len(pieces) > 1 else pieces[0]
    return g.reshape(x, g.cast(shape, INT64), g.results[0].dims)
