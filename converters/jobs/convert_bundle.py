"""Write weights as a TensorFlow checkpoint: the script that renames, casts, strips or un-shards one, as a format.

The data are in the source's own storage order, if it is a checkpoint, else in the order of the names. So a checkpoint
that is only copied comes out byte for byte the same, if it was one file and not partitioned.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import Tensor

from ..names.selection import Selection
from .cast import overflows
from .job import Job
from .options import Path
from .report import Checked, Report
from .verify import verify_tensors


def storage_order(source: Path, selection: Selection, keys: Mapping[str, str]) -> list[str]:
    """The target names of a selection, in the order in which a checkpoint keeps their values; else sorted.

    `keys` tells the source's own name of each tensor.
    """
    from tensorferry.formats.bundle_layout import read_layout

    prefix = detect(source).checkpoint
    if prefix is None:
        return sorted(selection.entries)
    pieces = (piece.name for shard in read_layout(prefix) for piece in shard)
    places = {name: place for place, name in enumerate(dict.fromkeys(pieces))}
    return sorted(selection.entries, key=lambda name: places[keys[selection.entries[name].source]])


@dataclass(slots=True)
class BundleJob(Job):
    """Tensors on their way into a checkpoint of one data file, in that order."""

    tensors: Mapping[str, Tensor]

    def destinations(self, path: str) -> list[str]:
        """The data and the index."""
        from tensorferry.formats.bundle_writer import bundle_files, refuse_unstorable

        refuse_unstorable(self.tensors)
        return bundle_files(path, 1)

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams every tensor."""
        from tensorferry.formats.bundle_writer import write_bundle

        write_bundle(path, self.tensors, files=files)
        report.notes += overflows(self.tensors)

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Reads every tensor back and compares it bit for bit."""
        from tensorferry.formats.bundle import read_bundle

        return verify_tensors(self.tensors, read_bundle(list(parts.values())[-1].removesuffix(".index")))

    def published(self, path: str, report: Report, *, force: bool) -> None:
        """Names the checkpoint in the state file beside it, as a Saver does; an older one stays unless forced."""
        from tensorferry.formats.checkpoint_state import STATE_FILE
        from tensorferry.formats.checkpoint_state_writer import write_state

        state = os.path.join(os.path.dirname(path), STATE_FILE)
        if os.path.lexists(state) and not force:
            report.notes.append(f"{state} stays as it was (--force replaces it)")
        else:
            write_state(state, path, force=force)
