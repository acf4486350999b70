"""Tables of rules as files: variables, includes, and all that is wrong at once."""

import os
from typing import ClassVar

import pytest

from tensorferry.converters.mapping.beside import files_of
from tensorferry.converters.mapping.config import config_of
from tensorferry.converters.mapping.includes import FORMS
from tensorferry.converters.mapping.select import select_by_tables
from tensorferry.converters.mapping.table import is_table, read_rules
from tensorferry.formats.errors import FormatError

from .tables import tensors, write

RULE = {"from": "a", "to": "b"}


def told(path):
    """Each rule as `place: text`."""
    return [f"{rule.place}: {rule}" for rule in read_rules(path).rules]


def refused(path, problem):
    with pytest.raises(FormatError) as error:
        read_rules(path)
    assert str(error.value) == f"{path}: {problem}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"rules": []}, True), ({"include": []}, True), ({"rules": "x"}, False), ({"rules": {"a": "b"}}, False),
        ({"a": "b"}, False), ([], False), (None, False),
    ],
)  # fmt: skip
def test_what_is_a_table(data, expected):
    assert is_table(data) is expected


def test_toml_tells_lines(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text('title = "T"\n[[rules]]\nfrom = "a"\nto = "b"\n\n[[rules]]\nfrom = "c"\ndrop = "old"\n')
    assert told(path) == ["t.toml line 2: a -> b", "t.toml line 6: c -> dropped (old)"]
    assert read_rules(path).title == "T"


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(
        'rule = 1\n[[rules]]\nfrom = "a"\n[[rules]]\nfrom = "c"\nto = "{n}"\n[[rules]]\nfrom = "d"\nto = "e"\n'
    )
    refused(
        path,
        "expected a table of rules, got: t.toml: expected only the keys title, description, note, variables, include, "
        "rules, recognise, config, assumed, beside, files, got rule (near: rules); t.toml line 2: expected one of to "
        "and drop, got neither; t.toml line 4: expected holes of from in to, got {n} too",
    )


def test_note(tmp_path):
    path = write(tmp_path / "t.json", {"note": "Mind the gap.", "rules": [{"from": "a", "to": "b"}]})
    table = read_rules(path)
    assert table.note == "Mind the gap."
    assert select_by_tables(tensors(a=[2]), [table]).notes == [f"{path}: Mind the gap."]
    other = write(tmp_path / "u.json", {"note": 1, "rules": []})
    refused(other, "expected a table of rules, got: u.json: expected text for note, got 1")


def test_no_table(tmp_path):
    refused(write(tmp_path / "t.json", []), "expected a table with rules, got none")
    refused(write(tmp_path / "t.json", {"a": "b"}), "expected a table with rules, got one without")
    refused(
        write(tmp_path / "t.json", {"rules": 3, "include": [], "title": 3}),
        "expected a table of rules, got: t.json: expected text for title, got 3; "
        "t.json: expected a list of rules, got 3",
    )


def test_data_without_end(tmp_path):
    deep = [RULE]
    for _ in range(30):
        deep = [deep]
    refused(write(tmp_path / "t.json", {"rules": deep}), "expected data at most 20 levels deep")


class TestVariables:
    def test_texts_that_grow(self, tmp_path):
        variables = {"v0": "x" * 100} | {f"v{n + 1}": f"${{v{n}}}${{v{n}}}" for n in range(60)}
        path = write(tmp_path / "t.json", {"variables": variables, "rules": []})
        refused(path, "expected texts of at most 100000 characters, got 102410")

    def test_constants(self, tmp_path):
        data = {"variables": {"scope": "bert", "deep": "${scope}/x", "n": 3}, "rules": [
            {"from": "${deep}/{y}", "to": "${scope}.{y}.${n}"}]}  # fmt: skip
        assert told(write(tmp_path / "t.json", data)) == ["t.json line 1: bert/x/{y} -> bert.{y}.3"]

    def test_unknown_ones(self, tmp_path):
        path = write(tmp_path / "t.json", {"rules": [{"from": "${a}/${b}", "to": "c"}]})
        refused(path, "expected a table of rules, got: t.json line 1: expected variables that the table has, got a, b")

    def test_what_is_none(self, tmp_path):
        path = write(tmp_path / "t.json", {"variables": {"a b": "x", "c": 1.5}, "rules": []})
        refused(
            path,
            "expected a table of rules, got: t.json: expected variables by their names, got a b; "
            "t.json: expected a text, a whole number or a table for the variable c, got 1.5",
        )
        refused(
            write(tmp_path / "t.json", {"variables": [], "rules": []}),
            "expected a table of rules, got: t.json: expected a table for variables, got []",
        )


class TestIncludes:
    def test_their_rules_come_behind(self, tmp_path):
        (tmp_path / "sub").mkdir()
        write(tmp_path / "sub" / "more.json", {"rules": [{"from": "x", "to": "y"}]})
        path = write(tmp_path / "t.json", {"include": ["sub/more.json"], "rules": [RULE]})
        assert told(path) == ["t.json line 1: a -> b", "more.json line 1: x -> y"]

    def test_variables_are_handed_on(self, tmp_path):
        layer = {"variables": {"scope": "enc", "n": 1}, "rules": [{"from": "${scope}/{x}", "to": "${scope}.${n}.{x}"}]}
        write(tmp_path / "layer.json", layer)
        include = ["layer.json", {"file": "layer.json", "variables": {"scope": "${mine}"}}]
        path = write(tmp_path / "t.json", {"variables": {"mine": "dec"}, "include": include})
        assert told(path) == ["layer.json line 1: enc/{x} -> enc.1.{x}", "layer.json line 1: dec/{x} -> dec.1.{x}"]

    def test_variables_are_ends_of_ranges(self, tmp_path):
        rule = {"from": "l{n:${first}..${last}}", "to": "${block}.{n-${first}}"}
        write(tmp_path / "block.json", {"variables": {"block": 0, "first": 0, "last": 5}, "rules": [rule]})
        second = {"file": "block.json", "variables": {"block": 1, "first": 6, "last": 8}}
        path = write(tmp_path / "t.json", {"include": ["block.json", second]})
        assert told(path) == ["block.json line 1: l{n:0..5} -> 0.{n-0}", "block.json line 1: l{n:6..8} -> 1.{n-6}"]

    def test_variables_that_the_file_lacks(self, tmp_path):
        write(tmp_path / "more.json", {"rules": [RULE]})
        path = write(tmp_path / "t.json", {"include": [{"file": "more.json", "variables": {"x": 1}}]})
        refused(
            path,
            "expected a table of rules, got: more.json: expected values of no variables, for it has none, got one of x",
        )
        write(tmp_path / "more.json", {"variables": {"scope": "a", "n": 1}, "rules": [RULE]})
        path = write(tmp_path / "t.json", {"include": [{"file": "more.json", "variables": {"scop": "b", "z": 1}}]})
        refused(
            path,
            "expected a table of rules, got: more.json: expected values of the variables scope, n, "
            "got one of scop (near: scope), z",
        )

    def test_cycles(self, tmp_path):
        write(tmp_path / "b.json", {"include": ["a.json"]})
        path = write(tmp_path / "a.json", {"include": ["b.json"]})
        with pytest.raises(
            FormatError, match=r"expected files that do not include each other, got a\.json -> .*b\.json"
        ):
            read_rules(path)
        own = write(tmp_path / "own.json", {"include": ["own.json"]})
        with pytest.raises(
            FormatError, match="expected files that do not include each other, got own.json -> own.json$"
        ):
            read_rules(own)

    @pytest.mark.parametrize("name", ["../x.json", "/etc/passwd", "", "sub/../../x.json", "a\0b", "link.json"])
    def test_files_outside(self, tmp_path, name):
        home = tmp_path / "home"
        home.mkdir()
        write(tmp_path / "x.json", {"rules": [RULE]})
        os.symlink("../x.json", home / "link.json")
        path = write(home / "t.json", {"include": [name]})
        with pytest.raises(FormatError, match="expected a file of this table's directory or below to include, got "):
            read_rules(path)

    @pytest.mark.parametrize(
        ("include", "message"),
        [
            ([3], f"expected {FORMS} in include, got 3"),
            (
                [{"file": "t2.json", "vars": {}}],
                f"expected {FORMS} in include, got ",
            ),
            ([{"file": "t2.json", "preset": "bert"}], f"expected {FORMS} in include, got "),
            ([{"variables": {}}], f"expected {FORMS} in include, got "),
            ([{"preset": 3}], "expected a preset to include, got 3"),
            ([{"preset": "../presets/bert"}], "expected a preset to include, got '../presets/bert'"),
            ([{"preset": "bert-encodr"}], "expected a preset to include, got 'bert-encodr' (near: bert-encoder"),
            ([{"preset": "bert_layers"}], "expected a preset to include, got 'bert_layers' (near: shared/bert_layers"),
            (["bert"], 'expected a file to include, got a preset: {preset = "bert"} includes that'),
            ([{"preset": "bert", "variables": {"a": 1.5}}], "expected texts and numbers as variables of bert, got "),
            ([{"preset": "shared/bert_layers", "variables": {"layr": "x"}}], "got one of layr (near: layer)"),
            (
                [{"file": "t2.json", "variables": {"a": 1.5}}],
                "expected texts and numbers as variables of t2.json, got ",
            ),
        ],
    )
    def test_what_is_no_include(self, tmp_path, include, message):
        with pytest.raises(FormatError) as error:
            read_rules(write(tmp_path / "t.json", {"include": include}))
        assert message in str(error.value)

    def test_a_missing_file(self, tmp_path):
        path = write(tmp_path / "t.json", {"include": ["none.json"]})
        with pytest.raises(FormatError, match="none.json: expected a table of names, got: No such file or directory$"):
            read_rules(path)

    def test_many_files(self, tmp_path):
        """Two files that are included twice each, ten deep, would be a thousand."""
        for depth in range(10):
            write(tmp_path / f"{depth}.json", {"include": [f"{depth + 1}.json"] * 2})
        write(tmp_path / "10.json", {"rules": [RULE]})
        with pytest.raises(FormatError, match="expected at most 100 included files$"):
            read_rules(tmp_path / "0.json")


def test_what_an_included_file_has_beside_its_rules(tmp_path):
    write(
        tmp_path / "words.json",
        {
            "variables": {"kind": "Any"},
            "beside": {"copies": {"v": "v", "w": "w"}, "settings": ["s"], "tells": {"small": {"uncased": "v"}}},
            "files": {"a.json": {"kind": "${kind}", "size": "${size}", "small": "${small}"}, "b.json": {"x": 1}},
        },
    )
    path = write(
        tmp_path / "t.json",
        {
            "rules": [], "include": [{"file": "words.json", "variables": {"kind": "Bert"}}],
            "variables": {"size": {"dim": 0, "of": "a"}},
            "beside": {"copies": {"w": "x"}, "settings": ["t"]}, "files": {"a.json": {"more": 1}},
        },
    )  # fmt: skip
    found = read_rules(path)
    assert found.beside == {"copies": {"v": "v", "w": "x"}, "settings": ["t"], "tells": {"small": {"uncased": "v"}}}
    own = {"kind": "Bert", "size": "${size}", "small": "${small}", "more": 1}
    assert found.files == {"a.json": own, "b.json": {"x": 1}}
    with pytest.raises(FormatError, match="expected a table with rules, got one without$"):
        read_rules(write(tmp_path / "alone.json", {"beside": {}}))


class TestVariablesOfIncludedFiles:
    """Those that follow from the source serve the table; constants are each file's own."""

    INNER: ClassVar = {
        "variables": {"kind": "x", "width": {"dim": 1, "of": "w"}, "half": {"quotient": ["${width}", 2]},
                      "idle": {"count": "none"}},
        "rules": [{"from": "w", "to": "w", "do": {"reshape": ["${width}", -1]}}],
        "files": {"a.json": {"half": "${half}"}},
    }  # fmt: skip

    def test_what_is_wanted_is_there(self, tmp_path):
        write(tmp_path / "inner.json", self.INNER)
        data = {"include": ["inner.json"], "config": {"width": "${width}"}}
        found = read_rules(write(tmp_path / "t.json", data))
        assert found.derived == {"width": {"dim": 1, "of": "w"}, "half": {"quotient": ["${width}", 2]}}
        assert files_of(found, tensors(w=[2, 6]), "") == {"a.json": {"half": 3}}
        assert config_of(found, tensors(w=[2, 6])).entries == {"width": 6}

    def test_the_tables_own_go_before(self, tmp_path):
        write(tmp_path / "inner.json", self.INNER)
        data = {"include": ["inner.json"], "variables": {"half": {"count": "w"}, "width": 5}, "rules": [RULE],
                "config": {"width": "${width}"}}  # fmt: skip
        found = read_rules(write(tmp_path / "t.json", data))
        assert found.derived == {"half": {"count": "w"}}
        assert found.config == {"width": 5}
        assert found.rules[1].derived["width"] == {"dim": 1, "of": "w"}

    def test_its_constants_stand_in_theirs(self, tmp_path):
        write(tmp_path / "inner.json", self.INNER)
        data = {"include": ["inner.json"], "variables": {"width": 8}}
        assert read_rules(write(tmp_path / "t.json", data)).derived == {"half": {"quotient": ["8", 2]}}

    def test_constants_are_not_handed_up(self, tmp_path):
        write(tmp_path / "inner.json", self.INNER)
        path = write(tmp_path / "t.json", {"include": ["inner.json"], "config": {"kind": "${kind}"}})
        refused(
            path,
            "expected a table of rules, got: t.json: expected variables that the table has beside its rules, got kind",
        )

    def test_near_names(self, tmp_path):
        write(tmp_path / "inner.json", self.INNER)
        path = write(tmp_path / "t.json", {"include": ["inner.json"], "config": {"a": "${widht}", "b": "${zz}"}})
        refused(
            path,
            "expected a table of rules, got: t.json: expected variables that the table has beside its rules, "
            "got widht (near: width), zz",
        )

    def test_rules_can_use_them(self, tmp_path):
        write(tmp_path / "inner.json", self.INNER)
        data = {"include": ["inner.json"], "rules": [{"from": "v", "to": "v", "do": {"reshape": ["${half}", -1]}}]}
        found = select_by_tables(tensors(v=[6], w=[2, 6]), [read_rules(write(tmp_path / "t.json", data))])
        assert {name: tensor.shape for name, tensor in found.tensors.items()} == {"v": (3, 2), "w": (6, 2)}


def test_what_is_wrong_with_an_included_section(tmp_path):
    write(tmp_path / "words.json", {"files": {"config.json": {}, "a.json": {"x": "${none}"}}})
    with pytest.raises(FormatError) as error:
        read_rules(write(tmp_path / "t.json", {"rules": [], "include": "words.json"}))
    assert "expected names of files other than config.json for files, got config.json, a.json" in str(error.value)
    assert "expected variables that the table has beside its rules, got none" in str(error.value)
