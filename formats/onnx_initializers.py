"""The weights of an ONNX model, lazily: the file is walked field by field, and values stay where they are.

    ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto:
        dims = 1   data_type = 2   name = 8   raw_data = 9   external_data = 13   data_location = 14
        float_data = 4   int32_data = 5   string_data = 6   int64_data = 7   double_data = 10   uint64_data = 11

Values in raw_data or in an external file become stretches of that file; those in the typed fields are parsed when they
are asked for. External data have to be in a regular file below the model's directory, links included, since the
location is the model's word. Constant nodes and the weights of subgraphs are no initializers of the graph, and not
listed.

Reference: the comments in onnx.proto, and ONNX's ExternalData.md.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .binary import BinaryFile, Path, file_size, open_file
from .dtype import OPAQUE, STRING, UINT8, DType
from .errors import FormatError, UnsupportedError
from .onnx_types import dtype_of_onnx
from .packed import OpaqueTensor, PackedTensor, stored_size
from .sibling import sibling
from .tensor import ArrayTensor, Buffer, FileTensor, Tensor, refuse_strings
from .wire import BYTES, Field, fields

if TYPE_CHECKING:
    import numpy as np

MAX_RANK = 32
"""Dimensions that every version of numpy can hold."""

_GRAPH, _INITIALIZER, _SPARSE_INITIALIZER = 7, 5, 15
_RAW_DATA = 9
_HEADER = frozenset({1, 2, 3, 8, 13, 14})
"""The fields of a TensorProto that say what it is and where."""

_EXTERNAL = 1


class OnnxTensor(Tensor):
    """A TensorProto in bytes `start` to `end` of the file `path`, with its values in the typed fields."""

    __slots__ = ("end", "name", "path", "start")

    def __init__(self, dtype: DType, shape: tuple[int, ...], path: str, name: str, start: int, end: int) -> None:
        super().__init__(dtype, shape)
        self.path = path
        self.name = name
        self.start = start
        self.end = end

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np
        import onnx
        from google.protobuf.message import DecodeError

        with open_file(self.path, "a model") as file:
            encoded = file.window(self.start, self.end - self.start, f"the tensor {self.name!r}").data
        try:
            message = onnx.TensorProto.FromString(encoded)
            if self.dtype.kind == STRING:
                array = np.empty(len(message.string_data), object)
                array[:] = list(message.string_data)
                return array.reshape(self.shape)
            return onnx.numpy_helper.to_array(message).astype(self.dtype.numpy(), copy=False).reshape(self.shape)
        except (DecodeError, ValueError, TypeError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise FormatError(
                self.path, f"expected {self.dtype} {list(self.shape)} in {self.name!r}, got: {reason}"
            ) from None

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        yield from ArrayTensor(self.numpy(), self.dtype).chunks()


def read_onnx_initializers(path: Path) -> Mapping[str, Tensor]:
    """The initializers of the model's graph by name, in the order of the file. FormatError where one is wrong."""
    path = os.fspath(path)
    found: dict[str, Tensor] = {}
    with open_file(path, "an ONNX model") as file:
        for graph in _messages(file, _GRAPH, 0, file.size):
            for field in fields(file, graph.start, graph.end):
                if field.number == _SPARSE_INITIALIZER:
                    raise UnsupportedError(path, "sparse initializers are not read")
                if field.number != _INITIALIZER:
                    continue
                _check(field, path)
                name, tensor = _initializer(file, path, field)
                if name in found:
                    raise FormatError(path, f"expected one initializer {name!r}, got two")
                found[name] = tensor
    return found


def _messages(file: BinaryFile, number: int, start: int, end: int) -> Iterator[Field]:
    for field in fields(file, start, end):
        if field.number == number:
            _check(field, os.fspath(file.path))
            yield field


def _check(field: Field, path: str) -> None:
    if field.kind != BYTES:
        raise FormatError(path, f"expected a message at byte {field.begin}, got a number")


def _initializer(file: BinaryFile, path: str, field: Field) -> tuple[str, Tensor]:
    """Name and tensor of the TensorProto in `field`."""
    header, raw = bytearray(), None
    for part in fields(file, field.start, field.end):
        if part.number in _HEADER:
            header += file.window(part.begin, part.end - part.begin, "a tensor's description").data
        elif part.number == _RAW_DATA:
            _check(part, path)
            raw = part
    message = _parse(header, path, field)
    name, shape = _text(path, message.name), tuple(message.dims)
    dtype = dtype_of_onnx(message.data_type)
    if len(shape) > MAX_RANK:
        raise UnsupportedError(path, f"expected at most {MAX_RANK} dimensions of {name!r}, got {len(shape)}")
    if any(size < 0 for size in shape) or math.prod(filter(None, shape)) * (dtype.itemsize or 8) >= 1 << 63:
        raise FormatError(path, f"expected a shape for {name!r}, got {list(shape)}")
    if message.HasField("segment"):
        raise UnsupportedError(path, f"{name!r} is cut into segments")
    if dtype.kind == OPAQUE:
        return name, OpaqueTensor(dtype, shape, path, name)
    if message.data_location == _EXTERNAL:
        return name, _external(path, name, dtype, shape, message)
    if raw is None or dtype.kind == STRING:
        return name, OnnxTensor(dtype, shape, path, name, field.start, field.end)
    return name, _stretch(path, path, name, dtype, shape, raw.start, raw.end - raw.start)


def _parse(header: bytearray, path: str, field: Field) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.TensorProto.FromString(bytes(header))
    except DecodeError:
        raise FormatError(path, f"expected a TensorProto at byte {field.begin}, got bytes that are none") from None


def _text(path: str, value: str | bytes) -> str:
    """`value`, of which protobuf hands out bytes where they are no UTF-8."""
    if isinstance(value, bytes):
        raise FormatError(path, f"expected text in UTF-8, got {value[:40]!r}")
    return value


def _external(path: str, name: str, dtype: DType, shape: tuple[int, ...], message: Any) -> Tensor:
    """The tensor whose bytes are in the file that `message` refers to."""
    if dtype.kind == STRING:
        raise FormatError(path, f"expected the strings {name!r} in the model, got external data")
    entries = {_text(path, entry.key): _text(path, entry.value) for entry in message.external_data}
    target = sibling(path, entries.get("location", ""), links=False)
    size = file_size(target, "external data")
    offset = _number(path, name, entries.get("offset", "0"))
    length = _number(path, name, entries.get("length", str(max(size - offset, 0))))
    if offset + length > size:
        raise FormatError(
            target, f"expected {length} bytes of {name!r} at byte {offset}, got the end of the file at byte {size}"
        )
    return _stretch(path, target, name, dtype, shape, offset, length)


def _number(path: str, name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise FormatError(path, f"expected a number of bytes for {name!r}, got {text[:40]!r}")
    return int(text)


def _stretch(
    path: str, target: str, name: str, dtype: DType, shape: tuple[int, ...], offset: int, length: int
) -> Tensor:
    size = math.prod(shape)
    expected = stored_size(dtype, size)
    if length != expected:
        raise FormatError(path, f"expected {expected} bytes of {dtype} {list(shape)} in {name!r}, got {length}")
    if dtype.bits < 8:
        return PackedTensor(dtype, shape, FileTensor(UINT8, (expected,), target, offset, name=name))
    return FileTensor(dtype, shape, target, offset, name=name)
