"""Shards: weights in several safetensors files of a bounded size, as Hugging Face's loaders expect them.

    model-00001-of-00003.safetensors ...     the tensors, in the order of the source; each file below the limit
    model.safetensors.index.json             {"metadata": {"total_size": bytes}, "weight_map": {name: file}}

A tensor that is larger than the limit has a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tensorferry.formats.errors import UsageError
from tensorferry.formats.tensor import Tensor

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_size(text: str) -> int:
    """Bytes of a size such as 5GB (10**9), 512MiB (2**20) or 1000. UsageError for anything else."""
    match = re.fullmatch(r"(\d{1,12})\s*([A-Za-z]*)", text.strip())
    if not match or match[2].upper() not in _UNITS or not int(match[1]):
        raise UsageError(f"--max-shard-size {text}", "expected a size such as 5GB, 512MiB or 1000000")
    return int(match[1]) * _UNITS[match[2].upper()]


def plan_shards(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    """The tensors of each file, filled in order up to `limit` bytes of data."""
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for name, tensor in tensors.items():
        if shards[-1] and used + tensor.nbytes > limit:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += tensor.nbytes
    return shards


def shard_names(stem: str, count: int) -> list[str]:
    """The file names of `count` shards of STEM.safetensors."""
    return [f"{stem}-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def shard_index(shards: Mapping[str, Mapping[str, Tensor]]) -> dict[str, object]:
    """The index of the shards, tensors by file name, as JSON has it."""
    total = sum(tensor.nbytes for shard in shards.values() for tensor in shard.values())
    return {
        "metadata": {"total_size": total},
        "weight_map": {name: file for file in sorted(shards) for name in sorted(shards[file])},
    }
