"""Growth: how much there is of a function once all calls inside of it are inlined, known before anything is done.

Forty functions, each of which calls the one before twice, are a trillion nodes; two thousand that call each other in a
row have names as long as books. Both counts add up from the functions called, each looked at once:

    values   1 for each node and for each of its inputs, and those of the functions that it calls
    text     the characters of their names, a call's own name before each of what it calls

Of an If or Case, that is inlined where its choice is known, the largest branch counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tensorferry.formats.errors import UnsupportedError

from ..functions import called_function
from ..ir import AttrList, FuncRef, Function, Node

MAX_VALUES = 10_000_000
MAX_TEXT = 1 << 30

BRANCHES = {
    "If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch"), "Case": ("branches",),
    "StatelessCase": ("branches",),
}  # fmt: skip
"""The attributes that hold the functions of the ops that call one of several."""


@dataclass(frozen=True, slots=True)
class Size:
    """Nodes and inputs, and characters of their names."""

    values: int = 0
    text: int = 0


class Growth:
    """The sizes of a library's functions, and how much of the limits is left."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.values_left = MAX_VALUES
        self.text_left = MAX_TEXT
        self._sizes: dict[str, Size] = {}

    def take(self, call: Node, function: str) -> None:
        """Accounts for a function that takes the place of a call; UnsupportedError where it is too much."""
        size = self.size(function)
        self.values_left -= size.values
        self.text_left -= size.text + size.values * len(call.name)
        if self.values_left < 0:
            raise UnsupportedError(call.name, f"expected at most {MAX_VALUES} values in all functions called, got more")
        if self.text_left < 0:
            raise UnsupportedError(
                call.name, f"expected at most {MAX_TEXT} characters of names in all functions called"
            )

    def size(self, name: str) -> Size:
        """The size of a function with all that it calls. What calls itself counts once: it has no size."""
        stack = [name]
        entered: set[str] = set()
        while stack:
            current = stack[-1]
            if current in self._sizes or current not in self.functions:
                stack.pop()
                continue
            inner = [each for node in self.functions[current].nodes.values() for each in self._called(node)]
            if current not in entered:
                entered.add(current)
                stack += [each for each in inner if each not in self._sizes and each not in entered]
                continue
            stack.pop()
            self._sizes[current] = self._sum(self.functions[current])
        return self._sizes.get(name, Size())

    def _sum(self, function: Function) -> Size:
        values = text = 0
        for node in function.nodes.values():
            inner = max((self._sizes.get(name, Size()) for name in self._called(node)), key=_values, default=Size())
            values += 1 + len(node.inputs) + inner.values
            text += len(node.name) + sum(map(len, node.inputs)) + inner.text + inner.values * (len(node.name) + 1)
        return Size(values, text)

    def _called(self, node: Node) -> Iterator[str]:
        for name in BRANCHES.get(node.op, ()):
            attr = node.attrs.get(name)
            refs = attr.items if isinstance(attr, AttrList) else (attr,)
            yield from (ref.name for ref in refs if isinstance(ref, FuncRef))
        called = called_function(self.functions, node)
        if called is not None:
            yield called.name


def _values(size: Size) -> int:
    return size.values
