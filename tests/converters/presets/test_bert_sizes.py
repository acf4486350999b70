"""All BERTs that Google published are recognised, and get the configuration that was published with them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tensorferry.converters.mapping.config import config_of
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.recognition import Recognised, recognise
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.tensor import SplatTensor, Tensor
from tests.converters.mapping.bert import bert_shapes

MINIATURES = [(layers, hidden, 30522) for layers in (2, 4, 6, 8, 10, 12) for hidden in (128, 256, 512, 768)]
LARGER = [
    (12, 768, 28996),
    (24, 1024, 30522),
    (24, 1024, 28996),
    (12, 768, 119547),
    (12, 768, 105879),
    (12, 768, 21128),
]


def source(layers: int, hidden: int, words: int) -> dict[str, Tensor]:
    shapes = bert_shapes(layers=layers, hidden=hidden, inner=4 * hidden, words=words, positions=512)
    return {name: SplatTensor(np.array(0, np.float32), shape, DTYPES["float32"]) for name, shape in shapes.items()}


@pytest.mark.parametrize(("layers", "hidden", "words"), [*MINIATURES, *LARGER])
def test_each_that_was_published(layers: int, hidden: int, words: int) -> None:
    """With heads of 64, whatever the size."""
    tensors = source(layers, hidden, words)
    assert recognise(tensors) == [Recognised("bert", f"BERT, {layers} layers, {hidden} wide")]
    table = read_preset("bert")
    config = config_of(table, tensors).entries
    published = {
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden, "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": words,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
    }  # fmt: skip
    assert {key: config[key] for key in published} == published
    plan = make_plan(table.rules, tensors)
    assert plan.all_problems(tensors, allow_unmatched=False, allow_unused=False) == []
    assert sum(len(move.targets) for move in plan.moves) == len(tensors)


def test_a_large_source_is_told_soon() -> None:
    """100,000 names like those of presets, and of no preset."""
    names = [f"bert/encoder/layer_{n}/attention/self/query/kernel_{n}" for n in range(50_000)]
    names += [f"model/layer_with_weights-{n}/embeddings/.ATTRIBUTES/VARIABLE_VALUE" for n in range(50_000)]
    tensors = {name: SplatTensor(np.array(0, np.float32), (1,), DTYPES["float32"]) for name in names}
    start = time.process_time()
    assert recognise(tensors) == []
    assert time.process_time() - start < 5
