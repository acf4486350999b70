"""Write weights as a TensorFlow checkpoint: the script that renames, casts, strips or un-shards one, as a format.

    by default          one data file, every tensor whole, as a Saver leaves what it restored
    --max-shard-size    several data files of at most that size; a tensor that is larger has one of its own
    --keep-layout       the data files and the slices (partitioned variables) of the source, a checkpoint too

The data are in the source's own storage order, which is that of the names within each file of a V1 checkpoint; of other
sources they are in the order of the names. So a V2 checkpoint that is only copied comes out byte for byte the same: by
default if it was one file and not partitioned, and always with its layout.

The object graph of a TensorFlow 2 checkpoint goes along, brought in line with what is left out or renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.dtype import STRING_TYPE
from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.sliced import SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..cast import overflows
from ..names.named import Named
from ..names.roles import BOOKKEEPING
from ..names.selection import Entry, Selection
from .job import Job
from .options import Options
from .report import Checked, Report, plural
from .shards import older_files, plan_shards
from .verify import verify_tensors

if TYPE_CHECKING:
    from tensorferry.formats.bundle_layout import Layout, Piece


def plan_bundle(
    tensors: Mapping[str, Tensor], named: Named, selection: Selection, options: Options, report: Report
) -> BundleJob:
    """How `tensors`, what was selected of `named`, will lie in data files; says in `report` what that changes."""
    layout = _selected_layout(named, selection)
    if options.keep_layout:
        if layout is None:
            raise UsageError("--keep-layout", f"expected a checkpoint, got {report.source}")
        changed = [entry.target for entry in selection.entries.values() if entry.how]
        if changed:
            raise UsageError("--keep-layout", f"expected renames alone, got a table that makes {listing(changed)}")
        return BundleJob(tensors, layout)
    shards = [sorted(tensors)]
    if layout is not None:
        shards = [list(dict.fromkeys(piece.name for shard in layout for piece in shard))]
    if options.max_shard_size is not None:
        ordered = {name: tensors[name] for name in shards[0]}
        shards = [list(shard) for shard in plan_shards(ordered, options.max_shard_size)]
    report.notes += _changes(layout or [[]], len(shards))
    return BundleJob(tensors, shards)


def _selected_layout(named: Named, selection: Selection) -> Layout | None:
    """What each data file of the source holds of the selection, under the names of the result; None if it has none."""
    from tensorferry.formats.bundle import Bundle
    from tensorferry.formats.bundle_layout import Piece, read_layout
    from tensorferry.formats.v1_checkpoint import V1Checkpoint

    if isinstance(named.origin, Bundle):
        layout = read_layout(named.origin.path)
    elif isinstance(named.origin, V1Checkpoint):
        layout = named.origin.layout()
    else:
        return None
    made: dict[str, list[Entry]] = {}
    for entry in selection.entries.values():
        made.setdefault(named.keys.get(entry.source, entry.source), []).append(entry)
    placed: set[Piece] = set()
    shards: list[list[Piece]] = []
    for shard in layout:
        # What a table made of a tensor is whole, and lies where the first slice of that did.
        pieces = [Piece(e.target, None if e.how else p.extents) for p in shard for e in made.get(p.name, ())]
        shards.append([piece for piece in dict.fromkeys(pieces) if piece not in placed])
        placed.update(pieces)
    return [shard for shard in shards if shard] or [[]]


def keep_object_graph(named: Named, selection: Selection, tensors: dict[str, Tensor]) -> list[str]:
    """Takes the object graph of a TF2 checkpoint into the selection and its tensors, rewritten for these; gives notes.

    Without it, TensorFlow 2 would restore nothing, and not say so. `--exclude` leaves it out all the same, and so do
    names that TensorFlow can't restore objects by.
    """
    from tensorferry.formats.object_graph import ATTRIBUTES, GRAPH_KEY
    from tensorferry.formats.object_graph_writer import renamed_object_graph

    if named.roles.get(GRAPH_KEY) != BOOKKEEPING or selection.dropped.get(GRAPH_KEY, "").startswith("--exclude"):
        return []
    graph = named.origin[GRAPH_KEY]
    selection.dropped.pop(GRAPH_KEY, None)
    selection.entries.pop(GRAPH_KEY, None)
    tensors.pop(GRAPH_KEY, None)
    names: dict[str, str | None] = dict.fromkeys(named.origin)
    names |= {named.keys.get(e.source, e.source): e.target for e in selection.entries.values() if not e.how}
    odd = [key for key, name in names.items() if name and ATTRIBUTES in key and ATTRIBUTES not in name]
    if odd:
        selection.dropped[GRAPH_KEY] = f"TensorFlow 2 can't restore objects by names without {ATTRIBUTES}"
        return []
    old = bytes(graph.numpy().item())
    new, left, before = renamed_object_graph(old, names, GRAPH_KEY)
    tensors[GRAPH_KEY] = graph if new is old else _text(new)
    selection.entries[GRAPH_KEY] = Entry(GRAPH_KEY, GRAPH_KEY, tensors[GRAPH_KEY])
    return [] if new is old else [f"the object graph tells where {left} of {plural(before, 'tensor')} went"]


def _text(value: bytes) -> Tensor:
    import numpy as np

    array: np.ndarray[Any, Any] = np.empty((), object)
    array[()] = value
    return ArrayTensor(array, STRING_TYPE)


def _changes(layout: Layout, files: int) -> list[str]:
    """What to say of a layout that is given up for whole tensors in as many `files`."""
    sliced = len({piece.name for shard in layout for piece in shard if piece.extents is not None})
    changes = [f"{plural(sliced, 'partitioned tensor')} put together"] if sliced else []
    if files > 1:
        changes.append(f"divided into {files} data files")
    elif len(layout) > 1:
        changes.append(f"{len(layout)} data files joined")
    hint = " (--keep-layout keeps both)" if sliced or len(layout) > 1 else ""
    return [f"{', '.join(changes)}{hint}"] if changes else []


@dataclass(slots=True)
class BundleJob(Job):
    """Tensors on their way into a checkpoint; `shards` tells what each data file holds, in order."""

    tensors: Mapping[str, Tensor]
    shards: Sequence[Sequence[str | Piece]]

    @property
    def tensors_written(self) -> Iterable[Tensor]:
        """All of them, partitioned ones by their slices: these may leave a part of a tensor uncovered."""
        for tensor in self.tensors.values():
            yield from (part.tensor for part in tensor.parts) if isinstance(tensor, SlicedTensor) else (tensor,)

    def destinations(self, path: str) -> list[str]:
        """The data and the index."""
        from tensorferry.formats.bundle_writer import bundle_files

        return bundle_files(path, len(self.shards))

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams every tensor."""
        from tensorferry.formats.bundle_writer import write_bundle

        write_bundle(path, self.tensors, files=files, shards=self.shards)
        report.notes += overflows(self.tensors)

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Reads every tensor back and compares it bit for bit."""
        from tensorferry.formats.bundle import read_bundle

        return verify_tensors(self.tensors, read_bundle(list(parts.values())[-1].removesuffix(".index")))

    def older(self, path: str) -> list[str]:
        """Those of a checkpoint in another number of files."""
        return older_files(self.destinations(path))

    def published(self, path: str, report: Report, *, force: bool) -> None:
        """Names the checkpoint in the state file beside it, as a Saver does; an older one stays unless forced."""
        from tensorferry.formats.checkpoint_state import STATE_FILE
        from tensorferry.formats.checkpoint_state_writer import write_state

        state = os.path.join(os.path.dirname(path), STATE_FILE)
        if os.path.lexists(state) and not force:
            report.notes.append(f"{state} stays as it was (--force replaces it)")
        else:
            write_state(state, path, force=force)
