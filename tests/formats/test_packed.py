"""packed: elements of 2 and 4 bits, checked against onnx's own packing and by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from tensorferry.formats.dtype import DTYPES, UINT8, DType
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.packed import OpaqueTensor, PackedTensor, pack, packed_size, stored_size, unpack
from tensorferry.formats.tensor import FileTensor

NARROW = ["int4", "uint4", "float4_e2m1fn", "int2", "uint2"]


@pytest.mark.parametrize(
    ("values", "bits", "packed"),
    [
        ([], 4, ""),
        ([0x1, 0x2], 4, "21"),
        ([0x1, 0x2, 0xF], 4, "210f"),
        ([0xFF, 0xF1], 4, "1f"),  # only the low bits of a byte count
        ([1, 2, 3, 0], 2, "39"),
        ([1, 2, 3, 0, 2], 2, "3902"),
    ],
)
def test_by_hand(values: list[int], bits: int, packed: str) -> None:
    assert b"".join(pack([bytes(values)], bits)).hex() == packed
    assert packed_size(len(values), bits) == len(packed) // 2


@given(
    values=st.binary(max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    bits=st.sampled_from([2, 4]),
)
def test_however_it_is_cut(values: bytes, cuts: list[int], bits: int) -> None:
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    pieces = [values[a:b] for a, b in itertools.pairwise(edges)]
    whole = b"".join(pack(pieces, bits))
    assert len(whole) == packed_size(len(values), bits)
    low = [value & (1 << bits) - 1 for value in values]
    assert unpack(whole, bits).tolist()[: len(values)] == low
    assert not any(unpack(whole, bits).tolist()[len(values) :])


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 17])
def test_as_onnx_packs(name: str, size: int) -> None:
    array = (np.arange(size) % (1 << DTYPES[name].bits)).astype(np.uint8).view(getattr(ml_dtypes, name))
    assert (
        b"".join(pack([array.view(np.uint8).tobytes()], DTYPES[name].bits)) == numpy_helper.from_array(array).raw_data
    )


@pytest.mark.parametrize("name", NARROW)
def test_a_stretch_of_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorferry.formats.tensor.CHUNK", 3)
    array = (np.arange(33) % (1 << DTYPES[name].bits)).astype(np.uint8).view(getattr(ml_dtypes, name)).reshape(3, 11)
    raw = numpy_helper.from_array(array).raw_data
    (tmp_path / "file").write_bytes(b"head" + raw + b"tail")
    dtype = DTYPES[name]
    assert stored_size(dtype, 33) == len(raw)
    tensor = PackedTensor(dtype, (3, 11), FileTensor(UINT8, (len(raw),), tmp_path / "file", 4))
    assert tensor.numpy().dtype == array.dtype
    assert tensor.numpy().astype(float).tolist() == array.astype(float).tolist()
    again = np.frombuffer(tensor.tobytes(), array.dtype)
    assert again.astype(float).tolist() == array.reshape(-1).astype(float).tolist()


def test_a_wide_type_is_stored_as_it_is() -> None:
    assert stored_size(DTYPES["float32"], 3) == 12


def test_an_opaque_type_is_told_but_not_read() -> None:
    tensor = OpaqueTensor(DType("odd", "opaque", 6, 0), (2, 3), "a.bin", "x")
    assert (tensor.shape, str(tensor.dtype)) == ((2, 3), "odd")
    for read in tensor.numpy, tensor.tobytes:
        with pytest.raises(UnsupportedError, match=r"^a.bin: no array holds 'x', of type odd$"):
            read()
