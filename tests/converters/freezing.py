"""The steps from a fixture to its frozen graph, for the tests of freeze and for those against live TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tensorferry.converters.ir import Graph, Model
from tensorferry.converters.load import load_checkpoint, load_model
from tensorferry.converters.names.saver_table import saver_slices, saver_table
from tensorferry.converters.names.selection import EMA_SUFFIX, select_names
from tensorferry.converters.passes.bind import bind
from tensorferry.converters.passes.freeze import freeze, variables_of
from tensorferry.converters.passes.prune import prune
from tensorferry.formats.tensor import Tensor

from ..fixture import Fixture


def load_fixture(fixture: Fixture, graph: Path | None = None) -> Model:
    """The model of a fixture, whose checkpoint may lie in another directory; `graph` is another file for it."""
    model = load_model(graph or fixture.graph)
    model.tensors = load_checkpoint(fixture.prefix)
    return model


def values_of(model: Model, outputs: Sequence[str], ema: str | None = None) -> dict[str, Tensor]:
    """The value of each variable that the outputs need."""
    selection = select_names(model.tensors or {}, ema=ema)
    variables = variables_of(prune(model.graph, outputs, colocated=True))
    saver = model.graph, model.restore_op
    bound = bind(variables, selection, saver_table(*saver), saver_slices(*saver))
    return {name: entry.tensor for name, entry in bound.items()}


def frozen(fixture: Fixture, kind: str = "raw") -> Graph:
    """The graph of a fixture, frozen: "raw", "ema", or "evaluation" (the second graph, whose Saver reads averages)."""
    graph = fixture.file(fixture.about["evaluation"]) if kind == "evaluation" else None
    model = load_fixture(fixture, graph)
    values = values_of(model, fixture.outputs, EMA_SUFFIX if kind == "ema" else None)
    return freeze(model.graph, fixture.outputs, values)
