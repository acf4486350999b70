"""onnx_initializers: the weights of models that onnx wrote, and of hostile ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensorferry.formats.errors import FormatError, TensorferryError, UnsupportedError
from tensorferry.formats.onnx_initializers import read_onnx_initializers
from tensorferry.formats.tensor import FileTensor
from tensorferry.formats.wire import head

NUMBERS = [number for name, number in TensorProto.DataType.items() if name not in ("UNDEFINED", "STRING")]
NAMES = {number: name for name, number in TensorProto.DataType.items()}


def model_of(*initializers: onnx.TensorProto, **rest: Any) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], [], initializer=list(initializers), **rest))


def saved(path: Path, *initializers: onnx.TensorProto, **rest: Any) -> Path:
    path.write_bytes(model_of(*initializers, **rest).SerializeToString())
    return path


def named(name: str, **fields: Any) -> onnx.TensorProto:
    return onnx.TensorProto(name=name, **fields)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("number", NUMBERS, ids=NAMES.get)
def test_every_type(tmp_path: Path, number: int, raw: bool) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(number)
    if "float6_" in dtype.name:
        pytest.skip("no tensor of ours has it")
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(np.float32).astype(dtype)
    if raw:
        message = numpy_helper.from_array(array, "x")
    else:
        message = helper.make_tensor("x", number, (2, 3), array)
        assert not message.raw_data
    tensor = read_onnx_initializers(saved(tmp_path / "m", message))["x"]
    expected = numpy_helper.to_array(message)
    assert tensor.shape == (2, 3)
    assert tensor.dtype.numpy() == tensor.numpy().dtype == expected.dtype
    assert tensor.numpy().tobytes() == expected.tobytes()
    assert tensor.tobytes() == expected.tobytes()


def test_odd_nibbles(tmp_path: Path) -> None:
    array = np.array([-8, 7, -1]).astype(ml_dtypes.int4)
    tensor = read_onnx_initializers(saved(tmp_path / "m", numpy_helper.from_array(array, "x")))["x"]
    assert tensor.numpy().astype(int).tolist() == [-8, 7, -1]
    assert np.frombuffer(tensor.tobytes(), ml_dtypes.int4).astype(int).tolist() == [-8, 7, -1]


def test_strings(tmp_path: Path) -> None:
    message = named("s", data_type=TensorProto.STRING, dims=[2, 1], string_data=[b"\xff\0", b""])
    tensor = read_onnx_initializers(saved(tmp_path / "m", message))["s"]
    assert tensor.numpy().tolist() == [[b"\xff\0"], [b""]]
    with pytest.raises(UnsupportedError, match="expected a type of fixed width, got string"):
        tensor.tobytes()


def test_scalars_and_empties(tmp_path: Path) -> None:
    arrays = {"scalar": np.array(1.5), "none": np.empty((0, 3), np.int32)}
    path = saved(tmp_path / "m", *(numpy_helper.from_array(array, name) for name, array in arrays.items()))
    found = read_onnx_initializers(path)
    assert list(found) == ["scalar", "none"]
    assert found["scalar"].numpy().tolist() == 1.5
    assert found["none"].shape == found["none"].numpy().shape == (0, 3)
    assert read_onnx_initializers(saved(tmp_path / "n", named("x", data_type=1, dims=[0])))["x"].numpy().tolist() == []


def test_values_in_the_file_are_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "m", numpy_helper.from_array(np.arange(1000.0), "x"))
    tensor = read_onnx_initializers(path)["x"]
    assert isinstance(tensor, FileTensor)
    assert path.read_bytes()[tensor.offset : tensor.offset + tensor.nbytes] == np.arange(1000.0).tobytes()


def test_external_data_by_onnx(tmp_path: Path) -> None:
    arrays = {"a": np.arange(1000.0), "b": np.arange(600).astype(np.int8), "c": np.arange(3)}
    arrays["n"] = np.arange(1000).astype(ml_dtypes.uint4)
    model = model_of(*(numpy_helper.from_array(array, name) for name, array in arrays.items()))
    onnx.save(model, tmp_path / "m", save_as_external_data=True, location="weights.bin", size_threshold=100)
    found = read_onnx_initializers(tmp_path / "m")
    for name, array in arrays.items():
        assert found[name].numpy().dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()
    assert sorted(os.listdir(tmp_path)) == ["m", "weights.bin"]


def test_external_data_in_a_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.bin").write_bytes(np.arange(4.0).tobytes())
    saved(tmp_path / "m", external("x", {"location": "deep/x.bin"}, dims=[4]))
    assert read_onnx_initializers("m")["x"].numpy().tolist() == [0, 1, 2, 3]


def test_no_weights(tmp_path: Path) -> None:
    assert dict(read_onnx_initializers(saved(tmp_path / "m"))) == {}
    (tmp_path / "n").write_bytes(onnx.ModelProto(ir_version=8).SerializeToString())
    assert dict(read_onnx_initializers(tmp_path / "n")) == {}


def test_a_graph_in_two_pieces(tmp_path: Path) -> None:
    """protobuf merges a message field that comes twice."""
    pieces = [model_of(numpy_helper.from_array(np.array(value), name)) for name, value in (("a", 1), ("b", 2))]
    data = b"".join(piece.SerializeToString() for piece in pieces)
    (tmp_path / "m").write_bytes(data)
    assert [i.name for i in onnx.load(tmp_path / "m").graph.initializer] == ["a", "b"]
    assert {name: int(t.numpy()) for name, t in read_onnx_initializers(tmp_path / "m").items()} == {"a": 1, "b": 2}


def test_a_type_of_tomorrow_is_told_but_not_read(tmp_path: Path) -> None:
    tensor = read_onnx_initializers(saved(tmp_path / "m", named("x", data_type=99, dims=[2], raw_data=b"?")))["x"]
    assert (tensor.shape, str(tensor.dtype)) == ((2,), "onnx:99")
    with pytest.raises(UnsupportedError, match="no array holds 'x', of type onnx:99"):
        tensor.numpy()


def external(name: str, entries: dict[str, str], dims: tuple[int, ...] | list[int] = (2,), data_type: int = 11) -> Any:
    message = named(name, data_type=data_type, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        message.external_data.add(key=key, value=value)
    return message


def cut(message: onnx.TensorProto) -> bytes:
    """A model whose only initializer is not all there."""
    tensor: bytes = message.SerializeToString()[:-1]
    graph = head(5, len(tensor)) + tensor
    return head(7, len(graph)) + graph


def at(location: str, **entries: str) -> list[onnx.TensorProto]:
    """The one initializer `x`, in another file."""
    return [external("x", {"location": location, **entries})]


FLOATS = {"data_type": 1, "dims": [2]}
HOSTILE: dict[str, tuple[list[onnx.TensorProto] | bytes, str]] = {
    "no model": (b"weights, weights", "expected a protobuf field"),
    "a graph that is a number": (b"\x38\x01", "expected a message at byte 0, got a number"),
    "an initializer that is a number": (b"\x3a\x02\x28\x01", "expected a message at byte 2, got a number"),
    "raw data that are a number": (b"\x3a\x04\x2a\x02\x48\x01", "expected a message at byte 4, got a number"),
    "a graph beyond the file": (b"\x3a\x7f\x28\x01", "expected a protobuf field of 127 bytes at byte 2, got 2"),
    "a tensor beyond the graph": (b"\x3a\x02\x2a\x05abcdefg", "expected a protobuf field of 5 bytes at byte 4, got 0"),
    "a tensor that is cut": (cut(named("x", **FLOATS, raw_data=b"12345678")), "expected a protobuf field of 8 bytes"),
    "a name that is no text": (b"\x3a\x05\x2a\x03\x42\x01\xff", r"expected text in UTF-8, got b'\xff'"),
    "one name twice": ([named("x", **FLOATS, raw_data=bytes(8))] * 2, "expected one initializer 'x', got two"),
    "too few raw bytes": ([named("x", **FLOATS, raw_data=bytes(7))], "expected 8 bytes of float32 [2] in 'x', got 7"),
    "too many raw bytes": ([named("x", **FLOATS, raw_data=bytes(9))], "expected 8 bytes of float32 [2] in 'x', got 9"),
    "half a nibble": (
        [named("x", data_type=21, dims=[3], raw_data=b"1")],
        "expected 2 bytes of uint4 [3] in 'x', got 1",
    ),
    "a negative shape": ([named("x", data_type=1, dims=[-1])], "expected a shape for 'x', got [-1]"),
    "an overflow": ([named("x", data_type=1, dims=[1 << 62, 2])], "expected a shape for 'x', got [46116860"),
    "an overflow times 0": ([named("x", data_type=1, dims=[1 << 62, 2, 0])], "expected a shape for 'x', got [46116"),
    "external strings": ([external("x", {"location": "w"}, data_type=8)], "expected the strings 'x' in the model, got"),
    "no location": ([external("x", {})], "expected a reference to a file beside it, got ''"),
    "an absolute location": (at("/etc/passwd"), "a reference to a file beside it, got '/etc/passwd'"),
    "a location that climbs": (at("a/../../w"), "a reference to a file beside it, got 'a/../../w'"),
    "a location that is not there": (at("v"), "expected the file 'v' beside it, got none"),
    "a location that is a directory": (at("."), "expected the file '.' beside it, got none"),
    "a link that leads out": (at("out"), "expected the file 'out' beside it, got a link that leads"),
    "memory instead of a file": (at("*/_ORT_MEM_ADDR_/*", offset="1"), "beside it, got none"),
    "a negative offset": (at("w", offset="-8"), "expected a number of bytes for 'x', got '-8'"),
    "an offset of other digits": (at("w", offset="٣"), "expected a number of bytes for 'x', got"),
    "an offset of many digits": (at("w", offset="9" * 20), "expected a number of bytes for 'x'"),
    "an offset beyond the end": (
        at("w", offset="17"),
        "w: expected 0 bytes of 'x' at byte 17, got the end of the file at byte 16",
    ),
    "a length beyond the end": (
        at("w", offset="8", length="16"),
        "w: expected 16 bytes of 'x' at byte 8, got the end of the file at byte 16",
    ),
    "another length": (at("w", length="8"), "expected 16 bytes of float64 [2] in 'x', got 8"),
    "another length by default": (at("w", offset="1"), "expected 16 bytes of float64 [2] in 'x', got 15"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(tmp_path: Path, name: str) -> None:
    given, problem = HOSTILE[name]
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret").write_bytes(bytes(16))
    (home / "w").write_bytes(bytes(16))
    (home / "out").symlink_to("../secret")
    path = home / "m"
    if isinstance(given, bytes):
        path.write_bytes(given)
    else:
        saved(path, *given)
    with pytest.raises(FormatError) as error:
        read_onnx_initializers(path)
    assert str(error.value).startswith(str(home))
    assert problem in str(error.value)


TYPED = {
    "too few values": (named("x", **FLOATS, float_data=[1]), "expected float32 [2] in 'x', got: "),
    "too many values": (named("x", **FLOATS, float_data=[1, 2, 3]), "expected float32 [2] in 'x', got: "),
    "no values": (named("x", **FLOATS), "expected float32 [2] in 'x', got: "),
    "another field's values": (named("x", **FLOATS, int64_data=[1, 2]), "expected float32 [2] in 'x', got: "),
    "a claim of 4 EB": (named("x", data_type=1, dims=[1 << 60], float_data=[1]), "expected float32 [11529215046"),
    "numbers beyond the type": (named("x", data_type=3, dims=[1], int32_data=[1 << 30]), None),
    "too few strings": (named("x", data_type=8, dims=[2], string_data=[b"a"]), "expected string [2] in 'x', got: "),
    "half a complex": (named("x", data_type=14, dims=[1], float_data=[1]), "expected complex64 [1] in 'x', got: "),
    "too few nibbles": (named("x", data_type=22, dims=[3], int32_data=[1]), "expected int4 [3] in 'x', got: "),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPED)
def test_hostile_values(tmp_path: Path, name: str) -> None:
    """What the typed fields hold shows when they are read."""
    message, problem = TYPED[name]
    path = saved(tmp_path / "m", message)
    tensor = read_onnx_initializers(path)["x"]
    if problem is None:
        tensor.numpy()
        return
    with pytest.raises(FormatError) as error:
        tensor.numpy()
    assert str(error.value).startswith(f"{path}: {problem}")


def test_unsupported(tmp_path: Path) -> None:
    sparse = onnx.SparseTensorProto(values=numpy_helper.from_array(np.zeros(1), "v"), dims=[3])
    with pytest.raises(UnsupportedError, match="sparse initializers are not read"):
        read_onnx_initializers(saved(tmp_path / "a", sparse_initializer=[sparse]))
    segment = onnx.TensorProto.Segment(begin=0, end=1)
    with pytest.raises(UnsupportedError, match="'x' is cut into segments"):
        read_onnx_initializers(saved(tmp_path / "b", named("x", **FLOATS, segment=segment)))
    with pytest.raises(UnsupportedError, match="expected at most 32 dimensions of 'x', got 33"):
        read_onnx_initializers(saved(tmp_path / "c", named("x", data_type=1, dims=[1] * 33)))
    with pytest.raises(FormatError, match="expected an ONNX model, got no such file"):
        read_onnx_initializers(tmp_path / "d")


def test_truncation_at_every_length(tmp_path: Path) -> None:
    """A prefix is refused, or is itself a message, of which onnx reads the same."""
    path = saved(tmp_path / "m", numpy_helper.from_array(np.arange(3), "a"), helper.make_tensor("b", 1, [2], [1, 2]))
    data = path.read_bytes()
    refused = 0
    for length in range(len(data)):
        path.write_bytes(data[:length])
        try:
            ours = {name: tensor.numpy().tolist() for name, tensor in read_onnx_initializers(path).items()}
        except TensorferryError:
            refused += 1
            continue
        graph = onnx.ModelProto.FromString(data[:length]).graph
        assert ours == {i.name: numpy_helper.to_array(i).tolist() for i in graph.initializer}
    assert refused > 0.8 * len(data)


def test_a_flipped_bit_anywhere(tmp_path: Path) -> None:
    """An error of ours, or a result: never another exception."""
    path = saved(
        tmp_path / "m",
        numpy_helper.from_array(np.arange(3), "a"),
        helper.make_tensor("b", 1, [2], [1, 2]),
        external("c", {"location": "m", "offset": "0", "length": "16"}),
    )
    data = path.read_bytes()
    refused = 0
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                for tensor in read_onnx_initializers(path).values():
                    tensor.numpy()
            except TensorferryError:
                refused += 1
    assert refused > len(data)
