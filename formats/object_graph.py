"""The object graph of a TF2 checkpoint: which Python objects its tensors belonged to, and what those were called.

A TF2 checkpoint is a bundle whose keys are paths through objects, and not always telling (`optimizer/_variables/7`).
One more tensor, a scalar string `_CHECKPOINTABLE_OBJECT_GRAPH`, is a TrackableObjectGraph message:

    nodes[0]          the root: the tf.train.Checkpoint, or the SavedModel's object
    node              children: (local name, node)           attributes, list items, dict entries; cycles are common
                      attributes: (name, full name, checkpoint key)     its tensors: one for a variable
                      slot_variables: (variable's node, slot's name, slot's node)     only of optimizers

    checkpoint key    PATH/.ATTRIBUTES/VARIABLE_VALUE             of a variable; in PATH, `.` is `..` and `/` is `.S`
                      VARIABLE/.OPTIMIZER_SLOT/OPTIMIZER/SLOT/.ATTRIBUTES/VARIABLE_VALUE     of a slot variable
                      PATH/.ATTRIBUTES/table-keys, table-values   of a hash table, whose attribute is `table`
    full name         the variable's own, as in TF1 (`hidden/kernel`), often one for many (`kernel`)

A variable has a path for each reference to it: the shortest way to the object that refers to it, and the name that this
one has for it. (All ways together may be exponentially many.) The one for people comes first: where there is a choice,
not through the lists that Keras keeps of all its variables.

Keras 3 has no slot_variables: its optimizers have a list `_variables` of all that is their own, `_trainable_variables`
of what they train, and a list for each kind of slot (`_momentums`) in its order. What Keras 3 exports holds every
variable twice, the second time in a list `_all_variables`.

Source: TensorFlow's core/protobuf/trackable_object_graph.proto, python/checkpoint/util.py, python/trackable/base.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import protos
from .binary import Path
from .dtype import STRING
from .errors import FormatError, UnsupportedError
from .sliced import SlicedTensor
from .tensor import Tensor

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

MAX_TEXT = 1 << 26
"""Characters of all paths together; 20,000 variables have two millions."""

VARIABLE_VALUE = "VARIABLE_VALUE"
ATTRIBUTES = "/.ATTRIBUTES/"
"""What is in the key of every object's tensor; TensorFlow looks for it."""
_COPIES = "_all_variables"
_LISTS = frozenset({
    "_variables", "_trainable_variables", _COPIES, "variables", "trainable_variables", "non_trainable_variables",
})  # fmt: skip
"""Keras' lists of variables, whose items have no names."""


@dataclass(frozen=True, slots=True)
class ObjectTensor:
    """What the object graph says of the tensor under `key`."""

    key: str
    full_name: str = ""
    paths: tuple[str, ...] = ()
    """Paths to its object, the one for people first; none for a slot variable that only its optimizer knows."""
    attribute: str = VARIABLE_VALUE
    """Which of the object's tensors it is."""
    optimizer: str | None = None
    """The path of the optimizer that it belongs to, and nothing else does; None for what belongs to none."""
    slot: str = ""
    """The name of the slot (`m`) where it is a slot variable; `variable` is the key of what it is a slot of."""
    variable: str = ""
    duplicate_of: str = ""
    """The key of the same variable's other copy, where Keras has stored it twice."""

    @property
    def object_name(self) -> str:
        """Its path, for people; of a tensor other than a variable's value, with the attribute's name behind it."""
        if not self.paths:
            return self.key.removesuffix(ATTRIBUTES + VARIABLE_VALUE)
        return self.paths[0] if self.attribute == VARIABLE_VALUE else f"{self.paths[0]}/{self.attribute}"


def has_object_graph(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint is one of TF2's, with an object graph."""
    return GRAPH_KEY in tensors


def object_tensors(tensors: Mapping[str, Tensor], where: Path) -> dict[str, ObjectTensor]:
    """What the object graph of the checkpoint `tensors` says of each of them, in their order.

    Those that belong to no object are missing: the graph itself, and all tensors of a checkpoint without one. `where`
    is for messages. FormatError where the graph is damaged or contradicts itself.
    """
    if not has_object_graph(tensors):
        return {}
    value = tensors[GRAPH_KEY]
    if value.dtype.kind != STRING or value.shape:
        raise FormatError(where, f"expected {GRAPH_KEY} to be one string, got {value.dtype} {list(value.shape)}")
    graph = protos.parse("TrackableObjectGraph", bytes(value.numpy().item()), f"{where}: {GRAPH_KEY}")
    found = _Reader(graph, where).read(tensors)
    return _mark_copies({key: found[key] for key in tensors if key in found}, tensors)


class _Reader:
    """One graph, its references checked and followed. Every step looks at a reference a few times at most."""

    def __init__(self, graph: Any, where: Path) -> None:
        self.nodes = graph.nodes
        self.where = where
        self.text = 0
        self.referrers: list[list[tuple[int, str]]] = [[] for _ in self.nodes]
        self.keys: list[str] = []
        """The checkpoint key of each object's value; empty where it has none."""
        for number, node in enumerate(self.nodes):
            for child in node.children:
                self.refuse_number(child.node_id, number)
                self.referrers[child.node_id].append((number, child.local_name))
            for slot in node.slot_variables:
                self.refuse_number(slot.original_variable_node_id, number)
                self.refuse_number(slot.slot_variable_node_id, number)
            self.keys.append(next((a.checkpoint_key for a in node.attributes if a.name == VARIABLE_VALUE), ""))
        self.shortest = self.shortest_paths()
        self.optimizers = {number for number, node in enumerate(self.nodes) if _is_optimizer(node)}
        self.owners: dict[int, int] = {}
        """A variable that belongs to an optimizer and to nothing else -> that optimizer."""
        self.slots: dict[int, tuple[str, str]] = {}
        """A slot variable -> the slot's name, and the key of its variable."""
        for number in self.optimizers:
            self.read_optimizer(number)

    def refuse_number(self, number: int, referrer: int) -> None:
        if not 0 <= number < len(self.nodes):
            raise FormatError(
                self.where, f"expected object {referrer} to refer to one below {len(self.nodes)}, got {number}"
            )

    def shortest_paths(self) -> list[str | None]:
        """The shortest path to each object; None for those that no path leads to."""
        found: list[str | None] = [None] * len(self.nodes)
        queue = [0] if self.nodes else []
        for number in queue:
            if number == 0:
                found[0] = ""
            for child in self.nodes[number].children:
                if child.node_id and found[child.node_id] is None:
                    found[child.node_id] = self.join(found[number], child.local_name)
                    queue.append(child.node_id)
        return found

    def join(self, parent: str | None, name: str) -> str:
        path = f"{parent}/{name}" if parent else name
        self.text += len(path)
        if self.text > MAX_TEXT:
            raise UnsupportedError(self.where, f"expected object paths of at most {MAX_TEXT} characters, got more")
        return path

    def read(self, tensors: Mapping[str, Tensor]) -> dict[str, ObjectTensor]:
        """What there is to say of each of `tensors`, in no order."""
        found: dict[str, ObjectTensor] = {}
        named: dict[str, ObjectTensor] = {}
        for number, node in enumerate(self.nodes):
            paths, owner, (slot, variable) = None, self.owners.get(number), self.slots.get(number, ("", ""))
            for attribute in node.attributes:
                key = attribute.checkpoint_key
                if key in named:
                    continue
                paths = self.paths(number, key) if paths is None else paths
                optimizer = None if owner is None else self.shortest[owner]
                entry = ObjectTensor(key, attribute.full_name, paths, attribute.name, optimizer, slot, variable)
                named[key] = entry
                if key in tensors:
                    found[key] = entry
        for key in tensors:
            base, dash, part = key.rpartition("-")
            if dash and key not in found and base in named:
                entry = named[base]
                found[key] = replace(entry, key=key, attribute=f"{entry.attribute}-{part}")
        return found

    def paths(self, number: int, key: str) -> tuple[str, ...]:
        """The paths of an object, those through fewer lists first, then the checkpoint's own, then shorter ones."""
        found = []
        own = _unescaped(key.partition(ATTRIBUTES)[0])
        for parent, name in self.referrers[number]:
            if self.shortest[parent] is not None:
                path = self.join(self.shortest[parent], name)
                parts = path.split("/")
                found.append(((sum(map(_LISTS.__contains__, parts)), path != own, len(parts)), path))
        return tuple(dict.fromkeys(path for _, path in sorted(found, key=lambda item: item[0])))

    def read_optimizer(self, optimizer: int) -> None:
        """Finds an optimizer's variables and slots."""
        node = self.nodes[optimizer]
        for slot in node.slot_variables:
            self.owners[slot.slot_variable_node_id] = optimizer
            self.slots[slot.slot_variable_node_id] = slot.slot_name, self.keys[slot.original_variable_node_id]
        lists: dict[str, list[int]] = {}
        for child in node.children:
            if self.referrers[child.node_id] == [(optimizer, child.local_name)] and not self.keys[child.node_id]:
                lists[child.local_name] = [item.node_id for item in self.nodes[child.node_id].children]
        places = {child.node_id for child in node.children} | {optimizer}
        trained = lists.pop("_trainable_variables", [])
        own = {child.node_id for child in node.children}.union(lists.get("_variables", []))
        own = {n for n in own.difference(trained) if all(parent in places for parent, _ in self.referrers[n])}
        self.owners.update((number, optimizer) for number in own if self.keys[number])
        for number in set(lists.pop("_variables", [])) & own:
            if not any(parent == optimizer for parent, _ in self.referrers[number]):
                self.slots[number] = "variables", ""
        for name, numbers in lists.items():
            if len(numbers) == len(trained):
                for number, variable in zip(numbers, trained, strict=True):
                    if number in self.slots and number in own:
                        self.slots[number] = name.lstrip("_"), self.keys[variable]


def _is_optimizer(node: Any) -> bool:
    """Whether an object is an optimizer: one with slot variables, or Keras 3's."""
    return bool(node.slot_variables) or {"_variables", "_iterations"} <= {child.local_name for child in node.children}


def _unescaped(path: str) -> str:
    """A path in a checkpoint key as the local names it was made of."""
    return re.sub(r"\.[.S]", lambda match: "." if match[0] == ".." else "/", path)


def _mark_copies(found: dict[str, ObjectTensor], tensors: Mapping[str, Tensor]) -> dict[str, ObjectTensor]:
    """`found`, with `duplicate_of` where a variable of a list `_all_variables` stands elsewhere too.

    That is: under the same full name, with the same dtype, shape and checksum.
    """
    copies = [t for t in found.values() if t.paths and all(path.split("/")[-2:-1] == [_COPIES] for path in t.paths)]
    if not copies:
        return found
    keys = {copy.key for copy in copies}
    originals = {(t.full_name, _print(tensors[t.key])): t.key for t in found.values() if t.key not in keys}
    for copy in copies:
        original = originals.get((copy.full_name, _print(tensors[copy.key])))
        if original is not None and copy.full_name and _print(tensors[copy.key]) is not None:
            found[copy.key] = replace(copy, duplicate_of=original)
    return found


def _print(tensor: Tensor) -> tuple[Any, ...] | None:
    """What tells a value from others without reading it; None where nothing does."""
    if isinstance(tensor, SlicedTensor):
        parts = tuple((part.start, _print(part.tensor)) for part in tensor.parts)
        return None if any(print_ is None for _, print_ in parts) else (tensor.dtype, tensor.shape, parts)
    crc = getattr(tensor, "crc32c", None)
    return None if crc is None else (tensor.dtype, tensor.shape, crc)
