"""What belongs beside the weights of a table's result: the config.json that Hugging Face's loaders ask for, words.

Written where the destination is a directory, which may be new: DIR/config.json and DIR/model.safetensors (or its shards
and their index), the table's other files of JSON, and copies of files beside the source (`mapping.config`,
`mapping.beside`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.binary import read_file
from tensorferry.formats.errors import DestinationError
from tensorferry.formats.tensor import Tensor

from ..mapping.beside import CONFIG, LARGEST, copies_of, files_of
from ..mapping.config import config_of, read_settings
from ..mapping.table import Table
from ..mapping.told import file_of
from ..mapping.variables import variables_in
from .convert_weights import WeightsJob
from .job import Job
from .options import Options
from .report import Checked, Report

WEIGHTS = "model.safetensors"


def weights_in(destination: str, options: Options) -> str:
    """The file of weights that a directory stands for, given a table with a config; else the destination itself.

    A name without an ending, or with a slash at its end, is a directory's that may have to be made. DestinationError
    where there is a file of that name.
    """
    if not destination or options.to not in (None, "safetensors"):
        return destination
    if not any(getattr(table, "config", None) for table in options.tables):
        return destination
    directory = destination.rstrip("/" + os.sep) or destination
    if not os.path.isdir(directory):
        if directory == destination and (options.to or os.path.splitext(destination)[1]):
            return destination
        if os.path.lexists(directory):
            raise DestinationError(directory, "expected a directory or nothing, got a file")
    return os.path.join(directory, WEIGHTS)


def with_config(job: Job, directory: str, options: Options, report: Report) -> Job:
    """The job, and beside it the config of the first table that has one, its other files, and what that copies.

    `directory` is where the source lies. The job writes weights: `weights_in` gives their file.
    """
    assert isinstance(job, WeightsJob)
    table = next(table for table in options.tables if isinstance(table, Table) and table.config)
    tensors = job.named.tensors
    settings, copies = read_settings(table, directory), copies_of(table, directory)
    config = config_of(table, tensors, settings)
    files = files_of(table, tensors, directory)
    report.notes.append(f"{CONFIG} beside it, of {table.path}")
    if config.given:
        report.notes.append(f"{CONFIG}: {', '.join(config.given)} from {os.path.basename(settings.path)}")
    if config.assumed:
        report.notes.append(_assumption(CONFIG, {key: config.entries[key] for key in config.assumed}))
    for name, data in files.items():
        report.notes.append(f"{name} beside it, of {table.path}")
        if name in table.beside.get("assumes", ()):
            report.notes.append(_assumption(name, data))
        report.notes += _told(table, name, data)
    report.notes += [f"{name} beside it, a copy of {path}" for name, path in copies.items()]
    return WithConfig(job, {CONFIG: config.entries, **files}, copies)


def _told(table: Table, name: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """What to say of the entries of a file that copies told; a whole vocabulary would be too much to say."""
    tells = table.beside.get("tells", {})
    for key, value in table.files[name].items():
        variables = variables_in(value) & set(tells)
        if variables and not isinstance(entries[key], (dict, list)):
            yield f"{name}: {key} {json.dumps(entries[key])} from {file_of(tells[min(variables)])}"


def _assumption(name: str, entries: Mapping[str, Any]) -> str:
    told = ", ".join(f"{key} {json.dumps(value)}" for key, value in entries.items())
    return f"{name}: shapes do not tell, assumed: {told}"


@dataclass(slots=True)
class WithConfig(Job):
    """Another job, files of JSON: name -> data, and copies: name -> what is copied."""

    job: Job
    files: Mapping[str, Mapping[str, Any]]
    copies: Mapping[str, str]

    def destinations(self, path: str) -> list[str]:
        """The weights last: they are what others look for."""
        folder = os.path.dirname(path)
        return [*(os.path.join(folder, name) for name in (*self.files, *self.copies)), *self.job.destinations(path)]

    @property
    def tensors_written(self) -> Iterable[Tensor]:
        """Those of the other job."""
        return self.job.tensors_written

    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """The files, the copies, and what the other job writes."""
        folder = os.path.dirname(path)
        for name, data in self.files.items():
            files.open(os.path.join(folder, name)).write(json.dumps(data, indent=2).encode() + b"\n")
        for name, source in self.copies.items():
            files.open(os.path.join(folder, name)).write(read_file(source, "a vocabulary", LARGEST))
        self.job.write(files, path, report)

    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """As the other job does, with its own parts."""
        beside = {*self.files, *self.copies}
        return self.job.verify({path: part for path, part in parts.items() if os.path.basename(path) not in beside})

    def older(self, path: str) -> list[str]:
        """As of the other job."""
        return self.job.older(path)

    def published(self, path: str, report: Report, *, force: bool) -> None:
        """As the other job does."""
        self.job.published(path, report, force=force)
