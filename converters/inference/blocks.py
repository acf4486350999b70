"""Rules of ops that move blocks of space into depth or into the batch, and back."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .dims import add, exact_divide, multiply, product
from .facts import Result, dim_at, unknown, with_rank
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("SpaceToBatchND")
def space_to_batch_nd(node: OpNode, x: Value, block: Value, paddings: Value) -> Result:
    """x [N, spatial..., rest]: the padded spatial sizes are divided by the block, N is multiplied by it."""
    sizes, around = block.integers(), paddings.known_entries()
    if x.dims is None or sizes is None or around is None:
        return x.dims and unknown(len(x.dims))
    padded = [add(dim_at(x, i + 1), around[2 * i], around[2 * i + 1]) for i in range(len(sizes))]
    spatial = [exact_divide(dim, size) for dim, size in zip(padded, sizes, strict=True)]
    return (multiply(x.dims[0], *sizes), *spatial, *x.dims[len(sizes) + 1 :])


@RULES.op("BatchToSpaceND")
def batch_to_space_nd(node: OpNode, x: Value, block: Value, crops: Value) -> Result:
    """The inverse: N is divided by the block, the spatial sizes multiplied and cropped."""
    sizes, around = block.integers(), crops.known_entries()
    if x.dims is None or sizes is None or around is None:
        return x.dims and unknown(len(x.dims))
    spatial = [
        add(multiply(dim_at(x, i + 1), size), multiply(around[2 * i], -1), multiply(around[2 * i + 1], -1))
        for i, size in enumerate(sizes)
    ]
    return (exact_divide(x.dims[0], product(sizes)), *spatial, *x.dims[len(sizes) + 1 :])


@RULES.op("SpaceToBatch", attrs={"block_size"})
def space_to_batch(node: OpNode, x: Value, paddings: Value) -> Result:
    """SpaceToBatchND with one block size for height and width."""
    size, around = node.integer("block_size"), paddings.known_entries()
    n, height, width, depth = with_rank(node, x, 4)
    if around is None or len(around) != 4:
        return (multiply(n, size, size), None, None, depth)
    return (
        multiply(n, size, size),
        exact_divide(add(height, *around[:2]), size),
        exact_divide(add(width, *around[2:]), size),
        depth,
    )


@RULES.op("BatchToSpace", attrs={"block_size"})
def batch_to_space(node: OpNode, x: Value, crops: Value) -> Result:
    """BatchToSpaceND with one block size for height and width."""
    size, around = node.integer("block_size"), crops.known_entries()
    n, height, width, depth = with_rank(node, x, 4)
    less = [multiply(entry, -1) for entry in around] if around is not None and len(around) == 4 else [None] * 4
    return (
        exact_divide(n, size * size),
        add(multiply(height, size), *less[:2]),
        add(multiply(width, size), *less[2:]),
        depth,
    )


@RULES.op("SpaceToDepth", "DepthToSpace", attrs={"block_size", "data_format"})
def space_to_depth(node: OpNode, x: Value) -> Result:
    """Blocks of height and width become depth, or the other way round."""
    size, layout = node.integer("block_size"), node.text("data_format")
    if layout not in ("NHWC", "NCHW"):
        return None
    dims = with_rank(node, x, 4)
    by_axis = dict(zip(layout, dims, strict=True))
    if node.op == "SpaceToDepth":
        sizes = {"H": exact_divide(by_axis["H"], size), "W": exact_divide(by_axis["W"], size)}
        sizes["C"] = multiply(by_axis["C"], size, size)
    else:
        sizes = {"H": multiply(by_axis["H"], size), "W": multiply(by_axis["W"], size)}
        sizes["C"] = exact_divide(by_axis["C"], size * size)
    return tuple(sizes.get(axis, by_axis[axis]) for axis in layout)
