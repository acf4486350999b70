"""Assets: the files that a SavedModel keeps beside its graph, in `assets/`, as vocabularies are.

A MetaGraph names them in `asset_file_def`, TensorFlow 1 in the collection `saved_model_assets`: the tensor to be fed
with the path, and the file's name, relative to `assets/`. (`assets.extra/` is not the graph's.)

A name comes out of a file that anybody may have written, so it must not lead out of the directory: not by being
absolute, not by `..`, not by a symbolic link.
"""

from __future__ import annotations

import os
from typing import Any

from . import protos
from .errors import FormatError

ASSETS = "assets"
"""The directory below a SavedModel's."""


def asset_names(meta: Any, path: str) -> dict[str, str]:
    """Tensor (`node:0`) -> file name, as a MetaGraphDef lists them; `path` is its file, for messages."""
    found = {asset.tensor_info.name: asset.filename for asset in meta.asset_file_def}
    collection = meta.collection_def.get("saved_model_assets")
    for item in collection.any_list.value if collection is not None else ():
        asset = protos.parse("AssetFileDef", item.value, path)
        found.setdefault(asset.tensor_info.name, asset.filename)
    return found


def asset_file(directory: str, name: str) -> str:
    """The path of the file `name` below `directory`. FormatError where it would lie elsewhere, or is no file."""
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or ".." in parts or os.path.isabs(name) or not parts[0] or ":" in parts[0]:
        raise FormatError(directory, f"expected an asset's name below the directory, got {name!r}")
    path = os.path.join(directory, *parts)
    home = os.path.realpath(directory)
    if os.path.commonpath([home, os.path.realpath(path)]) != home:
        raise FormatError(path, "expected an asset within its directory, got a link that leads out of it")
    if not os.path.isfile(path):
        raise FormatError(path, "expected the asset that the graph names, got no such file")
    return path
