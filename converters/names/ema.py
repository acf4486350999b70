"""`variables_to_restore`: the dictionary that gives averaged variables back under their own names.

TensorFlow's `ExponentialMovingAverage.variables_to_restore()` maps the name in the checkpoint to the variable: the
shadow's name for every variable that is averaged, its own name for every other. Which are averaged is

    in a graph          the trainable ones, and those in the collection `moving_average_variables`
    in a checkpoint     those that have a shadow
"""

from __future__ import annotations

import os
from collections.abc import Collection

from tensorferry.formats.detect import detect
from tensorferry.formats.errors import GraphError

from ..ir import Model
from ..load import load_model, tensors_of
from .selection import EMA_SUFFIX, shadow_pairs


def restore_table(path: str | os.PathLike[str], suffix: str = EMA_SUFFIX) -> dict[str, str]:
    """The table for what is at `path`: of its graph, where it has one with collections, else of its tensors' names."""
    source = detect(path)
    if source.graph is not None:
        model = load_model(path)
        if model.collections:
            return restore_table_of_graph(model, suffix)
    return restore_table_of_names(tensors_of(source), suffix)


def restore_table_of_names(names: Collection[str], suffix: str = EMA_SUFFIX) -> dict[str, str]:
    """Name in the checkpoint -> variable, for a checkpoint that holds `names`; sorted."""
    pairs = shadow_pairs(names, suffix)
    table = {shadow: variable for variable, shadow in pairs.items()}
    for name in names:
        if name not in pairs and name not in table:
            table[name] = name
    return dict(sorted(table.items()))


def restore_table_of_graph(model: Model, suffix: str = EMA_SUFFIX) -> dict[str, str]:
    """Name in the checkpoint -> variable, for a graph with its collections; sorted."""
    collections = model.collections
    if "variables" not in collections and "trainable_variables" not in collections:
        raise GraphError(model.path, "expected a MetaGraph with collections of variables, got a graph without")
    averaged = [*collections.get("trainable_variables", ()), *collections.get("moving_average_variables", ())]
    table = {f"{variable}/{suffix}": variable for variable in averaged}
    for variable in collections.get("variables", ()):
        if variable not in averaged and variable not in table:
            table[variable] = variable
    return dict(sorted(table.items()))
