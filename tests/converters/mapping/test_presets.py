"""Tables that come with the package, and BERT's in particular."""

import numpy as np
import pytest

from tensorferry.converters.mapping.inverse import invert_rules
from tensorferry.converters.mapping.presets import preset_names, read_map, read_preset
from tensorferry.converters.mapping.spell import spelled_rule
from tensorferry.converters.mapping.table import Table
from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor import ArrayTensor

from .bert import bert
from .tables import made, planned, write

BERT = {name: ArrayTensor(array) for name, array in bert().items()}

TORCH = """
bert.embeddings.word_embeddings.weight 100 64
bert.embeddings.position_embeddings.weight 32 64
bert.embeddings.token_type_embeddings.weight 2 64
bert.embeddings.LayerNorm.weight 64
bert.embeddings.LayerNorm.bias 64
bert.encoder.layer.N.attention.self.query.weight 64 64
bert.encoder.layer.N.attention.self.query.bias 64
bert.encoder.layer.N.attention.self.key.weight 64 64
bert.encoder.layer.N.attention.self.key.bias 64
bert.encoder.layer.N.attention.self.value.weight 64 64
bert.encoder.layer.N.attention.self.value.bias 64
bert.encoder.layer.N.attention.output.dense.weight 64 64
bert.encoder.layer.N.attention.output.dense.bias 64
bert.encoder.layer.N.attention.output.LayerNorm.weight 64
bert.encoder.layer.N.attention.output.LayerNorm.bias 64
bert.encoder.layer.N.intermediate.dense.weight 128 64
bert.encoder.layer.N.intermediate.dense.bias 128
bert.encoder.layer.N.output.dense.weight 64 128
bert.encoder.layer.N.output.dense.bias 64
bert.encoder.layer.N.output.LayerNorm.weight 64
bert.encoder.layer.N.output.LayerNorm.bias 64
bert.pooler.dense.weight 64 64
bert.pooler.dense.bias 64
cls.predictions.bias 100
cls.predictions.transform.dense.weight 64 64
cls.predictions.transform.dense.bias 64
cls.predictions.transform.LayerNorm.weight 64
cls.predictions.transform.LayerNorm.bias 64
cls.seq_relationship.weight 2 64
cls.seq_relationship.bias 2
"""
"""The state of transformers' BertForPreTraining, but for the decoder, which is tied to the words and their bias."""


def state():
    found = {}
    for line in TORCH.split("\n")[1:-1]:
        name, *shape = line.split()
        for n in range(2) if "N" in name.split(".") else [0]:
            found[name.replace(".N.", f".{n}.")] = tuple(map(int, shape))
    return found


def test_bert_gives_what_transformers_loads():
    plan = planned(BERT, *map(spelled_rule, read_preset("bert").rules))
    assert plan.all_problems(BERT, allow_unmatched=False, allow_unused=False) == []
    found = made(plan)
    assert {name: array.shape for name, array in found.items()} == state()
    dense = BERT["bert/encoder/layer_1/output/dense/kernel"].numpy()
    assert np.array_equal(found["bert.encoder.layer.1.output.dense.weight"], dense.T)
    pair = BERT["cls/seq_relationship/output_weights"].numpy()
    assert np.array_equal(found["cls.seq_relationship.weight"], pair)
    assert np.array_equal(found["cls.predictions.transform.LayerNorm.weight"],
                          BERT["cls/predictions/transform/LayerNorm/gamma"].numpy())  # fmt: skip


def test_bert_and_back():
    back = invert_rules(read_preset("bert").rules)
    assert back.problems == []
    there = planned(BERT, *map(spelled_rule, read_preset("bert").rules))
    results = {name: tensor for move in there.moves for name, tensor in move.targets.items()}
    found = made(planned(results, *back.rules))
    assert found.keys() == BERT.keys()
    assert all(np.array_equal(array, BERT[name].numpy()) for name, array in found.items())


@pytest.mark.parametrize("name", preset_names())
def test_each_can_be_read(name):
    table = read_preset(name)
    assert table.rules
    assert table.title
    assert table.description
    assert table.path == name


class TestReadMap:
    def test_a_preset(self):
        assert read_map("bert") is read_preset("bert")

    def test_a_file_of_that_name_goes_before(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "bert", {"a": "b"})
        assert read_map("bert") == {"a": "b"}

    def test_files(self, tmp_path):
        table = read_map(write(tmp_path / "t.json", {"rules": [{"from": "a", "to": "b"}]}))
        assert isinstance(table, Table)
        assert read_map(write(tmp_path / "t.json", {"rules": "a", "include": "b"})) == {"rules": "a", "include": "b"}
        assert read_map(write(tmp_path / "t.json", {"rename": {"a": "b"}})) == {"a": "b"}

    def test_values_of_variables(self, tmp_path):
        rules = [{"from": "${model}/${part}", "to": "${part}"}]
        path = write(tmp_path / "t.json", {"variables": {"model": "x", "part": "y"}, "rules": rules})
        assert spelled_rule(read_map(path).rules[0]) == {"from": "x/y", "to": "y"}
        assert spelled_rule(read_map(f"{path}:model=z_1,part=a=b").rules[0]) == {"from": "z_1/a=b", "to": "a=b"}
        table = read_map("transformers-bert-mlm:model=other")
        assert {source.source.partition("/")[0] for rule in table.rules for source in rule.sources} == {"other"}
        assert table.path == "transformers-bert-mlm"
        assert read_map("transformers-bert-mlm") is read_preset("transformers-bert-mlm")

    def test_a_file_whose_name_looks_like_that_goes_before(self, tmp_path):
        assert read_map(write(tmp_path / "a:b=c", {"x": "y"})) == {"x": "y"}

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ("modl=1", "expected values of the variables model, layers, "),
            ("model=1,model=2", "expected VARIABLE=VALUE,..., each once, behind the colon, got model=1,model=2"),
            ("model=1,part", "expected VARIABLE=VALUE,..., each once, behind the colon, got model=1,part"),
            ("model=1,=2", "expected VARIABLE=VALUE,..., each once, behind the colon, got model=1,=2"),
        ],
    )
    def test_values_that_are_none(self, values, problem):
        with pytest.raises(FormatError) as error:
            read_map(f"transformers-bert-mlm:{values}")
        assert problem in str(error.value)

    def test_values_for_names(self, tmp_path):
        path = write(tmp_path / "t.json", {"a": "b"})
        with pytest.raises(FormatError, match=r"expected a table of rules to give n to, got names for names$"):
            read_map(f"{path}:n=1")

    def test_neither(self):
        with pytest.raises(FormatError) as error:
            read_map("nonsense")
        problem = "nonsense: expected a file or a preset, got none of that name"
        assert str(error.value) == f"{problem} (`tensorferry map show` lists them all)"
        with pytest.raises(FormatError, match=r"^bret: .* \(near: bert, .*; `tensorferry map show` lists them all\)$"):
            read_map("bret")
        with pytest.raises(
            FormatError, match=r"^none\.toml: expected a table of names, got: No such file or directory$"
        ):
            read_map("none.toml")
