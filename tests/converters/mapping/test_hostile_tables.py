"""Tables that somebody else wrote: what would take for ever, fill the memory, or end in a traceback is refused."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.mapping import table as tables
from tensorferry.converters.mapping.config import config_of
from tensorferry.converters.mapping.patterns import matcher
from tensorferry.converters.mapping.patterns.matcher import Steps
from tensorferry.converters.mapping.patterns.regex import compile_regex
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import read_map
from tensorferry.converters.mapping.rule import read_rule
from tensorferry.converters.mapping.table import Table, read_rules
from tensorferry.converters.mapping.variables import VariableError, resolve
from tensorferry.converters.mapping.verbs import read_verb
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import FormatError, NameMapError
from tensorferry.formats.tensor import ArrayTensor, SplatTensor, Tensor

ALL = {"from": "**", "to": "**"}


def written(folder: Path, data: Mapping[str, Any], name: str = "t.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(data))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(FormatError) as error:
        read_map(path)
    assert str(error.value).isprintable()
    return str(error.value).removeprefix(f"{path}: ")


def problem(verbs: Any, tensor: Tensor, to: Any = "x") -> str:
    """What a plan says of a rule with these verbs for a tensor w."""
    rule = read_rule({"from": "w", "to": to, "do": verbs}, "t line 1", {})
    (found,) = make_plan([rule], {"w": tensor}).problems
    return found.rpartition(": ")[2]


class TestFiles:
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.toml")
        regular = "expected a table of names, got something that is no regular file"
        assert refusal(tmp_path / "pipe.toml") == regular
        with pytest.raises(FormatError, match=f"pipe.toml: {regular}$"):
            read_rules(written(tmp_path, {"include": ["pipe.toml"]}))

    def test_a_device_is_not_read(self) -> None:
        assert refusal(Path("/dev/zero")).endswith("got something that is no regular file")

    def test_a_name_to_include_that_no_file_can_have(self, tmp_path: Path) -> None:
        found = refusal(written(tmp_path, {"include": ["\ud800.toml"], "rules": []}))
        assert found.endswith(r"expected a file of this table's directory or below to include, got '\ud800.toml'")

    def test_a_directory_with_the_name_of_a_preset_hides_it_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "bert").mkdir()
        found = read_map("bert")
        assert isinstance(found, Table)
        assert found.path == "bert"


class TestData:
    def test_only_what_json_can_hold(self, tmp_path: Path) -> None:
        (tmp_path / "t.toml").write_text("[config]\nwhen = 1979-05-27\n[[rules]]\nfrom = '**'\nto = '**'\n")
        assert refusal(tmp_path / "t.toml").endswith(", got the date 1979-05-27")

    def test_names_are_texts(self, tmp_path: Path) -> None:
        pytest.importorskip("yaml")
        (tmp_path / "t.yaml").write_text("rules:\n- {from: w, to: w, do: {transpose: {1: 2}}, yes: 1}\n")
        assert refusal(tmp_path / "t.yaml").endswith(", got 1 as a name, True as a name")

    def test_numbers_have_an_end(self, tmp_path: Path) -> None:
        text = f"[[rules]]\nfrom = 'w'\nto = 'w'\ndo = {{scale = 0x{'f' * 6000}}}\n"
        (tmp_path / "t.toml").write_text(text)
        assert refusal(tmp_path / "t.toml").endswith(", got a number of more than 300 digits")

    @pytest.mark.parametrize("section", ["config", "assumed", "files"])
    def test_finite_ones_where_json_is_written(self, section: str, tmp_path: Path) -> None:
        entries: Any = {"a": [1.0, {"b": float("inf")}]}
        data = {"rules": [ALL], section: {"f.json": entries} if section == "files" else entries}
        found = refusal(written(tmp_path, data))
        assert found.endswith(f"expected finite numbers in {section}, which JSON can hold, got nan or inf")

    @pytest.mark.parametrize("name", ["\ud800.json", "a\nb.json", "\x1b[31m.json"])
    def test_names_of_files_can_be_printed(self, name: str, tmp_path: Path) -> None:
        found = refusal(written(tmp_path, {"rules": [ALL], "config": {"a": 1}, "files": {name: {}}}))
        assert "expected names of files other than config.json for files, got " in found


class TestSizes:
    def test_texts_with_their_variables(self, tmp_path: Path) -> None:
        data = {"variables": {"a": "x" * 90_000}, "rules": [ALL], "config": {"all": ["${a}!"] * 1000}}
        text = "expected at most 67108864 characters with all variables put in, got more"
        assert refusal(written(tmp_path, data)) == text

    def test_variables_of_variables(self, tmp_path: Path) -> None:
        variables = {"a": "x" * 90_000, **{f"v{n}": "${a}" for n in range(1000)}}
        assert "with all variables put in" in refusal(written(tmp_path, {"variables": variables, "rules": [ALL]}))

    def test_all_patterns_together(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tables, "MAX_INSTRUCTIONS", 20_000)
        rules = [{"regex": f"x{{1000}}x{{1000}}x{{1000}}y{n}", "to": "a"} for n in range(7)]
        text = "expected shorter patterns: all together they are too long to be matched"
        assert refusal(written(tmp_path, {"rules": rules})) == text

    @pytest.mark.parametrize("ending", ["json", "toml"])
    def test_many_rules_take_time_in_proportion(self, ending: str, tmp_path: Path) -> None:
        """0.06 ms or so for each; two looks at every pair would be 10^8."""
        words = ((f"layer_{n}/{{p:kernel|bias}}", f"l.{n}.{{p:weight|bias}}") for n in range(10_000))
        if ending == "json":
            path = written(tmp_path, {"rules": [{"from": old, "to": new} for old, new in words]})
        else:
            path = tmp_path / "t.toml"
            path.write_text("".join(f'[[rules]]\nfrom = "{old}"\nto = "{new}"\n' for old, new in words))
        start = time.process_time()
        table = read_map(path)
        assert time.process_time() - start < 8
        assert isinstance(table, Table)
        assert str(table.rules[-1]) == "layer_9999/{p:kernel|bias} -> l.9999.{p:weight|bias}"

    def test_rules_of_included_files_are_counted_one_by_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "MAX_RULES", 10)
        written(tmp_path, {"rules": [ALL] * 8}, "inner.json")
        path = written(tmp_path, {"include": ["inner.json", "inner.json", "none.json"]})
        assert refusal(path) == "expected at most 10 rules, got 16"

    def test_a_long_word_in_toml(self, tmp_path: Path) -> None:
        (tmp_path / "t.toml").write_text("[config]\n" + "a" * 1_000_000 + " = 1\n[[rules]]\nfrom = 'w'\nto = 2\n")
        assert "t.toml line 3: " in refusal(tmp_path / "t.toml")


def test_a_regular_expression_that_repeats_nothing() -> None:
    nothing = "(?:(?:(?:(?:(?:){1000}){1000}){1000}){1000}){1000}"
    assert len(compile_regex(f"{nothing}x").program) == 2


class TestNumbers:
    def test_a_ratio_of_large_ones(self) -> None:
        with pytest.raises(VariableError, match="^variable a: expected a number of at most 18 digits, got 1000"):
            resolve({"a": {"ratio": [10**200, 3]}}, {}, Steps())

    def test_a_minus_twice(self) -> None:
        with pytest.raises(ValueError, match="^transpose: expected a list of whole numbers for perm, got '--5'$"):
            read_verb("transpose", "--5")

    @pytest.mark.parametrize(
        ("dtype", "value", "fits"),
        [
            ("uint8", -1.0, False), ("uint8", 256.0, False), ("uint8", 255.0, True), ("int8", -128.0, True),
            ("float32", 1e300, False), ("float32", 0.1, True), ("float32", -np.inf, True), ("float32", np.nan, True),
            ("float16", 7e4, False), ("complex64", 1e300, False), ("bool", 1.0, True), ("bool", 2.0, False),
            ("float8_e4m3fn", np.inf, False),
        ],
    )  # fmt: skip
    @pytest.mark.filterwarnings("error")
    def test_padding_that_the_type_holds(self, dtype: str, value: float, fits: bool) -> None:
        tensor = ArrayTensor(np.zeros(2, DTYPES[dtype].numpy()), DTYPES[dtype])
        verb = {"pad": {"axis": 0, "after": 1, "value": value}}
        if not fits:
            assert problem(verb, tensor) == f"expected a number that is a {dtype}, got {value}"
            return
        rule = read_rule({"from": "w", "to": "x", "do": verb}, "t", {})
        made = make_plan([rule], {"w": tensor}).moves[0].targets["x"].numpy()
        np.testing.assert_array_equal(made, np.array([0, 0, value], DTYPES[dtype].numpy()), strict=True)

    @pytest.mark.filterwarnings("error")
    def test_a_scalar_that_the_type_holds(self) -> None:
        tensor = ArrayTensor(np.zeros(2, np.float32))
        found = problem({"with": {"dtype": "float8_e4m3fn", "value": 1000}}, tensor, ["x", "y"])
        assert found == "expected a number that is a float8_e4m3fn, got 1000"


class TestSizesOfResults:
    def test_tensors_that_double(self) -> None:
        doubling = ["tie", {"concat": 0}] * 70
        found = problem([*doubling, "tie"], ArrayTensor(np.zeros(4, np.float32)), ["x", "y"])
        assert found == f"expected at most {2**40} bytes in a tensor, got {2**41}"

    def test_padding_of_padding(self) -> None:
        padding = [{"expand": 0}, {"pad": {"axis": 0, "before": 16_000_000}}]
        found = problem(padding * 2, ArrayTensor(np.zeros(4, np.float32)))
        assert found.startswith(f"expected at most {2**40} bytes in a tensor, got ")

    def test_chunks_beyond_count(self) -> None:
        tensor = SplatTensor(np.zeros((), np.float32), (100_001,), DTYPES["float32"])
        assert problem({"chunk": {"axis": 0, "parts": 100_001}}, tensor, ["x", "y"]).startswith(
            "expected at most 100000 "
        )

    def test_partners_without_end_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rule = read_rule({"from": ["{n}", *(f"{{n}}/{i}" for i in range(50))], "to": "{n}", "do": "sum"}, "t", {})
        monkeypatch.setattr(matcher, "MAX_STEPS", 400)  # of which matching alone takes fewer
        tensors = {f"w{n}": ArrayTensor(np.zeros(2, np.float32)) for n in range(10)}
        with pytest.raises(NameMapError, match="^t: expected patterns that match sooner"):
            make_plan([rule], tensors)


class TestPartsOfOne:
    """What is divided and put together again: there are more tensors than sources with a name."""

    def made(self, *verbs: Any) -> Tensor:
        rule = read_rule({"from": "w", "to": "x", "do": list(verbs)}, "t line 1", {})
        return make_plan([rule], {"w": ArrayTensor(np.zeros(4, np.float32))}).moves[0].targets["x"]

    def test_same(self) -> None:
        assert self.made({"fill": 0}, "same").numpy().tolist() == [0, 0, 0, 0]
        with pytest.raises(FormatError, match="^part 1 of w: expected the same values as part 0 of w, got: "):
            self.made({"fill": 1}, "same").numpy()

    def test_unfill(self) -> None:
        with pytest.raises(FormatError, match="^part 1 of w: expected 1.0 everywhere, got other values too$"):
            self.made({"fill": 2}, {"unfill": 1}).numpy()


class TestNothing:
    def test_ties_of_no_number(self) -> None:
        found = problem("tie", ArrayTensor(np.zeros(2, np.float32)), "x{n:int}")
        assert found == "expected a list in to, or a range such as {n:0..3}, that tells how many"

    def test_no_sizes_of_nothing(self) -> None:
        found = problem({"split": {"axis": 0, "sizes": []}}, ArrayTensor(np.zeros(0, np.float32)), ["x", "y"])
        assert found == "expected sizes that make 0, got []"


LAYERS: Mapping[str, Tensor] = {f"layer_{n}": ArrayTensor(np.zeros((3, 4), np.float32)) for n in range(2)}


class TestAssumed:
    @pytest.mark.parametrize(
        ("how", "value"),
        [
            ({"sum": [3, 4]}, 7),
            ({"count": "layer_{n:int}"}, 2),
            ({"dim": 1, "of": "layer_0"}, 4),
            ({}, {}),
            ({"dim": 1}, {"dim": 1}),
        ],
    )
    def test_each_way_to_a_number(self, how: Any, value: Any, tmp_path: Path) -> None:
        table = read_rules(written(tmp_path, {"rules": [ALL], "config": {"a": 1}, "assumed": {"x": how}}))
        assert config_of(table, LAYERS).entries == {"a": 1, "x": value}

    def test_one_that_does_not_fit_says_where_to_put_it(self, tmp_path: Path) -> None:
        assumed = {"heads": {"quotient": [7, 2]}}
        data = {"rules": [ALL], "config": {"a": 1}, "assumed": assumed, "beside": {"settings": ["a.json", "b.json"]}}
        with pytest.raises(NameMapError) as error:
            config_of(read_rules(written(tmp_path, data)), LAYERS)
        problem = "variable heads: expected 2 to divide 7 (a.json or b.json beside the source may tell heads)"
        assert str(error.value).endswith(problem)
