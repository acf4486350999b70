"""Variables that follow from a source."""

import pytest

from tensorferry.converters.mapping.patterns.matcher import Steps
from tensorferry.converters.mapping.variables import VariableError, resolve, substitute

from .tables import tensors

SOURCE = tensors(word=(100, 64), l0__w=(64, 64), l1__w=(64, 64))


def test_values():
    derived = {
        "width": {"dim": 1, "of": "word"},
        "last": {"dim": -1, "of": "l{n:int}/w"},
        "layers": {"count": "l{n:int}/w"},
        "none": {"count": "x*"},
        "one": {"count": "word"},
        "heads": {"quotient": ["${width}", 16]},
        "all": {"product": ["${heads}", "${layers}"]},
        "part": {"ratio": ["${heads}", 16]},
    }
    expected = {"width": 64, "last": 64, "layers": 2, "none": 0, "one": 1, "heads": 4, "all": 8, "part": 0.25}
    assert resolve(derived, SOURCE, Steps()) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dim": 1, "of": "x"}, "expected a tensor x in the source, got none"),
        ({"dim": 2, "of": "word"}, "expected a dimension of word [100, 64], got 2"),
        ({"dim": "1", "of": "word"}, "expected a dimension of word [100, 64], got '1'"),
        ({"dim": 1, "of": 3}, "expected a name, got 3"),
        ({"count": "{"}, "expected } behind '{' (\\{ is the character itself)"),
        ({"quotient": [5, 2]}, "expected 2 to divide 5"),
        ({"quotient": [5, 0]}, "expected 0 to divide 5"),
        ({"ratio": [5, 0]}, "expected 0 to divide 5"),
        ({"product": [{"ratio": [1, 2]}, 2]}, "expected a whole number, got {'ratio': [1, 2]}"),
        ({"quotient": [5]}, "expected two numbers for quotient, got [5]"),
        ({"product": ["${later}", 2]}, "expected a whole number, got '${later}'"),
        ({"size": 3}, "expected {dim, of}, {count}, {quotient}, {product}, {sum} or {ratio}, got {'size': 3}"),
    ],
)
def test_what_is_wrong(given, message):
    with pytest.raises(VariableError) as error:
        resolve({"v": given}, SOURCE, Steps())
    assert str(error.value) == f"variable v: {message}"


def test_substitution():
    data = {"a": ["${x}/${y}", 3, True], "b": {"c": "${x}"}}
    assert substitute(data, {"x": "n", "y": 2}) == {"a": ["n/2", 3, True], "b": {"c": "n"}}


def test_texts_that_grow():
    grown = "x" * 60_000
    with pytest.raises(VariableError, match="^expected texts of at most 100000 characters, got 120008$"):
        substitute("${a}${a}", {"a": grown})
