"""Inference beside TensorFlow's: of every value of every graph in fixtures/ we know at least as much as 2.21 does."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.inference import analyse
from tensorferry.converters.inference.dims import Dims
from tensorferry.converters.ir import Graph, node_name
from tensorferry.converters.passes.raise_control_flow import raise_control_flow
from tensorferry.formats import protos
from tensorferry.formats.errors import UnsupportedError
from tests.fixture import HOME

from .conftest import Oracle

pytestmark = pytest.mark.parity

GRAPHS = sorted(
    path
    for pattern in ("*/*.pb", "*/*.pb.xz", "*/*/*.pb.xz")
    for path in HOME.glob(pattern)
    if path.name not in ("saved_model.pb", "fingerprint.pb", "keras_metadata.pb")
)


@pytest.fixture(scope="module")
def asked(tf2: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[int] | None] | str]:
    """By the graph's path under fixtures/."""
    folder = tmp_path_factory.mktemp("graphs")
    copies = {}
    for number, path in enumerate(GRAPHS):
        copy = folder / f"{number}.pb"
        copy.write_bytes(lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes())
        copies[str(copy)] = str(path.relative_to(HOME))
    (folder / "graphs.json").write_text(json.dumps(list(copies)))
    tf2.run(Path(__file__).with_name("infer_shapes.py"), folder / "graphs.json", folder / "shapes.json")
    return {copies[path]: found for path, found in json.loads((folder / "shapes.json").read_text()).items()}


BEFORE = """
    Assign AssignAdd HashTableV2 LookupTableFindV2 MutableDenseHashTableV2 MutableHashTableOfTensorsV2 PartitionedCall
    ReadVariableOp ResourceGather ScatterSub StackV2 StatefulPartitionedCall TensorListPushBackBatch
    VarHandleOp VarIsInitializedOp VariableV2 _SwitchN
"""
"""What is bound, inlined, raised or followed otherwise before anything is inferred; references besides, and what is
left of TensorFlow 1's loops and arrays (`raised`)."""


def is_open(op: str) -> bool:
    return op in BEFORE.split() or op.startswith(("Ref", "TensorArray")) or op in ("Merge", "NextIteration")


def raised(graph: Graph) -> Graph:
    """With While for TensorFlow 1's loops, as before any lowering; what leaves a loop keeps its name."""
    if not any(node.op == "Exit" for node in graph):
        return graph
    used = graph.consumers()
    try:
        return raise_control_flow(graph, [f"{node.name}:0" for node in graph if not used[node.name]])
    except UnsupportedError:  # something ends in the middle of a loop
        return graph


def is_less(found: Dims, theirs: list[int]) -> bool:
    """Whether something is missing of what TensorFlow knows, or is another number."""
    if found is None or len(found) != len(theirs):
        return True
    return any(dim >= 0 and dim != ours for dim, ours in zip(theirs, found, strict=True))


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: str(path.relative_to(HOME)))
def test_at_least_as_precise_as_tensorflow(asked: dict[str, dict[str, list[int] | None] | str], path: Path) -> None:
    theirs = asked[str(path.relative_to(HOME))]
    if isinstance(theirs, str):
        pytest.skip(f"TensorFlow 2.21 can't read it: {theirs[:80]}")
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    source = from_graph_def(protos.parse("GraphDef", data, str(path)), str(path))
    graph = raised(source)
    values = analyse(graph).values
    open_: set[str] = set()
    less = []
    for node in graph.topological():
        if is_open(node.op) or any(node_name(value) in open_ for value in node.data_inputs):
            open_.add(node.name)
            continue
        before = source.nodes.get(node.name)
        if before is None or before.op.startswith("TensorArrayV"):  # a list now, and something else to hold on to
            continue
        index = 0
        while (value := f"{node.name}:{index}") in theirs and (index == 0 or before.op == node.op):
            known = theirs[value]
            found = values[value].dims if value in values else None
            if known is not None and is_less(found, known):
                less.append((node.op, value, known, found))
            index += 1
    assert not less


def test_something_is_compared(asked: dict[str, dict[str, list[int] | None] | str]) -> None:
    assert sum(len(found) for found in asked.values() if not isinstance(found, str)) > 30_000
