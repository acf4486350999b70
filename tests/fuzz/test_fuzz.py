"""Hostile input: only TensorferryError comes out of a reader, in bounded time and memory.

A small, fixed part of what `python -m tests.fuzz.run` does for as long as one likes, and what it has found so far.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tensorferry.converters.load import constants_of, load_model
from tensorferry.converters.names.table import read_table
from tensorferry.formats import protos
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.checkpoint_state import latest_checkpoint
from tensorferry.formats.errors import FormatError, TensorferryError, UnsupportedError
from tensorferry.formats.npz_file import read_npz
from tensorferry.formats.onnx_initializers import read_onnx_initializers
from tensorferry.formats.safetensors_file import read_safetensors, read_safetensors_index
from tensorferry.formats.v1_checkpoint import read_v1
from tests.formats.bundle_writer import (
    block,
    contents,
    entry,
    header,
    message,
    number,
    shape_proto,
    slice_key,
    slice_proto,
    table,
    table_of_blocks,
    varint,
)

from .bounds import BoundError, bounded
from .corpus import CORPUS
from .mutations import join, mutate_bytes, repair_bundle, repair_table, split
from .run import TARGETS as NAMES
from .targets import TARGETS

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured in Linux' way")

INPUTS = 250
"""Mutated inputs for each target."""

WHOLE = ("frozen", "training", "saved_model")
"""Targets that do all that can be done with a graph: some of the inputs have to do."""

PARTS = ("bundle", "safetensors")
"""Targets whose inputs are two files."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all examples that hypothesis tries."""
    return tmp_path_factory.mktemp("fuzz")


def test_every_target_has_a_corpus_and_is_run() -> None:
    assert set(NAMES) == set(TARGETS) == set(CORPUS)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_can_be_read(name: str, tmp_path: Path) -> None:
    seeds = CORPUS[name].seeds()
    assert len(seeds) >= 2
    read = 0
    for seed in seeds:
        with bounded():
            read += TARGETS[name].run(seed, tmp_path)
    assert read >= 0.3 * len(seeds)


@pytest.mark.parametrize("name", NAMES)
def test_mutated_seeds(name: str, tmp_path: Path) -> None:
    rng = Random(name)
    corpus, target = CORPUS[name], TARGETS[name]
    read = 0
    count = INPUTS // 10 if name in WHOLE else INPUTS
    for _ in range(count):
        data = corpus.mutate(rng, rng.choice(corpus.seeds()))
        with bounded():
            read += target.run(data, tmp_path)
    assert 0 < read < count, "mutations should break some inputs, and not all"


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), max_size=4)
"""Where, how many bytes are cut, what is put there."""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE])
@settings(max_examples=25)
@given(data=st.data())
def test_edited_seeds(name: str, data: st.DataObject, folder: Path) -> None:
    input_ = bytearray(data.draw(st.sampled_from(CORPUS[name].seeds())))
    for where, length, new in data.draw(EDITS):
        at = int(where * len(input_))
        input_[at : at + length] = new
    edited = bytes(input_)
    if name in ("bundle", "rewrite"):
        edited = join([*repair_bundle(*split(edited, 2))])
    elif name == "v1":
        edited = repair_table(edited)
    with bounded():
        TARGETS[name].run(edited, folder)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes, folder: Path) -> None:
    with bounded():
        TARGETS[name].run(data, folder)


# --- the harness itself -----------------------------------------------------------------------------


def test_a_loop_without_end_is_found() -> None:
    with pytest.raises(BoundError, match="processor time"), bounded(seconds=0.05):
        all(True for _ in iter(int, 1))


def test_memory_is_found() -> None:
    with pytest.raises(BoundError, match="MB of memory"), bounded(growth=20 << 20):
        bytearray(b"x") * (60 << 20)
    with pytest.raises(MemoryError), bounded():
        bytearray(1 << 40)


@pytest.mark.parametrize("name", ["add", "v1"])
def test_repairs_put_back_what_an_edit_broke(name: str) -> None:
    seed = CORPUS["v1"].seeds()[0] if name == "v1" else split(CORPUS["bundle"].seeds()[0], 2)[0]
    assert repair_table(seed) == seed
    broken = bytearray(seed)
    broken[-60] ^= 1  # within the index block, or its trailer
    assert repair_table(bytes(broken)) != bytes(broken)


def test_a_repaired_bundle_is_the_same_bundle() -> None:
    for seed in CORPUS["bundle"].seeds():
        index, data = split(seed, 2)
        assert repair_bundle(index, data) == (index, data)


def test_mutations_are_the_same_on_every_run() -> None:
    data = bytes(range(100))
    assert mutate_bytes(Random(5), data) == mutate_bytes(Random(5), data)
    seed = CORPUS["bundle"].seeds()[0]
    assert CORPUS["bundle"].mutate(Random(5), seed) == CORPUS["bundle"].mutate(Random(5), seed)


# --- tables and bundles -----------------------------------------------------------------------------


def bundle(path: Path, rows: Any, data: bytes = b"") -> Path:
    """The prefix of a bundle with these rows (or with this index)."""
    index = rows if isinstance(rows, bytes) else table([(b"", header()), *rows])
    Path(f"{path / 'm'}.index").write_bytes(index)
    Path(f"{path / 'm'}.data-00000-of-00001").write_bytes(data)
    return path / "m"


@pytest.mark.parametrize("dtype", [1, 2, 7, 21])
@pytest.mark.parametrize("shape", [[1 << 60], [0, 1 << 62], [1 << 31, 1 << 31], [1 << 62, 0]])
def test_a_shape_of_2_to_the_60_elements(dtype: int, shape: list[int], tmp_path: Path) -> None:
    prefix = bundle(tmp_path, [(b"v", entry(dtype, shape, size=4))], b"\3abc")
    with bounded(), pytest.raises(TensorferryError):
        read_bundle(prefix)["v"].numpy()


def test_the_index_whose_string_claims_a_huge_shape(tmp_path: Path) -> None:
    index = table([(b"", header()), (b"s", entry(7, [1 << 40], size=1))])
    assert len(index) < 200
    prefix = bundle(tmp_path, index, b"\0")
    with bounded(), pytest.raises(FormatError, match="expected a byte at least for each string"):
        read_bundle(prefix)


def test_blocks_that_overlap_or_lie_in_the_index(tmp_path: Path) -> None:
    data = block(contents([(b"", header())]))
    index_at = len(data) + len(block(contents([])))
    for handle in (varint(0) + varint(len(data) - 5), varint(index_at) + varint(20), varint(index_at) + varint(0)):
        rows_ = [(b"\0", varint(0) + varint(len(data) - 5)), (b"b", handle)]
        whole = table_of_blocks([data], [b""])
        footer, metaindex = whole[-48:], block(contents([]))
        index = block(contents(rows_, 1))
        start = varint(len(data)) + varint(len(metaindex) - 5) + varint(index_at) + varint(len(index) - 5)
        prefix = bundle(tmp_path, data + metaindex + index + start.ljust(40, b"\0") + footer[40:])
        with bounded(), pytest.raises(FormatError):
            read_bundle(prefix)


def test_one_name_twice(tmp_path: Path) -> None:
    row = (b"v", entry(4, [1], size=1))
    with pytest.raises(FormatError, match="expected keys in rising order"):
        read_bundle(bundle(tmp_path, table([(b"", header()), row, row]), b"x"))


@pytest.mark.parametrize("shard", [1, 2**31 - 1, -1])
def test_a_shard_that_is_not_there(shard: int, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a shard below 1"):
        read_bundle(bundle(tmp_path, [(b"v", entry(4, [1], shard=shard, size=1))], b"x"))


def test_a_block_that_claims_to_be_larger_uncompressed_than_it_can_be(tmp_path: Path) -> None:
    bomb = varint(1 << 31) + b"\xfe\x01\x00" * 100
    packed = table_of_blocks([_raw_block(bomb)], [b"v"])
    with bounded(), pytest.raises(FormatError, match="uncompressed"):
        read_bundle(bundle(tmp_path, packed))


def _raw_block(data: bytes) -> bytes:
    """A snappy block of bytes that are no real ones."""
    from crc32c import crc32c

    from tests.formats.bundle_writer import masked

    return data + b"\1" + struct.pack("<I", masked(crc32c(data + b"\1")))


def v1_table(dtype: int, shape: list[int], values: bytes) -> bytes:
    """A V1 checkpoint of one tensor `v`, whole, whose TensorProto is `values`."""
    extents = [(0, -1)] * len(shape)
    place = message(2, slice_proto(extents))
    meta = message(1, b"v") + message(2, shape_proto(shape)) + number(3, dtype) + message(4, slice_proto(extents))
    saved = message(1, b"v") + place + message(3, values)
    key = slice_key(b"v", extents)
    return table([(b"", message(1, message(1, meta) + message(2, b"\x08\x01"))), (key, message(2, saved))])


@pytest.mark.parametrize("shape", [[1 << 28], [1 << 40], [1 << 60], [0, 1 << 62]])
@pytest.mark.parametrize(
    ("dtype", "values"), [(1, message(5, b"a" * 8)), (3, message(7, b"a" * 8)), (7, message(8, b"a"))]
)
def test_a_huge_shape_in_a_v1_checkpoint(dtype: int, shape: list[int], values: bytes, tmp_path: Path) -> None:
    path = tmp_path / "v1"
    path.write_bytes(v1_table(dtype, shape, values))
    with bounded(), pytest.raises(FormatError):
        read_v1(path)["v"].numpy()


# --- paths that climb out ---------------------------------------------------------------------------

OUTSIDE = ["../m", "a/../../m", "../../etc/passwd", "..", "a\0/b", "\0"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_state_file_that_leads_out(path: str, tmp_path: Path) -> None:
    inside = tmp_path / "train"
    inside.mkdir()
    (tmp_path / "m.index").write_bytes(b"")
    (inside / "checkpoint").write_text(f'model_checkpoint_path: "{path}"\n'.replace("\0", "\\000"))
    with pytest.raises(FormatError):
        latest_checkpoint(inside)


@pytest.mark.parametrize("path", [*OUTSIDE, "/etc/passwd", "C:m", "..\\m"])
def test_an_index_of_shards_that_leads_out(path: str, tmp_path: Path) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "m").write_bytes(b"")
    quoted = path.replace("\\", "\\\\").replace("\0", "\\u0000")
    (inside / "i.json").write_text(f'{{"weight_map": {{"a": "{quoted}"}}}}')
    with pytest.raises(FormatError, match="expected a reference to a file beside it"):
        read_safetensors_index(inside / "i.json")


@pytest.mark.parametrize("path", [*OUTSIDE, "/etc/passwd", "C:m", "..\\m"])
def test_external_data_that_lead_out(path: str, tmp_path: Path) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "m").write_bytes(b"abcd")
    tensor = TensorProto(name="v", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=path)
    (inside / "m.onnx").write_bytes(_onnx(tensor))
    with pytest.raises(FormatError, match="expected a reference to a file beside it"):
        read_onnx_initializers(inside / "m.onnx")


def test_external_data_behind_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "m").write_bytes(b"abcd")
    os.symlink(tmp_path / "m", inside / "m")
    tensor = TensorProto(name="v", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="m")
    (inside / "m.onnx").write_bytes(_onnx(tensor))
    with pytest.raises(FormatError, match="got a link that leads elsewhere"):
        read_onnx_initializers(inside / "m.onnx")


def _onnx(tensor: TensorProto) -> bytes:
    graph = helper.make_graph([], "g", [], [], initializer=[tensor])
    encoded: bytes = helper.make_model(graph, ir_version=8).SerializeToString()
    return encoded


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.FLOAT])
@pytest.mark.parametrize("dims", [[1 << 40], [1 << 60], [0, 1 << 62]])
def test_a_huge_initializer(kind: int, dims: list[int], tmp_path: Path) -> None:
    values = {"string_data": [b"a"]} if kind == TensorProto.STRING else {"float_data": [1.0]}
    (tmp_path / "m.onnx").write_bytes(_onnx(TensorProto(name="v", data_type=kind, dims=dims, **values)))
    with bounded(), pytest.raises(FormatError):
        read_onnx_initializers(tmp_path / "m.onnx")["v"].numpy()


# --- npz --------------------------------------------------------------------------------------------


def npz(path: Path, text: str, elements: bytes = b"", method: int = zipfile.ZIP_STORED) -> Path:
    """An archive of one array `a` with this header."""
    encoded = text.encode("latin-1")
    with zipfile.ZipFile(path / "a.npz", "w", method) as archive:
        archive.writestr("a.npy", b"\x93NUMPY\2\0" + struct.pack("<I", len(encoded)) + encoded + elements)
    return path / "a.npz"


def described(descr: str, shape: str) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}\n"


def test_a_unit_that_kills_numpys_parser(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"expected a dtype in 'a.npy', got '<m8\[s/0\]'"):
        read_npz(npz(tmp_path, described("<m8[s/0]", "(1,)"), b"a" * 8))


def test_a_character_beyond_unicode(tmp_path: Path) -> None:
    path = npz(tmp_path, described("<U1", "(1,)"), struct.pack("<I", 0xFFFFFFFF))
    with pytest.raises(FormatError, match="expected text in 'a.npy', got a character 0xffffffff"):
        read_npz(path)["a"].numpy()


def test_a_zip_bomb(tmp_path: Path) -> None:
    """An entry may claim more than its bytes can be, or than its header says."""
    data = bytearray(npz(tmp_path, described("|u1", f"({1 << 40},)"), b"\0" * 100, zipfile.ZIP_DEFLATED).read_bytes())
    at = data.rindex(b"PK\1\2") + 24
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    (tmp_path / "a.npz").write_bytes(data)
    with bounded(), pytest.raises(FormatError, match="got a claim of 4294967280"):
        read_npz(tmp_path / "a.npz")


def test_a_zip_whose_entries_are_all_the_same_bytes(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("a.npy", "b.npy"):
            array = io.BytesIO()
            np.save(array, np.zeros(1000))
            archive.writestr(name, array.getvalue())
    data = bytearray(out.getvalue())
    last = data.rindex(b"PK\1\2")
    data[last + 42 : last + 46] = bytes(4)  # the second entry begins where the first does
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(FormatError, match="expected entries one after another, got 'b.npy' within 'a.npy'"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "text", ["(" * 9000, "-" * 9000 + "1", "[" * 9000, "9" * 9000, "{1:" * 90, "'\\x'", "a." * 4000]
)
def test_an_odd_header(text: str, tmp_path: Path) -> None:
    with bounded(), pytest.raises(FormatError, match="expected a header in 'a.npy'"):
        read_npz(npz(tmp_path, text))


# --- nesting, and long numbers ----------------------------------------------------------------------

NESTED = '{"a":' * 100_000


def _safetensors(path: Path) -> Any:
    data = NESTED.encode()
    (path / "f").write_bytes(struct.pack("<Q", len(data)) + data)
    return read_safetensors(path / "f")


def _index(path: Path) -> Any:
    (path / "f").write_text(NESTED)
    return read_safetensors_index(path / "f")


def _json_names(path: Path) -> Any:
    (path / "f.json").write_text(NESTED)
    return read_table(path / "f.json")


def _toml_names(path: Path) -> Any:
    (path / "f.toml").write_text("a = " + "[" * 50_000)
    return read_table(path / "f.toml")


def _text_graph(path: Path) -> Any:
    deep = 'func { attr { key: "x" value { ' * 3000
    (path / "f").write_text(f'node {{ name: "a" op: "Const" attr {{ key: "value" value {{ {deep}')
    return load_model(path / "f")


def _graph(path: Path) -> Any:
    deep = b""
    for _ in range(3000):
        deep = message(10, message(2, message(1, b"k") + message(2, deep)))
    attr = message(5, message(1, b"value") + message(2, deep))
    (path / "f").write_bytes(message(1, message(1, b"a") + message(2, b"Const") + attr))
    return load_model(path / "f")


@pytest.mark.parametrize("read", [_safetensors, _index, _json_names, _toml_names, _text_graph, _graph])
def test_deep_nesting(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with bounded(), pytest.raises(FormatError):
        read(tmp_path)


@pytest.mark.parametrize("name", ["n.json", "n.toml"])
def test_a_number_of_5000_digits_among_names(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"a": %s}' % ("9" * 5000) if name == "n.json" else "a = " + "9" * 5000)
    with pytest.raises(FormatError, match="expected a table of names in (JSON|TOML), got: Exceeds the limit"):
        read_table(tmp_path / name)


def test_many_doubled_names(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text("{" + ",".join(f'"k{i // 2}": "v"' for i in range(40_000)) + "}")
    with bounded(), pytest.raises(TensorferryError, match="expected each name once on the left, got doubled: k0, k1, "):
        read_table(tmp_path / "n.json")


def test_an_enum_beyond_its_numbers_in_a_text_graph(tmp_path: Path) -> None:
    (tmp_path / "g").write_text('node { name: "a" op: "Const" attr { key: "a" value { type: 99999999999999 } } }')
    with pytest.raises(FormatError, match="Value out of range"):
        load_model(tmp_path / "g")


@pytest.mark.parametrize("shape", [[1] * 70, [0, 1 << 62], [1 << 60], [1 << 62]])
def test_a_constant_that_no_array_holds(shape: list[int], tmp_path: Path) -> None:
    graph = protos.message_class("GraphDef")()
    node = graph.node.add(name="c", op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = 2
    node.attr["value"].tensor.double_val.append(1.0)
    for size in shape:
        node.attr["value"].tensor.tensor_shape.dim.add(size=size)
    (tmp_path / "g.pb").write_bytes(graph.SerializeToString())
    constant = constants_of(load_model(tmp_path / "g.pb").graph)["c"]
    with bounded(), pytest.raises(UnsupportedError, match="no array holds a tensor of shape"):
        constant.numpy()
