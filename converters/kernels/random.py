"""Random numbers: of the right distribution, the same in each run, and never TensorFlow's.

TensorFlow's generators (Philox with the op's seeds and a counter of its own) are not reproduced here. A node's numbers
follow from its seeds, or where it has none from its name, so that evaluations can be repeated; a node that runs again
in the same evaluation, in a loop, draws other numbers (`sequence`). Comparisons with TensorFlow are only meaningful
where randomness has no effect, as in the dead branch of a dropout.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")

SEEDS = {"seed", "seed2"}

_draws: ContextVar[Counter[int] | None] = ContextVar("draws", default=None)
"""How often each node (by its id) has drawn, within `sequence`."""


@contextmanager
def sequence() -> Iterator[None]:
    """Within, a node with a state draws other numbers each time that it runs."""
    token = _draws.set(Counter())
    try:
        yield
    finally:
        _draws.reset(token)


def _generator(node: OpNode, *seeds: Array) -> np.random.Generator:
    words = [value & (1 << 64) - 1 for array in seeds for value in sizes(array)]
    if not seeds:
        words = [node.integer(name) & (1 << 64) - 1 for name in ("seed", "seed2")]
        if not any(words):
            words = [zlib.crc32(node.name.encode())]
        draws = _draws.get()
        if draws is not None:
            words += [draws[id(node.node)]] if draws[id(node.node)] else []
            draws[id(node.node)] += 1
    return np.random.default_rng(words)


def _truncated(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers of which those beyond two standard deviations are drawn again."""
    value = generator.standard_normal(shape)
    while (far := np.abs(value) > 2).any():
        value = np.where(far, generator.standard_normal(shape), value)
    return value


def _drawn(node: OpNode, generator: np.random.Generator, shape: Array) -> Array:
    dtype = node.dtype("dtype").numpy()
    wanted = make_room(node, sizes(shape), np.float64)
    if "Uniform" in node.op:
        # Rounding to a narrow type could reach 1, which is not part of the range.
        return np.minimum(generator.random(wanted).astype(dtype), np.nextafter(np.ones((), dtype), np.zeros((), dtype)))
    normal = _truncated(generator, wanted) if "Truncated" in node.op else generator.standard_normal(wanted)
    return np.asarray(normal).astype(dtype)


@KERNELS.op("RandomUniform", "RandomStandardNormal", "TruncatedNormal", attrs=SEEDS)
def random_uniform(node: OpNode, shape: Array) -> Array:
    """Numbers in [0, 1), or of the standard normal distribution."""
    return _drawn(node, _generator(node), shape)


@KERNELS.op("StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncatedNormal")
def stateless_random_uniform(node: OpNode, shape: Array, seed: Array) -> Array:
    """Numbers in [0, 1), or of the standard normal distribution."""
    return _drawn(node, _generator(node, seed), shape)


@KERNELS.op("RandomUniformInt", attrs=SEEDS)
def random_uniform_int(node: OpNode, shape: Array, low: Array, high: Array) -> Array:
    """Integers in [low, high)."""
    first, last = scalar(node, low, "minval"), scalar(node, high, "maxval")
    if first >= last:
        raise GraphError(node.name, f"expected a range, got [{first}, {last})")
    return _generator(node).integers(first, last, make_room(node, sizes(shape), low.dtype), low.dtype)


@KERNELS.op("RandomShuffle", attrs=SEEDS)
def random_shuffle(node: OpNode, value: Array) -> Array:
    """The rows in another order."""
    return _generator(node).permutation(value, axis=0)


@KERNELS.op("Multinomial", attrs=SEEDS)
def multinomial(node: OpNode, logits: Array, num_samples: Array) -> Array:
    """num_samples classes for each row of unnormalized log-probabilities logits [B, C]."""
    count = scalar(node, num_samples, "num_samples")
    make_room(node, (*logits.shape, count), np.float64)
    noise = _generator(node).gumbel(size=(len(logits), count, logits.shape[1]))
    return np.argmax(logits[:, None, :] + noise, axis=-1).astype(node.dtype("output_dtype").numpy())


BOX_ATTRS = {"aspect_ratio_range", "area_range", "max_attempts", "use_image_if_no_bounding_boxes"}


@KERNELS.op("SampleDistortedBoundingBox", attrs=SEEDS | BOX_ATTRS | {"min_object_covered"})
def sample_distorted_bounding_box(node: OpNode, image_size: Array, boxes: Array) -> tuple[Array, ...]:
    """A part of an image [H, W, C] that covers enough of one of the boxes [B, N, 4]: begin, size, and as a box."""
    return _sampled(node, image_size, boxes, node.real("min_object_covered"))


@KERNELS.op("SampleDistortedBoundingBoxV2", attrs=SEEDS | BOX_ATTRS)
def sample_distorted_bounding_box_v2(node: OpNode, image_size: Array, boxes: Array, share: Array) -> tuple[Array, ...]:
    """The same, the share to cover as an input."""
    return _sampled(node, image_size, boxes, scalar(node, share, "min_object_covered"))


def _sampled(node: OpNode, image_size: Array, boxes: Array, covered: float) -> tuple[Array, ...]:
    if image_size.shape != (3,) or boxes.ndim != 3 or boxes.shape[2] != 4:
        problem = f"expected an image's 3 sizes and boxes [B, N, 4], got {sizes(image_size)} and {list(boxes.shape)}"
        raise GraphError(node.name, problem)
    flat = boxes.reshape(-1, 4).astype(np.float64)
    if not len(flat):
        if not node.flag("use_image_if_no_bounding_boxes"):
            raise GraphError(node.name, "expected at least one box, got none")
        flat = np.array([[0.0, 0.0, 1.0, 1.0]])
    height, width, _ = sizes(image_size)
    generator = _generator(node)
    ratios, areas = node.reals("aspect_ratio_range"), node.reals("area_range")
    if len(ratios) != 2 or len(areas) != 2 or min(height, width, *ratios, *areas) <= 0:
        raise GraphError(node.name, "expected sizes and ranges above 0")
    place = (0, 0, height, width)
    for _ in range(min(node.integer("max_attempts"), 1000)):
        ratio, area = generator.uniform(*ratios), generator.uniform(*areas) * height * width
        tall, wide = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if not (1 <= tall <= height and 1 <= wide <= width):
            continue
        y, x = (int(generator.integers(0, room + 1)) for room in (height - tall, width - wide))
        low = np.maximum(flat[:, :2] * [height, width], [y, x])
        high = np.minimum(flat[:, 2:] * [height, width], [y + tall, x + wide])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        whole = np.prod((flat[:, 2:] - flat[:, :2]) * [height, width], axis=1)
        if (shared >= covered * whole).any():
            place = (y, x, tall, wide)
            break
    y, x, tall, wide = place
    box = np.array([[[y / height, x / width, (y + tall) / height, (x + wide) / width]]], np.float32)
    return np.array([y, x, 0], image_size.dtype), np.array([tall, wide, -1], image_size.dtype), box
