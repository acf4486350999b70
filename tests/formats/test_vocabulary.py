"""Vocabulary files: what TensorFlow reads from them, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import FormatError
from tensorferry.formats.vocabulary import Columns, read_vocabulary
from tests.fixture import HOME

CASES: list[dict[str, Any]] = json.loads((HOME / "tables_v2" / "vocabularies.json").read_text("utf-8"))
INT64, STRING = DTYPES["int64"], DTYPES["string"]


def columns(case: dict[str, Any]) -> Columns:
    return Columns(
        case["key"],
        DTYPES[case["key_dtype"]],
        case["value"],
        DTYPES[case["value_dtype"]],
        case.get("vocab_size", -1),
        case.get("delimiter", "\t").encode(),
        case.get("offset", 0),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_as_tensorflow_reads_it(tmp_path: Path, case: dict[str, Any]) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(case["content"].encode("latin-1"))
    if case.get("refused"):
        with pytest.raises(FormatError, match=r"vocabulary\.txt: expected "):
            read_vocabulary(path, columns(case))
        return
    found = read_vocabulary(path, columns(case))
    order = np.argsort(found[0], kind="stable")
    for array, name in zip(found, ("keys", "values"), strict=True):
        dtype = DTYPES[case[f"{name[:-1]}_dtype"]]
        expected = [item.encode("latin-1") if isinstance(item, str) else item for item in case[name]]
        assert array.dtype == dtype.numpy()
        assert array[order].tolist() == np.array(expected, dtype.numpy()).tolist()


@pytest.mark.parametrize(
    ("content", "change", "message"),
    [
        (b"", {}, "expected a vocabulary file of at least one line, got none"),
        (b"a\n\n", {}, "expected no empty lines in a vocabulary file, got one at line 2"),
        (b"a\nb\n", {"size": 3}, "expected a vocabulary file of 3 lines, got 2"),
        (b"a\nb\na\n", {}, "expected keys of their own, got b'a' with another value at line 3"),
        (b"a\t1\nb\n", {"value": 1}, "expected at least 2 columns at line 2, got 1: b'b'"),
        (b"a\t1x\n", {"value": 1}, "expected int64 at line 1, got b'1x'"),
        (b"a\t9223372036854775808\n", {"value": 1}, "expected int64 at line 1, got b'9223372036854775808'"),
        (b"a\n", {"key": -3}, "expected a column of a vocabulary file, -1 or -2, got -3"),
        (b"a\n", {"value_dtype": DTYPES["int32"]}, "expected line numbers to be int64, got int32"),
        (b"a\n", {"delimiter": b", "}, "expected a delimiter of one byte, got b', '"),
        (b"a\t1\n", {"value": 1, "value_dtype": DTYPES["bool"]},
         "expected strings, integers or floats in a vocabulary file, got bool"),
    ],
)  # fmt: skip
def test_errors_say_where(tmp_path: Path, content: bytes, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "words"
    path.write_bytes(content)
    given: dict[str, Any] = {"key": 0, "key_dtype": STRING, "value": -1, "value_dtype": INT64} | change
    with pytest.raises(FormatError) as caught:
        read_vocabulary(path, Columns(**given))
    assert str(caught.value) == f"{path}: {message}"
