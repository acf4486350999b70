"""What an evaluation can't run, reported before anything runs, all at once.

A node that surely runs counts at once. One behind a Switch or in a function of a conditional or a loop may never run:
what it lacks is reported when its turn comes, again with all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tensorferry.formats.errors import UnsupportedError, listing

from ..ir import FuncRef, Node, node_name
from ..kernels import kernels
from .calls import called_by
from .frames import SWITCHES
from .operations import operations
from .plan import Plan
from .run import Library
from .variables import REFERENCES


def unsupported(plans: Sequence[Plan], library: Library) -> UnsupportedError | None:
    """The error about all nodes of some plans, and of the functions that they call, that can't run.

    Raised if one of them surely runs; else returned, for when one does; None where there are none.
    """
    search = _Search(library)
    search.visit(plans)
    if not search.found:
        return None
    found = [f"{op} ({len(users)}: {listing(users, 3)})" for op, users in search.found.items()]
    error = UnsupportedError("evaluation", f"no kernel for {listing(found)}")
    if search.sure:
        raise error
    return error


class _Search:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.found: dict[str, list[str]] = {}
        """What lacks a kernel -> the names of the nodes."""
        self.sure = False
        """Whether one of them surely runs."""

    def visit(self, plans: Sequence[Plan]) -> None:
        stack = [(plan, "", False) for plan in reversed(plans)]
        seen: set[tuple[int, bool]] = set()
        while stack:
            plan, prefix, conditional = stack.pop()
            for called, maybe in self.nodes(plan, prefix, conditional):
                routine = self.library.routine(called)
                if (id(routine), maybe) not in seen:
                    seen.add((id(routine), maybe))
                    stack.append((routine.plan, f"{called.name}/", maybe))

    def nodes(self, plan: Plan, prefix: str, conditional: bool) -> Iterator[tuple[FuncRef, bool]]:
        """Looks at nodes; gives the functions that they call, and whether they do so only under a condition."""
        if not self.library.functions and not plan.refused:
            return
        behind: set[str] = set()
        for node in plan.order:
            if node.op in SWITCHES or any(node_name(value) in behind for value in node.inputs):
                behind.add(node.name)
            maybe = conditional or node.name in behind
            if node.op in self.library.functions:
                yield FuncRef(node.op, node.attrs), maybe
            elif node.name in plan.refused:
                self.add(node, prefix + node.name)
                self.sure = self.sure or not maybe
            elif node.op in operations():
                certain = node.op.endswith("Call")
                for attr in node.attrs.values():
                    yield from ((called, maybe or not certain) for called in called_by(attr))

    def add(self, node: Node, name: str) -> None:
        unknown = [
            attr
            for table in (kernels(), operations(), REFERENCES)
            if node.op in table
            for attr in table.unknown_attrs(node)
        ]
        users = self.found.setdefault(f"{node.op} with {listing(unknown)}" if unknown else node.op, [])
        if name not in users:
            users.append(name)
