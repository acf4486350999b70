"""The error tree: everything that tensorferry raises on purpose.

    TensorferryError          where it happened, what is wrong, and a hint if one helps
    ├── FormatError           the bytes are not what the format says
    ├── UnsupportedError      valid, but not handled here
    ├── GraphError            the graph contradicts itself, or lacks what was asked of it
    ├── NameMapError          a name is missing, doubled or ambiguous
    ├── DestinationError      the result can't be written where it was asked to go
    └── UsageError            options that are wrong or contradict each other

Every message is one line, `<path or node>: <what was expected and what was found>`; several findings of
one kind are reported together, so that one run tells all. Where that is too much for a line, the line counts them,
and `problems` has them one by one; the command line prints these below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Error = TypeVar("_Error", bound="TensorferryError")

_IN_A_LINE = 20
"""Findings that one line may hold."""


class TensorferryError(Exception):
    """Root of the tree.

    `where` is the path, node or name that the message is about, `problem` what is wrong with it, `hint` a way out.
    """

    problems: Sequence[str] = ()
    """All findings one by one, where there are more of them than a line should hold (`of_many`)."""

    def __init__(self, where: object, problem: str, hint: str = "") -> None:
        self.where = one_line(where)
        self.problem = one_line(problem)
        self.hint = one_line(hint)
        super().__init__(self.where, self.problem, self.hint)  # what pickle gives back to __init__

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {self.problem}{hint}" if self.where else f"{self.problem}{hint}"


class FormatError(TensorferryError):
    """The bytes are not what the format says."""


class UnsupportedError(TensorferryError):
    """The input is valid, and this version does not handle it."""


class GraphError(TensorferryError):
    """The graph contradicts itself, or lacks a node that was asked for."""


class NameMapError(TensorferryError):
    """A name is missing, doubled or ambiguous."""


class DestinationError(TensorferryError):
    """The result can't be written where it was asked to go."""


class UsageError(TensorferryError):
    """Options that are wrong, or that contradict each other."""


def one_line(text: object) -> str:
    """Escapes what would break a line or a terminal: names in files may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def of_many(kind: type[_Error], where: object, findings: Sequence[str], before: str = "", hint: str = "") -> _Error:
    """One error of that kind for all findings; where they are too many for its line, they are its `problems`."""
    if len(findings) <= _IN_A_LINE:
        return kind(where, before + "; ".join(findings), hint)
    error = kind(where, f"{before}{len(findings)} problems, the first of them: {findings[0]}", hint)
    error.problems = [one_line(finding) for finding in findings]
    return error


def listing(items: Iterable[_Item], limit: int = 20) -> str:
    """`a, b, c`, with a count in place of what lies beyond `limit` items."""
    names = [str(item) for item in items]
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f", ... and {rest} more" if rest > 0 else "")
