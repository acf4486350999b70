"""Regular expressions for names, of the kind that cannot run for ever.

    abc  \\.  \\/        the characters themselves                .            any character
    [a-z_]  [^/]       one of a set, or of all others           \\d \\w \\s      digits, letters and _, spaces (ASCII)
    ab|cd              either                                   (?:...)      a group
    (...)              a group, {1}, {2}, ... in the target     (?P<n>...)   a group, {n} in the target
    * + ? {2} {2,5}    how often, as many as possible; with a `?` behind it as few as possible

An expression always matches the whole name; `^` in front and `$` behind may be written. There are no back references
and no looking around: these are what makes other kinds slow or endless. `matcher` bounds the steps of all the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .matcher import MAX_PROGRAM, Chars, Instruction

_CLASSES = {
    "d": Chars(ranges=(("0", "9"),)),
    "w": Chars(frozenset("_"), (("0", "9"), ("a", "z"), ("A", "Z"))),
    "s": Chars(frozenset(" \t\n\r\f\v")),
}
_MAX_DEPTH = 20
_MAX_REPEAT = 1000


class RegexError(ValueError):
    """The text is no expression of this kind; says what was expected and at which character."""


@dataclass(slots=True)
class Regex:
    """A compiled expression. `groups`: the name of each group, its number as text where it has none.

    `parts` is the expression as texts and groups (number, source) in a row, where it is no more than that: what can
    be turned around.
    """

    source: str
    program: list[Instruction]
    groups: list[str]
    parts: list[str | tuple[int, str]] | None


def compile_regex(source: str) -> Regex:
    """RegexError for what is none, or is none of this kind."""
    parser = _Parser(source)
    tree = parser.whole()
    program = _Program()
    program.start(tree)
    return Regex(source, program.steps, parser.groups, _row(tree))


@dataclass(frozen=True, slots=True)
class _Text:
    text: str


@dataclass(frozen=True, slots=True)
class _Set:
    chars: Chars


@dataclass(frozen=True, slots=True)
class _Group:
    number: int
    body: _Node
    source: str


@dataclass(frozen=True, slots=True)
class _Row:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Either:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    body: _Node
    least: int
    most: int | None
    greedy: bool


_Node = _Text | _Set | _Group | _Row | _Either | _Repeat


@dataclass(slots=True)
class _Parser:
    source: str
    place: int = 0
    depth: int = 0
    groups: list[str] = field(default_factory=list)

    def whole(self) -> _Node:
        self._take("^")
        tree = self._either()
        if self.place < len(self.source):
            raise self._error("the end")
        return tree

    def _error(self, expected: str) -> RegexError:
        found = repr(self.source[self.place]) if self.place < len(self.source) else "the end"
        return RegexError(f"expected {expected} at character {self.place + 1}, got {found}")

    def _peek(self) -> str:
        return self.source[self.place : self.place + 1]

    def _take(self, text: str) -> bool:
        if not self.source.startswith(text, self.place):
            return False
        self.place += len(text)
        return True

    def _either(self) -> _Node:
        items = [self._row()]
        while self._take("|"):
            items.append(self._row())
        return items[0] if len(items) == 1 else _Either(tuple(items))

    def _row(self) -> _Node:
        items: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            if self.source[self.place :] == "$":
                self.place += 1
                break
            items.append(self._repeated())
        return _Row(tuple(items))

    def _repeated(self) -> _Node:
        body = self._atom()
        if self._take("*"):
            least, most = 0, None
        elif self._take("+"):
            least, most = 1, None
        elif self._take("?"):
            least, most = 0, 1
        elif self._peek() == "{":
            least, most = self._counts()
        else:
            return body
        if most is None and _may_be_empty(body):
            raise RegexError(f"expected something to repeat before character {self.place}, got what may be empty")
        return _Repeat(body, least, most, greedy=not self._take("?"))

    def _counts(self) -> tuple[int, int | None]:
        end = self.source.find("}", self.place)
        low, comma, high = self.source[self.place + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not low.isdecimal() or (high and not high.isdecimal()) or len(low + high) > 8:
            raise self._error("{2}, {2,} or {2,5}")
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise self._error(f"counts in order, of at most {_MAX_REPEAT},")
        self.place = end + 1
        return least, most

    def _atom(self) -> _Node:
        char = self._peek()
        if char == "(":
            return self._group()
        if char == "[":
            return _Set(self._set())
        if char in "*+?{}^$":
            raise self._error("a character or a group (a backslash makes it one)")
        self.place += 1
        if char == ".":
            return _Set(Chars(frozenset("\n"), negated=True))
        if char == "\\":
            escaped = self._escaped()
            return _Set(escaped) if isinstance(escaped, Chars) else _Text(escaped)
        return _Text(char)

    def _escaped(self) -> Chars | str:
        char = self._peek()
        if char in _CLASSES:
            self.place += 1
            return _CLASSES[char]
        if not char or char.isalnum():
            raise self._error("d, w, s or a character that is no letter behind the backslash")
        self.place += 1
        return char

    def _set(self) -> Chars:
        self.place += 1
        negated = self._take("^")
        single: set[str] = set()
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._set_item()
            if isinstance(low, Chars):
                single |= low.single
                ranges += low.ranges
            elif self._peek() == "-" and self.source[self.place + 1 : self.place + 2] not in ("", "]"):
                self.place += 1
                high = self._set_item()
                if isinstance(high, Chars) or high < low:
                    raise self._error("a range in order")
                ranges.append((low, high))
            else:
                single.add(low)
        self.place += 1
        return Chars(frozenset(single), tuple(ranges), negated)

    def _set_item(self) -> Chars | str:
        char = self._peek()
        if not char:
            raise self._error("]")
        self.place += 1
        return self._escaped() if char == "\\" else char

    def _group(self) -> _Node:
        self.place += 1
        number = 0
        if self._take("?:"):
            pass
        elif self._take("?P<") or self._take("?<"):
            name, closed, _ = self.source[self.place :].partition(">")
            if not closed or not name.isidentifier() or name in self.groups:
                raise self._error("a name of its own and >")
            self.groups.append(name)
            number = len(self.groups)
            self.place += len(name) + 1
        elif self._peek() == "?":
            raise self._error("(...), (?:...) or (?P<name>...), and no looking around,")
        else:
            self.groups.append(str(len(self.groups) + 1))
            number = len(self.groups)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._error(f"at most {_MAX_DEPTH} groups in each other")
        begin = self.place
        body = self._either()
        source = self.source[begin : self.place]
        if not self._take(")"):
            raise self._error(")")
        self.depth -= 1
        return _Group(number, body, source) if number else body


def _may_be_empty(node: _Node) -> bool:
    if isinstance(node, _Text):
        return not node.text
    if isinstance(node, _Set):
        return False
    if isinstance(node, _Group):
        return _may_be_empty(node.body)
    if isinstance(node, _Row):
        return all(map(_may_be_empty, node.items))
    if isinstance(node, _Either):
        return any(map(_may_be_empty, node.items))
    return node.least == 0 or _may_be_empty(node.body)


def _row(tree: _Node) -> list[str | tuple[int, str]] | None:
    """The tree as texts and groups in a row; None where it is more than that."""
    parts: list[str | tuple[int, str]] = []
    for node in tree.items if isinstance(tree, _Row) else (tree,):
        if isinstance(node, _Text):
            parts.append(node.text)
        elif isinstance(node, _Group) and not _has_groups(node.body):
            parts.append((node.number, node.source))
        else:
            return None
    return parts


def _has_groups(node: _Node) -> bool:
    if isinstance(node, (_Row, _Either)):
        return any(map(_has_groups, node.items))
    return isinstance(node, _Group) or (isinstance(node, _Repeat) and _has_groups(node.body))


class _Program:
    """Instructions from a tree; an instruction's `next` is always the one behind it, or is patched in."""

    def __init__(self) -> None:
        self.steps: list[Instruction] = []

    def start(self, tree: _Node) -> None:
        self._emit(tree)
        self._add("end")

    def _add(self, *step: object) -> int:
        if len(self.steps) >= MAX_PROGRAM:
            raise RegexError(f"expected at most {MAX_PROGRAM} steps, got more: fewer or smaller counts in braces help")
        self.steps.append(step)
        return len(self.steps) - 1

    def _emit(self, node: _Node) -> None:
        after = len(self.steps) + 1
        if isinstance(node, _Text):
            self._add("text", node.text, after)
        elif isinstance(node, _Set):
            self._add("char", node.chars, after)
        elif isinstance(node, _Group):
            self._add("save", 2 * node.number, after)
            self._emit(node.body)
            self._add("save", 2 * node.number + 1, len(self.steps) + 1)
        elif isinstance(node, _Row):
            for item in node.items:
                self._emit(item)
        elif isinstance(node, _Either):
            self._emit_either(node)
        else:
            self._emit_repeat(node)

    def _emit_either(self, node: _Either) -> None:
        leaving: list[int] = []
        for item in node.items[:-1]:
            fork = self._add("fork", len(self.steps) + 1, 0)
            self._emit(item)
            leaving.append(self._add("text", "", 0))
            self.steps[fork] = ("fork", fork + 1, len(self.steps))
        self._emit(node.items[-1])
        for index in leaving:
            self.steps[index] = ("text", "", len(self.steps))

    def _emit_repeat(self, node: _Repeat) -> None:
        for _ in range(node.least):
            self._emit(node.body)
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
