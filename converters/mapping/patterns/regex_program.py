"""Regular expressions as programs of `matcher`."""

from __future__ import annotations

from .matcher import MAX_PROGRAM, Instruction
from .regex_tree import Either, Group, Node, RegexError, Repeat, Row, Set, Text


def program_of(tree: Node) -> list[Instruction]:
    """The program that matches what a tree stands for. RegexError where it would be too long."""
    program = _Program()
    program.start(tree)
    return program.steps


class _Program:
    """Instructions from a tree; an instruction's `next` is always the one behind it, or is patched in."""

    def __init__(self) -> None:
        self.steps: list[Instruction] = []

    def start(self, tree: Node) -> None:
        self._emit(tree)
        self._add("end")

    def _add(self, *step: object) -> int:
        if len(self.steps) >= MAX_PROGRAM:
            raise RegexError(f"expected at most {MAX_PROGRAM} steps, got more: fewer or smaller counts in braces help")
        self.steps.append(step)
        return len(self.steps) - 1

    def _emit(self, node: Node) -> None:
        after = len(self.steps) + 1
        if isinstance(node, Text):
            self._add("text", node.text, after)
        elif isinstance(node, Set):
            self._add("char", node.chars, after)
        elif isinstance(node, Group):
            self._add("save", 2 * node.number, after)
            self._emit(node.body)
            self._add("save", 2 * node.number + 1, len(self.steps) + 1)
        elif isinstance(node, Row):
            for item in node.items:
                self._emit(item)
        elif isinstance(node, Either):
            self._emit_either(node)
        else:
            self._emit_repeat(node)

    def _emit_either(self, node: Either) -> None:
        leaving: list[int] = []
        for item in node.items[:-1]:
            fork = self._add("fork", len(self.steps) + 1, 0)
            self._emit(item)
            leaving.append(self._add("text", "", 0))
            self.steps[fork] = ("fork", fork + 1, len(self.steps))
        self._emit(node.items[-1])
        for index in leaving:
            self.steps[index] = ("text", "", len(self.steps))

    def _emit_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            before = len(self.steps)
            self._emit(node.body)
            if len(self.steps) == before:
                return  # nothing, however often
        forks: list[int] = []
        if node.most is None:
            forks.append(self._add("fork", 0, 0))
            self._emit(node.body)
            self._add("text", "", forks[0])
        else:
            for _ in range(node.most - node.least):
                forks.append(self._add("fork", 0, 0))
                self._emit(node.body)
        for fork in forks:
            into, out = fork + 1, len(self.steps)
            self.steps[fork] = ("fork", into, out) if node.greedy else ("fork", out, into)
