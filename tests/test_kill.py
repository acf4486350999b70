"""Conversions that end early: killed, interrupted, out of disk, or with a source that changes under them.

The destination is the old one or none until it is the whole new one. An error or a signal that can be caught leaves
nothing else; what a kill leaves, the next run removes.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pytest

import tensorferry
from tensorferry.formats import protos
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.parts import SUFFIX
from tensorferry.formats.tensor import ArrayTensor

ROOT = Path(__file__).resolve().parent.parent
COUNT, SIDE = 12, 1000
"""Matrices of the checkpoint, and their rows and columns: 4 MB each."""

WORDS = {
    "safetensors": ["out.safetensors"],
    "npz": ["out.npz"],
    "bundle": ["out.ckpt"],
    "onnx": ["out.onnx"],
    "sharded safetensors": ["out.safetensors", "--max-shard-size", "13MB"],
    "sharded bundle": ["out.ckpt", "--max-shard-size", "13MB"],
}
"""What is converted to -> the destination, and options."""
OLD_FILES = {
    "bundle": ["out.ckpt.data-00000-of-00001", "out.ckpt.index", "checkpoint"],
    "sharded safetensors": [*(f"out-0000{n}-of-00004.safetensors" for n in (1, 2, 3, 4)), "out.safetensors.index.json"],
    "sharded bundle": [*(f"out.ckpt.data-0000{n}-of-00004" for n in range(4)), "out.ckpt.index", "checkpoint"],
}
"""The files of a destination, where they are more than one, in the order in which they are written."""
TARGETS = pytest.mark.parametrize("target", WORDS)
OLD = b"the old file"


@dataclass(frozen=True)
class Timed:
    """A conversion that was left alone: its result, how many bytes that has, and how long it wrote."""

    files: dict[str, str]
    size: int
    seconds: float


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint of 48 MB."""
    return _checkpoint(tmp_path_factory.mktemp("source"), COUNT)


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of one of 24 MB: more than is read ahead."""
    return _checkpoint(tmp_path_factory.mktemp("small"), 6)


def _checkpoint(folder: Path, count: int) -> Path:
    """The prefix of a checkpoint, with a graph beside it that multiplies all of its matrices."""
    prefix = folder / "model.ckpt"
    rng = np.random.default_rng(0)
    names = [f"dense_{index:02d}/kernel" for index in range(count)]
    write_bundle(prefix, {name: ArrayTensor(rng.random((SIDE, SIDE), np.float32)) for name in names})
    graph = protos.message_class("GraphDef")()
    value = "x"
    _node(graph, "x", "Placeholder", [], "dtype", [1, SIDE])
    for name in names:
        _node(graph, name, "VariableV2", [], "dtype", [SIDE, SIDE])
        _node(graph, f"{name}/MatMul", "MatMul", [value, name], "T")
        value = f"{name}/MatMul"
    prefix.with_name("graph.pb").write_bytes(graph.SerializeToString())
    return prefix


def _node(graph: object, name: str, op: str, inputs: list[str], dtype: str, shape: list[int] | None = None) -> None:
    node = graph.node.add(name=name, op=op, input=inputs)  # type: ignore[attr-defined]
    node.attr[dtype].type = 1
    for size in shape or ():
        node.attr["shape"].shape.dim.add(size=size)


@pytest.fixture(scope="session")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Timed]:
    """The result of each target, converted once and undisturbed."""
    found: dict[str, Timed] = {}

    def of(target: str) -> Timed:
        if target not in found:
            folder = tmp_path_factory.mktemp("whole")
            process = _start(source, folder, target)
            _wait_for_part(process, folder)
            began = time.monotonic()
            assert process.wait() == 0
            seconds = time.monotonic() - began
            size = sum(path.stat().st_size for path in folder.iterdir())
            found[target] = Timed(_content(folder), size, seconds)
        return found[target]

    return of


def _words(source: Path, folder: Path, target: str) -> list[str]:
    name, *options = WORDS[target]
    words = ["convert", str(source), str(folder / name), *options]
    return words + (["--graph", str(source.with_name("graph.pb"))] if target == "onnx" else [])


def _start(source: Path, folder: Path, target: str, *words: str, limit: int | None = None) -> subprocess.Popen[str]:
    """`tensorferry convert` in a process of its own, whose files may have `limit` bytes."""

    process = subprocess.Popen(
        [sys.executable, "-m", "tensorferry", *_words(source, folder, target), *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if limit is not None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    return process


def _parts(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(SUFFIX)]


def _wait_for_part(process: subprocess.Popen[str], folder: Path, left: Sequence[str] = ()) -> None:
    """Until the process has begun to write (a folder of parts with bytes in it), or ended.

    `left` are the folders of parts that others left.
    """
    while process.poll() is None:
        first = [OLD_FILES.get(target, words)[0] for target, words in WORDS.items()]
        parts = [folder / name / file for name in _parts(folder) if name not in left for file in first]
        with suppress(FileNotFoundError):
            if any(part.exists() and part.stat().st_size for part in parts):
                return
        time.sleep(0.001)


def _wait_for_bytes(process: subprocess.Popen[str], folder: Path, count: int, left: Sequence[str]) -> None:
    """Until the process has written that many bytes, or ended; however fast either is. `left` as above."""
    while process.poll() is None:
        written = 0
        for name in _parts(folder):
            with suppress(FileNotFoundError, NotADirectoryError):
                written += sum(path.stat().st_size for path in (folder / name).iterdir()) if name not in left else 0
        if written >= count:
            return
        time.sleep(0.001)


def _content(folder: Path) -> dict[str, str]:
    """The size and a digest of every file by name; parts are left out."""
    return {
        path.name: f"{path.stat().st_size} bytes, {hashlib.blake2b(path.read_bytes()).hexdigest()[:16]}"
        for path in folder.iterdir()
        if path.is_file()
    }


def _old(folder: Path, target: str) -> dict[str, str]:
    """Puts an old destination there."""
    for name in OLD_FILES.get(target, WORDS[target][:1]):
        (folder / name).write_bytes(OLD)
    return _content(folder)


def _is_consistent(found: dict[str, str], before: dict[str, str], after: dict[str, str]) -> bool:
    """Whether there is the old destination, the new one, or none: of several files, none without their index."""
    index = next((name for name in after if name.endswith((".index", ".index.json"))), None)
    if index is None:
        return found in (before, after) or not found
    if index not in found:
        return all(content in (before.get(name), after.get(name)) for name, content in found.items())
    state = "checkpoint"  # which names a checkpoint that is there already: it comes last
    state_is_one = found.get(state) in (before.get(state), after.get(state))
    return state_is_one and {**found, state: ""} in ({**before, state: ""}, {**after, state: ""})


@TARGETS
def test_killed_at_any_moment(target: str, source: Path, whole: Callable[[str], Timed], tmp_path: Path) -> None:
    rng = Random(f"kill {target}")
    expected = whole(target)
    left = number = 0
    while number < 6 or (not left and number < 30):
        force = ["--force"] if number % 2 else []
        before = _old(tmp_path, target) if force else {}
        parts = _parts(tmp_path)
        process = _start(source, tmp_path, target, *force)
        moment = rng.random() * 1.2
        _wait_for_bytes(process, tmp_path, int(min(moment, 1) * expected.size), parts)
        time.sleep(max(moment - 1, 0) * expected.seconds)
        process.kill()
        process.communicate()
        found = _content(tmp_path)
        assert _is_consistent(found, before, expected.files)
        left += bool(_parts(tmp_path))
        number += 1
        for name in found:
            (tmp_path / name).unlink()
    assert left, "no kill came while it wrote"
    process = _start(source, tmp_path, target)
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert _content(tmp_path) == expected.files
    assert not _parts(tmp_path)


@TARGETS
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_at_any_moment(
    target: str, number: signal.Signals, status: int, source: Path, whole: Callable[[str], Timed], tmp_path: Path
) -> None:
    rng = Random(f"{number} {target}")
    expected = whole(target)
    before = _old(tmp_path, target)
    process = _start(source, tmp_path, target, "--force")
    _wait_for_part(process, tmp_path)
    time.sleep(rng.random() * 0.7 * expected.seconds)
    process.send_signal(number)
    told = process.communicate()[1]
    assert not _parts(tmp_path)
    if process.returncode in (0, -number):  # the signal came too late: while Python was ending, or later
        assert _content(tmp_path) == expected.files
        return
    assert process.returncode == status
    assert told.strip() == ("interrupted" if number == signal.SIGINT else "")
    assert _is_consistent(_content(tmp_path), before, expected.files)


@TARGETS
def test_a_file_size_limit(target: str, source: Path, tmp_path: Path) -> None:
    before = _old(tmp_path, target)
    _refused(_start(source, tmp_path, target, "--force", limit=10 << 20), "File too large")
    assert _content(tmp_path) == before
    assert not _parts(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=20m", "none", folder], stderr=subprocess.DEVNULL, check=False
    )
    if not done or done.returncode:
        pytest.skip("mounting a small filesystem is not permitted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@TARGETS
def test_a_full_disk(target: str, source: Path, small_disk: Path) -> None:
    before = _old(small_disk, target)
    _refused(_start(source, small_disk, target, "--force"), "No space left on device")
    assert _content(small_disk) == before
    assert not _parts(small_disk)


def _refused(process: subprocess.Popen[str], problem: str) -> None:
    told = process.communicate()[1]
    assert process.returncode == 2, told
    assert told.startswith("error: ")
    assert told.endswith(f": can't be written: {problem}\n")
    assert told.count("\n") == 1


def _flip(data: Path) -> None:
    with data.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


def _truncate(data: Path) -> None:
    os.truncate(data, data.stat().st_size - 1)


def _overwrite(data: Path) -> None:
    """As a training does that saves under the same name."""
    data.with_name("next").write_bytes(np.random.default_rng(1).bytes(data.stat().st_size))
    os.replace(data.with_name("next"), data)


CHANGES = {
    "changed": (_flip, "expected checksum"),
    "truncated": (_truncate, "got the end of the file"),
    "overwritten": (_overwrite, "expected checksum"),
    "removed": (os.unlink, "No such file or directory"),
}


@TARGETS
@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changes_while_it_is_read(target: str, change: str, small_source: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(small_source.parent, copy)
    out.mkdir()
    before = _old(out, target)
    happens, message = CHANGES[change]
    changed = False

    def when_the_first_bytes_are_written(done: int, total: int) -> None:
        nonlocal changed
        if not changed:
            happens(copy / "model.ckpt.data-00000-of-00001")  # type: ignore[operator]
        changed = True

    with pytest.raises(tensorferry.FormatError) as error:
        tensorferry.convert(
            copy / "model.ckpt",
            out / WORDS[target][0],
            graph=copy / "graph.pb" if target == "onnx" else None,
            max_shard_size=13_000_000 if target.startswith("sharded") else None,
            force=True,
            progress=when_the_first_bytes_are_written,
        )
    assert changed
    assert message in str(error.value)
    assert _content(out) == before
    assert not _parts(out)
