"""From a model and the user's wishes to a frozen graph: outputs, signature, cut, names, values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.tensor import Tensor

from ..ir import Graph, Model, Signature, ValueInfo
from ..names.saver_table import saver_table
from ..names.selection import Entry
from ..passes.bind import bind
from ..passes.freeze import freeze, variables_of
from ..passes.prune import cut, cut_names, prune
from .interface import choose_outputs, choose_signature, needed_inputs, value_info
from .options import Options
from .report import Report, info_text, saver_renames

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class Frozen:
    """A frozen graph, the graph that it was made from, and the values of that one's variables by node name.

    `inputs` and `outputs` are by public name: a value's own (`x:0`), or the one that a signature gives it.
    """

    source: Graph
    values: Mapping[str, Tensor]
    graph: Graph
    inputs: Mapping[str, ValueInfo]
    outputs: Mapping[str, str]


def freeze_model(model: Model, options: Options, report: Report) -> Frozen:
    """Binds the variables that the outputs need and freezes; cuts at `options.inputs` before. Fills the report."""
    signature, outputs = _interface(model, options)
    public = {} if signature is None else {info.value: name for name, info in signature.inputs.items()}
    if options.inputs:
        # Before anything is bound: what lies beyond the cut needs no values.
        public = {new: value for value, new in cut_names(model.graph, options.inputs).items()}
        model = replace(model, graph=cut(model.graph, options.inputs))
    values = _bind(model, outputs, options, report)
    frozen = freeze(model.graph, list(outputs.values()), values)
    inputs = {public.get(info.value, info.value): info for info in needed_inputs(frozen)}
    idle = [name for name in public.values() if name not in inputs]
    if idle:
        report.notes.append(f"inputs that the outputs do not need: {listing(idle)}")
    report.nodes = (len(model.graph), len(frozen))
    report.inputs = {name: info_text(info) for name, info in inputs.items()}
    for name, value in outputs.items():
        report.outputs[name] = info_text(value_info(frozen, value)) + (f" ({value})" if name != value else "")
    return Frozen(model.graph, values, frozen, inputs, outputs)


def run_model(model: Model, options: Options, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """The outputs of a model's own graph, its variables taken from its checkpoint, by the reference evaluator."""
    from .verify import run_graph

    _, outputs = _interface(model, options)
    values = _bind(model, outputs, options, Report(model.path, "", ""))
    return run_graph(model.graph, outputs, dict(feeds), values)


def _interface(model: Model, options: Options) -> tuple[Signature | None, dict[str, str]]:
    """The signature, where one is used, and public name -> value of each output."""
    signature = None if options.outputs else choose_signature(model, options.signature)
    return signature, choose_outputs(model, options.outputs, signature)


def _bind(model: Model, outputs: Mapping[str, str], options: Options, report: Report) -> dict[str, Tensor]:
    """The value of each variable that the outputs need, by node name; accounts for it in the report."""
    variables = variables_of(prune(model.graph, list(outputs.values()), colocated=True))
    if model.tensors is None:
        _refuse_without_checkpoint(model, list(variables), options)
        return {}
    selection = options.select(model.tensors)
    bound = bind(variables, selection, saver_table(model.graph, model.restore_op))
    used = {entry.source for entry in bound.values()}
    report.keep(Entry(name, entry.source, entry.tensor, entry.averaged) for name, entry in bound.items())
    report.take(selection)
    report.renamed = {old: new for old, new in report.renamed.items() if new in bound} | saver_renames(bound, selection)
    report.unaveraged = [name for name in report.unaveraged if name in used]
    spare = [entry.source for entry in selection.entries.values() if entry.source not in used]
    report.dropped |= dict.fromkeys(spare, "not needed for the outputs")
    return {name: entry.tensor for name, entry in bound.items()}


def _refuse_without_checkpoint(model: Model, variables: list[str], options: Options) -> None:
    if variables:
        problem = f"expected a checkpoint for the graph's variables ({listing(variables)}), got a graph only"
        raise UsageError(model.path, problem)
    names = {"--ema": options.ema, "--rename": options.rename, "--map": options.tables}
    globs = {"--include": options.include, "--exclude": options.exclude}
    idle = [name for name, value in (names | globs).items() if value]
    if idle:
        raise UsageError(listing(idle), f"expected a checkpoint to go with it, got a graph only: {model.path}")
