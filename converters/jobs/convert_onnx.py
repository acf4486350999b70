"""From a frozen graph to an ONNX file: fold what does not depend on the inputs, lower, and stream the weights.

Into the model's metadata_props goes where it is from:

    producer        tensorferry with its version
    source          the last part of the source's path
    opset           the opset asked for
    source_sha256   {file: SHA-256} as JSON, of the files that the model was read from. The data files of a checkpoint
                    are left out: its index has the CRC-32C of every value, each of which is checked on the way
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.onnx_types import dtype_of_onnx
from tensorferry.formats.tensor import Tensor

from ..ir import node_name
from ..names.named import source_name
from .freeze_model import Frozen
from .job import Job
from .options import Options
from .report import Checked, Report

if TYPE_CHECKING:
    import numpy as np

DEFAULT_OPSET = 18


@dataclass(slots=True)
class OnnxJob(Job):
    """An ONNX model on its way into a file: the ModelProto without its weights, and these, lazy.

    `inputs`: public name -> value of the frozen graph. `external` says whether the weights go to a file of their own,
    None that they do if the model would be too large for a single message.
    """

    frozen: Frozen
    message: Any
    weights: Mapping[str, Tensor]
    inputs: Mapping[str, str]
    options: Options

    @property
    def tensors_written(self) -> Iterable[Tensor]:
        """All of them."""
        return self.weights.values()

    def destinations(self, path: str) -> list[str]:
        """The model, and before it the file of its weights, if they have one."""
        from tensorferry.formats.onnx_file import onnx_files

        return onnx_files(path, self.message, self.weights, external=self.options.external_data or None)

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams the weights behind the model's message, or into their own file."""
        from tensorferry.formats.onnx_file import write_onnx

        external = self.options.external_data or None
        written = write_onnx(path, self.message, self.weights, external=external, files=files)
        if len(written) > 1:
            report.notes.append(f"weights in {os.path.basename(written[0])}")

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Runs the model that was written, and evaluates the source's graph, on the same inputs."""
        from .verify import compare_outputs, make_feeds, run_graph, run_onnx, words_of

        frozen, options = self.frozen, self.options
        inputs = {name: frozen.inputs[name] for name in self.inputs}
        feeds = make_feeds(inputs, dict(options.feeds), words_of(frozen.tables))
        expected = run_graph(frozen.source, frozen.outputs, feeds, frozen.values, frozen.tables)
        public = {name: feeds[value] for name, value in self.inputs.items()}
        given = _channels_first(public, options.inputs_as_nchw)
        found = run_onnx(list(parts.values())[-1], given)
        return compare_outputs(_channels_first(expected, options.outputs_as_nchw), found)


def lower_model(frozen: Frozen, options: Options, report: Report, files: Sequence[str] = ()) -> OnnxJob:
    """Folds what does not depend on the inputs, and lowers to ONNX. `files` are those that the model is from."""
    from ..lowering import lower
    from ..passes.fold_tables import fold_tables
    from ..passes.simplify import simplify
    from ..tables import tables_of
    from ..to_onnx import to_onnx_model

    opset = DEFAULT_OPSET if options.opset is None else options.opset
    asked = {node_name(value) for value in options.inputs or ()}
    fixed = [n.name for n in frozen.graph if n.op == "PlaceholderWithDefault" and n.name not in asked]
    graph = fold_tables(frozen.graph, frozen.tables)
    graph = simplify(graph, list(frozen.outputs.values()), keep=[n for n in asked if n in frozen.graph.nodes])
    inputs = {name: info.value for name, info in frozen.inputs.items() if node_name(info.value) in graph.nodes}
    inputs = {name: value for name, value in inputs.items() if node_name(value) not in fixed}
    _check_named("--inputs-as-nchw", options.inputs_as_nchw, inputs)
    _check_named("--outputs-as-nchw", options.outputs_as_nchw, frozen.outputs)
    lowered = lower(
        graph, inputs, frozen.outputs, opset=opset, without=options.no_fuse,
        inputs_as_nchw=options.inputs_as_nchw, outputs_as_nchw=options.outputs_as_nchw,
    )  # fmt: skip
    message, weights = to_onnx_model(lowered, opset, _metadata(report.source, opset, files))
    report.take_tables(tables_of(frozen.graph), frozen.tables)
    report.fix(fixed, inputs)
    report.inputs = {value.name: _type_text(value) for value in message.graph.input}
    report.outputs = {value.name: _type_text(value) for value in message.graph.output}
    report.nodes = (report.nodes[0] if report.nodes else 0, len(message.graph.node))
    report.transposes = sum(node.op_type == "Transpose" for node in message.graph.node)
    report.format = f"onnx, opset {opset}"
    return OnnxJob(frozen, message, weights, inputs, options)


def _check_named(option: str, names: Sequence[str], known: Mapping[str, object]) -> None:
    strange = [name for name in names if name not in known]
    if strange:
        raise UsageError(f"{option} {','.join(strange)}", f"expected names among {listing(known) or 'none at all'}")


def _channels_first(arrays: Mapping[str, np.ndarray[Any, Any]], names: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    return {name: np.moveaxis(array, -1, 1) if name in names else array for name, array in arrays.items()}


def _metadata(source: str, opset: int, files: Sequence[str]) -> dict[str, str]:
    from tensorferry import __version__

    found = {"producer": f"tensorferry {__version__}", "source": source_name(source) if source else ""}
    found["opset"] = str(opset)
    sums = {os.path.basename(path): _sha256(path) for path in files if os.path.isfile(path) and not _is_data(path)}
    if sums:
        found["source_sha256"] = json.dumps(dict(sorted(sums.items())))
    return found


def _is_data(path: str) -> bool:
    """Whether a file is one of those with a checkpoint's values, `PREFIX.data-00000-of-00001`."""
    return ".data-" in os.path.basename(path)


def _sha256(path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _type_text(value: Any) -> str:
    """`float32 [batch, 3]`."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return f"{dtype_of_onnx(kind.elem_type)} ?"
    sizes = (dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?") for dim in kind.shape.dim)
    return f"{dtype_of_onnx(kind.elem_type)} [{', '.join(sizes)}]"
