"""Fourier transforms of the last one, two or three dimensions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")

_RANKS = {"": 1, "2D": 2, "3D": 3}


def _axes(node: OpNode, x: Array, rank: int) -> tuple[int, ...]:
    if x.ndim < rank:
        raise GraphError(node.name, f"expected rank {rank} or more, got shape {list(x.shape)}")
    return tuple(range(x.ndim - rank, x.ndim))


def _complex(function: Callable[..., Array], rank: int) -> Kernel:
    """A transform of complex numbers."""

    def kernel(node: OpNode, x: Array) -> Array:
        return function(x, axes=_axes(node, x, rank)).astype(x.dtype, copy=False)

    return kernel


def _real(function: Callable[..., Array], rank: int, result: str) -> Kernel:
    """A transform from or to real numbers: of x, the first fft_length [rank] numbers take part."""

    def kernel(node: OpNode, x: Array, fft_length: Array) -> Array:
        axes, lengths = _axes(node, x, rank), sizes(fft_length)
        dtype = node.dtype(result).numpy()
        if len(lengths) != rank:
            raise GraphError(node.name, f"expected {rank} lengths, got {lengths}")
        needed = [*lengths[:-1], lengths[-1] if result == "Tcomplex" else lengths[-1] // 2 + 1]
        if any(size < count for size, count in zip(x.shape[x.ndim - rank :], needed, strict=True)):
            raise GraphError(node.name, f"expected at least {needed} numbers, got shape {list(x.shape)}")
        make_room(node, (*x.shape[: x.ndim - rank], *lengths), np.complex128)
        return function(x, s=lengths, axes=axes).astype(dtype, copy=False)

    return kernel


for _suffix, _rank in _RANKS.items():
    KERNELS.add(f"FFT{_suffix}", _complex(np.fft.fftn, _rank))
    KERNELS.add(f"IFFT{_suffix}", _complex(np.fft.ifftn, _rank))
    KERNELS.add(f"RFFT{_suffix}", _real(np.fft.rfftn, _rank, "Tcomplex"))
    KERNELS.add(f"IRFFT{_suffix}", _real(np.fft.irfftn, _rank, "Treal"))
