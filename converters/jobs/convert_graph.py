"""Plan and write graphs.

select -> average -> rename -> bind -> freeze -> GraphDef            (`freeze_model`)
                                          `-> simplify -> lower -> ONNX   (`convert_onnx`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.detect import detect

from ..ir import Model, node_name
from ..load import constants_of, load_model
from ..tables import find_tables, tables_of
from .freeze_model import Frozen, freeze_model
from .job import Job
from .options import Options, Path
from .report import Checked, Report

if TYPE_CHECKING:
    import numpy as np

    from .convert_onnx import OnnxJob


def plan_graph(source: Path, target: str, options: Options, report: Report) -> GraphDefJob | OnnxJob:
    """Freezes the graph at `source` and, for ONNX, lowers it; accounts for it in `report`."""
    frozen = freeze_model(load_model(source, graph=options.graph, tag=options.tag), options, report)
    if target == "onnx":
        from .convert_onnx import lower_model

        paths = [path for path in (source, options.graph) if path is not None]
        return lower_model(frozen, options, report, [file for path in paths for file in detect(path).files])
    return GraphDefJob(_finished(frozen, options, report), target == "pbtxt", options.feeds)


def onnx_model(model: Model, options: Options) -> Any:
    """The onnx.ModelProto of a model, its weights inside."""
    from ..to_onnx import with_weights
    from .convert_onnx import lower_model

    report = Report(model.path, "", "onnx")
    job = lower_model(freeze_model(model, options, report), options, report)
    return with_weights(job.message, job.weights)


@dataclass(slots=True)
class GraphDefJob(Job):
    """A frozen graph on its way into a .pb or .pbtxt file."""

    frozen: Frozen
    text: bool
    feeds: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def destinations(self, path: str) -> list[str]:
        """The one file."""
        from tensorferry.formats.graph_writer import refuse_too_large
        from tensorferry.formats.tensor_proto import has_content

        constants = constants_of(self.frozen.graph).values()
        refuse_too_large(path, sum(tensor.nbytes for tensor in constants if has_content(tensor)))
        return [path]

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams the graph node by node."""
        from tensorferry.formats.graph_writer import write_graph_def

        from ..to_graph_def import graph_def_parts

        write_graph_def(path, graph_def_parts(self.frozen.graph, streamed=not self.text), text=self.text, files=files)

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Evaluates the graph that was written and the source's graph on the same inputs."""
        from .verify import compare_outputs, make_feeds, run_graph, words_of

        frozen = self.frozen
        written = load_model(next(iter(parts.values())))
        tables = find_tables(written, tables_of(written.graph))
        feeds = make_feeds(frozen.inputs, dict(self.feeds), words_of(frozen.tables))
        expected = run_graph(frozen.source, frozen.outputs, feeds, frozen.values, frozen.tables)
        return compare_outputs(expected, run_graph(written.graph, frozen.outputs, feeds, {}, tables))


def _finished(frozen: Frozen, options: Options, report: Report) -> Frozen:
    """The frozen graph rid of what was asked to go, with the contents of its lookup tables."""
    from ..passes.clean import clean
    from ..passes.keep_tables import keep_tables

    keep = {name for name in map(node_name, options.inputs or ()) if name in frozen.graph.nodes}
    inputs = frozen.inputs
    if options.clean:
        fixed = [n.name for n in frozen.graph if n.op == "PlaceholderWithDefault" and n.name not in keep]
        inputs = {name: info for name, info in inputs.items() if node_name(info.value) not in fixed}
        report.fix(fixed, inputs)
    graph, report.cleaned = clean(
        frozen.graph, list(frozen.outputs.values()), everything=options.clean, constants=options.fold_constants,
        batch_norm=options.fold_batch_norm, keep=keep,
    )  # fmt: skip
    graph.topological()  # GraphError names a cycle, which nobody could load
    handles = tables_of(graph)
    tables = {name: frozen.tables[name] for name in handles if name in frozen.tables}
    graph, set_up = keep_tables(graph, tables)
    report.take_tables(handles, tables, set_up)
    report.nodes = (report.nodes[0] if report.nodes else 0, len(graph))
    return replace(frozen, graph=graph, inputs=inputs)
