"""Plan and write weights: the named tensors of a source, selected and renamed, as safetensors, .npz or a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import Tensor

from ..load import load_checkpoint
from ..names.named import named_tensors, source_name
from ..names.roles import BOOKKEEPING, EMA, OPTIMIZER, STEP, WEIGHT
from ..names.selection import Entry, Selection
from .cast import Cast, cast_floats, overflows
from .convert_bundle import BundleJob, storage_order
from .job import Job
from .options import Options, Path
from .report import Checked, Report, plural
from .shards import plan_shards, shard_index, shard_names
from .storable import make_storable
from .verify import verify_tensors

SURPLUS = {
    EMA: "moving averages (--ema takes them, --keep-optimizer keeps them)",
    OPTIMIZER: "of the optimizer (--keep-optimizer keeps them)",
    STEP: "counters of training (--keep-optimizer keeps them)",
    BOOKKEEPING: "the checkpoint's bookkeeping (--keep-optimizer keeps it)",
}
"""Why what is not a weight is left out."""


def plan_weights(source: Path, target: str, options: Options, report: Report) -> WeightsJob | BundleJob:
    """Selects and renames the tensors of `source`, and accounts for them in `report`."""
    scheme = options.names or ("key" if target == "bundle" else None)
    named = named_tensors(detect(source), scheme)
    surplus = {} if options.keep_optimizer else {n: SURPLUS[r] for n, r in named.roles.items() if r != WEIGHT}
    selection = options.select(named.tensors, surplus)
    report.notes += named.notes
    report.dropped |= named.dropped
    report.dropped_bytes = sum(t.nbytes for n, t in named.tensors.items() if n in selection.dropped)
    tensors: dict[str, Tensor] = selection.tensors
    if options.dtype:
        tensors = cast_floats(tensors, options.dtype)
    casts = [tensor for tensor in tensors.values() if isinstance(tensor, Cast)]
    if casts:
        types = sorted({str(tensor.base.dtype) for tensor in casts})
        report.notes.append(f"{plural(len(casts), 'tensor')} cast from {', '.join(types)} to {options.dtype}")
    if target != "bundle":
        tensors = _storable(tensors, target, options.unstorable, selection, report)
    report.take(selection)
    report.keep(Entry(e.target, e.source, tensors[e.target], e.averaged) for e in selection.entries.values())
    if target == "bundle":
        order = storage_order(source, selection, named.keys)
        return BundleJob({name: tensors[name] for name in order})
    shards: list[Mapping[str, Tensor]] = [tensors]
    if options.max_shard_size is not None and sum(t.nbytes for t in tensors.values()) > options.max_shard_size:
        shards = list(plan_shards(tensors, options.max_shard_size))
        report.notes.append(f"divided into {plural(len(shards), 'file')}")
    return WeightsJob(target, tensors, shards, source_name(source))


def _storable(
    tensors: dict[str, Tensor], target: str, policy: str, selection: Selection, report: Report
) -> dict[str, Tensor]:
    """The tensors in types that the format has; those that are dropped leave the selection."""
    if target == "npz":
        from tensorferry.formats.npz_file import has_type, refuse_unstorable
    else:
        from tensorferry.formats.safetensors_file import has_type, refuse_unstorable
    tensors, dropped, notes = make_storable(tensors, has_type, policy)
    for name, reason in dropped.items():
        selection.dropped[selection.entries.pop(name).source] = reason
    report.notes += notes
    refuse_unstorable(tensors)
    return tensors


@dataclass(slots=True)
class WeightsJob(Job):
    """Tensors on their way into one file, or into several with an index."""

    target: str
    tensors: Mapping[str, Tensor]
    shards: list[Mapping[str, Tensor]]
    source: str

    def destinations(self, path: str) -> list[str]:
        """The one file; or the shards beside where it would be, and their index."""
        if len(self.shards) == 1:
            return [path]
        folder, name = os.path.split(path)
        stem = PurePath(name).stem
        files = [os.path.join(folder, shard) for shard in shard_names(stem, len(self.shards))]
        return [*files, os.path.join(folder, f"{stem}.safetensors.index.json")]

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Streams every tensor; reports those with values too large for the type that they are cast to."""
        if self.target == "npz":
            from tensorferry.formats.npz_file import write_npz

            write_npz(path, self.tensors, files=files)
        else:
            self._write_safetensors(files, path)
        report.notes += overflows(self.tensors)

    def _write_safetensors(self, files: OutputSet, path: str) -> None:
        from tensorferry import __version__
        from tensorferry.formats.safetensors_file import write_safetensors

        metadata = {"format": "pt", "producer": f"tensorferry {__version__}", "source": self.source}
        destinations = self.destinations(path)
        for shard, destination in zip(self.shards, destinations, strict=False):
            write_safetensors(destination, shard, metadata, files=files)
        if len(destinations) > 1:
            named = dict(zip(map(os.path.basename, destinations), self.shards, strict=False))
            files.open(destinations[-1]).write(json.dumps(shard_index(named), indent=2).encode() + b"\n")

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Reads every tensor back and compares it bit for bit."""
        found: dict[str, Tensor] = {}
        for destination, part in parts.items():
            if not destination.endswith(".json"):
                found |= load_checkpoint(part)
        return verify_tensors(self.tensors, found)
