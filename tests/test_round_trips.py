"""Laws of weights: what goes there and back is what it was, to the byte, whatever the names, types and shapes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tensorferry
from tensorferry.formats.bundle_layout import Piece
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.npz_file import can_hold as npz_can
from tensorferry.formats.safetensors_file import can_hold as safetensors_can
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Tensor

SETTINGS = settings(max_examples=40)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: not name.startswith("\0") and name != "__metadata__"
)


@st.composite
def tensors(draw: st.DrawFn, type_names: list[str]) -> Tensor:
    """Up to three dimensions, of up to four elements, of any bits that the type can have."""
    dtype = DTYPES[draw(st.sampled_from(type_names))]
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    bits = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    if dtype.name == "bool":
        bits = bits % 2
    if dtype.bits < 8:
        bits = bits % (1 << dtype.bits)
    return ArrayTensor(bits.view(dtype.numpy()).reshape(shape), dtype)


def checkpoints(type_names: list[str]) -> st.SearchStrategy[dict[str, Tensor]]:
    """Tensors by name, in the order of the names."""
    found = st.dictionaries(NAMES, tensors(type_names), min_size=1, max_size=6)
    return found.map(lambda named: dict(sorted(named.items())))


ONE = {dtype.name: ArrayTensor(np.zeros(2, dtype.numpy()), dtype) for dtype in DTYPES.values() if dtype.is_plain}
ANY = list(ONE)
IN_SAFETENSORS = [name for name in ONE if safetensors_can(ONE[name]) and DTYPES[name].bits >= 8]
IN_NPZ = [name for name in ONE if npz_can(ONE[name])]


@contextmanager
def folder_with(found: dict[str, Tensor], **how: object) -> Iterator[Path]:
    """A folder with the checkpoint a.ckpt."""
    with TemporaryDirectory() as folder:
        write_bundle(Path(folder) / "a.ckpt", found, **how)  # type: ignore[arg-type]
        yield Path(folder)


def content(prefix: Path) -> dict[str, bytes]:
    """The bytes of a checkpoint's files by ending."""
    return {
        name.removeprefix(prefix.name): (prefix.parent / name).read_bytes()
        for name in os.listdir(prefix.parent)
        if name.startswith(f"{prefix.name}.")
    }


@SETTINGS
@given(checkpoints(IN_SAFETENSORS))
def test_there_and_back_through_safetensors(found: dict[str, Tensor]) -> None:
    with folder_with(found) as folder:
        tensorferry.convert(folder / "a.ckpt", folder / "b.safetensors", keep_optimizer=True)
        tensorferry.convert(folder / "b.safetensors", folder / "c.ckpt")
        assert content(folder / "c.ckpt") == content(folder / "a.ckpt")


@SETTINGS
@given(checkpoints(IN_SAFETENSORS), st.integers(1, 200))
def test_there_and_back_through_sharded_safetensors(found: dict[str, Tensor], limit: int) -> None:
    with folder_with(found) as folder:
        words = {"keep_optimizer": True, "max_shard_size": limit}
        tensorferry.convert(folder / "a.ckpt", folder / "b.safetensors", **words)  # type: ignore[arg-type]
        several = folder / "b.safetensors.index.json"
        tensorferry.convert(several if several.exists() else folder / "b.safetensors", folder / "c.ckpt")
        assert content(folder / "c.ckpt") == content(folder / "a.ckpt")


@SETTINGS
@given(checkpoints(IN_NPZ))
def test_there_and_back_through_npz(found: dict[str, Tensor]) -> None:
    assume(not any("\0" in name or f"{name}.npy" in found for name in found))
    with folder_with(found) as folder:
        tensorferry.convert(folder / "a.ckpt", folder / "b.npz", keep_optimizer=True)
        with np.load(folder / "b.npz") as arrays:
            assert {name: arrays[name].tobytes() for name in arrays} == {n: t.tobytes() for n, t in found.items()}
        tensorferry.convert(folder / "b.npz", folder / "c.ckpt")
        assert content(folder / "c.ckpt") == content(folder / "a.ckpt")


@SETTINGS
@given(checkpoints(ANY), st.data())
def test_a_layout_is_kept(found: dict[str, Tensor], data: st.DataObject) -> None:
    """Every tensor may be cut along its first axis, and each piece lie in any data file."""
    pieces: list[Piece] = []
    for name, tensor in found.items():
        rows = tensor.shape[0] if tensor.rank else 0
        cut = data.draw(st.integers(0, rows))
        if 0 < cut < rows and tensor.nbytes:  # the order of slices without bytes is nowhere
            value = tensor.numpy()
            halves = [ArrayTensor(value[:cut], tensor.dtype), ArrayTensor(value[cut:], tensor.dtype)]
            starts = [(first, *(0 for _ in tensor.shape[1:])) for first in (0, cut)]
            parts = [Part(start, half) for start, half in zip(starts, halves, strict=True)]
            found[name] = SlicedTensor(tensor.dtype, tensor.shape, parts)
            pieces += [Piece(name, tuple(zip(part.start, part.tensor.shape, strict=True))) for part in parts]
        else:
            pieces.append(Piece(name))
    pieces = data.draw(st.permutations(pieces))
    files: dict[int, list[Piece]] = {}
    for piece in pieces:
        files.setdefault(data.draw(st.integers(0, 2)), []).append(piece)
    with folder_with(found, shards=list(files.values())) as folder:
        tensorferry.convert(folder / "a.ckpt", folder / "b.ckpt", keep_layout=True, keep_optimizer=True)
        assert content(folder / "b.ckpt") == content(folder / "a.ckpt")


@SETTINGS
@given(checkpoints(ANY), st.data())
def test_renames_and_their_inverse_cancel(found: dict[str, Tensor], data: st.DataObject) -> None:
    targets = data.draw(st.lists(NAMES, min_size=len(found), max_size=len(found), unique=True))
    renames = dict(zip(found, targets, strict=True))
    with folder_with(found) as folder:
        tensorferry.convert(folder / "a.ckpt", folder / "b.ckpt", rename=renames, keep_optimizer=True)
        back = {new: old for old, new in renames.items()}
        tensorferry.convert(folder / "b.ckpt", folder / "c.ckpt", rename=back, keep_optimizer=True)
        assert set(tensorferry.load_checkpoint(folder / "b.ckpt")) == set(targets)
        assert content(folder / "c.ckpt") == content(folder / "a.ckpt")


@SETTINGS
@given(checkpoints(ANY))
def test_what_no_format_has_goes_there_as_bits(found: dict[str, Tensor]) -> None:
    assume(not any("\0" in name or f"{name}.npy" in found for name in found))
    with folder_with(found) as folder:
        for name in "b.npz", "b.safetensors":
            tensorferry.convert(folder / "a.ckpt", folder / name, unstorable="bits", keep_optimizer=True, verify=True)
            kept = tensorferry.load_checkpoint(folder / name)
            assert {n: _numbers(t) for n, t in kept.items()} == {n: _numbers(t) for n, t in found.items()}


def _numbers(tensor: Tensor) -> bytes:
    """The bytes; of int4 and its like, those of their numbers, for what is above their bits may be anything."""
    narrow = tensor.dtype.is_integer and tensor.dtype.bits < 8
    return tensor.numpy().astype(np.int8).tobytes() if narrow else tensor.tobytes()
