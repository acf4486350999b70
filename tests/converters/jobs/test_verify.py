"""What both sides of a verification are fed with."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.ir import Shape, ValueInfo
from tensorferry.converters.jobs.verify import random_feeds, words_of
from tensorferry.converters.tables import Table
from tensorferry.formats.dtype import FLOAT32, STRING_TYPE
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import ArrayTensor


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
