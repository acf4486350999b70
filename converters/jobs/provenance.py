"""Provenance: what the metadata of a safetensors file say of where its tensors are from. All values are strings.

    format                 pt: what the loaders of Hugging Face ask for
    producer               tensorferry with its version
    source                 the last part of the source's path
    source_index_sha256    of a V2 checkpoint: the SHA-256 of its .index, as `sha256sum model.ckpt.index` prints it. The
                           index has the CRC-32C of every value, each of which is checked on the way: no need to read
                           the values twice
    renamed                where names changed: {"name in the source": "name here"} as JSON, the table that --map takes;
                           in the first of several files
    renamed_count          in its place where it would have more than RENAMES_LIMIT characters

The metadata of a safetensors source are kept, `format` too. What they say of their own origin goes on under `source.`
(`source.source_index_sha256`, at the next conversion `source.source.source_index_sha256`). The other formats have no
place for metadata, and the report names those that are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping

from tensorferry.formats.errors import listing
from tensorferry.formats.tensor import Tensor

from ..names.named import source_name

RENAMES_LIMIT = 4 << 20
"""Characters of `renamed`; a header may have 100 MB in all."""

_FORMAT = "format"
_COUNT = "renamed_count"
_ORIGIN = ("producer", "source", "source_index_sha256", "renamed", _COUNT)
_BEFORE = "source."


def provenance(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], renamed: Mapping[str, str]
) -> dict[str, str]:
    """The metadata for a file made of `tensors`, all or some of them, which were read from `path`.

    `renamed` maps names in the source to names in the result.
    """
    from tensorferry import __version__

    own = _metadata(tensors)
    kept = {f"{_BEFORE}{key}" if _is_origin(key) else key: value for key, value in own.items()}
    found = {_FORMAT: "pt", **kept, "producer": f"tensorferry {__version__}", "source": source_name(path)}
    index = _index(tensors)
    if index is not None:
        with open(index, "rb") as file:
            found["source_index_sha256"] = hashlib.sha256(file.read()).hexdigest()
    if renamed:
        table = json.dumps(dict(sorted(renamed.items())), separators=(",", ":"))
        found |= {"renamed": table} if len(table) <= RENAMES_LIMIT else {_COUNT: str(len(renamed))}
    return found


def metadata_notes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> list[str]:
    """What to say of the metadata of the source, given those of the result: None where that has no place for any."""
    own = _metadata(tensors)
    if metadata is None:
        return [f"metadata of the source left out, for the format has none: {_keys(own)}"] if own else []
    notes = []
    kept = [key for key in own if key in metadata and key != _FORMAT and not _is_origin(key)]
    if kept:
        notes.append(f"metadata of the source kept: {_keys(kept)}")
    if _COUNT in metadata:
        notes.append(f"{metadata[_COUNT]} renames are too long a table for the metadata: --json has them")
    return notes


def without_renames(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata for all files but the first."""
    return {key: value for key, value in metadata.items() if key not in ("renamed", _COUNT)}


def _metadata(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Those that the source has; none but safetensors have them."""
    from tensorferry.formats.safetensors_file import SafetensorsFile

    return tensors.metadata if isinstance(tensors, SafetensorsFile) else {}


def _index(tensors: Mapping[str, Tensor]) -> str | None:
    """The index of a V2 checkpoint."""
    from tensorferry.formats.bundle import Bundle

    return f"{tensors.path}.index" if isinstance(tensors, Bundle) else None


def _is_origin(key: str) -> bool:
    return key in _ORIGIN or key.startswith(_BEFORE)


def _keys(keys: Iterable[str]) -> str:
    return listing((f"{key:.80}" for key in sorted(keys)), 6)
