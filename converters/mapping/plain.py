"""What data a table may hold: texts, numbers, true and false, lists and tables, in each other to a bounded depth.

TOML has dates, and YAML much more; integers may have any number of digits, and floats be none (nan), which JSON, where
a part of the data is written, can't hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tensorferry.formats.errors import FormatError, listing

DEEPEST = 20

_LARGEST = 10**300
_PLAIN = "texts, numbers, true and false, lists and tables with texts as names"


def check_plain(data: Any, path: str) -> None:
    """FormatError where the data are anything else."""
    if _depth(data) > DEEPEST:
        raise FormatError(path, f"expected data at most {DEEPEST} levels deep")
    odd = list(_odd(data))
    if odd:
        raise FormatError(path, f"expected {_PLAIN}, got {listing(odd)}")


def is_finite(data: Any) -> bool:
    """Whether no number of the data is infinite or none."""
    if isinstance(data, Mapping):
        data = list(data.values())
    return all(map(is_finite, data)) if isinstance(data, list) else not isinstance(data, float) or math.isfinite(data)


def _depth(data: Any) -> int:
    """Levels of tables and lists in each other."""
    depth, level = 0, [data]
    while level and depth <= DEEPEST:
        below = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in below for item in items]
        depth += 1
    return depth


def _odd(data: Any) -> Iterator[str]:
    """What of the data has no place in a table: a date, bytes, a number as a name, a number of too many digits."""
    if isinstance(data, dict):
        for key, item in data.items():
            if not isinstance(key, str):
                yield f"{key!r:.40} as a name"
            if not isinstance(item, str):
                yield from _odd(item)
    elif isinstance(data, list):
        for item in data:
            if not isinstance(item, str):
                yield from _odd(item)
    elif isinstance(data, int) and abs(data) >= _LARGEST:
        yield "a number of more than 300 digits"
    elif not isinstance(data, (str, int, float, type(None))):
        yield f"the {type(data).__name__} {data!s:.40}"
