"""Freezing, beside TensorFlow's own: whole processes, from a checkpoint with its .meta to a .pb, in the same run.

    freeze.py [--runs N] [--where DIRECTORY] [--only nodes|layers|table]

    nodes     the training graph of a recurrent network that is unrolled over 268 steps: 54,000 nodes, little weight
    layers    25 dense layers of 20 MB each: 500 MB
    table     an embedding of 500 MB

TensorFlow 1.15 makes the models, freezes them with `convert_variables_to_constants`, and is taken from the oracle's
environments (fixtures/oracle/venv.sh). Prints seconds and peak memory of each, and the ratios.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from weights import ROOT, show

MAKE = """
import sys
import tensorflow.compat.v1 as tf
kind, prefix = sys.argv[1:]
if kind == "nodes":
    x, labels = tf.placeholder(tf.float32, [None, 268, 32], name="x"), tf.placeholder(tf.int32, [None])
    cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.LSTMCell(64, name=name) for name in ("one", "two")])
    steps, _ = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32)
    logits = tf.layers.dense(steps[-1], 10)
    tf.train.AdamOptimizer().minimize(tf.losses.sparse_softmax_cross_entropy(labels, logits))
elif kind == "layers":
    logits = tf.placeholder(tf.float32, [None, 2236], name="x")
    for _ in range(25):
        logits = tf.layers.dense(logits, 2236, tf.nn.relu)
else:
    table = tf.get_variable("table", [122000, 1024])
    logits = tf.nn.embedding_lookup(table, tf.placeholder(tf.int32, [None], name="x"))
tf.identity(logits, name="result")
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    tf.train.Saver().save(session, prefix)
    print(len(session.graph.as_graph_def().node))
"""

PEER = """
import sys
import tensorflow.compat.v1 as tf
prefix, out = sys.argv[1:]
with tf.Session() as session:
    tf.train.import_meta_graph(prefix + ".meta", clear_devices=True).restore(session, prefix)
    frozen = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), ["result"])
with open(out, "wb") as file:
    file.write(frozen.SerializeToString())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--where", help="a directory with room for the models")
    parser.add_argument("--only", choices=["nodes", "layers", "table"])
    options = parser.parse_args()
    oracle = tensorflow_1()
    for kind in [options.only] if options.only else ["nodes", "layers", "table"]:
        with tempfile.TemporaryDirectory(dir=options.where) as folder:
            measure(kind, Path(folder), options.runs, oracle)


def measure(kind: str, folder: Path, runs: int, oracle: str) -> None:
    """One model."""
    prefix = folder / "model.ckpt"
    made = subprocess.run([oracle, "-c", MAKE, kind, str(prefix)], check=True, capture_output=True, text=True)
    size = sum(path.stat().st_size for path in folder.iterdir())

    commands = {
        "tensorferry": [
            sys.executable,
            "-m",
            "tensorferry",
            "convert",
            str(prefix),
            "{out}.pb",
            "--outputs",
            "result:0",
        ],
        "TensorFlow 1.15": [oracle, "-c", PEER, str(prefix), "{out}.pb"],
    }
    show(f"{kind}: {made.stdout.strip()} nodes, {size / 1e6:.0f} MB", commands, folder, runs, "tensorferry")


def tensorflow_1() -> str:
    """The python that has TensorFlow 1.15."""
    answer = subprocess.run(
        [ROOT / "fixtures" / "oracle" / "venv.sh", "tf1"], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


if __name__ == "__main__":
    main()
