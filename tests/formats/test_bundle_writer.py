"""bundle_writer: TensorFlow's own checkpoints again, byte for byte; and what can't be one."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.bundle import Bundle, read_bundle
from tensorferry.formats.bundle_layout import Piece, read_layout
from tensorferry.formats.bundle_writer import bundle_files, write_bundle
from tensorferry.formats.crc import crc32c
from tensorferry.formats.dtype import DTYPES, STRING_TYPE
from tensorferry.formats.errors import (
    DestinationError,
    FormatError,
    NameMapError,
    TensorferryError,
    UnsupportedError,
    UsageError,
)
from tensorferry.formats.packed import OpaqueTensor
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Buffer, FileTensor, SplatTensor, Tensor
from tests.fixture import FIXTURES, HOME

from . import bundle_writer as independent

BUNDLES = sorted(
    str(path.relative_to(HOME)).removesuffix(".z").removesuffix(".index")
    for path in HOME.glob("**/*.index*")
    if path.parent.name != "bundle_odd"  # it holds a variant
)


def bundle_at(name: str, scratch: Path) -> Path:
    """The prefix of a bundle that TensorFlow wrote; unpacked into `scratch` if its index is kept compressed."""
    prefix = HOME / name
    packed = Path(f"{prefix}.index.z")
    if not packed.exists():
        return prefix
    (scratch / "unpacked.index").write_bytes(zlib.decompress(packed.read_bytes()))
    data = "data-00000-of-00001"
    (scratch / f"unpacked.{data}").write_bytes(Path(f"{prefix}.{data}").read_bytes())
    return scratch / "unpacked"


def contents(prefix: Path) -> dict[str, bytes]:
    """The files of a bundle by what follows the prefix."""
    found = prefix.parent.glob(f"{prefix.name}.*")
    return {p.name[len(prefix.name) :]: p.read_bytes() for p in found if p.suffix == ".index" or ".data-" in p.name}


def written(path: Path, tensors: Mapping[str, Tensor], **options: Any) -> Bundle:
    write_bundle(path, tensors, **options)
    return read_bundle(path)


def strings(values: Any) -> Tensor:
    array = np.empty(np.shape(values), object)
    array[...] = values
    return ArrayTensor(array)


def floats(*values: float) -> Tensor:
    return ArrayTensor(np.array(values, np.float32))


# --- what TensorFlow wrote --------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUNDLES)
def test_tensorflows_bundles_byte_for_byte(name: str, tmp_path: Path) -> None:
    prefix = bundle_at(name, tmp_path)
    write_bundle(tmp_path / "again", read_bundle(prefix), shards=read_layout(prefix))
    expected = contents(prefix)
    assert len(expected) >= 2
    assert contents(tmp_path / "again") == expected


@pytest.mark.parametrize("name", BUNDLES)
def test_tensorflows_bundles_from_arrays(name: str, tmp_path: Path) -> None:
    """The same from values alone: no checksum is known beforehand, and no string is in a bundle's form."""

    def in_memory(tensor: Tensor) -> Tensor:
        if isinstance(tensor, SlicedTensor):
            parts = [Part(part.start, in_memory(part.tensor)) for part in tensor.parts]
            return SlicedTensor(tensor.dtype, tensor.shape, parts)
        return ArrayTensor(tensor.numpy(), tensor.dtype)

    prefix = bundle_at(name, tmp_path)
    tensors = {key: in_memory(tensor) for key, tensor in read_bundle(prefix).items()}
    write_bundle(tmp_path / "again", tensors, shards=read_layout(prefix))
    assert contents(tmp_path / "again") == contents(prefix)


@pytest.mark.parametrize("name", ["bundle_partitioned", "bundle_sharded"])
def test_slices_become_whole_tensors(name: str, tmp_path: Path) -> None:
    fixture = FIXTURES[name]
    bundle = written(tmp_path / "whole", read_bundle(fixture.prefix))
    assert bundle.num_shards == 1
    assert not any(isinstance(tensor, SlicedTensor) for tensor in bundle.values())
    for key, value in fixture.tensors().items():
        assert bundle[key].numpy().tolist() == value.tolist(), key


def test_slices_are_kept(tmp_path: Path) -> None:
    fixture = FIXTURES["bundle_sharded"]
    source = read_bundle(fixture.prefix)
    bundle = written(tmp_path / "kept", source, keep_slices=True, shards=2)
    assert bundle.num_shards == 2
    for name in "by_rows", "by_columns":
        kept, original = bundle[name], source[name]
        assert isinstance(kept, SlicedTensor)
        assert isinstance(original, SlicedTensor)
        assert [part.box for part in kept.parts] == [part.box for part in original.parts]
        assert kept.numpy().tolist() == fixture.tensors()[name].tolist()


def test_an_incomplete_variable_stays_what_it_is(tmp_path: Path) -> None:
    source = read_bundle(FIXTURES["bundle_odd"].prefix)
    part, far = source["partial"], source["far"]
    bundle = written(tmp_path / "b", {"partial": part, "far": far}, keep_slices=True)
    assert isinstance(part, SlicedTensor)
    for name, tensor in bundle.items():
        original = source[name]
        assert isinstance(tensor, SlicedTensor)
        assert isinstance(original, SlicedTensor)
        assert tensor.shape == original.shape
        assert [p.box for p in tensor.parts] == [p.box for p in original.parts]
        assert [p.tensor.tobytes() for p in tensor.parts] == [p.tensor.tobytes() for p in original.parts]
    with pytest.raises(FormatError, match="got none for"):
        write_bundle(tmp_path / "whole", {"partial": part})
    assert not list(tmp_path.glob("*whole*"))


def test_a_subset_under_other_names(tmp_path: Path) -> None:
    source = read_bundle(FIXTURES["bundle_sharded"].prefix)
    layout = read_layout(FIXTURES["bundle_sharded"].prefix)
    shards = [[Piece(f"new/{p.name}", p.extents) for p in shard if p.name[:3] == "by_"] for shard in layout]
    write_bundle(tmp_path / "b", {f"new/{n}": source[n] for n in ("by_rows", "by_columns")}, shards=shards)
    assert read_layout(tmp_path / "b") == shards
    assert read_bundle(tmp_path / "b")["new/by_rows"].tobytes() == source["by_rows"].tobytes()


# --- by hand ----------------------------------------------------------------------------------------


def test_the_bytes_of_a_bundle(tmp_path: Path) -> None:
    """Names, types and places as the format's description has them, through a writer that shares no code."""
    value = np.array([[1, 2], [3, 4]], np.int16)
    tensors = {
        "b": ArrayTensor(value),
        "scalar": ArrayTensor(np.array(2.5)),
        "none": ArrayTensor(np.zeros((0, 2), np.float32)),
        "text": strings([b"", "\u00e9", b"x" * 300]),
        "aa": ArrayTensor(np.array([True])),
    }
    write_bundle(tmp_path / "p", tensors)
    lengths = b"\0\0\0\0" + b"\2\0\0\0" + b"\x2c\1\0\0"
    checksum = independent.masked(crc32c(lengths)).to_bytes(4, "little")
    text = b"\x00\x02\xac\x02" + checksum + b"\xc3\xa9" + b"x" * 300
    data = value.astype("<i2").tobytes() + b"\0\0\0\0\0\0\x04@" + text + b"\1"
    assert (tmp_path / "p.data-00000-of-00001").read_bytes() == data
    text_crc = crc32c(text[4:], crc32c(lengths))
    rows = {
        b"": b"\x08\x01\x1a\x02\x08\x01",  # one shard, version {producer: 1}
        b"aa": independent.entry(10, [1], offset=16 + len(text), size=1, crc=crc32c(b"\1")),
        b"b": independent.entry(5, [2, 2], offset=0, size=8, crc=crc32c(data[:8])),
        b"none": independent.entry(1, [0, 2], offset=16, size=0, crc=0),
        b"scalar": independent.entry(2, [], offset=8, size=8, crc=crc32c(data[8:16])),
        b"text": independent.entry(7, [3], offset=16, size=len(text), crc=text_crc),
        b"u": b"",
    }
    # The last index key is the successor of the last name, which the other writer takes from its last row.
    expected = independent.block(independent.contents(list(rows.items())[:-1]))
    assert (tmp_path / "p.index").read_bytes() == independent.table_of_blocks([expected], [b"u"])


def test_the_entry_of_a_sliced_tensor(tmp_path: Path) -> None:
    """It has the first shard that holds one of its slices; a scalar shape or a zero shard is not there at all."""
    tensor = read_bundle(FIXTURES["bundle_sharded"].prefix)["by_rows"]
    assert isinstance(tensor, SlicedTensor)
    boxes = [tuple((first, end - first) for first, end in part.box) for part in tensor.parts]
    order = [boxes[2], boxes[0], *boxes[3:], (boxes[1][0], (0, -1))]
    pieces = [Piece("t", box) for box in order]
    layout = [[Piece("a")], pieces[:2], pieces[2:]]
    write_bundle(tmp_path / "p", {"a": floats(1), "t": tensor}, shards=layout)
    index = (tmp_path / "p.index").read_bytes()
    slices = b"".join(independent.message(7, independent.slice_proto(box)) for box in order)
    shape = independent.message(2, independent.shape_proto((6, 5)))
    assert independent.number(1, 1) + shape + independent.number(3, 1) + slices in index


def test_names(tmp_path: Path) -> None:
    names = [
        "a",
        "x" * 3000,
        "\u6c34/\U0001f600",
        "nul\0inside",
        "\udcff\udcfe raw",
        " ",
        "..",
        "\x01",
        "a/b",
        "a:0",
        "\n",
    ]
    tensors = {name: floats(index) for index, name in enumerate(names)}
    bundle = written(tmp_path / "b", tensors)
    assert {name: float(tensor.numpy()[0]) for name, tensor in bundle.items()} == {n: i for i, n in enumerate(names)}
    assert list(bundle) == sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))
    assert read_layout(tmp_path / "b") == [[Piece(name) for name in names]]


# --- values -----------------------------------------------------------------------------------------

PLAIN = sorted(name for name, dtype in DTYPES.items() if dtype.is_plain)


@pytest.mark.parametrize("name", PLAIN)
def test_every_type(name: str, tmp_path: Path) -> None:
    dtype = DTYPES[name]
    value = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype.numpy())
    tensors: dict[str, Tensor] = {"v": ArrayTensor(value, dtype), "z": ArrayTensor(value[:0], dtype)}
    bundle = written(tmp_path / "b", tensors)
    for key, tensor in tensors.items():
        assert (bundle[key].dtype, bundle[key].shape) == (dtype, tensor.shape)
        assert bundle[key].tobytes() == tensor.numpy().tobytes()
    assert (tmp_path / "b.data-00000-of-00001").read_bytes() == value.tobytes()


def test_layouts_in_memory_do_not_matter(tmp_path: Path) -> None:
    value = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    tensors: dict[str, Tensor] = {
        "transposed": ArrayTensor(value.T),
        "big": ArrayTensor(value.astype(">i4")),
        "strided": ArrayTensor(value[:, ::2, ::-1]),
        "splat": SplatTensor(np.array(7, np.int16), (5000,), DTYPES["int16"]),
        "text": ArrayTensor(np.array([["a", "\u00e9b"]])),
        "bytes": ArrayTensor(np.array([b"one", b"three"])),
    }
    bundle = written(tmp_path / "b", tensors)
    assert bundle["transposed"].numpy().tolist() == value.T.tolist()
    assert bundle["big"].tobytes() == value.astype("<i4").tobytes()
    assert bundle["strided"].numpy().tolist() == value[:, ::2, ::-1].tolist()
    assert bundle["splat"].numpy().tolist() == [7] * 5000
    assert bundle["text"].numpy().tolist() == [[b"a", b"\xc3\xa9b"]]
    assert bundle["bytes"].numpy().tolist() == [b"one", b"three"]


@pytest.mark.parametrize("label", ["big_endian", "gaps", "snappy_blocks", "plain"])
def test_bundles_of_other_writers(label: str, tmp_path: Path) -> None:
    """Another byte order, padding and compression become what TensorFlow writes on a machine of today."""
    found = independent.samples(tmp_path)
    source = tmp_path / label
    write_bundle(tmp_path / "again", read_bundle(source), shards=read_layout(source))
    assert contents(tmp_path / "again")[".data-00001-of-00003"] == contents(tmp_path / "plain")[".data-00001-of-00003"]
    bundle = read_bundle(tmp_path / "again")
    assert not bundle.big_endian
    for name, value in found[source].items():
        assert bundle[name].numpy().tolist() == value.tolist(), name


TYPES = st.sampled_from(
    [np.dtype(name) for name in ("?", "u1", "<i2", "<i4", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16")]
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
TEXT = st.binary(max_size=5) | st.integers(0, 300).map(bytes) | st.just(b"x" * 20_000)
ARRAYS = hnp.arrays(TYPES, SHAPES) | hnp.arrays(np.dtype(object), SHAPES, elements=TEXT)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(["a", "ab", "ac"])


@given(st.dictionaries(NAMES.filter(lambda name: name[0] != "\0"), ARRAYS, max_size=12), st.data())
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray[Any, Any]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("bundle") / "b"
    tensors = {name: ArrayTensor(array) for name, array in arrays.items()}
    order = data.draw(st.permutations(list(tensors)))
    shards = data.draw(st.integers(1, max(1, len(order))))
    bundle = written(path, tensors, order=order, shards=shards)
    assert bundle.num_shards == shards
    assert set(bundle) == set(arrays)
    assert [piece.name for shard in read_layout(path) for piece in shard if tensors[piece.name].nbytes] == [
        name for name in order if tensors[name].nbytes
    ]
    for name, array in arrays.items():
        found = bundle[name].numpy()
        assert (found.shape, bundle[name].dtype) == (array.shape, tensors[name].dtype)
        assert found.tolist() == array.tolist() if array.dtype == object else found.tobytes() == array.tobytes()
    # and once more is the same
    write_bundle(path.with_name("again"), bundle, shards=read_layout(path))
    assert contents(path.with_name("again")) == contents(path)


def test_long_strings(tmp_path: Path) -> None:
    values = [b"v" * size for size in (0, 1, 127, 128, 16_383, 16_384, 70_000, 3_000_000)]
    assert written(tmp_path / "b", {"s": strings(values)})["s"].numpy().tolist() == values


# --- what can't be written --------------------------------------------------------------------------


def test_types_without_a_place_are_listed_together(tmp_path: Path) -> None:
    source = read_bundle(FIXTURES["bundle_odd"].prefix)
    tensors = {
        "fine": floats(1),
        "list": source["list"],
        "handle": OpaqueTensor(DTYPES["resource"], (), "p", "handle"),
        "deep": SplatTensor(np.array(1.0), (1,) * 33, DTYPES["float64"]),
    }
    with pytest.raises(UnsupportedError) as caught:
        write_bundle(tmp_path / "b", tensors)
    assert str(caught.value) == (
        "checkpoint: can't be written with 'list' (variant), 'handle' (resource), 'deep' (float64, rank 33) "
        "(--unstorable says what to do, or --exclude them)"
    )
    assert not os.listdir(tmp_path)


def test_the_highest_rank(tmp_path: Path) -> None:
    tensor = SplatTensor(np.array(1.0), (1,) * 32, DTYPES["float64"])
    write_bundle(tmp_path / "b", {"deep": tensor})
    assert read_bundle(tmp_path / "b")["deep"].rank == 32


def test_names_without_a_place(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        write_bundle(tmp_path / "b", dict.fromkeys(["", "a", "\0a", "\ud800"], floats(1)))
    assert str(caught.value) == r"checkpoint: can't hold tensors named '', '\x00a', '\ud800' (rename them)"


def test_names_that_are_one_in_utf8(tmp_path: Path) -> None:
    with pytest.raises(NameMapError) as caught:
        write_bundle(tmp_path / "b", dict.fromkeys(["\u00e9", "e", "\udcc3\udca9"], floats(1)))
    assert str(caught.value) == r"checkpoint: expected names that differ as UTF-8, got '" "\u00e9" r"', '\udcc3\udca9'"


@pytest.mark.parametrize("value", [3, None, "\ud800"])
def test_strings_that_are_none(value: object, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        write_bundle(tmp_path / "b", {"s": strings([b"a", value])})
    assert str(caught.value) == f"s: expected strings, got {value!r}"
    assert not os.listdir(tmp_path)


class Short(Tensor):
    """Promises three elements and gives two."""

    def chunks(self) -> Iterator[Buffer]:
        yield bytes(8)

    def numpy(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError


def test_a_tensor_that_gives_less_than_it_says(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"v: expected 12 bytes of float32 \[3\], got 8"):
        write_bundle(tmp_path / "b", {"v": Short(DTYPES["float32"], (3,))})
    assert not os.listdir(tmp_path)


def test_damaged_sources_are_not_published(tmp_path: Path) -> None:
    """Of a source with a checksum that one is taken over, so it has to be compared."""
    source = tmp_path / "source"
    source.write_bytes(bytes(100))
    tensors: dict[str, Tensor] = {
        "plain": FileTensor(DTYPES["int8"], (100,), source, 0, name="plain", crc32c=crc32c(bytes(100))),
        "big": FileTensor(DTYPES["int16"], (50,), source, 0, name="big", crc32c=crc32c(bytes(100)), big_endian=True),
        "unchecked": FileTensor(DTYPES["int8"], (100,), source, 0),
        "later": FileTensor(DTYPES["int8"], (4,), source, 1, crc32c=crc32c(b"\1\2\3\4")),
    }
    with pytest.raises(FormatError, match="source: expected checksum"):
        write_bundle(tmp_path / "b", tensors)
    assert os.listdir(tmp_path) == ["source"]
    del tensors["later"]
    assert [tensor.tobytes() for tensor in written(tmp_path / "b", tensors).values()] == [bytes(100)] * 3


def test_an_unreadable_source(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone: expected to read 'v', got: No such file"):
        write_bundle(tmp_path / "b", {"v": FileTensor(DTYPES["int8"], (3,), tmp_path / "gone", 0)})


# --- files ------------------------------------------------------------------------------------------


def test_the_files_of_a_bundle(tmp_path: Path) -> None:
    assert bundle_files("p", 2) == ["p.data-00000-of-00002", "p.data-00001-of-00002", "p.index"]
    write_bundle(tmp_path / "b", {"a": floats(1), "b": floats(2)}, shards=2)
    assert sorted(os.listdir(tmp_path)) == bundle_files("b", 2)


def test_an_empty_bundle(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", {})
    assert (tmp_path / "b.data-00000-of-00001").read_bytes() == b""
    assert dict(read_bundle(tmp_path / "b")) == {}
    assert read_layout(tmp_path / "b") == [[]]
    write_bundle(tmp_path / "again", {}, shards=[[]])
    assert contents(tmp_path / "again") == contents(tmp_path / "b")


@pytest.mark.parametrize("there", bundle_files("b", 1))
def test_an_older_bundle_stays_unless_forced(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_bytes(b"old")
    with pytest.raises(DestinationError, match=rf"{there}: exists already \(--force replaces it\)"):
        write_bundle(tmp_path / "b", {"a": floats(1)})
    assert contents(tmp_path / "b") == {there[1:]: b"old"}
    assert float(written(tmp_path / "b", {"a": floats(3)}, force=True)["a"].numpy()[0]) == 3


def test_a_bundle_can_replace_its_own_source(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", {"a": floats(1, 2), "b": floats(3)})
    source = read_bundle(tmp_path / "b")
    bundle = written(tmp_path / "b", {"c": source["b"], "a": source["a"]}, force=True)
    assert {name: tensor.numpy().tolist() for name, tensor in bundle.items()} == {"a": [1, 2], "c": [3]}


def test_files_that_somebody_else_publishes(tmp_path: Path) -> None:
    with OutputSet() as files:
        files.open(tmp_path / "other").write(b"x")
        write_bundle(tmp_path / "b", {"a": floats(1)}, files=files)
        assert not [name for name in os.listdir(tmp_path) if name[0] != "."]
    assert sorted(os.listdir(tmp_path)) == [*bundle_files("b", 1), "other"]


def test_nothing_is_left_of_a_set_that_failed(tmp_path: Path) -> None:
    def fail() -> None:
        with OutputSet() as files:
            write_bundle(tmp_path / "b", {"a": floats(1)}, files=files)
            raise UsageError("", "enough")

    with pytest.raises(TensorferryError, match="enough"):
        fail()
    assert not os.listdir(tmp_path)


def test_strings_have_their_own_dtype(tmp_path: Path) -> None:
    bundle = written(tmp_path / "b", {"s": strings(np.zeros((2, 0), object))})
    assert (bundle["s"].dtype, bundle["s"].shape) == (STRING_TYPE, (2, 0))
    assert (tmp_path / "b.data-00000-of-00001").read_bytes() == independent.masked(0).to_bytes(4, "little")
