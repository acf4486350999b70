"""TensorFlow's protobuf messages, from .proto files of our own, in a descriptor pool of their own.

`graph.proto`, `checkpoint.proto` and `saved_model.proto` are compiled to `tensorflow.binpb` (`make protos`), which is
loaded here at first use. The pool is private, so TensorFlow can be imported into the same process, before or
after, without a clash; and no generated code ties us to one version of protobuf.

    protos.GraphDef()                      a message class by its name
    protos.parse("GraphDef", data, path)   bytes -> message, or FormatError naming `path`
    protos.parse_text(...)                 the text form
    protos.message_class("AttrValue.ListValue")
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from ..errors import FormatError, one_line

DESCRIPTORS = os.path.join(os.path.dirname(__file__), "tensorflow.binpb")


@cache
def _pool() -> Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    pool = DescriptorPool()
    with open(DESCRIPTORS, "rb") as descriptors:
        files = FileDescriptorSet.FromString(descriptors.read()).file
    for file in files:
        pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def message_class(name: str) -> Any:
    """The class of the message `name`, such as "GraphDef" or "AttrValue.ListValue"; KeyError where there is none."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"tensorflow.{name}"))


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(name) from None


def parse(name: str, data: bytes | bytearray | memoryview, where: object) -> Any:
    """The message `name` from its wire form; FormatError (at `where`) if the bytes are not one."""
    from google.protobuf.message import DecodeError

    message = message_class(name)()
    try:
        message.MergeFromString(bytes(data) if isinstance(data, bytearray) else data)
    except (DecodeError, RecursionError) as error:
        raise FormatError(
            where, f"expected a {name} message, got {len(data)} bytes that are none ({_reason(error)})"
        ) from None
    return message


def parse_text(name: str, text: str, where: object) -> Any:
    """The message `name` from its text form; FormatError (at `where`, with line and column) if the text is not one."""
    from google.protobuf import text_format

    message = message_class(name)()
    try:
        text_format.Parse(text, message, descriptor_pool=_pool())
    except (text_format.ParseError, RecursionError, ValueError) as error:  # ValueError: an enum beyond 32 bits
        raise FormatError(where, f"expected a {name} message in text form, got: {_reason(error)}") from None
    return message


def to_text(message: Any) -> str:
    """The text form of a message."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(message, descriptor_pool=_pool()))


def _reason(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__)[:200]
