"""`convert` to ONNX: its options, and what the model says of where it is from."""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import tensorferry
from tensorferry.converters.lowering import PASSES

from ...cli import ferried, refused
from ...fixture import HOME
from ..onnx_model import run_model

ADD = HOME / "add" / "model.ckpt"
ENDS = {"inputs": "picture:0", "outputs": "larger:0"}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A frozen network for pictures of any size."""
    path = tmp_path / "network.pb"
    path.write_bytes(lzma.decompress((HOME / "models" / "super_resolution.pb.xz").read_bytes()))
    return path


def answer() -> tuple[Any, Any]:
    """A picture, and what TensorFlow made of it."""
    with np.load(HOME / "models" / "super_resolution.npz") as arrays:
        return arrays["feeds0_0"], arrays["fetches0_0"]


@pytest.mark.parametrize("sides", [("inputs",), ("outputs",), ("inputs", "outputs")])
def test_channels_second(network: Path, sides: tuple[str, ...]) -> None:
    path = network.with_suffix(".onnx")
    words = [word for side in sides for word in (f"--{side}-as-nchw", ENDS[side])]
    report = ferried("convert", network, path, *words, "--verify", "--json").json
    x, y = answer()
    (found,) = run_model(onnx.load(path), {"picture:0": x.transpose(0, 3, 1, 2) if "inputs" in sides else x}).values()
    np.testing.assert_allclose(found, y.transpose(0, 3, 1, 2) if "outputs" in sides else y, rtol=1e-3, atol=1e-5)
    assert report["transposes"] == 2 - len(sides)
    assert report["verified"] is True
    if "inputs" in sides:
        assert report["inputs"]["picture:0"].startswith("float32 [picture_dim0, 3, ")


def test_transposes_are_counted(network: Path) -> None:
    text = ferried("convert", network, network.with_suffix(".onnx")).out
    assert ", of these 2 Transposes\n" in text


def test_rewrites_are_left_out(network: Path) -> None:
    counts = [
        ferried("convert", network, network.with_suffix(".onnx"), "--force", "--json", *more).json["nodes"]["result"]
        for more in ([], ["--no-fuse", "clip,conv_bias"], ["--no-fuse", "layout"])
    ]
    assert counts[0] < min(counts[1:])


def test_the_help_names_all_rewrites() -> None:
    text = " ".join(ferried("convert", "--help").out.split())
    assert f"Leave out rewrites of the ONNX graph: {', '.join(PASSES)}." in text


def test_weights_in_a_file_of_their_own(network: Path) -> None:
    path = network.with_suffix(".onnx")
    report = ferried("convert", network, path, "--external-data", "--verify")
    assert "weights in network.onnx.data" in report.out
    external = [
        {entry.key: entry.value for entry in tensor.external_data}
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    assert external
    assert all(item["location"] == "network.onnx.data" and int(item["offset"]) % 4096 == 0 for item in external)
    onnx.checker.check_model(str(path), full_check=True)


def test_where_it_is_from(tmp_path: Path) -> None:
    ferried("convert", ADD, tmp_path / "add.onnx", "--opset", 17)
    model = onnx.load(tmp_path / "add.onnx")
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found.pop("producer") == f"tensorferry {tensorferry.__version__}"
    sums = {
        name: hashlib.sha256((HOME / "add" / name).read_bytes()).hexdigest()
        for name in ("model.ckpt.index", "model.ckpt.meta")
    }
    assert json.loads(found.pop("source_sha256")) == sums
    assert found == {"source": "model.ckpt", "opset": "17"}
    assert (model.producer_name, model.producer_version) == ("tensorferry", tensorferry.__version__)
    assert model.ir_version == 8


def test_the_same_from_python(network: Path) -> None:
    model = tensorferry.load_model(network)
    plain = tensorferry.to_onnx(model, outputs=["larger:0"])
    moved = tensorferry.to_onnx(
        model, outputs=["larger:0"], inputs_as_nchw=["picture:0"], outputs_as_nchw=["larger:0"], no_fuse=["clip"]
    )
    assert len(moved.graph.node) == len(plain.graph.node) - 2 + 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inputs-as-nchw", "x:0"], "--inputs-as-nchw x:0: expected names among picture:0"),
        (["--outputs-as-nchw", "x:0,y:0"], "--outputs-as-nchw x:0,y:0: expected names among larger:0"),
        (["--no-fuse", "speed"], "speed: expected the name of a rewrite, one of dilations, "),
        (["--to", "graphdef", "--no-fuse", "gemm"], "--no-fuse: means nothing for graphdef"),
        (["--to", "graphdef", "--external-data"], "--external-data: means nothing for graphdef"),
        (["--to", "graphdef", "--inputs-as-nchw", "picture:0"], "--inputs-as-nchw: means nothing for graphdef"),
    ],
)
def test_what_is_refused(network: Path, words: list[str], message: str) -> None:
    assert message in refused("convert", network, network.with_suffix(".onnx"), *words)


def test_a_matrix_has_no_channels(tmp_path: Path) -> None:
    message = refused("convert", ADD, tmp_path / "add.onnx", "--outputs-as-nchw", "add:0")
    assert message.startswith("add:0: expected 3 to 5 dimensions, to put channels in front, got [1]")
