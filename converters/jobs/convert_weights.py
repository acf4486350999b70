"""Plan and write weights: the named tensors of a source, selected and renamed, as safetensors, .npz or a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.detect import detect
from tensorferry.formats.dtype import STRING
from tensorferry.formats.sliced import refuse_incomplete
from tensorferry.formats.tensor import Tensor

from ..cast import cast_floats, overflows
from ..load import load_checkpoint
from ..names.named import Named, named_tensors
from ..names.roles import BOOKKEEPING, EMA, OPTIMIZER, STEP, WEIGHT
from ..names.selection import Selection
from .convert_bundle import BundleJob, keep_object_graph, plan_bundle
from .job import Job
from .options import Options, Path
from .provenance import metadata_notes, provenance, without_renames
from .report import Checked, Report, plural
from .shards import older_files, plan_shards, shard_index, shard_names
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
    named = _named(source, scheme, options)
    selection = options.select(named.tensors, _surplus(named, target, options))
    report.notes += named.notes
    report.dropped |= named.dropped
    report.dropped_bytes = sum(t.nbytes for n, t in named.tensors.items() if n in selection.dropped)
    tensors: dict[str, Tensor] = selection.tensors
    if not options.keep_layout:
        refuse_incomplete(tensors.values())
    if options.dtype:
        tensors = cast_floats(tensors, options.dtype)
        report.notes += _casts(selection.tensors, tensors, options.dtype)
    tensors = _storable(tensors, target, options.unstorable, selection, report)
    if target == "bundle":
        report.notes += keep_object_graph(named, selection, tensors)
    report.take(selection)
    report.keep(replace(entry, tensor=tensors[entry.target]) for entry in selection.entries.values())
    metadata = None
    if target == "safetensors":
        metadata = provenance(source, named.origin, _renames(named, selection))
    report.notes += metadata_notes(named.origin, metadata)
    if target == "bundle":
        return plan_bundle(tensors, named, selection, options, report)
    shards: list[Mapping[str, Tensor]] = [tensors]
    if options.max_shard_size is not None and sum(t.nbytes for t in tensors.values()) > options.max_shard_size:
        shards = list(plan_shards(tensors, options.max_shard_size))
        report.notes.append(f"divided into {plural(len(shards), 'file')}")
    return WeightsJob(target, named, tensors, shards, metadata or {})


def _named(source: Path, scheme: str | None, options: Options) -> Named:
    """The tensors of the source by the names of the scheme, or by those that the tables are made for."""
    if all(isinstance(table, Mapping) for table in options.tables):
        return named_tensors(detect(source), scheme)
    from ..mapping.naming import named_for

    return named_for(options.tables, detect(source), scheme)


def _surplus(named: Named, target: str, options: Options) -> dict[str, str]:
    """Why what is not a weight is left out, by name."""
    surplus: dict[str, str] = {}
    for name, role in named.roles.items():
        if role == BOOKKEEPING and named.tensors[name].dtype.kind == STRING and target != "bundle":
            surplus[name] = "of use in a checkpoint only"
        elif role != WEIGHT and not options.keep_optimizer:
            surplus[name] = SURPLUS[role]
    return surplus


def _casts(before: Mapping[str, Tensor], after: Mapping[str, Tensor], dtype: str) -> list[str]:
    """What to say of the tensors that are cast."""
    types = [str(before[name].dtype) for name in after if after[name].dtype != before[name].dtype]
    return [f"{plural(len(types), 'tensor')} cast from {', '.join(sorted(set(types)))} to {dtype}"] if types else []


def _renames(named: Named, selection: Selection) -> dict[str, str]:
    """The source's own name -> the result's, where they differ and the value is the same."""
    pairs = ((named.keys[entry.source], entry.target) for entry in selection.entries.values() if not entry.how)
    return {old: new for old, new in pairs if old != new}


def _storable(
    tensors: dict[str, Tensor], target: str, policy: str, selection: Selection, report: Report
) -> dict[str, Tensor]:
    """The tensors in types that the format has; those that are dropped leave the selection."""
    if target == "npz":
        from tensorferry.formats.npz_file import can_hold, refuse_unstorable
    elif target == "safetensors":
        from tensorferry.formats.safetensors_file import can_hold, refuse_unstorable
    else:
        from tensorferry.formats.bundle_writer import can_hold, refuse_unstorable
    tensors, dropped, notes = make_storable(tensors, can_hold, policy)
    for name, reason in dropped.items():
        selection.dropped[selection.entries.pop(name).source] = reason
    report.notes += notes
    refuse_unstorable(tensors)
    return tensors


@dataclass(slots=True)
class WeightsJob(Job):
    """Tensors on their way into one file, or into several with an index."""

    target: str
    named: Named
    """The tensors of the source."""
    tensors: Mapping[str, Tensor]
    """Those of the result."""
    shards: list[Mapping[str, Tensor]]
    metadata: Mapping[str, str]
    """What safetensors files say of their origin."""

    @property
    def tensors_written(self) -> Iterable[Tensor]:
        """All of them."""
        return self.tensors.values()

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
        from tensorferry.formats.safetensors_file import write_safetensors

        destinations = self.destinations(path)
        metadata = self.metadata
        for shard, destination in zip(self.shards, destinations, strict=False):
            write_safetensors(destination, shard, metadata, files=files)
            metadata = without_renames(metadata)
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

    def older(self, path: str) -> list[str]:
        """Those of weights in another number of files."""
        return older_files(self.destinations(path)) if self.target == "safetensors" else []
