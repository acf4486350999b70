"""bundle_writer against real TensorFlow: it saves the same bytes, and reads what we wrote."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.bundle_layout import Extents, Piece, read_layout
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.checkpoint_state_writer import write_state
from tensorferry.formats.dtype import DTYPES, QUANTIZED, STRING, DType
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tests.fixture import FIXTURES, HOME, unpack

pytestmark = pytest.mark.parity

Array = np.ndarray[Any, Any]
Oracle = Callable[..., None]

ONLY_NEW = {name for name in DTYPES if name.startswith(("float8", "float4")) or name[-2:] in ("t2", "t4")}
"""The types that TensorFlow 1.15 doesn't know."""


@pytest.fixture(scope="module", params=["tf1", "tf2"])
def oracle(request: pytest.FixtureRequest) -> Oracle:
    """Runs a script in a real TensorFlow's environment; its `label` is tf1 or tf2."""
    python = subprocess.run(
        ["sh", HOME / "oracle" / "venv.sh", request.param], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()

    def run(script: Path, *arguments: object) -> None:
        done = subprocess.run([python, script, *map(str, arguments)], check=False, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    run.label = request.param  # type: ignore[attr-defined]
    return run


# --- cases ------------------------------------------------------------------------------------------


class Case:
    """Tensors, what lies where, and the same as SaveV2's arguments."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.shards: list[list[Piece]] = []
        self.values: dict[str, tuple[Array, DType]] = {}
        self.rows: list[list[tuple[str, str, str]]] = []

    def add_shards(self, count: int) -> None:
        self.shards += [[] for _ in range(count)]
        self.rows += [[] for _ in range(count)]

    def add(self, name: str, array: Array, dtype: DType | None = None, shard: int = 0) -> None:
        tensor = ArrayTensor(array, dtype)
        self.tensors[name] = tensor
        self._place(shard, Piece(name), "", array, tensor.dtype)

    def add_slices(self, name: str, array: Array, boxes: list[Extents], shards: list[int]) -> None:
        """The slices, each in its shard; a length of -1 is left open."""
        parts: list[Part] = []
        for box, shard in zip(boxes, shards, strict=True):
            where = tuple(slice(first, None if length == -1 else first + length) for first, length in box)
            parts.append(Part(tuple(first for first, _ in box), ArrayTensor(array[where])))
            extents = ":".join("-" if length == -1 else f"{first},{length}" for first, length in box)
            spec = " ".join(map(str, array.shape)) + f" {extents}"
            self._place(shard, Piece(name, box), spec, array[where], parts[0].tensor.dtype)
        self.tensors[name] = SlicedTensor(parts[0].tensor.dtype, array.shape, parts, name=name)

    def _place(self, shard: int, piece: Piece, spec: str, array: Array, dtype: DType) -> None:
        key = f"t{len(self.values)}"
        self.values[key] = array, dtype
        self.shards[shard].append(piece)
        self.rows[shard].append((piece.name, spec, key))

    def described(self, prefix: Path) -> dict[str, Any]:
        """What save_bundle.py needs, the values in files."""
        entries: dict[str, Any] = {}
        items = []
        for key, (array, dtype) in self.values.items():
            if dtype.kind == STRING:
                strings = array.reshape(-1).tolist()
                entries[key] = np.frombuffer(b"".join(strings), np.uint8)
                entries[f"{key}_lengths"] = np.array(list(map(len, strings)), np.int64)
            else:
                builtin = array.dtype.isbuiltin == 1 and dtype.kind != QUANTIZED
                stored = array if builtin else np.ascontiguousarray(array).view(f"u{dtype.itemsize}")
                entries[key] = stored.reshape(array.shape)
            items.append({"key": key, "name": key, "dtype": dtype.name, "shape": list(array.shape)})
        np.savez(f"{prefix}-values.npz", **entries)
        Path(f"{prefix}-values.json").write_text(json.dumps(items))
        return {"prefix": str(prefix), "values": f"{prefix}-values.npz", "shards": self.rows}


def types_case(label: str) -> Case:
    case = Case()
    case.add_shards(1)
    for name, dtype in DTYPES.items():
        if dtype.is_plain and not (label == "tf1" and name in ONLY_NEW):
            case.add(name, np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype.numpy()), dtype)
    case.add("scalar", np.array(1.5, np.float32))
    case.add("none", np.zeros((0, 3), np.int64))
    for name, values in {
        "strings": [b"", b"\0", b"x" * 70_000, b"\xff"],
        "no strings": [],
        "one": [b"x" * 127],
    }.items():
        array = np.empty(len(values), object)
        array[:] = values
        case.add(name, array)
    return case


def random_case(seed: int) -> Case:
    """Odd names of all lengths, slices cut anywhere, spread over some shards in any order."""
    rng = random.Random(seed)
    case = Case()
    case.add_shards(rng.choice([1, 2, 3, 11]))
    alphabet = rng.choice(["ab/", "a\udcff\udcfe", "\x01\u6c34\U0001f600", "a\0b"])
    for index in range(rng.randint(20, 60)):
        length = rng.choice([0, 1, 5, 40, 4000])
        name = f"{rng.choice(['', 'scope/', 'x' * 500])}{index}" + "".join(rng.choices(alphabet, k=length))
        shape = tuple(rng.randint(1, 5) for _ in range(rng.randint(0, 3)))
        array = np.frombuffer(rng.randbytes(8 * int(np.prod(shape))), rng.choice(["<i8", "<f8", "<c8"])).reshape(shape)
        if rng.random() < 0.2:
            array = np.vectorize(lambda _: rng.randbytes(rng.choice([0, 1, 130])), otypes=[object])(array)
        shards = range(len(case.shards))
        if not shape or rng.random() < 0.5:
            case.add(name, np.asarray(array), shard=rng.choice(shards))
            continue
        boxes: list[Extents] = list(itertools.product(*(_cuts(rng, size) for size in shape)))
        if len(boxes) > 1:
            rng.shuffle(boxes)
            case.add_slices(name, array, boxes, rng.choices(shards, k=len(boxes)))
    for index, shard in enumerate(case.shards):
        if not shard:  # TensorFlow can't save none
            case.add(f"filling {index}", np.zeros(index, np.uint8), shard=index)
    return case


def _cuts(rng: random.Random, size: int) -> list[tuple[int, int]]:
    ends = [0, *sorted(rng.sample(range(1, size), rng.randint(0, min(2, size - 1)))), size]
    if len(ends) == 2 and rng.random() < 0.5:
        return [(0, -1)]
    return [(first, end - first) for first, end in itertools.pairwise(ends)]


def large_names_case() -> Case:
    """Index blocks of 256 KiB, and entries that are larger than two of them."""
    case = Case()
    case.add_shards(1)
    sizes = [*range(524_250, 524_290, 3), 1, 262_100, 262_130, 600_000, 2, 100_000, 100_000, 100_000]
    for index, size in enumerate(sizes):
        case.add(chr(97 + index) * size, np.array(index, np.float32))
    return case


def contents(prefix: Path) -> dict[str, bytes]:
    return {p.name[len(prefix.name) :]: p.read_bytes() for p in prefix.parent.glob(f"{prefix.name}.*")}


# --- tests ------------------------------------------------------------------------------------------


def test_tensorflow_saves_the_same_bytes(oracle: Oracle, tmp_path: Path) -> None:
    cases = {"types": types_case(oracle.label), "names": large_names_case()}  # type: ignore[attr-defined]
    cases |= {f"random{seed}": random_case(seed) for seed in range(12)}
    spec = tmp_path / "spec.json"
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    spec.write_text(json.dumps([case.described(theirs / name) for name, case in cases.items()]))
    oracle(Path(__file__).with_name("save_bundle.py"), spec)
    for name, case in cases.items():
        write_bundle(ours / name, case.tensors, shards=case.shards)
        expected = contents(theirs / name)
        assert len(expected) == len(case.shards) + 1
        assert contents(ours / name) == expected, name
        assert read_layout(theirs / name) == case.shards, name
        write_bundle(ours / f"{name}-again", read_bundle(theirs / name), shards=read_layout(theirs / name))
        assert contents(ours / f"{name}-again") == expected, name


def assert_read(oracle: Oracle, prefix: Path, expected: dict[str, Array]) -> None:
    out = prefix.parent / "read.npz"
    oracle(HOME / "oracle" / "answer.py", "read", prefix, out)
    arrays = np.load(out)
    found = {item["name"]: unpack(arrays, item) for item in json.loads(out.with_suffix(".json").read_text())}
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        if value.dtype == object:
            assert found[name].tolist() == value.tolist(), name
        else:
            assert found[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("name", ["bundle_dtypes", "bundle_partitioned", "bundle2_merged", "bundle2_max_size", "mnist"])
def test_tensorflow_reads_what_we_wrote(oracle: Oracle, name: str, tmp_path: Path) -> None:
    """Whole and in one file, renamed, in another order."""
    fixture = FIXTURES[name]
    bundle = read_bundle(fixture.prefix)
    unreadable = fixture.about.get("unreadable", ())
    tensors = {f"new/{key}": bundle[key] for key in reversed(list(bundle)) if key not in unreadable}
    write_bundle(tmp_path / "model.ckpt", tensors)
    assert_read(oracle, tmp_path / "model.ckpt", {f"new/{key}": array for key, array in fixture.tensors().items()})


def test_tensorflow_reads_our_slices_in_shards(oracle: Oracle, tmp_path: Path) -> None:
    fixture = FIXTURES["bundle_sharded"]
    write_bundle(tmp_path / "model.ckpt", read_bundle(fixture.prefix), keep_slices=True, shards=5)
    assert len(contents(tmp_path / "model.ckpt")) == 6
    assert_read(oracle, tmp_path / "model.ckpt", fixture.tensors())


def test_tensorflow_finds_the_checkpoint_by_our_state_file(oracle: Oracle, tmp_path: Path) -> None:
    name = "a\"b'c n\u00e9\u6c34"  # no backslash: TensorFlow takes the path for a pattern
    write_bundle(tmp_path / name, {"v": ArrayTensor(np.arange(3.0))})
    write_state(tmp_path / "checkpoint", tmp_path / name)
    script = tmp_path / "find.py"
    script.write_text(
        "import sys, tensorflow.compat.v1 as tf\n"
        "found = tf.train.latest_checkpoint(sys.argv[1])\n"
        "value = tf.train.load_checkpoint(sys.argv[1]).get_tensor('v')\n"
        "open(sys.argv[2], 'wb').write(repr((found, value.tolist())).encode('utf-8'))\n"
    )
    oracle(script, tmp_path, tmp_path / "found")
    assert (tmp_path / "found").read_text("utf-8") == repr((os.path.join(tmp_path, name), [0.0, 1.0, 2.0]))
