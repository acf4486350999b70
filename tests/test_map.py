"""Tables from the command line: `convert --map`, `map show`, `check`, `invert` and `draft`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tensorferry

from .cli import ferried, ferry, refused
from .converters.mapping.bert import bert
from .fixture import FIXTURES, HOME

MNIST = HOME / "mnist" / "model.ckpt"
ADD = HOME / "add" / "model.ckpt"

TABLE = """
[[rules]]
from = "{layer:conv1|conv2}/{p:kernel|bias}"
to = "{layer}.{p:weight|bias}"
do = {transpose = [3, 2, 0, 1]}
where = {rank = 4}

[[rules]]
from = "{layer:fc1|logits}/kernel"
to = "{layer}.weight"
do = {transpose = [1, 0]}

[[rules]]
from = "bn{n:int}/{p:gamma|beta|moving_mean|moving_variance}"
to = "bn{n}.{p:weight|bias|running_mean|running_var}"

[[rules]]
from = "{layer}/bias"
to = "{layer}.bias"
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mnist.toml"
    path.write_text(TABLE)
    return path


@pytest.fixture(scope="module")
def bert_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bert") / "bert.safetensors"
    save_file(bert(), path)
    return path


def test_a_table_of_rules(table: Path, tmp_path: Path) -> None:
    """What TensorFlow read from the checkpoint, in the layout of torch."""
    outcome = ferried("convert", MNIST, tmp_path / "m.safetensors", "--map", table, "--verify")
    expected = FIXTURES["mnist"].tensors()
    found = load_file(tmp_path / "m.safetensors")
    assert len(found) == 15
    assert np.array_equal(found["conv1.weight"], expected["conv1/kernel"].transpose(3, 2, 0, 1))
    assert np.array_equal(found["fc1.weight"], expected["fc1/kernel"].T)
    assert np.array_equal(found["bn2.running_var"], expected["bn2/moving_variance"])
    assert np.array_equal(found["conv2.bias"], expected["conv2/bias"])
    assert "made      2 tensors by transpose [3, 2, 0, 1]: conv1.weight, conv2.weight" in outcome.out


def test_averages_and_back(table: Path, tmp_path: Path) -> None:
    ferried("convert", MNIST, tmp_path / "m.safetensors", "--map", table, "--ema")
    (tmp_path / "back.toml").write_text(ferried("map", "invert", table).out)
    ferried("convert", tmp_path / "m.safetensors", tmp_path / "back.safetensors", "--map", tmp_path / "back.toml")
    ferried("convert", MNIST, tmp_path / "averaged.safetensors", "--ema")
    assert (
        "15 equal, 0 different, 0 only in A, 0 only in B"
        in ferried("diff", tmp_path / "averaged.safetensors", tmp_path / "back.safetensors").out
    )


def test_the_metadata_has_no_renames_of_what_was_changed(table: Path, tmp_path: Path) -> None:
    ferried("convert", MNIST, tmp_path / "m.safetensors", "--map", table)
    header = (tmp_path / "m.safetensors").read_bytes()
    renamed = json.loads(json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]["renamed"])
    assert renamed["conv2/bias"] == "conv2.bias"
    assert "conv2/kernel" not in renamed


def test_the_plan(table: Path, tmp_path: Path) -> None:
    outcome = ferried("convert", MNIST, tmp_path / "m.safetensors", "--map", table, "--dry-run")
    head, _, plan = outcome.out.partition("\n\n")
    assert "(dry run: nothing written)" in head
    lines = plan.splitlines()
    assert lines[0].split() == ["source", "transform", "target", "dtype", "shape"]
    assert len(lines) == 16
    (line,) = (line for line in lines if line.startswith("conv1/kernel"))
    cells = [cell.strip() for cell in line.split("  ") if cell]
    assert cells == ["conv1/kernel", "transpose [3, 2, 0, 1]", "conv1.weight", "float32", "[8, 1, 5, 5]"]
    assert not (tmp_path / "m.safetensors").exists()
    found = ferried("convert", MNIST, tmp_path / "m.safetensors", "--map", table, "--dry-run", "--json").json
    (entry,) = (item for item in found["tensors"] if item["name"] == "conv1.weight")
    assert entry["sources"] == ["conv1/kernel"]
    assert entry["transform"] == "transpose [3, 2, 0, 1]"
    assert entry["shape"] == [8, 1, 5, 5]


def test_all_that_does_not_fit(table: Path, tmp_path: Path) -> None:
    with table.open("a") as file:
        file.write('[[rules]]\nfrom = "nothing"\nto = "x"\n')
    message = refused("convert", ADD, tmp_path / "a.safetensors", "--map", table)
    assert message.startswith(
        f"{table}: mnist.toml line 2: expected {{layer:conv1|conv2}}/{{p:kernel|bias}} in the source, "
    )
    assert "mnist.toml line 20: expected nothing in the source, got none" in message
    assert "no rule takes v1 float32 [1]; no rule takes v2 float32 [1]" in message
    assert message.endswith("(--allow-unmatched and --allow-unused would let that pass)")
    assert not (tmp_path / "a.safetensors").exists()
    outcome = ferried("convert", ADD, tmp_path / "a.npz", "--map", table, "--allow-unmatched", "--allow-unused")
    assert "dropped   2 tensors, no rule of the table takes it: v1, v2" in outcome.out


def test_more_than_a_line_holds(tmp_path: Path) -> None:
    """The first line counts, and below it stands all."""
    save_file({f"n{place}": np.zeros(1) for place in range(1000)}, tmp_path / "a.safetensors")
    (tmp_path / "t.toml").write_text('rules = [{from = "n0", to = "n0"}]')
    outcome = ferry("convert", tmp_path / "a.safetensors", tmp_path / "b.npz", "--map", tmp_path / "t.toml")
    first, *others = outcome.err.splitlines()
    assert outcome.status == 2
    problem = "999 problems, the first of them: no rule takes n1 float64 [1]"
    assert first == f"error: {tmp_path / 't.toml'}: {problem} (--allow-unused would let that pass)"
    assert sorted(others) == sorted(f"  no rule takes n{place} float64 [1]" for place in range(1, 1000))
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("a.safetensors", "__metadata__", "safetensors: can't hold tensors named '__metadata__' (rename them)"),
        ("a.npz", "a\\u0000b", "npz: can't hold tensors named 'a\\x00b' (rename them)"),
        ("a.ckpt", "\\u0000", "checkpoint: can't hold tensors named '\\x00' (rename them)"),
    ],
)
def test_names_that_the_format_lacks(target: str, name: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "t.toml"
    table.write_text(f'rules = [{{from = "v1", to = "{name}"}}, {{from = "v2", to = "b"}}]')
    assert refused("convert", ADD, tmp_path / target, "--map", table) == message
    assert [path.name for path in tmp_path.iterdir()] == ["t.toml"]


def test_allowing_without_a_table(tmp_path: Path) -> None:
    message = refused("convert", ADD, tmp_path / "a.npz", "--allow-unused")
    assert message == "--allow-unused: expected a table of rules to go with it, got none"


def test_one_to_many_and_back(tmp_path: Path) -> None:
    """Fused query, key and value are divided; as a checkpoint and as safetensors."""
    qkv = np.arange(72, dtype=np.float32).reshape(12, 6)
    save_file({"layer_0/qkv": qkv, "layer_1/qkv": qkv + 100}, tmp_path / "a.safetensors")
    table = tmp_path / "t.json"
    rule = {
        "from": "layer_{n:int}/qkv", "to": ["l.{n}.q", "l.{n}.k", "l.{n}.v"],
        "do": {"split": {"axis": 0, "sizes": [4, 4, 4]}},
    }  # fmt: skip
    table.write_text(json.dumps({"rules": [rule]}))
    for target in ("b.safetensors", "b.ckpt", "b.npz"):
        ferried("convert", tmp_path / "a.safetensors", tmp_path / target, "--map", table, "--verify")
        found = tensorferry.load_checkpoint(tmp_path / target)
        assert np.array_equal(found["l.1.k"].numpy(), qkv[4:8] + 100)
        assert len(found) == 6
        back = tmp_path / "back.toml"
        back.write_text(ferried("map", "invert", table).out)
        ferried("convert", tmp_path / target, tmp_path / "c.safetensors", "--map", back, "--force", "--verify")
        assert (tmp_path / "c.safetensors").exists()
        assert "2 equal, 0 different" in ferried("diff", tmp_path / "a.safetensors", tmp_path / "c.safetensors").out
    ferried("convert", tmp_path / "b.ckpt", tmp_path / "d.ckpt", "--map", tmp_path / "back.toml")
    ferried("convert", tmp_path / "d.ckpt", tmp_path / "e.ckpt", "--map", table)
    assert "6 equal, 0 different" in ferried("diff", tmp_path / "b.ckpt", tmp_path / "e.ckpt").out


def test_a_layout_is_kept_only_by_renames(tmp_path: Path) -> None:
    table = tmp_path / "t.toml"
    table.write_text('rules = [{from = "v1", to = ["a", "b"], do = "tie"}, {from = "v2", to = "v2"}]')
    message = refused("convert", ADD, tmp_path / "a.ckpt", "--map", table, "--keep-layout")
    assert message == "--keep-layout: expected renames alone, got a table that makes a, b"


def test_values_that_overflow_behind_other_transforms(tmp_path: Path) -> None:
    save_file({"a": np.float32([[1e6, 1], [2, 3]])}, tmp_path / "a.safetensors")
    table = tmp_path / "t.toml"
    table.write_text('rules = [{from = "a", to = "b", do = [{cast = "float16"}, {transpose = [1, 0]}]}]')
    outcome = ferried("convert", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--map", table)
    assert "b: 1 of 4 values are too large for float16, and infinite now" in outcome.out


class TestGraphs:
    def test_a_table_renames_variables(self, tmp_path: Path) -> None:
        table = tmp_path / "t.toml"
        table.write_text('rules = [{from = "v{n:int}", to = "other-v{n}"}]')
        ferried("convert", ADD, tmp_path / "a.pb", "--graph", FIXTURES["add_renamed"].graph, "--map", table, "--verify")
        assert set(tensorferry.load_checkpoint(tmp_path / "a.pb")) >= {"other-v1", "other-v2"}

    def test_it_does_no_more(self, tmp_path: Path) -> None:
        table = tmp_path / "t.toml"
        table.write_text('rules = [{from = "v{n:int}", to = "v{n}", do = {flip = 0}}]')
        for target in ("a.pb", "a.onnx"):
            assert refused("convert", ADD, tmp_path / target, "--map", table) == (
                "a table: can only rename for a graph's variables, got rules that do more: t.toml line 1 "
                "(v{n:int} -> v{n}) (convert the weights to a checkpoint with it first)"
            )


class TestPresets:
    def test_a_directory_gets_a_config(self, bert_file: Path, tmp_path: Path) -> None:
        outcome = ferried("convert", bert_file, tmp_path, "--map", "bert", "--verify")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
        config = json.loads((tmp_path / "config.json").read_text())
        assert (config["num_hidden_layers"], config["hidden_size"], config["vocab_size"]) == (2, 64, 100)
        assert "config.json beside it, of bert\n" in outcome.out
        assert 'config.json: shapes do not tell, assumed: num_attention_heads 1, hidden_act "gelu", ' in outcome.out
        again = refused("convert", bert_file, tmp_path, "--map", "bert")
        assert again == f"{tmp_path}: has config.json, model.safetensors already (--force replaces them)"
        sharded = tmp_path / "sharded"
        ferried("convert", bert_file, sharded, "--map", "bert", "--max-shard-size", "100KB", "--verify")
        assert {"config.json", "model.safetensors.index.json"} < {path.name for path in sharded.iterdir()}

    def test_a_directory_without_one(self, tmp_path: Path) -> None:
        message = refused("convert", ADD, tmp_path)
        assert message.startswith(f"{tmp_path}: expected a name that tells the format, ending in ")

    def test_inspect_tells_of_it(self, bert_file: Path) -> None:
        assert "looks like BERT, 2 layers, 64 wide: --map bert" in ferried("inspect", bert_file).out
        found = ferried("inspect", bert_file, "--json").json
        assert {"preset": "bert", "says": "BERT, 2 layers, 64 wide"} in found["recognised"]
        assert "recognised" not in ferried("inspect", ADD, "--json").json

    def test_another_than_was_asked_for(self, bert_file: Path, tmp_path: Path) -> None:
        outcome = ferry("convert", bert_file, tmp_path / "new", "--map", "electra")
        assert outcome.status == 2
        assert "(looks like BERT, 2 layers, 64 wide: --map bert; --allow-unmatched and" in outcome.err.splitlines()[0]
        message = refused("convert", bert_file, tmp_path / "v1.0", "--map", "bert")
        assert message.endswith("(or --to; or a slash behind the name of a directory)")
        assert list(tmp_path.iterdir()) == []


class TestTablesOnPresets:
    """A user's table that includes one of the package's."""

    HEAD = """
include = [{preset = "bert-encoder"}]

[config]
model_type = "bert"
architectures = ["Ours"]
hidden_size = "${hidden_size}"
num_hidden_layers = "${layers}"

[[rules]]
from = "head/kernel"
to = "head.weight"
do = [{transpose = [1, 0]}, {reshape = [-1, "${hidden_size}"]}]
"""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        arrays = {name: array for name, array in bert().items() if name.startswith("bert/")}
        arrays["head/kernel"] = np.arange(128, dtype=np.float32).reshape(64, 2)
        (tmp_path / "source").mkdir()
        save_file(arrays, tmp_path / "source" / "model.safetensors")
        (tmp_path / "source" / "vocab.txt").write_text("[PAD]\nthe\nfox\n")
        return tmp_path / "source" / "model.safetensors"

    def test_a_head_of_ones_own(self, source: Path, tmp_path: Path) -> None:
        (tmp_path / "t.toml").write_text(self.HEAD)
        ferried("convert", source, tmp_path / "out", "--map", tmp_path / "t.toml", "--verify")
        names = {"config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"}
        assert {path.name for path in (tmp_path / "out").iterdir()} == names
        expected = {"model_type": "bert", "architectures": ["Ours"], "hidden_size": 64, "num_hidden_layers": 2}
        assert json.loads((tmp_path / "out" / "config.json").read_text()) == expected
        words = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
        assert words == {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32}
        given, found = load_file(source), load_file(tmp_path / "out" / "model.safetensors")
        assert len(found) == len(given)
        assert np.array_equal(found["head.weight"], given["head/kernel"].T)
        kernel = "bert/encoder/layer_1/output/dense/kernel"
        assert np.array_equal(found["encoder.layer.1.output.dense.weight"], given[kernel].T)
        assert np.array_equal(found["embeddings.LayerNorm.weight"], given["bert/embeddings/LayerNorm/gamma"])

    def test_parts_under_other_names(self, source: Path, tmp_path: Path) -> None:
        (tmp_path / "t.toml").write_text(
            """
            include = [
              {preset = "shared/bert_embeddings", variables = {pt = "body.words"}},
              {preset = "shared/bert_layers", variables = {pt = "body.stack"}},
            ]
            rules = [{from = "{scope:path}/{p:kernel|bias}", drop = "heads", where = {shape = [64, 2]}},
                     {from = "bert/pooler/**", drop = "not used"}]
            """
        )
        checked = ferried("map", "check", tmp_path / "t.toml", source, "--json").json
        names = {tensor["name"] for tensor in checked["tensors"]}
        assert len(names) == 5 + 2 * 16
        assert {"body.words.word_embeddings.weight", "body.stack.layer.0.output.LayerNorm.bias"} < names
        shown = ferried("map", "show", "shared/bert_layers").out
        assert "bert/encoder/layer_{n:int}/attention/self/{part:query|key|value}/bias -> bert.encoder.layer" in shown

    def test_one_that_there_is_not(self, tmp_path: Path) -> None:
        (tmp_path / "t.toml").write_text('include = [{preset = "bert-encodr"}]')
        problem = "expected a table of rules, got: t.toml: expected a preset to include, got 'bert-encodr' (near: "
        assert refused("map", "check", tmp_path / "t.toml").startswith(
            f"{tmp_path / 't.toml'}: {problem}bert-encoder, "
        )
        assert refused("map", "show", "shared/bert_layer").partition(" (near: ")[2].startswith("shared/bert_layers")


class TestShow:
    def test_rules(self, table: Path) -> None:
        lines = ferried("map", "show", table).out.splitlines()
        assert lines[0] == (
            "mnist.toml line 2  {layer:conv1|conv2}/{p:kernel|bias} -> {layer}.{p:weight|bias}"
            "  [do transpose [3, 2, 0, 1]]  [where {'rank': 4}]"
        )
        assert len(lines) == 4

    def test_as_json(self, table: Path, tmp_path: Path) -> None:
        found = ferried("map", "show", table, "--json")
        (tmp_path / "again.json").write_text(found.out)
        assert ferried("map", "show", tmp_path / "again.json", "--json").json["rules"] == found.json["rules"]

    def test_presets(self) -> None:
        assert "bert  Google's BERT" in ferried("map", "show").out
        assert ferried("map", "show", "--json").json["bert"].startswith("Google's BERT")
        assert ferried("map", "show", "bert").out.startswith("BERT: Google's BERT")

    def test_flat_tables(self, tmp_path: Path) -> None:
        (tmp_path / "t.json").write_text('{"a": "b"}')
        assert ferried("map", "show", tmp_path / "t.json").out == "a -> b\n"
        assert ferried("map", "show", tmp_path / "t.json", "--json").json == {"a": "b"}


class TestCheck:
    def test_by_itself(self, table: Path, tmp_path: Path) -> None:
        assert ferried("map", "check", table).out == "4 rules, 4 of them with an inverse\n"
        (tmp_path / "t.json").write_text('{"a": "b"}')
        assert ferried("map", "check", tmp_path / "t.json").out == "1 names\n"

    def test_with_a_source(self, table: Path) -> None:
        assert ferried("map", "check", table, MNIST).out == "4 rules make 15 tensors of 15\n"
        assert "no rule takes" in refused("map", "check", table, ADD)

    def test_the_whole_plan(self, table: Path) -> None:
        summary, _, header, *lines = ferried("map", "check", table, MNIST, "--plan").out.splitlines()
        assert summary == "4 rules make 15 tensors of 15"
        assert header.split() == ["source", "transform", "target", "dtype", "shape"]
        assert len(lines) == 15
        found = ferried("map", "check", table, MNIST, "--json").json
        (entry,) = (item for item in found["tensors"] if item["name"] == "conv1.weight")
        assert (entry["sources"], entry["transform"]) == (["conv1/kernel"], "transpose [3, 2, 0, 1]")
        assert (entry["dtype"], entry["shape"]) == ("float32", [8, 1, 5, 5])
        assert ferried("map", "check", table, "--json").json == {"rules": 4, "with_inverse": 4, "without": []}

    def test_with_averages(self, table: Path) -> None:
        assert ferried("map", "check", table, MNIST, "--ema").out == "4 rules make 15 tensors of 15\n"


class TestInvert:
    def test_what_has_no_inverse(self, tmp_path: Path) -> None:
        table = tmp_path / "t.toml"
        table.write_text('[[rules]]\nfrom = "v1"\nto = "a"\n[[rules]]\nfrom = "v2"\ndrop = true\n')
        message = refused("map", "invert", table)
        assert message == f"{table}: has no inverse: t.toml line 4: v2 is dropped (--partial leaves that out)"
        outcome = ferried("map", "invert", table, "--partial", "--json")
        assert outcome.json == {"rules": [{"from": "a", "to": "v1"}]}
        assert outcome.err == "left out: t.toml line 4: v2 is dropped\n"

    def test_with_a_source(self, tmp_path: Path) -> None:
        table = tmp_path / "t.toml"
        table.write_text('rules = [{from = ["v1", "v2"], to = "v", do = {concat = 0}}]')
        assert "concat does not say where it can be cut" in refused("map", "invert", table)
        found = ferried("map", "invert", table, ADD, "--json").json
        assert found == {"rules": [{"from": "v", "to": ["v1", "v2"], "do": {"split": {"axis": 0, "sizes": [1, 1]}}}]}

    def test_what_goes_back_by_guess_is_said(self, tmp_path: Path) -> None:
        table = tmp_path / "t.toml"
        table.write_text('rules = [{from = "old/{x}", to = "new/{x}"}, {from = "step", to = "new/step"}]')
        outcome = ferried("map", "invert", table, "--json")
        assert [rule["to"] for rule in outcome.json["rules"]] == ["step", "old/{x}"]
        assert outcome.err == (
            "note: new/step goes back by t.toml line 1, though t.toml line 1 (old/{x} -> new/{x}) could have made it "
            "too (with SRC that is checked)\n"
        )

    def test_flat_tables(self, tmp_path: Path) -> None:
        (tmp_path / "t.json").write_text('{"a": "b"}')
        assert ferried("map", "invert", tmp_path / "t.json").json == {"b": "a"}


class TestDraft:
    def test_it_can_be_used(self, bert_file: Path, tmp_path: Path) -> None:
        ferried("convert", bert_file, tmp_path / "b.safetensors", "--map", "bert")
        outcome = ferried("map", "draft", bert_file, tmp_path / "b.safetensors")
        assert outcome.out.startswith(
            "# 46 of 46 tensors are made of 46 of 46 weights, 0 are dropped\n# confidence 1.00, behind each rule "
        )
        assert '.dense.weight", do = {transpose = [1, 0]}},  # 1.00 values agree' in outcome.out
        (tmp_path / "draft.toml").write_text(outcome.out)
        ferried("convert", bert_file, tmp_path / "c.safetensors", "--map", tmp_path / "draft.toml")
        assert "46 equal, 0 different" in ferried("diff", tmp_path / "b.safetensors", tmp_path / "c.safetensors").out

    def test_what_is_left_over(self, tmp_path: Path) -> None:
        (tmp_path / "t.json").write_text('{"v.1": [1], "other": [3]}')
        outcome = ferried("map", "draft", ADD, tmp_path / "t.json")
        assert "# no target found for v2 float32 [1]\n# no source found for other [3]\n" in outcome.out
        found = ferried("map", "draft", ADD, tmp_path / "t.json", "--json").json
        assert (found["sources_left"], found["targets_left"]) == (["v2"], ["other"])
        assert found["rules"][0]["from"] == "v1"
        assert 0 < found["rules"][0]["confidence"] < 1


def test_scopes_of_an_assignment_map(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"conv1/": "first/", "conv2/bias": "b"}')
    ferried("convert", MNIST, tmp_path / "m.npz", "--map", tmp_path / "t.json")
    found = set(tensorferry.load_checkpoint(tmp_path / "m.npz"))
    assert {"first/kernel", "b", "conv2/kernel", "fc1/kernel"} <= found
    assert not {name for name in found if name.startswith("conv1/")}


def test_from_python(table: Path, tmp_path: Path) -> None:
    tensorferry.convert(MNIST, tmp_path / "m.npz", map=table, exclude=["logits/*"])
    assert len(tensorferry.load_checkpoint(tmp_path / "m.npz")) == 13
    tensorferry.convert(ADD, tmp_path / "a.npz", map=[table], allow_unmatched=True, allow_unused=True)
    assert not tensorferry.load_checkpoint(tmp_path / "a.npz")
