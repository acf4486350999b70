"""From a model and the user's wishes to a frozen graph: outputs, signature, cut, names, values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.tensor import Tensor

from ..ir import Graph, Model, Signature, ValueInfo, node_name, value_name
from ..names.object_table import joined_tables, object_table
from ..names.saver_table import saver_slices, saver_table
from ..names.selection import Entry
from ..passes.bind import bind
from ..passes.cut import cut, cut_names
from ..passes.freeze import freeze, variables_of
from ..passes.inline import inline
from ..passes.prune import prune
from ..tables import Table, find_tables, tables_of
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
    tables: Mapping[str, Table]
    """What the graph's lookup tables hold, by node name."""


def freeze_model(model: Model, options: Options, report: Report) -> Frozen:
    """Binds the variables that the outputs need and freezes; cuts at `options.inputs` before. Fills the report."""
    whole, model = model, model if options.keep_functions else inlined_model(model, options)
    signature, outputs = _interface(model, options)
    public = {} if signature is None else {info.value: name for name, info in signature.inputs.items()}
    if options.inputs:
        # Before anything is bound: what lies beyond the cut needs no values.
        public = {new: value for value, new in cut_names(model.graph, options.inputs).items()}
        model = replace(model, graph=cut(model.graph, options.inputs, list(outputs.values())))
    values = _bind(model, whole, outputs, options, report)
    frozen = freeze(model.graph, list(outputs.values()), values)
    tables = find_tables(whole, tables_of(frozen))
    _account_for_tables(whole, tables, options, report)
    inputs = {public.get(info.value, info.value): info for info in needed_inputs(frozen)}
    idle = [name for name in public.values() if name not in inputs]
    if idle:
        report.notes.append(f"inputs that the outputs do not need: {listing(idle)}")
    report.nodes = (len(whole.graph), len(frozen))
    report.inputs = {name: info_text(info) for name, info in inputs.items()}
    promised = {} if signature is None else signature.outputs
    for name, value in outputs.items():
        info = value_info(frozen, value)
        if info.shape.dims is None and name in promised:
            info = replace(info, shape=promised[name].shape)
        report.outputs[name] = info_text(info) + (f" ({value})" if name != value else "")
    # What was frozen is verified against the graph as it was loaded, calls and all, where that has the outputs too.
    has_outputs = not options.inputs and all(node_name(value) in whole.graph.nodes for value in outputs.values())
    source = whole.graph if has_outputs else model.graph
    return Frozen(source, values, frozen, inputs, outputs, tables)


def run_model(model: Model, options: Options, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """The outputs of a model's own graph, its variables taken from its checkpoint, by the reference evaluator.

    `feeds` are by value, or by a name that the signature gives to one.
    """
    from .verify import run_graph

    whole, model = model, inlined_model(model, options)
    signature, outputs = _interface(model, options)
    values = _bind(model, whole, outputs, options, Report(model.path, "", ""))
    tables = find_tables(whole, tables_of(prune(model.graph, list(outputs.values()))))
    inputs = {} if signature is None else {name: info.value for name, info in signature.inputs.items()}
    given = {value_name(inputs.get(name, name)): array for name, array in feeds.items()}
    return run_graph(model.graph, outputs, given, values, tables)


def _account_for_tables(model: Model, tables: Mapping[str, Table], options: Options, report: Report) -> None:
    """What tables hold is in the result, and was not dropped."""
    keys = [key for table in tables.values() for key in table.sources]
    if keys and model.tensors is not None:
        names = _names(model.tensors, model.path)
        held = {names.get(key, key) for key in keys}
        report.dropped = {name: why for name, why in report.dropped.items() if name not in held}


def inlined_model(model: Model, options: Options) -> Model:
    """The model without calls of functions, as far as its outputs need them.

    An output or a cut may be inside of a call: `CALL/NODE`.
    """
    if not model.graph.functions:
        return model
    asked = [*(options.outputs or ()), *(options.inputs or ())]
    if not options.outputs:
        asked += _interface(model, options)[1].values()
    wanted = {name: _outermost(model.graph, name) for name in map(node_name, asked)}
    needed = prune(model.graph, [name for name in wanted.values() if name], colocated=True)
    graph = inline(needed, keep=[name for name in wanted if name in needed.nodes])
    return model if graph is needed else replace(model, graph=graph)


def _outermost(graph: Graph, name: str) -> str:
    """The node that `name` is, or is inside of as a call; "" where there is none."""
    while name and name not in graph.nodes:
        name = name.rpartition("/")[0]
    return name


def _interface(model: Model, options: Options) -> tuple[Signature | None, dict[str, str]]:
    """The signature, where one is used, and public name -> value of each output."""
    if options.outputs and options.signature:
        raise UsageError("--outputs, --signature", "expected one of them, got both")
    signature = None if options.outputs else choose_signature(model, options.signature)
    return signature, choose_outputs(model, options.outputs, signature)


def _bind(
    model: Model, whole: Model, outputs: Mapping[str, str], options: Options, report: Report
) -> dict[str, Tensor]:
    """The value of each variable that the outputs need, by node name; accounts for it in the report.

    `whole` is the model as it was loaded: with its Saver.
    """
    variables = variables_of(prune(model.graph, list(outputs.values()), colocated=True))
    if model.tensors is None:
        _refuse_without_checkpoint(model, list(variables), options)
        return {}
    names = _names(model.tensors, model.path)
    tensors: dict[str, Tensor] = {}
    for key, name in names.items():
        tensors.setdefault(name, model.tensors[key])
    renamed = {names.get(old, old): new for old, new in options.rename.items()}
    selection = replace(options, rename=renamed).select(tensors, graph=True)
    told = saver_table(whole.graph, whole.restore_op), object_table(whole.objects, model.tensors, whole.path)
    saver = joined_tables(*({node: names.get(key, key) for node, key in table.items()} for table in told))
    slices = saver_slices(whole.graph, whole.restore_op)
    bound = bind(variables, selection, saver, slices)
    used = {entry.source for entry in bound.values()}
    report.keep(Entry(name, entry.source, entry.tensor, entry.averaged) for name, entry in bound.items())
    report.take(selection)
    report.renamed = {old: new for old, new in report.renamed.items() if new in bound} | saver_renames(
        {name: entry for name, entry in bound.items() if name not in slices}, selection
    )
    parted = sorted({f"{slices[name].key} into {name}" for name in bound if name in slices})
    if parted:
        report.notes.append(f"partitioned variables: {listing(parted)}")
    report.unaveraged = [name for name in report.unaveraged if name in used]
    spare = [entry.source for entry in selection.entries.values() if entry.source not in used]
    report.dropped |= dict.fromkeys(spare, "not needed for the outputs")
    return {name: entry.tensor for name, entry in bound.items()}


def _names(tensors: Mapping[str, Tensor], path: str) -> dict[str, str]:
    """Name in the checkpoint -> the name for people, as `inspect` shows it: of TensorFlow 2's, a variable's own.

    What Keras stores twice has one name.
    """
    from tensorferry.formats.object_graph import has_object_graph, object_tensors
    from tensorferry.formats.object_names import name_tensors, scheme_for_people

    if not has_object_graph(tensors):
        return {key: key for key in tensors}
    objects = object_tensors(tensors, path)
    names = name_tensors(tensors, objects, scheme_for_people(objects)).names
    return names | {key: names[found.duplicate_of] for key, found in objects.items() if key not in names}


def _refuse_without_checkpoint(model: Model, variables: list[str], options: Options) -> None:
    if variables:
        problem = f"expected a checkpoint for the graph's variables ({listing(variables)}), got a graph only"
        raise UsageError(model.path, problem)
    names = {"--ema": options.ema, "--rename": options.rename, "--map": options.tables}
    globs = {"--include": options.include, "--exclude": options.exclude}
    idle = [name for name, value in (names | globs).items() if value]
    if idle:
        raise UsageError(listing(idle), f"expected a checkpoint to go with it, got a graph only: {model.path}")
