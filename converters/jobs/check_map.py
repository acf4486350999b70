"""What a table would do with the weights of a source: a conversion up to the point where its format matters."""

from __future__ import annotations

from collections.abc import Mapping

from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import Tensor

from ..mapping.table import Table
from ..names.named import named_tensors
from ..names.roles import WEIGHT
from ..names.selection import Selection
from .convert_weights import SURPLUS
from .options import Options, Path


def check_map(
    table: Table | Mapping[str, str], source: Path, ema: str | None = None, scheme: str | None = None
) -> Selection:
    """The result of a table, names and shapes. NameMapError lists all that does not fit."""
    named = named_tensors(detect(source), scheme)
    surplus = {name: SURPLUS[role] for name, role in named.roles.items() if role != WEIGHT}
    return Options(tables=[table], ema=ema).select(named.tensors, surplus)


def weights_of(source: Path, scheme: str | None = None) -> dict[str, Tensor]:
    """The weights at `source`, without what an optimizer and a training loop keep beside them."""
    named = named_tensors(detect(source), scheme)
    return {name: tensor for name, tensor in named.tensors.items() if named.roles[name] == WEIGHT}
