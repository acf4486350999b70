"""Regular expressions: TensorFlow's are RE2's, here spelled anew for Python's `re`.

    RE2                       here
    $  (without (?m))         \\Z
    \\z                        \\Z
    [[:alpha:]]               [A-Za-z]
    \\d \\w \\s \\b               of ASCII alone

RE2 takes time in proportion to the text whatever the pattern; `re` may take for ever where alternatives or a repetition
are repeated, so such patterns are refused, as are \\p, \\C, \\Q and others that `re` doesn't know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from tensorferry.formats.errors import GraphError, UnsupportedError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar
from .strings import each, listed

KERNELS: OpTable[Kernel] = OpTable("kernel")

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\\x00-\\x7f", "blank": "\\t ", "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TOKEN = re.compile(r"\\.|\[:\w+:\]|\{\d*,?\d*\}|.", re.S)
_ESCAPES = frozenset("dDwWsSbBAzntrfvax01234567") | frozenset("\\.+*?()|[]{}^$/-#&~ !\"%',:;<=>@_`")
_REWRITE = re.compile(rb"\\(.)", re.S)


@KERNELS.op("StaticRegexFullMatch", attrs={"pattern"})
def static_full_match(node: OpNode, x: Array) -> Array:
    """Whether the whole of each string matches."""
    return _matched(node, x, node.text("pattern"))


@KERNELS.op("RegexFullMatch")
def full_match(node: OpNode, x: Array, pattern: Array) -> Array:
    """Whether the whole of each string matches."""
    return _matched(node, x, scalar(node, pattern, "pattern").decode("utf-8", "replace"))


@KERNELS.op("StaticRegexReplace", attrs={"pattern", "rewrite", "replace_global"})
def static_replace(node: OpNode, x: Array) -> Array:
    """Each string with other text where it matches."""
    return _replaced(node, x, node.text("pattern"), node.text("rewrite").encode())


@KERNELS.op("RegexReplace", attrs={"replace_global"})
def replace(node: OpNode, x: Array, pattern: Array, rewrite: Array) -> Array:
    """Each string with other text where it matches."""
    text = scalar(node, pattern, "pattern").decode("utf-8", "replace")
    return _replaced(node, x, text, scalar(node, rewrite, "rewrite"))


def _matched(node: OpNode, x: Array, pattern: str) -> Array:
    compiled = _compiled(node, pattern)
    found = [compiled.fullmatch(_text(item)) is not None for item in listed(node, x)]
    return np.array(found, np.bool_).reshape(x.shape)


def _replaced(node: OpNode, x: Array, pattern: str, rewrite: bytes) -> Array:
    compiled, everywhere = _compiled(node, pattern), node.flag("replace_global")
    if any(escaped not in b"\\0123456789" for escaped in _REWRITE.findall(rewrite)):
        raise GraphError(node.name, f"expected a rewrite with \\0 to \\9 or \\\\, got {rewrite[:40]!r}")

    def change(item: bytes) -> bytes:
        make_room(node, (len(item) + 1, len(rewrite) + 1), np.uint8)
        text, done, at = _text(item), [], 0
        for match in _matches(compiled, text):
            new = _REWRITE.sub(lambda escape, match=match: _expanded(match, escape[1]), rewrite)  # type: ignore[misc]
            done += [_bytes(text[at : match.start()]), new]
            at = match.end()
            if not everywhere:
                break
        return b"".join([*done, _bytes(text[at:])])

    return each(node, change, x)


def _matches(compiled: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """All matches, but for an empty one right behind another."""
    end = -1
    for match in compiled.finditer(text):
        if match.end() > match.start() or match.start() != end:
            yield match
        end = match.end()


def _expanded(match: re.Match[str], escaped: bytes) -> bytes:
    if escaped == b"\\":
        return escaped
    group = int(escaped)
    return _bytes(match[group] or "") if group <= (match.re.groups or 0) else b""


def _text(item: bytes) -> str:
    return item.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _compiled(node: OpNode, pattern: str) -> re.Pattern[str]:
    try:
        return compiled_pattern(pattern)
    except (re.error, OverflowError) as error:
        raise GraphError(node.name, f"expected a regular expression, got {pattern[:80]!r}: {error}") from None
    except _NotRunError as error:
        raise UnsupportedError(node.name, f"no way to run the regular expression {pattern[:80]!r}: {error}") from None


class _NotRunError(Exception):
    """A pattern that is fine, but not for `re`."""


@lru_cache(maxsize=64)
def compiled_pattern(pattern: str) -> re.Pattern[str]:
    """An RE2 pattern for `re`."""
    return re.compile("".join(_tokens(pattern)), re.ASCII)


def _tokens(pattern: str) -> Iterator[str]:
    """The pattern, token by part, in `re`'s spelling."""
    multiline = re.match(r"\(\?\w*m", pattern) is not None
    groups = [False]
    """For each group that is open, whether it holds alternatives or a repetition."""
    closed = False
    """Whether the last part closed a group that does."""
    place = 0
    while place < len(pattern):
        if pattern[place] == "[":
            end, part = _class(pattern, place)
            closed = False
        else:
            part = _TOKEN.match(pattern, place)[0]  # type: ignore[index]
            end = place + len(part)
            repeats = part in ("*", "+") or (len(part) > 1 and part[0] == "{")
            if repeats and closed:
                raise _NotRunError("alternatives or a repetition are repeated")
            if repeats or part == "|":
                groups[-1] = True
            if part == "(":
                groups.append(False)
            closed = part == ")" and len(groups) > 1 and groups.pop()
            groups[-1] = groups[-1] or closed
            part = _spelled(part, multiline)
        yield part
        place = end


def _spelled(part: str, multiline: bool) -> str:
    if part == "\\z" or (part == "$" and not multiline):
        return "\\Z"
    if part[0] == "\\" and part[1:] not in _ESCAPES:
        raise _NotRunError(f"{part} is not understood")
    return part


def _class(pattern: str, start: int) -> tuple[int, str]:
    """The set of characters that begins at `start`: where it ends, and its spelling."""
    place = start + 1
    spelled = ["["]
    while place < len(pattern):
        part = _TOKEN.match(pattern, place)[0]  # type: ignore[index]
        if part[0] == "{":
            part = "{"
        named = part[2:-2] if part.startswith("[:") and len(part) > 2 else ""
        place += len(part)
        if named:
            if named not in _CLASSES:
                raise _NotRunError(f"{part} is not understood")
            spelled.append(_CLASSES[named])
        elif part == "]" and len(spelled) > 1 and spelled != ["[", "^"]:
            return place, "".join([*spelled, "]"])
        elif part in ("[", "]", "&", "~", "|"):  # `re` reserves these
            spelled.append(f"\\{part}")
        elif part[0] == "\\":
            spelled.append(_spelled(part, multiline=True))
        else:
            spelled.append(part)
    raise re.error("a set without an end")
