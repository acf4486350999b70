"""The step of an LSTM or a GRU in the body of a loop, read as mathematics, whatever nodes some library made of it.

    LSTM  c' = sigmoid(F) c + sigmoid(I) tanh(N)      h' = sigmoid(O) tanh(c')
    GRU   h' = u h + (1 - u) tanh(N)                  u = sigmoid(U), r = sigmoid(R)
          N is a form of x and r h, or  A + r B  with A a form of x and B one of h (`linear_before_reset`)

Capitals are linear forms (`linear_forms`) of x, the element that the step reads, and of h. Where sequences have lengths
of their own, the state is chosen: the new one below the length, the old one from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..inference.regions import Region
from ..inference.values import Value
from ..ir import Node, node_name
from ..op_registry import attr_value
from .linear_forms import Form, FormReader, NoFormError
from .loop_plan import LoopPlan


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell whose hidden state (and an LSTM's memory) are these parts of the loop's state.

    `gates` in ONNX's order: input, output, forget, new; or update, reset, new, and with `before_reset` what of the new
    state is made from h.
    """

    op: str
    hidden: int
    memory: int | None
    gates: Sequence[Form]
    before_reset: int | None


class CellReader(FormReader):
    """Finds the cell. `lengths` is the argument with the sequences' lengths, where they have any."""

    def __init__(self, body: Region, plan: LoopPlan, inputs: Sequence[Value]) -> None:
        super().__init__(body, plan, inputs)
        self.lengths: str | None = None

    def cell(self) -> Cell:
        """The cell that all of the carried state belongs to."""
        after = {number: self.chosen(number) for number in self.plan.carried}
        for number, value in after.items():
            self.width(self.body.arguments[number])
            # Either the whole state has lengths, or none of it.
            if (value == self.source(self.body.results[number])) != (self.lengths is None):
                raise NoFormError
        if len(after) == 1:
            (hidden,) = after
            gates, before_reset = self.gru(hidden, after[hidden])
            return Cell("GRU", hidden, None, gates, before_reset)
        first, second = self.plan.carried
        for memory, hidden in ((first, second), (second, first)):
            if self.is_a(after[hidden], "Mul") or self.is_a(after[hidden], "LSTMBlockCell"):
                try:
                    return Cell("LSTM", hidden, memory, self.lstm(memory, hidden, after), None)
                except NoFormError:
                    continue
        raise NoFormError

    def chosen(self, number: int) -> str:
        """The next state, where it is not kept because a sequence has ended."""
        source = self.source(self.body.results[number])
        if not self.is_a(source, "Select"):
            return source
        ended, kept, new = self.node(source, "Select").data_inputs
        if self.source(kept) != self.body.arguments[number]:
            raise NoFormError
        self.ended(ended)
        return self.source(new)

    def ended(self, value: str) -> None:
        """Notes the lengths of sequences."""
        step, lengths = self.operands(value, "GreaterEqual")
        if (
            not self.is_step(step)
            or self.argument(lengths) not in self.plan.kept
            or self.lengths not in (None, lengths)
        ):
            raise NoFormError
        if self.body.values[lengths].rank != 1:
            raise NoFormError
        self.lengths = lengths

    def lstm(self, memory: int, hidden: int, after: Mapping[int, str]) -> list[Form]:
        """The forms of input, output, forget and new."""
        if self.is_a(after[hidden], "LSTMBlockCell"):
            return self.lstm_block(self.node(after[hidden], "LSTMBlockCell"), memory, hidden, after)
        state = self.body.arguments[memory]
        out, squashed = self.ordered(after[hidden], lambda value: self.is_a(value, "Sigmoid"), "Mul")
        if self.source(self.node(squashed, "Tanh").data_inputs[0]) != after[memory]:
            raise NoFormError
        old, new = self.ordered(after[memory], lambda value: self.is_product_of(value, state), "Add", "AddV2")
        _, forget = self.ordered(old, lambda value: value == state, "Mul")
        enter, value = self.ordered(new, lambda value: self.is_a(value, "Sigmoid"), "Mul")
        return [self.gate(enter), self.gate(out), self.gate(forget), self.gate(value, "Tanh")]

    def lstm_block(self, node: Node, memory: int, hidden: int, after: Mapping[int, str]) -> list[Form]:
        """The same of a cell that is one op, without peepholes and clip."""
        clip, bias = attr_value(node, "cell_clip"), attr_value(node, "forget_bias")
        if (after[memory], after[hidden]) != (f"{node.name}:1", f"{node.name}:6") or attr_value(node, "use_peephole"):
            raise NoFormError
        x, before, state, weights = map(self.source, node.data_inputs[:4])
        known = (self.body.arguments[memory], self.body.arguments[hidden])
        if (before, state) != known or not isinstance(clip, float) or clip > 0 or not isinstance(bias, float):
            raise NoFormError
        whole = self.block(x, state, weights, node.data_inputs[7])
        enter, new, forget, out = (whole.part(index, 4) for index in range(4))
        return [enter, out, Form(forget.weights, forget.bias + np.float32(bias)), new]

    def block(self, x: str, state: str, weights: str, bias: str) -> Form:
        """[x, state] weights + bias."""
        matrix, width = self.constant(weights), self.width(self.atom(x))
        return Form({x: matrix[:width], state: matrix[width:]}, self.constant(bias))

    def gru(self, hidden: int, after: str) -> tuple[list[Form], int]:
        """The forms of update, reset and new state; whether the reset is behind the product with the state."""
        state = self.body.arguments[hidden]
        if self.is_a(after, "GRUBlockCell"):
            return self.gru_block(self.node(after, "GRUBlockCell"), state, after), 0
        old, new = self.ordered(after, lambda value: self.is_product_of(value, state), "Add", "AddV2")
        _, update = self.ordered(old, lambda value: value == state, "Mul")
        _, value = self.ordered(new, lambda value: self.is_rest(value, update), "Mul")
        return self.reset(state, self.gate(update), self.node(value, "Tanh").data_inputs[0])

    def gru_block(self, node: Node, state: str, after: str) -> list[Form]:
        """The same of a cell that is one op."""
        x, before, weights, new_weights, bias, new_bias = map(self.source, node.data_inputs)
        if after != f"{node.name}:3" or before != state:
            raise NoFormError
        both = self.block(x, state, weights, bias)
        reset, update = (both.part(index, 2) for index in range(2))
        return [update, reset, self.block(x, state, new_weights, new_bias)]

    def reset(self, state: str, update: Form, value: str) -> tuple[list[Form], int]:
        """The gates of a GRU whose new state is the tanh of `value`."""
        try:
            new = self.form(value)
        except NoFormError:
            return self.late_reset(state, update, value), 1
        weights = dict(new.weights)
        products = [name for name in weights if name in self.products]
        if len(products) != 1 or state in weights:
            raise NoFormError
        weights[state] = weights.pop(products[0])
        _, gate = self.ordered(products[0], lambda value: value == state, "Mul")
        return [update, self.gate(gate), Form(weights, new.bias)], 0

    def late_reset(self, state: str, update: Form, value: str) -> list[Form]:
        """As `reset`, where the product with the state comes first: its bias has a place of its own."""
        product, given = self.ordered(value, lambda value: self.is_a(value, "Mul"), "Add", "AddV2")
        gate, inner = self.ordered(product, lambda value: self.is_a(value, "Sigmoid"), "Mul")
        new, own = self.form(given), self.form(inner)
        if set(own.weights) != {state} or state in new.weights:
            raise NoFormError
        return [update, self.gate(gate), new, own]

    def is_rest(self, value: str, update: str) -> bool:
        """Whether a value is 1 - update."""
        if not self.is_a(value, "Sub"):
            return False
        one, taken = self.operands(value, "Sub")
        return taken == update and self.is_constant(one) and bool(np.all(self.constant(one) == 1))

    def is_product_of(self, value: str, factor: str) -> bool:
        """Whether a value is `factor` times something."""
        node = self.makers.get(node_name(value))
        return node is not None and node.op == "Mul" and factor in self.operands(value, "Mul")

    def ordered(self, value: str, is_first: Callable[[str], bool], *ops: str) -> tuple[str, str]:
        """The two inputs of the node that makes a value, the one that is the first in front."""
        left, right = self.operands(value, *ops)
        if is_first(left):
            return left, right
        if is_first(right):
            return right, left
        raise NoFormError
