"""The layout of Google's BERT checkpoints: names and shapes as they were published, at any size."""

import numpy as np


def bert(**sizes):
    """Name -> array of random numbers."""
    random = np.random.default_rng(0)
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in bert_shapes(**sizes).items()}


def bert_shapes(layers=2, hidden=64, inner=128, words=100, positions=32, types=2):
    """Name -> shape."""
    shapes = {
        "bert/embeddings/word_embeddings": (words, hidden),
        "bert/embeddings/position_embeddings": (positions, hidden),
        "bert/embeddings/token_type_embeddings": (types, hidden),
        **norm("bert/embeddings", hidden),
    }
    for n in range(layers):
        layer = f"bert/encoder/layer_{n}"
        for part in ("query", "key", "value"):
            shapes |= dense(f"{layer}/attention/self/{part}", hidden, hidden)
        shapes |= dense(f"{layer}/attention/output/dense", hidden, hidden) | norm(f"{layer}/attention/output", hidden)
        shapes |= dense(f"{layer}/intermediate/dense", hidden, inner)
        shapes |= dense(f"{layer}/output/dense", inner, hidden) | norm(f"{layer}/output", hidden)
    shapes |= dense("bert/pooler/dense", hidden, hidden)
    shapes |= dense("cls/predictions/transform/dense", hidden, hidden) | norm("cls/predictions/transform", hidden)
    shapes |= {"cls/predictions/output_bias": (words,), "cls/seq_relationship/output_weights": (2, hidden)}
    shapes["cls/seq_relationship/output_bias"] = (2,)
    return shapes


def dense(name, inputs, outputs):
    """TensorFlow keeps kernels as [inputs, outputs]."""
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def norm(name, size):
    return {f"{name}/LayerNorm/gamma": (size,), f"{name}/LayerNorm/beta": (size,)}
