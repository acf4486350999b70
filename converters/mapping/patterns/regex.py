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

from .matcher import Chars, Instruction
from .regex_program import program_of
from .regex_tree import Either, Group, Node, RegexError, Repeat, Row, Set, Text, may_be_empty, row_of

__all__ = ["Regex", "RegexError", "compile_regex"]

_CLASSES = {
    "d": Chars(ranges=(("0", "9"),)),
    "w": Chars(frozenset("_"), (("0", "9"), ("a", "z"), ("A", "Z"))),
    "s": Chars(frozenset(" \t\n\r\f\v")),
}
_MAX_DEPTH = 20
_MAX_REPEAT = 1000


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
    return Regex(source, program_of(tree), parser.groups, row_of(tree))


@dataclass(slots=True)
class _Parser:
    source: str
    place: int = 0
    depth: int = 0
    groups: list[str] = field(default_factory=list)

    def whole(self) -> Node:
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

    def _either(self) -> Node:
        items = [self._row()]
        while self._take("|"):
            items.append(self._row())
        return items[0] if len(items) == 1 else Either(tuple(items))

    def _row(self) -> Node:
        items: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            if self.source[self.place :] == "$":
                self.place += 1
                break
            items.append(self._repeated())
        return Row(tuple(items))

    def _repeated(self) -> Node:
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
        if most is None and may_be_empty(body):
            raise RegexError(f"expected something to repeat before character {self.place}, got what may be empty")
        return Repeat(body, least, most, greedy=not self._take("?"))

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

    def _atom(self) -> Node:
        char = self._peek()
        if char == "(":
            return self._group()
        if char == "[":
            return Set(self._set())
        if char in "*+?{}^$":
            raise self._error("a character or a group (a backslash makes it one)")
        self.place += 1
        if char == ".":
            return Set(Chars(frozenset("\n"), negated=True))
        if char == "\\":
            escaped = self._escaped()
            return Set(escaped) if isinstance(escaped, Chars) else Text(escaped)
        return Text(char)

    def _escaped(self) -> Chars | str:
        char = self._peek()
        if char in _CLASSES:
            self.place += 1
            return _CLASSES[char]
        if not char or char.isalnum():
            raise self._error("d, w, s or a character that is no letter behind the backslash, and no back reference,")
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

    def _group(self) -> Node:
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
        return Group(number, body, source) if number else body
