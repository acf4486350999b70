"""What files of words tell."""

import base64

import pytest

from tensorferry.converters.mapping import told
from tensorferry.converters.mapping.told import file_of, is_form, is_uncased, tell
from tensorferry.formats.errors import FormatError
from tests.formats.test_sentencepiece_model import model, piece


def test_forms():
    assert is_form({"uncased": "v.txt"})
    assert is_form({"pieces": "s.model", "sentinels": 100})
    assert not is_form({"pieces": "s.model", "sentinels": -1})
    assert not is_form({"pieces": "s.model", "sentinels": 1 << 30})
    assert not is_form({"piece": "x"})
    assert not is_form({"uncased": 1})
    assert not is_form("v.txt")
    assert file_of({"piece": "x", "of": "s.model"}) == file_of({"normalizer": "s.model"}) == "s.model"


def test_pieces(tmp_path):
    path = str(tmp_path / "s.model")
    (tmp_path / "s.model").write_bytes(model(piece("<unk>", 0.0, 2), piece("a", -0.5), characters=b"map"))
    assert tell({"pieces": "s.model"}, path) == [["<unk>", 0.0], ["a", -0.5]]
    more = [["<unk>", 0.0], ["a", -0.5], ["<extra_id_1>", 0.0], ["<extra_id_0>", 0.0]]
    assert tell({"pieces": "s.model", "sentinels": 2}, path) == more
    assert tell({"piece": "a", "of": "s.model"}, path) == 1
    with pytest.raises(FormatError, match=r"s\.model: expected a piece \[CLS\], got none$"):
        tell({"piece": "[CLS]", "of": "s.model"}, path)
    found = tell({"normalizer": "s.model"}, path)
    assert found["type"] == "Precompiled"
    assert base64.b64decode(found["precompiled_charsmap"]) == b"map"
    (tmp_path / "s.model").write_bytes(model(piece("<unk>", 0.0, 2)))
    assert tell({"normalizer": "s.model"}, path) == {"type": "Sequence", "normalizers": []}


@pytest.mark.parametrize(
    ("words", "uncased"),
    [
        ("", True),
        ("[PAD]\n[unused1]\n<S>\nthe\n##s\nß", True),
        ("[PAD]\r\nthe\r\n[MASK]", True),
        ("[\n]\nA\n", False),
        ("[PAD]\nthe\n##S", False),
        ("[A]b", False),
        ("<S\n>", False),
    ],
)
def test_a_vocabulary_without_capitals(tmp_path, words, uncased):
    (tmp_path / "v.txt").write_bytes(words.encode())
    assert is_uncased(str(tmp_path / "v.txt")) is uncased


def test_a_vocabulary_that_is_none(tmp_path, monkeypatch):
    path = tmp_path / "v.txt"
    path.write_bytes(b"\xff")
    with pytest.raises(FormatError, match=r"v\.txt: expected a vocabulary in UTF-8, got other bytes$"):
        is_uncased(str(path))
    monkeypatch.setattr(told, "MAX_SIZE", 0)
    with pytest.raises(FormatError, match=r"v\.txt: expected a vocabulary of at most 0 bytes, got 1$"):
        is_uncased(str(path))
