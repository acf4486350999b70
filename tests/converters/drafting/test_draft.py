"""Tables proposed for a source and a target."""

import numpy as np
import pytest

from tensorferry.converters.drafting.draft import draft_table
from tensorferry.converters.drafting.link import Wanted
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.spell import spelled_rule
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.mapping.bert import bert
from tests.converters.mapping.tables import made, planned, tensors


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
    assert len(draft.rules) < 15
    assert set(draft.notes) == {"values agree" if values else "by name and shape"}
    assert all(sure == 1.0 for sure in draft.confidence) is values


def test_values_go_before_names():
    """The names lie."""
    source = tensors(a__kernel=(3, 3), b__kernel=(3, 3))
    source = {name: ArrayTensor(np.sqrt(tensor.numpy())) for name, tensor in source.items()}
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
    assert {link.sources[0]: link.targets[0] for link in draft.links} == {
        "a/beta": "a.bias", "b/beta": "b.bias", "a/mean": "a.mean"
    }  # fmt: skip
    assert set(draft.notes) == {"by name and shape; the values are equal, and say little"}


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


RANDOM = np.random.default_rng(1)


def noise(*shape, dtype=np.float32):
    return RANDOM.standard_normal(shape).astype(dtype)


def drafted(source, target, values=True):
    """The rules, run over the source: they give the target bit for bit."""
    tensors_ = {name: ArrayTensor(array) for name, array in source.items()}
    draft = draft_table(tensors_, wanted(target, values))
    assert (draft.sources_left, draft.targets_left) == ([], [])
    plan = planned(tensors_, *draft.rules)
    assert plan.all_problems(tensors_, allow_unmatched=False, allow_unused=False) == []
    found = made(plan)
    assert found.keys() == target.keys()
    for name, array in target.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    return draft


class TestByValues:
    """What was done to the source is found again."""

    def test_one_to_three(self):
        source = {f"layer_{n}/qkv/kernel": noise(6, 12) for n in range(3)}
        target = {
            f"layers.{n}.{part}.weight": array[:, 4 * k : 4 * k + 4].T.copy()
            for n, array in enumerate(source.values()) for k, part in enumerate("qkv")
        }  # fmt: skip
        draft = drafted(source, target)
        assert draft.rules == [
            {"from": "layer_{n:int}/qkv/kernel", "to": [f"layers.{{n}}.{part}.weight" for part in "qkv"],
             "do": [{"chunk": {"axis": 1, "parts": 3}}, {"transpose": [1, 0]}]}
        ]  # fmt: skip
        assert draft.overall == 1.0

    def test_pieces_of_different_sizes(self):
        source = {"qkv": noise(6, 12)}
        target = {
            "k": source["qkv"][:, 8:10].copy(),
            "v": source["qkv"][:, 10:].copy(),
            "q": source["qkv"][:, :8].copy(),
        }
        do = {"split": {"axis": 1, "sizes": [8, 2, 2]}}
        assert drafted(source, target).rules == [{"from": "qkv", "to": ["q", "k", "v"], "do": do}]

    def test_three_to_one(self):
        source = {f"l{n}/{part}": noise(4, 5) for n in range(2) for part in "qkv"}
        target = {f"l.{n}.qkv": np.concatenate([source[f"l{n}/{part}"].T for part in "qkv"]) for n in range(2)}
        do = [{"transpose": [1, 0]}, {"concat": {"axis": 0, "parts": 3}}]
        assert drafted(source, target).rules == [
            {"from": [f"l{{n:int}}/{part}" for part in "qkv"], "to": "l.{n}.qkv", "do": do}
        ]

    def test_layers_in_one(self):
        source = {"layers/kernel": noise(12, 3, 5), "layers/bias": noise(12, 5)}
        target = {f"layer.{n}.weight": array.T.copy() for n, array in enumerate(source["layers/kernel"])}
        target |= {f"layer.{n}.bias": array for n, array in enumerate(source["layers/bias"])}
        assert drafted(source, target).rules == [
            {"from": "layers/kernel", "to": "layer.{l:int}.weight", "do": [{"unstack": 0}, {"transpose": [1, 0]}]},
            {"from": "layers/bias", "to": "layer.{l:int}.bias", "do": {"unstack": 0}},
        ]

    def test_layers_to_one(self):
        source = {f"layer_{n + 1}/{part}": noise(3, 5) for n in range(11) for part in ("wi", "wo")}
        target = {part: np.stack([source[f"layer_{n + 1}/{part}"] for n in range(11)], 1) for part in ("wi", "wo")}
        assert drafted(source, target).rules == [{"from": "layer_{l+1:int}/{p:wi|wo}", "to": "{p}", "do": {"stack": 1}}]

    def test_ties(self):
        source = {"embeddings": noise(7, 3)}
        target = {"embed.weight": source["embeddings"], "head.weight": source["embeddings"]}
        assert drafted(source, target).rules == [
            {"from": "embeddings", "to": ["embed.weight", "head.weight"], "do": "tie"}
        ]

    def test_vocabularies(self):
        source = {"words": noise(10, 4), "types": noise(8, 4)}
        target = {"words": np.pad(source["words"], ((0, 6), (0, 0))), "types": source["types"][1:6].copy()}
        draft = drafted(source, target)
        assert draft.rules == [
            {"from": "words", "to": "words", "do": {"pad": {"axis": 0, "after": 6}}},
            {"from": "types", "to": "types", "do": {"slice": {"axis": 0, "start": 1, "stop": 6}}},
        ]
        assert draft.notes[0] == "values agree with a part of words, the rest is one value"

    def test_element_types(self):
        source = {"a/kernel": noise(3, 4), "b/kernel": noise(3, 4), "step": np.arange(40, dtype=np.int32)}
        target = {f"{n}.weight": source[f"{n}/kernel"].T.astype(np.float16) for n in "ab"}
        target["step"] = source["step"].astype(np.int64)
        assert drafted(source, target).rules == [
            {"from": "{part:a|b}/kernel", "to": "{part}.weight", "do": [{"cast": "float16"}, {"transpose": [1, 0]}]},
            {"from": "step", "to": "step", "do": {"cast": "int64"}},
        ]

    def test_heads(self):
        source = {"query/kernel": noise(8, 2, 4), "output/kernel": noise(2, 4, 8)}
        target = {name.replace("/kernel", ".weight"): array.reshape(8, 8).T.copy() for name, array in source.items()}
        assert drafted(source, target).rules == [
            {
                "from": "{part:query|output}/kernel",
                "to": "{part}.weight",
                "do": [{"reshape": [8, 8]}, {"transpose": [1, 0]}],
            }
        ]

    def test_numbers_with_zeros_in_front(self):
        source = {f"block_{n:03}/w": noise(2, 3) for n in range(12)}
        target = {f"b.{2 * n + 1}.w": array for n, array in enumerate(source.values())}
        assert drafted(source, target).rules == [{"from": "block_{n:03}/w", "to": "b.{2*n+1}.w"}]

    def test_counters_of_batches(self):
        source = {f"bn{n}/{p}": noise(3) for n in range(2) for p in ("gamma", "moving_variance")}
        names = {"gamma": "weight", "moving_variance": "running_var"}
        target = {f"{name.split('/')[0]}.{names[name.split('/')[1]]}": array for name, array in source.items()}
        target |= {f"bn{n}.num_batches_tracked": np.array(0) for n in range(2)}
        do = {"with": {"dtype": "int64", "value": 0}}
        assert drafted(source, target).rules == [
            {"from": "bn{n:int}/gamma", "to": "bn{n}.weight"},
            {"from": "bn{n:int}/moving_variance", "to": ["bn{n}.running_var", "bn{n}.num_batches_tracked"], "do": do},
        ]

    def test_what_is_not_in_the_target_is_dropped(self):
        source = {"a": noise(9, 9), "pooler/kernel": noise(8, 8), "pooler/bias": noise(8)}
        draft = drafted(source, {"a": source["a"]})
        assert draft.rules[1:] == [{"from": "pooler/**", "drop": "nothing in the target is like it"}]
        assert draft.confidence[1:] == [0.9]

    def test_nothing_is_dropped_while_something_is_missing(self):
        source = {"a": ArrayTensor(noise(9, 9)), "b": ArrayTensor(noise(8, 8))}
        draft = draft_table(source, wanted({"a": source["a"].numpy(), "c": noise(5)}, True))
        assert [rule["from"] for rule in draft.rules] == ["a"]
        assert (draft.sources_left, draft.targets_left, draft.overall) == (["b"], ["c"], 0.5)

    @pytest.mark.parametrize("array", [np.zeros((4, 4)), np.ones((4, 4)), np.eye(4), np.arange(4.0)])
    def test_values_that_say_nothing(self, array):
        """Two tensors with nothing in common but zeros are no certain pair."""
        draft = draft_table({"abc": ArrayTensor(array)}, wanted({"xyz": array}, True))
        assert all(sure < 0.9 for sure in draft.confidence)

    def test_each_value_is_read_at_most_a_few_times(self):
        reads = []

        class Counted(ArrayTensor):
            def numpy(self):
                reads.append(self.shape)
                return super().numpy()

            def chunks(self):
                reads.append(self.shape)
                return super().chunks()

        a, b = noise(50, 50), noise(7, 3)
        draft_table({"a": Counted(a), "b": Counted(b)}, {"x": Wanted(b.shape, Counted(b)), "y": Wanted((9, 9))})
        assert reads.count((50, 50)) == 0
        assert len(reads) <= 4


class TestByNames:
    """With shapes alone."""

    def test_layers_in_one(self):
        source = {"decoder/mlp/wi": noise(6, 3, 5)}
        target = {f"decoder.{n}.mlp.wi.weight": array.T.copy() for n, array in enumerate(source["decoder/mlp/wi"])}
        draft = drafted(source, target, values=False)
        assert draft.rules[0]["do"] == [{"unstack": 0}, {"transpose": [1, 0]}]
        assert draft.confidence[0] <= 0.8

    def test_one_to_three(self):
        source = {"layer_0/attention/qkv/kernel": noise(6, 24)}
        target = {f"layer.0.attention.{part}.weight": noise(8, 6) for part in ("query", "key", "value")}
        draft = draft_table({n: ArrayTensor(a) for n, a in source.items()}, wanted(target, False))
        assert draft.rules[0]["to"] == list(target)
        assert draft.rules[0]["do"] == [{"chunk": {"axis": 1, "parts": 3}}, {"transpose": [1, 0]}]
        assert draft.confidence[0] <= 0.5

    def test_vocabularies(self):
        source = {"embeddings/word_embeddings": ArrayTensor(noise(10, 4))}
        draft = draft_table(source, {"embeddings.word_embeddings.weight": Wanted((16, 4))})
        assert draft.rules[0]["do"] == {"pad": {"axis": 0, "after": 6}}
        assert draft.notes == ["by name; 10 filled up with 0 to 16"]

    def test_a_head_that_is_tied(self):
        source = {"word_embeddings": ArrayTensor(noise(10, 4)), "dense/bias": ArrayTensor(noise(4))}
        target = {
            "word_embeddings.weight": Wanted((10, 4)),
            "dense.bias": Wanted((4,)),
            "lm_head.weight": Wanted((10, 4)),
        }
        draft = draft_table(source, target)
        assert draft.rules[0]["do"] == "tie"
        assert draft.confidence[0] == 0.4

    def test_types_in_a_header(self):
        draft = draft_table(tensors(a__kernel=(2, 3)), {"a.weight": Wanted((3, 2), None, "float16")})
        assert draft.rules == [
            {"from": "a/kernel", "to": "a.weight", "do": [{"cast": "float16"}, {"transpose": [1, 0]}]}
        ]

    def test_two_that_agree_as_well(self):
        source = tensors(a__kernel=(2, 3))
        lone = draft_table(source, {"a.weight": Wanted((3, 2))}).confidence
        pair = draft_table(source, {"x.a.weight": Wanted((3, 2)), "y.a.weight": Wanted((3, 2))}).confidence
        assert pair[0] < 0.7 * lone[0]
