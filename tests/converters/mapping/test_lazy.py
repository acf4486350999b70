"""Lazy tensors: rows, joins, and what they read of a file."""

import os

import crc32c
import numpy as np
import pytest

from tensorferry.converters.mapping.lazy import Joined, rows
from tensorferry.converters.mapping.verbs import read_verb
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor import CHUNK, ArrayTensor, FileTensor

BIG = np.random.default_rng(0).standard_normal((1500, 2000)).astype(np.float32)
"""12 MB: several chunks."""


def stored(path, array, crc=True, big_endian=False):
    data = array.astype(">f4").tobytes() if big_endian else array.tobytes()
    path.write_bytes(b"head" + data)
    sum_ = crc32c.crc32c(data) if crc else None
    return FileTensor(FLOAT32, array.shape, path, 4, name="t", crc32c=sum_, big_endian=big_endian)


@pytest.mark.parametrize(("crc", "big_endian"), [(True, False), (False, False), (True, True)])
def test_rows_of_a_file(tmp_path, crc, big_endian):
    base = stored(tmp_path / "f", BIG, crc, big_endian)
    blocks = rows(base, [0, 10, 700, 1400])
    expected = np.split(BIG, [10, 700, 1400])
    for _ in range(2):
        for index in (2, 0, 3, 1):
            assert blocks[index].tobytes() == expected[index].tobytes()
            assert np.array_equal(blocks[index].numpy(), expected[index])


def test_each_block_is_checked(tmp_path):
    """Also those that are read by themselves after the whole was found good."""
    base = stored(tmp_path / "f", BIG)
    blocks = rows(base, [0, 700])
    blocks[0].tobytes()
    with (tmp_path / "f").open("r+b") as file:
        file.seek(4 + 1499 * 8000)
        file.write(b"x")
    assert blocks[0].tobytes() == BIG[:700].tobytes()
    with pytest.raises(FormatError, match="for 't', got [0-9a-f]{8}: the data are damaged$"):
        blocks[1].tobytes()


def test_damage_elsewhere_is_found_at_the_first_block(tmp_path):
    base = stored(tmp_path / "f", BIG)
    with (tmp_path / "f").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    with pytest.raises(FormatError, match="the data are damaged$"):
        rows(base, [0, 1])[0].tobytes()


def test_once_the_whole_is_good_a_block_alone_is_read(tmp_path, monkeypatch):
    base = stored(tmp_path / "f", BIG)
    blocks = rows(base, [0, 500, 1000])
    blocks[0].tobytes()
    read = []
    original = FileTensor._stored
    monkeypatch.setattr(FileTensor, "_stored", lambda self, buffer: read.append(self.nbytes) or original(self, buffer))
    blocks[1].tobytes()
    blocks[2].tobytes()
    assert read == [4_000_000, 4_000_000]


def test_rows_of_a_view():
    view = read_verb("transpose", [1, 0]).one(ArrayTensor(BIG))
    assert rows(view, [0, 100])[1].tobytes() == np.ascontiguousarray(BIG.T[100:]).tobytes()


def test_a_join_is_streamed(tmp_path):
    parts = [stored(tmp_path / f"f{i}", array) for i, array in enumerate((BIG[:300], BIG[300:900], BIG[900:]))]
    joined = Joined(parts, BIG.shape)
    assert max(len(chunk) for chunk in joined.chunks()) <= CHUNK
    assert joined.tobytes() == BIG.tobytes()
    assert np.array_equal(joined.numpy(), BIG)


def test_nothing_to_read():
    empty = ArrayTensor(np.zeros((4, 0), np.float32))
    assert [part.tobytes() for part in rows(empty, [0, 2])] == [b"", b""]
    assert rows(empty, [0, 2])[1].numpy().shape == (2, 0)
    joined = Joined([empty, ArrayTensor(np.ones((1, 0), np.float32))], (5, 0))
    assert (joined.tobytes(), joined.numpy().shape) == (b"", (5, 0))
