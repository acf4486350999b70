"""A job: what a conversion will write, planned and checked before the first byte."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.tensor import Tensor

from .report import Checked, Report


class Job(ABC):
    """One kind of result on its way into files. `path` is the destination that the user named."""

    __slots__ = ()

    @abstractmethod
    def destinations(self, path: str) -> list[str]:
        """The files that will be written, the one that refers to the others last."""

    @property
    def tensors_written(self) -> Iterable[Tensor]:
        """The tensors whose values are written out, whole."""
        return ()

    @abstractmethod
    def write(self, files: OutputSet, path: str, report: Report) -> None:
        """Writes them; adds to the report what only shows while values pass by."""

    @abstractmethod
    def verify(self, parts: Mapping[str, str]) -> list[Checked]:
        """Compares what was written with the source; `parts` tells where each destination's bytes are for now."""

    def older(self, path: str) -> list[str]:
        """Files of an older result that is in others than `destinations`, and would be taken for this one."""
        return []

    def published(self, path: str, report: Report, *, force: bool) -> None:
        """What remains to be done when the files are in their places; nothing, mostly."""
        return
