"""What a regular expression is made of: the tree that `regex` reads and `regex_program` compiles."""

from __future__ import annotations

from dataclasses import dataclass

from .hole import PatternError
from .matcher import Chars


class RegexError(PatternError):
    """The text is no expression of this kind; says what was expected and at which character."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Set:
    chars: Chars


@dataclass(frozen=True, slots=True)
class Group:
    number: int
    body: Node
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    body: Node
    least: int
    most: int | None
    greedy: bool


Node = Text | Set | Group | Row | Either | Repeat


def may_be_empty(node: Node) -> bool:
    if isinstance(node, Text):
        return not node.text
    if isinstance(node, Set):
        return False
    if isinstance(node, Group):
        return may_be_empty(node.body)
    if isinstance(node, Row):
        return all(map(may_be_empty, node.items))
    if isinstance(node, Either):
        return any(map(may_be_empty, node.items))
    return node.least == 0 or may_be_empty(node.body)


def row_of(tree: Node) -> list[str | tuple[int, str]] | None:
    """The tree as texts and groups in a row; None where it is more than that."""
    parts: list[str | tuple[int, str]] = []
    for node in tree.items if isinstance(tree, Row) else (tree,):
        if isinstance(node, Text):
            parts.append(node.text)
        elif isinstance(node, Group) and not _has_groups(node.body):
            parts.append((node.number, node.source))
        else:
            return None
    return parts


def _has_groups(node: Node) -> bool:
    if isinstance(node, (Row, Either)):
        return any(map(_has_groups, node.items))
    return isinstance(node, Group) or (isinstance(node, Repeat) and _has_groups(node.body))
