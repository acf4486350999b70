"""Losses of classifiers, and decoding of what connectionist temporal classification gives."""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, check_indices, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


@KERNELS.op("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(node: OpNode, features: Array, labels: Array) -> tuple[Array, Array]:
    """The loss [N] of logits against probabilities, both [N, C] or broadcast to it, and its gradient [N, C]."""
    shape = np.broadcast_shapes(features.shape, labels.shape)
    if len(shape) != 2:
        raise GraphError(node.name, f"expected logits [N, C], got {list(shape)}")
    x, wanted = np.broadcast_to(widened(features), shape), np.broadcast_to(widened(labels), shape)
    logs = _log_softmax(x)
    loss = -np.where(wanted == 0, 0, wanted * logs).sum(axis=1)
    return loss.astype(features.dtype), (np.exp(logs) - wanted).astype(features.dtype)


@KERNELS.op("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(node: OpNode, features: Array, labels: Array) -> tuple[Array, Array]:
    """The loss [N] of logits [N, C] against classes [N], and its gradient [N, C]."""
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        problem = f"expected logits [N, C] and classes [N], got {list(features.shape)} and {list(labels.shape)}"
        raise GraphError(node.name, problem)
    check_indices(node, labels, features.shape[1])
    logs, rows = _log_softmax(widened(features)), np.arange(len(labels))
    gradient = np.exp(logs)
    gradient[rows, labels] -= 1
    return (-logs[rows, labels]).astype(features.dtype), gradient.astype(features.dtype)


@KERNELS.op("CTCGreedyDecoder", attrs={"merge_repeated", "blank_index"})
def ctc_greedy_decoder(node: OpNode, inputs: Array, sequence_length: Array) -> tuple[Array, ...]:
    """The best class at each time of logits [T, B, C], without blanks: indices, values, shape, and -logits [B, 1]."""
    if inputs.ndim != 3 or sequence_length.shape != inputs.shape[1:2] or not inputs.shape[2]:
        problem = f"expected inputs [T, B, C] and lengths [B], got {list(inputs.shape)}, {list(sequence_length.shape)}"
        raise GraphError(node.name, problem)
    times, batch, classes = inputs.shape
    check_indices(node, sequence_length, times + 1)
    blank = node.integer("blank_index") % classes
    best = inputs.argmax(axis=2)
    total = np.zeros((batch, 1), inputs.dtype)
    rows: list[list[int]] = []
    for row, length in enumerate(sequence_length.tolist()):
        path = best[:length, row].tolist()
        total[row, 0] = -inputs[np.arange(length), row, path].sum()
        merged = [c for i, c in enumerate(path) if not (node.flag("merge_repeated") and i and c == path[i - 1])]
        rows.append([c for c in merged if c != blank])
    places = [(row, place) for row, found in enumerate(rows) for place in range(len(found))]
    return (
        np.array(places, np.int64).reshape(-1, 2),
        np.array([c for found in rows for c in found], np.int64),
        np.array([batch, max(map(len, rows), default=0)], np.int64),
        total,
    )
