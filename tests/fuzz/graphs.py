"""Fuzzing of graphs: whatever is loaded is looked at, frozen, cleaned, lowered to ONNX and run.

    frozen         a GraphDef alone
    training       a MetaGraph beside a small checkpoint
    saved_model    a SavedModel with variables and assets

Each step may end in a TensorferryError; what a step has written has to be read again.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.ir import Model
from tensorferry.converters.jobs.convert import convert
from tensorferry.converters.jobs.convert_graph import onnx_model
from tensorferry.converters.jobs.inspect import inspect
from tensorferry.converters.jobs.interface import likely_outputs, needed_inputs
from tensorferry.converters.jobs.options import Options
from tensorferry.converters.jobs.verify import random_feeds
from tensorferry.converters.kernels.kernel import bounded
from tensorferry.converters.load import load_model
from tensorferry.converters.tables import find_tables, tables_of
from tensorferry.formats.errors import TensorferryError
from tests.fixture import HOME

STEPS = 300
"""Steps that an evaluation may take."""
ROOM = 1 << 16
"""Bytes of one result within it."""


def frozen(data: bytes, directory: Path) -> None:
    """A GraphDef."""
    path = directory / "graph.pb"
    path.write_bytes(data)
    use(path, directory)


def training(data: bytes, directory: Path) -> None:
    """A MetaGraph, beside the checkpoint of `add` and `ema_control`."""
    for name in ("add", "ema_control"):
        home = directory / name
        home.mkdir(exist_ok=True)
        for file in (HOME / name).glob("model.ckpt.[id]*"):
            shutil.copy(file, home)
        (home / "model.ckpt.meta").write_bytes(data)
        with suppress(TensorferryError):
            use(home / "model.ckpt", directory)
    load_model(directory / "add" / "model.ckpt.meta")


def saved_model(data: bytes, directory: Path) -> None:
    """A SavedModel, with the variables and assets of `tables_v2`."""
    home = directory / "saved"
    if not home.exists():
        shutil.copytree(HOME / "tables_v2", home)
    (home / "saved_model.pb").write_bytes(data)
    use(home, directory)


def use(path: Path, directory: Path) -> None:
    """All that can be done with a graph."""
    with suppress(TensorferryError):
        found = inspect(path)
        json.dumps(found.to_dict())
        assert found.text().replace("\n", "").isprintable()
    model = load_model(path)
    for options in chosen(model):
        with suppress(TensorferryError):
            written = directory / "out.pb"
            convert(path, written, options)
            load_model(written)
        with suppress(TensorferryError):
            onnx_model(load_model(path), options)
    with suppress(TensorferryError):
        run(model)


def chosen(model: Model) -> list[Options]:
    """Ways of freezing a model: by its signatures, by its likely outputs, cut in the middle."""
    graph = model.graph
    found = [Options(signature=name, force=True) for name in list(model.signatures)[:2]]
    with suppress(TensorferryError):
        outputs = likely_outputs(graph)[:3]
        found.append(Options(outputs=outputs or None, force=True))
        found.append(Options(outputs=outputs or None, force=True, clean=True, fold_batch_norm=True))
        names = list(graph.nodes)
        if names and outputs:
            found.append(Options(outputs=outputs, inputs=[names[len(names) // 2]], force=True))
    return found


def run(model: Model) -> None:
    """The likely outputs, from made-up inputs."""
    outputs = likely_outputs(model.graph)[:3]
    feeds = random_feeds(needed_inputs(model.graph))
    tables = {name: table.arrays() for name, table in find_tables(model, tables_of(model.graph)).items()}
    with bounded(ROOM):
        evaluate(model.graph, outputs, feeds, {}, tables, steps=STEPS)
