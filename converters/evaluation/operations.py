"""What nodes do that is more than a pure kernel: the families of operations on the state of a run.

    calls         functions, conditionals and loops of TensorFlow 2
    variables     assignments and reads, by reference and by resource
    tables        hash tables
    tensor_lists  lists of tensors, as values      tensor_arrays   arrays of tensors, by handle
    stacks        stacks of tensors, by handle     ragged_variants   ragged tensors, as values

An operation is a function `f(node, run, *inputs)`, which gives what a kernel gives (`kernels.kernel`). Resources and
variants among inputs and outputs are boxed objects (`values`). Each module has a table `OPERATIONS`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..ops import OpTable

if TYPE_CHECKING:
    from ..kernels.kernel import Kernel

FAMILIES = ("calls", "ragged_variants", "stacks", "tables", "tensor_arrays", "tensor_lists", "variables")


@cache
def operations() -> OpTable[Kernel]:
    """Every operation by op."""
    from importlib import import_module

    return OpTable.merged("kernel", (import_module(f".{family}", __package__).OPERATIONS for family in FAMILIES))
