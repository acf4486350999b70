import json
import shlex
import shutil

import numpy as np
import pytest

from tensorferry.converters.jobs.inspect import TITLES, columns, inspect
from tensorferry.formats import protos
from tensorferry.formats.detect import Kind
from tensorferry.formats.errors import TensorferryError, UsageError
from tensorferry.formats.tensor import FileTensor
from tests.cli import ferried, refused
from tests.fixture import FIXTURES, HOME, WITH_GRAPH, graph_def


@pytest.mark.parametrize("name", sorted(set(WITH_GRAPH) - {"add_renamed"}))
def test_every_fixture(name):
    fixture = WITH_GRAPH[name]
    found = inspect(fixture.prefix)
    told = found.to_dict()
    assert told["kind"] == "bundle"
    recorded = {item["name"]: (item["dtype"], item["shape"]) for item in fixture.about["tensors"]}
    assert {item["name"]: (item["dtype"], item["shape"]) for item in told["variables"]} == recorded
    graph = graph_def(fixture.graph)
    assert told["graph"]["nodes"] == len(graph.node)
    assert told["graph"]["tensorflow"] == fixture.about["tensorflow"]
    assert sum(told["graph"]["ops"].values()) == len(graph.node)
    assert json.loads(json.dumps(told)) == told
    text = found.text()
    assert all(name in text for name in recorded)
    assert f"{len(graph.node)} nodes, written by TensorFlow {fixture.about['tensorflow']}" in text


def test_the_text_of_a_small_model(monkeypatch):
    monkeypatch.chdir(FIXTURES["add"].path)
    nodes = len(graph_def(FIXTURES["add"].graph).node)
    assert inspect("model.ckpt").text().splitlines()[:9] == [
        "model.ckpt: TensorFlow checkpoint (V2), 2 variables, 8 B",
        f"graph: model.ckpt.meta, {nodes} nodes, written by TensorFlow 1.15.5",
        "",
        "name  dtype    shape  size",
        "v1    float32  [1]     4 B",
        "v2    float32  [1]     4 B",
        "",
        "output  add:0  float32 [1]",
        "",
    ]
    assert inspect("model.ckpt").text().splitlines()[-1] == (
        "convert with: tensorferry convert model.ckpt model.onnx --outputs add:0"
    )


def test_the_convert_line_is_one_that_the_command_line_takes():
    words = shlex.split(inspect(FIXTURES["mnist"].prefix).convert_line)
    assert words[:3] == ["tensorferry", "convert", str(FIXTURES["mnist"].prefix)]
    assert words[3:] == ["model.onnx", "--outputs", "softmax:0,prediction:0"]


def test_another_graph():
    fixture = FIXTURES["add_renamed"]
    found = inspect(fixture.prefix, graph=fixture.file("plain.meta"))
    assert set(found.tensors) == {"v1", "v2"}
    assert "other-v1" in found.model.graph.nodes
    assert found.convert_line.endswith(f"--outputs add:0 --graph {shlex.quote(str(fixture.file('plain.meta')))}")


def test_roles(tmp_path):
    """A column of its own where some are not weights."""
    told = inspect(FIXTURES["mnist"].prefix)
    roles = {item["name"]: item["role"] for item in told.to_dict()["variables"]}
    assert roles["conv1/kernel"] == "weight"
    assert {name for name, role in roles.items() if role == "weight"} < set(roles)
    heading = next(line for line in told.text().splitlines() if line.startswith("name"))
    assert heading.split() == ["name", "dtype", "shape", "size", "role"]
    plain = next(line for line in inspect(FIXTURES["add"].prefix).text().splitlines() if line.startswith("name"))
    assert plain.split() == ["name", "dtype", "shape", "size"]


def test_a_directory():
    fixture = FIXTURES["latest"]
    told = inspect(fixture.path).to_dict()
    assert told["checkpoint"] == str(fixture.file("model.ckpt-30"))
    assert f"checkpoint: {told['checkpoint']}" in inspect(fixture.path).text()
    assert "latest.onnx" in inspect(fixture.path).convert_line


def test_the_directory_one_stands_in(monkeypatch):
    monkeypatch.chdir(FIXTURES["latest"].path)
    assert inspect(".").convert_line == "tensorferry convert . latest.onnx --outputs out:0"


def test_a_graph_alone():
    found = inspect(FIXTURES["add_resource"].frozen["raw"])
    assert found.tensors is None
    told = found.to_dict()
    assert "variables" not in told
    assert told["graph"]["inputs"] == [{"name": "ids:0", "dtype": "int32", "shape": [None]}]


def test_inputs_and_outputs():
    told = inspect(FIXTURES["encoder"].prefix).to_dict()["graph"]
    assert told["inputs"] == FIXTURES["encoder"].about["inputs"]
    assert told["outputs"] == FIXTURES["encoder"].about["outputs"]


def test_tensors_alone(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros((2, 3), np.float32), b=np.array([1], np.int64))
    found = inspect(tmp_path / "x.npz")
    assert found.model is None
    assert found.convert_line == ""
    assert found.ops == {}
    assert found.text().splitlines() == [
        f"{tmp_path}/x.npz: NumPy archive, 2 variables, 32 B",
        "",
        "name  dtype    shape   size",
        "a     float32  [2, 3]  24 B",
        "b     int64    [1]      8 B",
    ]


def test_no_value_is_read(monkeypatch):
    def refuse(self, *args):
        raise AssertionError("a value was read")

    monkeypatch.setattr(FileTensor, "_stored", refuse)
    inspect(FIXTURES["mnist"].prefix).text()


def meta_with_signature(path, name, value):
    message = protos.MetaGraphDef(meta_info_def={"tensorflow_version": "2.0.0\nx"})
    message.graph_def.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    message.graph_def.node.add(name="odd", op="Odd\nOp", input=["x"])
    info = protos.TensorInfo(name=value, dtype=1, tensor_shape={"unknown_rank": True})
    message.signature_def[name].inputs["in\nput"].MergeFrom(info)
    message.signature_def[name].outputs["y"].MergeFrom(info)
    message.signature_def[name].method_name = "predict"
    path.write_bytes(message.SerializeToString())


def test_signatures(tmp_path):
    meta_with_signature(tmp_path / "m.meta", "serving_default", "x:0")
    found = inspect(tmp_path / "m.meta")
    info = {"name": "x:0", "dtype": "float32", "shape": None}
    assert found.to_dict()["graph"]["signatures"] == {
        "serving_default": {"method": "predict", "inputs": {"in\nput": info}, "outputs": {"y": info}}
    }
    assert found.convert_line.endswith("m.meta m.onnx --signature serving_default")


def test_hostile_names_stay_on_their_line(tmp_path):
    meta_with_signature(tmp_path / "m.meta", "sig\x1b[2J", "x:0\n")
    found = inspect(tmp_path / "m.meta")
    lines = found.text().splitlines()
    assert lines == [
        f"{tmp_path}/m.meta: TensorFlow MetaGraph",
        f"graph: {tmp_path}/m.meta, 2 nodes, written by TensorFlow 2.0.0\\nx",
        "",
        "signature sig\\x1b[2J",
        "  input   in\\nput  float32 ?  x:0\\n",
        "  output  y        float32 ?  x:0\\n",
        "",
        "ops: Placeholder 1, Odd\\nOp 1",
        "",
        f"convert with: tensorferry convert {tmp_path}/m.meta m.onnx --signature 'sig\\x1b[2J'",
    ]


def test_no_outputs_to_be_found(tmp_path):
    (tmp_path / "x.pb").write_bytes(protos.GraphDef(node=[{"name": "x", "op": "NoOp"}]).SerializeToString())
    found = inspect(tmp_path / "x.pb")
    assert "no inputs or outputs found: name the outputs with --outputs" in found.text()
    assert found.convert_line == ""


def test_functions_are_counted(tmp_path):
    message = protos.GraphDef(node=[{"name": "x", "op": "NoOp"}])
    message.library.function.add().signature.name = "f"
    (tmp_path / "x.pb").write_bytes(message.SerializeToString())
    assert inspect(tmp_path / "x.pb").to_dict()["graph"]["functions"] == 1
    assert "1 node, 1 function" in inspect(tmp_path / "x.pb").text()


def test_nothing_there(tmp_path):
    with pytest.raises(TensorferryError):
        inspect(tmp_path / "gone")


def test_a_checkpoint_in_an_odd_place(tmp_path):
    place = shutil.copytree(FIXTURES["add"].path, tmp_path / "it's a place")
    words = shlex.split(inspect(place / "model.ckpt").convert_line)
    assert words[2] == str(place / "model.ckpt")


CONVERTIBLE = [
    "add/model.ckpt", "mnist/model.ckpt.meta", "encoder/model.ckpt", "cleaning/graph.pb", "add/frozen_raw.pb",
    "add_renamed/graph.pbtxt", "saved_model", "tables_v1", "tables_v2", "saved_model_v2",
]  # fmt: skip


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_lines_convert(tmp_path, monkeypatch, name):
    """What is printed is what works, word for word."""
    found = inspect(HOME / name)
    if name == "add_renamed/graph.pbtxt":
        # A graph alone, with variables: no line helps it.
        assert found.convert_line.endswith("--outputs add:0")
        return
    monkeypatch.chdir(tmp_path)
    lines = found.to_dict()["graph"]["conversions"]
    assert len(lines) == max(1, len(found.model.signatures))
    for line in lines:
        words = [word.replace(".onnx", ".pb") for word in shlex.split(line)]
        if words[words.index("--signature" if "--signature" in words else "--outputs") + 1] == "counted":
            assert "AssignAddVariableOp of count" in refused(*words[1:], "--dry-run")
        else:
            ferried(*words[1:], "--dry-run")


def test_every_signature_has_its_line():
    found = inspect(HOME / "tables_v2")
    start = f"tensorferry convert {HOME / 'tables_v2'} tables_v2.onnx --signature"
    assert found.convert_lines == [f"{start} serving_default", f"{start} name"]
    text = found.text()
    assert "signature name\n  input   numbers  int64 [?]   name_numbers:0\n" in text
    assert f"convert with: {start} serving_default\n              {start} name" in text


def test_a_tag():
    found = inspect(HOME / "saved_model", tag="train")
    assert list(found.model.signatures) == ["doubled"]
    assert found.convert_line.endswith("saved_model.onnx --signature doubled --tag train")
    assert "doubled" in ferried("inspect", HOME / "saved_model", "--tag", "train").out
    with pytest.raises(UsageError, match=r"^--tag other: expected one MetaGraph of "):
        inspect(HOME / "saved_model", tag="other")


def test_inputs_with_defaults_are_marked():
    text = inspect(HOME / "cleaning" / "graph.pb").text()
    assert "input   training:0   bool [], has a default\n" in text
    assert "input   images:0     float32 [?, 6, 6, 3]\n" in text


def test_every_kind_has_a_title():
    assert set(TITLES) == set(Kind.__args__)


@pytest.mark.parametrize(
    ("rows", "right", "text"),
    [
        ([("a", "bb"), ("ccc", "d")], (), "a    bb\nccc  d"),
        ([("a", "bb"), ("ccc", "d")], (1,), "a    bb\nccc   d"),
        ([("", "x"), ("yy", "")], (), "    x\nyy"),
    ],
)
def test_columns(rows, right, text):
    assert columns(rows, right=right) == text
