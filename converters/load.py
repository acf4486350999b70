"""Load: a path -> tensors by name, or a model.

load_checkpoint   anything that holds named tensors: a checkpoint, safetensors, .npz, the constants of a frozen graph,
                  the initializers of an ONNX model
load_model        anything that holds a graph: .meta, .pb, .pbtxt, a checkpoint with its .meta, or a SavedModel
                  of TensorFlow 1
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tensorferry.formats.detect import Source, detect
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

    return read_bundle(os.path.join(path, "variables", "variables"))


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
_KINDS = {
    "meta_graph": "a MetaGraph without a checkpoint beside it",
    "v1_checkpoint": "a V1 checkpoint without a graph beside it",
    "bundle": "a checkpoint without a graph beside it",
}


def _read_model(source: Source) -> Model:
    if source.kind == "graph_def":
        return _read_graph(source.path)
    if source.graph is not None:
        return _read_meta_graph(source.graph)
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
    from tensorferry.formats.graph_file import read_message

    names = [name for name in ("saved_model.pb", "saved_model.pbtxt") if os.path.isfile(os.path.join(path, name))]
    if not names:
        raise UnsupportedError(path, "expected saved_model.pb or saved_model.pbtxt, got a chunked SavedModel")
    file = os.path.join(path, names[0])
    metas = list(read_message("SavedModel", file).meta_graphs)
    tags = [sorted(meta.meta_info_def.tags) for meta in metas]
    wanted = _SERVING if tag is None else tag
    chosen = [meta for meta, own in zip(metas, tags, strict=True) if wanted in own]
    if tag is None and len(metas) == 1:
        chosen = metas
    if len(chosen) != 1:
        has = listing("+".join(own) or "none" for own in tags)
        raise UsageError(
            f"--tag {wanted}", f"expected one MetaGraph of {path} with that tag, got {len(chosen)} of: {has}"
        )
    if chosen[0].object_graph_def.nodes:
        raise UnsupportedError(
            path, "expected a SavedModel of TensorFlow 1, got one of TensorFlow 2: its functions are not read yet"
        )
    return _from_meta_graph(chosen[0], file)


def _from_meta_graph(meta: Any, path: str) -> Model:
    graph = from_graph_def(meta.graph_def, path)
    return Model(
        graph=graph,
        path=path,
        signatures={name: _signature(name, meta.signature_def[name]) for name in sorted(meta.signature_def)},
        restore_op=meta.saver_def.restore_op_name,
        collections=_collections(meta, path),
        version=meta.meta_info_def.tensorflow_version,
    )


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
