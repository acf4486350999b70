"""The tensors of a source under names for people, each with its role.

A TensorFlow 2 checkpoint has keys that are paths through objects; `scheme` says which names its tensors go by ("key",
"full" or "object", see `formats.object_names`). All other sources have their own names only. Roles (`roles`) tell
weights from optimizer slots, averages, steps and bookkeeping, in checkpoints: any other source holds what somebody
chose to put there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from tensorferry.formats.detect import Source
from tensorferry.formats.errors import UsageError
from tensorferry.formats.tensor import Tensor

from ..load import tensors_of
from .roles import WEIGHT, roles

CHECKPOINTS = ("bundle", "v1_checkpoint", "meta_graph", "saved_model")
"""The kinds of source whose entries have roles."""


@dataclass(slots=True)
class Named:
    """Tensors by name. `keys` tells the source's own name of each, `roles` its role."""

    origin: Mapping[str, Tensor]
    """What the source's reader gave: tensors by the source's own names."""
    tensors: dict[str, Tensor]
    keys: dict[str, str]
    roles: dict[str, str]
    dropped: dict[str, str] = field(default_factory=dict)
    """The source's own name -> why it has no name here: it is stored twice."""
    notes: list[str] = field(default_factory=list)


def named_tensors(source: Source, scheme: str | None = None) -> Named:
    """The tensors of a source. `scheme` None means names for people where the source has an object graph."""
    from tensorferry.formats.object_graph import has_object_graph, object_tensors
    from tensorferry.formats.object_names import SCHEMES, name_tensors, scheme_for_people

    tensors = tensors_of(source)
    if scheme is not None and scheme not in SCHEMES:
        raise UsageError(f"--names {scheme}", f"expected one of {', '.join(SCHEMES)}")
    if source.kind not in CHECKPOINTS:
        return Named(tensors, dict(tensors), {name: name for name in tensors}, dict.fromkeys(tensors, WEIGHT))
    objects = object_tensors(tensors, source.path) if has_object_graph(tensors) else {}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    found = roles(tensors, shapes=shapes, objects=objects or None)
    if not objects:
        kinds = {name: role.kind for name, role in found.items()}
        return Named(tensors, dict(tensors), {name: name for name in tensors}, kinds)
    chosen = next(name for name in SCHEMES if name == (scheme or scheme_for_people(objects)))
    naming = name_tensors(tensors, objects, chosen)
    notes = []
    if chosen != "key":
        notes.append(f"names are the object graph's ({chosen}); --names key gives the checkpoint's own")
    notes += [f"{key} keeps the name {naming.names[key]}: {why}" for key, why in naming.fallen_back.items()]
    return Named(
        origin=tensors,
        tensors={name: tensors[key] for key, name in naming.names.items()},
        keys={name: key for key, name in naming.names.items()},
        roles={name: found[key].kind for key, name in naming.names.items()},
        dropped=naming.left_out,
        notes=notes,
    )


def source_name(path: str | os.PathLike[str]) -> str:
    """What a result calls its source: the last part of the path."""
    return os.fsencode(os.path.basename(os.path.normpath(path))).decode("utf-8", "replace")
