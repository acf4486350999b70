"""Lazy tensors: joins, and what is computed, piece by piece."""

import tracemalloc

import crc32c
import ml_dtypes
import numpy as np
import pytest

from tensorferry.converters.mapping.verbs import read_verb
from tensorferry.converters.mapping.verbs.lazy import PIECE, Elementwise, Joined, computed, narrowed
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.dtype import DTYPES, FLOAT32, STRING_TYPE
from tensorferry.formats.errors import FormatError
from tensorferry.formats.npz_file import read_npz, write_npz
from tensorferry.formats.room import Room
from tensorferry.formats.safetensors_file import read_safetensors, write_safetensors
from tensorferry.formats.tensor import CHUNK, ArrayTensor, FileTensor, Tensor

BIG = np.random.default_rng(0).standard_normal((1500, 2000)).astype(np.float32)
"""12 MB: several chunks."""


def stored(path, array):
    path.write_bytes(array.tobytes())
    return FileTensor(FLOAT32, array.shape, path, 0, name="t")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_join_is_streamed(tmp_path, axis):
    cube = BIG.reshape(30, 50, 2000)
    cuts = np.split(cube, [3, 11], axis)
    joined = Joined([stored(tmp_path / f"f{i}", array) for i, array in enumerate(cuts)], axis)
    assert joined.shape == cube.shape
    assert max(len(chunk) for chunk in joined.chunks()) <= CHUNK
    assert joined.tobytes() == cube.tobytes()
    assert np.array_equal(joined.numpy(), cube)


def test_many_side_by_side():
    parts = [ArrayTensor(column) for column in np.split(BIG, 100, 1)]
    assert Joined(parts, 1).tobytes() == BIG.tobytes()


def test_a_join_of_strings():
    words = [ArrayTensor(np.array([[b"a"], [b"bc"]], object)), ArrayTensor(np.array([[b"d"], [b""]], object))]
    joined = Joined(words, 1)
    assert joined.dtype == STRING_TYPE
    assert joined.numpy().tolist() == [[b"a", b"d"], [b"bc", b""]]


def test_nothing_to_join():
    empty = ArrayTensor(np.zeros((4, 0), np.float32))
    joined = Joined([empty, ArrayTensor(np.ones((1, 0), np.float32))], 0)
    assert (joined.shape, joined.tobytes(), joined.numpy().shape) == ((5, 0), b"", (5, 0))


def test_pieces_are_computed_in_step(tmp_path):
    """Though the chunks of the one begin and end elsewhere than those of the other."""
    turned = read_verb("transpose", [1, 0]).one(ArrayTensor(BIG))
    added = computed(lambda a, b: np.add(a, b, a), stored(tmp_path / "f", BIG.reshape(2000, 1500)), turned)
    expected = (BIG.reshape(2000, 1500).astype(np.float64) + BIG.T).astype(np.float32)
    assert added.shape == expected.shape
    assert max(len(chunk) for chunk in added.chunks()) == 4 * PIECE
    assert added.tobytes() == expected.tobytes()
    assert np.array_equal(added.numpy(), expected)


def test_sources_are_read_to_their_ends(tmp_path):
    """There the checksum is compared."""
    base = stored(tmp_path / "f", BIG)
    base.crc32c = 1
    for tensor in (computed(np.sqrt, base), Joined([base, base], 1)):
        with pytest.raises(
            FormatError, match=r"^.*/f: expected checksum 00000001 for 't', got .*: the data are damaged$"
        ):
            tensor.tobytes()


def test_all_that_is_lost_is_counted():
    array = BIG.copy()
    array[:, :500] = 1 / 3
    array[:, 500:] = 0.5
    narrow = narrowed(ArrayTensor(array), DTYPES["bfloat16"])
    for read in (narrow.numpy, narrow.tobytes):
        with pytest.raises(FormatError) as error:
            read()
        assert str(error.value) == "narrow bfloat16: expected values that bfloat16 holds, got 750000 others"
    array[:, :500] = np.nan
    assert narrow.tobytes() == array.astype(ml_dtypes.bfloat16).tobytes()


def test_another_type():
    source = ArrayTensor(np.float32([1.5, -2]))
    rounded = Elementwise(DTYPES["int8"], lambda pieces: (array.astype(np.int8) for (array,) in pieces), source)
    assert (rounded.dtype, rounded.numpy().tolist()) == (DTYPES["int8"], [1, -2])


def write_all(kind, path, tensors):
    """Writes the tensors to a file of some kind; gives what it is then."""
    if kind == "checkpoint":
        write_bundle(path, tensors)
        return read_bundle(path)
    write, read = {"safetensors": (write_safetensors, read_safetensors), "npz": (write_npz, read_npz)}[kind]
    write(path, tensors)
    return read(path)


@pytest.mark.parametrize("kind", ["safetensors", "checkpoint", "npz"])
@pytest.mark.parametrize("axis", [0, 1])
class TestParts:
    """Of one tensor, in one file."""

    def test_they_read_it_once(self, tmp_path, kind, axis, monkeypatch):
        base = stored(tmp_path / "f", BIG)
        base.crc32c = crc32c.crc32c(BIG.tobytes())
        read = []
        original = FileTensor._stored
        monkeypatch.setattr(FileTensor, "_stored", lambda self, into: read.append(self.nbytes) or original(self, into))
        parts = read_verb("chunk", {"axis": axis, "parts": 4}).apply([base], ["t"], 4)
        found = write_all(kind, tmp_path / "out", {str(n): part for n, part in enumerate(parts)})
        assert sum(read) == base.nbytes
        for n, expected in enumerate(np.split(BIG, 4, axis)):
            assert np.array_equal(found[str(n)].numpy(), expected)

    @pytest.mark.parametrize("then", ["nothing", "cast", "scale"])
    def test_they_read_it_once_wherever_they_are_written(self, tmp_path, kind, axis, then, monkeypatch):
        """Parts of several tensors in turn, of which a room has place for one."""
        monkeypatch.setattr(Room.__init__, "__defaults__", (BIG.nbytes,))
        arrays = [np.roll(BIG, n) for n in range(3)]
        bases = [stored(tmp_path / f"f{n}", array) for n, array in enumerate(arrays)]
        read = []
        original = FileTensor.numpy
        monkeypatch.setattr(FileTensor, "numpy", lambda self: read.append(self.path) or original(self))
        given = {"nothing": [], "cast": [("cast", "float16")], "scale": [("scale", 2), ("reshape", [-1, 8])]}
        wanted = {}
        for n, base in enumerate(bases):
            parts = read_verb("chunk", {"axis": axis, "parts": 4}).apply([base], ["t"], 4)
            for verb, what in given[then]:
                parts = read_verb(verb, what).apply(parts, ["t"] * 4, 4)
            order = (f"{n}.{m}" if kind == "npz" else f"{m}.{n}" for m in range(4))  # npz: in the order that is given
            wanted |= zip(order, parts, strict=True)
        found = write_all(kind, tmp_path / "out", wanted)
        assert sorted(read) == (sorted(base.path for base in bases) if axis else [])
        for name, part in wanted.items():
            assert found[name].tobytes() == part.tobytes()

    def test_nothing_is_written_if_it_is_damaged(self, tmp_path, kind, axis):
        base = stored(tmp_path / "f", BIG)
        base.crc32c = 1
        parts = read_verb("chunk", {"axis": axis, "parts": 4}).apply([base], ["t"], 4)
        with pytest.raises(FormatError, match="/f: expected checksum 00000001 for 't', got .*: the data are damaged$"):
            write_all(kind, tmp_path / "out", {str(n): part for n, part in enumerate(parts[:3])})
        assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_parts_that_are_put_together_again_read_it_once(tmp_path, monkeypatch):
    """Though what is made of them is asked for as a whole."""
    base = stored(tmp_path / "f", BIG)
    read = []
    original = FileTensor.numpy
    monkeypatch.setattr(FileTensor, "numpy", lambda self: read.append(self.path) or original(self))
    parts = read_verb("chunk", {"axis": 1, "parts": 8}).apply([base], ["t"], 8)
    (joined,) = read_verb("concat", 0).apply(parts, ["t"] * 8, 1)
    (turned,) = read_verb("transpose", [1, 0]).apply([joined], ["t"], 1)
    found = write_all("safetensors", tmp_path / "out", {"a": turned})
    assert read == [base.path]
    assert np.array_equal(found["a"].numpy(), np.concatenate(np.split(BIG, 8, 1)).T)


SIZE = 64 << 20


@pytest.mark.parametrize(
    ("name", "given", "most"),
    [
        ("transpose", [1, 0], SIZE),
        ("flip", [0, 1], SIZE),
        ("slice", {"axis": 1, "start": 8}, SIZE),
        ("slice", {"axis": 0, "start": 8}, 0),
        ("chunk", {"axis": 1, "parts": 4}, SIZE),
        ("chunk", {"axis": 0, "parts": 4}, 0),
        ("unstack", 0, 0),
        ("pad", {"axis": 1, "after": 8}, 0),
        ("scale", 0.5, 0),
        ("cast", "bfloat16", 0),
        ("narrow", "bfloat16", 0),
    ],
)
def test_memory(tmp_path, name, given, most):
    """A verb holds its tensor at most, and a few pieces besides."""
    rows = 64 if name == "unstack" else 4096
    path = tmp_path / "f"
    np.zeros(SIZE // 4, np.float32).tofile(path)
    base = FileTensor(FLOAT32, (rows, SIZE // 4 // rows), path, 0, name="t")
    assert _peak(read_verb(name, given).apply([base], ["t"], 1)) <= most + (4 << 20)


@pytest.mark.parametrize(("name", "given"), [("concat", 0), ("concat", 1), ("stack", 0), ("stack", 1), ("sum", True)])
def test_memory_of_joins(tmp_path, name, given):
    path = tmp_path / "f"
    np.zeros(SIZE // 8, np.float32).tofile(path)
    bases = [FileTensor(FLOAT32, (4096, SIZE // 8 // 4096), path, 0, name=each) for each in ("a", "b")]
    assert _peak(read_verb(name, given).apply(bases, ["a", "b"], 1)) <= 4 << 20


def _peak(tensors: list[Tensor]) -> int:
    """Bytes that are held at most while the tensors are streamed."""
    tracemalloc.start()
    try:
        with Room():
            for tensor in tensors:
                for _ in tensor.chunks():
                    pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
