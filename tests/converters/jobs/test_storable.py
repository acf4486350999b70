"""storable: what becomes of types that a format lacks, by each policy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tensorferry.converters.jobs.storable import Bits, make_storable, stand_in
from tensorferry.formats import bundle_writer, npz_file, safetensors_file
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import UnsupportedError, UsageError
from tensorferry.formats.tensor import ArrayTensor, Tensor


def tensor(name: str, count: int = 2) -> Tensor:
    return ArrayTensor(np.ones(count, DTYPES[name].numpy()), DTYPES[name])


SAMPLE: dict[str, Tensor] = {name: tensor(name) for name, dtype in DTYPES.items() if dtype.is_plain}
SAFETENSORS_LACKS = {
    "complex128", "int2", "uint2", "int4", "uint4", "qint8", "quint8", "qint16", "quint16", "qint32",
    "float8_e4m3b11fnuz",
}  # fmt: skip
NPZ_LACKS = {
    "bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz",
    "float4_e2m1fn", "int2", "uint2", "int4", "uint4", "qint8", "quint8", "qint16", "quint16", "qint32",
}  # fmt: skip
FORMATS = pytest.mark.parametrize(
    ("module", "lacks"),
    [(safetensors_file, SAFETENSORS_LACKS), (npz_file, NPZ_LACKS), (bundle_writer, set())],
    ids=["safetensors", "npz", "bundle"],
)


@FORMATS
def test_what_a_format_lacks_is_dropped_with_a_reason(module: object, lacks: set[str]) -> None:
    kept, dropped, notes = make_storable(SAMPLE, module.can_hold, "drop")  # type: ignore[attr-defined]
    assert dropped == {name: f"the format has no place for {name}" for name in lacks}
    assert set(kept) == set(SAMPLE) - lacks
    assert notes == []


@FORMATS
def test_what_a_format_lacks_is_kept_as_bits_with_a_note(module: object, lacks: set[str]) -> None:
    kept, dropped, notes = make_storable(SAMPLE, module.can_hold, "bits")  # type: ignore[attr-defined]
    assert set(kept) == set(SAMPLE)
    assert not dropped
    assert {note.partition(": ")[2] for note in notes} == {note.partition(" ")[0] for note in notes} == lacks
    for name, found in kept.items():
        assert module.can_hold(found)  # type: ignore[attr-defined]
        assert found.tobytes() == found.numpy().tobytes() == SAMPLE[name].tobytes()


def test_by_default_everything_is_left_for_the_writer_to_refuse() -> None:
    assert make_storable(SAMPLE, lambda tensor: False, "error") == (SAMPLE, {}, [])


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("bfloat16", "uint16"),
        ("float8_e5m2", "uint8"),
        ("float4_e2m1fn", "uint8"),
        ("int4", "int8"),
        ("uint2", "uint8"),
        ("quint16", "uint16"),
        ("qint32", "int32"),
    ],
)
def test_what_stands_for_a_type(name: str, other: str) -> None:
    assert stand_in(DTYPES[name]).name == other


def test_the_values_of_stand_ins() -> None:
    pairs = Bits(ArrayTensor(np.array([[1 - 2j], [0.5j]], np.complex128)))
    assert pairs.numpy().tolist() == [[[1.0, -2.0]], [[0.0, 0.5]]]
    halves = Bits(ArrayTensor(np.array([1, -2], ml_dtypes.bfloat16)))
    assert halves.numpy().tolist() == [0x3F80, 0xC000]
    for stored in b"\xf8\x07", b"\x08\x07":  # both are what libraries make of -8 and 7
        narrow = Bits(ArrayTensor(np.frombuffer(stored, ml_dtypes.int4)))
        assert narrow.numpy().tolist() == [-8, 7]
        assert narrow.tobytes() == b"\xf8\x07"
    scalar = Bits(ArrayTensor(np.array(3 + 4j, np.complex64)))
    assert scalar.numpy().tolist() == [3.0, 4.0]


def test_an_odd_number_of_4_bits() -> None:
    kept, _, notes = make_storable({"t": tensor("float4_e2m1fn", 3)}, safetensors_file.can_hold, "bits")
    assert notes == ["float4_e2m1fn kept as uint8: t"]
    assert kept["t"].numpy().tolist() == [2, 2, 2]


def test_many_tensors_of_a_type_are_one_note() -> None:
    many = {f"t{number}": tensor("complex128") for number in range(9)} | {"q": tensor("qint8")}
    assert make_storable(many, safetensors_file.can_hold, "bits")[2] == [
        "complex128 kept as float64 in pairs: t0, t1, t2, t3, t4, t5, ... and 3 more",
        "qint8 kept as int8: q",
    ]


def test_what_has_no_bits_to_keep() -> None:
    texts = {name: ArrayTensor(np.array([b"a"], object)) for name in ("one", "two")}
    with pytest.raises(UnsupportedError) as caught:
        make_storable({**SAMPLE, **texts}, safetensors_file.can_hold, "bits")
    assert str(caught.value) == (
        "--unstorable bits: no bits stand for 'one' (string), 'two' (string) (--exclude them, or --unstorable drop)"
    )


def test_a_policy_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"--unstorable skip: expected one of error, drop, bits"):
        make_storable({}, lambda tensor: True, "skip")
