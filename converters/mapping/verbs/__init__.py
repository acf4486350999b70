"""The verbs of a rule: what becomes of the tensors between `from` and `to`.

    each tensor to one      transpose [1, 0]      reshape [4, -1]      squeeze 0      expand 0       flip 0
                            slice {axis, start, stop, step}            pad {axis, before, after, value}
                            scale 0.5             add 1.0              cast "float32"                narrow "int8"
    one tensor to several   split {axis, sizes}   chunk {axis, parts}  unstack 0      tie
                            with {dtype "int64", value 0}              fill 1.0
    several tensors to one  concat {axis}         stack 0              sum            same
                            first                 unfill 1.0

A verb checks shapes before anything is read (MisfitError says what does not fit), and gives lazy tensors. `inverse`
gives the verb that goes back, from the shapes that went in if the verb itself does not say enough; NoInverseError says
why there is none. Going back gives the same bytes again, but for the payloads of NaN in a cast.

Each verb is written in a table as `name = parameters`: `read_verb` and `Verb.spelled` translate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

from tensorferry.formats.dtype import DTYPES

from .verb import Verb

_ROOMS = {
    "layout": ("transpose", "reshape", "squeeze", "expand", "flip", "slice", "pad"),
    "values": ("scale", "add", "cast", "narrow"),
    "parts": (
        "split", "chunk", "unstack", "tie", "with", "fill", "unfill", "concat", "stack", "sum", "same", "first"
    ),
}  # fmt: skip
"""Module -> the verbs in it. Most tables need one of the three, and each takes some milliseconds to load."""


class _Verbs(Mapping[str, type[Verb]]):
    """Every verb by the name that a table has for it; its module is loaded when it is asked for."""

    def __init__(self) -> None:
        self._rooms = {name: room for room, names in _ROOMS.items() for name in names}

    def __getitem__(self, name: str) -> type[Verb]:
        verbs: tuple[type[Verb], ...] = import_module(f".{self._rooms[name]}", __name__).VERBS
        return next(verb for verb in verbs if verb.name == name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rooms)

    def __contains__(self, name: object) -> bool:
        return name in self._rooms

    def __len__(self) -> int:
        return len(self._rooms)


VERBS: Mapping[str, type[Verb]] = _Verbs()

_LARGEST = 1 << 62
_LONGEST = 10_000


def read_verb(name: str, given: Any) -> Verb:
    """The verb that a table has as `name = given`. ValueError says what was expected."""
    verb = VERBS.get(name)
    if verb is None:
        raise ValueError(f"expected a verb, one of {', '.join(VERBS)}, got {name}")
    known = {field.name.removesuffix("_"): field for field in fields(verb)}
    if not isinstance(given, dict):
        given = {} if given is True and not known else {verb.alone: given}
    odd = [key for key in given if key not in known]
    if odd:
        wanted = f"only {', '.join(known)}" if known else "no parameters (true)"
        raise ValueError(f"{name}: expected {wanted}, got {', '.join(map(str, odd)) or 'a value'}")
    missing = [key for key, field in known.items() if field.default is MISSING and key not in given]
    if missing:
        raise ValueError(f"{name}: expected {', '.join(missing)} too")
    values = {
        known[key].name: _READERS[str(known[key].type).removesuffix(" | None")](value) for key, value in given.items()
    }
    wrong = [key for key in given if values[known[key].name] is None]
    if wrong:
        kinds = ", ".join(f"{_WORDS[str(known[key].type).removesuffix(' | None')]} for {key}" for key in wrong)
        raise ValueError(f"{name}: expected {kinds}, got {', '.join(repr(given[key]) for key in wrong)}")
    return verb(**values)


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 20:
        value = int(value)  # of a variable
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and -_LARGEST < value < _LARGEST else None


def _integers(value: Any) -> tuple[int, ...] | None:
    items = value if isinstance(value, list) else [value]
    numbers = [_integer(item) for item in items[:_LONGEST]]
    if len(items) > _LONGEST or any(number is None for number in numbers):
        return None
    return tuple(number for number in numbers if number is not None)


def _number(value: Any) -> float | None:
    if isinstance(value, float):
        return value
    whole = _integer(value)
    return None if whole is None else float(whole)


def _dtype(value: Any) -> str | None:
    return value if isinstance(value, str) and value in DTYPES else None


_READERS: Mapping[str, Any] = {"tuple[int, ...]": _integers, "int": _integer, "float": _number, "str": _dtype}
_WORDS = {
    "tuple[int, ...]": "a list of whole numbers",
    "int": "a whole number",
    "float": "a number",
    "str": "an element type such as float32",
}
