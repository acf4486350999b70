"""Graphs to ONNX, beside tf2onnx: time, memory, and what comes out of it.

    to_onnx.py [--runs N] [--where DIR] [--opset N] [--models bert,resnet50] [--without-fixtures]

First two networks of full size, BERT-base (440 MB) and ResNet50 (100 MB), which TensorFlow 1.15 writes as checkpoints
with random weights into DIR (default: a memory filesystem). Whole processes in turn, one of each kind a round. Then the
networks in fixtures/models, each converted by both. Of the models that come out it prints the nodes, and how long
onnxruntime takes for a run: CPU seconds of a single thread, which other work on the machine disturbs least.

Every figure is a ratio of ours to tf2onnx's, a median of the rounds; below 1 is better.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from weights import ROOT, timed

FIXTURES = ROOT / "fixtures"
ORACLE = {
    "PYTHONPATH": str(FIXTURES / "oracle"),
    "PYTHONWARNINGS": "ignore",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}

# In a process of its own, which is told the models in pairs and what to feed them.
LATENCY = """
import json, statistics, sys, time
import numpy as np
import onnxruntime

def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

ours, theirs, feeds, rounds = sys.argv[1], sys.argv[2], dict(np.load(sys.argv[3])), int(sys.argv[4])
pair = [session(ours), session(theirs)]
expected = pair[0].run(None, feeds)
try:
    found = pair[1].run(None, feeds)
except Exception:
    print(json.dumps({"ratio": None}))
    sys.exit()
repeats, times = 1, ([], [])
for turn in range(rounds + 1):
    for index in (0, 1) if turn % 2 else (1, 0):
        start = time.process_time()
        for _ in range(repeats):
            pair[index].run(None, feeds)
        times[index].append((time.process_time() - start) / repeats)
    if not turn:  # the first turn says how often a turn has to run it to be worth measuring
        repeats = max(1, int(0.05 / max(times[0][0], 1e-4)))
ratio = statistics.median(a / b for a, b in zip(times[0][1:], times[1][1:]))
difference = max(float(np.abs(a.astype("d") - b).max()) for a, b in zip(expected, found))
print(json.dumps({"ours": statistics.median(times[0][1:]), "ratio": ratio, "difference": difference}))
"""

LENGTH = 128
"""Tokens that BERT is timed with."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--where", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--models", default="bert,resnet50")
    parser.add_argument("--without-fixtures", action="store_true")
    options = parser.parse_args()
    pythons = {name: oracle(name) for name in ("tf1", "tf2onnx")}
    for name in filter(None, options.models.split(",")):
        with tempfile.TemporaryDirectory(dir=options.where) as folder:
            large(name, Path(folder), options.runs, options.opset, pythons)
    if not options.without_fixtures:
        with tempfile.TemporaryDirectory(dir=options.where) as folder:
            fixtures(Path(folder), options.runs, pythons["tf2onnx"])


def large(name: str, folder: Path, runs: int, opset: int, pythons: dict[str, str]) -> None:
    """One network of full size."""
    prefix = folder / "model.ckpt"
    script = FIXTURES / "make" / "networks" / "save.py"
    about = json.loads(output([pythons["tf1"], str(script), name, str(prefix)], ORACLE))
    inputs, outputs = ",".join(about["inputs"]), ",".join(about["outputs"])
    ours, theirs = folder / "ours.onnx", folder / "theirs.onnx"
    ferry = [sys.executable, "-m", "tensorferry", "convert", str(prefix), str(ours), "--outputs", outputs, "--force"]
    peer = [pythons["tf2onnx"], "-m", "tf2onnx.convert", "--checkpoint", f"{prefix}.meta", "--output", str(theirs)]
    peer += ["--inputs", inputs, "--outputs", outputs]
    commands = {"ours": [*ferry, "--opset", str(opset)], "theirs": [*peer, "--opset", str(opset)]}
    seconds: dict[str, list[float]] = {label: [] for label in commands}
    peaks = dict.fromkeys(commands, 0)
    for round_ in range(runs + 1):
        for label, command in commands.items():
            if not round_ and label == "theirs":
                continue  # the first round only warms the caches
            took, _, peak = timed(command, ORACLE if label == "theirs" else {})
            if round_:
                seconds[label].append(took)
                peaks[label] = max(peaks[label], peak)
    faster = statistics.median(b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True))
    counts = [nodes(ours), nodes(theirs)]
    run = latency(ours, theirs, 2 * runs, feeds(name, folder))
    print(f"{name}, opset {opset}, {runs} rounds")
    print(f"  time     {statistics.median(seconds['ours']):7.2f} s    tf2onnx takes {faster:.0f} times as long")
    print(f"  memory   {peaks['ours'] >> 20:7d} MiB  tf2onnx takes {peaks['theirs'] / peaks['ours']:.0f} times as much")
    print(f"  nodes    {counts[0]:7d}      tf2onnx has {counts[1]}")
    print(f"  a run    {run['ours'] * 1e3:7.1f} ms   {run['ratio']:.2f} of tf2onnx's", end="")
    print(f"; the results differ by {run['difference']:.1g} at most")


def fixtures(folder: Path, runs: int, python: str) -> None:
    """The networks of fixtures/models."""
    import lzma

    import numpy as np

    import tensorferry

    home = FIXTURES / "models"
    about = json.loads((home / "models.json").read_text("utf-8"))["models"]
    subprocess.run(
        [python, str(FIXTURES / "make" / "models_peer.py"), *(item["name"] for item in about), str(folder)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **ORACLE},
    )  # fmt: skip
    seconds, counts, ratios = [], [], []
    for item in about:
        graph, ours, theirs = folder / "graph.pb", folder / "ours.onnx", folder / f"{item['name']}.onnx"
        graph.write_bytes(lzma.decompress((home / f"{item['name']}.pb.xz").read_bytes()))
        start = time.perf_counter()
        tensorferry.convert(graph, ours, outputs=item["outputs"], force=True)
        seconds.append(time.perf_counter() - start)
        if not theirs.exists():
            print(f"  {item['name']:<20} tf2onnx does not convert it; ours has {nodes(ours)} nodes")
            continue
        counts.append(nodes(ours) / nodes(theirs))
        with np.load(home / f"{item['name']}.npz") as arrays:
            np.savez(folder / "feeds.npz", **{name: arrays[key] for name, key in item["runs"][-1]["feeds"].items()})
        ratio = latency(ours, theirs, runs, folder / "feeds.npz")["ratio"]
        if ratio is not None:
            ratios.append(ratio)
        text = "tf2onnx's does not run" if ratio is None else f"a run {ratio:.2f}"
        print(f"  {item['name']:<20} nodes {nodes(ours):4d} of {nodes(theirs):4d}  {text}", flush=True)
    print(f"{len(about)} networks: {statistics.median(seconds) * 1e3:.0f} ms each; of tf2onnx's nodes", end=" ")
    print(f"{statistics.median(counts):.2f}, of its models' time {statistics.median(ratios):.2f}")


def feeds(name: str, folder: Path) -> Path:
    """A file of inputs for a network of full size."""
    import numpy as np

    random = np.random.default_rng(0)
    tokens = {"input_ids:0": 1000, "input_mask:0": 2, "segment_ids:0": 2}
    made = {value: random.integers(0, limit, (1, LENGTH)).astype(np.int32) for value, limit in tokens.items()}
    picture = {"picture:0": random.standard_normal((1, 224, 224, 3)).astype(np.float32)}
    np.savez(folder / "feeds.npz", **(made if name == "bert" else picture))
    return folder / "feeds.npz"


def latency(ours: Path, theirs: Path, rounds: int, given: Path) -> dict[str, Any]:
    """How long a run takes, and by how much the two models' results differ; `ratio` is None where theirs fails."""
    words = [sys.executable, "-c", LATENCY, str(ours), str(theirs), str(given), str(rounds)]
    found: dict[str, Any] = json.loads(output(words).splitlines()[-1])
    return found


def nodes(path: Path) -> int:
    """The nodes of a model. What this process had in memory would count as its children's peak: another one looks."""
    script = "import onnx, sys; print(len(onnx.load(sys.argv[1], load_external_data=False).graph.node))"
    return int(output([sys.executable, "-c", script, str(path)]))


def output(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a process prints."""
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    if answer.returncode:
        raise SystemExit(f"{command[:3]}: exit status {answer.returncode}\n{answer.stderr[-2000:]}")
    return answer.stdout


def oracle(name: str) -> str:
    """The python of one of the oracle's environments."""
    answer = subprocess.run([FIXTURES / "oracle" / "venv.sh", name], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(answer.stderr.strip())
    return answer.stdout.strip()


if __name__ == "__main__":
    main()
