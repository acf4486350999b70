"""`--inputs` at inner values: what lies beyond the cut is neither needed nor looked up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tensorferry import api
from tensorferry.converters.ir import AttrList, Model
from tensorferry.converters.jobs.freeze_model import freeze_model
from tensorferry.converters.jobs.options import Options
from tensorferry.converters.jobs.report import Report
from tensorferry.converters.load import load_model
from tensorferry.formats.errors import NameMapError
from tests.fixture import FIXTURES

MNIST = FIXTURES["mnist"]
OUTPUT = "softmax:0"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(MNIST.prefix)


def inner_pool(model: Model) -> str:
    pools = [node.name for node in model.graph if node.op == "MaxPool"]
    return f"{pools[0]}:0"


def test_a_frozen_graph(tmp_path: Path, model: Model) -> None:
    inner = inner_pool(model)
    answer = MNIST.answers("raw")[0]
    value = api.evaluate(model, outputs=[inner], feeds=answer.feeds)[inner]
    report = api.convert(MNIST.prefix, tmp_path / "half.pb", inputs=[inner], outputs=[OUTPUT])
    assert sorted(report.inputs) == [inner, "training:0"]
    assert not [kept.name for kept in report.kept if kept.name.startswith(("conv1", "bn1"))]
    found = api.evaluate(load_model(tmp_path / "half.pb"), outputs=[OUTPUT], feeds={inner: value})[OUTPUT]
    np.testing.assert_allclose(found, answer.fetches[OUTPUT], rtol=1e-5, atol=1e-6)


def test_onnx(tmp_path: Path, model: Model) -> None:
    inner = inner_pool(model)
    answer = MNIST.answers("raw")[0]
    value = api.evaluate(model, outputs=[inner], feeds=answer.feeds)[inner]
    api.convert(MNIST.prefix, tmp_path / "half.onnx", inputs=[inner], outputs=[OUTPUT], verify=True)
    session = onnxruntime.InferenceSession(tmp_path / "half.onnx", providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == [inner]
    (found,) = session.run([OUTPUT], {inner: value})
    np.testing.assert_allclose(found, answer.fetches[OUTPUT], rtol=1e-5, atol=1e-5)


def test_a_colocated_variable_beyond_the_cut_is_not_looked_up(model: Model) -> None:
    """The checkpoint lacks it, and a node behind the cut is colocated with it."""
    inner = inner_pool(model)
    graph = model.graph
    head = graph.nodes["softmax"]
    place = AttrList("bytes", (b"loc:@conv1/kernel",))
    colocated = type(graph).of(
        (node.with_(attrs={**node.attrs, "_class": place}) if node is head else node for node in graph), like=graph
    )
    assert model.tensors is not None
    tensors = {name: model.tensors[name] for name in model.tensors if not name.startswith("conv1/")}
    short = Model(colocated, model.path, tensors=tensors, restore_op=model.restore_op)
    with pytest.raises(NameMapError, match=r"^conv1/kernel \(near: .*\): not in the checkpoint"):
        freeze_model(short, Options(outputs=[OUTPUT]), Report("", "", "graphdef"))
    frozen = freeze_model(short, Options(outputs=[OUTPUT], inputs=[inner]), Report("", "", "graphdef"))
    assert "conv1/kernel" not in frozen.graph.nodes
    assert "_class" not in frozen.graph.nodes["softmax"].attrs
