"""safetensors_file: byte for byte what the library writes, and no more than it accepts."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import SafetensorError, TensorSpec, deserialize, serialize, serialize_file

from tensorferry.formats import safetensors_file
from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import DestinationError, FormatError, TensorferryError, UnsupportedError
from tensorferry.formats.packed import pack
from tensorferry.formats.safetensors_file import (
    read_safetensors,
    read_safetensors_index,
    safetensors_header,
    write_safetensors,
)
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor, Tensor

LIBRARY = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
    "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "complex64",
]  # fmt: skip
"""The types of ours that the library knows by the same name."""


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def by_library(arrays: Mapping[str, np.ndarray[Any, Any]], metadata: dict[str, str] | None = None) -> bytes:
    arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
    specs = {
        name: TensorSpec(dtype=a.dtype.name, shape=list(a.shape), data_ptr=a.ctypes.data, data_len=a.nbytes)
        for name, a in arrays.items()
    }
    return bytes(serialize(specs, metadata=metadata))


def by_us(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    write_safetensors(file, tensors, metadata)
    return file.getvalue()


def tensors_of(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Tensor]:
    return {name: ArrayTensor(array) for name, array in arrays.items()}


def one_of_each() -> dict[str, np.ndarray[Any, Any]]:
    """Every type twice, in an order of its own."""
    arrays = {}
    for index, name in enumerate(LIBRARY):
        size = dtype_of(name).itemsize
        for prefix in "ba":
            arrays[prefix + name] = np.arange(6 * size, dtype=np.uint8).view(dtype_of(name)).reshape(2, 3)[: index % 3]
    arrays["scalar"] = np.array(7, np.float32)
    return arrays


def file_of(header: Any, data: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


class TestWrite:
    def test_golden_bytes(self) -> None:
        """Written out by hand from the format's description."""
        expected = (
            b"\x70\0\0\0\0\0\0\0"
            b'{"w":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},'
            b'"b":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}       '
            b"\1\0\2\0\7"
        )
        assert by_us(tensors_of({"b": np.array(7, np.uint8), "w": np.array([1, 2], np.int16)})) == expected

    def test_every_type_as_the_library(self) -> None:
        arrays = one_of_each()
        assert by_us(tensors_of(arrays)) == by_library(arrays)

    def test_a_file_as_the_library(self, tmp_path: Path) -> None:
        arrays = one_of_each()
        specs = {
            name: TensorSpec(dtype=a.dtype.name, shape=list(a.shape), data_ptr=a.ctypes.data, data_len=a.nbytes)
            for name, a in arrays.items()
        }
        serialize_file(specs, tmp_path / "theirs", metadata={"format": "pt"})
        write_safetensors(tmp_path / "ours", tensors_of(arrays), {"format": "pt"})
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
        assert sorted(os.listdir(tmp_path)) == ["ours", "theirs"]

    @pytest.mark.parametrize("count", range(9))
    def test_every_padding(self, count: int) -> None:
        arrays = {"x" * count: np.zeros(3, np.float32)}
        assert by_us(tensors_of(arrays)) == by_library(arrays)

    def test_no_tensors(self) -> None:
        assert by_us({}) == by_library({}) == b"\x08\0\0\0\0\0\0\0{}      "

    def test_empty_metadata_are_left_out(self) -> None:
        """Some loaders trip over them."""
        assert by_us({}, {}) == by_us({})

    def test_metadata_are_in_order(self) -> None:
        written = by_us({}, {"b": "2", "a": "1", "c": "3"})
        assert written[8:].rstrip() == b'{"__metadata__":{"a":"1","b":"2","c":"3"}}'

    def test_float4(self) -> None:
        values = np.arange(16, dtype=np.uint8).reshape(2, 8)
        packed = np.frombuffer(b"".join(pack([values.tobytes()], 4)), np.uint8).reshape(2, 4)
        spec = TensorSpec(dtype="float4_e2m1fn_x2", shape=[2, 4], data_ptr=packed.ctypes.data, data_len=packed.nbytes)
        ours = by_us({"x": ArrayTensor(values.view(ml_dtypes.float4_e2m1fn))})
        assert ours == bytes(serialize({"x": spec}))

    @pytest.mark.parametrize("layout", ["transposed", "strided", "reversed", "big-endian", "broadcast"])
    def test_any_layout(self, layout: str) -> None:
        base = np.arange(24, dtype="<i4").reshape(4, 6)
        array = {
            "transposed": base.T,
            "strided": base[:, ::2],
            "reversed": base[::-1],
            "big-endian": base.astype(">i4"),
            "broadcast": np.broadcast_to(base[0], (3, 6)),
        }[layout]
        assert by_us(tensors_of({"x": array})) == by_library({"x": np.ascontiguousarray(array, "<i4")})

    def test_splats_and_files(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_bytes(bytes(range(40)))
        written = by_us(
            {
                "splat": SplatTensor(np.array(1.5, np.float32), (2, 3), DTYPES["float32"]),
                "file": FileTensor(DTYPES["int32"], (3, 2), tmp_path / "data", 8),
                "big": FileTensor(DTYPES["int16"], (3,), tmp_path / "data", 1, big_endian=True),
            }
        )
        arrays = {
            "splat": np.full((2, 3), 1.5, np.float32),
            "file": np.arange(8, 32, dtype=np.uint8).view("<i4").reshape(3, 2),
            "big": np.arange(1, 7, dtype=np.uint8).view(">i2").astype("<i2"),
        }
        assert written == by_library(arrays)

    @given(
        arrays=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__"),
            st.sampled_from([n for n in LIBRARY if "float8" not in n and n != "bfloat16"]).flatmap(
                lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
            ),
            max_size=5,
        ),
        metadata=st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=1, max_size=1),
    )
    def test_any_names_and_shapes(self, arrays: dict[str, Any], metadata: dict[str, str] | None) -> None:
        assert by_us(tensors_of(arrays), metadata) == by_library(arrays, metadata)

    def test_as_one_of_several_files(self, tmp_path: Path) -> None:
        with OutputSet() as files:
            write_safetensors(tmp_path / "a.st", {"x": ArrayTensor(np.arange(3))}, files=files)
            assert read_safetensors(files.parts()[str(tmp_path / "a.st")])["x"].numpy().tolist() == [0, 1, 2]
            assert not [name for name in os.listdir(tmp_path) if name.startswith("a")]
        assert [name[0] for name in os.listdir(tmp_path)] == ["a"]

    def test_force(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")
        with pytest.raises(DestinationError, match="exists already"):
            write_safetensors(path, {})
        write_safetensors(path, {}, force=True)
        assert path.read_bytes() == by_us({})

    def test_damage_on_the_way_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_bytes(bytes(16))
        damaged = FileTensor(DTYPES["float32"], (4,), tmp_path / "data", 0, name="w", crc32c=1)
        with pytest.raises(FormatError, match="expected checksum 00000001 for 'w'"):
            write_safetensors(tmp_path / "a", {"w": damaged})
        assert os.listdir(tmp_path) == ["data"]

    def test_the_header_costs_no_reading(self) -> None:
        class Unread(Tensor):
            def chunks(self) -> Iterator[bytes]:
                raise AssertionError

            def numpy(self) -> Any:
                raise AssertionError

        header, order = safetensors_header(
            {"a": Unread(DTYPES["int8"], (3,)), "b": Unread(DTYPES["int64"], (1 << 50,))}
        )
        assert order == ["b", "a"]
        assert json.loads(header[8:])["a"]["data_offsets"] == [1 << 53, (1 << 53) + 3]

    def test_all_types_without_a_place_are_listed(self, tmp_path: Path) -> None:
        tensors: dict[str, Tensor] = {"fine": ArrayTensor(np.zeros(2))}
        for name in "string", "complex128", "int4", "uint2", "qint8", "float8_e4m3b11fnuz", "resource":
            tensors[f"a {name}"] = SplatTensor(np.zeros(()), (2,), DTYPES[name])
        with pytest.raises(UnsupportedError) as error:
            write_safetensors(tmp_path / "a", tensors)
        assert str(error.value) == (
            "safetensors: has no type for 'a string' (string), 'a complex128' (complex128), 'a int4' (int4), "
            "'a uint2' (uint2), 'a qint8' (qint8), 'a float8_e4m3b11fnuz' (float8_e4m3b11fnuz), "
            "'a resource' (resource) (--unstorable says what to do, or --exclude them)"
        )
        assert os.listdir(tmp_path) == []

    def test_names_without_a_place(self) -> None:
        tensor = ArrayTensor(np.zeros(2))
        with pytest.raises(UnsupportedError) as error:
            by_us({"__metadata__": tensor, "a\ud800": tensor, "fine": tensor})
        assert str(error.value) == (r"safetensors: can't hold tensors named '__metadata__', 'a\ud800' (rename them)")

    def test_half_a_byte(self) -> None:
        with pytest.raises(UnsupportedError) as error:
            by_us({"x": ArrayTensor(np.zeros(3, ml_dtypes.float4_e2m1fn))})
        assert error.value.problem == "expected an even number of float4 elements, got an odd one in x"
        assert error.value.hint == "--unstorable says what to do, or --exclude them"

    def test_metadata_that_are_no_text(self) -> None:
        with pytest.raises(UnsupportedError, match="safetensors: expected metadata in UTF-8"):
            by_us({}, {"a": "\ud800"})

    def test_a_header_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tensors = tensors_of({"a": np.zeros(2)})
        size = len(safetensors_header(tensors)[0]) - 8
        monkeypatch.setattr(safetensors_file, "HEADER_LIMIT", size)
        safetensors_header(tensors)
        monkeypatch.setattr(safetensors_file, "HEADER_LIMIT", size - 1)
        with pytest.raises(UnsupportedError) as error:
            safetensors_header(tensors)
        expected = f"expected a header of at most {size - 1} bytes, got {size} for 1 tensors"
        assert str(error.value) == f"safetensors: {expected}"


class TestRead:
    def read(self, tmp_path: Path, data: bytes) -> safetensors_file.SafetensorsFile:
        (tmp_path / "a").write_bytes(data)
        return read_safetensors(tmp_path / "a")

    def test_every_type_of_the_library(self, tmp_path: Path) -> None:
        arrays = one_of_each()
        found = self.read(tmp_path, by_library(arrays, {"format": "pt"}))
        assert found.metadata == {"format": "pt"}
        assert sorted(found) == sorted(arrays)
        assert len(found) == len(arrays)
        for name, array in arrays.items():
            assert found[name].dtype.name == array.dtype.name
            assert found[name].shape == array.shape
            assert found[name].numpy().dtype == array.dtype
            assert found[name].tobytes() == array.tobytes()
            assert found[name].numpy().tobytes() == array.tobytes()

    def test_narrow_types(self, tmp_path: Path) -> None:
        header = {
            "f4": entry("F4", [2, 3], [0, 3]),
            "e8": entry("F8_E8M0", [2], [3, 5]),
            "f6": entry("F6_E2M3", [4], [5, 8]),
        }
        found = self.read(tmp_path, file_of(header, bytes([0x21, 0x43, 0x65, 127, 128, 1, 2, 3])))
        assert found["f4"].numpy().astype(float).tolist() == [[0.5, 1.0, 1.5], [2.0, 3.0, 4.0]]
        assert found["e8"].numpy().astype(float).tolist() == [1.0, 2.0]
        assert (found["f6"].shape, str(found["f6"].dtype)) == ((4,), "float6_e2m3fn")
        with pytest.raises(UnsupportedError, match="no array holds 'f6', of type float6_e2m3fn"):
            found["f6"].numpy()

    def test_the_order_is_that_of_the_header(self, tmp_path: Path) -> None:
        header = {"b": entry(offsets=[4, 8]), "a": entry(offsets=[0, 4])}
        found = self.read(tmp_path, file_of(header, b"\0\0\x80\x3f\0\0\0\x40"))
        assert list(found) == ["b", "a"]
        assert (found["b"].numpy().tolist(), found["a"].numpy().tolist()) == ([2.0], [1.0])

    @given(
        arrays=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__"),
            st.sampled_from(LIBRARY[:12]).flatmap(lambda n: hnp.arrays(n, hnp.array_shapes(min_dims=0, min_side=0))),
            max_size=5,
        ),
        metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    )
    def test_what_is_written_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any], metadata: dict[str, str]
    ) -> None:
        found = self.read(tmp_path_factory.mktemp("a"), by_us(tensors_of(arrays), metadata))
        assert found.metadata == metadata
        assert {name: (t.dtype.name, t.shape, t.tobytes()) for name, t in found.items()} == {
            name: (a.dtype.name, a.shape, a.tobytes()) for name, a in arrays.items()
        }

    def test_truncation_at_every_length(self, tmp_path: Path) -> None:
        data = by_library({"a": np.arange(3), "b": np.zeros(2, np.int8)}, {"k": "v"})
        for length in range(len(data)):
            with pytest.raises(FormatError):
                self.read(tmp_path, data[:length])
        assert len(self.read(tmp_path, data)) == 2

    def test_a_flipped_bit_anywhere_in_the_header(self, tmp_path: Path) -> None:
        """An error, or a file that the library takes as well and in the same way: never anything else."""
        data = by_library({"ab": np.arange(3), "c": np.zeros(2, np.int8)}, {"k": "v"})
        size = int.from_bytes(data[:8], "little")
        refused = 0
        for at in range(8 + size):
            for bit in 1, 2, 16, 64:
                flipped = bytearray(data)
                flipped[at] ^= bit
                try:
                    found = self.read(tmp_path, bytes(flipped))
                    ours = {name: (t.shape, t.tobytes()) for name, t in found.items()}
                except TensorferryError:
                    refused += 1
                    continue
                theirs = {name: (tuple(i["shape"]), bytes(i["data"])) for name, i in deserialize(bytes(flipped))}  # type: ignore[no-untyped-call]
                assert ours == theirs
        assert refused > 2 * size


def one(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4), data: bytes = b"1234") -> bytes:
    """A file of the one tensor `a`."""
    return file_of({"a": entry(dtype, shape, offsets)}, data)


I4 = json.dumps(entry()).encode()
HUGE = 1 << 62

HOSTILE = {
    "empty": (b"", "the header's length (8 bytes) at byte 0, got the end of the file at byte 0"),
    "seven bytes": (b"\0" * 7, "the header's length (8 bytes) at byte 0, got the end of the file at byte 7"),
    "no header": (b"\0" * 8, "expected a JSON object, got b''"),
    "length beyond the file": (b"\x09" + b"\0" * 7 + b"{}      ", "the header (9 bytes) at byte 8"),
    "length beyond the limit": (
        (100_000_001).to_bytes(8, "little") + b"{}",
        "expected a header of at most 100000000 bytes, got a length of 100000001",
    ),
    "length of 2**64-1": (b"\xff" * 8 + b"{}", "got a length of 18446744073709551615"),
    "no JSON": (file_of(b"{]"), "expected a JSON object, got: Expecting property name"),
    "a blank first": (file_of(b' {"a":' + I4 + b"}", b"1234"), "expected a JSON object, got b' {"),
    "a list": (file_of(b"[]"), "expected a JSON object, got b'[]'"),
    "two objects": (file_of(b"{}{}"), "expected a JSON object, got: Extra data"),
    "no UTF-8": (file_of(b'{"\xff":' + I4 + b"}", b"1234"), "expected a JSON object, got: 'utf-8' codec can't decode"),
    "half a surrogate": (file_of(b'{"\\ud800":' + I4 + b"}", b"1234"), "surrogates not allowed"),
    "deep": (file_of(b'{"a":' + b"[" * 100_000), "expected a JSON object, got: "),
    "NaN": (file_of(b'{"a":NaN}'), "no JSON value is spelled NaN"),
    "a number of 5000 digits": (file_of(b'{"a":' + b"1" * 5000 + b"}"), "expected a JSON object, got: "),
    "a name twice": (file_of(b'{"a":' + I4 + b',"a":' + I4 + b"}", b"1234"), "expected each key once, got 'a' 2 times"),
    "a key twice": (file_of(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "expected each key once, got 'dtype' 2 times"),
    "metadata twice": (file_of(b'{"__metadata__":{"k":"v","k":"v"}}'), "expected each key once, got 'k' 2 times"),
    "metadata of numbers": (file_of({"__metadata__": {"k": 1}}), 'expected strings in __metadata__, got {"k": 1}'),
    "metadata null": (file_of({"__metadata__": None}), "expected strings in __metadata__, got null"),
    "an entry that is none": (file_of({"a": 3}), "expected dtype, shape and data_offsets of 'a', got 3"),
    "no dtype": (file_of({"a": {"shape": [], "data_offsets": [0]}}), "expected dtype, shape and data_offsets of 'a'"),
    "a key too many": (file_of({"a": {**entry(), "x": 1}}), "expected dtype, shape and data_offsets of 'a', got"),
    "an unknown dtype": (one("F33"), "expected a dtype for 'a', got \"F33\""),
    "a dtype that is a list": (one(["F32"]), "expected a dtype for 'a', got [\"F32\"]"),
    "a shape of booleans": (one(shape=[True]), "expected a shape for 'a', got [true]"),
    "a shape of floats": (one(shape=[1.0]), "expected a shape for 'a', got [1.0]"),
    "a negative shape": (one(shape=[-1]), "expected a shape for 'a', got [-1]"),
    "a shape of 2**63": (one(shape=[1 << 63, 0]), "expected a shape for 'a', got [92233720368547"),
    "a shape that is none": (one(shape=3), "expected a shape for 'a', got 3"),
    "an overflow": (one(shape=[HUGE, HUGE]), "expected a size below 2**60 bytes for 'a', got"),
    "an overflow times nothing": (
        one(shape=[HUGE, HUGE, 0], offsets=[0, 0], data=b""),
        "expected a size below 2**60 bytes for 'a', got",
    ),
    "an overflow that wraps to the size": (
        one(shape=[(1 << 62) + 1]),
        "expected a size below 2**60 bytes for 'a', got",
    ),
    "offsets of floats": (one(offsets=[0.0, 4]), "expected a begin and an end for 'a'"),
    "offsets of booleans": (one(offsets=[False, 4]), "expected a begin and an end for 'a'"),
    "one offset": (one(offsets=[0]), "expected a begin and an end for 'a', got [0]"),
    "offsets backwards": (one(offsets=[4, 0]), "expected a begin and an end for 'a', got [4, 0]"),
    "a negative offset": (one(offsets=[-4, 0]), "expected a begin and an end for 'a', got [-4, 0]"),
    "too few bytes": (one(offsets=[0, 3], data=b"123"), "expected 4 bytes of F32 [1] for 'a', got 3"),
    "too many bytes": (one(offsets=[0, 5], data=b"12345"), "expected 4 bytes of F32 [1] for 'a', got 5"),
    "half a byte": (one("F4", [3], [0, 2], data=b"12"), "expected 1.5 bytes of F4 [3] for 'a', got 2"),
    "a hole before": (one(offsets=[4, 8], data=b"12345678"), "expected the data of 'a' at offset 0, got 4"),
    "a hole between": (
        file_of({"a": entry(), "b": entry(offsets=[5, 9])}, b"123456789"),
        "expected the data of 'b' at offset 4, got 5",
    ),
    "an overlap": (
        file_of({"a": entry(), "b": entry(offsets=[2, 6])}, b"123456"),
        "expected the data of 'b' at offset 4, got 2",
    ),
    "the same twice": (file_of({"a": entry(), "b": entry()}, b"1234"), "expected the data of 'b' at offset 4, got 0"),
    "a tail": (one(data=b"12345"), "expected 4 bytes of data after the header, got 5"),
    "a short end": (one(data=b"123"), "expected 4 bytes of data after the header, got 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(tmp_path: Path, name: str) -> None:
    data, problem = HOSTILE[name]
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError) as error:
        read_safetensors(path)
    assert str(error.value).startswith(f"{path}: ")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


ACCEPTED_THERE = {"a blank first", "a name twice", "metadata twice", "metadata null", "a key too many",
                  "a shape of 2**63"}  # fmt: skip
"""What the library takes and we don't. The format's description forbids the first three; the others mean nothing."""


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ACCEPTED_THERE])
def test_the_library_refuses_it_too(name: str) -> None:
    with pytest.raises(SafetensorError):
        deserialize(HOSTILE[name][0])  # type: ignore[no-untyped-call]


def test_more_dimensions_than_an_array_has(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(one(shape=[1] * 33))
    with pytest.raises(UnsupportedError, match="expected at most 32 dimensions of 'a', got 33"):
        read_safetensors(tmp_path / "a")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a safetensors file, got no such file"):
        read_safetensors(tmp_path / "a")


class TestIndex:
    @pytest.fixture
    def shards(self, tmp_path: Path) -> Path:
        """Two shards by the library, and room for the index beside them."""
        (tmp_path / "one.safetensors").write_bytes(by_library({"a": np.arange(3), "b": np.zeros(2)}, {"format": "pt"}))
        (tmp_path / "two.safetensors").write_bytes(by_library({"c": np.arange(4, dtype=np.int8)}, {"format": "np"}))
        return tmp_path / "model.safetensors.index.json"

    def index(self, path: Path, weight_map: Any, **rest: Any) -> Any:
        path.write_text(json.dumps({"metadata": {"total_size": 44}, "weight_map": weight_map, **rest}))
        return read_safetensors_index(path)

    def test_all_shards_are_one(self, shards: Path) -> None:
        found = self.index(shards, {"c": "two.safetensors", "a": "one.safetensors", "b": "one.safetensors"})
        assert list(found) == ["c", "a", "b"]
        assert found["a"].numpy().tolist() == [0, 1, 2]
        assert found["c"].numpy().tolist() == [0, 1, 2, 3]
        assert found.metadata == {"format": "np"}

    def test_a_shard_that_climbs_out(self, shards: Path) -> None:
        with pytest.raises(FormatError, match=r"expected a reference to a file beside it, got '\.\./one\.safetensors'"):
            self.index(shards, {"a": "../one.safetensors"})

    def test_a_shard_that_is_missing(self, shards: Path) -> None:
        with pytest.raises(FormatError, match=r"expected the file 'three.safetensors' beside it, got none"):
            self.index(shards, {"a": "three.safetensors"})

    def test_a_tensor_that_is_elsewhere(self, shards: Path) -> None:
        weight_map = {"a": "two.safetensors", "b": "one.safetensors", "c": "two.safetensors", "d": "one.safetensors"}
        with pytest.raises(FormatError) as error:
            self.index(shards, weight_map)
        expected = "expected tensors where the index puts them, got no 'a' in two.safetensors, 'd' in one.safetensors"
        assert str(error.value) == f"{shards}: {expected}"

    def test_a_tensor_that_is_not_in_the_index(self, shards: Path) -> None:
        with pytest.raises(FormatError) as error:
            self.index(shards, {"a": "one.safetensors", "c": "two.safetensors"})
        expected = "expected every tensor of the shards in the index, got 'b' in one.safetensors besides"
        assert str(error.value) == f"{shards}: {expected}"

    @pytest.mark.parametrize("weight_map", [None, [], "x", {"a": 1}, {"a": None}])
    def test_no_map(self, shards: Path, weight_map: Any) -> None:
        with pytest.raises(FormatError, match="expected strings in weight_map, got "):
            self.index(shards, weight_map)

    def test_no_json(self, shards: Path) -> None:
        shards.write_bytes(b"weights")
        with pytest.raises(FormatError, match="expected a JSON object, got b'weights'"):
            read_safetensors_index(shards)

    def test_an_index_too_long(self, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(safetensors_file, "HEADER_LIMIT", 10)
        with pytest.raises(FormatError, match="an index of shards of at most 10 bytes, got"):
            self.index(shards, {})
