"""What a table would do with the weights of a source."""

import pytest

from tensorferry.converters.jobs.check_map import check_map, weights_of
from tensorferry.converters.mapping.table import Table
from tensorferry.formats.errors import NameMapError
from tests.converters.mapping.tables import rules
from tests.fixture import FIXTURES


def table(*items):
    return Table("t.toml", tuple(rules(*items)))


def test_weights_alone_are_asked_for():
    """The fixture has an optimizer's slots and averages beside its weights."""
    source = FIXTURES["mnist"].prefix
    selection = check_map(table({"from": "**", "to": "x/**"}), source)
    assert set(selection.entries) == {f"x/{name}" for name in weights_of(source)}
    assert len(weights_of(source)) == 15
    assert len(FIXTURES["mnist"].tensors()) > 15


def test_averages():
    selection = check_map(table({"from": "v", "to": "w"}), FIXTURES["ema"].prefix, "ExponentialMovingAverage")
    assert selection.entries["w"].averaged


def test_what_does_not_fit():
    with pytest.raises(NameMapError, match=r"^t\.toml: rule 1: expected w in the source, got none"):
        check_map(table({"from": "w", "to": "x"}), FIXTURES["add"].prefix)


def test_flat_tables():
    assert set(check_map({"v1": "a"}, FIXTURES["add"].prefix).entries) == {"a", "v2"}
