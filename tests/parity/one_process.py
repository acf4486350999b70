"""TensorFlow and tensorferry in one process: run with an oracle venv's python and the project on its path.

    one_process.py first|last FIXTURES        is TensorFlow imported first, or last?

Both read the same graph; each gets what the other wrote. What needs packages that the oracle lacks is left alone.
"""

# ruff: noqa: E402
import os
import sys

fixtures = sys.argv[2]

if sys.argv[1] == "first":
    import tensorflow as tf

import tensorferry
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.passes.freeze import freeze
from tensorferry.converters.to_graph_def import to_graph_def
from tensorferry.formats import protos
from tensorferry.formats.graph_file import read_graph_def, read_meta_graph
from tensorferry.formats.tensor import ArrayTensor
from tensorferry.formats.tensor_proto import ProtoTensor, to_proto

path = os.path.join(fixtures, "add", "model.ckpt.meta")
before = read_meta_graph(path)  # our pool is filled by now

if sys.argv[1] == "last":
    import tensorflow as tf

import numpy as np

with open(path, "rb") as file:
    data = file.read()
theirs = tf.compat.v1.MetaGraphDef.FromString(data)
assert type(theirs) is not type(before)
assert theirs.graph_def.SerializeToString(deterministic=True) == before.graph_def.SerializeToString(deterministic=True)
assert protos.parse("MetaGraphDef", theirs.SerializeToString(), path) == before

values = {name: ArrayTensor(np.array([number], np.float32)) for name, number in (("v1", 1.0), ("v2", 2.0))}
frozen = to_graph_def(freeze(from_graph_def(before.graph_def), ["add"], values))
assert frozen == read_graph_def(os.path.join(fixtures, "add", "frozen_raw.pb"))
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    graph_def = tf.compat.v1.GraphDef.FromString(frozen.SerializeToString())
    (added,) = tf.import_graph_def(graph_def, return_elements=["add:0"])
    assert session.run(added).tolist() == [3.0]

array = np.arange(6, dtype=np.int16).reshape(2, 3)
made = tf.make_tensor_proto(array)
assert to_proto(ArrayTensor(array)).SerializeToString() == made.SerializeToString()
read = ProtoTensor(protos.parse("TensorProto", made.SerializeToString(), ""))
assert read.numpy().tolist() == array.tolist()

print(tensorferry.__version__, tf.__version__)
