"""Tables as text again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.mapping.presets import preset_names, read_preset
from tensorferry.converters.mapping.spell import spelled_rule, toml_table
from tensorferry.formats.errors import UnsupportedError

from .tables import parsed_toml, rules


@pytest.mark.parametrize(
    "item",
    [
        {"from": "a", "to": "b"},
        {"from": "l{n:int}.{m:02}", "to": "{n+1}/{m}/{n}"},
        {"from": "{p:a|b}{q:c|d}", "to": "{q}{p:e|f}"},
        {"from": "{x:path}*?", "to": "{x}*?"},
        {"regex": "(a)(?P<x>b)", "to": "{x}{1}"},
        {"from": "a*", "drop": "old", "optional": True},
        {"from": ["a", "b"], "to": ["c", "d"], "do": [{"concat": 0}, {"split": {"axis": 0, "sizes": [1, 2]}}]},
        {"from": ["a"], "to": ["c"], "do": [{"concat": 0}, {"chunk": {"axis": 0, "parts": 1}}]},
        {"from": "a", "to": "b", "where": {"rank": 2, "dtype": ["int8"], "shape": [-1, 2]}},
        {"from": "a", "to": ["b", "c"], "do": "tie"},
    ],
)
def test_rules_as_they_were(item):
    assert spelled_rule(rules(item)[0]) == item


@pytest.mark.parametrize("name", preset_names())
def test_presets(name):
    """Spelled and read again they are the same rules."""
    table = read_preset(name)
    spelled = [spelled_rule(rule) for rule in table.rules]
    again = parsed_toml(toml_table(spelled))["rules"]
    assert again == spelled


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=3), st.lists(st.text(), max_size=2))
def test_any_data_as_toml(items, comments):
    assert parsed_toml(toml_table(items, comments)) == {"rules": items}


def test_notes():
    text = toml_table([{"from": "a", "to": "b"}], ["above\n"], ["0.9 sure"])
    assert text == '# above?\nrules = [\n  {from = "a", to = "b"},  # 0.9 sure\n]'


def test_what_toml_can_not_hold():
    with pytest.raises(UnsupportedError, match=r"^TOML: can't hold the name '\\+udc80' \(--json can\)$"):
        toml_table([{"from": "\udc80"}])
