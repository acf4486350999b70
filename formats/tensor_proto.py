"""TensorProto: TensorFlow's tensor inside a message, and the numbers of its element types.

A value is either `tensor_content`, the little-endian bytes, or a list in the field of its type:

    float_val    float32
    float8_val   the float8 and float4 kinds, as bytes
    half_val     float16 and bfloat16 as bit patterns, one an int32
    int_val      all integers of 32 bits or less but uint32, and the quantised types
    scomplex_val, dcomplex_val    real and imaginary part in turn
    double_val, int64_val, bool_val, uint32_val, uint64_val, string_val    what their names say

Strings in tensor_content (TensorFlow's constant folding leaves them so) are a varint length each, then their bytes.

A list shorter than the shape repeats its last value to the end, an empty one means zeros (or empty strings). So a
message of 20 bytes may stand for 10**12 elements: it becomes a `SplatTensor`, never an array of that size unasked.
Reference: the comments in TensorFlow's tensor.proto and what `tf.make_ndarray` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from . import protos
from .dtype import DTYPES, OPAQUE, STRING, DType
from .errors import FormatError, UnsupportedError
from .tensor import ArrayTensor, Buffer, SplatTensor, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np

REF = 100
"""What TensorFlow adds to a type's number for a reference to a variable of it."""

MAX_RANK = 254

ARRAY_RANK = 32
"""Dimensions that any numpy's arrays can have."""

_NUMBERS = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 11: "qint8", 12: "quint8", 13: "qint32", 14: "bfloat16", 15: "qint16", 16: "quint16",
    17: "uint16", 18: "complex128", 19: "float16", 20: "resource", 21: "variant", 22: "uint32", 23: "uint64",
    24: "float8_e5m2", 25: "float8_e4m3fn", 26: "float8_e4m3fnuz", 27: "float8_e4m3b11fnuz", 28: "float8_e5m2fnuz",
    29: "int4", 30: "uint4", 31: "int2", 32: "uint2", 33: "float4_e2m1fn",
}  # fmt: skip

_FIELDS = {
    "float32": "float_val", "float64": "double_val", "float16": "half_val", "bfloat16": "half_val",
    "int64": "int64_val", "uint32": "uint32_val", "uint64": "uint64_val", "bool": "bool_val",
    "complex64": "scomplex_val", "complex128": "dcomplex_val", "string": "string_val",
}  # fmt: skip

_CONTENT = frozenset({
    "float32", "float64", "int32", "uint8", "int16", "int8", "int64", "qint8", "quint8", "qint16", "quint16", "qint32",
    "uint32", "uint64",
})  # fmt: skip
"""The types of which TensorFlow's Python writes two elements and more as tensor_content."""


_NARROW_FLOATS = ("float8", "float4")


@cache
def dtype_of_number(number: int) -> DType:
    """The element type of a DataType number. References (`_ref`) and unknown numbers become opaque types."""
    if number in _NUMBERS:
        return DTYPES[_NUMBERS[number]]
    if number - REF in _NUMBERS:
        return DType(f"{_NUMBERS[number - REF]}_ref", OPAQUE, 0, 0)
    return DType(f"tensorflow:{number}", OPAQUE, 0, 0)


@cache
def _numbers_by_name() -> dict[str, int]:
    known = {name: number for number, name in _NUMBERS.items()}
    return known | {f"{name}_ref": number + REF for name, number in known.items()}


def number_of_dtype(dtype: DType) -> int:
    """The DataType number of an element type; the inverse of `dtype_of_number`."""
    number = _numbers_by_name().get(dtype.name)
    if number is None and dtype.name.startswith("tensorflow:"):
        return int(dtype.name.partition(":")[2])
    if number is None:
        raise UnsupportedError("", f"TensorFlow has no element type {dtype}")
    return number


def has_number(dtype: DType) -> bool:
    """Whether TensorFlow has the element type."""
    return dtype.name in _numbers_by_name()


def base_dtype(dtype: DType) -> DType:
    """The type behind a reference to it; any other type is its own base."""
    return DTYPES.get(dtype.name.removesuffix("_ref"), dtype)


class ProtoTensor(Tensor):
    """The tensor in the TensorProto `proto`, which it keeps as it is. `where` is for messages."""

    __slots__ = ("proto", "where")

    def __init__(self, proto: Any, where: str = "") -> None:
        shape = proto.tensor_shape
        if shape.unknown_rank or any(dim.size < 0 for dim in shape.dim) or len(shape.dim) > MAX_RANK:
            raise FormatError(where, "expected a tensor with a known shape, got one without")
        super().__init__(dtype_of_number(proto.dtype), tuple(dim.size for dim in shape.dim))
        if self.size >= 1 << 63:
            raise FormatError(where, f"expected a tensor below 2**63 elements, got shape {list(self.shape)}")
        self.proto = proto
        self.where = where

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value, read-only; a repeated last element is a view of that element."""
        import numpy as np

        if self.dtype.kind == OPAQUE:
            raise UnsupportedError(self.where, f"no array holds a tensor of type {self.dtype}")
        if self.rank > ARRAY_RANK or math.prod(filter(None, self.shape)) * (self.dtype.itemsize or 8) >= 1 << 63:
            raise UnsupportedError(self.where, f"no array holds a tensor of shape {list(self.shape)!s:.80}")
        if self.proto.tensor_content:
            if self.dtype.kind == STRING:
                return self._strings_from_content()
            if len(self.proto.tensor_content) != self.nbytes:
                raise FormatError(
                    self.where,
                    f"expected {self.nbytes} bytes of {self.dtype} {list(self.shape)}, "
                    f"got {len(self.proto.tensor_content)}",
                )
            return self._from_content()
        values = self._from_fields()
        if values.size > self.size:
            raise FormatError(self.where, f"expected at most {self.size} values, got {values.size}")
        if not values.size:
            values = np.array([b"" if self.dtype.kind == STRING else 0], self.dtype.numpy())
        if values.size == 1 and self.size != 1:
            return np.broadcast_to(values, self.shape) if self.size else np.empty(self.shape, values.dtype)
        if values.size < self.size:
            self._refuse_excess(values.size)
            values = np.concatenate([values, np.broadcast_to(values[-1:], self.size - values.size)])
        return values.reshape(self.shape)

    def _refuse_excess(self, given: int) -> None:
        """A short list of several values has to be spelled out: bounded, since its length is the file's word."""
        if self.size > max(1 << 24, 256 * given):
            raise FormatError(self.where, f"expected {self.size} values, got {given}")

    def _from_content(self) -> np.ndarray[Any, Any]:
        import numpy as np

        return np.frombuffer(self.proto.tensor_content, self.dtype.numpy().newbyteorder("<")).reshape(self.shape)

    def _strings_from_content(self) -> np.ndarray[Any, Any]:
        import numpy as np

        from .binary import Window

        content = Window(self.proto.tensor_content, self.where, within=" of tensor_content")
        if self.size > content.left:
            raise FormatError(self.where, f"expected {self.size} strings, got {content.left} bytes")
        lengths = [content.varint32("the length of a string") for _ in range(self.size)]
        strings = np.empty(self.size, object)
        strings[:] = [content.take(length, "a string") for length in lengths]
        if content.left:
            content.fail("the end of the strings", f"{content.left} bytes")
        return strings.reshape(self.shape)

    def _from_fields(self) -> np.ndarray[Any, Any]:
        """The values that are listed, flat."""
        import numpy as np

        storage = self.dtype.numpy()
        field = _FIELDS.get(self.dtype.name, "int_val")
        if self.dtype.name.startswith(_NARROW_FLOATS):
            return np.frombuffer(self.proto.float8_val, storage)
        listed = getattr(self.proto, field)
        if field == "half_val":
            return np.array(listed, np.int64).astype(np.uint16).view(storage)
        if self.dtype.kind == "complex":
            parts = np.array(listed, np.float64 if field == "dcomplex_val" else np.float32)
            if parts.size % 2:
                raise FormatError(self.where, f"expected pairs of real and imaginary parts, got {parts.size} values")
            return parts.view(storage)
        if field == "string_val":
            strings = np.empty(len(listed), object)
            strings[:] = list(listed)
            return strings
        if field == "int_val":
            return np.array(listed, np.int64).astype(storage)
        return np.array(listed, storage)

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        value = self.numpy()
        if value.size > 1 and not any(value.strides):
            yield from SplatTensor(value.reshape(-1)[:1].reshape(()), self.shape, self.dtype).chunks()
        else:
            yield from ArrayTensor(value, self.dtype).chunks()


def to_proto(tensor: Tensor) -> Any:
    """`tensor` as a TensorProto: its own message where it came in one, else as `tf.make_tensor_proto` writes it.

    That is: tensor_content for two elements and more of most types, typed fields for one element, for one that is
    repeated, and for float16, bfloat16, bool, complex and strings.
    """
    if isinstance(tensor, ProtoTensor):
        return tensor.proto
    if not tensor.dtype.is_plain and tensor.dtype.kind != STRING:
        raise UnsupportedError("", f"a tensor of type {tensor.dtype} has no TensorProto")
    proto = content_head(tensor)
    if isinstance(tensor, SplatTensor) and tensor.size:
        tensor = ArrayTensor(tensor.value, tensor.dtype)
    narrow = tensor.dtype.name.startswith(_NARROW_FLOATS)
    if has_content(tensor):
        proto.tensor_content = tensor.tobytes()
    elif narrow:
        proto.float8_val = tensor.tobytes()
    else:
        _extend_fields(proto, tensor)
    return proto


def content_head(tensor: Tensor) -> Any:
    """The TensorProto of `tensor` without its value."""
    proto = protos.message_class("TensorProto")(dtype=number_of_dtype(tensor.dtype))
    proto.tensor_shape.SetInParent()
    for size in tensor.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def has_content(tensor: Tensor) -> bool:
    """Whether `to_proto` keeps the value in tensor_content, whole."""
    if tensor.size <= 1 or isinstance(tensor, (ProtoTensor, SplatTensor)):
        return False
    return tensor.dtype.name.startswith(_NARROW_FLOATS) or tensor.dtype.name in _CONTENT


def _extend_fields(proto: Any, tensor: Tensor) -> None:
    import numpy as np

    flat = tensor.numpy().reshape(-1)
    field = _FIELDS.get(tensor.dtype.name, "int_val")
    if field == "half_val":
        flat = flat.view(np.uint16)
    elif tensor.dtype.kind == "complex":
        flat = np.ascontiguousarray(flat).view(f"f{tensor.dtype.itemsize // 2}")
    elif field == "int_val":
        flat = flat.astype(np.int32)
    getattr(proto, field).extend(flat.tolist())
