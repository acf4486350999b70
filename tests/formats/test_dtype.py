import ml_dtypes
import numpy as np
import pytest

from tensorferry.formats.dtype import DTYPES, FLOAT32, INT8, STRING_TYPE, of_numpy

# What numpy and ml_dtypes say of their own types is what is expected here.
STORED = {
    "float16": np.float16, "float32": np.float32, "float64": np.float64, "bfloat16": ml_dtypes.bfloat16,
    "float8_e5m2": ml_dtypes.float8_e5m2, "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz, "float8_e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "float4_e2m1fn": ml_dtypes.float4_e2m1fn,
    "int2": ml_dtypes.int2, "int4": ml_dtypes.int4, "int8": np.int8, "int16": np.int16, "int32": np.int32,
    "int64": np.int64, "uint2": ml_dtypes.uint2, "uint4": ml_dtypes.uint4, "uint8": np.uint8, "uint16": np.uint16,
    "uint32": np.uint32, "uint64": np.uint64, "bool": np.bool_, "complex64": np.complex64, "complex128": np.complex128,
    "qint8": np.int8, "quint8": np.uint8, "qint16": np.int16, "quint16": np.uint16, "qint32": np.int32,
    "string": np.object_,
}  # fmt: skip


def test_every_type_is_covered():
    assert set(DTYPES) == {*STORED, "resource", "variant"}


@pytest.mark.parametrize("name", STORED)
def test_storage(name):
    dtype = DTYPES[name]
    assert str(dtype) == dtype.name == name
    assert dtype.numpy() == np.dtype(STORED[name])
    assert dtype.itemsize == (0 if name == "string" else np.dtype(STORED[name]).itemsize)
    assert dtype.is_plain == (name != "string")


@pytest.mark.parametrize("name", sorted(set(STORED) - {"qint8", "quint8", "qint16", "quint16", "qint32"}))
def test_of_numpy_is_the_inverse(name):
    assert of_numpy(np.dtype(STORED[name])) == DTYPES[name]


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_bits_of_floats(name):
    assert DTYPES[name].bits == np.finfo(STORED[name]).bits
    assert DTYPES[name].is_floating


@pytest.mark.parametrize("name", ["int2", "uint2", "int4", "uint4", "int8", "uint8", "int64", "uint64"])
def test_bits_of_integers(name):
    limits = ml_dtypes.iinfo(STORED[name])
    assert 1 << DTYPES[name].bits == int(limits.max) - int(limits.min) + 1
    assert DTYPES[name].is_integer
    assert DTYPES[name].kind == ("signed" if int(limits.min) else "unsigned")


def test_quantised_types_are_not_integers():
    assert not DTYPES["qint8"].is_integer
    assert DTYPES["qint8"] != INT8


@pytest.mark.parametrize("dtype", ["S3", "U2", object])
def test_texts_are_strings(dtype):
    assert of_numpy(np.dtype(dtype)) == STRING_TYPE


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_byte_order_is_no_part_of_a_type(dtype):
    assert of_numpy(np.dtype(dtype)) == FLOAT32


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]", "V4", [("a", "f4")], "longdouble"])
def test_types_without_a_counterpart(dtype):
    with pytest.raises(ValueError, match=r"^numpy's .* has no counterpart here$"):
        of_numpy(np.dtype(dtype))


@pytest.mark.parametrize("name", ["resource", "variant"])
def test_no_array_holds_an_opaque_type(name):
    with pytest.raises(ValueError, match=f"^no array holds {name}$"):
        DTYPES[name].numpy()
