"""A run: the state of one evaluation, and its bounds.

Variables, tables, arrays and stacks live in a run and end with it. A resource with a name is found again by its kind
and name, wherever in the graph or its functions a handle of it is made.

A graph can be made to run for ever, so every iteration of a loop and every call of a function counts by the steps
that it takes, and calls inside of calls are limited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tensorferry.formats.dtype import OPAQUE, DType
from tensorferry.formats.errors import GraphError, TensorferryError, UnsupportedError
from tensorferry.formats.tensor import Tensor

from ..functions import Body, body_of
from ..ir import FuncRef, Function
from .plan import Plan, plan
from .values import Array

STEPS = 10_000_000
"""Steps that the loops and calls of one evaluation may take in all."""

DEEPEST = 60
"""Calls inside of each other."""

FUNCTIONS = 10_000
"""Functions, each with what it is called with, that one evaluation may use."""

_Resource = TypeVar("_Resource")


@dataclass(slots=True)
class Routine:
    """A function that is ready to run."""

    body: Body
    plan: Plan


class Library:
    """The functions of a graph, each planned when it is called for the first time."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self._routines: dict[object, tuple[FuncRef, Routine]] = {}

    def routine(self, called: FuncRef) -> Routine:
        """The function that is called, with the attributes given. GraphError where it contradicts itself."""
        key: object = (called.name, tuple(sorted(called.attrs.items(), key=lambda item: item[0])))
        try:
            hash(key)
        except TypeError:
            key = id(called)  # which stays alive beside the routine
        if key not in self._routines:
            if len(self._routines) >= FUNCTIONS:
                raise UnsupportedError(called.name, f"expected at most {FUNCTIONS} functions to be called, got more")
            self._routines[key] = (called, _planned(body_of(self.functions, called)))
        return self._routines[key][1]


def _planned(body: Body) -> Routine:
    try:
        values = plan(
            body.graph,
            list(body.results.values()),
            [f"{argument}:0" for argument in body.arguments],
            effects=body.control,
        )
    except TensorferryError as error:
        raise type(error)(f"{body.name}/{error.where}", error.problem, error.hint) from None
    return Routine(body, values)


class Run:
    """What operations may use: functions to call, resources by name, values given for variables and tables.

    `refusal` is raised by a node that has no kernel.
    """

    def __init__(
        self,
        library: Library,
        variables: Mapping[str, Tensor],
        tables: Mapping[str, tuple[Array, Array]],
        refusal: UnsupportedError | None,
        steps: int = STEPS,
    ) -> None:
        self.library = library
        self.variables = variables
        self.tables = tables
        self.refusal = refusal
        self.steps = self.left = steps
        self.depth = 0
        self._resources: dict[tuple[type, str], object] = {}

    def resource(self, kind: type[_Resource], name: str, make: Callable[[], _Resource]) -> _Resource:
        """The resource of this kind and name, made if there is none yet."""
        found = self._resources.setdefault((kind, name), None)
        if found is None:
            found = self._resources[kind, name] = make()
        return found  # type: ignore[return-value]

    def spend(self, steps: int, where: str) -> None:
        """Counts steps; GraphError where all that an evaluation may take are used up."""
        self.left -= max(steps, 1)
        if self.left < 0:
            problem = f"expected loops and calls to end within {self.steps} steps in all, got more"
            raise UnsupportedError(where, problem)

    def call(self, where: str, called: FuncRef, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The results of a function. `where` is the node that calls it."""
        routine = self.library.routine(called)
        _check(where, f"arguments of {called.name}", routine.body.arguments, inputs)
        self.spend(len(routine.plan.steps), where)
        if self.depth >= DEEPEST:
            raise UnsupportedError(where, f"expected at most {DEEPEST} calls inside of each other, got more")
        self.depth += 1
        fed = {f"{argument}:0": value for argument, value in zip(routine.body.arguments, inputs, strict=True)}
        try:
            results = routine.plan.run(self, fed)
        finally:
            self.depth -= 1
        _check(where, f"results of {called.name}", routine.body.result_dtypes, results)
        return tuple(results)


def _check(where: str, what: str, wanted: Mapping[str, DType], found: Sequence[Array]) -> None:
    if len(wanted) != len(found):
        raise GraphError(where, f"expected {len(wanted)} {what}, got {len(found)}")
    for (name, dtype), value in zip(wanted.items(), found, strict=True):
        if dtype.kind != OPAQUE and dtype.numpy() != value.dtype:
            raise GraphError(where, f"expected {name} of the {what} to be {dtype}, got {value.dtype}")
