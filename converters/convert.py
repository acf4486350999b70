"""Convert: one source to one destination, by a plan that is made and checked before anything is written.

    weights    select -> average -> rename -> write
    graphs     (select -> average -> rename) -> bind -> freeze -> write GraphDef
                                                           `-> simplify -> lower -> write ONNX
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.tensor import Tensor

from .ir import Graph, Model, ValueInfo, node_name, value_name
from .names import EMA_SUFFIX, Entry, Selection, select_names
from .report import Report, info_text

if TYPE_CHECKING:
    from tensorferry.formats.atomic import OutputSet

Path = str | os.PathLike[str]

FORMATS = {
    ".pb": "graphdef",
    ".pbtxt": "pbtxt",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".npz": "npz",
}
"""File name ending -> the format that it stands for."""

WEIGHTS = ("safetensors", "npz")
"""The formats that hold tensors and no graph."""

DEFAULT_OPSET = 18


@dataclass(slots=True)
class Options:
    """What a conversion was asked to do. The command line and `tensorferry.convert` say the same in their own ways."""

    graph: Path | None = None
    to: str | None = None
    inputs: Sequence[str] | None = None
    outputs: Sequence[str] | None = None
    signature: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    ema: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    opset: int | None = None
    verify: bool = False
    dry_run: bool = False
    force: bool = False


def convert(source: Path, destination: Path, options: Options | None = None) -> Report:
    """Converts what is at `source` and writes it to `destination`, atomically; returns the account of it.

    Raises TensorferryError, and leaves the destination as it was, for anything that can't be done as asked. A
    verification that fails raises nothing and writes nothing: `report.verified` is False.
    """
    options = options or Options()
    target = _format_of(destination, options.to)
    _refuse_contradictions(target, options)
    report = Report(os.fspath(source), os.fspath(destination), target, dry_run=options.dry_run)
    job = _plan_weights(source, options, report) if target in WEIGHTS else _plan_graph(source, target, options, report)
    if not options.dry_run:
        _publish(job, destination, target, options, report)
    return report


@dataclass(slots=True)
class _Job:
    """What is to be written: tensors, or a graph with its public inputs and outputs."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    graph: Graph | None = None
    model: Model | None = None
    values: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Sequence[ValueInfo] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)


def _format_of(destination: Path, to: str | None) -> str:
    known = sorted(set(FORMATS.values()))
    if to is not None:
        if to not in known:
            raise UsageError(f"--to {to}", f"expected one of {', '.join(known)}")
        return to
    ending = os.path.splitext(os.fspath(destination))[1].lower()
    if ending not in FORMATS:
        endings = ", ".join(f"{e} ({f})" for e, f in FORMATS.items())
        raise UsageError(os.fspath(destination), f"expected a name that tells the format, ending in {endings}", hint="or --to")
    return FORMATS[ending]


def _refuse_contradictions(target: str, options: Options) -> None:
    """Options that have no meaning for the format asked for are errors: they are not ignored."""
    if target in WEIGHTS:
        idle = {
            "--graph": options.graph,
            "--inputs": options.inputs,
            "--outputs": options.outputs,
            "--signature": options.signature,
        }
        given = [name for name, value in idle.items() if value]
        if given:
            raise UsageError(listing(given), f"expected a graph format to go with it, got {target}, which holds tensors only")
    if options.opset is not None and target != "onnx":
        raise UsageError("--opset", f"expected to write ONNX, got {target}")


def _plan_weights(source: Path, options: Options, report: Report) -> _Job:
    from .load import load_checkpoint

    tensors = load_checkpoint(source)
    selection = _select(tensors, options)
    report.take(selection)
    report.keep(selection.entries.values())
    return _Job(tensors=selection.tensors)


def _select(tensors: Mapping[str, Tensor], options: Options) -> Selection:
    return select_names(
        tensors, include=options.include, exclude=options.exclude, ema=options.ema, rename=options.rename
    )


def _plan_graph(source: Path, target: str, options: Options, report: Report) -> _Job:
    from .freeze import freeze
    from .interface import choose_outputs, choose_signature, needed_inputs
    from .load import load_model

    model = load_model(source, graph=options.graph)
    signature = None if options.outputs else choose_signature(model, options.signature)
    outputs = choose_outputs(model, options.outputs, signature)
    values = _bind(model, outputs, options, report)
    frozen = freeze(model.graph, list(outputs.values()), values)
    inputs = options.inputs
    if inputs is None and signature is not None:
        inputs = [info.value for info in signature.inputs.values()]
    job = _Job(model=model, values=values, outputs=outputs, graph=frozen)
    if inputs:
        from .prune import cut, prune

        frozen = prune(cut(frozen, inputs), list(outputs.values()))
        job.graph = frozen
    job.inputs = needed_inputs(frozen)
    return job


def _bind(model: Model, outputs: Mapping[str, str], options: Options, report: Report | None = None) -> dict[str, Tensor]:
    """The value of each variable that the outputs need, by node name; accounts for it in the report."""
    from .bind import bind
    from .freeze import variables_of
    from .prune import prune
    from .report import saver_renames

    variables = variables_of(prune(model.graph, list(outputs.values())))
    if not variables and model.tensors is None:
        return {}
    if model.tensors is None:
        raise UsageError(
            model.path, f"expected a checkpoint for the graph's variables ({listing(variables)}), got a graph only"
        )
    selection = _select(model.tensors, options)
    bound = bind(variables, selection, model.saver)
    if report is not None:
        used = {entry.source for entry in bound.values()}
        report.keep(Entry(name, entry.source, entry.tensor, entry.averaged) for name, entry in bound.items())
        report.take(selection)
        report.renamed |= saver_renames(bound, selection)
        report.unaveraged = [name for name in report.unaveraged if name in used]
        report.renamed = {old: new for old, new in report.renamed.items() if new in bound}
        spare = [entry.source for entry in selection.entries.values() if entry.source not in used]
        report.dropped |= dict.fromkeys(spare, "not needed for the outputs")
    return {name: entry.tensor for name, entry in bound.items()}


def run_model(model: Model, options: Options, feeds: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """The outputs of a model's own graph, its variables taken from its checkpoint, by the reference evaluator."""
    from .interface import choose_outputs, choose_signature
    from .verify import run_graph

    signature = None if options.outputs else choose_signature(model, options.signature)
    outputs = choose_outputs(model, options.outputs, signature)
    values = _bind(model, outputs, options)
    return run_graph(model.graph, outputs, dict(feeds), values)
