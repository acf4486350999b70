"""TensorFlow 2's own freezing beside ours: run with an oracle venv's python.

    freezing_v2.py QUESTIONS.json ANSWERS.json

A question is {"model": directory, "signature": name, "frozen": our GraphDef, "inputs": {public name: value},
"outputs": {public name: value}}. Its answer is {"differing": outputs that are not equal bit for bit, "nodes": the
names in TensorFlow's result, "inputs": the signature's inputs and the variables that it captures}, or {"error": why
TensorFlow can't freeze it}.
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

ROUNDS = 3


def session(graph):
    """As the graph says and nothing else: sums in one order, nothing fused."""
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = -1
    return tf.compat.v1.Session(graph=graph, config=config)


def run(graph_def, outputs, feeds):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with session(graph) as sess:
            return sess.run(outputs, feeds)


def varied(array, seed):
    """Other values of the same kind; whole numbers may mean something, and stay."""
    if array.dtype.kind != "f":
        return array
    return np.random.RandomState(seed).normal(size=array.shape).astype(array.dtype)


def answer(question):
    with open(os.path.join(question["model"], "signatures.json")) as file:
        about = json.load(file)["signatures"][question["signature"]]
    arrays = np.load(os.path.join(question["model"], "answers.npz"))
    loaded = tf.saved_model.load(question["model"])  # has to live as long as its functions
    function = loaded.signatures[question["signature"]]
    try:
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    except ValueError as error:
        return {"error": str(error)}
    theirs = frozen.graph.as_graph_def()
    public = sorted(function.structured_outputs)
    with open(question["frozen"], "rb") as file:
        ours = tf.compat.v1.GraphDef.FromString(file.read())
    differing = set()
    for seed in range(ROUNDS):
        feeds = {name: varied(arrays[key], seed) if seed else arrays[key] for name, key in about["feeds"].items()}
        expected = run(theirs, [value.name for value in frozen.outputs], {f"{name}:0": feeds[name] for name in feeds})
        given = {value: feeds[name] for name, value in question["inputs"].items()}
        found = run(ours, [question["outputs"][name] for name in public], given)
        for name, one, other in zip(public, expected, found, strict=True):
            if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
                differing.add(name)
    nodes = [node.name for node in theirs.node]
    return {"differing": sorted(differing), "nodes": nodes, "inputs": [value.name for value in function.inputs]}


with open(sys.argv[1]) as file:
    questions = json.load(file)
with open(sys.argv[2], "w") as file:
    json.dump([answer(question) for question in questions], file)
