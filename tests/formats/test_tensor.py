import numpy as np
import pytest

from tensorferry.formats import tensor as tensor_module
from tensorferry.formats.crc import crc32c
from tensorferry.formats.dtype import BFLOAT16, DTYPES, FLOAT32, INT16, INT64, STRING_TYPE, UINT8
from tensorferry.formats.errors import FormatError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_what_costs_no_io(tmp_path):
    tensor = FileTensor(FLOAT32, (2, 3), tmp_path / "missing", 0)
    assert (tensor.rank, tensor.size, tensor.nbytes) == (2, 6, 24)
    assert repr(tensor) == "<FileTensor float32 [2, 3]>"


@pytest.mark.parametrize(
    "array",
    [
        MATRIX,
        MATRIX.T,
        MATRIX[:, ::2],
        MATRIX[::-1],
        np.broadcast_to(np.float32(3), (2, 2)),
        MATRIX.astype(">f4"),
        np.float32(4).reshape(()),
        MATRIX[:0],
        np.asfortranarray(MATRIX),
    ],
    ids=["plain", "transposed", "strided", "reversed", "broadcast", "big_endian", "scalar", "empty", "fortran"],
)
def test_array_bytes_are_little_endian_and_in_row_major_order(array):
    tensor = ArrayTensor(array)
    assert tensor.dtype == FLOAT32
    assert tensor.tobytes() == array.astype("<f4").tobytes("C")
    assert np.array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("name", sorted(name for name, dtype in DTYPES.items() if dtype.is_plain))
def test_array_of_every_type(name):
    dtype = DTYPES[name]
    array = np.array([1, 0, 1, 1]).astype(dtype.numpy()).reshape(2, 2)
    assert ArrayTensor(array, dtype).tobytes() == array.tobytes()


def test_a_tensor_is_an_array_to_numpy():
    assert np.array_equal(np.asarray(ArrayTensor(MATRIX)), MATRIX)
    assert np.asarray(ArrayTensor(MATRIX), dtype=np.int64).dtype == np.int64
    assert np.array_equal(np.add(ArrayTensor(MATRIX), 1), MATRIX + 1)


def test_copies_are_made_when_asked_for():
    copy = np.array(ArrayTensor(MATRIX), copy=True)
    copy[:] = 9
    assert MATRIX[0, 0] == 0


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="numpy 1 has no way to ask")
def test_a_copy_that_is_ruled_out_is_an_error():
    assert np.shares_memory(np.asarray(ArrayTensor(MATRIX), copy=False), MATRIX)
    with pytest.raises(ValueError, match="^a float32 array becomes float64 only in a copy$"):
        np.asarray(ArrayTensor(MATRIX), dtype=np.float64, copy=False)


def test_strings_have_no_bytes():
    strings = ArrayTensor(np.array([b"a", b"bc"], object))
    assert strings.dtype == STRING_TYPE
    assert strings.nbytes == 0
    for tensor in strings, SplatTensor(np.array(b"a", object), (3,), STRING_TYPE):
        with pytest.raises(UnsupportedError, match="^expected a type of fixed width, got string$"):
            tensor.tobytes()


class TestSplat:
    def test_values(self):
        tensor = SplatTensor(np.array(7, np.int16), (2, 3), INT16)
        assert np.array_equal(tensor.numpy(), np.full((2, 3), 7, np.int16))
        assert tensor.tobytes() == np.full((2, 3), 7, "<i2").tobytes()

    @pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 23])
    def test_chunks_are_bounded(self, monkeypatch, count):
        monkeypatch.setattr(tensor_module, "CHUNK", 16)
        chunks = [bytes(chunk) for chunk in SplatTensor(np.array(5, np.int16), (count,), INT16).chunks()]
        assert b"".join(chunks) == b"\5\0" * count
        assert all(0 < len(chunk) <= 16 for chunk in chunks)

    def test_a_huge_one_costs_nothing(self):
        tensor = SplatTensor(np.array(1.5, np.float32), (1_000_000, 1_000_000), FLOAT32)
        assert tensor.nbytes == 4 * 10**12
        assert tensor.numpy()[-1, -1] == 1.5
        assert bytes(next(tensor.chunks()))[:4] == np.float32(1.5).tobytes()


class TestFile:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "data"
        path.write_bytes(b"head" + MATRIX.astype("<f4").tobytes() + b"tail")
        return path

    def test_values(self, path):
        tensor = FileTensor(FLOAT32, (2, 3), path, 4, crc32c=crc32c(MATRIX.tobytes()))
        assert np.array_equal(tensor.numpy(), MATRIX)
        assert tensor.tobytes() == MATRIX.tobytes()

    @pytest.mark.parametrize("limit", [4, 7, 8, 12, 24, 100])
    def test_chunks_of_any_size(self, path, monkeypatch, limit):
        monkeypatch.setattr(tensor_module, "CHUNK", limit)
        chunks = [bytes(chunk) for chunk in FileTensor(FLOAT32, (2, 3), path, 4).chunks()]
        assert b"".join(chunks) == MATRIX.tobytes()
        assert all(len(chunk) <= limit for chunk in chunks)

    @pytest.mark.parametrize(
        "dtype", ["float32", "int16", "complex64", "complex128", "bfloat16", "uint8", "bool", "int64"]
    )
    def test_big_endian(self, tmp_path, dtype):
        kind = DTYPES[dtype]
        values = np.array([1, 0, 1, 1, 0, 1]).astype(kind.numpy())
        if kind.kind == "complex":
            values = values + values.dtype.type(2j)
        width = values.itemsize // (2 if kind.kind == "complex" else 1)
        stored = values.view(f"u{width}").astype(f">u{width}").tobytes()
        (tmp_path / "data").write_bytes(stored)
        tensor = FileTensor(kind, (6,), tmp_path / "data", 0, big_endian=True, crc32c=crc32c(stored))
        assert tensor.tobytes() == values.tobytes()
        assert tensor.numpy().tobytes() == values.tobytes()
        assert tensor.numpy().dtype == kind.numpy()

    def test_an_empty_one(self, path):
        tensor = FileTensor(FLOAT32, (0, 3), path, 28, crc32c=0)
        assert tensor.numpy().shape == (0, 3)
        assert tensor.tobytes() == b""

    def test_a_scalar(self, path):
        assert FileTensor(FLOAT32, (), path, 8).numpy() == np.float32(1)

    @pytest.mark.parametrize("read", ["numpy", "tobytes"])
    def test_the_end_of_the_file(self, path, read):
        tensor = FileTensor(INT64, (5,), path, 4, name="v")
        with pytest.raises(FormatError) as error:
            getattr(tensor, read)()
        assert str(error.value) == f"{path}: expected 40 bytes of 'v' at byte 4, got the end of the file at byte 32"

    @pytest.mark.parametrize("read", ["numpy", "tobytes"])
    def test_a_wrong_checksum(self, path, read):
        tensor = FileTensor(FLOAT32, (2, 3), path, 4, name="v", crc32c=0x12)
        found = crc32c(MATRIX.tobytes())
        with pytest.raises(FormatError) as error:
            getattr(tensor, read)()
        assert str(error.value) == (
            f"{path}: expected checksum 00000012 for 'v', got {found:08x}: the data are damaged"
        )

    def test_every_flipped_byte_shows(self, path):
        stored = bytearray(path.read_bytes())
        tensor = FileTensor(BFLOAT16, (12,), path, 4, name="v", crc32c=crc32c(MATRIX.tobytes()))
        for index in range(4, 28):
            path.write_bytes(stored[:index] + bytes([stored[index] ^ 1]) + stored[index + 1 :])
            with pytest.raises(FormatError, match="the data are damaged"):
                tensor.numpy()


def test_arrays_and_chunks_of_many_tensors_do_not_share_memory(tmp_path):
    """Buffers are used again from one tensor to the next, but never while somebody may still look at them."""
    values = np.random.default_rng(0).integers(0, 256, (6, 3 << 20), np.uint8)
    values.tofile(tmp_path / "x")
    tensors = [FileTensor(UINT8, (3 << 20,), tmp_path / "x", row * (3 << 20)) for row in range(6)]
    arrays = [tensor.numpy() for tensor in tensors[:3]]
    streams = [tensor.chunks() for tensor in tensors[3:]]
    firsts = list(map(next, streams))
    again = [tensor.tobytes() for tensor in tensors]
    assert all(np.array_equal(array, row) for array, row in zip(arrays, values, strict=False))
    assert [bytes(chunk) for chunk in firsts] == [
        row.tobytes()[: len(first)] for row, first in zip(values[3:], firsts, strict=True)
    ]
    assert again == [row.tobytes() for row in values]
