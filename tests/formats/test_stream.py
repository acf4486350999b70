"""stream: no tensor can shift what follows it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.formats.dtype import DTYPES, FLOAT32
from tensorferry.formats.errors import FormatError
from tensorferry.formats.stream import copy
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor, Tensor


class Liar(Tensor):
    """Gives other bytes than it promises."""

    def __init__(self, given: list[bytes]) -> None:
        super().__init__(FLOAT32, (2,))
        self.given = given

    def chunks(self) -> Iterator[bytes]:
        yield from self.given

    def numpy(self) -> Any:
        raise NotImplementedError


def copied(tensor: Tensor, bits: int = 8) -> bytes:
    file = io.BytesIO()
    copy(tensor, "x", file, bits)
    return file.getvalue()


def test_bytes_arrive() -> None:
    assert copied(ArrayTensor(np.array([1, 2], "<i2"))) == b"\1\0\2\0"
    assert copied(ArrayTensor(np.array([1, 2], ">i2"))) == b"\1\0\2\0"
    assert copied(ArrayTensor(np.array([[1, 2], [3, 4]], "<i2").T)) == b"\1\0\3\0\2\0\4\0"
    assert copied(ArrayTensor(np.empty((0, 3), "<i2"))) == b""
    assert copied(ArrayTensor(np.array([1, 2, 3], np.uint8), DTYPES["uint4"]), 4) == b"\x21\x03"
    assert copied(SplatTensor(np.array(7, "<i4"), (1 << 20, 3), DTYPES["int32"])) == b"\7\0\0\0" * (3 << 20)


@pytest.mark.parametrize(
    ("given", "found"),
    [([], "0"), ([b"1234", b"567"], "7"), ([b"1234", b"56789"], "more"), ([b"12345678", b"9"], "more")],
)
def test_another_number_of_bytes(given: list[bytes], found: str) -> None:
    file = io.BytesIO()
    with pytest.raises(FormatError) as error:
        copy(Liar(given), "x", file)
    assert str(error.value) == f"x: expected 8 bytes of float32 [2], got {found}"
    assert len(file.getvalue()) <= 8


def test_the_checksum_is_verified(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"12345678")
    with pytest.raises(FormatError, match="the data are damaged"):
        copied(FileTensor(FLOAT32, (2,), tmp_path / "data", 0, name="x", crc32c=1))


def test_a_source_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with pytest.raises(FormatError) as error:
        copied(FileTensor(FLOAT32, (2,), path, 0, name="x"))
    assert str(error.value) == f"{path}: expected to read 'x', got: No such file or directory"
