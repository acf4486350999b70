"""v1_checkpoint and v1_slice: TensorFlow's files as TensorFlow reads them, and files that it would not write."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import table_lookup
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.errors import FormatError, TensorferryError, UnsupportedError
from tensorferry.formats.table import read_table
from tensorferry.formats.v1_checkpoint import read_v1
from tests.fixture import FIXTURES

from .bundle_writer import message, number, shape_proto, slice_key, slice_proto, table, varint

V1 = ["v1_compressed", "v1_saver", "v1_sharded", "v1_types"]
FLOAT, INT32, STRING, INT64, BOOL, BFLOAT16, HALF = 1, 3, 7, 9, 10, 14, 19

Extents = Sequence[tuple[int, int]]


def assert_equal(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Bit for bit, NaNs and signs of zero included."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if expected.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.tobytes() == expected.tobytes()


def assert_reads(path: Path, expected: dict[str, np.ndarray[Any, Any]]) -> None:
    checkpoint = read_v1(path)
    assert list(checkpoint) == sorted(expected, key=lambda name: name.encode())
    for name, value in expected.items():
        tensor = checkpoint[name]
        assert tensor.shape == value.shape
        assert_equal(tensor.numpy(), value)
        if value.dtype != object:
            assert tensor.tobytes() == value.tobytes()


# --- what TensorFlow wrote --------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", V1)
def test_every_tensor_is_what_tensorflow_reads(name: str, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if streamed:
        monkeypatch.setattr(table_lookup, "LARGE", 1)
    assert_reads(FIXTURES[name].prefix, FIXTURES[name].tensors())
    checkpoint, dtypes = read_v1(FIXTURES[name].prefix), FIXTURES[name].dtypes()
    assert {key: checkpoint[key].dtype.name for key in checkpoint} == dtypes


@pytest.mark.parametrize("large", [1, 1 << 18, 1 << 30])
def test_a_file_of_many_plain_blocks(tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_lookup, "LARGE", large)
    fixture = FIXTURES["v1_compressed"]
    (tmp_path / "plain").write_bytes(zlib.decompress((fixture.path / "plain.z").read_bytes()))
    assert_reads(tmp_path / "plain", fixture.tensors())


@pytest.mark.parametrize("name", [name for name in V1 if "resaved" in FIXTURES[name].about])
def test_it_is_the_v2_checkpoint_that_tensorflow_saves_of_it(name: str) -> None:
    fixture = FIXTURES[name]
    resaved, checkpoint = read_bundle(fixture.path / fixture.about["resaved"]), read_v1(fixture.prefix)
    assert list(checkpoint) == list(resaved)
    for key, tensor in resaved.items():
        assert checkpoint[key].dtype == tensor.dtype
        assert_equal(checkpoint[key].numpy(), tensor.numpy())


def test_it_is_a_mapping() -> None:
    checkpoint = read_v1(FIXTURES["v1_sharded"].prefix)
    assert len(checkpoint) == 8
    assert "by_rows" in checkpoint
    assert "by_rows/part_0" not in checkpoint
    assert [Path(file).name for file in checkpoint.files] == [f"model.ckpt-0000{i}-of-00003" for i in range(3)]
    assert repr(checkpoint) == f"<V1Checkpoint {checkpoint.path!r}: 8 tensors in 3 shards>"
    with pytest.raises(KeyError):
        checkpoint["none"]


def test_opening_needs_no_numpy() -> None:
    code = (
        "import sys; from tensorferry.formats.v1_checkpoint import read_v1\n"
        f"c = read_v1({str(FIXTURES['v1_types'].prefix)!r})\n"
        "print(len(c), c['sliced/cube'].shape, 'numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "35 (3, 4, 2) False\n"


# --- files and shards -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["model.ckpt", "model.ckpt-?????-of-00003", "model.ckpt-00001-of-00003"])
def test_the_ways_to_name_a_sharded_checkpoint(path: str) -> None:
    fixture = FIXTURES["v1_sharded"]
    assert_reads(fixture.path / path, fixture.tensors())


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for path in FIXTURES["v1_sharded"].path.glob("model.ckpt-*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "model.ckpt"


@pytest.mark.parametrize("path", ["model.ckpt", "model.ckpt-?????-of-00003", "model.ckpt-00002-of-00003"])
def test_a_shard_is_missing(shards: Path, path: str) -> None:
    Path(f"{shards}-00001-of-00003").unlink()
    with pytest.raises(FormatError) as caught:
        read_v1(shards.parent / path)
    assert caught.value.problem == "expected all 3 shards, got 00000, 00002"


def test_the_layout_of_shards() -> None:
    found = read_v1(FIXTURES["v1_sharded"].file("model.ckpt"))
    layout = found.layout()
    assert len(layout) == 3
    pieces = [piece for shard in layout for piece in shard]
    assert len(set(pieces)) == len(pieces)
    assert {piece.name for piece in pieces} == set(found)
    sliced = {name: [p.extents for p in pieces if p.name == name] for name in ("by_rows", "by_columns")}
    assert sorted(sliced["by_rows"]) == [((0, 2), (0, 5)), ((2, 2), (0, 5)), ((4, 1), (0, 5)), ((5, 1), (0, 5))]
    assert sorted(sliced["by_columns"]) == [((0, 6), (0, 2)), ((0, 6), (2, 1)), ((0, 6), (3, 1)), ((0, 6), (4, 1))]
    assert all(piece.extents is None for piece in pieces if piece.name not in sliced)


def test_shards_of_two_checkpoints(shards: Path) -> None:
    shutil.copy(f"{shards}-00001-of-00003", f"{shards}-00001-of-00004")
    with pytest.raises(FormatError) as caught:
        read_v1(shards)
    assert caught.value.problem == "expected the shards of one checkpoint, got some of 00003, 00004"
    assert len(read_v1(f"{shards}-?????-of-00003")) == 8


def test_no_file(tmp_path: Path) -> None:
    for path in "none", "none-?????-of-00002", "none-00000-of-00000":
        with pytest.raises(FormatError, match="expected a V1 checkpoint or its shards, got no such file"):
            read_v1(tmp_path / path)


def test_shards_that_disagree(shards: Path) -> None:
    write(Path(f"{shards}-00000-of-00002"), [("v", FLOAT, (2,), [((0, 1),)])], [])
    write(Path(f"{shards}-00001-of-00002"), [("v", INT32, (2,), [((1, 1),)])], [])
    with pytest.raises(FormatError) as caught:
        read_v1(f"{shards}-?????-of-00002")
    assert caught.value.where == f"{shards}-00001-of-00002"
    expected = f"tensor 'v': expected float32 [2] everywhere, as in {shards}-00000-of-00002, got int32 [2]"
    assert caught.value.problem == expected


# --- files by hand ----------------------------------------------------------------------------------


def tensor_meta(name: str, dtype: int, shape: Sequence[int], slices: Sequence[Extents]) -> bytes:
    places = b"".join(message(4, slice_proto(extents)) for extents in slices)
    return message(1, name.encode()) + message(2, shape_proto(shape)) + number(3, dtype) + places


def metadata(tensors: Any, version: bytes = b"\x08\x01") -> bytes:
    return message(1, b"".join(message(1, tensor_meta(*tensor)) for tensor in tensors) + message(2, version))


def saved(name: str, extents: Extents, field: int, payload: bytes) -> tuple[bytes, bytes]:
    """The key and the record of a slice whose values are `payload`, packed in the field."""
    proto = message(3, message(field, payload))
    return slice_key(name.encode(), extents), message(
        2, message(1, name.encode()) + message(2, slice_proto(extents)) + proto
    )


def write(path: Path, tensors: Any, rows: Any, **options: Any) -> Path:
    path.write_bytes(table([(b"", metadata(tensors)), *sorted(rows)], **options))
    return path


FLOATS = struct.pack("<6f", *range(6))
WHOLE = ((0, -1), (0, -1))


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """The message about a checkpoint with these tensors and rows, without the path; its values are read too."""

    def refused(tensors: Any, rows: Any, kind: type[TensorferryError] = FormatError) -> str:
        path = write(tmp_path / "v1", tensors, rows)
        with pytest.raises(kind) as caught:
            everything(path)
        assert caught.value.where in (str(path), f"{path}: the entry of 'v'")
        return caught.value.problem

    return refused


def test_a_file_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path / "v1", [("v", FLOAT, (2, 3), [WHOLE])], [saved("v", WHOLE, 5, FLOATS)])
    assert_reads(path, {"v": np.arange(6, dtype=np.float32).reshape(2, 3)})
    path = write(tmp_path / "none", [], [])
    assert len(read_v1(path)) == 0


def test_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "v1").write_bytes(bytes(100))
    with pytest.raises(FormatError, match="expected a table's magic number 57fb808b247547db at its end"):
        read_v1(tmp_path / "v1")


def test_a_table_without_metadata(tmp_path: Path) -> None:
    for rows in [(b"a", b"b")], []:
        (tmp_path / "v1").write_bytes(table(rows))
        with pytest.raises(FormatError, match="expected the metadata of a V1 checkpoint under the empty key, got none"):
            read_v1(tmp_path / "v1")


def test_the_index_of_a_v2_checkpoint() -> None:
    with pytest.raises(FormatError) as caught:
        read_v1(f"{FIXTURES['add'].prefix}.index")
    assert caught.value.problem == "expected the metadata of a V1 checkpoint, got another message"
    assert caught.value.hint == "the index of a V2 checkpoint is read by its prefix"


def test_metadata_that_are_no_message(tmp_path: Path) -> None:
    (tmp_path / "v1").write_bytes(table([(b"", b"\x0a\xff")]))
    with pytest.raises(FormatError, match="expected a SavedTensorSlices message, got 2 bytes that are none"):
        read_v1(tmp_path / "v1")


def test_a_later_version(tmp_path: Path) -> None:
    (tmp_path / "v1").write_bytes(table([(b"", metadata([], number(2, 2)))]))
    with pytest.raises(UnsupportedError) as caught:
        read_v1(tmp_path / "v1")
    assert caught.value.problem == "expected a checkpoint for readers of version 1, got one for 2 and later"


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (("v", BFLOAT16, (2,), []), "expected a type that V1 checkpoints hold, got bfloat16"),
        (("v", 0, (2,), []), "expected a type that V1 checkpoints hold, got tensorflow:0"),
        (("v", 101, (2,), []), "expected a type that V1 checkpoints hold, got float32_ref"),
        (("v", FLOAT, (-1, 2), []), "expected a known shape, got shape [-1, 2]"),
        (("v", FLOAT, (1 << 60, 8), []), f"expected a shape below 2**63 bytes, got shape [{1 << 60}, 8]"),
        (("v", FLOAT, (2,), [WHOLE]), "expected slices of 1 dimensions, got one of 2"),
        (("v", FLOAT, (2,), [((1, 2),)]), "expected slices within [2], got [1:3]"),
        (("v", FLOAT, (2,), [((1, -1),)]), "expected slices within [2], got [1:0]"),
        (("v", FLOAT, (2,), [((0, -2),)]), "expected slices within [2], got [0:-2]"),
    ],
)
def test_metadata_that_cannot_be(refused: Any, tensor: Any, problem: str) -> None:
    assert refused([tensor], []) == f"tensor 'v': {problem}"


def test_too_many_dimensions(refused: Any) -> None:
    problem = refused([("v", FLOAT, (1,) * 33, [])], [], UnsupportedError)
    assert problem == "tensor 'v': expected at most 32 dimensions, got 33"


def test_an_unknown_rank(tmp_path: Path) -> None:
    tensor = message(1, b"v") + message(2, number(3, 1)) + number(3, FLOAT)
    (tmp_path / "v1").write_bytes(table([(b"", message(1, message(1, tensor)))]))
    with pytest.raises(FormatError, match="tensor 'v': expected a known shape, got an unknown rank"):
        read_v1(tmp_path / "v1")


def test_an_entry_is_missing(refused: Any) -> None:
    problem = refused([("v", FLOAT, (2, 3), [WHOLE])], [saved("w", WHOLE, 5, FLOATS)])
    assert (
        problem
        == "tensor 'v': expected an entry for each slice that the metadata list, got none for [(0, -1), (0, -1)]"
    )


def test_slices_that_do_not_cover(refused: Any) -> None:
    first = ((0, 1), (0, -1))
    problem = refused([("v", FLOAT, (2, 3), [first])], [saved("v", first, 5, FLOATS[:12])])
    assert problem == "expected one piece of 'v' [2, 3] for each element, got none for [1:2, 0:3]"
    problem = refused([("v", FLOAT, (2, 3), [])], [])
    assert problem == "expected one piece of 'v' [2, 3] for each element, got none for [0:2, 0:3]"
    problem = refused([("v", FLOAT, (2, 3), [WHOLE, WHOLE])], [saved("v", WHOLE, 5, FLOATS)])
    assert problem == "expected one piece of 'v' [2, 3] for each element, got 2 pieces for [0:2, 0:3]"


def row(record: bytes) -> list[tuple[bytes, bytes]]:
    return [(slice_key(b"v", WHOLE), record)]


NAMED = message(1, b"v") + message(2, slice_proto(WHOLE))


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"", "tensor 'v': expected a SavedSlice, got none"),
        (metadata([]), "tensor 'v': expected a SavedSlice, got none"),
        (message(2, b""), "tensor 'v': expected its own name in its entry, got ''"),
        (message(2, message(1, b"w")), "tensor 'v': expected its own name in its entry, got 'w'"),
        (message(2, message(1, b"v")), "tensor 'v': expected the slice [(0, -1), (0, -1)] in its entry, got []"),
        (
            message(2, message(1, b"v") + message(2, slice_proto([(0, 2), (0, 3)]))),
            "tensor 'v': expected the slice [(0, -1), (0, -1)] in its entry, got [(0, 2), (0, 3)]",
        ),
        (message(2, NAMED), "tensor 'v': expected 6 values of float32 [2, 3], got 0 bytes"),
        (message(2, NAMED + message(3, b"")), "tensor 'v': expected 6 values of float32 [2, 3], got 0 bytes"),
        (
            message(2, NAMED + message(3, message(5, FLOATS[:-1]))),
            "tensor 'v': expected 6 values of float32 [2, 3], got 23 bytes",
        ),
        (
            message(2, NAMED + message(3, message(5, FLOATS[:4]))),
            "tensor 'v': expected 6 values of float32 [2, 3], got 4 bytes",
        ),
        (
            message(2, NAMED + message(3, message(5, FLOATS + FLOATS))),
            "tensor 'v': expected 6 values of float32 [2, 3], got 48 bytes",
        ),
        (
            message(2, NAMED + message(3, message(4, FLOATS))),
            "tensor 'v': expected 6 values of float32 [2, 3], got 0 bytes",
        ),
        (
            message(2, NAMED) + message(2, message(3, message(5, FLOATS))),
            "tensor 'v': expected one field 2 that is packed or a message, got several",
        ),
        (
            message(2, NAMED + message(3, b"\x2d" + FLOATS[:4])),
            "tensor 'v': expected one field 5 that is packed or a message, got wire type 5",
        ),
        (message(2, NAMED + b"\x1b"), "expected a protobuf field at byte 11, got tag 27"),
        (message(2, NAMED + b"\x1a\x05"), "expected a protobuf field of 5 bytes at byte 13, got 0"),
        (b"\x12\xff\xff\xff\xff\x0f", "expected a protobuf field of 4294967295 bytes at byte 6, got 0"),
    ],
)
def test_an_entry_that_is_not_the_slice(refused: Any, record: bytes, problem: str) -> None:
    assert refused([("v", FLOAT, (2, 3), [WHOLE])], row(record)) == problem


@pytest.mark.parametrize(
    ("dtype", "field", "payload", "problem"),
    [
        (INT32, 7, bytes(5), "expected 6 values of int32 [2, 3], got 5 bytes"),
        (INT32, 7, b"\x80\x01" * 5, "expected 6 values of int32 [2, 3], got 5"),
        (INT32, 7, bytes(7), "expected 6 values of int32 [2, 3], got more"),
        (INT32, 7, bytes(6) + b"\x80", "expected a list of varints, got an unfinished one"),
        (INT64, 10, b"\x80" * 10 + b"\x01" * 6, "expected a list of varints, got one of more than 10 bytes"),
        (BOOL, 11, bytes(7), "expected 6 values of bool [2, 3], got more"),
        (HALF, 13, bytes(7), "expected 6 values of float16 [2, 3], got more"),
    ],
)
def test_lists_of_varints_that_cannot_be(refused: Any, dtype: int, field: int, payload: bytes, problem: str) -> None:
    got = refused([("v", dtype, (2, 3), [WHOLE])], [saved("v", WHOLE, field, payload)])
    assert got == f"tensor 'v': {problem}"


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (message(8, b"a") * 5, "tensor 'v': expected 6 values of string [2, 3], got 5"),
        (message(8, b"") * 7, "tensor 'v': expected 6 values of string [2, 3], got 7"),
        (message(8, b"") * 5, "tensor 'v': expected 6 values of string [2, 3], got 10 bytes"),
    ],
)
def test_strings_of_another_number(refused: Any, payload: bytes, problem: str) -> None:
    record = message(2, NAMED + message(3, payload))
    assert refused([("v", STRING, (2, 3), [WHOLE])], row(record)) == problem


def test_strings_that_are_no_message(refused: Any) -> None:
    record = message(2, NAMED + message(3, message(8, b"abc") * 6 + b"\x42"))
    problem = refused([("v", STRING, (2, 3), [WHOLE])], row(record))
    assert problem.startswith("expected a TensorProto message, got 31 bytes that are none")


def test_strings_have_no_bytes() -> None:
    with pytest.raises(UnsupportedError, match="expected a type of fixed width, got string"):
        read_v1(FIXTURES["v1_types"].prefix)["types/string"].tobytes()


def test_a_claim_of_many_elements_costs_nothing(refused: Any) -> None:
    """2**60 elements: nothing is allocated before the bytes are there."""
    tensors = [("v", INT32, (1 << 30, 1 << 30), [WHOLE])]
    problem = refused(tensors, [saved("v", WHOLE, 7, b"\x01")])
    assert problem == f"tensor 'v': expected {1 << 60} values of int32 [{1 << 30}, {1 << 30}], got 1 bytes"


def test_varints_wrap_as_protobuf_and_casts_do(tmp_path: Path) -> None:
    """An int32 keeps the lowest 32 bits; of the last of ten bytes protobuf keeps one bit."""
    payload = varint(-1) + varint(1 << 33 | 5) + b"\xff" * 9 + b"\x7f" + varint(1 << 31)
    path = write(tmp_path / "v1", [("v", INT32, (4,), [((0, -1),)])], [saved("v", ((0, -1),), 7, payload)])
    assert read_v1(path)["v"].numpy().tolist() == [-1, 5, -1, -(1 << 31)]


@given(
    values=st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-200, 200), max_size=60),
    chunk=st.integers(8, 100),
    kind=st.integers(0, 1),
)
def test_whole_numbers_whatever_their_size(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], chunk: int, kind: int
) -> None:
    path = tmp_path_factory.mktemp("v1") / "v1"
    extents = ((0, -1),)
    write(
        path,
        [("v", INT64, (len(values),), [extents])],
        [saved("v", extents, 10, b"".join(map(varint, values)))],
        kind=kind,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensorferry.formats.v1_slice.CHUNK", chunk)
        patch.setattr("tensorferry.formats.table_lookup.CHUNK", chunk)
        patch.setattr("tensorferry.formats.table_lookup.LARGE", 1)
        assert read_v1(path)["v"].numpy().tolist() == values


# --- damage -----------------------------------------------------------------------------------------


def everything(path: Path) -> dict[str, Any]:
    return {name: tensor.numpy().tolist() for name, tensor in read_v1(path).items()}


@pytest.mark.parametrize("streamed", [False, True])
def test_truncation_at_every_length(tmp_path: Path, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_lookup, "LARGE", 1 if streamed else 1 << 20)
    whole = FIXTURES["v1_saver"].prefix.read_bytes()
    path = tmp_path / "v1"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            everything(path)
    path.write_bytes(whole)
    everything(path)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_flipped_bit_at_every_byte(tmp_path: Path, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the metaindex block (13 bytes) and the footer may change, if nothing that is read does."""
    monkeypatch.setattr(table_lookup, "LARGE", 1 if streamed else 1 << 20)
    path = tmp_path / "v1"
    extents = ((0, 3), (0, -1)), ((3, 1), (0, -1))
    tensors = [("alone", INT32, (40,), [((0, -1),)]), ("v", FLOAT, (4, 3), extents)]
    rows = [saved("alone", ((0, -1),), 7, b"\x80\x01" * 40)]
    rows += [saved("v", e, 5, bytes(range(12)) * e[0][1]) for e in extents]
    whole = write(path, tensors, rows, per_block=2).read_bytes()
    expected, footer = everything(path), len(whole) - 48
    metaindex = whole[footer] & 127 | whole[footer + 1] << 7
    unchecked = {*range(metaindex, metaindex + 13), *range(footer, footer + 40)}
    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                found = everything(path)
            except FormatError:
                continue
            assert position in unchecked, f"bit {bit} of byte {position} went unnoticed"
            assert found == expected


def test_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v1"
    for large in 1, 1 << 20:
        monkeypatch.setattr(table_lookup, "LARGE", large)
        write(path, [("v", FLOAT, (2, 3), [WHOLE])], [saved("v", WHOLE, 5, FLOATS)], per_block=1)
        data = path.read_bytes()
        path.write_bytes(data.replace(FLOATS, FLOATS[::-1]))
        with pytest.raises(
            FormatError, match=r"expected checksum .{8} for a data block at byte \d+, got .{8}: the file is"
        ):
            read_v1(path)["v"].numpy()


@given(position=st.integers(0, 10_000), data=st.binary(min_size=1, max_size=8), kind=st.sampled_from(V1))
def test_no_bytes_break_the_reader(
    tmp_path_factory: pytest.TempPathFactory, position: int, data: bytes, kind: str
) -> None:
    """The checksums are made right again, as somebody who means harm would do."""
    source = FIXTURES[kind].prefix if kind != "v1_sharded" else FIXTURES[kind].path / "model.ckpt-00001-of-00003"
    rows = [(key, value) for key, value in read_table(source) if len(value) < 10_000]
    at = position % len(rows)
    key, value = rows[at]
    place = position % (len(value) or 1)
    rows[at] = key, value[:place] + data + value[place + len(data) :]
    path = tmp_path_factory.mktemp("v1") / "v1"
    path.write_bytes(table(rows, per_block=3))
    with contextlib.suppress(TensorferryError):
        everything(path)


# --- time and memory --------------------------------------------------------------------------------


def test_twenty_thousand_tensors_are_read_quickly(tmp_path: Path) -> None:
    """1.1 s on the machine it was written on; the bound leaves room for a busy one, and none for n * n."""
    extents = ((0, -1),)
    names = [f"layer{index:05d}/bias" for index in range(20_000)]
    tensors = [(name, FLOAT, (2,), [extents]) for name in names]
    path = write(tmp_path / "v1", tensors, [saved(name, extents, 5, bytes(8)) for name in names], per_block=4000)
    start = time.process_time()
    assert sum(len(tensor.tobytes()) for tensor in read_v1(path).values()) == 160_000
    assert time.process_time() - start < 8


@pytest.mark.parametrize(("dtype", "field", "value"), [(FLOAT, 5, b"\0\0\x80\x3f"), (INT32, 7, b"\x80\x80\x80\x01")])
def test_a_large_tensor_is_streamed(tmp_path: Path, dtype: int, field: int, value: bytes) -> None:
    count, extents = 6 << 20, ((0, -1),)
    path = write(
        tmp_path / "v1", [("v", dtype, (count,), [extents])], [saved("v", extents, field, value * count)], per_block=1
    )
    tensor = read_v1(path)["v"]
    next(iter(tensor.chunks()))  # what is imported, and numpy's first steps
    tracemalloc.start()
    try:
        assert sum(map(len, tensor.chunks())) == 4 * count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
