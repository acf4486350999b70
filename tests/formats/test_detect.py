import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from tensorferry.formats.detect import Source, detect
from tensorferry.formats.errors import FormatError
from tests.fixture import FIXTURES

from .bundle_writer import message, number, table

ADD = FIXTURES["add"]
PREFIX = str(ADD.prefix)
META = f"{PREFIX}.meta"
EXPECTED = "expected a checkpoint, a graph, a SavedModel, safetensors, npz or ONNX, got"


@pytest.fixture
def bare(tmp_path):
    """The checkpoint of fixtures/add without its graph: the prefix."""
    for path in ADD.path.glob("model.ckpt.*"):
        if path.suffix != ".meta":
            shutil.copy(path, tmp_path)
    return str(tmp_path / "model.ckpt")


def refused(path):
    with pytest.raises(FormatError) as caught:
        detect(path)
    return str(caught.value)


def write(path, data):
    path.write_bytes(data)
    return path


# --- checkpoints ------------------------------------------------------------------------------------


def test_the_graph_of_a_run_where_there_is_no_meta(bare):
    """As Estimators write it, one for all checkpoints."""
    graph = os.path.join(os.path.dirname(bare), "graph.pbtxt")
    with open(graph, "w") as file:
        file.write("node { name: 'a' op: 'NoOp' }")
    assert detect(bare) == detect(os.path.dirname(bare)) == Source("bundle", bare, bare, graph)
    assert graph in detect(bare).files
    shutil.copy(META, f"{bare}.meta")
    assert detect(bare).graph == f"{bare}.meta"


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_a_bundle_by_its_prefix_and_by_its_files(ending, bare):
    assert detect(f"{PREFIX}{ending}") == Source("bundle", PREFIX, PREFIX, META)
    assert detect(f"{bare}{ending}") == Source("bundle", bare, bare, None)


def test_a_directory_with_a_state_file():
    for directory in ADD.path, f"{ADD.path}/checkpoint":
        assert detect(directory) == Source("bundle", PREFIX, PREFIX, META)
    latest = FIXTURES["latest"].path
    for directory in latest, latest / "checkpoint":
        assert detect(directory).checkpoint == str(latest / "model.ckpt-30")


def test_a_state_file_by_another_name(tmp_path):
    path = write(tmp_path / "state.txt", b'model_checkpoint_path: "' + PREFIX.encode() + b'"')
    assert detect(path).path == PREFIX


def test_a_directory_with_one_checkpoint(bare):
    assert detect(os.path.dirname(bare)) == Source("bundle", bare, bare, None)


def test_a_directory_with_several_checkpoints(bare):
    shutil.copy(f"{bare}.index", f"{bare}-10.index")
    directory = os.path.dirname(bare)
    assert refused(directory) == (
        f"{directory}: expected a directory with one checkpoint, "
        "got 2 checkpoints and no file 'checkpoint': model.ckpt, model.ckpt-10"
    )


def test_a_directory_with_a_stale_state_file_is_not_guessed_at(bare):
    directory = os.path.dirname(bare)
    with open(f"{directory}/checkpoint", "w") as file:
        file.write('model_checkpoint_path: "gone"')
    assert refused(directory) == (
        f"{directory}/checkpoint: expected the checkpoint 'gone' that it names, got none at {directory}/gone "
        "(in the directory: model.ckpt)"
    )


def test_a_directory_beside_a_checkpoint_of_its_name(bare):
    os.mkdir(bare)
    assert detect(bare).kind == "bundle"
    assert refused(os.path.join(bare, "")).endswith("got a directory without any")


def test_a_file_of_the_prefixes_name_comes_first(bare):
    shutil.copy(f"{PREFIX}.meta", bare)
    assert detect(bare).kind == "meta_graph"


def test_an_index_that_is_none(tmp_path):
    path = write(tmp_path / "m.index", b"x" * 60)
    assert refused(path) == (
        f"{path}: expected a checkpoint's index, got a file without a table's magic number at its end"
    )


def test_data_without_an_index(bare):
    os.remove(f"{bare}.index")
    data = f"{bare}.data-00000-of-00001"
    assert refused(data) == f"{data}: expected the checkpoint's index '{bare}.index' beside it, got no such file"
    assert refused(bare) == (
        f"{bare}: expected a checkpoint with its index '{bare}.index', got no such file "
        "(only model.ckpt.data-00000-of-00001 is there)"
    )


def test_a_graph_alone_by_its_prefix(tmp_path):
    shutil.copy(META, tmp_path / "m.meta")
    assert refused(tmp_path / "m") == (
        f"{tmp_path}/m: expected a checkpoint with its index '{tmp_path}/m.index', got no such file "
        "(only m.meta is there)"
    )


def test_a_v1_checkpoint(tmp_path):
    path = write(tmp_path / "model.ckpt", table([(b"", b"")]))
    assert detect(path) == Source("v1_checkpoint", str(path))
    shutil.copy(META, tmp_path / "model.ckpt.meta")
    assert detect(path) == Source("v1_checkpoint", str(path), None, f"{path}.meta")


def test_a_sharded_v1_checkpoint(tmp_path):
    for index in 0, 1:
        shard = write(tmp_path / f"m-0000{index}-of-00002", table([(b"", b"")]))
    for path in shard, tmp_path / "m":
        assert detect(path) == Source("v1_checkpoint", str(tmp_path / "m"))
    assert detect(shard).files == [str(tmp_path / f"m-0000{index}-of-00002") for index in (0, 1)]


# --- graphs -----------------------------------------------------------------------------------------


def test_a_meta_graph_with_its_checkpoint(tmp_path):
    assert detect(META) == Source("meta_graph", META, PREFIX, META)
    alone = shutil.copy(META, tmp_path / "alone.meta")
    assert detect(alone) == Source("meta_graph", str(alone), None, str(alone))


def test_the_name_does_not_tell_a_graph_from_a_meta_graph(tmp_path):
    meta = shutil.copy(META, tmp_path / "x.pb")
    assert detect(meta) == Source("meta_graph", str(meta), None, str(meta))
    graph = shutil.copy(ADD.frozen["raw"], tmp_path / "x.meta")
    assert detect(graph) == Source("graph_def", str(graph))


@pytest.mark.parametrize("name", ["graph.pb", "graph.pbtxt"])
def test_a_graph_def(name):
    path = FIXTURES["add_renamed"].path / name
    assert detect(path) == Source("graph_def", str(path))


@pytest.mark.parametrize("name", ["saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"])
def test_a_saved_model(tmp_path, name):
    for path in write(tmp_path / name, b"whatever is in it"), tmp_path:
        assert detect(path) == Source("saved_model", str(tmp_path))


def test_a_saved_model_by_another_name(tmp_path):
    path = write(tmp_path / "x.pb", number(1, 1) + message(2, message(1, message(4, b"serve"))))
    assert detect(path) == Source("saved_model", str(path))


def test_a_saved_model_where_one_stands(monkeypatch, tmp_path):
    write(tmp_path / "saved_model.pb", b"x")
    monkeypatch.chdir(tmp_path)
    assert detect("saved_model.pb") == detect(".") == Source("saved_model", ".")


# --- other formats ----------------------------------------------------------------------------------


def test_onnx(tmp_path):
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], []))
    path = write(tmp_path / "model", model.SerializeToString())
    assert detect(path) == Source("onnx", str(path))


def test_npz(tmp_path):
    for name, save in ("a", np.savez), ("b", np.savez_compressed):
        with open(tmp_path / name, "wb") as file:
            save(file, weights=np.zeros(3))
        assert detect(tmp_path / name) == Source("npz", str(tmp_path / name))
    with open(tmp_path / "none", "wb") as file:
        np.savez(file)
    assert detect(tmp_path / "none").kind == "npz"


def test_another_zip(tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("metadata.json", "{}")
    path = write(tmp_path / "model.keras", data.getvalue())
    assert refused(path) == f"{path}: {EXPECTED} a zip archive that begins with 'metadata.json'"


def test_safetensors(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "weights")
    assert detect(tmp_path / "weights") == Source("safetensors", str(tmp_path / "weights"))


@pytest.mark.parametrize("length", [640, 1152])  # as little-endian numbers, 80 02 and 80 04: pickles begin so
def test_safetensors_whose_length_looks_like_another_format(tmp_path, length):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "w.safetensors", {"note": "x" * (length - 88)})
    assert int.from_bytes((tmp_path / "w.safetensors").read_bytes()[:8], "little") == length
    assert detect(tmp_path / "w.safetensors").kind == "safetensors"


def test_a_safetensors_index(tmp_path):
    index = {"metadata": {"total_size": 12}, "weight_map": {"a": "m-1.safetensors", "b": "m-1.safetensors", "c": 3}}
    path = write(tmp_path / "m.safetensors.index.json", b"\n " + json.dumps(index).encode())
    shard = write(tmp_path / "m-1.safetensors", b"")
    write(tmp_path / "other.safetensors", b"")
    for where in path, tmp_path:
        assert detect(where) == Source("safetensors_index", str(path))
    assert detect(path).files == [str(shard), str(path)]


def test_a_directory_with_one_safetensors_file(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    assert detect(tmp_path) == Source("safetensors", str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b'{"a": 1}', "expected a safetensors index with a weight_map, got other JSON"),
        (b'{"weight_map": ["x"]}', "expected a safetensors index with a weight_map, got other JSON"),
        (b"{node}", "expected a safetensors index, got no JSON: Expecting property name"),
        (b"{" * 100_000, "expected a safetensors index, got no JSON: Expecting property name"),
        (b'{"a":' * 100_000, "expected a safetensors index, got no JSON: "),
        (b'{"a": "\xff"}', "expected a safetensors index, got no JSON: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_other_json(tmp_path, data, got):
    path = write(tmp_path / "x.json", data)
    assert refused(path).startswith(f"{path}: {got}")


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "an empty file"),
        (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file (Keras weights?)"),
        (b"\x1c\0\0\0TFL3\0\0", "a TensorFlow Lite model"),
        (b"\x93NUMPY\x01\0", "a single array (.npy)"),
        (b"\x1f\x8b\x08\0", "a gzip archive: unpack it first"),
        (b"\xfd7zXZ\0\0", "an xz archive: unpack it first"),
        (b"BZh91AY", "a bzip2 archive: unpack it first"),
        (b"\x80\x02}q", "a Python pickle"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"GGUF\x03\0", "a GGUF file"),
        (b"Hello, world", "a file that begins with 48 65 6c 6c 6f 2c 20 77"),
        (b"\0", "a file that begins with 00"),
    ],
)
def test_files_that_are_something_else(tmp_path, data, got):
    path = write(tmp_path / "weights.pb", data)
    assert refused(path) == f"{path}: {EXPECTED} {got}"


def test_an_empty_directory(tmp_path):
    assert refused(tmp_path) == f"{tmp_path}: {EXPECTED} a directory without any"


# --- nothing there ----------------------------------------------------------------------------------


def test_nothing_there_with_something_near():
    path = str(FIXTURES["latest"].path / "model.ckpt-03")
    assert refused(path) == f"{path}: {EXPECTED} no such file or checkpoint (did you mean 'model.ckpt-30'?)"
    path = str(ADD.path / "combined_modell.pb")
    assert refused(path) == f"{path}: {EXPECTED} no such file or checkpoint (did you mean 'combined_model.pb'?)"


def test_nothing_there_and_nothing_near(tmp_path):
    assert refused(tmp_path / "x") == f"{tmp_path}/x: {EXPECTED} no such file or checkpoint"


def test_no_such_directory(tmp_path):
    assert refused(tmp_path / "x" / "y") == (
        f"{tmp_path}/x/y: {EXPECTED} no such file or checkpoint (there is no directory '{tmp_path}/x')"
    )


@pytest.mark.parametrize("path", ["", "[", "*", "x" * 5000])
def test_paths_that_cannot_be(monkeypatch, tmp_path, path):
    monkeypatch.chdir(tmp_path)
    assert "no such file or checkpoint" in refused(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == f"{tmp_path}/pipe: {EXPECTED} something that is no regular file"


# --- which files ------------------------------------------------------------------------------------


def test_the_files_of_a_checkpoint_and_its_graph():
    names = ["model.ckpt.data-00000-of-00001", "model.ckpt.index", "model.ckpt.meta"]
    for path in PREFIX, META, ADD.path:
        assert detect(path).files == [str(ADD.path / name) for name in names]
    assert len(detect(FIXTURES["bundle_sharded"].prefix).files) == 4


def test_the_files_of_a_saved_model(tmp_path):
    (tmp_path / "variables").mkdir()
    paths = [tmp_path / "saved_model.pb", *(tmp_path / "variables" / name for name in (".hidden", "variables.index"))]
    for path in paths:
        write(path, b"x")
    assert detect(tmp_path).files == [str(path) for path in paths]


def test_the_files_of_an_onnx_model(tmp_path):
    path = write(tmp_path / "m.onnx", number(1, 8) + message(2, b"me"))
    write(tmp_path / "m.onnx.bak", b"x")
    data = write(tmp_path / "m.onnx.data", b"x")
    assert detect(path).files == [str(path), str(data)]


def test_one_file():
    path = str(ADD.frozen["raw"])
    assert detect(path).files == [path]


def test_nothing_is_opened_but_what_is_there(monkeypatch, bare):
    """A prefix is recognised by names alone."""
    monkeypatch.setattr("builtins.open", None)
    assert detect(bare).kind == "bundle"


def test_a_path_with_a_nul():
    with pytest.raises(FormatError, match=r"got a path that no file can have$"):
        detect("a\0b")
