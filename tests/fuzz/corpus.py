"""What fuzzing begins with: real fixtures, small files of the other formats, and how to mutate them.

    CORPUS["bundle"].seeds()                  a list of inputs that can be read
    CORPUS["bundle"].mutate(rng, data)        one of them, or any other bytes, changed

Tables and bundles have checksums everywhere: their mutations put those right, so that the code behind is reached.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.fixture import HOME
from tests.formats.bundle_writer import BundleWriter

from . import tables
from .mutations import (
    Mutator,
    either,
    in_part,
    join,
    mutate_bytes,
    mutate_message,
    mutate_table,
    mutate_text,
    mutate_zip,
    repaired,
    repaired_bundle,
)

LARGEST = 1 << 16
"""Bytes of a seed, and of an input: what a reader does wrong shows in small files."""


@dataclass(frozen=True)
class Corpus:
    """The seeds of one target, made when they are first asked for, and its mutations."""

    seeds: Callable[[], list[bytes]]
    mutator: Mutator

    def mutate(self, rng: Random, data: bytes) -> bytes:
        """`data` changed once, at times more often."""
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            data = self.mutator(rng, data)
        return data[: 2 * LARGEST]


def _small(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in sorted(paths) if path.stat().st_size <= LARGEST]


@cache
def bundle_seeds() -> list[bytes]:
    """Bundles of one shard, by TensorFlow and by hand: slices, strings, big-endian, snappy."""
    found = []
    for index in sorted(HOME.glob("**/*.index")):
        data = Path(f"{str(index)[:-6]}.data-00000-of-00001")
        if data.exists() and index.stat().st_size + data.stat().st_size <= LARGEST:
            found.append(join([index.read_bytes(), data.read_bytes()]))
    grid = np.arange(24, dtype=np.float32).reshape(4, 6)
    for big_endian in (False, True):
        writer = BundleWriter(1, big_endian=big_endian, gap=3 * big_endian)
        writer.add("strings", np.array([[b"", b"\0", b"two"], [b"x" * 300, b"\xff", b"end"]], object))
        writer.add("scalar", np.int64(7))
        writer.add("none", np.zeros((0, 3), np.float16))
        writer.add("narrow", np.arange(8, dtype=np.int8), number=29)
        writer.add_slices("rows", grid, [[(0, 1), (0, 6)], [(1, 3), (0, -1)]])
        writer.add_slices("grid", grid, [[(r, 2), (c, 3)] for r in (2, 0) for c in (3, 0)])
        found.append(_bundle(writer, {"kind": int(big_endian), "per_block": 4}))
    return found


def _bundle(writer: BundleWriter, options: dict[str, int]) -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        prefix = writer.write(Path(folder) / "b", **options)
        index, data = (Path(f"{prefix}{ending}") for ending in (".index", ".data-00000-of-00001"))
        return join([index.read_bytes(), data.read_bytes()])


@cache
def v1_seeds() -> list[bytes]:
    return _small([*HOME.glob("v1_*/model.ckpt"), *HOME.glob("v1_*/model.ckpt-*-of-*")])


@cache
def state_seeds() -> list[bytes]:
    return [
        *_small(list(HOME.glob("**/checkpoint"))),
        b'model_checkpoint_path: "model.ckpt-1"\nall_model_checkpoint_timestamps: 1.5e9\n',
        b'model_checkpoint_path: "sub/dir\\\\model.ckpt-1"\nlast_preserved_timestamp: 1\n',
    ]


@cache
def safetensors_seeds() -> list[bytes]:
    """A header of every dtype, and data."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for dtype, bits in (
        ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("U8", 8), ("F8_E5M2", 8), ("F8_E8M0", 8), ("I16", 16), ("F16", 16),
        ("BF16", 16), ("U32", 32), ("F32", 32), ("C64", 64), ("F64", 64), ("I64", 64),
    ):  # fmt: skip
        begin, end = end, end + bits
        header[f"t/{dtype}"] = {"dtype": dtype, "shape": [2, 4], "data_offsets": [begin, end]}
    header["none"] = {"dtype": "F32", "shape": [0, 5], "data_offsets": [end, end]}
    one = {"s": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}
    return [
        join([json.dumps(found).encode() + b"   ", bytes(range(1, 256))[:size].ljust(size, b"\1")])
        for found, size in ((header, end), (one, 4), ({}, 0))
    ]


@cache
def index_seeds() -> list[bytes]:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    return [
        json.dumps(index).encode()
        for index in (
            {"metadata": {"total_size": 4}, "weight_map": shards},
            {"weight_map": {"a": "./model-00001-of-00002.safetensors"}},
            {"weight_map": {}},
        )
    ]


@cache
def npz_seeds() -> list[bytes]:
    arrays = {
        "f": np.arange(6, dtype=np.float32).reshape(2, 3),
        "order": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        "deep/bytes": np.array([b"a", b"bc"]),
        "text": np.array(["a", "ü"]),
        "none": np.zeros((0, 3)),
        "scalar": np.array(True),
    }
    found = []
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, **arrays)
        found.append(out.getvalue())
    return found


@cache
def onnx_seeds() -> list[bytes]:
    """Initializers of every kind of field, raw, and external."""
    raw = [
        numpy_helper.from_array(np.arange(6).reshape(2, 3).astype(dtype), str(dtype))
        for dtype in ("f4", "f2", "i8", "bool", "c16", "u2")
    ]
    lists = [
        helper.make_tensor(f"list{kind}", kind, [2], [1, 2])
        for kind in (
            TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT8, TensorProto.INT64,
            TensorProto.UINT64, TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.COMPLEX64, TensorProto.INT4,
            TensorProto.FLOAT8E4M3FN,
        )
    ]  # fmt: skip
    strings = helper.make_tensor("strings", TensorProto.STRING, [2], [b"a", b""])
    external = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "weights.bin", "offset": "16", "length": "16"}.items():
        external.external_data.add(key=key, value=value)
    graphs = [raw, lists, [strings, external]]
    return [
        helper.make_model(helper.make_graph([], "g", [], [], initializer=graph), ir_version=8).SerializeToString()
        for graph in graphs
    ]


@cache
def graph_seeds() -> list[bytes]:
    found = _small([path for ending in ("pb", "meta", "pbtxt") for path in HOME.glob(f"*/*.{ending}")])
    return sorted(found, key=len)[:24]


@cache
def name_seeds() -> list[bytes]:
    return [
        b"\0" + (HOME / "ema" / "variables_to_restore.json").read_bytes(),
        b'\0{"rename": {"v1": "other-v1", "v2": "other-v2"}}',
        b'\xff[rename]\n"v1" = "other-v1"\nv2 = "other-v2"\n',
        b'\xffv1 = "other-v1"\nv2 = """\nother"""\na.b = 1979-05-27T07:32:00Z\n',
        b'\xffrules = [\n{from = "layer_{n:int}/kernel", to = "l.{n+1}.w", do = {transpose = [1, 0]}},\n'
        b'{regex = "(.*)/bias", to = ["{1}.a", "{1}.b"], do = {split = {axis = 0, sizes = [10, "${n}"]}}},\n'
        b'{from = "layer_{n:int}/conv", to = "conv", do = [{stack = 0}, {reshape = [2, -1]}], where = {rank = 4}}]\n'
        b'[variables]\nn = {quotient = [28, 2]}\nm = {dim = 0, of = "*/bias"}\nk = {count = "**"}\n',
        b'\0{"rules": [{"from": ["layer_0/bias", "layer_1/bias"], "to": "b", "do": [{"concat": 0}, {"slice": {"axis": '
        b'0, "start": 3, "step": 2}}, {"pad": {"axis": 0, "before": 2}}, {"expand": -1}, {"flip": 0}]},'
        b'{"from": "{x}/{p:kernel|conv}", "to": ["{x}.{p}", "{x}/{p:a|b}"], "do": ["tie", {"scale": 2}, {"cast": '
        b'"float16"}]}, {"from": "*", "drop": "old", "optional": true}]}',
    ]


@cache
def object_seeds() -> list[bytes]:
    """The object graphs of TensorFlow 2's checkpoints."""
    from tensorferry.formats.bundle import read_bundle
    from tensorferry.formats.object_graph import GRAPH_KEY

    prefixes = [*HOME.glob("objects_*/model.ckpt-1.index"), *HOME.glob("objects_*/variables/variables.index")]
    graphs = [read_bundle(str(path)[:-6])[GRAPH_KEY].numpy().item() for path in sorted(prefixes)]
    return [bytes(graph) for graph in graphs]


@cache
def anything_seeds() -> list[bytes]:
    """A few of each format, as files."""
    found = [
        *v1_seeds()[:2],
        *state_seeds()[:2],
        *index_seeds()[:1],
        *npz_seeds()[:1],
        *onnx_seeds()[:2],
        *graph_seeds()[:6],
        *_small(list(HOME.glob("add/*.index"))),
        *_small(list(HOME.glob("objects_saved_model/saved_model.pb"))),
        zlib.compress(b"no such format"),
    ]
    for seed in safetensors_seeds():
        size = struct.unpack("<I", seed[:4])[0]
        found.append(struct.pack("<Q", size) + seed[4:])
    return found


_TABLE = either(mutate_table, repaired(mutate_bytes))
_BINARY_OR_TEXT = either(mutate_message, mutate_message, mutate_bytes)


def _graph(rng: Random, data: bytes) -> bytes:
    """Binary as binary, text as text."""
    is_text = data.isascii() and b"\0" not in data
    return (mutate_text if is_text and rng.random() < 0.9 else _BINARY_OR_TEXT)(rng, data)


def _names(rng: Random, data: bytes) -> bytes:
    return data[:1] + mutate_text(rng, data[1:])


_TEXT = either(mutate_text, mutate_text, mutate_bytes)


@cache
def frozen_seeds() -> list[bytes]:
    """GraphDefs of all kinds: frozen ones, those of kernels and control flow, with functions."""
    found = _small([*HOME.glob("*/frozen*.pb"), *HOME.glob("*/graph.pb"), *HOME.glob("*/conditionals.pb")])
    found += _small(list(HOME.glob("control_flow/*.pb")))[:24]
    return sorted(found, key=len)


@cache
def training_seeds() -> list[bytes]:
    return sorted(_small(list(HOME.glob("*/*.meta"))), key=len)[:12]


@cache
def saved_model_seeds() -> list[bytes]:
    return sorted(_small(list(HOME.glob("*/saved_model.pb"))), key=len)[:8]


CORPUS = {
    "bundle": Corpus(bundle_seeds, repaired_bundle(in_part(2, _TABLE, mutate_bytes))),
    "rewrite": Corpus(bundle_seeds, repaired_bundle(in_part(2, _TABLE, mutate_bytes))),
    "v1": Corpus(v1_seeds, _TABLE),
    "state": Corpus(state_seeds, _TEXT),
    "safetensors": Corpus(safetensors_seeds, in_part(2, _TEXT, mutate_bytes)),
    "safetensors_index": Corpus(index_seeds, _TEXT),
    "npz": Corpus(npz_seeds, mutate_zip),
    "onnx": Corpus(onnx_seeds, either(mutate_message, mutate_message, mutate_bytes)),
    "graph": Corpus(graph_seeds, _graph),
    "names": Corpus(name_seeds, either(_names, _names, mutate_bytes)),
    "mapping": Corpus(tables.seeds, either(tables.mutate, tables.mutate, tables.mutate, mutate_text)),
    "object_graph": Corpus(object_seeds, either(mutate_message, mutate_message, mutate_bytes)),
    "frozen": Corpus(frozen_seeds, either(mutate_message, mutate_message, mutate_message, mutate_bytes)),
    "training": Corpus(training_seeds, either(mutate_message, mutate_message, mutate_message, mutate_bytes)),
    "saved_model": Corpus(saved_model_seeds, either(mutate_message, mutate_message, mutate_message, mutate_bytes)),
    "anything": Corpus(anything_seeds, either(mutate_bytes, mutate_text, mutate_message, repaired(mutate_bytes))),
}
"""By the targets' names."""
