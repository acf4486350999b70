"""What both sides of a verification are fed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tensorferry.converters.ir import Shape, ValueInfo
from tensorferry.converters.jobs.verify import make_feeds, random_feeds, words_of
from tensorferry.converters.tables import Table
from tensorferry.formats.dtype import FLOAT32, STRING_TYPE
from tensorferry.formats.errors import UnsupportedError, UsageError
from tensorferry.formats.tensor import ArrayTensor
from tests.cli import ferried, ferry
from tests.fixture import FIXTURES


def test_words_that_the_tables_know() -> None:
    words = ArrayTensor(np.array([b"a", b"b"], object), STRING_TYPE)
    numbers = ArrayTensor(np.array([1, 2]))
    tables = {"t": Table(words, numbers), "u": Table(words, numbers), "v": Table(numbers, words)}
    assert words_of(tables) == [b"a", b"b"]
    info = ValueInfo("x:0", STRING_TYPE, Shape((100,)))
    found = random_feeds([info], words=words_of(tables))["x:0"]
    assert set(found) == {b"text", b"a", b"b"}
    assert set(random_feeds([info])["x:0"]) == {b"text"}


def test_an_input_that_is_too_large_to_make_up() -> None:
    info = ValueInfo("x:0", FLOAT32, Shape((1 << 40, -1)))
    with pytest.raises(UnsupportedError, match=r"^x:0: expected an input of at most 268435456 elements, got \[109"):
        random_feeds([info])


def test_inputs_that_are_given() -> None:
    inputs = {"x": ValueInfo("a:0", FLOAT32, Shape()), "y:0": ValueInfo("y:0", FLOAT32, Shape((2,)))}
    given = np.ones((5, 7), np.float32)
    for name in "x", "a:0":
        feeds = make_feeds(inputs, {name: given})
        assert feeds["a:0"] is given
        assert feeds["y:0"].shape == (2,)
    with pytest.raises(UsageError) as error:
        make_feeds(inputs, {"z": given})
    assert str(error.value) == "--feed z: expected an input of the result, which has: x, y:0"


def test_an_input_of_unknown_rank() -> None:
    with pytest.raises(UnsupportedError, match=r"^x:0: expected an input of known type and rank, .*--feed gives some"):
        random_feeds([ValueInfo("x:0", FLOAT32)])


def test_feeds_from_the_command_line(tmp_path: Path) -> None:
    source, result = FIXTURES["mnist"].prefix, tmp_path / "m.onnx"
    np.save(tmp_path / "images.npy", np.random.default_rng(0).standard_normal((3, 784)).astype(np.float32))
    words = ["convert", source, result, "--outputs", "softmax:0", "--feed", f"images:0={tmp_path / 'images.npy'}"]
    assert ferried(*words, "--verify", "--json").json["verified"] is True
    assert "--feed: expected --verify to go with it, got none" in ferry(*words, "--force").err
    np.save(tmp_path / "images.npy", np.zeros((3, 5), np.float32))
    assert "images:0" in ferry(*words, "--verify", "--force").err
