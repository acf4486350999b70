"""What tests of tables share: tables as text, and sources of small tensors."""

import json

import numpy as np

from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.rule import read_rule
from tensorferry.formats.tensor import ArrayTensor


def tensors(**shapes):
    """A tensor of different numbers for each name (`__` stands for a slash); a shape, or an array."""
    found = {}
    for index, (name, given) in enumerate(shapes.items()):
        array = given if isinstance(given, np.ndarray) else np.arange(np.prod(given, dtype=int), dtype=np.float32)
        shaped = array if isinstance(given, np.ndarray) else (array + 1000 * index).reshape(given)
        found[name.replace("__", "/")] = ArrayTensor(shaped)
    return found


def rules(*items, derived=None):
    """The rules that a table's items are, numbered as places."""
    return [read_rule(item, f"rule {number}", derived or {}) for number, item in enumerate(items, 1)]


def planned(source, *items, gone=None, derived=None):
    """The plan of rules over a source."""
    return make_plan(rules(*items, derived=derived), source, gone)


def made(plan):
    """Target name -> array."""
    return {name: tensor.numpy() for move in plan.moves for name, tensor in move.targets.items()}


def problems(source, *items, gone=None, derived=None):
    """All that is wrong with rules over a source."""
    plan = planned(source, *items, gone=gone, derived=derived)
    return plan.all_problems(source, allow_unmatched=False, allow_unused=False)


def parsed_toml(text):
    """TOML as plain data."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    return tomllib.loads(text)


def write(path, data):
    """A table as a JSON file."""
    path.write_text(json.dumps(data), "utf-8")
    return path
