"""What a table would do with the weights of a source: a conversion up to the point where its format matters."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import Tensor

from ..mapping.naming import named_for
from ..mapping.table import Table
from ..names.roles import WEIGHT
from ..names.selection import Selection
from .convert_weights import SURPLUS
from .options import Options, Path
from .report import Report


def check_map(
    table: Table | Mapping[str, str], source: Path, ema: str | None = None, scheme: str | None = None
) -> Selection:
    """The result of a table, names and shapes. NameMapError lists all that does not fit."""
    named = named_for([table], detect(source), scheme)
    surplus = {name: SURPLUS[role] for name, role in named.roles.items() if role != WEIGHT}
    return Options(tables=[table], ema=ema).select(named.tensors, surplus)


def plan_of(selection: Selection, source: Path) -> Report:
    """All that a conversion would do for a result, as its report has it."""
    report = Report(os.fspath(source), "", "", dry_run=True)
    report.keep(selection.entries.values())
    report.take(selection)
    return report


def weights_of(
    source: Path, scheme: str | None = None, tables: Sequence[Table | Mapping[str, str]] = ()
) -> dict[str, Tensor]:
    """The weights at `source`, without what an optimizer and a training loop keep beside them."""
    named = named_for(tables, detect(source), scheme)
    return {name: tensor for name, tensor in named.tensors.items() if named.roles[name] == WEIGHT}
