"""What a table says of the files beside its result, other than the config.json."""

import pytest

from tensorferry.converters.mapping.beside import copies_of, files_of
from tensorferry.converters.mapping.table import read_rules
from tensorferry.formats.errors import FormatError, NameMapError

from .tables import tensors, write
from .test_config import table


def test_copies(tmp_path):
    told = table(beside={"copies": {"a.txt": "b.txt", "c.txt": "b.txt", "d.txt": "d.txt"}})
    assert copies_of(told, str(tmp_path)) == {}
    (tmp_path / "c.txt").touch()
    assert copies_of(told, str(tmp_path)) == {"b.txt": str(tmp_path / "c.txt")}
    (tmp_path / "a.txt").touch()
    assert copies_of(told, str(tmp_path)) == {"b.txt": str(tmp_path / "a.txt")}


class TestFiles:
    TABLE = table(
        files={
            "a.json": {"size": "${n}", "of": {"height": ["${n}", 2]}},
            "b.json": {"lower": "${small}"},
            "c.json": {},
        },
        beside={
            "copies": {"w.txt": "words.txt", "v.txt": "vocab.txt", "mine.json": "a.json"},
            "tells": {"small": {"uncased": "vocab.txt"}},
            "goes_with": {"c.json": "words.txt"},
        },
    )

    def test_values(self, tmp_path):
        assert files_of(self.TABLE, tensors(a=(3,)), str(tmp_path)) == {"a.json": {"size": 3, "of": {"height": [3, 2]}}}

    @pytest.mark.parametrize(("words", "lower"), [("the\n", True), ("The\n", False)])
    def test_what_a_file_tells(self, tmp_path, words, lower):
        (tmp_path / "v.txt").write_text(words)
        assert files_of(self.TABLE, tensors(a=(3,)), str(tmp_path))["b.json"] == {"lower": lower}

    def test_what_goes_with_a_copy(self, tmp_path):
        (tmp_path / "w.txt").touch()
        assert list(files_of(self.TABLE, tensors(a=(3,)), str(tmp_path))) == ["a.json", "c.json"]

    def test_a_copy_goes_before(self, tmp_path):
        (tmp_path / "mine.json").touch()
        assert list(files_of(self.TABLE, tensors(a=(3,)), str(tmp_path))) == []

    def test_a_source_without_what_a_variable_takes(self, tmp_path):
        with pytest.raises(NameMapError, match=r"^t\.toml: variable n: expected a tensor a in the source, got none$"):
            files_of(self.TABLE, tensors(b=(3,)), str(tmp_path))


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"settings": "c.json"}, "expected names of files for settings, got 'c.json'"),
        ({"settings": ["../c.json"]}, "expected names of files for settings, got ['../c.json']"),
        ({"needs": [1]}, "expected names of entries for needs, got [1]"),
        ({"takes": "x"}, "expected names of entries for takes, got 'x'"),
        ({"copies": {"a": "x/b"}}, "expected names of files for copies, got {'a': 'x/b'}"),
        ({"copies": {"..": "b"}}, "expected names of files for copies, got {'..': 'b'}"),
        ({"copies": ["a"]}, "expected names of files for copies, got ['a']"),
        ({"called": {"act": 1}}, "expected {ENTRY = NAME} for called, got {'act': 1}"),
        ({"means": {"act": "x"}}, "expected {ENTRY = {WORD = OTHER}} for means, got {'act': 'x'}"),
        (
            {"more": 1},
            "expected only settings, needs, takes, called, copies, means, tells, goes_with, assumes in beside, "
            "got more",
        ),
        ("x", "expected a table for beside, got 'x'"),
        ({"tells": ["a"]}, "expected {VARIABLE = {uncased = \"FILE\"}} or its like for tells, got ['a']"),
        (
            {"tells": {"a b": {"uncased": "x"}}},
            "expected {VARIABLE = {uncased = \"FILE\"}} or its like for tells, got {'a b': {'uncased': 'x'}}",
        ),
        (
            {"tells": {"a": {"uncased": "../x"}}},
            "expected names that copies gives in tells, got {'a': {'uncased': '../x'}}",
        ),
        (
            {"tells": {"a": {"cased": "x"}}},
            "expected {VARIABLE = {uncased = \"FILE\"}} or its like for tells, got {'a': {'cased': 'x'}}",
        ),
        ({"goes_with": {"x.json": "y"}}, "expected names of this table's files for goes_with, got {'x.json': 'y'}"),
        ({"assumes": ["x.json"]}, "expected names of this table's files for assumes, got ['x.json']"),
        ({"assumes": "x.json"}, "expected names of this table's files for assumes, got 'x.json'"),
    ],
)
def test_what_is_wrong_beside(tmp_path, beside, expected):
    path = write(tmp_path / "t.json", {"rules": [{"from": "a", "to": "b"}], "beside": beside})
    with pytest.raises(FormatError) as error:
        read_rules(path)
    assert str(error.value) == f"{path}: expected a table of rules, got: t.json: {expected}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"../a.json": {}}, "expected names of files other than config.json for files, got ../a.json"),
        ({"config.json": {}}, "expected names of files other than config.json for files, got config.json"),
        ({"a.json": [1]}, "expected {FILE = {ENTRY = VALUE}} for files, got {'a.json': [1]}"),
        ([1], "expected a table for files, got [1]"),
    ],
)
def test_what_is_wrong_with_files(tmp_path, files, expected):
    path = write(tmp_path / "t.json", {"rules": [{"from": "a", "to": "b"}], "files": files})
    with pytest.raises(FormatError) as error:
        read_rules(path)
    assert str(error.value) == f"{path}: expected a table of rules, got: t.json: {expected}"


def test_what_goes_with_no_copy(tmp_path):
    sections = {"files": {"a.json": {}}, "beside": {"goes_with": {"a.json": "words.txt"}}}
    path = write(tmp_path / "t.json", {"rules": []} | sections)
    with pytest.raises(
        FormatError, match=r"expected names that copies gives for goes_with, got \{'a\.json': 'words\.txt'\}$"
    ):
        read_rules(path)
