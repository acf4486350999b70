"""What is fuzzed: each target takes any bytes, writes them where a reader looks for them, and reads everything.

    TARGETS["bundle"].run(data, directory)

Only TensorferryError may come out of a reader, and `run` hides those; everything else passes. What can be read has to
be consistent too: an array of the shape and type that were promised, the same bytes in pieces as in one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tensorferry import convert, diff
from tensorferry.converters.load import constants_of, load_checkpoint, load_model
from tensorferry.converters.mapping.inverse import invert_plan
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import read_map
from tensorferry.converters.mapping.table import Table
from tensorferry.converters.names.named import named_tensors
from tensorferry.converters.names.table import invert_table
from tensorferry.formats.bundle import read_bundle, storage_order
from tensorferry.formats.bundle_layout import read_layout
from tensorferry.formats.checkpoint_state import latest_checkpoint, prefixes
from tensorferry.formats.detect import detect
from tensorferry.formats.dtype import FLOAT32, STRING_TYPE
from tensorferry.formats.errors import TensorferryError
from tensorferry.formats.npz_file import read_npz
from tensorferry.formats.object_graph import GRAPH_KEY, object_tensors
from tensorferry.formats.object_graph_writer import renamed_object_graph
from tensorferry.formats.onnx_initializers import read_onnx_initializers
from tensorferry.formats.safetensors_file import read_safetensors, read_safetensors_index
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tensorferry.formats.v1_checkpoint import read_v1

from .graphs import frozen, saved_model, training
from .mutations import split
from .tables import mapping

MOST = 100 << 20
"""Bytes of a value that are read whole; of a larger one, the first piece. (A splat may claim any size.)"""


def read_value(tensor: Tensor) -> None:
    """Reads a tensor in both ways, and compares."""
    assert tensor.rank == len(tensor.shape)
    assert repr(tensor)
    if tensor.nbytes > MOST:
        next(tensor.chunks(), None)
        return
    array = tensor.numpy()
    assert array.shape == tensor.shape, (array.shape, tensor.shape)
    if tensor.dtype.kind == "string":
        assert all(isinstance(item, bytes) for item in array.reshape(-1)[:100])
        return
    assert array.dtype.newbyteorder("=") == tensor.dtype.numpy(), (array.dtype, tensor.dtype)
    pieces = b"".join(bytes(chunk) for chunk in tensor.chunks())
    assert pieces == np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def read_all(tensors: Mapping[str, Tensor]) -> None:
    """Reads every value, whatever is wrong with others."""
    left = MOST
    for name in tensors:
        with suppress(TensorferryError):
            tensor = tensors[name]
            if tensor.nbytes > MOST or tensor.nbytes <= left:
                read_value(tensor)
                left -= min(left, tensor.nbytes)


def bundle(data: bytes, directory: Path) -> None:
    """An index and one data file (of shards that the index may count otherwise)."""
    prefix = directory / "model.ckpt"
    index, shard = split(data, 2)
    Path(f"{prefix}.index").write_bytes(index)
    Path(f"{prefix}.data-00000-of-00001").write_bytes(shard)
    found = read_bundle(prefix)
    read_all(found)
    assert sorted(storage_order(found)) == sorted(found)
    with suppress(TensorferryError):
        read_layout(prefix)
    named_tensors(detect(prefix))


def rewrite(data: bytes, directory: Path) -> None:
    """The same, written again: what is copied whole holds the same, and nothing is left behind by what fails."""
    prefix, out = directory / "model.ckpt", directory / "out"
    index, shard = split(data, 2)
    Path(f"{prefix}.index").write_bytes(index)
    Path(f"{prefix}.data-00000-of-00001").write_bytes(shard)
    if sum(min(tensor.nbytes, MOST) for tensor in read_bundle(prefix).values()) >= MOST:
        return  # a value that is repeated may be larger than any file
    out.mkdir(exist_ok=True)
    for file in out.iterdir():
        file.unlink()
    problem = None
    for name, options in (("w.safetensors", {"unstorable": "drop"}), ("c.ckpt", {"keep_layout": True})):
        try:
            convert(prefix, out / name, keep_optimizer=True, names="key", **options)  # type: ignore[arg-type]
        except TensorferryError as error:
            problem = error
            assert not (out / name).exists()
            assert not list(out.glob(f".{name}*"))
    if problem is not None:
        raise problem
    found = diff(prefix, out / "c.ckpt")
    changed = [difference.name for difference in found.different if difference.name != GRAPH_KEY]
    changed += found.only_a + found.only_b
    assert not changed, found  # but the graph, which may have told of tensors that aren't there


def v1(data: bytes, directory: Path) -> None:
    (directory / "model.ckpt").write_bytes(data)
    found = read_v1(directory / "model.ckpt")
    read_all(found)
    assert {piece.name for shard in found.layout() for piece in shard} <= set(found)


def state(data: bytes, directory: Path) -> None:
    """A state file in a directory with two checkpoints."""
    training = directory / "training"
    training.mkdir(exist_ok=True)
    for name in ("model.ckpt", "model.ckpt-1"):
        (training / f"{name}.index").write_bytes(b"")
    (training / "checkpoint").write_bytes(data)
    assert prefixes(training) == ["model.ckpt", "model.ckpt-1"]
    found = latest_checkpoint(training)
    assert Path(f"{found}.index").exists() or Path(found).exists() or "-of-" in found


def safetensors(data: bytes, directory: Path) -> None:
    """The header; the data behind it are zeros, as many as it claims, if that isn't much."""
    header, rest = split(data, 2)
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + rest)
    read_all(read_safetensors(directory / "model.safetensors"))


def safetensors_index(data: bytes, directory: Path) -> None:
    """An index, beside the shards of a small model."""
    for number, name in enumerate("ab", 1):
        header = b'{"%s":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}' % name.encode()
        shard = directory / f"model-0000{number}-of-00002.safetensors"
        shard.write_bytes(struct.pack("<Q", len(header)) + header + b"\1\2")
    path = directory / "model.safetensors.index.json"
    path.write_bytes(data)
    with suppress(TensorferryError):
        source = detect(path)
        assert all(Path(file).exists() for file in source.files)
    read_all(read_safetensors_index(path))


def npz(data: bytes, directory: Path) -> None:
    (directory / "a.npz").write_bytes(data)
    read_all(read_npz(directory / "a.npz"))


def onnx(data: bytes, directory: Path) -> None:
    """A model, beside a file of external data."""
    (directory / "weights.bin").write_bytes(bytes(range(64)))
    (directory / "model.onnx").write_bytes(data)
    read_all(read_onnx_initializers(directory / "model.onnx"))


def graph(data: bytes, directory: Path) -> None:
    """A GraphDef or a MetaGraphDef, in binary or in text form."""
    (directory / "graph.pb").write_bytes(data)
    read_all(constants_of(load_model(directory / "graph.pb").graph))


TENSORS: Mapping[str, Tensor] = {
    f"{place}/{name}": ArrayTensor(np.arange(24, dtype=np.float32).reshape(shape))
    for place in ("layer_0", "layer_1")
    for name, shape in (("kernel", (4, 6)), ("bias", (24,)), ("conv", (1, 2, 3, 4)))
}
"""What tables are run over."""


def names(data: bytes, directory: Path) -> None:
    """A table of names or rules: JSON behind a byte below 128, TOML behind another. Rules run over a few tensors."""
    path = directory / ("names.json" if data[:1] < b"\x80" else "names.toml")
    path.write_bytes(data[1:])
    table = read_map(path)
    if isinstance(table, Table):
        plan = make_plan(table.rules, TENSORS)
        invert_plan(plan, TENSORS)
        read_all({name: tensor for move in plan.moves for name, tensor in move.targets.items()})
    else:
        invert_table(table)


def anything(data: bytes, directory: Path) -> None:
    """Bytes of any kind under a name that tells nothing, from their detection to their values."""
    path = directory / "file"
    path.write_bytes(data)
    found = detect(path)
    assert found.files
    with suppress(TensorferryError):
        load_model(path)
    read_all(load_checkpoint(path))


_KEY = re.compile(rb"[\w./-]{1,200}/\.ATTRIBUTES/VARIABLE_VALUE")


def object_graph(data: bytes, directory: Path) -> None:
    """The message in a checkpoint that has a scalar under each key which the message could mean."""
    keys = [match.decode() for match in dict.fromkeys(_KEY.findall(data))][:500]
    scalar = np.zeros((), np.float32)
    tensors: dict[str, Tensor] = {key: ArrayTensor(scalar, FLOAT32) for key in keys}
    text: np.ndarray[Any, Any] = np.empty((), object)
    text[()] = data
    tensors[GRAPH_KEY] = ArrayTensor(text, STRING_TYPE)
    for key, found in object_tensors(tensors, "model.ckpt").items():
        assert key == found.key
        assert key in tensors
    left = {key: f"new/{key}" if number % 2 else None for number, key in enumerate(keys)}
    message, count, _ = renamed_object_graph(data, left, "model.ckpt")
    assert renamed_object_graph(message, {name: name for name in left.values() if name}, "model.ckpt")[1] == count


@dataclass(frozen=True)
class Target:
    """A reader with its name; `read` may raise TensorferryError."""

    name: str
    read: Callable[[bytes, Path], None]

    def run(self, data: bytes, directory: Path) -> bool:
        """Whether the input was read; False where a TensorferryError said that it can't be."""
        try:
            self.read(data, directory)
        except TensorferryError as error:
            text = str(error)
            assert text.isprintable(), f"a message that breaks the line: {text!r}"
            return False
        return True


TARGETS = {
    read.__name__: Target(read.__name__, read)
    for read in (
        bundle,
        rewrite,
        v1,
        state,
        safetensors,
        safetensors_index,
        npz,
        onnx,
        graph,
        names,
        mapping,
        object_graph,
        anything,
        frozen,
        training,
        saved_model,
    )
}
"""All of them by name."""
