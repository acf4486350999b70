"""Files of tables as plain data, with the lines of their rules."""

import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.mapping.document import read_document
from tensorferry.formats.errors import FormatError, NameMapError, TensorferryError, UnsupportedError

TOML = '''# [[rules]]
title = """
[[rules]]
"""
[[rules]]
from = "a"  # a [
to = [
  "x",
]
[variables]
a = "rules = [ {"

[[ "rules" ]]
from = '[[rules]]'
'''

INLINE = """a = [[1, 2], [3]]
rules = [
  {from = "a", do = {x = {y = 1}}},
  # {
  {from = "b"}, {from = "c"},
]
"""

JSON = '{"a": {"rules": [1]},\n "rules":\n [ {"x": "]"},\n\n {"b":1} ]}'

YAML = """title: |
  rules:
rules:
  - from: a
    to: b

  - {from: c, to: d}
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("t.toml", TOML, [5, 13]),
        ("t.toml", INLINE, [3, 5, 5]),
        ("t.json", JSON, [3, 5]),
        ("t.yaml", YAML, [4, 7]),
        ("t.yml", YAML, [4, 7]),
        ("t.json", "{}", []),
        ("t.json", '{"rules": []}', []),
        ("t.json", '{"rules": {"a": 1}}', []),
        ("t.json", "[]", []),
        ("t.yaml", "", []),
    ],
)
def test_lines_of_rules(tmp_path, name, text, lines):
    (tmp_path / name).write_text(text)
    document = read_document(tmp_path / name)
    assert document.lines == lines
    if lines:
        assert len(document.data["rules"]) == len(lines)


@given(
    st.dictionaries(st.text("ab[]{}\"'#", max_size=4), st.text('x[]{}"\\', max_size=4), max_size=3),
    st.lists(st.dictionaries(st.text("ab", max_size=2), st.text('[]{}"\n', max_size=3), max_size=2), max_size=4),
    st.sampled_from([None, 0, 2]),
)
def test_lines_in_any_json(tmp_path_factory, before, items, indent):
    """As many as there are rules, in order, each where its text begins."""
    import json

    path = tmp_path_factory.getbasetemp() / "any-lines.json"
    text = json.dumps({**before, "rules": items}, indent=indent)
    path.write_text(text)
    lines = read_document(path).lines
    assert len(lines) == len(items)
    assert lines == sorted(lines)
    if indent is not None and items:
        assert text.splitlines()[lines[0] - 1].strip().startswith("{")


class TestYaml:
    def test_doubled_keys(self, tmp_path):
        (tmp_path / "t.yaml").write_text("a: b\nrules:\n  - {from: x, from: y}\n")
        with pytest.raises(NameMapError, match="expected each name once on the left, got doubled: from$"):
            read_document(tmp_path / "t.yaml")

    def test_aliases(self, tmp_path):
        (tmp_path / "t.yaml").write_text("a: &x [1]\nb: [*x, *x]\n")
        with pytest.raises(FormatError, match=r"expected a table of names without aliases \(\*name\), got some$"):
            read_document(tmp_path / "t.yaml")

    @pytest.mark.parametrize("text", ["a: [", "a: !!python/object:os.system x", "a: b\n- c", "- " * 5000])
    def test_broken(self, tmp_path, text):
        (tmp_path / "t.yaml").write_text(text)
        with pytest.raises(FormatError, match=r"t\.yaml: expected a table of names in YAML, got: "):
            read_document(tmp_path / "t.yaml")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[" * 5000, "expected at most 100 brackets in each other, got more"),
            ("#" * ((4 << 20) + 1), "expected at most 4194304 characters of YAML, got 4194305: TOML may be longer"),
        ],
    )
    def test_what_would_take_long(self, tmp_path, text, message):
        (tmp_path / "t.yaml").write_text(text)
        with pytest.raises(FormatError) as error:
            read_document(tmp_path / "t.yaml")
        assert str(error.value) == f"{tmp_path / 't.yaml'}: {message}"

    def test_where_it_is_not_installed(self, tmp_path, monkeypatch):
        (tmp_path / "t.yaml").write_text(YAML)
        real = builtins.__import__

        def without(name, *args, **kwargs):
            if name == "yaml":
                raise ModuleNotFoundError(name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        message = r"needs PyYAML, which is not installed \(TOML and JSON need nothing\)$"
        with pytest.raises(UnsupportedError, match=message):
            read_document(tmp_path / "t.yaml")


@given(st.text(max_size=40), st.sampled_from([".toml", ".json", ".yaml"]))
def test_any_text(tmp_path_factory, text, ending):
    path = tmp_path_factory.getbasetemp() / f"any-text{ending}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    told = f"{path}: expected "
    try:
        read_document(path)
    except TensorferryError as error:
        told = str(error)
    assert told.startswith(f"{path}: expected ")
