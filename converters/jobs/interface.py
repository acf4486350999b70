"""The inputs and outputs that a graph seems to have.

A graph says nowhere what it is for. Its signatures do, where it has any; else

    inputs    the placeholders that the outputs need
    outputs   nodes whose value nobody takes, that depend on the contents of a variable or placeholder, and that are
              not there for training, saving, initialising or summaries

are what its users mean nearly always. These are proposals: `convert` takes them only when there is one clear answer.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UsageError, listing

from ..ir import Graph, Model, Node, Shape, Signature, ValueInfo, node_name, split_value, value_name
from ..names.selection import near_names
from ..op_registry import attr_value, op_defs, output_dtypes
from ..passes.freeze import VARIABLES

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")

DEFAULT_SIGNATURE = "serving_default"

_STATE = (
    "Assign", "AssignAdd", "AssignSub", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "SaveV2",
    "Save", "SaveSlices", "RestoreV2", "Restore", "RestoreSlice", "MergeV2Checkpoints", "ShardedFilename", "WriteFile",
    "IsVariableInitialized", "VarIsInitializedOp",
)  # fmt: skip
"""What comes after these is upkeep."""
_NOT_RESULTS = ("Assert", "DestroyResourceOp", "NoOp", "Print", "PrintV2", "ReadVariableOp", *VARIABLES, *PLACEHOLDERS)
_PLUMBING = ("ReadVariableOp", "Switch", "RefSwitch", *VARIABLES, *PLACEHOLDERS)
"""What an Identity that nobody reads is not the result of: reads of variables, and the pivots of conditionals."""
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")


def likely_outputs(graph: Graph) -> list[str]:
    """The values that seem to be results, `node:0` each, in the graph's order."""
    consumers = graph.consumers()
    upkeep = _reached(consumers, (node.name for node in graph if node.op in _STATE or "Apply" in node.op))
    sources = [node.name for node in graph if node.op in VARIABLES or node.op in PLACEHOLDERS]
    # A frozen graph without inputs has constants only.
    results = _reached(consumers, sources or graph.nodes, stop=_SHAPES if sources else ())
    found = []
    for node in graph:
        users = consumers[node.name]
        taken = any(node_name(v) == node.name for user in users for v in user.data_inputs)
        if node.op in ("Merge", "RefMerge") and users:
            continue  # a conditional that others wait for: an assertion
        if not taken and node.name in results and node.name not in upkeep and not _is_upkeep(graph, node):
            found.append(f"{node.name}:0")
    return found


def needed_inputs(graph: Graph) -> list[ValueInfo]:
    """The placeholders of a graph that was pruned to its outputs."""
    return [value_info(graph, f"{node.name}:0") for node in graph if node.op in PLACEHOLDERS]


def value_info(graph: Graph, value: str) -> ValueInfo:
    """What the graph itself says of a value: element type, and shape where it is written down."""
    if not re.fullmatch(r"[^^:]+(:[0-9]{1,9})?", value):
        raise GraphError(value, "expected a value NODE:INDEX, got another form")
    value = value_name(value)
    node = graph.producer(value)
    name, index = split_value(value)
    dtype = None
    if node.op in op_defs():
        dtypes = output_dtypes(node)
        if index >= len(dtypes):
            raise GraphError(value, f"expected an output of {name} ({node.op}), which has {len(dtypes)}")
        dtype = dtypes[index]
    shape = attr_value(node, "shape") if node.op in PLACEHOLDERS else None
    written = node.attrs.get("_output_shapes")
    items = getattr(written, "items", ())
    if index < len(items) and isinstance(items[index], Shape) and not (isinstance(shape, Shape) and shape.dims):
        shape = items[index]
    return ValueInfo(value, dtype if isinstance(dtype, DType) else None, shape if isinstance(shape, Shape) else Shape())


def choose_signature(model: Model, name: str | None) -> Signature | None:
    """The signature asked for, or the default one; None where the graph has none and none was asked for."""
    if name is not None:
        if name not in model.signatures:
            has = listing(sorted(model.signatures)) if model.signatures else "none"
            raise UsageError(f"--signature {name}", f"expected a signature of {model.path}, which has: {has}")
        return model.signatures[name]
    if DEFAULT_SIGNATURE in model.signatures:
        return model.signatures[DEFAULT_SIGNATURE]
    return next(iter(model.signatures.values())) if len(model.signatures) == 1 else None


def choose_outputs(model: Model, asked: Sequence[str] | None, signature: Signature | None = None) -> dict[str, str]:
    """Public name -> value of each output: those asked for, the signature's, or the only likely one.

    GraphError where there is no such node (with near names), UsageError where nothing was asked for and no answer
    is clear.
    """
    graph = model.graph
    if asked:
        check_values(graph, asked)
        return {value_name(value): value_name(value) for value in asked}
    if signature is not None:
        check_values(graph, [info.value for info in signature.outputs.values()])
        return {name: value_name(info.value) for name, info in signature.outputs.items()}
    likely = likely_outputs(graph)
    if len(likely) == 1:
        return {likely[0]: likely[0]}
    found = f"{len(likely)} likely ones: {listing(likely, 8)}" if likely else "no likely one"
    raise UsageError("--outputs", f"expected the outputs to be named, as {model.path or 'the graph'} has {found}")


def check_values(graph: Graph, values: Iterable[str]) -> None:
    """GraphError that lists every one of `values` that the graph does not have, with near names."""
    missing = [value for value in values if node_name(value) not in graph.nodes]
    if missing:
        parts = []
        for value in missing:
            near = near_names(node_name(value), graph.nodes)
            parts.append(f"{value} (near: {', '.join(near)})" if near else value)
        raise GraphError("the graph", f"expected the nodes asked for, got none of the name: {listing(parts)}")
    for value in values:
        value_info(graph, value)


def _reached(consumers: Mapping[str, list[Node]], starts: Iterable[str], stop: Container[str] = ()) -> set[str]:
    """The nodes that come after `starts`, these included; ops in `stop` end the way."""
    stack = list(starts)
    seen: set[str] = set()
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack.extend(user.name for user in consumers[name] if user.op not in stop)
    return seen


def _is_upkeep(graph: Graph, node: Node) -> bool:
    """Whether a node that nobody reads is there for training and housekeeping."""
    if node.op in _NOT_RESULTS or "Summary" in node.op:
        return True
    if any(part.startswith("gradients") for part in node.name.split("/")[:-1]):
        return True
    if node.op == "Identity" and node.data_inputs:
        source = graph.nodes.get(node_name(node.data_inputs[0]))
        return source is not None and source.op in _PLUMBING
    return False
