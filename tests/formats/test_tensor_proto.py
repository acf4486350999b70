"""Expected values: what TensorFlow 1.15 and 2.21 read from the same messages (fixtures/tensor_protos)."""

import base64
import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import protos
from tensorferry.formats.dtype import BOOL, COMPLEX64, DTYPES, FLOAT32, OPAQUE, STRING_TYPE, DType
from tensorferry.formats.errors import FormatError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor, SplatTensor
from tensorferry.formats.tensor_proto import ProtoTensor, base_dtype, dtype_of_number, number_of_dtype, to_proto

from ..fixture import HOME

CASES = {
    f"{version}-{case['dtype']}-{case['form']}": case
    for version in ("tf1", "tf2")
    for case in json.loads((HOME / "tensor_protos" / f"{version}.json").read_text())["cases"]
}


def message(case):
    return protos.parse("TensorProto", base64.b64decode(case["proto"]), "")


def expected(case):
    """The array that TensorFlow's runtime gives (its Python refuses some that it takes); None where it gives none."""
    told = case["ndarray"] if case["runtime"] == "same" else case["runtime"]
    if "error" in told:
        return None
    if "strings" in told:
        strings = np.empty(len(told["strings"]), object)
        strings[:] = [base64.b64decode(item) for item in told["strings"]]
        return strings.reshape(told["shape"])
    dtype = DTYPES[case["dtype"]].numpy()
    return np.frombuffer(base64.b64decode(told["value"]), dtype).reshape(told["shape"])


READABLE = [name for name, case in CASES.items() if expected(case) is not None and "excess" not in case["form"]]
EXCESS = [name for name, case in CASES.items() if case["form"] in ("typed_excess", "typed_excess_empty")]
WRONG_CONTENT = [name for name, case in CASES.items() if expected(case) is None]


def test_all_cases_are_tested():
    # qint16 and quint16 have no typed values in 1.15, and a float8 kind without them in 2.21 lists none either
    assert len(READABLE) + len(EXCESS) + len(WRONG_CONTENT) == len(CASES) > 500


@pytest.mark.parametrize("name", READABLE)
def test_value(name):
    tensor, value = ProtoTensor(message(CASES[name])), expected(CASES[name])
    assert tensor.dtype == DTYPES[CASES[name]["dtype"]]
    assert tensor.shape == value.shape
    assert tensor.numpy().shape == value.shape
    if value.dtype == object:
        assert np.array_equal(tensor.numpy(), value)
        return
    assert tensor.numpy().dtype == value.dtype
    if value.dtype.name in ("int4", "int2"):  # bits above the type's own say nothing
        assert np.array_equal(tensor.numpy().astype(np.int8), value.astype(np.int8))
        return
    assert tensor.numpy().tobytes() == value.tobytes()
    assert tensor.tobytes() == value.tobytes()


@pytest.mark.parametrize("name", EXCESS)
def test_more_values_than_elements(name):
    """TensorFlow's Python refuses them, its runtime drops what is too much: no writer makes such a message."""
    shape = expected(CASES[name]).shape
    given_ = 1 if shape == (0,) else 3
    with pytest.raises(FormatError, match=f"^node: expected at most {shape[0]} values, got {given_}$"):
        ProtoTensor(message(CASES[name]), "node").numpy()


@pytest.mark.parametrize("name", WRONG_CONTENT)
def test_content_of_another_size(name):
    tensor = ProtoTensor(message(CASES[name]), "node")
    if tensor.dtype == STRING_TYPE:
        with pytest.raises(FormatError, match="^node: expected .* of tensor_content$"):
            tensor.numpy()
        return
    found = len(tensor.proto.tensor_content)
    text = f"node: expected {tensor.nbytes} bytes of {tensor.dtype} {list(tensor.shape)}, got {found}"
    for read in tensor.numpy, tensor.tobytes:
        with pytest.raises(FormatError) as error:
            read()
        assert str(error.value) == text


# 2.21 writes two halves and more as tensor_content; a frozen graph is to be what 1.15 makes of it.
LATER_HABITS = [f"tf2-{dtype}-{form}" for dtype in ("float16", "bfloat16") for form in ("made", "made_pair")]
MADE = [n for n, c in CASES.items() if c["form"].startswith("made") and n in READABLE and n not in LATER_HABITS]


@pytest.mark.parametrize("name", MADE)
def test_to_proto_writes_what_make_tensor_proto_writes(name):
    value, dtype = expected(CASES[name]), DTYPES[CASES[name]["dtype"]]
    splat = CASES[name]["form"] == "made_splat"
    tensor = SplatTensor(value[0, 0:1].reshape(()), value.shape, dtype) if splat else ArrayTensor(value, dtype)
    assert to_proto(tensor) == message(CASES[name])


@pytest.mark.parametrize("name", READABLE)
def test_to_proto_keeps_a_message(name):
    proto = message(CASES[name])
    assert to_proto(ProtoTensor(proto)) is proto


@pytest.mark.parametrize("name", sorted(name for name, dtype in DTYPES.items() if dtype.kind != OPAQUE))
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 2)])
def test_writing_and_reading_is_the_identity(name, shape):
    dtype, count = DTYPES[name], int(np.prod(shape))
    if name == "string":
        array = np.empty(count, object)
        array[:] = [b"\0" * index for index in range(count)]
    else:
        array = (np.arange(count) % 2).astype(dtype.numpy())
    again = ProtoTensor(
        protos.parse("TensorProto", to_proto(ArrayTensor(array.reshape(shape), dtype)).SerializeToString(), "")
    )
    assert (again.dtype, again.shape) == (dtype, shape)
    assert np.array_equal(again.numpy(), array.reshape(shape))


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.arange(6.0)[::-1], np.array([1.0, 2.0], ">f8")])
def test_to_proto_of_any_layout(array):
    assert np.array_equal(ProtoTensor(to_proto(ArrayTensor(array))).numpy(), array)


@given(st.lists(st.floats(width=32), max_size=5), st.integers(0, 8))
def test_short_lists_repeat_the_last_value(values, size):
    proto = protos.TensorProto(dtype=1, float_val=values)
    proto.tensor_shape.dim.add(size=size)
    tensor = ProtoTensor(proto)
    if len(values) > size:
        with pytest.raises(FormatError):
            tensor.numpy()
        return
    whole = (values + [values[-1] if values else 0.0] * size)[:size]
    assert tensor.tobytes() == np.array(whole, np.float32).tobytes()


class TestHostile:
    @pytest.mark.parametrize("values", [[2.5], []])
    def test_twenty_bytes_claim_a_terabyte(self, values):
        proto = protos.TensorProto(dtype=1, float_val=values)
        for _ in range(2):
            proto.tensor_shape.dim.add(size=1_000_000)
        assert proto.ByteSize() <= 25
        tensor = ProtoTensor(proto)
        assert tensor.size == 10**12
        array = tensor.numpy()
        assert array.strides == (0, 0)
        assert array[-1, -1] == (2.5 if values else 0)
        first = next(tensor.chunks())
        assert len(first) <= 4 << 20
        assert bytes(first[:4]) == np.float32(2.5 if values else 0).tobytes()

    def test_two_values_for_a_terabyte(self):
        proto = protos.TensorProto(dtype=1, float_val=[1, 2])
        proto.tensor_shape.dim.add(size=10**12)
        with pytest.raises(FormatError, match=r"^c: expected 1000000000000 values, got 2$"):
            ProtoTensor(proto, "c").numpy()

    def test_a_terabyte_of_strings(self):
        proto = protos.TensorProto(dtype=7, string_val=[b"x"])
        proto.tensor_shape.dim.add(size=10**12)
        assert ProtoTensor(proto).numpy()[10**11] == b"x"

    def test_content_for_a_terabyte(self):
        proto = protos.TensorProto(dtype=1, tensor_content=b"1234")
        proto.tensor_shape.dim.add(size=10**12)
        with pytest.raises(FormatError, match=r"^c: expected 4000000000000 bytes of float32 \[1000000000000\], got 4$"):
            ProtoTensor(proto, "c").numpy()

    @pytest.mark.parametrize("sizes", [[-1], [2, -3], [0, -1], [1] * 255])
    def test_no_shape(self, sizes):
        proto = protos.TensorProto(dtype=1)
        for size in sizes:
            proto.tensor_shape.dim.add(size=size)
        with pytest.raises(FormatError, match="^c: expected a tensor with a known shape, got one without$"):
            ProtoTensor(proto, "c")

    def test_unknown_rank(self):
        proto = protos.TensorProto(dtype=1)
        proto.tensor_shape.unknown_rank = True
        with pytest.raises(FormatError, match="^c: expected a tensor with a known shape, got one without$"):
            ProtoTensor(proto, "c")

    def test_more_elements_than_can_be_counted(self):
        proto = protos.TensorProto(dtype=1)
        for _ in range(2):
            proto.tensor_shape.dim.add(size=1 << 32)
        text = r"^c: expected a tensor below 2\*\*63 elements, got shape \[4294967296, 4294967296\]$"
        with pytest.raises(FormatError, match=text):
            ProtoTensor(proto, "c")

    def test_half_a_complex_number(self):
        proto = protos.TensorProto(dtype=8, scomplex_val=[1, 2, 3])
        proto.tensor_shape.dim.add(size=2)
        with pytest.raises(FormatError, match="^c: expected pairs of real and imaginary parts, got 3 values$"):
            ProtoTensor(proto, "c").numpy()

    @pytest.mark.parametrize("number", [0, 20, 21, 34, 101, 999, -1])
    def test_types_that_no_array_holds(self, number):
        proto = protos.TensorProto(dtype=number)
        proto.tensor_shape.SetInParent()
        tensor = ProtoTensor(proto, "c")
        with pytest.raises(UnsupportedError, match="^c: no array holds a tensor of type "):
            tensor.numpy()
        with pytest.raises(UnsupportedError, match="^expected a type of fixed width, got "):
            tensor.tobytes()

    @pytest.mark.parametrize(
        ("content", "size", "problem"),
        [
            (b"\1a", 10**12, "expected 1000000000000 strings, got 2 bytes"),
            (b"\0a", 2, "expected a string (97 bytes), got 0 bytes and the end at byte 2 of tensor_content"),
            (b"\1\2abcd", 2, "expected the end of the strings, got 1 bytes at byte 5 of tensor_content"),
            (
                b"\xff\xff\xff\xff\x7f",
                1,
                "expected the length of a string (a varint below 2**32), got a larger one at byte 0 of tensor_content",
            ),
        ],
    )
    def test_strings_in_tensor_content(self, content, size, problem):
        proto = protos.TensorProto(dtype=7, tensor_content=content)
        proto.tensor_shape.dim.add(size=size)
        with pytest.raises(FormatError) as error:
            ProtoTensor(proto, "c").numpy()
        assert str(error.value) == f"c: {problem}"


class TestNumbers:
    def test_they_are_tensorflows(self):
        """By name, as the enumeration DataType spells them."""
        spelled = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}
        numbers = protos.message_class("TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_name
        for name, dtype in DTYPES.items():
            number = numbers[f"DT_{spelled.get(name, name.upper())}"].number
            assert number_of_dtype(dtype) == number
            assert dtype_of_number(number) == dtype
            assert number_of_dtype(dtype_of_number(number + 100)) == number + 100
            assert base_dtype(dtype_of_number(number + 100)) == dtype
            assert base_dtype(dtype) == dtype
        assert len(numbers) == 2 * len(DTYPES) + 1

    @pytest.mark.parametrize("number", [0, -1, 34, 99, 100, 134, 2**31 - 1, -(2**31)])
    def test_unknown_numbers_are_kept(self, number):
        dtype = dtype_of_number(number)
        assert dtype.name == f"tensorflow:{number}"
        assert not dtype.is_plain
        assert number_of_dtype(dtype) == number

    def test_references_have_no_value(self):
        assert str(dtype_of_number(101)) == "float32_ref"
        assert not dtype_of_number(101).is_plain

    def test_a_type_that_tensorflow_has_not(self):
        with pytest.raises(UnsupportedError, match="^TensorFlow has no element type float8_e8m0fnu$"):
            number_of_dtype(DType("float8_e8m0fnu", "float", 8, 1))


class TestToProto:
    def test_a_splat_is_one_value(self):
        proto = to_proto(SplatTensor(np.array(2.5, np.float32), (1_000_000, 1_000_000), FLOAT32))
        assert proto.ByteSize() < 30
        assert ProtoTensor(proto).numpy()[5, 5] == 2.5

    @pytest.mark.parametrize(
        ("dtype", "value", "field"),
        [(BOOL, True, "bool_val"), (COMPLEX64, 1 - 2j, "scomplex_val"), (DTYPES["bfloat16"], 1.5, "half_val")],
    )
    def test_a_splat_of_every_sort(self, dtype, value, field):
        proto = to_proto(SplatTensor(np.array(value).astype(dtype.numpy()), (3, 4), dtype))
        assert len(getattr(proto, field)) == (2 if dtype == COMPLEX64 else 1)
        assert np.array_equal(ProtoTensor(proto).numpy(), np.full((3, 4), value, dtype.numpy()))

    def test_an_opaque_type(self):
        tensor = ArrayTensor(np.zeros((), np.int8), DTYPES["resource"])
        with pytest.raises(UnsupportedError, match="^a tensor of type resource has no TensorProto$"):
            to_proto(tensor)

    def test_small_integers_keep_their_sign(self):
        array = np.array([-8, 7], ml_dtypes.int4)
        assert ProtoTensor(to_proto(ArrayTensor(array))).numpy().astype(int).tolist() == [-8, 7]
