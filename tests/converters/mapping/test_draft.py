"""Tables proposed for a source and a target."""

import numpy as np
import pytest

from tensorferry.converters.mapping.draft import Wanted, draft_table
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.spell import spelled_rule
from tensorferry.formats.tensor import ArrayTensor

from .bert import bert
from .tables import made, planned, tensors


def wanted(arrays, values):
    return {name: Wanted(a.shape, ArrayTensor(a) if values else None) for name, a in arrays.items()}


@pytest.fixture(scope="module")
def source():
    return {name: ArrayTensor(array) for name, array in bert(layers=3).items()}


@pytest.fixture(scope="module")
def target(source):
    """What the preset makes, of which the draft must know nothing."""
    return made(planned(source, *map(spelled_rule, read_preset("bert").rules)))


@pytest.mark.parametrize("values", [True, False])
def test_bert(source, target, values):
    draft = draft_table(source, wanted(target, values))
    assert (draft.sources_left, draft.targets_left) == ([], [])
    found = made(planned(source, *draft.rules))
    assert found.keys() == target.keys()
    assert all(np.array_equal(found[name], target[name]) for name in target)
    assert len(draft.rules) < len(draft.pairs)
    assert set(draft.notes) == {"values agree" if values else "by name and shape"}
    assert all(sure == 1.0 for sure in draft.confidence) is values


def test_values_go_before_names():
    """The names lie."""
    source = tensors(a__kernel=(3, 3), b__kernel=(3, 3))
    arrays = {"a.weight": source["b/kernel"].numpy().T.copy(), "b.weight": source["a/kernel"].numpy()}
    draft = draft_table(source, wanted(arrays, True))
    assert draft.rules == [
        {"from": "a/kernel", "to": "b.weight"},
        {"from": "b/kernel", "to": "a.weight", "do": {"transpose": [1, 0]}},
    ]
    assert draft.confidence == [1.0, 1.0]


def test_equal_values_go_by_names():
    source = {name: ArrayTensor(np.zeros(4, np.float32)) for name in ("a/beta", "b/beta", "a/mean")}
    arrays = {name: np.zeros(4, np.float32) for name in ("b.bias", "a.mean", "a.bias")}
    draft = draft_table(source, wanted(arrays, True))
    assert {pair.source: pair.target for pair in draft.pairs} == {
        "a/beta": "a.bias", "b/beta": "b.bias", "a/mean": "a.mean"
    }  # fmt: skip
    assert set(draft.notes) == {"by name and shape"}


def test_numbers_that_are_shifted():
    source = tensors(**{f"block_{n}/w": (2, n + 1) for n in range(12)})
    arrays = {f"block.{n + 1}.w": t.numpy() for n, t in enumerate(source.values())}
    draft = draft_table(source, wanted(arrays, True))
    assert draft.rules == [{"from": "block_{n:int}/w", "to": "block.{n+1}.w"}]


def test_convolutions():
    source = tensors(conv__kernel=(3, 5, 2, 4))
    draft = draft_table(source, {"conv.weight": Wanted((4, 2, 3, 5))})
    assert draft.rules == [{"from": "conv/kernel", "to": "conv.weight", "do": {"transpose": [3, 2, 0, 1]}}]


def test_what_has_no_counterpart():
    source = tensors(a__kernel=(2, 3), b__kernel=(5,))
    draft = draft_table(source, {"a.weight": Wanted((3, 2)), "c": Wanted((7,)), "zzz": Wanted(None)})
    assert (draft.sources_left, draft.targets_left) == (["b/kernel"], ["c", "zzz"])


def test_names_without_shapes():
    draft = draft_table(tensors(dense__kernel=(2, 3)), {"dense.weight": Wanted(None)})
    assert draft.rules == [{"from": "dense/kernel", "to": "dense.weight"}]
    assert draft.confidence[0] < 0.75
