"""Tensors by name, as a file or a set of files holds them: what every reader of tensors returns a kind of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .tensor import Tensor


class NamedTensors(Mapping[str, Tensor]):
    """Lazy tensors by name, in the order of the format; `path` is what they were read from. Nothing stays open."""

    __slots__ = ("_tensors", "path")

    def __init__(self, path: str, tensors: dict[str, Tensor]) -> None:
        self.path = path
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}: {len(self)} tensors>"
