"""How much two names agree, by their words and their numbers."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

_WORDS = {
    "kernel": "weight", "weights": "weight", "w": "weight", "gamma": "weight", "scale": "weight", "g": "weight",
    "embeddings": "embedding", "beta": "bias", "biases": "bias", "b": "bias", "offset": "bias",
    "moving": "running", "variance": "var",
    "layernorm": "norm", "ln": "norm", "bn": "norm", "batchnorm": "norm", "layers": "layer", "dense": "linear",
    "fc": "linear", "conv2d": "conv", "attn": "attention", "decode": "decoder", "encode": "encoder",
    "logits": "head",
    "q": "query", "k": "key", "v": "value",
}  # fmt: skip
"""Words that mean the same in the two worlds."""

_IDLE = {"attributes", "variable"}
"""Words that TensorFlow 2 puts into every name of a checkpoint of objects."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
ENDING = "/.ATTRIBUTES/VARIABLE_VALUE"


def agreement(old: str, new: str) -> float:
    """From 0 to 1: the words that two names share, and whether their numbers are the same."""
    (words, numbers), (others, those) = words_of(old), words_of(new)
    total = sum(words.values()) + sum(others.values())
    shared = 2 * sum((words & others).values()) / total if total else 0.0
    if total and not shared:
        return 0.0
    same = 1.0 if numbers == those else 0.6 if set(numbers) & set(those) or not (numbers and those) else 0.0
    last = 0.1 * (_WORDS.get(last_word(old), last_word(old)) == _WORDS.get(last_word(new), last_word(new)))
    return min(1.0, 0.6 * shared + 0.3 * same + last)


@lru_cache(1 << 16)
def words_of(name: str) -> tuple[Counter[str], tuple[int, ...]]:
    """The words of a name, translated to those of the other world, and its numbers."""
    found = [word.lower() for word in _WORD.findall(name.removesuffix(ENDING))]
    words = Counter(_WORDS.get(word, word) for word in found if not word.isdecimal() and word not in _IDLE)
    return words, tuple(int(word) for word in found if word.isdecimal() and len(word) < 10)


@lru_cache(1 << 16)
def last_word(name: str) -> str:
    """What stands behind the last separator."""
    return re.split(r"[/.:]", name.removesuffix(ENDING))[-1].lower()


def parent(name: str) -> str:
    """What stands in front of the last separator: the module that a weight belongs to."""
    name = name.removesuffix(ENDING)
    return name[: max(name.rfind("/"), name.rfind("."), 0)]
