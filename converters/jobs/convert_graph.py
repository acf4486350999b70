"""Plan and write graphs.

select -> average -> rename -> bind -> freeze -> GraphDef            (`freeze_model`)
                                          `-> simplify -> lower -> ONNX
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.errors import listing
from tensorferry.formats.onnx_types import dtype_of_onnx
from tensorferry.formats.tensor import Tensor

from ..ir import Model, node_name
from ..load import load_model
from ..names.named import source_name
from .freeze_model import Frozen, freeze_model
from .job import Job
from .options import Options, Path
from .report import Checked, Report

DEFAULT_OPSET = 18


def plan_graph(source: Path, target: str, options: Options, report: Report) -> GraphDefJob | OnnxJob:
    """Freezes the graph at `source` and, for ONNX, lowers it; accounts for it in `report`."""
    frozen = freeze_model(load_model(source, graph=options.graph, tag=options.tag), options, report)
    if target == "onnx":
        return _lower(frozen, options, report)
    return GraphDefJob(frozen, text=target == "pbtxt")


def onnx_model(model: Model, options: Options) -> Any:
    """The onnx.ModelProto of a model, its weights inside."""
    from ..to_onnx import with_weights

    report = Report(model.path, "", "onnx")
    job = _lower(freeze_model(model, options, report), options, report)
    return with_weights(job.message, job.weights)


@dataclass(slots=True)
class GraphDefJob(Job):
    """A frozen graph on its way into a .pb or .pbtxt file."""

    frozen: Frozen
    text: bool

    def destinations(self, path: str) -> list[str]:
        """The one file."""
        return [path]

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams the graph node by node."""
        from tensorferry.formats.graph_writer import write_graph_def

        from ..to_graph_def import graph_def_parts

        write_graph_def(path, graph_def_parts(self.frozen.graph), text=self.text, files=files)

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Evaluates the graph that was written and the source's graph on the same random inputs."""
        from .verify import compare_outputs, random_feeds, run_graph

        frozen = self.frozen
        written = load_model(next(iter(parts.values()))).graph
        feeds = random_feeds(list(frozen.inputs.values()))
        expected = run_graph(frozen.source, frozen.outputs, feeds, frozen.values)
        return compare_outputs(expected, run_graph(written, frozen.outputs, feeds, {}))


@dataclass(slots=True)
class OnnxJob(Job):
    """An ONNX model on its way into a file: the ModelProto without its weights, and these, lazy.

    `inputs`: public name -> value of the frozen graph.
    """

    frozen: Frozen
    message: Any
    weights: Mapping[str, Tensor]
    inputs: Mapping[str, str]

    def destinations(self, path: str) -> list[str]:
        """The model, and before it the file of its weights, if it is too large for a single message."""
        from tensorferry.formats.onnx_file import onnx_files

        return onnx_files(path, self.message, self.weights)

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams the weights behind the model's message."""
        from tensorferry.formats.onnx_file import write_onnx

        written = write_onnx(path, self.message, self.weights, files=files)
        if len(written) > 1:
            report.notes.append(f"weights in {os.path.basename(written[0])}")

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Runs the model that was written, and evaluates the source's graph, on the same random inputs."""
        from .verify import compare_outputs, random_feeds, run_graph, run_onnx

        frozen = self.frozen
        feeds = random_feeds([frozen.inputs[name] for name in self.inputs])
        expected = run_graph(frozen.source, frozen.outputs, feeds, frozen.values)
        public = {name: feeds[value] for name, value in self.inputs.items()}
        return compare_outputs(expected, run_onnx(list(parts.values())[-1], public))


def _lower(frozen: Frozen, options: Options, report: Report) -> OnnxJob:
    """Folds what does not depend on the inputs, and lowers to ONNX."""
    from tensorferry import __version__

    from ..lowering import lower
    from ..passes.simplify import simplify
    from ..to_onnx import to_onnx_model

    opset = DEFAULT_OPSET if options.opset is None else options.opset
    asked = {node_name(value) for value in options.inputs or ()}
    fixed = [n.name for n in frozen.graph if n.op == "PlaceholderWithDefault" and n.name not in asked]
    graph = simplify(frozen.graph, list(frozen.outputs.values()), keep=[n for n in asked if n in frozen.graph.nodes])
    inputs = {name: info.value for name, info in frozen.inputs.items() if node_name(info.value) in graph.nodes}
    inputs = {name: value for name, value in inputs.items() if node_name(value) not in fixed}
    lowered = lower(graph, inputs, frozen.outputs, opset=opset)
    if fixed:
        report.notes.append(f"fixed at their defaults: {listing(fixed)}")
    report.inputs = {name: text for name, text in report.inputs.items() if name in inputs}
    source = source_name(report.source) if report.source else ""
    message, weights = to_onnx_model(lowered, opset, {"producer": f"tensorferry {__version__}", "source": source})
    report.nodes = (report.nodes[0] if report.nodes else 0, len(message.graph.node))
    for value in message.graph.output:
        sizes = (dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?") for dim in _dims(value))
        report.outputs[value.name] = f"{dtype_of_onnx(value.type.tensor_type.elem_type)} [{', '.join(sizes)}]"
    report.format = f"onnx, opset {opset}"
    return OnnxJob(frozen, message, weights, inputs)


def _dims(value: Any) -> Any:
    return value.type.tensor_type.shape.dim
