"""onnx_file: what is written, onnx checks and loads and onnxruntime runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

from tensorferry.formats import onnx_file
from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import DestinationError, FormatError, GraphError, UnsupportedError
from tensorferry.formats.onnx_file import onnx_files, read_onnx_initializers, write_onnx
from tensorferry.formats.onnx_types import NUMBERS
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor, Tensor

ROOT = Path(__file__).parents[2]
WIDE = ["float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool", "float16", "float64", "uint32",
        "uint64", "complex64", "complex128", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
        "float8_e5m2fnuz"]  # fmt: skip


def empty_model(**graph: Any) -> onnx.ModelProto:
    """A model of no nodes."""
    made = helper.make_graph([], "g", [], [], **graph)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def affine() -> tuple[onnx.ModelProto, dict[str, Tensor]]:
    """y = x * w + b, and its weights apart."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32])
    graph = helper.make_graph(nodes, "affine", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.metadata_props.add(key="source", value="here")
    return model, {"w": ArrayTensor(W), "b": ArrayTensor(B)}


W = np.arange(64 * 32, dtype=np.float32).reshape(64, 32) / 1000
B = np.arange(32, dtype=np.float32)


def values(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The initializers as onnx loads them."""
    model = onnx.load(path)
    return {initializer.name: numpy_helper.to_array(initializer) for initializer in model.graph.initializer}


def array_of(name: str, size: int = 6) -> np.ndarray[Any, Any]:
    dtype = DTYPES[name].numpy()
    return (
        (np.arange(size) % 2).astype(np.uint8).astype(dtype) if DTYPES[name].bits < 8 else np.arange(size).astype(dtype)
    )


@pytest.mark.parametrize("external", [False, True, None])
def test_a_model_runs(tmp_path: Path, external: bool | None) -> None:
    import onnxruntime

    model, weights = affine()
    path = tmp_path / "m.onnx"
    planned = onnx_files(path, model, weights, external=external)
    written = write_onnx(path, model, weights, external=external)
    assert written == planned
    expected = [str(path) + ".data", str(path)] if external else [str(path)]
    assert written == expected
    assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(name) for name in expected)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.ones((2, 64), np.float32)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ W + B, rtol=1e-5)


def test_all_but_the_weights_is_as_it_was(tmp_path: Path) -> None:
    model, weights = affine()
    model.functions.add(name="f", domain="d").input.append("a")
    before = model.SerializeToString()
    write_onnx(tmp_path / "m", model, weights)
    assert model.SerializeToString() == before
    read = onnx.load(tmp_path / "m")
    assert [initializer.name for initializer in read.graph.initializer] == ["w", "b"]
    del read.graph.initializer[:]
    assert read == model


def test_the_same_message_as_protobuf_would_write(tmp_path: Path) -> None:
    """Field order apart: parsed and written again, it is the message with its weights inside."""
    model, weights = affine()
    write_onnx(tmp_path / "m", model, weights)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in (("w", W), ("b", B)))
    assert onnx.load(tmp_path / "m").SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )
    assert (tmp_path / "m").stat().st_size == model.ByteSize()


def test_weights_that_are_in_the_graph_stay(tmp_path: Path) -> None:
    model = empty_model(initializer=[numpy_helper.from_array(B, "old")])
    write_onnx(tmp_path / "m", model, {"new": ArrayTensor(W)})
    assert list(values(tmp_path / "m")) == ["old", "new"]


def test_no_weights(tmp_path: Path) -> None:
    for external in False, True, None:
        assert write_onnx(tmp_path / f"{external}", empty_model(), {}, external=external) == [
            str(tmp_path / f"{external}")
        ]
        assert onnx.load(tmp_path / f"{external}") == empty_model()


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("name", WIDE)
def test_every_type(tmp_path: Path, name: str, external: bool) -> None:
    arrays = {
        "v": array_of(name),
        "m": array_of(name).reshape(2, 3).T,
        "none": array_of(name, 0),
        "s": array_of(name, 1)[0],
    }
    arrays["s"] = np.asarray(arrays["s"])
    path = tmp_path / "m"
    write_onnx(
        path, empty_model(), {n: ArrayTensor(a) for n, a in arrays.items()}, external=external, threshold_bytes=0
    )
    onnx.checker.check_model(str(path))
    found = values(path)
    for key, array in arrays.items():
        assert found[key].dtype == array.dtype
        assert found[key].shape == array.shape
        assert found[key].tobytes() == array.tobytes()


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("name", ["int4", "uint4", "float4_e2m1fn", "int2", "uint2"])
def test_narrow_types(tmp_path: Path, name: str, external: bool) -> None:
    array = np.arange(7).astype(np.uint8).__and__((1 << DTYPES[name].bits) - 1).view(getattr(ml_dtypes, name))
    path = tmp_path / "m"
    tensor = ArrayTensor(array, DTYPES[name])
    write_onnx(path, empty_model(), {"x": tensor}, external=external, threshold_bytes=0)
    read = onnx.load(path).graph.initializer[0]
    assert read.raw_data == numpy_helper.from_array(array).raw_data
    assert numpy_helper.to_array(read).astype(float).tolist() == array.astype(float).tolist()


@pytest.mark.parametrize("external", [False, True])
def test_strings_stay_inside(tmp_path: Path, external: bool) -> None:
    strings = np.empty((2, 2), object)
    strings[:] = [[b"a", b""], [b"\xff\x00", "é".encode() * 2000]]
    write_onnx(tmp_path / "m", empty_model(), {"s": ArrayTensor(strings)}, external=external)
    assert os.listdir(tmp_path) == ["m"]
    (read,) = onnx.load(tmp_path / "m").graph.initializer
    assert (read.data_type, list(read.dims)) == (TensorProto.STRING, [2, 2])
    assert list(read.string_data) == strings.reshape(-1).tolist()
    onnx.checker.check_model(str(tmp_path / "m"))


def test_the_numbers_are_those_of_onnx() -> None:
    ours = {"float16": "FLOAT16", "float32": "FLOAT", "float64": "DOUBLE", "float4_e2m1fn": "FLOAT4E2M1"}
    for number, name in NUMBERS.items():
        assert TensorProto.DataType.Name(number) == ours.get(name, name.upper().replace("_", ""))


class TestExternal:
    def test_offsets_are_aligned_and_small_ones_inside(self, tmp_path: Path) -> None:
        arrays = {
            n: np.full(size, i, np.int8)
            for i, (n, size) in enumerate([("a", 1024), ("b", 1023), ("c", 5000), ("d", 2000)])
        }
        path = tmp_path / "m.onnx"
        write_onnx(path, empty_model(), {n: ArrayTensor(a) for n, a in arrays.items()}, external=True)
        kept = {i.name: i for i in onnx.load(path, load_external_data=False).graph.initializer}
        places = {n: {e.key: e.value for e in i.external_data} for n, i in kept.items()}
        assert places == {
            "a": {"location": "m.onnx.data", "offset": "0", "length": "1024"},
            "b": {},
            "c": {"location": "m.onnx.data", "offset": "4096", "length": "5000"},
            "d": {"location": "m.onnx.data", "offset": "12288", "length": "2000"},
        }
        data = (tmp_path / "m.onnx.data").read_bytes()
        assert len(data) == 14288
        assert data[1024:4096].strip(b"\0") == data[9096:12288].strip(b"\0") == b""
        assert {n: a.tolist() for n, a in values(path).items()} == {n: a.tolist() for n, a in arrays.items()}

    def test_only_when_it_must_be(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model, weights = affine()
        write_onnx(tmp_path / "a", model, weights)
        size = (tmp_path / "a").stat().st_size
        monkeypatch.setattr(onnx_file, "LIMIT", size)
        assert write_onnx(tmp_path / "b", model, weights) == [str(tmp_path / "b")]
        monkeypatch.setattr(onnx_file, "LIMIT", size - 1)
        assert write_onnx(tmp_path / "c", model, weights) == [str(tmp_path / "c.data"), str(tmp_path / "c")]
        assert values(tmp_path / "c")["w"].tolist() == W.tolist()

    def test_inside_was_asked_for_and_is_too_much(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model, weights = affine()
        monkeypatch.setattr(onnx_file, "LIMIT", 5000)
        with pytest.raises(UnsupportedError) as error:
            write_onnx(tmp_path / "a", model, weights, external=False)
        assert f"{tmp_path / 'a'}: a model of " in str(error.value)
        assert str(error.value).endswith(" bytes is no protobuf message (keep the weights in a file beside it)")
        assert os.listdir(tmp_path) == []

    def test_even_so_it_is_too_much(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model, weights = affine()
        monkeypatch.setattr(onnx_file, "LIMIT", 100)
        with pytest.raises(
            UnsupportedError, match=r"bytes is no protobuf message \(only weights can be kept in a file"
        ):
            write_onnx(tmp_path / "a", model, weights)
        assert os.listdir(tmp_path) == []

    def test_a_graph_that_protobuf_refuses(self, tmp_path: Path) -> None:
        from google.protobuf.message import EncodeError

        def refuse(*_: object, **__: object) -> None:
            raise EncodeError("Failed to serialize proto")

        class Huge:
            """A model of which only one thing matters."""

            def __init__(self) -> None:
                self.graph = SimpleNamespace(SerializeToString=refuse, initializer=())

            def CopyFrom(self, other: object) -> None: ...

            def ClearField(self, name: str) -> None: ...

        with pytest.raises(UnsupportedError, match="a model of 2 GiB or more is no protobuf message"):
            write_onnx(tmp_path / "a", Huge(), {})
        assert os.listdir(tmp_path) == []

    def test_it_runs_before_it_is_published(self, tmp_path: Path) -> None:
        """What is written into somebody's set of files is whole at once, references included."""
        import onnxruntime

        model, weights = affine()
        path = tmp_path / "m.onnx"
        with OutputSet() as files:
            write_onnx(path, model, weights, external=True, files=files)
            assert not path.exists()
            part = files.parts()[str(path)]
            onnx.checker.check_model(part, full_check=True)
            session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
            x = np.ones((2, 64), np.float32)
            np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ W + B, rtol=1e-5)
            assert read_onnx_initializers(part)["w"].numpy().tolist() == W.tolist()
        assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data"]

    def test_the_data_exist_already(self, tmp_path: Path) -> None:
        (tmp_path / "m.data").write_bytes(b"old")
        model, weights = affine()
        with pytest.raises(DestinationError, match=r"m.data: exists already"):
            write_onnx(tmp_path / "m", model, weights, external=True)
        assert os.listdir(tmp_path) == ["m.data"]
        write_onnx(tmp_path / "m", model, weights, external=True, force=True)
        assert values(tmp_path / "m")["b"].tolist() == B.tolist()

    def test_a_name_that_no_model_can_hold(self, tmp_path: Path) -> None:
        model, weights = affine()
        with pytest.raises(DestinationError, match="expected a printable name, which the model refers to"):
            write_onnx(tmp_path / "m\n", model, weights, external=True)
        write_onnx(tmp_path / "m\n", model, weights, external=False)

    def test_damage_on_the_way_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_bytes(bytes(8192))
        damaged = FileTensor(DTYPES["float32"], (2048,), tmp_path / "data", 0, name="w", crc32c=1)
        for external in False, True:
            with pytest.raises(FormatError, match="expected checksum 00000001 for 'w'"):
                write_onnx(tmp_path / "m", empty_model(), {"a": ArrayTensor(W), "w": damaged}, external=external)
            assert os.listdir(tmp_path) == ["data"]

    def test_memory_stays_small(self, tmp_path: Path) -> None:
        """160 MB of weights, written inside and outside, and read again, in less than the memory of one of them."""
        code = """
import resource, sys
import numpy as np, onnx
from onnx import helper
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.onnx_file import write_onnx, read_onnx_initializers
from tensorferry.formats.tensor import FileTensor
model = helper.make_model(helper.make_graph([], "g", [], []))
weights = {str(i): FileTensor(FLOAT32, (10_000_000,), sys.argv[1] + "/data", 0) for i in range(4)}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for external in False, True:
    path = f"{sys.argv[1]}/{external}"
    write_onnx(path, model, weights, external=external)
    found = read_onnx_initializers(path)
    assert sum(len(chunk) for tensor in found.values() for chunk in tensor.chunks()) == 160_000_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
        with (tmp_path / "data").open("wb") as file:
            file.truncate(40_000_000)
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert int(done.stdout) < 30


def test_all_types_without_a_place_are_listed(tmp_path: Path) -> None:
    names = ["qint8", "quint16", "resource", "float8_e4m3b11fnuz", "float32"]
    tensors: dict[str, Tensor] = {name: SplatTensor(np.zeros(()), (2,), DTYPES[name]) for name in names}
    with pytest.raises(UnsupportedError) as error:
        write_onnx(tmp_path / "m", empty_model(), tensors)
    assert str(error.value) == (
        "onnx: has no type for 'qint8' (qint8), 'quint16' (quint16), 'resource' (resource), "
        "'float8_e4m3b11fnuz' (float8_e4m3b11fnuz) (exclude or convert them)"
    )
    assert os.listdir(tmp_path) == []


def test_an_initializer_twice(tmp_path: Path) -> None:
    model = empty_model(initializer=[numpy_helper.from_array(B, "b")])
    with pytest.raises(GraphError, match="m: expected each initializer once, got 'b' in the graph already"):
        write_onnx(tmp_path / "m", model, {"b": ArrayTensor(B)})


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as error:
        write_onnx(tmp_path / "m", empty_model(), {"a\ud800": ArrayTensor(B)})
    assert str(error.value) == r"onnx: can't hold an initializer named 'a\ud800' (rename it)"


def test_force(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"old")
    with pytest.raises(DestinationError, match="exists already"):
        write_onnx(tmp_path / "m", empty_model(), {})
    write_onnx(tmp_path / "m", empty_model(), {}, force=True)
    assert onnx.load(tmp_path / "m") == empty_model()


@given(
    arrays=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
        st.sampled_from(WIDE[:14]).flatmap(
            lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, min_side=0, max_side=20))
        ),
        max_size=4,
    ),
    external=st.booleans(),
    threshold=st.sampled_from([0, 1, 100, 1024]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any], external: bool, threshold: int
) -> None:
    path = tmp_path_factory.mktemp("a") / "m"
    tensors = {name: ArrayTensor(array) for name, array in arrays.items()}
    write_onnx(path, empty_model(), tensors, external=external, threshold_bytes=threshold)
    expected = {name: (array.dtype.name, array.shape, array.tobytes()) for name, array in arrays.items()}
    found = read_onnx_initializers(path)
    assert {name: (t.dtype.name, t.shape, t.tobytes()) for name, t in found.items()} == expected
    assert {name: (a.dtype.name, a.shape, a.tobytes()) for name, a in values(path).items()} == expected
