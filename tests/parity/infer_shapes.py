"""TensorFlow's own shapes of all values of graphs: run with an oracle venv's python.

    infer_shapes.py GRAPHS.json SHAPES.json

GRAPHS.json lists files with a GraphDef; SHAPES.json maps each to {value: sizes, -1 where unknown; null for an unknown
rank}, or to why TensorFlow can't read it.
"""

import json
import sys

import tensorflow.compat.v1 as tf


def shapes_of(path):
    definition = tf.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(definition, name="")
        except (ValueError, RuntimeError) as error:
            return str(error)
    return {
        value.name: None if value.shape.ndims is None else [-1 if dim is None else dim for dim in value.shape.as_list()]
        for op in graph.get_operations()
        for value in op.outputs
    }


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        paths = json.load(file)
    with open(sys.argv[2], "w") as file:
        json.dump({path: shapes_of(path) for path in paths}, file)
