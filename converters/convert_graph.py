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

from .freeze_model import Frozen, freeze_model
from .ir import Graph, Model, node_name
from .load import load_model
from .options import Options, Path
from .report import Checked, Report

DEFAULT_OPSET = 18


def plan_graph(source: Path, target: str, options: Options, report: Report) -> GraphDefJob | OnnxJob:
    """Freezes the graph at `source` and, for ONNX, lowers it; accounts for it in `report`."""
    frozen = freeze_model(load_model(source, graph=options.graph), options, report)
    if target == "onnx":
        return _lower(frozen, options, report)
    return GraphDefJob(frozen, text=target == "pbtxt")


def onnx_model(model: Model, options: Options) -> Any:
    """The onnx.ModelProto of a model, its weights inside."""
    from .to_onnx import to_model_proto

    report = Report(model.path, "", "onnx")
    job = _lower(freeze_model(model, options, report), options, report)
    return to_model_proto(job.lowered, job.opset, job.metadata)


@dataclass(slots=True)
class GraphDefJob:
    """A frozen graph on its way into a .pb or .pbtxt file."""

    frozen: Frozen
    text: bool

    def destinations(self, path: str) -> list[str]:
        """The one file."""
        return [path]

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams the graph node by node."""
        from tensorferry.formats.graph_writer import write_graph_def

        from .to_graph_def import graph_def_parts

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
class OnnxJob:
    """A lowered graph on its way into an ONNX model. `inputs`: public name -> value of the frozen graph."""

    frozen: Frozen
    lowered: Graph
    opset: int
    metadata: Mapping[str, str]
    inputs: Mapping[str, str]

    def destinations(self, path: str) -> list[str]:
        """The model. Weights beside it come only with one that is too large for a single message."""
        return [path]

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams the weights behind the model's message."""
        from tensorferry.formats.onnx_file import write_onnx

        from .to_onnx import to_onnx_model

        model, weights = to_onnx_model(self.lowered, self.opset, self.metadata)
        written = write_onnx(path, model, weights, files=files)
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

    from .lowering import lower
    from .simplify import simplify

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
    report.nodes = (report.nodes[0] if report.nodes else 0, sum(_computes(node.op) for node in lowered))
    report.format = f"onnx, opset {opset}"
    source = os.path.basename(os.path.normpath(report.source)) if report.source else ""
    return OnnxJob(frozen, lowered, opset, {"producer": f"tensorferry {__version__}", "source": source}, inputs)


def _computes(op: str) -> bool:
    return op not in ("Input", "Constant", "Output")
