"""Load: a path -> tensors by name, or a model.

load_checkpoint   anything that holds named tensors: a checkpoint, safetensors, .npz, the constants of a frozen graph,
                  the initializers of an ONNX model
load_model        anything that holds a graph: .meta, .pb, .pbtxt, a checkpoint with its .meta or graph.pbtxt, or a
                  SavedModel
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping
from typing import Any

from tensorferry.formats.detect import SAVED_MODEL_FILES, Source, detect
from tensorferry.formats.dtype import STRING
from tensorferry.formats.errors import UnsupportedError, UsageError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import dtype_of_number

from .from_tf import from_graph_def, from_shape
from .ir import Graph, Model, Signature, ValueInfo

Path = str | os.PathLike[str]


def load_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """The named tensors at `path`, read only when their values are asked for."""
    return tensors_of(detect(path))


def load_model(path: Path, *, graph: Path | None = None, tag: str | None = None) -> Model:
    """The graph at `path` and, where there is a checkpoint too, the tensors for its variables.

    `graph` gives another graph (.meta, .pb or .pbtxt) for the checkpoint at `path`; `tag` chooses among the MetaGraphs
    of a SavedModel.
    """
    source = detect(path)
    where = detect(graph) if graph is not None else source
    if tag is not None and where.kind != "saved_model":
        raise UsageError(f"--tag {tag}", f"expected a SavedModel, got {where.kind} {where.path}")
    model = read_saved_model(where.path, tag) if where.kind == "saved_model" else _read_model(where)
    if graph is not None:
        model.objects = {}  # those of another checkpoint
    if source.checkpoint is not None or source.kind in _CHECKPOINTS:
        model.tensors = tensors_of(source)
    elif graph is not None:
        raise UsageError("--graph", f"expected a checkpoint to go with it, got {source.kind} {os.fspath(path)}")
    return model


def tensors_of(source: Source) -> Mapping[str, Tensor]:
    """The named tensors of a source that `detect` gave."""
    if source.checkpoint is not None:
        from tensorferry.formats.bundle import read_bundle

        return read_bundle(source.checkpoint)
    reader = _TENSOR_READERS.get(source.kind)
    if reader is None:
        raise UnsupportedError(source.path, f"expected named tensors, got {_KINDS.get(source.kind, source.kind)}")
    return reader(source.path)


def constants_of(graph: Graph) -> dict[str, Tensor]:
    """The constants of a graph by node name, but for strings."""
    found: dict[str, Tensor] = {}
    for node in graph:
        value = node.attrs.get("value") if node.op == "Const" else None
        if isinstance(value, Tensor) and value.dtype.kind != STRING:
            found[node.name] = value
    return found


def _read_safetensors(path: str) -> Mapping[str, Tensor]:
    from tensorferry.formats.safetensors_file import read_safetensors

    return read_safetensors(path)


def _read_safetensors_index(path: str) -> Mapping[str, Tensor]:
    from tensorferry.formats.safetensors_file import read_safetensors_index

    return read_safetensors_index(path)


def _read_npz(path: str) -> Mapping[str, Tensor]:
    from tensorferry.formats.npz_file import read_npz

    return read_npz(path)


def _read_onnx(path: str) -> Mapping[str, Tensor]:
    from tensorferry.formats.onnx_file import read_onnx_initializers

    return read_onnx_initializers(path)


def _read_constants(path: str) -> Mapping[str, Tensor]:
    return constants_of(_read_graph(path).graph)


def _read_v1(path: str) -> Mapping[str, Tensor]:
    from tensorferry.formats.v1_checkpoint import read_v1

    return read_v1(path)


def _read_saved_model_variables(path: str) -> Mapping[str, Tensor]:
    from tensorferry.formats.bundle import read_bundle

    prefix = os.path.join(path, "variables", "variables")
    # TensorFlow 1 writes none for a graph without variables, as a frozen one is.
    return read_bundle(prefix) if glob.glob(f"{glob.escape(prefix)}.*") else {}


_TENSOR_READERS: dict[str, Callable[[str], Mapping[str, Tensor]]] = {
    "safetensors": _read_safetensors,
    "safetensors_index": _read_safetensors_index,
    "npz": _read_npz,
    "onnx": _read_onnx,
    "graph_def": _read_constants,
    "v1_checkpoint": _read_v1,
    "saved_model": _read_saved_model_variables,
}
_CHECKPOINTS = ("bundle", "v1_checkpoint", "saved_model")
_SERVING = "serve"
"""The tag of the MetaGraph that is meant for inference."""
_UPKEEP = "__saved_model_"
"""What signatures begin with that are no way of calling a model: they initialize it, or train it."""
_KINDS = {
    "meta_graph": "a MetaGraph without a checkpoint beside it",
    "v1_checkpoint": "a V1 checkpoint without a graph beside it",
    "bundle": "a checkpoint without a graph beside it",
}


def _read_model(source: Source) -> Model:
    if source.kind == "graph_def":
        return _read_graph(source.path)
    if source.graph is not None:
        is_meta = source.graph == source.path or detect(source.graph).kind == "meta_graph"
        return _read_meta_graph(source.graph) if is_meta else _read_graph(source.graph)
    problem = f"expected a graph, got {_KINDS.get(source.kind, source.kind)}"
    raise UnsupportedError(source.path, problem, hint="--graph gives one" if source.kind in _CHECKPOINTS else "")


def _read_graph(path: str) -> Model:
    from tensorferry.formats.graph_file import read_graph_def

    return Model(graph=from_graph_def(read_graph_def(path), path), path=path)


def _read_meta_graph(path: str) -> Model:
    from tensorferry.formats.graph_file import read_meta_graph

    return _from_meta_graph(read_meta_graph(path), path)


def read_saved_model(path: str, tag: str | None = None) -> Model:
    """The MetaGraph of the SavedModel in the directory `path` that has the tag; by default `serve`, or the only one."""
    from tensorferry.formats.chunked_message import read_chunked
    from tensorferry.formats.graph_file import read_message

    files = [os.path.join(path, name) for name in SAVED_MODEL_FILES]
    file = next(filter(os.path.isfile, files), files[0])
    saved = read_chunked("SavedModel", file) if file.endswith(".cpb") else read_message("SavedModel", file)
    return _from_meta_graph(_choose_meta_graph(list(saved.meta_graphs), path, tag), file)


def _choose_meta_graph(metas: list[Any], path: str, tag: str | None) -> Any:
    """The MetaGraph with just these tags (`serve+tpu`), else the only one that has them among others.

    Without a tag asked for, `serve` is; where nothing has that, the only MetaGraph, or the one without tags, as modules
    of TensorFlow Hub have it.
    """
    tags = [sorted(meta.meta_info_def.tags) for meta in metas]
    wanted = sorted((_SERVING if tag is None else tag).split("+"))
    attempts = [
        [index for index, own in enumerate(tags) if own == wanted],
        [index for index, own in enumerate(tags) if set(wanted) <= set(own)],
    ]
    if tag is None and not attempts[1]:
        attempts += [list(range(len(metas))), [index for index, own in enumerate(tags) if not own]]
    for chosen in attempts:
        if len(chosen) == 1:
            return metas[chosen[0]]
    has = listing("+".join(own) or "none" for own in tags)
    found = f"got {len(attempts[1])} of: {has}"
    raise UsageError(f"--tag {'+'.join(wanted)}", f"expected one MetaGraph of {path} with that tag, {found}")


def _from_meta_graph(meta: Any, path: str) -> Model:
    from tensorferry.formats.assets import asset_names

    graph = from_graph_def(meta.graph_def, path)
    signatures = {name: _signature(name, meta.signature_def[name]) for name in sorted(meta.signature_def)}
    return Model(
        graph=graph,
        path=path,
        signatures={name: each for name, each in signatures.items() if not name.startswith(_UPKEEP)},
        restore_op=meta.saver_def.restore_op_name,
        collections=_collections(meta, path),
        version=meta.meta_info_def.tensorflow_version,
        assets=asset_names(meta, path),
        objects=_object_numbers(graph, meta.object_graph_def),
    )


def _object_numbers(graph: Graph, object_graph: Any) -> dict[str, int]:
    if not object_graph.nodes:
        return {}
    from .names.object_table import object_numbers

    return object_numbers(graph, graph.functions, object_graph)


def _signature(name: str, signature_def: Any) -> Signature:
    return Signature(name, _infos(signature_def.inputs), _infos(signature_def.outputs), signature_def.method_name)


def _infos(infos: Any) -> dict[str, ValueInfo]:
    """Public name -> value. Sparse and composite values have several parts, and go by the names of those."""
    found: dict[str, ValueInfo] = {}
    for key in sorted(infos):
        info = infos[key]
        if info.WhichOneof("encoding") == "coo_sparse":
            parts = info.coo_sparse
            for part in ("values", "indices", "dense_shape"):
                found[f"{key}/{part}"] = ValueInfo(getattr(parts, f"{part}_tensor_name"))
        elif info.WhichOneof("encoding") == "composite_tensor":
            for index, part in enumerate(info.composite_tensor.components):
                found[f"{key}/{index}"] = ValueInfo(
                    part.name, dtype_of_number(part.dtype), from_shape(part.tensor_shape)
                )
        else:
            found[key] = ValueInfo(info.name, dtype_of_number(info.dtype), from_shape(info.tensor_shape))
    return found


def _collections(meta: Any, path: str) -> dict[str, tuple[str, ...]]:
    """Collection -> its variables' names, for the collections that hold variables."""
    from tensorferry.formats import protos

    found: dict[str, tuple[str, ...]] = {}
    for key in ("variables", "trainable_variables", "moving_average_variables", "local_variables", "model_variables"):
        if key in meta.collection_def:
            listed = meta.collection_def[key]
            names = [protos.parse("VariableDef", item, path).variable_name for item in listed.bytes_list.value]
            found[key] = tuple(name.partition(":")[0] for name in names)
    return found
