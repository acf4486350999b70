import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Shape, ValueInfo
from tensorferry.converters.load import constants_of, load_checkpoint, load_model, read_saved_model
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, INT64
from tensorferry.formats.errors import FormatError, UnsupportedError, UsageError

from ..fixture import FIXTURES, HOME, WITH_GRAPH, graph_def

ADD = FIXTURES["add"]


def assert_same(found, fixture):
    expected = fixture.tensors()
    assert set(found) >= set(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape
        assert found[name].numpy().dtype == value.dtype
        if value.dtype == object:
            assert found[name].numpy().tolist() == value.tolist()
        else:
            assert found[name].numpy().tobytes() == value.tobytes()


@pytest.mark.parametrize("name", sorted(WITH_GRAPH))
def test_the_tensors_of_every_checkpoint(name):
    assert_same(load_checkpoint(WITH_GRAPH[name].prefix), WITH_GRAPH[name])


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001", ".meta"])
def test_any_file_of_a_checkpoint_will_do(ending):
    assert_same(load_checkpoint(f"{ADD.prefix}{ending}"), ADD)


def test_its_directory_will_do():
    assert_same(load_checkpoint(ADD.path), ADD)
    assert_same(load_checkpoint(FIXTURES["latest"].path), FIXTURES["latest"])


@pytest.mark.parametrize("name", sorted(set(WITH_GRAPH) - {"add_renamed"}))
def test_a_checkpoint_with_its_graph(name):
    fixture = WITH_GRAPH[name]
    for path in fixture.prefix, fixture.graph:
        model = load_model(path)
        assert model.path == str(fixture.graph)
        assert model.version == fixture.about["tensorflow"]
        assert [node.name for node in model.graph] == [node.name for node in graph_def(fixture.graph).node]
        assert set(model.tensors) == set(fixture.dtypes())


@pytest.mark.parametrize("name", sorted(name for name in FIXTURES if name.startswith("v1_")))
def test_v1_checkpoints(name):
    assert_same(load_checkpoint(FIXTURES[name].prefix), FIXTURES[name])


def test_the_variables_of_a_saved_model():
    fixture = FIXTURES["objects_saved_model"]
    folder = fixture.prefix.parent.parent
    assert (folder / "saved_model.pb").exists()
    assert_same(load_checkpoint(folder), fixture)
    model = load_model(folder)
    assert_same(model.tensors, fixture)
    assert list(model.signatures) == ["serving_default"]  # not what only initializes
    assert load_model(folder, graph=folder / "saved_model.pb").objects == {}  # may be numbers of another checkpoint
    assert model.objects


def test_a_saved_model_without_variables(tmp_path):
    """As TensorFlow 1 writes one of a frozen graph: an empty directory for them, or none."""
    saved = protos.message_class("SavedModel")(saved_model_schema_version=1)
    saved.meta_graphs.add().graph_def.node.add(name="x", op="NoOp")
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert load_model(tmp_path).tensors == load_checkpoint(tmp_path) == {}
    (tmp_path / "variables").mkdir()
    assert load_model(tmp_path).tensors == {}
    (tmp_path / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    path = tmp_path / "variables" / "variables.index"
    refused(FormatError, f"{path}: expected a checkpoint's index, got no such file", load_model, tmp_path)


@pytest.mark.parametrize(
    ("tag", "wanted"), [(None, 1), ("serve", 1), ("serve+gpu", 0), ("gpu+serve", 0), ("gpu", 0), ("tpu", 2)]
)
def test_the_meta_graph_with_just_the_tags(tmp_path, tag, wanted):
    saved = protos.message_class("SavedModel")(saved_model_schema_version=1)
    for number, tags in enumerate((["serve", "gpu"], ["serve"], ["train", "tpu"])):
        meta = saved.meta_graphs.add()
        meta.meta_info_def.tags.extend(tags)
        meta.meta_info_def.tensorflow_version = str(number)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert read_saved_model(str(tmp_path), tag).version == str(wanted)


@pytest.mark.parametrize(("tags", "wanted"), [([["x"]], 0), ([["train"], []], 1), ([[], ["serve", "gpu"]], 1)])
def test_the_meta_graph_when_none_is_asked_for(tmp_path, tags, wanted):
    saved = protos.message_class("SavedModel")(saved_model_schema_version=1)
    for number, own in enumerate(tags):
        info = saved.meta_graphs.add().meta_info_def
        info.tags.extend(own)
        info.tensorflow_version = str(number)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert read_saved_model(str(tmp_path)).version == str(wanted)


def test_tags_that_none_or_several_have(tmp_path):
    saved = protos.message_class("SavedModel")(saved_model_schema_version=1)
    for tags in (["serve", "gpu"], ["serve", "tpu"], []):
        saved.meta_graphs.add().meta_info_def.tags.extend(tags)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    for tag, count in ("serve", 2), ("cpu", 0):
        has = "gpu+serve, serve+tpu, none"
        message = f"--tag {tag}: expected one MetaGraph of {tmp_path} with that tag, got {count} of: {has}"
        refused(UsageError, message, read_saved_model, str(tmp_path), tag)


def test_the_graph_of_a_run():
    """An Estimator's model_dir whose .meta files are gone."""
    folder = HOME / "estimator"
    model = load_model(folder)
    assert model.path == str(folder / "graph.pbtxt")
    assert {"hidden/kernel", "scores/bias"} <= set(model.tensors)
    assert model.graph.nodes["hidden/kernel"].op == "VariableV2"


@pytest.mark.parametrize("name", ["v1_saver", "add"])
def test_another_graph_for_a_checkpoint_of_any_kind(name):
    model = load_model(FIXTURES[name].prefix, graph=FIXTURES["add_renamed"].file("graph.pb"))
    assert set(model.tensors) == set(FIXTURES[name].dtypes())


def test_another_graph_for_a_checkpoint():
    fixture = FIXTURES["add_renamed"]
    for name in "plain.meta", "graph.pb", "graph.pbtxt":
        model = load_model(ADD.prefix, graph=fixture.file(name))
        assert "other-v1" in model.graph.nodes
        assert set(model.tensors) == {"v1", "v2"}


def test_a_graph_alone():
    model = load_model(ADD.frozen["raw"])
    assert model.tensors is None
    assert (model.signatures, model.restore_op, model.collections, model.version) == ({}, "", {}, "")


def test_collections():
    found = load_model(FIXTURES["ema"].prefix).collections
    assert found == {
        "variables": ("v", "v/ExponentialMovingAverage"),
        "trainable_variables": ("v",),
        "moving_average_variables": ("v",),
    }


def test_constants_are_tensors_too(tmp_path):
    found = load_checkpoint(ADD.frozen["raw"])
    assert {name: tensor.numpy().tolist() for name, tensor in found.items()} == {"v1": [1.0], "v2": [2.0]}


def test_constants_of():
    message = protos.GraphDef(node=[{"name": n, "op": "Const"} for n in ("number", "word", "empty")])
    message.node[0].attr["value"].tensor.CopyFrom(protos.TensorProto(dtype=9, int64_val=[5], tensor_shape={}))
    message.node[1].attr["value"].tensor.CopyFrom(protos.TensorProto(dtype=7, string_val=[b"a"], tensor_shape={}))
    found = constants_of(from_graph_def(message))
    assert list(found) == ["number"]
    assert (found["number"].dtype, found["number"].numpy()) == (INT64, np.int64(5))


def meta_file(tmp_path, **fields):
    """A MetaGraph with one node."""
    message = protos.MetaGraphDef(meta_info_def={"tensorflow_version": "1.2.3"}, **fields)
    message.graph_def.node.add(name="c", op="NoOp")
    path = tmp_path / "x.meta"
    path.write_bytes(message.SerializeToString())
    return path, message


def test_signatures(tmp_path):
    info = {"name": "x:0", "dtype": 1, "tensor_shape": {"dim": [{"size": -1}, {"size": 3}]}}
    sparse = {
        "coo_sparse": {
            "values_tensor_name": "s:1",
            "indices_tensor_name": "s:0",
            "dense_shape_tensor_name": "s:2",
        },
        "dtype": 1,
    }
    ragged = {"composite_tensor": {"components": [{"name": "r:0", "dtype": 1}, {"name": "r:1", "dtype": 9}]}}
    path, message = meta_file(tmp_path)
    serving = message.signature_def["serving_default"]
    serving.method_name = "tensorflow/serving/predict"
    serving.inputs["x"].MergeFrom(protos.TensorInfo(**info))
    serving.outputs["sparse"].MergeFrom(protos.TensorInfo(**sparse))
    serving.outputs["ragged"].MergeFrom(protos.TensorInfo(**ragged))
    message.signature_def["other"].method_name = "m"
    path.write_bytes(message.SerializeToString())

    found = load_model(path).signatures
    assert list(found) == ["other", "serving_default"]
    assert found["other"].method == "m"
    assert found["serving_default"].method == "tensorflow/serving/predict"
    assert found["serving_default"].inputs == {"x": ValueInfo("x:0", FLOAT32, Shape((-1, 3)))}
    assert found["serving_default"].outputs == {
        "ragged/0": ValueInfo("r:0", FLOAT32, Shape(())),
        "ragged/1": ValueInfo("r:1", INT64, Shape(())),
        "sparse/values": ValueInfo("s:1"),
        "sparse/indices": ValueInfo("s:0"),
        "sparse/dense_shape": ValueInfo("s:2"),
    }


def test_a_collection_that_holds_no_variables(tmp_path):
    path, message = meta_file(tmp_path)
    message.collection_def["variables"].bytes_list.value.append(b"\xff\xff\xff")
    path.write_bytes(message.SerializeToString())
    with pytest.raises(FormatError, match=r"x\.meta: expected a VariableDef message, got 3 bytes that are none "):
        load_model(path)


# --- errors -----------------------------------------------------------------------------------------


def refused(kind, message, call, *args, **options):
    with pytest.raises(kind) as error:
        call(*args, **options)
    assert str(error.value) == message


def test_a_graph_has_no_tensors():
    path = FIXTURES["add_renamed"].file("plain.meta")
    message = f"{path}: expected named tensors, got a MetaGraph without a checkpoint beside it"
    refused(UnsupportedError, message, load_checkpoint, path)


def test_a_checkpoint_has_no_graph(tmp_path):
    for ending in ".index", ".data-00000-of-00001":
        (tmp_path / f"x{ending}").write_bytes(ADD.file(f"model.ckpt{ending}").read_bytes())
    message = f"{tmp_path}/x: expected a graph, got a checkpoint without a graph beside it (--graph gives one)"
    refused(UnsupportedError, message, load_model, tmp_path / "x")


def test_a_graph_for_something_else():
    frozen = ADD.frozen["raw"]
    message = f"--graph: expected a checkpoint to go with it, got graph_def {frozen}"
    refused(UsageError, message, load_model, frozen, graph=FIXTURES["add_renamed"].file("plain.meta"))


def test_nothing_there(tmp_path):
    with pytest.raises(FormatError, match="got no such file or checkpoint"):
        load_checkpoint(tmp_path / "gone")
