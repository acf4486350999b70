"""What a conversion is asked to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import UsageError, listing
from tensorferry.formats.tensor import Tensor

from ..names.selection import Selection, select_names

if TYPE_CHECKING:
    import numpy as np

    from ..mapping.table import Table

Path = str | os.PathLike[str]


@dataclass(slots=True)
class Options:
    """What a conversion was asked to do; the command line and `tensorferry.convert` say it in their own ways."""

    graph: Path | None = None
    to: str | None = None
    inputs: Sequence[str] | None = None
    outputs: Sequence[str] | None = None
    signature: str | None = None
    tag: str | None = None
    keep_functions: bool = False
    clean: bool = False
    fold_constants: bool = False
    fold_batch_norm: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[Mapping[str, str] | Table] = ()
    allow_unmatched: bool = False
    allow_unused: bool = False
    ema: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    names: str | None = None
    keep_optimizer: bool = False
    dtype: str | None = None
    unstorable: str = "error"
    max_shard_size: int | None = None
    keep_layout: bool = False
    opset: int | None = None
    no_fuse: Sequence[str] = ()
    inputs_as_nchw: Sequence[str] = ()
    outputs_as_nchw: Sequence[str] = ()
    external_data: bool = False
    verify: bool = False
    feeds: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """What inputs get when a graph is verified, by public name or by value; the others get random values."""
    dry_run: bool = False
    force: bool = False
    progress: Callable[[int, int], None] | None = None
    """Called with the bytes written and the bytes in all, while weights are written."""

    def select(
        self, tensors: Mapping[str, Tensor], surplus: Mapping[str, str] | None = None, *, graph: bool = False
    ) -> Selection:
        """The tensors that were asked for, under the names that were; see `select_names` and `select_by_tables`.

        For the variables of a `graph` a table can only rename, and need not name all that a checkpoint holds.
        """
        flat = [table for table in self.tables if isinstance(table, Mapping)]
        if len(flat) == len(self.tables):
            idle = {"--allow-unmatched": self.allow_unmatched, "--allow-unused": self.allow_unused}
            if any(idle.values()):
                given = listing(name for name, value in idle.items() if value)
                raise UsageError(given, "expected a table of rules to go with it, got none")
            return select_names(
                tensors,
                include=self.include,
                exclude=self.exclude,
                ema=self.ema,
                rename=self.rename,
                tables=flat,
                surplus=surplus,
            )
        from ..mapping.select import refuse_transforms, select_by_tables

        if graph:
            refuse_transforms(self.tables, "a graph's variables")
        return select_by_tables(
            tensors,
            self.tables,
            rename=self.rename,
            include=self.include,
            exclude=self.exclude,
            ema=self.ema,
            surplus=surplus,
            allow_unmatched=self.allow_unmatched,
            allow_unused=self.allow_unused or graph,
        )
