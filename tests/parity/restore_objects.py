"""Save a checkpoint of objects, or restore one, with real TensorFlow 2. Run it with an oracle venv's python.

restore_objects.py save PREFIX              a module with two variables, a table and Keras' Adam after a step
restore_objects.py model PREFIX             the values of a new module's variables, restored, as JSON
restore_objects.py all PREFIX               ... and of the optimizer's
"""

import json
import sys

import numpy as np
import tensorflow as tf


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(tf.zeros([2, 3]))
        self.bias = tf.Variable(tf.zeros([3]))
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)


def main(what, prefix):
    module = Module()
    optimizer = tf.keras.optimizers.Adam()
    optimizer.build([module.kernel, module.bias])
    if what == "save":
        module.kernel.assign(np.arange(6.0).reshape(2, 3))
        module.table.insert(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
        optimizer.apply_gradients([(tf.ones([2, 3]), module.kernel), (tf.ones([3]), module.bias)])
        tf.train.Checkpoint(module=module, optimizer=optimizer).write(prefix)
    elif what == "model":
        tf.train.Checkpoint(module=module).read(prefix).assert_existing_objects_matched().expect_partial()
    else:
        tf.train.Checkpoint(module=module, optimizer=optimizer).read(prefix).expect_partial()
    found = {"kernel": module.kernel.numpy().tolist(), "bias": module.bias.numpy().tolist()}
    found["table"] = module.table.lookup(tf.constant(["a", "b", "c"])).numpy().tolist()
    if what != "model":
        found["optimizer"] = [variable.numpy().tolist() for variable in optimizer.variables]
    print(json.dumps(found))


main(*sys.argv[1:])
