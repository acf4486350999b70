"""npz_file: what numpy writes is read, and what is written numpy reads."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import DestinationError, FormatError, TensorferryError, UnsupportedError
from tensorferry.formats.npz_file import read_npz, write_npz
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor, Tensor

NATIVE = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
]  # fmt: skip


def npy(array: np.ndarray[Any, Any], version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(file, array, version)
    return file.getvalue()


def npy_of(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """An .npy file with a header of one's own."""
    encoded = header.encode() + b"\n"
    return (
        b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(encoded)) + encoded + data
    )


def npz(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in members.items():
            archive.writestr(name, data)
    return path


class TestRead:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_every_type_of_numpy(self, tmp_path: Path, save: Any) -> None:
        arrays = {}
        for name in NATIVE:
            for order in "<>":
                dtype = np.dtype(order + np.dtype(name).str[1:])
                arrays[f"{name}{order}"] = np.arange(6).reshape(2, 3).astype(dtype)
                arrays[f"{name}{order} by columns"] = np.asfortranarray(arrays[f"{name}{order}"])
                arrays[f"{name}{order} none"] = np.empty((2, 0, 3), dtype)
                arrays[f"{name}{order} scalar"] = np.array(1, dtype)
        save(tmp_path / "a.npz", **arrays)
        found = read_npz(tmp_path / "a.npz")
        assert list(found) == list(arrays)
        assert len(found) == len(arrays)
        for key, array in arrays.items():
            assert found[key].dtype.name == array.dtype.name
            assert found[key].shape == array.shape
            values = found[key].numpy()
            assert values.dtype == np.dtype(array.dtype.name)
            np.testing.assert_array_equal(values, array)
            assert found[key].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()

    def test_in_pieces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tensorferry.formats.npz_file.CHUNK", 100)
        np.savez_compressed(tmp_path / "a.npz", a=np.arange(1000))
        tensor = read_npz(tmp_path / "a.npz")["a"]
        assert {len(chunk) for chunk in tensor.chunks()} == {96, 32}
        assert tensor.tobytes() == np.arange(1000).tobytes()
        assert tensor.numpy().tolist() == list(range(1000))

    def test_strings_become_bytes(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", s=np.array([[b"a", b"bcd"]]), u=np.array(["é", "x", ""]), none=np.empty(0, "U3"))
        found = read_npz(tmp_path / "a.npz")
        assert {name: str(tensor.dtype) for name, tensor in found.items()} == dict.fromkeys(found, "string")
        assert found["s"].numpy().tolist() == [[b"a", b"bcd"]]
        assert found["u"].numpy().tolist() == ["é".encode(), b"x", b""]
        assert found["none"].numpy().tolist() == []
        with pytest.raises(UnsupportedError, match="expected a type of fixed width, got string"):
            found["s"].tobytes()

    @pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
    def test_every_version(self, tmp_path: Path, version: tuple[int, int]) -> None:
        path = npz(tmp_path / "a.npz", {"a.npy": npy(np.arange(3), version)})
        assert read_npz(path)["a"].numpy().tolist() == [0, 1, 2]

    def test_a_member_without_npy_and_one_in_a_folder(self, tmp_path: Path) -> None:
        path = npz(tmp_path / "a.npz", {"a": npy(np.arange(3)), "b/c.npy": npy(np.arange(2))})
        assert {name: tensor.shape for name, tensor in read_npz(path).items()} == {"a": (3,), "b/c": (2,)}

    def test_nothing(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz")
        assert dict(read_npz(tmp_path / "a.npz")) == {}

    @given(
        arrays=st.dictionaries(
            st.from_regex(r"[\w/. -]{1,6}", fullmatch=True).filter(lambda name: not name.endswith(".npy")),
            st.sampled_from(NATIVE).flatmap(lambda n: hnp.arrays(n, hnp.array_shapes(min_dims=0, min_side=0))),
            max_size=4,
        ),
        compressed=st.booleans(),
    )
    def test_whatever_numpy_saves(
        self, tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any], compressed: bool
    ) -> None:
        path = tmp_path_factory.mktemp("a") / "a.npz"
        method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        npz(path, {f"{name}.npy": npy(array) for name, array in arrays.items()}, method)
        found = read_npz(path)
        assert {name: (t.dtype.name, t.shape, t.tobytes()) for name, t in found.items()} == {
            name: (a.dtype.name, a.shape, a.tobytes()) for name, a in arrays.items()
        }

    def test_truncation_at_every_length(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        np.savez(path, a=np.arange(3), b=np.zeros(2))
        data = path.read_bytes()
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(FormatError):
                read_npz(path)

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_a_flipped_bit_anywhere(self, tmp_path: Path, method: int) -> None:
        """An error of ours, or the values as they were: the zip's checksum tells."""
        array = np.arange(3)
        path = npz(tmp_path / "a.npz", {"a.npy": npy(array)}, method)
        data = path.read_bytes()
        refused = 0
        for at in range(len(data)):
            for bit in 1, 8, 128:
                flipped = bytearray(data)
                flipped[at] ^= bit
                path.write_bytes(flipped)
                try:
                    values = {name: tensor.numpy().tolist() for name, tensor in read_npz(path).items()}
                except TensorferryError:
                    refused += 1
                    continue
                assert list(values.values()) in ([[0, 1, 2]], [])
        assert refused > len(data)

    def test_a_damaged_value(self, tmp_path: Path) -> None:
        path = npz(tmp_path / "a.npz", {"a.npy": npy(np.arange(5000))})
        data = bytearray(path.read_bytes())
        data[data.index(np.arange(5000).tobytes()) + 39_000] ^= 1
        path.write_bytes(data)
        tensor = read_npz(path)["a"]
        for read in tensor.numpy, tensor.tobytes:
            with pytest.raises(FormatError) as error:
                read()
            expected = "expected a zip archive in 'a.npy', got: Bad CRC-32 for file 'a.npy'"
            assert str(error.value) == f"{path}: {expected}"

    def test_a_file_that_shrank(self, tmp_path: Path) -> None:
        path = npz(tmp_path / "a.npz", {"a.npy": npy(np.arange(50))})
        tensor = read_npz(path)["a"]
        npz(path, {"a.npy": npy(np.arange(2))})
        with pytest.raises(FormatError, match=r"expected 384 bytes more of 'a.npy', got its end"):
            tensor.numpy()


PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"
OBJECTS = npy(np.array([{}, None], object))
HOSTILE = {
    "pickled objects": (OBJECTS, "expected an array of numbers in 'a.npy', got pickled objects"),
    "no npy": (b"weights, weights", "expected an .npy file of version 1 to 3 in 'a.npy', got b'weights,'"),
    "empty": (b"", "expected an .npy file of version 1 to 3 in 'a.npy', got b''"),
    "version 4": (npy_of(PLAIN, version=4), r"of version 1 to 3 in 'a.npy', got b'\x93NUMPY\x04\x00'"),
    "no header": (b"\x93NUMPY\1\0", "expected a header in 'a.npy', got b''"),
    "half a header": (npy_of(PLAIN)[:-9], "expected a header of 58 bytes in 'a.npy', got 49"),
    "code in the header": (npy_of("__import__('os').abort()"), "expected a header in 'a.npy', got b\"__import__('os"),
    "a deep header": (npy_of("(" * 5000), "expected a header in 'a.npy', got b'((((((("),
    "a long header": (npy_of(" " * 10000), "expected a header of at most 10000 bytes in 'a.npy', got 10001"),
    "no UTF-8": (npy_of("\xff", version=3).replace("\xff".encode(), b"\xff "), "expected a header in 'a.npy', got b'"),
    "a header of another kind": (npy_of("[1, 2]"), "expected a header in 'a.npy', got b'[1, 2]"),
    "a key too many": (npy_of(PLAIN.replace("{", "{'x': 1,")), "expected a header in 'a.npy', got b\"{'x': 1,"),
    "an unknown type": (npy_of(PLAIN.replace("<f4", "<q9")), "expected a dtype in 'a.npy', got '<q9'"),
    "a list of types": (npy_of(PLAIN.replace("<f4", "f4,f4")), "expected a dtype in 'a.npy', got 'f4,f4'"),
    "a type that is a number": (npy_of(PLAIN.replace("'<f4'", "4")), "expected a dtype in 'a.npy', got 4"),
    "too few bytes": (npy_of(PLAIN, b"x" * 11), "expected 12 bytes of float32 [3] in 'a.npy', got 11"),
    "too many bytes": (npy_of(PLAIN, b"x" * 13), "expected 12 bytes of float32 [3] in 'a.npy', got 13"),
    "a negative shape": (npy_of(PLAIN.replace("3", "-3"), b"x" * 12), "expected a shape in 'a.npy', got (-3,)"),
    "a shape of floats": (npy_of(PLAIN.replace("3", "3.0"), b"x" * 12), "expected a shape in 'a.npy', got (3.0,)"),
    "a shape of booleans": (npy_of(PLAIN.replace("3", "True"), b"1234"), "expected a shape in 'a.npy', got (True,)"),
    "a shape that is none": (npy_of(PLAIN.replace("(3,)", "3"), b"x" * 12), "expected a shape in 'a.npy', got 3"),
    "an overflow": (npy_of(PLAIN.replace("3", f"{1 << 62}, 0")), "expected a size below 2**63 bytes of 'a.npy', got"),
    "elements of no size": (npy_of(PLAIN.replace("<f4", "<U0")), "expected elements of a byte or more in 'a.npy'"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_hostile(tmp_path: Path, name: str, method: int) -> None:
    data, problem = HOSTILE[name]
    path = npz(tmp_path / "a.npz", {"a.npy": data}, method)
    with pytest.raises(FormatError) as error:
        read_npz(path)
    assert str(error.value).startswith(f"{path}: ")
    assert problem in str(error.value)


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"weights")
    with pytest.raises(FormatError) as error:
        read_npz(tmp_path / "a.npz")
    assert str(error.value) == f"{tmp_path / 'a.npz'}: expected a zip archive, got: File is not a zip file"
    with pytest.raises(FormatError, match="expected a zip archive, got no such file"):
        read_npz(tmp_path / "none.npz")


@pytest.mark.parametrize("names", [["a.npy", "a"], ["a.npy", "a.npy"]])
def test_two_of_one_name(tmp_path: Path, names: list[str]) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        warnings.simplefilter("ignore")
        for name in names:
            archive.writestr(name, npy(np.zeros(1)))
    with pytest.raises(FormatError, match="expected one array 'a', got two"):
        read_npz(tmp_path / "a.npz")


def test_a_claim_beyond_what_deflate_can_make(tmp_path: Path) -> None:
    """A bomb: the directory's size and the header agree on 4 GB, in some 200 bytes."""
    data = npy_of(PLAIN.replace("3", str(10**9)))
    path = npz(tmp_path / "a.npz", {"a.npy": data}, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\1\2")
    claimed = 4 * 10**9 + len(data)
    struct.pack_into("<I", raw, entry + 24, claimed)
    path.write_bytes(raw)
    with pytest.raises(FormatError, match=f"expected at most [0-9]+ bytes in 'a.npy', got a claim of {claimed}"):
        read_npz(path)


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", {"a.npy": npy(np.zeros(1))})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(UnsupportedError, match=r"the entry 'a.npy' is encrypted"):
        read_npz(path)


def test_another_compression(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", {"a.npy": npy(np.zeros(1))}, zipfile.ZIP_LZMA)
    with pytest.raises(UnsupportedError, match=r"expected 'a.npy' stored or deflated, got method 14"):
        read_npz(path)


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.array(["2020"], "M8[Y]"), "datetime64"),
        (np.zeros(2, [("a", "<f4")]), "records"),
        (np.zeros(2, ml_dtypes.bfloat16), "V2"),
        (np.zeros(2, np.longdouble), "float128"),
    ],
)
def test_types_of_numpy_that_no_tensor_has(tmp_path: Path, array: Any, name: str) -> None:
    if array.dtype == np.float64:
        pytest.skip("long double is double here")
    path = npz(tmp_path / "a.npz", {"a.npy": npy(array)})
    with pytest.raises(UnsupportedError, match=r"no tensor holds 'a.npy', an array of") as error:
        read_npz(path)
    assert name in str(error.value)


def test_more_dimensions_than_an_array_has(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", {"a.npy": npy_of(PLAIN.replace("3,", "1," * 33), b"1234")})
    with pytest.raises(UnsupportedError, match=r"expected at most 32 dimensions of 'a.npy', got 33"):
        read_npz(path)


class TestWrite:
    def test_numpy_reads_every_type(self, tmp_path: Path) -> None:
        arrays: dict[str, Any] = {f"scope/{name}": np.arange(6).reshape(2, 3).astype(name) for name in NATIVE}
        arrays |= {"scalar": np.array(1.5), "none": np.empty((0, 3), np.int8), "turned": np.arange(6).reshape(2, 3).T}
        arrays["é"] = np.arange(3, dtype=">i4")
        path = tmp_path / "a.npz"
        write_npz(path, {name: ArrayTensor(array) for name, array in arrays.items()})
        with np.load(path, allow_pickle=False) as found:
            assert list(found) == list(arrays)
            for name, array in arrays.items():
                assert found[name].dtype == np.dtype(array.dtype.name)
                assert found[name].flags.c_contiguous
                np.testing.assert_array_equal(found[name], array)
        assert os.listdir(tmp_path) == ["a.npz"]

    def test_members_are_as_numpy_writes_them(self, tmp_path: Path) -> None:
        arrays: dict[str, Any] = {name: np.arange(6).reshape(2, 3).astype(name) for name in NATIVE}
        np.savez(tmp_path / "theirs", **arrays)
        write_npz(tmp_path / "ours", {name: ArrayTensor(array) for name, array in arrays.items()})
        with zipfile.ZipFile(tmp_path / "theirs.npz") as theirs, zipfile.ZipFile(tmp_path / "ours") as ours:
            assert ours.namelist() == theirs.namelist()
            assert [ours.read(name) for name in ours.namelist()] == [theirs.read(name) for name in theirs.namelist()]

    def test_splats_and_files(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_bytes(bytes(range(40)))
        tensors: dict[str, Tensor] = {
            "splat": SplatTensor(np.array(1.5), (2, 3), DTYPES["float64"]),
            "file": FileTensor(DTYPES["int16"], (3,), tmp_path / "data", 1, big_endian=True),
        }
        write_npz(tmp_path / "a.npz", tensors)
        with np.load(tmp_path / "a.npz") as found:
            assert found["splat"].tolist() == [[1.5] * 3] * 2
            assert found["file"].tolist() == [0x0102, 0x0304, 0x0506]

    @given(
        arrays=st.dictionaries(
            st.from_regex(r"[\w/. -]{1,6}", fullmatch=True).filter(lambda name: not name.endswith(".npy")),
            st.sampled_from(NATIVE).flatmap(lambda n: hnp.arrays(n, hnp.array_shapes(min_dims=0, min_side=0))),
            max_size=4,
        )
    )
    def test_what_is_written_is_read(self, tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]) -> None:
        path = tmp_path_factory.mktemp("a") / "a.npz"
        write_npz(path, {name: ArrayTensor(array) for name, array in arrays.items()})
        assert {name: (t.dtype.name, t.shape, t.tobytes()) for name, t in read_npz(path).items()} == {
            name: (a.dtype.name, a.shape, a.tobytes()) for name, a in arrays.items()
        }

    def test_equal_tensors_give_equal_bytes(self, tmp_path: Path) -> None:
        for name in "ab":
            write_npz(tmp_path / name, {"x": ArrayTensor(np.arange(3))})
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_all_types_without_a_place_are_listed(self, tmp_path: Path) -> None:
        names = ["string", "bfloat16", "float8_e5m2", "int4", "qint8", "resource"]
        tensors: dict[str, Tensor] = {n: SplatTensor(np.zeros(()), (2,), DTYPES[n]) for n in [*names, "float32"]}
        with pytest.raises(UnsupportedError) as error:
            write_npz(tmp_path / "a.npz", tensors)
        assert str(error.value) == (
            "npz: has no type for 'string' (string), 'bfloat16' (bfloat16), 'float8_e5m2' (float8_e5m2), "
            "'int4' (int4), 'qint8' (qint8), 'resource' (resource) (--unstorable says what to do, or --exclude them)"
        )
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("name", ["", "a\0b", "a\ud800", "x" * 40_000])
    def test_names_without_a_place(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(UnsupportedError, match=r"^npz: can't hold tensors named .* \(rename them\)$"):
            write_npz(tmp_path / "a.npz", {name: ArrayTensor(np.zeros(2))})

    def test_names_that_numpy_would_mix_up(self, tmp_path: Path) -> None:
        tensor = ArrayTensor(np.zeros(2))
        with pytest.raises(UnsupportedError, match=r"^npz: can't hold tensors named 'a' \(rename them\)$"):
            write_npz(tmp_path / "a.npz", {"a": tensor, "a.npy": tensor})

    def test_damage_on_the_way_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_bytes(bytes(16))
        damaged = FileTensor(DTYPES["float32"], (4,), tmp_path / "data", 0, name="w", crc32c=1)
        with pytest.raises(FormatError, match="expected checksum 00000001 for 'w'"):
            write_npz(tmp_path / "a.npz", {"w": damaged})
        assert os.listdir(tmp_path) == ["data"]

    def test_as_one_of_several_files(self, tmp_path: Path) -> None:
        with OutputSet() as files:
            write_npz(tmp_path / "a.npz", {"x": ArrayTensor(np.arange(3))}, files=files)
            assert read_npz(files.parts()[str(tmp_path / "a.npz")])["x"].numpy().tolist() == [0, 1, 2]
            assert not [name for name in os.listdir(tmp_path) if name.startswith("a")]
        assert [name[0] for name in os.listdir(tmp_path)] == ["a"]

    def test_force(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        path.write_bytes(b"old")
        with pytest.raises(DestinationError, match="exists already"):
            write_npz(path, {})
        write_npz(path, {}, force=True)
        assert dict(read_npz(path)) == {}
