"""What of a source is dropped: all that is left once every target has its source.

A directory of which nothing else is used is dropped as one: `generator/**`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorferry.formats.tensor import Tensor

from ..mapping.patterns.pattern import escape
from .link import Link, Wanted
from .numbers import Draught, by_numbers, exact


def dropped_links(links: Sequence[Link], left: Sequence[str], target: Mapping[str, Wanted]) -> list[Link]:
    """Links to nothing for the sources that are left; none where targets are left too: one of these may be missing."""
    if target.keys() - {name for link in links for name in link.targets} or not target:
        return []
    known = all(wanted.tensor is not None for wanted in target.values())
    sure = 0.9 if known else min((link.confidence for link in links), default=0.0)
    because = "nothing in the target is like it" if known else "every target has another source"
    return [Link((name,), (), ((),), sure, because) for name in left]


def drop_rules(dropped: Sequence[Link], source: Mapping[str, Tensor]) -> list[Draught]:
    """Rules for these links: for whole directories where nothing of them is kept, else by their names."""
    gone = {link.sources[0]: link for link in dropped}
    kept = {place for name in source if name not in gone for place in _directories(name)}
    whole: dict[str, list[Link]] = {}
    for name, link in gone.items():
        top = next((place for place in _directories(name) if place not in kept), name)
        whole.setdefault(top, []).append(link)
    rules = [
        Draught((f"{escape(top)}**",), (), (), tuple(links), tuple(map(exact, links)))
        for top, links in whole.items()
        if len(links) > 1
    ]
    return rules + by_numbers([link for links in whole.values() if len(links) == 1 for link in links])


def _directories(name: str) -> list[str]:
    """`a/`, `a/b/` of `a/b/c`."""
    return [name[: place + 1] for place, char in enumerate(name) if char == "/"]
