"""What a table says of the config.json beside its result."""

import json

import pytest

from tensorferry.converters.mapping.config import Settings, config_of, read_settings
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.table import Table, read_rules
from tensorferry.formats.errors import FormatError, NameMapError
from tensorferry.formats.tensor import ArrayTensor

from .bert import bert
from .tables import tensors, write


def table(**sections):
    given = {"derived": {"n": {"dim": 0, "of": "a"}}, "config": {"size": "${n}"}} | sections
    return Table("t.toml", (), **given)


def test_bert():
    source = {name: ArrayTensor(array) for name, array in bert(layers=3, hidden=128, inner=256).items()}
    config = config_of(read_preset("bert"), source).entries
    expected = {
        "model_type": "bert", "vocab_size": 100, "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 256, "max_position_embeddings": 32, "type_vocab_size": 2,
    }  # fmt: skip
    assert config | expected == config
    assert config["architectures"] == ["BertForPreTraining"]


def test_a_source_without_what_a_variable_takes():
    with pytest.raises(NameMapError, match="^bert: variable vocab_size: expected a tensor bert/embeddings/word_emb"):
        config_of(read_preset("bert"), tensors(a=(1,)))


def test_values():
    found = config_of(table(config={"size": "${n}", "text": "${n} wide", "list": ["${n}", {"x": 2}]}), tensors(a=(3,)))
    assert found.entries == {"size": 3, "text": "3 wide", "list": [3, {"x": 2}]}
    assert (found.given, found.assumed) == ([], [])


class TestAssumed:
    TABLE = table(assumed={"heads": {"quotient": ["${n}", 2]}, "act": "gelu", "twice": "${n}"})

    def test_without_settings(self):
        found = config_of(self.TABLE, tensors(a=(4,)))
        assert found.entries == {"size": 4, "heads": 2, "act": "gelu", "twice": 4}
        assert found.assumed == ["heads", "act", "twice"]

    def test_settings_go_before(self):
        found = config_of(self.TABLE, tensors(a=(5,)), Settings("c.json", {"heads": 5, "other": 1, "size": 5}))
        assert found.entries == {"size": 5, "heads": 5, "act": "gelu", "twice": 5}
        assert (found.given, found.assumed) == (["heads"], ["act", "twice"])

    def test_what_does_not_follow(self):
        with pytest.raises(NameMapError, match=r"^t\.toml: variable heads: expected 2 to divide 5$"):
            config_of(self.TABLE, tensors(a=(5,)))


def test_settings_that_are_of_another_model():
    with pytest.raises(
        NameMapError, match=r"^c\.json: expected what the table and the source's shapes tell, got size 4 for 3$"
    ):
        config_of(table(), tensors(a=(3,)), Settings("c.json", {"size": 4}))
    constant = table(config={"model_type": "bert"})
    assert config_of(constant, tensors(a=(3,)), Settings("c.json", {"model_type": "x"})).entries == constant.config


def test_settings_of_another_table():
    one = table(config={"blocks": [4, 4]}, beside={"called": {"blocks": "block_size"}})
    assert config_of(one, tensors(a=(3,)), Settings("c.json", {"blocks": [4, 4]})).entries == one.config
    with pytest.raises(NameMapError, match=r"shapes tell, got blocks '6_2' for \[4, 4\]$"):
        config_of(one, tensors(a=(3,)), Settings("c.json", {"blocks": "6_2"}))


class TestNeeds:
    TABLE = table(beside={"needs": ["layers"], "settings": ["c.json", "d.json"]})

    def test_given(self):
        found = config_of(self.TABLE, tensors(a=(3,)), Settings("c.json", {"layers": 2}))
        assert found.entries == {"size": 3, "layers": 2}
        assert found.given == ["layers"]

    @pytest.mark.parametrize(("settings", "got"), [(None, "no such file"), (Settings("c.json", {}), "none there")])
    def test_missing(self, settings, got):
        message = r"^t\.toml: expected layers in c\.json or d\.json beside the source, since shapes do not tell, got "
        with pytest.raises(NameMapError, match=f"{message}{got}$"):
            config_of(self.TABLE, tensors(a=(3,)), settings)


def test_what_is_taken_if_it_is_there():
    told = table(beside={"takes": ["labels", "more"]})
    found = config_of(told, tensors(a=(3,)), Settings("c.json", {"labels": ["x"], "others": 1}))
    assert (found.entries, found.given) == ({"size": 3, "labels": ["x"]}, ["labels"])
    assert config_of(told, tensors(a=(3,))).entries == {"size": 3}


class TestSettings:
    TABLE = table(beside={"settings": ["c.json", "d.json"], "means": {"act": {"gelu": "gelu_new"}}})

    def test_the_first_that_is_there(self, tmp_path):
        assert read_settings(self.TABLE, str(tmp_path)) == Settings()
        write(tmp_path / "d.json", {"heads": 2})
        assert read_settings(self.TABLE, str(tmp_path)) == Settings(str(tmp_path / "d.json"), {"heads": 2})
        write(tmp_path / "c.json", {"heads": 3})
        assert read_settings(self.TABLE, str(tmp_path)).entries == {"heads": 3}

    def test_words_that_mean_others(self, tmp_path):
        write(tmp_path / "c.json", {"act": "gelu", "other": "gelu", "list": ["gelu"]})
        assert read_settings(self.TABLE, str(tmp_path)).entries == {
            "act": "gelu_new",
            "other": "gelu",
            "list": ["gelu"],
        }
        write(tmp_path / "c.json", {"act": "relu"})
        assert read_settings(self.TABLE, str(tmp_path)).entries == {"act": "relu"}

    def test_entries_by_another_name(self, tmp_path):
        means = {"blocks": {"4_4": [4, 4]}, "act": {"gelu": "gelu_new"}}
        called = {"blocks": "block_size", "act": "activation"}
        told = table(beside={"settings": ["c.json"], "called": called, "means": means})
        write(tmp_path / "c.json", {"block_size": "4_4", "activation": "gelu", "size": 3})
        assert read_settings(told, str(tmp_path)).entries == {"blocks": [4, 4], "act": "gelu_new", "size": 3}

    def test_others_are_refused(self, tmp_path):
        write(tmp_path / "c.json", [1])
        with pytest.raises(FormatError, match=r"c\.json: expected settings by name, got a list$"):
            read_settings(self.TABLE, str(tmp_path))
        (tmp_path / "c.json").write_text("{")
        with pytest.raises(FormatError, match=r"c\.json: expected a table of names in JSON, got: "):
            read_settings(self.TABLE, str(tmp_path))


def test_it_is_read_from_a_file(tmp_path):
    sections = {"config": {"x": "${size}"}, "assumed": {"y": "${size}"}, "beside": {"needs": ["z"]}}
    path = write(tmp_path / "t.json", {"rules": [], "variables": {"size": 3}} | sections)
    found = read_rules(path)
    assert (found.config, found.assumed, found.beside) == ({"x": 3}, {"y": 3}, {"needs": ["z"]})
    assert json.loads(path.read_text())["config"] == {"x": "${size}"}


def test_a_variable_that_the_table_lacks(tmp_path):
    path = write(tmp_path / "t.json", {"rules": [], "config": {"x": ["${size}"]}, "files": {"a.json": {"y": "${z}"}}})
    with pytest.raises(
        FormatError, match=r"t\.json: expected variables that the table has beside its rules, got size, z$"
    ):
        read_rules(path)
