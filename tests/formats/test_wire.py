"""wire: the same fields as protobuf sees."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.binary import open_file
from tensorferry.formats.errors import FormatError
from tensorferry.formats.wire import BYTES, EIGHT, FOUR, VARINT, fields, head, varint


def walk(path: Path, data: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int, int | bytes]]:
    path.write_bytes(data)
    with open_file(path, "a message") as file:
        found = list(fields(file, start, len(data) if end is None else end))
    return [(f.number, f.kind, f.value if f.kind == VARINT else data[f.start : f.end]) for f in found]


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ffffffffffffffffff01")]
)
def test_varints_by_hand(number: int, encoded: str) -> None:
    assert varint(number).hex() == encoded


@given(number=st.integers(0, 2**31), length=st.integers(0, 2**28))
def test_heads_are_those_of_protobuf(number: int, length: int) -> None:
    from google.protobuf.internal import encoder

    assert varint(number) == encoder._VarintBytes(number)
    assert head(9, length) == encoder.TagBytes(9, 2) + encoder._VarintBytes(length)


def test_a_message(tmp_path: Path) -> None:
    message = onnx.TensorProto(dims=[3, 300], data_type=1, name="x", raw_data=b"12345678")
    assert walk(tmp_path / "m", message.SerializeToString()) == [
        (1, VARINT, 3),
        (1, VARINT, 300),
        (2, VARINT, 1),
        (8, BYTES, b"x"),
        (9, BYTES, b"12345678"),
    ]
    assert walk(tmp_path / "m", b"") == []


def test_fixed_fields(tmp_path: Path) -> None:
    assert walk(tmp_path / "m", b"\x09abcdefgh\x15ijkl") == [(1, EIGHT, b"abcdefgh"), (2, FOUR, b"ijkl")]


def test_a_part_of_a_file(tmp_path: Path) -> None:
    assert walk(tmp_path / "m", b"\xff\xff\x08\x07\xff", 2, 4) == [(1, VARINT, 7)]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x00\x01", "expected a protobuf field at byte 0, got tag 0"),
        (b"\x08\x01\x0b", "expected a protobuf field at byte 2, got tag 11"),  # a group
        (b"\x0e", "expected a protobuf field at byte 0, got tag 14"),  # no such kind
        (varint(1 << 32), "expected a protobuf field at byte 0, got tag 4294967296"),
        (b"\x0a\x05abcd", "expected a protobuf field of 5 bytes at byte 2, got 4"),
        (b"\x0a" + varint(2**64 - 1), f"expected a protobuf field of {2**64 - 1} bytes at byte 11, got 0"),
        (b"\x09abcdefg", "expected a protobuf field of 8 bytes at byte 1, got 7"),
        (b"\x0dabc", "expected a protobuf field of 4 bytes at byte 1, got 3"),
        (b"\x08\x80", "a protobuf number"),
        (b"\x08" + b"\xff" * 10, "a protobuf number"),
        (b"\x80", "a protobuf tag"),
        (b"\x0a\x80", "a protobuf length"),
    ],
)
def test_no_message(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(FormatError) as error:
        walk(tmp_path / "m", data)
    assert str(error.value).startswith(f"{tmp_path / 'm'}: ")
    assert problem in str(error.value)


def test_a_field_stays_in_its_message(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a protobuf field of 4 bytes at byte 2, got 3"):
        walk(tmp_path / "m", b"\x0a\x04abcdefgh", 0, 5)
