"""The values of V1 checkpoints: a slice of a tensor under its key, each value in the field of its type.

    SavedTensorSlices   2: SavedSlice          (1, the metadata, stands under the key "" alone)
    SavedSlice          1: name | 2: TensorSliceProto | 3: TensorProto
    TensorProto         no dtype, no shape, no tensor_content: one packed list of all values

        5  float_val       float32           4 bytes each, little-endian
        6  double_val      float64           8 bytes each
        9  scomplex_val    complex64         4 bytes for the real, 4 for the imaginary part
       12  dcomplex_val    complex128        8 bytes each
        7  int_val         int8, int16, int32, uint8, uint16 and the quantised types: a varint each
       10  int64_val       int64             a varint each
       11  bool_val        bool              a varint each
       13  half_val        float16           its bits, a varint each
        8  string_val      string            a field each

A varint of a negative number is that of its 64 bits: ten bytes. Nothing stands for a repeated value, as in other
TensorProtos: TensorFlow takes a list of the wrong length for damage, and so do we. These are the types that TensorFlow
saves; it refuses others (bfloat16, uint32, uint64, qint16) to this day.

Source: TensorFlow's util/saved_tensor_slice_util.h and tensor_slice_writer.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import protos
from .binary import BinaryFile
from .dtype import BOOLEAN, STRING, DType
from .errors import FormatError
from .ordered_code import FULL, encode_slice_key
from .table_lookup import TableLookup, Value
from .tensor import CHUNK, Buffer, Tensor, refuse_strings
from .wire import BYTES, Field, fields

if TYPE_CHECKING:
    import numpy as np

_STRINGS = 8
_FIXED = {"float32": 5, "float64": 6, "complex64": 9, "complex128": 12}
_VARINTS = {
    "int8": 7, "int16": 7, "int32": 7, "uint8": 7, "uint16": 7, "qint8": 7, "quint8": 7, "quint16": 7, "qint32": 7,
    "int64": 10, "bool": 11, "float16": 13,
}  # fmt: skip

TYPES = frozenset({*_FIXED, *_VARINTS, "string"})
"""The names of the types that V1 checkpoints hold."""

_MAX_EXTENTS = 1 << 16
"""Bytes of a TensorSliceProto; 254 dimensions take 22 each at most."""

Extents = tuple[tuple[int, int], ...]


def extents_of(proto: Any) -> Extents:
    """(start, length) along each dimension of a TensorSliceProto; length -1 for the whole dimension."""
    return tuple((e.start, e.length if e.WhichOneof("has_length_hack") else FULL) for e in proto.extent)


class SliceTensor(Tensor):
    """The slice at `extents` of the tensor `name` (UTF-8) in `table`; `shape` is the slice's."""

    __slots__ = ("extents", "name", "table")

    def __init__(self, dtype: DType, shape: tuple[int, ...], table: TableLookup, name: bytes, extents: Extents) -> None:
        super().__init__(dtype, shape)
        self.table = table
        self.name = name
        self.extents = extents

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        value, start, end = self._find()
        if self.dtype.name in _FIXED:
            yield from value.chunks(start, end)
        else:
            yield from self._numbers(value.chunks(start, end))

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        if self.dtype.kind == STRING:
            strings = self._strings()  # first: the shape is the file's word
            flat = np.empty(self.size, object)
            flat[:] = strings
            return flat.reshape(self.shape)
        pieces = list(self.chunks())
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return np.frombuffer(data, self.dtype.numpy().newbyteorder("<")).reshape(self.shape)

    def _numbers(self, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        """The elements of a packed list of varints, as bytes."""
        import numpy as np

        storage = np.dtype(np.uint16) if self.dtype.name == "float16" else self.dtype.numpy()
        count = 0
        for numbers in _varints(chunks, lambda got: self._wrong("a list of varints", got)):
            count += len(numbers)
            if count > self.size:
                break
            values = numbers != 0 if self.dtype.kind == BOOLEAN else numbers.astype(storage)
            yield np.ascontiguousarray(values, storage.newbyteorder("<")).view(np.uint8).data
        if count != self.size:
            raise self._wrong(self._wanted(), "more" if count > self.size else str(count))

    def _strings(self) -> list[bytes]:
        value, start, end = self._find()
        proto = protos.parse("TensorProto", b"".join(value.chunks(start, end)), self.table.path)
        if len(proto.string_val) != self.size:
            raise self._wrong(self._wanted(), str(len(proto.string_val)))
        return list(proto.string_val)

    def _find(self) -> tuple[Value, int, int]:
        """The record, and where in it the list of values begins and ends (of strings: the TensorProto)."""
        value = self.table.find(encode_slice_key(self.name, self.extents))
        if value is None:
            raise self._wrong("an entry for each slice that the metadata list", f"none for {list(self.extents)}")
        with value.open(f"the entry of {self._text!r}") as file:
            saved = self._messages(file, value, 2).get(2)
            if saved is None:
                raise self._wrong("a SavedSlice", "none")
            parts = self._messages(file, saved, 1, 2, 3)
            self._compare(file, parts)
            listed = parts.get(3)
            if listed is not None and self.dtype.kind != STRING:
                number = _FIXED.get(self.dtype.name) or _VARINTS[self.dtype.name]
                listed = self._messages(file, listed, number).get(number)
        start, end = (0, 0) if listed is None else (listed.start, listed.end)
        least = 2 if self.dtype.kind == STRING else self.dtype.itemsize if self.dtype.name in _FIXED else 1
        if end - start < least * self.size or (self.dtype.name in _FIXED and end - start != self.nbytes):
            raise self._wrong(self._wanted(), f"{end - start} bytes")
        return value, start, end

    def _messages(self, file: BinaryFile, message: Value | Field, *numbers: int) -> dict[int, Field]:
        """The fields `numbers` of a message that are there: strings, messages or packed lists, one of each."""
        found: dict[int, Field] = {}
        for field in fields(file, message.start, message.end):
            if field.number in numbers:
                if field.number in found or field.kind != BYTES:
                    what = f"wire type {field.kind}" if field.kind != BYTES else "several"
                    raise self._wrong(f"one field {field.number} that is packed or a message", what)
                found[field.number] = field
        return found

    def _compare(self, file: BinaryFile, parts: dict[int, Field]) -> None:
        """Raises FormatError if the record says that it is another slice's."""
        name, place = (self._start(file, parts.get(number)) for number in (1, 2))
        if name != self.name:
            raise self._wrong("its own name in its entry", repr(name[:100].decode("utf-8", "replace")))
        extents = extents_of(protos.parse("TensorSliceProto", place, self.table.path))
        if extents != self.extents:
            raise self._wrong(f"the slice {list(self.extents)} in its entry", str(list(extents)))

    def _start(self, file: BinaryFile, field: Field | None) -> bytes:
        """The bytes of a field; only the first, where they are more than a name or a place can be."""
        if field is None:
            return b""
        return file.window(
            field.start, min(field.end - field.start, max(_MAX_EXTENTS, len(self.name) + 1)), "a name"
        ).data

    def _wanted(self) -> str:
        return f"{self.size} values of {self.dtype} {list(self.shape)}"

    def _wrong(self, expected: str, got: str) -> FormatError:
        return FormatError(self.table.path, f"tensor {self._text!r}: expected {expected}, got {got}")

    @property
    def _text(self) -> str:
        return self.name.decode("utf-8", "surrogateescape")


def _varints(chunks: Iterator[Buffer], wrong: Any) -> Iterator[np.ndarray[Any, Any]]:
    """The numbers [N] (uint64) of a list of varints whose bytes come in pieces; `wrong` makes an error."""
    import numpy as np

    rest = np.empty(0, np.uint8)
    for chunk in chunks:
        for start in range(0, len(chunk), CHUNK // 8):
            data = np.concatenate([rest, np.frombuffer(chunk[start : start + CHUNK // 8], np.uint8)])
            ends = np.flatnonzero(data < 0x80)
            starts = np.concatenate([[0], ends + 1]) if ends.size else np.zeros(1, np.intp)
            rest, starts = data[starts[-1] :], starts[:-1]
            lengths = ends - starts + 1
            longest = int(lengths.max(initial=0))
            if max(longest, rest.size) > 10:
                raise wrong("one of more than 10 bytes")
            numbers = (data[starts] & 0x7F).astype(np.uint64)
            for index in range(1, longest):
                longer = np.flatnonzero(lengths > index)
                bits = (data[starts[longer] + index] & 0x7F).astype(np.uint64)
                numbers[longer] |= bits << np.uint64(7 * index)
            yield numbers
    if rest.size:
        raise wrong("an unfinished one")
