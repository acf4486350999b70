"""Shards: weights in several files of a bounded size: the data files of a checkpoint, or as Hugging Face's loaders
expect safetensors,

    model-00001-of-00003.safetensors ...     the tensors, in the order of the source; each file below the limit
    model.safetensors.index.json             {"metadata": {"total_size": bytes}, "weight_map": {name: file}}

A tensor that is larger than the limit has a file of its own. Strings that are in no bundle count as nothing, for their
size is known only once they are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from tensorferry.formats.bundle_strings import StringTensor
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
        size = tensor.size_on_disk if isinstance(tensor, StringTensor) else tensor.nbytes
        if shards[-1] and used + size > limit:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += size
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


def older_files(written: Sequence[str]) -> list[str]:
    """The files of an older result, which had another number of them, beside those that will be `written`.

    The last of these tells the name: the index, where there is one. Whoever reads the one may find the other.
    """
    folder, name = os.path.split(written[-1])
    if name.endswith(".index"):
        stem, pattern = name.removesuffix(".index"), r"\.data-\d{5}-of-\d{5}"
    else:
        stem = name.removesuffix(".index.json").removesuffix(".safetensors")
        pattern = r"(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?"
    names = {os.path.basename(path) for path in written}
    found = [n for n in os.listdir(folder or ".") if n not in names and re.fullmatch(re.escape(stem) + pattern, n)]
    return [os.path.join(folder, name) for name in sorted(found)]
