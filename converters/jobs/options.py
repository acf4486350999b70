"""What a conversion is asked to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tensorferry.formats.tensor import Tensor

from ..names.selection import Selection, select_names

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
    rename: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[Mapping[str, str]] = ()
    ema: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    names: str | None = None
    keep_optimizer: bool = False
    dtype: str | None = None
    unstorable: str = "error"
    max_shard_size: int | None = None
    opset: int | None = None
    verify: bool = False
    dry_run: bool = False
    force: bool = False
    progress: Callable[[int, int], None] | None = None
    """Called with the bytes written and the bytes in all, while weights are written."""

    def select(self, tensors: Mapping[str, Tensor], surplus: Mapping[str, str] | None = None) -> Selection:
        """The tensors that were asked for, under the names that were; see `select_names`."""
        return select_names(
            tensors,
            include=self.include,
            exclude=self.exclude,
            ema=self.ema,
            rename=self.rename,
            tables=self.tables,
            surplus=surplus,
        )
