"""Checkpoints to safetensors and to renamed checkpoints, beside `cp` and TensorFlow's own reader.

    weights.py [--gib 1 2] [--runs N] [--where DIR] [--without-tensorflow]

Makes a float32 checkpoint of each size in DIR (default: a memory filesystem), then runs whole processes in turn, one
of each kind a round: `cp` of the data, each conversion with every checksum verified, and TensorFlow's reader with
safetensors' save_file (the oracle's environment tf2). A conversion ends when its result is on the disk, `cp` when it
is in memory: beside it stands `cp` with `sync`, which on a memory filesystem makes no difference. Prints the median of
each, the median of its ratios to `cp` round by round, and the peak of resident memory. A second table is of 20,000 tiny
variables, and of `inspect`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
EACH = 32 << 20
"""Bytes of one variable."""

# Made in a process of its own: what this one had in memory would count as its children's peak.
MAKE = """
import sys
import numpy as np
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor
prefix, pattern, count, size, parts = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
value = ArrayTensor(np.random.default_rng(0).standard_normal((64, size // 256 // parts)).astype(np.float32))
if parts > 1:
    rows, columns = value.shape
    places = [(0, number * columns) for number in range(parts)]
    value = SlicedTensor(FLOAT32, (rows, columns * parts), [Part(place, value) for place in places])
write_bundle(prefix, {pattern % number: value for number in range(count)}, keep_slices=True)
"""

PEER = """
import sys
import tensorflow as tf
from safetensors.numpy import save_file
reader = tf.train.load_checkpoint(sys.argv[1])
save_file({name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}, sys.argv[2])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--where", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--without-tensorflow", action="store_true")
    options = parser.parse_args()
    oracle = [] if options.without_tensorflow else tensorflow()
    for gib in options.gib:
        with tempfile.TemporaryDirectory(dir=options.where) as folder:
            large(Path(folder), gib, options.runs, oracle)
    with tempfile.TemporaryDirectory(dir=options.where) as folder:
        small(Path(folder), options.runs)


def large(folder: Path, gib: float, runs: int, oracle: list[str]) -> None:
    """One checkpoint of `gib` GiB, in variables of 32 MiB."""
    prefix = folder / "model.ckpt"
    make(prefix, "layer_%04d/kernel", round(gib * 2**30 / EACH), EACH)
    data = f"{prefix}.data-00000-of-00001"
    ferry = [sys.executable, "-m", "tensorferry"]
    commands = {
        "cp": ["cp", data, "{out}"],
        "cp, down to the disk": ["sh", "-c", f"cp {data} {{out}} && sync {{out}}"],
        "to safetensors": [*ferry, "convert", str(prefix), "{out}.safetensors"],
        "to a renamed checkpoint": [
            *ferry,
            "convert",
            str(prefix),
            "{out}.ckpt",
            "--rename",
            "layer_0000/kernel=first",
        ],
        "to safetensors, cast": [*ferry, "convert", str(prefix), "{out}.safetensors", "--dtype", "bfloat16"],
        "inspect": [*ferry, "inspect", str(prefix)],
    }
    if oracle:
        commands["TensorFlow and save_file"] = [*oracle, "-c", PEER, str(prefix), "{out}.safetensors"]
    show(f"{gib:g} GiB of float32", commands, folder, runs, "cp")
    make(prefix, "layer_%04d/kernel", round(gib * 2**30 / EACH), EACH, parts=4)
    commands = {name: commands[name] for name in ("cp", "to safetensors", "to a renamed checkpoint")}
    show(f"{gib:g} GiB of float32, each variable in 4 columns of slices", commands, folder, runs, "cp")


def small(folder: Path, runs: int) -> None:
    """20,000 variables of 64 numbers."""
    prefix = folder / "model.ckpt"
    make(prefix, "block_%05d/bias", 20_000, 256)
    ferry = [sys.executable, "-m", "tensorferry"]
    commands = {
        "to safetensors": [*ferry, "convert", str(prefix), "{out}.safetensors"],
        "to a checkpoint": [*ferry, "convert", str(prefix), "{out}.ckpt"],
    }
    show("20,000 variables", commands, folder, runs, "to safetensors")


def make(prefix: Path, pattern: str, count: int, size: int, parts: int = 1) -> None:
    """A checkpoint of `count` variables of `size` bytes each, divided along their last axis into `parts` slices."""
    for file in prefix.parent.glob(f"{prefix.name}.*"):
        file.unlink()
    words = [str(prefix), pattern, str(count), str(size), str(parts)]
    subprocess.run([sys.executable, "-c", MAKE, *words], check=True, cwd=ROOT)


def show(title: str, commands: dict[str, list[str]], folder: Path, runs: int, base: str) -> None:
    """Runs all commands in turn, and prints a row for each."""
    took: dict[str, list[Cost]] = {label: [] for label in commands}
    for round_ in range(runs + 1):
        for label, command in commands.items():
            room = folder / "out"
            room.mkdir()
            cost = timed([word.replace("{out}", str(room / "result")) for word in command])
            shutil.rmtree(room)
            if round_:  # the first round warms the caches
                took[label].append(cost)
    print(f"{title}, {runs} rounds")
    for label, costs in took.items():
        wall, busy = (statistics.median(getattr(cost, each) for cost in costs) for each in ("wall", "busy"))
        ratio = statistics.median(own.wall / other.wall for own, other in zip(costs, took[base], strict=True))
        peak = max(cost.peak for cost in costs) >> 20
        print(f"  {label:<32} {wall:6.2f} s  {ratio:6.2f} x {base}  {busy:6.2f} s of processors  {peak:6d} MiB")


class Cost(NamedTuple):
    """What a process took: seconds by the clock and of all processors, and bytes of peak resident memory."""

    wall: float
    busy: float
    peak: int


def timed(command: list[str], more: Mapping[str, str] = MappingProxyType({})) -> Cost:
    """What a process takes, with `more` in its environment."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | dict(more)
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: exit status {process.returncode}")
    return Cost(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def tensorflow() -> list[str]:
    """The python that has TensorFlow 2 and safetensors."""
    answer = subprocess.run(
        [ROOT / "fixtures" / "oracle" / "venv.sh", "tf2"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        print(f"TensorFlow left out: {answer.stderr.strip()}", file=sys.stderr)
        return []
    return [answer.stdout.strip()]


if __name__ == "__main__":
    main()
