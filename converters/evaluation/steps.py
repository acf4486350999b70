"""Steps: what a plan consists of, one for each node, or for a whole loop of TensorFlow 1.

    Compute   a pure kernel                            Operate   an operation on the state of the run, or a call
    Switch    to one of two outputs                    Merge     the first input that is not dead
    Refer     an operation on a variable by reference  Call      a function, by its name
    Pass      the input itself                         Given     placeholders that are fed, and only order others
    Loop      the steps of a frame, again and again    Refused   what has no kernel

Values lie in slots, one for each node (all of its outputs) and one for each value from outside. A step that has a
dead input or a dead control input is dead, all but Merge; then its slot holds DEAD. After a step the slots in its
`frees` are needed no more.

A loop follows TensorFlow's executor:

 1. The values that enter are there in the first iteration only, those of constant Enters in all.
 2. NextIteration gives its input to the next iteration; when all of them are dead, the loop ends.
 3. An Exit passes on the last value that was not dead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import FuncRef, Node, value_name
from ..kernels import Prepared
from ..op_registry import input_dtypes
from ..ops import OpNode
from .values import DEAD, Array, Dead, Reference

if TYPE_CHECKING:
    from .run import Run

Value: TypeAlias = "Array | Reference | Dead"
Slots: TypeAlias = "list[tuple[Value, ...] | Dead | None]"
Source: TypeAlias = tuple[int, int]
"""A slot and the number of the output in it."""


class Step(ABC):
    """A node with the slots that it takes from, and the one that it fills.

    `references` are the numbers of the inputs that the op takes by reference.
    """

    __slots__ = ("controls", "frees", "inputs", "node", "references", "slot")

    def __init__(
        self,
        node: Node,
        slot: int,
        inputs: Sequence[Source] = (),
        controls: Sequence[int] = (),
        references: Collection[int] = (),
    ) -> None:
        self.node = node
        self.slot = slot
        self.inputs = tuple(inputs)
        self.controls = tuple(controls)
        self.references = frozenset(references)
        self.frees: tuple[int, ...] = ()

    @abstractmethod
    def run(self, slots: Slots, run: Run) -> None:
        """Fills the step's slot."""

    def reads(self) -> list[int]:
        """The slots that the step takes something from."""
        return [*(slot for slot, _ in self.inputs), *self.controls]

    def fills(self) -> Sequence[int]:
        """The slots of its own frame that the step fills."""
        return (self.slot,)

    def taken(self, slots: Slots) -> list[Array] | None:
        """The inputs; None where the step is dead."""
        for slot in self.controls:
            if slots[slot] is DEAD:
                return None
        found: list[Array] = []
        for place in range(len(self.inputs)):
            value = self.input(slots, place)
            if value is DEAD:
                return None
            found.append(value)  # type: ignore[arg-type]
        return found

    def input(self, slots: Slots, place: int) -> Value:
        """One input: of a variable its value at this moment, unless the op takes it by reference."""
        slot, index = self.inputs[place]
        made = slots[slot]
        if not isinstance(made, tuple):
            return DEAD
        if index >= len(made):
            wanted = value_name(self.node.data_inputs[place])
            has = f"{wanted.partition(':')[0]} has {len(made)}"
            raise GraphError(self.node.name, f"expected {wanted} to be an output, but {has}")
        value = made[index]
        if isinstance(value, (np.ndarray, Dead)) or place in self.references:
            return value
        return value.read()


class Compute(Step):
    """A kernel applied to the inputs."""

    __slots__ = ("kernel",)

    def __init__(self, *place: Any, kernel: Prepared) -> None:
        super().__init__(*place)
        self.kernel = kernel

    def run(self, slots: Slots, run: Run) -> None:
        inputs = self.taken(slots)
        slots[self.slot] = DEAD if inputs is None else self.kernel(inputs)


class Operate(Compute):
    """An operation that also takes the run: variables, tables, calls."""

    __slots__ = ()

    def run(self, slots: Slots, run: Run) -> None:
        inputs = self.taken(slots)
        slots[self.slot] = DEAD if inputs is None else self.kernel(inputs, run)


class Refer(Step):
    """An operation on variables by reference, which may give one itself."""

    __slots__ = ("operation", "view")

    def __init__(self, node: Node, *place: Any, operation: Callable[..., Value]) -> None:
        super().__init__(node, *place)
        self.view = OpNode(node)
        self.operation = operation

    def run(self, slots: Slots, run: Run) -> None:
        inputs = self.taken(slots)
        if inputs is not None:
            self.check(inputs)
        slots[self.slot] = DEAD if inputs is None else (self.operation(self.view, run, *inputs),)

    def check(self, inputs: Sequence[Value]) -> None:
        """GraphError unless there is a variable wherever the op takes a reference, and else a value of its type."""
        dtypes = [base_dtype(dtype) for dtype in input_dtypes(self.node)]
        if len(dtypes) != len(inputs):
            raise GraphError(self.node.name, f"expected {self.node.op} to have {len(dtypes)} inputs, got {len(inputs)}")
        for place, (dtype, value) in enumerate(zip(dtypes, inputs, strict=True)):
            dtype_of = value.dtype if isinstance(value, np.ndarray) else None
            if dtype_of != (None if place in self.references else dtype.numpy()):
                wanted = "a variable" if place in self.references else str(dtype)
                got = "a variable" if dtype_of is None else str(dtype_of)
                raise GraphError(self.node.name, f"expected input {place} of {self.node.op} to be {wanted}, got {got}")


class Call(Step):
    """A function that is called by its name."""

    __slots__ = ("called",)

    def __init__(self, node: Node, *place: Any) -> None:
        super().__init__(node, *place)
        self.called = FuncRef(node.op, node.attrs)

    def run(self, slots: Slots, run: Run) -> None:
        inputs = self.taken(slots)
        slots[self.slot] = DEAD if inputs is None else run.call(self.node.name, self.called, inputs)


class Pass(Step):
    """The first input: PlaceholderWithDefault, Enter, NextIteration, Exit, LoopCond."""

    __slots__ = ()

    def run(self, slots: Slots, run: Run) -> None:
        inputs = self.taken(slots)
        if inputs is not None and len(inputs) != 1:
            raise GraphError(self.node.name, f"expected {self.node.op} to have 1 input, got {len(inputs)}")
        slots[self.slot] = DEAD if inputs is None else (inputs[0],)


class Exit(Pass):
    """The last input that was not dead. The slot is of the outer frame, and starts dead (see Loop)."""

    __slots__ = ()

    def fills(self) -> Sequence[int]:
        return ()

    def run(self, slots: Slots, run: Run) -> None:
        if self.taken(slots) is not None:
            super().run(slots, run)


class Given(Step):
    """Nothing: what is asked for besides its order is fed."""

    __slots__ = ()

    def run(self, slots: Slots, run: Run) -> None:
        slots[self.slot] = ()


class Switch(Step):
    __slots__ = ()

    def run(self, slots: Slots, run: Run) -> None:
        inputs = self.taken(slots)
        if inputs is None:
            slots[self.slot] = DEAD
            return
        if len(inputs) != 2 or inputs[1].dtype != np.bool_ or inputs[1].size != 1:
            problem = f"expected {self.node.op} of a value and a bool, got {len(inputs)} inputs that are not"
            raise GraphError(self.node.name, problem)
        slots[self.slot] = (DEAD, inputs[0]) if inputs[1].reshape(-1)[0] else (inputs[0], DEAD)


class Merge(Step):
    """The first input that is not dead, and its number, whatever the control inputs are."""

    __slots__ = ()

    def run(self, slots: Slots, run: Run) -> None:
        slots[self.slot] = DEAD
        for place in range(len(self.inputs)):
            value = self.input(slots, place)
            if value is not DEAD:
                slots[self.slot] = (value, np.array(place, np.int32))
                break


class Refused(Step):
    """A node without a kernel: the run's account of all of those is raised if it is not dead."""

    __slots__ = ()

    def run(self, slots: Slots, run: Run) -> None:
        if self.taken(slots) is not None:
            raise run.refusal or UnsupportedError(self.node.name, f"no kernel for {self.node.op}")
        slots[self.slot] = DEAD


class Loop(Step):
    """All of a frame, as one step of the outer one."""

    __slots__ = ("body", "constant", "enters", "exits", "inner", "nexts")

    def __init__(self, enters: Sequence[Step], constant: Collection[int], body: Sequence[Step], nexts: Sequence[Step]):
        """`constant` are the slots of the Enters whose values last through all iterations."""
        super().__init__(enters[0].node, enters[0].slot)
        self.enters = tuple(enters)
        self.constant = frozenset(constant)
        self.body = tuple(body)
        self.nexts = tuple(nexts)
        self.exits = tuple(step.slot for step in body if isinstance(step, Exit))
        self.inner = [step.slot for step in (*enters, *nexts, *body) if not isinstance(step, Exit)]

    def reads(self) -> list[int]:
        return [slot for enter in self.enters for slot in enter.reads()]

    def fills(self) -> Sequence[int]:
        return self.exits

    def run(self, slots: Slots, run: Run) -> None:
        for enter in self.enters:
            enter.run(slots, run)
        for slot in (*self.exits, *(step.slot for step in self.nexts)):
            slots[slot] = DEAD
        going = any(slots[enter.slot] is not DEAD for enter in self.enters)
        while going:
            run.spend(len(self.body), self.node.name)
            run_steps(self.body, slots, run)
            carried = [step.taken(slots) for step in self.nexts]
            for step, taken in zip(self.nexts, carried, strict=True):
                slots[step.slot] = DEAD if taken is None else tuple(taken)
            going = any(taken is not None for taken in carried)
            for enter in self.enters:
                if enter.slot not in self.constant:
                    slots[enter.slot] = DEAD
        for slot in self.inner:
            slots[slot] = None


def run_steps(steps: Sequence[Step], slots: Slots, run: Run) -> None:
    """Runs steps in their order, and forgets what is needed no more."""
    for step in steps:
        step.run(slots, run)
        for slot in step.frees:
            slots[slot] = None
