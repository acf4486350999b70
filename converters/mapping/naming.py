"""By which names a table of rules takes a source that has two for each tensor: TensorFlow 2's object-based checkpoints.

A preset says what its source has (`recognition`). Where those are not the names for people but the keys in the
checkpoint, it gets these, as with --names key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tensorferry.formats.detect import Source
from tensorferry.formats.tensor import Tensor

from ..names.named import Named, named_tensors
from .patterns.hole import PatternError
from .patterns.matcher import TooLongError
from .recognition import fits
from .table import Table


def named_for(tables: Iterable[Mapping[str, str] | Table], source: Source, scheme: str | None = None) -> Named:
    """The tensors of a source, by the names of `scheme`; given None, by those that the tables are made for."""
    named = named_tensors(source, scheme)
    if scheme is not None or named.tensors.keys() == named.origin.keys():
        return named
    asking = [table for table in tables if isinstance(table, Table) and table.recognise.get("has")]
    if any(_has(table, named.origin) and not _has(table, named.tensors) for table in asking):
        named = named_tensors(source, "key")
        named.notes.append("names are the checkpoint's own (--names key), for which the table is made")
    return named


def _has(table: Table, tensors: Mapping[str, Tensor]) -> bool:
    try:
        return fits(table.recognise, tensors)
    except (PatternError, TooLongError):
        return False
