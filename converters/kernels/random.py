"""Random numbers: of the right distribution, the same in each run, and never TensorFlow's.

TensorFlow's generators (Philox with the op's seeds and a counter of its own) are not reproduced here. A node's numbers
follow from its seeds, or where it has none from its name, so that evaluations can be repeated; comparisons with
TensorFlow are only meaningful where randomness has no effect, as in the dead branch of a dropout.
"""

from __future__ import annotations

import zlib

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")

SEEDS = {"seed", "seed2"}


def _generator(node: OpNode, *seeds: Array) -> np.random.Generator:
    words = [value & (1 << 64) - 1 for array in seeds for value in sizes(array)]
    if not seeds:
        words = [node.integer(name) & (1 << 64) - 1 for name in ("seed", "seed2")]
        if not any(words):
            words = [zlib.crc32(node.name.encode())]
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
