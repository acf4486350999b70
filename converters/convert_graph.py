"""Plan and write graphs: bound to their variables' values, frozen, and lowered if ONNX is wanted.

(select -> average -> rename) -> bind -> freeze -> GraphDef
                                               `-> simplify -> lower -> ONNX
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.tensor import Tensor

from .bind import bind
from .freeze import freeze, variables_of
from .interface import choose_outputs, choose_signature, needed_inputs, value_info
from .ir import Graph, Model, ValueInfo, value_name
from .load import load_model
from .names import Entry, select_names
from .options import Options, Path
from .prune import cut, prune
from .report import Checked, Report, info_text, saver_renames

if TYPE_CHECKING:
    import numpy as np

DEFAULT_OPSET = 18


def plan_graph(source: Path, target: str, options: Options, report: Report) -> GraphDefJob | OnnxJob:
    """Freezes the graph at `source` and, for ONNX, lowers it; accounts for it in `report`."""
    frozen = freeze_model(load_model(source, graph=options.graph), options, report)
    if target == "onnx":
        return lower_frozen(frozen, options, report)
    report.nodes = (len(frozen.model.graph), len(frozen.graph))
    return GraphDefJob(frozen, text=target == "pbtxt")


def run_model(model: Model, options: Options, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """The outputs of a model's own graph, its variables taken from its checkpoint, by the reference evaluator."""
    from .verify import run_graph

    outputs = _outputs(model, options)
    values = _bind(model, outputs, options, Report("", "", ""))
    return run_graph(model.graph, outputs, dict(feeds), values)


def onnx_model(model: Model, options: Options) -> Any:
    """The onnx.ModelProto of a model, its weights inside."""
    from .to_onnx import to_model_proto

    report = Report(model.path, "", "onnx")
    job = lower_frozen(freeze_model(model, options, report), options, report)
    return to_model_proto(job.lowered, job.opset, job.metadata)


@dataclass(slots=True)
class Frozen:
    """A frozen graph beside the model that it was made from. `outputs`: public name -> value."""

    model: Model
    graph: Graph
    values: Mapping[str, Tensor]
    inputs: Sequence[ValueInfo]
    outputs: Mapping[str, str]


def freeze_model(model: Model, options: Options, report: Report) -> Frozen:
    """Binds the variables that the outputs need, and freezes; cuts at `options.inputs`."""
    outputs = _outputs(model, options)
    graph = model.graph
    if options.inputs:
        # Before anything is bound: what lies beyond the cut needs no values.
        graph = cut(graph, options.inputs)
        model = Model(graph, model.path, model.signatures, model.tensors, model.saver, model.collections, model.version)
    values = _bind(model, outputs, options, report)
    frozen = freeze(graph, list(outputs.values()), values)
    inputs = needed_inputs(frozen)
    if options.inputs:
        unused = [name for name in map(value_name, options.inputs) if name not in {info.value for info in inputs}]
        if unused:
            report.notes.append(f"inputs that the outputs do not need: {listing(unused)}")
    report.inputs = {info.value: info_text(info) for info in inputs}
    report.outputs = {name: _output_text(graph, name, value) for name, value in outputs.items()}
    return Frozen(model, frozen, values, inputs, outputs)


def lower_frozen(frozen: Frozen, options: Options, report: Report) -> OnnxJob:
    """Folds what does not depend on the inputs, and lowers to ONNX."""
    raise NotImplementedError


def _outputs(model: Model, options: Options) -> dict[str, str]:
    signature = None if options.outputs else choose_signature(model, options.signature)
    return choose_outputs(model, options.outputs, signature)


def _output_text(graph: Graph, name: str, value: str) -> str:
    return info_text(value_info(graph, value)) + (f" ({value})" if name != value else "")


def _bind(model: Model, outputs: Mapping[str, str], options: Options, report: Report) -> dict[str, Tensor]:
    """The value of each variable that the outputs need, by node name; accounts for it in the report."""
    variables = variables_of(prune(model.graph, list(outputs.values())))
    if model.tensors is None:
        if variables:
            problem = f"expected a checkpoint for the graph's variables ({listing(variables)}), got a graph only"
            raise UsageError(model.path, problem)
        given = {
            "--ema": options.ema,
            "--rename": options.rename,
            "--include": options.include,
            "--exclude": options.exclude,
        }
        idle = [name for name, value in given.items() if value]
        if idle:
            raise UsageError(listing(idle), f"expected a checkpoint to go with it, got a graph only: {model.path}")
        return {}
    selection = select_names(
        model.tensors, include=options.include, exclude=options.exclude, ema=options.ema, rename=options.rename
    )
    bound = bind(variables, selection, model.saver)
    used = {entry.source for entry in bound.values()}
    report.keep(Entry(name, entry.source, entry.tensor, entry.averaged) for name, entry in bound.items())
    report.take(selection)
    report.renamed = {old: new for old, new in report.renamed.items() if new in bound} | saver_renames(bound, selection)
    report.unaveraged = [name for name in report.unaveraged if name in used]
    spare = [entry.source for entry in selection.entries.values() if entry.source not in used]
    report.dropped |= dict.fromkeys(spare, "not needed for the outputs")
    return {name: entry.tensor for name, entry in bound.items()}


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
        feeds = random_feeds(frozen.inputs)
        expected = run_graph(frozen.model.graph, frozen.outputs, feeds, frozen.values)
        return compare_outputs(expected, run_graph(written, frozen.outputs, feeds, {}))
