"""What belongs beside the weights of a table's result: the config.json that Hugging Face's loaders ask for, words.

Written where the destination is a directory: DIR/config.json and DIR/model.safetensors (or its shards and their index),
and the files that the table says are copied, of those that are beside the source (`mapping.config`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.binary import read_file
from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import Tensor

from ..names.named import named_tensors
from .job import Job
from .options import Options, Path
from .report import Checked, Report

CONFIG = "config.json"
WEIGHTS = "model.safetensors"

_LARGEST_COPY = 256 << 20


def weights_in(destination: str, options: Options) -> str:
    """The file of weights that a directory stands for, given a table with a config; else the destination itself."""
    configured = any(getattr(table, "config", None) for table in options.tables)
    if configured and os.path.isdir(destination) and options.to in (None, "safetensors"):
        return os.path.join(destination, WEIGHTS)
    return destination


def with_config(job: Job, source: Path, options: Options, report: Report) -> Job:
    """The job, and beside it the config of the first table that has one, and what that copies."""
    from ..mapping.config import config_of, copies_of, read_settings
    from ..mapping.table import Table

    table = next(table for table in options.tables if isinstance(table, Table) and table.config)
    found = detect(source)
    directory = os.path.dirname(found.files[0])
    settings, copies = read_settings(table, directory), copies_of(table, directory)
    config = config_of(table, named_tensors(found, options.names).tensors, settings)
    report.notes.append(f"{CONFIG} beside it, of {table.path}")
    if config.given:
        report.notes.append(f"{CONFIG}: {', '.join(config.given)} from {os.path.basename(settings.path)}")
    if config.assumed:
        told = ", ".join(f"{key} {json.dumps(config.entries[key])}" for key in config.assumed)
        report.notes.append(f"{CONFIG}: shapes do not tell, assumed: {told}")
    report.notes += [f"{name} beside it, a copy of {path}" for name, path in copies.items()]
    return WithConfig(job, config.entries, copies)


@dataclass(slots=True)
class WithConfig(Job):
    """Another job, a config.json, and copies: name -> what is copied."""

    job: Job
    config: Mapping[str, Any]
    copies: Mapping[str, str]

    def destinations(self, path: str) -> list[str]:
        """The weights last: they are what others look for."""
        return [*self._extra(path), *self.job.destinations(path)]

    @property
    def tensors_written(self) -> Iterable[Tensor]:
        """Those of the other job."""
        return self.job.tensors_written

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """The config, the copies, and what the other job writes."""
        config, *others = self._extra(path)
        files.open(config).write(json.dumps(self.config, indent=2).encode() + b"\n")
        for destination, source in zip(others, self.copies.values(), strict=True):
            files.open(destination).write(read_file(source, "a vocabulary", _LARGEST_COPY))
        self.job.write(files, path, report)

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """As the other job does, with its own parts."""
        beside = {CONFIG, *self.copies}
        return self.job.verify({path: part for path, part in parts.items() if os.path.basename(path) not in beside})

    def published(self, path: str, report: Report, *, force: bool) -> None:
        """As the other job does."""
        self.job.published(path, report, force=force)

    def _extra(self, path: str) -> list[str]:
        return [os.path.join(os.path.dirname(path), name) for name in (CONFIG, *self.copies)]
