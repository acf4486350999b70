"""The names that the tensors of a TF2 checkpoint go by: its own keys, the variables' full names, or object paths.

    key      model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE
    full     hidden/kernel
    object   model/layer_with_weights-0/kernel

Every tensor gets a name of its own. Where a full name is missing, or several have it, all of these take their object
paths; where such a path is nobody's own either, their keys. Each of them is in `fallen_back`, for the report. What is
stored twice gets one name: the copy is in `left_out`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .object_graph import VARIABLE_VALUE, ObjectTensor

Scheme = Literal["key", "full", "object"]
SCHEMES: tuple[Scheme, ...] = ("key", "full", "object")


@dataclass(slots=True)
class Naming:
    """Checkpoint key -> name, in the order of the checkpoint."""

    names: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Key -> why it gets no name."""
    fallen_back: dict[str, str] = field(default_factory=dict)
    """Key -> why its name is of another scheme."""


def name_tensors(keys: Iterable[str], objects: Mapping[str, ObjectTensor], scheme: Scheme) -> Naming:
    """A name for each of a checkpoint's `keys`, of which `object_tensors` told `objects`.

    Keys that belong to no object keep themselves as their names; by "key" all do, and copies too.
    """
    naming = Naming()
    choices: dict[str, list[str]] = {}
    for key in keys:
        found = objects.get(key)
        if scheme == "key" or found is None:
            choices[key] = [key]
        elif found.duplicate_of:
            naming.left_out[key] = "stored twice, and kept under the other key"
        else:
            full = [found.full_name if found.attribute == VARIABLE_VALUE else ""]
            choices[key] = [*(full if scheme == "full" else []), found.object_name, key]
    naming.names = {key: names[0] for key, names in choices.items()}
    while True:
        counts = Counter(naming.names.values())
        worse = [key for key, name in naming.names.items() if len(choices[key]) > 1 and (not name or counts[name] > 1)]
        if not worse:
            return naming
        for key in worse:
            name = choices[key].pop(0)
            why = f"{counts[name]} tensors have the name {name!r}" if name else f"it has no {scheme} name"
            naming.fallen_back.setdefault(key, why)
            naming.names[key] = choices[key][0]


def scheme_for_people(objects: Mapping[str, ObjectTensor]) -> Scheme:
    """The scheme whose names tell most: full names if those of the model's variables differ, else object paths.

    "key" where nothing is known of objects.
    """
    own = [o for o in objects.values() if o.optimizer is None and not o.duplicate_of and o.attribute == VARIABLE_VALUE]
    names = {found.full_name for found in own}
    if not objects:
        return "key"
    return "full" if len(names) == len(own) and "" not in names else "object"
