"""What every verb of a rule is (`verbs` lists them), and what several of them ask of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from tensorferry.formats.dtype import COMPLEX, FLOAT, DType
from tensorferry.formats.tensor import Tensor

if TYPE_CHECKING:
    import numpy as np

EACH, SPLIT, JOIN = "each", "split", "join"


class MisfitError(Exception):
    """A verb does not fit the tensors that it gets; says what was expected."""


class NoInverseError(Exception):
    """What a rule does can't be undone; says why."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb with its parameters; `alone` names the parameter that may be written without its name."""

    name: ClassVar[str]
    arity: ClassVar[str] = EACH
    alone: ClassVar[str] = ""

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        """The results, lazy. `names` are those of the sources, `wanted` the number of targets. MisfitError."""
        return [self.one(tensor) for tensor in tensors]

    def one(self, tensor: Tensor) -> Tensor:
        """What becomes of one tensor, for verbs that treat each by itself."""
        raise NotImplementedError

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        """The verb that goes back, where `before` went in (None: not known). NoInverseError."""
        raise NoInverseError(f"{self.name} loses what it takes away")

    def condition(self, shape: list[Any]) -> list[Any] | None:
        """What a condition on the shape of the source is for that of the result; None where that is not known."""
        return None

    def spelled(self) -> Any:
        """The parameters as a table has them."""
        given = {f.name.removesuffix("_"): getattr(self, f.name) for f in fields(self)}
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in given.items() if v is not None}
        if not plain:
            return True
        return plain[self.alone] if set(plain) == {self.alone} else plain

    def __str__(self) -> str:
        spelled = self.spelled()
        if spelled is True:
            return self.name
        if isinstance(spelled, dict):
            return f"{self.name} {', '.join(f'{key} {value}' for key, value in spelled.items())}"
        return f"{self.name} {spelled}"


def axis_of(axis: int, rank: int) -> int:
    """The axis, counted from the front. MisfitError where there is no such."""
    if not -rank <= axis < rank:
        raise MisfitError(f"expected an axis below {rank}, got {axis}")
    return axis % rank


def require(tensor: Tensor, verb: str, kinds: Sequence[str] = (FLOAT, COMPLEX)) -> None:
    """MisfitError where the tensor's elements are of no such kind."""
    if tensor.dtype.kind not in kinds:
        raise MisfitError(f"{verb} expected elements that are {' or '.join(kinds)}, got {tensor.dtype}")


def scalar_of(value: float, dtype: DType) -> np.ndarray[Any, Any]:
    """A number as an array of no dimensions. MisfitError where the type has no such: integers only what is whole."""
    import numpy as np

    with np.errstate(all="ignore"):
        scalar = np.asarray(value).astype(dtype.numpy())
        if dtype.is_floating or dtype.kind == COMPLEX:
            wide = np.abs(scalar.astype(np.complex128))
            fits = (np.isfinite(wide), np.isnan(wide)) == (np.isfinite(value), np.isnan(value))
        else:
            fits = int(scalar) == value
    if not fits:
        raise MisfitError(f"expected a number that is a {dtype}, got {value}")
    return scalar


def require_alike(tensors: Sequence[Tensor], *, shapes: bool = True) -> None:
    """MisfitError where the tensors differ in type, or in shape."""
    types = sorted({str(tensor.dtype) for tensor in tensors})
    if len(types) > 1:
        raise MisfitError(f"expected one dtype, got {' and '.join(types)}")
    if shapes and len({tensor.shape for tensor in tensors}) > 1:
        raise MisfitError("expected one shape")
