"""Save checkpoints with real TensorFlow as they are described. Run it with an oracle venv's python.

    save_bundle.py SPEC.json        [{"prefix": P, "values": V, "shards": [[[name, spec, key], ...], ...]}, ...]

V is a pair of files as in fixtures/oracle/answer.py, by key; each shard is one SaveV2 of (name, shape and slice), and
MergeV2Checkpoints joins several. Names have the surrogate escapes of bytes that aren't UTF-8.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "fixtures", "oracle"))

import answer
import tensorflow.compat.v1 as tf


def save(prefix, values, shards):
    tf.reset_default_graph()
    parts, feeds, saves = [], {}, []
    for index, rows in enumerate(shards):
        parts.append(prefix if len(shards) == 1 else f"{prefix}_temp/part-{index}")
        holders = []
        for _, _, key in rows:
            value = values[key]
            dtype = tf.string if value.dtype.kind == "O" else tf.as_dtype(value.dtype)
            holders.append(tf.placeholder(dtype, value.shape))
            feeds[holders[-1]] = value
        names = [name.encode("utf-8", "surrogateescape") for name, _, _ in rows]
        specs = [spec for _, spec, _ in rows]
        saves.append(tf.raw_ops.SaveV2(prefix=parts[-1], tensor_names=names, shape_and_slices=specs, tensors=holders))
    with tf.control_dependencies(saves):
        last = tf.no_op()
        if len(parts) > 1:
            last = tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix)
    with tf.Session() as sess:
        sess.run(last, feeds)


if __name__ == "__main__":
    tf.disable_eager_execution()
    with open(sys.argv[1]) as file:
        for case in json.load(file):
            save(case["prefix"], answer.read_tensors(case["values"]), case["shards"])
