"""By which names a table takes an object-based checkpoint."""

from tensorferry.converters.mapping.naming import named_for
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.table import Table
from tensorferry.formats.detect import detect
from tests.fixture import HOME

GARDEN = HOME / "presets" / "bert_garden" / "model.ckpt"
KEY = "model/layer_with_weights-0/embeddings/.ATTRIBUTES/VARIABLE_VALUE"


def test_the_keys_for_a_preset_that_is_made_for_them():
    named = named_for([read_preset("bert-garden")], detect(GARDEN))
    assert KEY in named.tensors
    assert named.notes == ["names are the checkpoint's own (--names key), for which the table is made"]


def test_what_is_asked_for_goes_before():
    assert KEY not in named_for([read_preset("bert-garden")], detect(GARDEN), "full").tensors
    assert named_for([read_preset("bert-garden")], detect(GARDEN), "key").notes == []


def test_the_names_for_people_for_any_other():
    for table in ({"a": "b"}, Table("t.toml", ()), read_preset("bert")):
        assert KEY not in named_for([table], detect(GARDEN)).tensors
    plain = detect(HOME / "presets" / "bert" / "model.ckpt")
    assert named_for([read_preset("bert")], plain).notes == []
