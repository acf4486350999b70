"""Inspect: what a path is and holds, told without reading a tensor's value."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorferry.formats.detect import Source, detect
from tensorferry.formats.errors import UnsupportedError, UsageError, one_line
from tensorferry.formats.tensor import Tensor

from ..ir import Model, Signature, ValueInfo, node_name
from ..load import load_model
from ..mapping.recognition import Recognised, recognise
from ..names.named import named_tensors
from ..names.roles import WEIGHT
from ..passes.prune import prune
from .interface import choose_signature, likely_outputs, needed_inputs, value_info
from .report import info_text, plural, size_text

TITLES = {
    "bundle": "TensorFlow checkpoint (V2)",
    "v1_checkpoint": "TensorFlow checkpoint (V1)",
    "meta_graph": "TensorFlow MetaGraph",
    "graph_def": "TensorFlow GraphDef",
    "saved_model": "TensorFlow SavedModel",
    "safetensors": "safetensors file",
    "safetensors_index": "sharded safetensors",
    "npz": "NumPy archive",
    "onnx": "ONNX model",
}
"""What each kind of source is called."""


@dataclass(slots=True)
class Inspection:
    """What a path holds. `model` is its graph, where it has one that can be read; `tensors` its named tensors."""

    path: str
    source: Source
    tensors: dict[str, Tensor] | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    recognised: Sequence[Recognised] = ()
    """The presets (`--map`) that are made for tensors like these."""
    model: Model | None = None
    inputs: list[ValueInfo] = field(default_factory=list)
    outputs: list[ValueInfo] = field(default_factory=list)
    graph: str | None = None
    """Another graph that was given for the checkpoint."""
    tag: str | None = None
    """The tag by which a MetaGraph was chosen."""

    @property
    def ops(self) -> dict[str, int]:
        """How often each op occurs in the graph, the most frequent first."""
        return {} if self.model is None else dict(Counter(node.op for node in self.model.graph).most_common())

    @property
    def convert_lines(self) -> list[str]:
        """Commands that convert the graph to ONNX: one for each signature, or the one for the likely outputs."""
        if self.model is None:
            return []
        default = choose_signature(self.model, None)
        names = [default.name] if default is not None else []
        names += [name for name in self.model.signatures if name not in names]
        chosen = [f"--signature {shlex.quote(name)}" for name in names]
        if not names and self.outputs:
            chosen = ["--outputs " + shlex.quote(",".join(info.value for info in self.outputs))]
        target = (os.path.basename(os.path.abspath(self.path)).split(".")[0] or "model") + ".onnx"
        start = f"tensorferry convert {shlex.quote(self.path)} {shlex.quote(target)}"
        end = f" --tag {shlex.quote(self.tag)}" if self.tag is not None else ""
        if self.graph is not None:
            end += f" --graph {shlex.quote(self.graph)}"
        return [one_line(f"{start} {choice}{end}") for choice in chosen]

    @property
    def convert_line(self) -> str:
        """The first of them; empty where there is none."""
        return next(iter(self.convert_lines), "")

    def to_dict(self) -> dict[str, Any]:
        """The inspection as JSON has it."""
        found: dict[str, Any] = {"path": self.path, "kind": self.source.kind}
        if self.recognised:
            found["recognised"] = [
                {"preset": each.name, "says": each.says, **({"names": each.names} if each.names else {})}
                for each in self.recognised
            ]
        if self.tensors is not None:
            found["checkpoint"] = self.source.checkpoint
            found["variables"] = [
                {
                    "name": name,
                    "dtype": str(tensor.dtype),
                    "shape": list(tensor.shape),
                    "bytes": tensor.nbytes,
                    "role": self.roles.get(name, WEIGHT),
                }
                for name, tensor in self.tensors.items()
            ]
        if self.model is not None:
            found["graph"] = {
                "path": self.model.path,
                "tensorflow": self.model.version,
                "nodes": len(self.model.graph),
                "functions": len(self.model.graph.functions),
                "inputs": [_info_dict(info) for info in self.inputs],
                "outputs": [_info_dict(info) for info in self.outputs],
                "signatures": {name: _signature_dict(s) for name, s in self.model.signatures.items()},
                "ops": self.ops,
                "convert": self.convert_line,
                "conversions": self.convert_lines,
            }
        return found

    def text(self) -> str:
        """The inspection as a person reads it."""
        blocks = [self._headline()]
        if self.tensors:
            blocks.append(self._table(self.tensors))
        if self.model is not None:
            blocks += self._graph_blocks(self.model)
        return "\n\n".join(blocks)

    def _table(self, tensors: Mapping[str, Tensor]) -> str:
        """The tensors; with a column for roles where some are not weights."""
        rows = [("name", "dtype", "shape", "size", "role")]
        for name, tensor in tensors.items():
            size = size_text(tensor.nbytes) if tensor.dtype.is_plain else "?"
            rows.append(
                (one_line(name), str(tensor.dtype), str(list(tensor.shape)), size, self.roles.get(name, WEIGHT))
            )
        plain = all(row[-1] == WEIGHT for row in rows[1:])
        return columns([row[:-1] for row in rows] if plain else rows, right=(3,))

    def _headline(self) -> str:
        lines = [f"{one_line(self.path)}: {TITLES.get(self.source.kind, self.source.kind)}"]
        if self.tensors is not None:
            total = sum(tensor.nbytes for tensor in self.tensors.values())
            lines[0] += f", {plural(len(self.tensors), 'variable')}, {size_text(total)}"
            lines += map(one_line, self.notes)
            lines += [f"looks like {one_line(each.says)}: {each.options}" for each in self.recognised]
            if self.source.checkpoint not in (None, self.path):
                lines.append(f"checkpoint: {one_line(self.source.checkpoint)}")
        if self.model is not None:
            version = f", written by TensorFlow {one_line(self.model.version)}" if self.model.version else ""
            lines.append(f"graph: {one_line(self.model.path)}, {plural(len(self.model.graph), 'node')}{version}")
            if self.model.graph.functions:
                lines[-1] += f", {plural(len(self.model.graph.functions), 'function')}"
        return "\n".join(lines)

    def _graph_blocks(self, model: Model) -> Iterable[str]:
        if not model.signatures:
            rows: list[Sequence[str]] = []
            for label, infos in (("input", self.inputs), ("output", self.outputs)):
                rows += [(label, one_line(info.value), info_text(info) + self._remark(info)) for info in infos]
            yield columns(rows) if rows else "no inputs or outputs found: name the outputs with --outputs"
        for signature in model.signatures.values():
            rows = [
                (f"  {label}", one_line(name), one_line(info_text(info) + self._remark(info)), one_line(info.value))
                for label, named in (("input", signature.inputs), ("output", signature.outputs))
                for name, info in named.items()
            ]
            yield f"signature {one_line(signature.name)}\n{columns(rows) if rows else '  without inputs and outputs'}"
        yield "ops: " + ", ".join(f"{one_line(op)} {count}" for op, count in self.ops.items())
        if self.convert_lines:
            yield "convert with: " + "\n              ".join(self.convert_lines)

    def _remark(self, info: ValueInfo) -> str:
        """What else there is to say of an input."""
        node = None if self.model is None else self.model.graph.nodes.get(node_name(info.value))
        return ", has a default" if node is not None and node.op == "PlaceholderWithDefault" else ""


def inspect(
    path: str | os.PathLike[str], *, graph: str | os.PathLike[str] | None = None, tag: str | None = None
) -> Inspection:
    """What is at `path`; `graph` gives another graph for a checkpoint, `tag` chooses a MetaGraph of a SavedModel."""
    source = detect(path)
    found = Inspection(os.fspath(path), source, graph=None if graph is None else os.fspath(graph), tag=tag)
    if source.graph is not None or source.kind in ("graph_def", "saved_model") or graph is not None:
        found.model = _model(found)
    if found.model is None or found.model.tensors is not None:
        named = named_tensors(source)
        found.tensors, found.roles, found.notes = named.tensors, named.roles, [*found.notes, *named.notes]
        found.recognised = recognise(named.tensors)
        if named.tensors.keys() != named.origin.keys():
            found.recognised += [replace(each, names="key") for each in recognise(named.origin)]
    return found


def _model(found: Inspection) -> Model | None:
    """The graph with its interface; None, and a note, for a SavedModel whose graph is not read or not chosen."""
    try:
        model = load_model(found.path, graph=found.graph, tag=found.tag)
    except (UnsupportedError, UsageError) as error:
        if found.source.kind != "saved_model" or found.tag is not None:
            raise
        found.notes = [str(error)]
        return None
    _find_interface(found, model)
    return model


def _find_interface(found: Inspection, model: Model) -> None:
    signature = choose_signature(model, None)
    if signature is not None:
        found.inputs, found.outputs = list(signature.inputs.values()), list(signature.outputs.values())
        return
    if model.signatures:
        return
    found.outputs = [value_info(model.graph, value) for value in likely_outputs(model.graph)]
    found.inputs = needed_inputs(prune(model.graph, [node_name(info.value) for info in found.outputs]))


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows as aligned columns, two spaces between; the columns in `right` are flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _info_dict(info: ValueInfo) -> dict[str, Any]:
    dims = None if info.shape.dims is None else [None if size < 0 else size for size in info.shape.dims]
    return {"name": info.value, "dtype": None if info.dtype is None else str(info.dtype), "shape": dims}


def _signature_dict(signature: Signature) -> dict[str, Any]:
    return {
        "method": signature.method,
        "inputs": {name: _info_dict(info) for name, info in signature.inputs.items()},
        "outputs": {name: _info_dict(info) for name, info in signature.outputs.items()},
    }
