"""Writing the object graph of a TF2 checkpoint again, after tensors were left out or renamed (see `object_graph`).

TensorFlow restores by objects: an attribute of a node names the key of its tensor. It takes a checkpoint without a
graph for one of TensorFlow 1, and finds nothing in it, silently; it stops at an attribute whose key is not there.
So those of tensors that are left out go, and the others get the new keys, which have to contain `/.ATTRIBUTES/`.
Everything else stays as it was: TensorFlow passes over objects without attributes.

An attribute of several tensors (`table`, of a hash table: `table-keys`, `table-values`) needs them all, and its own key
is what their keys begin with.

Source: TensorFlow's python/checkpoint/restore.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import protos
from .binary import Path


def renamed_object_graph(message: bytes, names: Mapping[str, str | None], where: Path) -> tuple[bytes, int, int]:
    """The message for the tensors that are left, and how many attributes it has and had.

    `names` maps every key of the checkpoint to the new one, or to None. FormatError, at `where`, if it is no message.
    """
    graph = protos.parse("TrackableObjectGraph", message, where)
    parts: dict[str, list[tuple[str, str | None]]] = {}
    for key, name in names.items():
        base, dash, part = key.rpartition("-")
        if dash:
            parts.setdefault(base, []).append((part, name))
    left, before, changed = 0, 0, False
    for node in graph.nodes:
        before += len(node.attributes)
        for attribute in list(node.attributes):
            key = attribute.checkpoint_key
            new = names[key] if key in names else _common(parts.get(key, []))
            changed |= new != key
            if new is None:
                node.attributes.remove(attribute)
            else:
                attribute.checkpoint_key = new
        left += len(node.attributes)
    return graph.SerializeToString(deterministic=True) if changed else message, left, before


def _common(parts: list[tuple[str, str | None]]) -> str | None:
    """What the new names of an attribute's parts begin with; None unless they have it in common."""
    bases = {name.removesuffix(f"-{part}") if name and name.endswith(f"-{part}") else None for part, name in parts}
    return bases.pop() if len(bases) == 1 else None
