"""What a target has, for a draft."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorferry.converters.drafting.link import Wanted
from tensorferry.converters.drafting.wanted import read_wanted
from tensorferry.formats.errors import FormatError
from tests.converters.mapping.tables import write


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"a": [2, 3], "b": []}, {"a": Wanted((2, 3)), "b": Wanted(())}),
        (
            {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
            {"a": Wanted((2,), None, "float32")},
        ),
        ({"metadata": {}, "weight_map": {"a": "model-00001-of-00001.safetensors"}}, {"a": Wanted(None)}),
        (["a", "b"], {"a": Wanted(None), "b": Wanted(None)}),
    ],
)
def test_json(tmp_path, data, expected):
    assert read_wanted(write(tmp_path / "t.json", data)) == expected


def test_a_file_of_tensors(tmp_path):
    save_file({"a": np.ones((2, 3), np.float32)}, tmp_path / "t.safetensors")
    (found,) = read_wanted(tmp_path / "t.safetensors").values()
    assert (found.shape, found.tensor.numpy().tolist()) == ((2, 3), [[1, 1, 1]] * 2)


def test_an_index_with_its_files(tmp_path):
    save_file({"a": np.ones((2, 3), np.float32)}, tmp_path / "m-00001-of-00001.safetensors")
    index = {"metadata": {"total_size": 24}, "weight_map": {"a": "m-00001-of-00001.safetensors"}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    assert read_wanted(tmp_path / "m.safetensors.index.json")["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": 3}, "expected a shape of a, got 3"),
        ({"a": [-1]}, "expected a shape of a, got [-1]"),
        ({"a": {"dtype": "F32"}}, "expected a shape of a, got None"),
        (3, "expected names with shapes, got a int"),
    ],
)
def test_what_is_wrong(tmp_path, data, message):
    path = write(tmp_path / "t.json", data)
    with pytest.raises(FormatError) as error:
        read_wanted(path)
    assert str(error.value) == f"{path}: {message}"
