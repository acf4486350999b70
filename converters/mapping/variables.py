"""Variables that follow from the tensors of a source.

    {dim = 1, of = "embeddings/word"}           a size of the first tensor of that name (a pattern)
    {count = "layer_{n:int}/kernel"}            how many tensors have such a name
    {quotient = ["${width}", 64]}               one number by another, without a rest
    {product = ["${heads}", 64]}                one number times another
    {sum = ["${vocab_size}", -1]}               one number plus another
    {ratio = ["${width}", 1024]}                one number by another, with what is behind the point

They stand in the parameters of verbs and in the config of a preset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tensorferry.formats.tensor import Tensor

from .patterns.hole import PatternError
from .patterns.matcher import Steps
from .patterns.pattern import lone_pattern

_LARGEST = 10**18

LONGEST = 100_000
"""Characters of a text with its variables put in: variables can hold variables."""

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


WAYS = ({"dim", "of"}, {"count"}, {"quotient"}, {"product"}, {"sum"}, {"ratio"})
"""The keys of a table that says how a number follows."""

Number = str | float
"""What a variable stands for; a constant one may be a text."""


class VariableError(ValueError):
    """A variable that is wrong, or that a source does not give."""


def resolve(derived: Mapping[str, Any], tensors: Mapping[str, Tensor], steps: Steps) -> dict[str, Number]:
    """Name -> number, each from the source or from those before it. VariableError."""
    values: dict[str, Number] = {}
    for name, given in derived.items():
        try:
            values[name] = _value(substitute(given, values), tensors, steps)
        except (VariableError, PatternError) as error:
            raise VariableError(f"variable {name}: {error}") from None
    return values


def substitute(data: Any, values: Mapping[str, Number]) -> Any:
    """The data with each `${name}` that has a value replaced by it. VariableError where a text gets too long."""
    if isinstance(data, str):
        if "${" not in data and len(data) <= LONGEST:
            return data
        if (long := length(data, values)) > LONGEST:
            raise VariableError(f"expected texts of at most {LONGEST} characters, got {long}")
        return VARIABLE.sub(lambda match: str(values.get(match[1], match[0])), data)
    if isinstance(data, dict):
        return {key: substitute(item, values) for key, item in data.items()}
    if isinstance(data, list):
        return [substitute(item, values) for item in data]
    return data


def length(data: Any, values: Mapping[str, Number]) -> int:
    """How many characters the data's texts have with the values put in."""
    if isinstance(data, dict):
        return sum(length(item, values) for item in data.values())
    if isinstance(data, list):
        return sum(length(item, values) for item in data)
    if not isinstance(data, str):
        return 0
    if "${" not in data:
        return len(data)
    return len(data) + sum(len(str(values.get(name, ""))) for name in VARIABLE.findall(data))


def variables_in(data: Any) -> set[str]:
    """The names of the variables that stand in the data."""
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, list):
        return {name for item in data for name in variables_in(item)}
    return set(VARIABLE.findall(data)) if isinstance(data, str) else set()


def fill(data: Any, values: Mapping[str, Any]) -> Any:
    """As `substitute`, but a text that is one variable becomes what that stands for: a number, or any data."""
    if isinstance(data, Mapping):
        return {key: fill(item, values) for key, item in data.items()}
    if isinstance(data, list):
        return [fill(item, values) for item in data]
    whole = VARIABLE.fullmatch(data) if isinstance(data, str) else None
    return values[whole[1]] if whole and whole[1] in values else substitute(data, values)


def _value(given: Any, tensors: Mapping[str, Tensor], steps: Steps) -> float:
    keys = set(given)
    if keys == {"count"}:
        return len(_matching(given["count"], tensors, steps))
    if keys == {"dim", "of"}:
        names = _matching(given["of"], tensors, steps)
        if not names:
            raise VariableError(f"expected a tensor {given['of']} in the source, got none")
        shape, dim = tensors[names[0]].shape, given["dim"]
        if not isinstance(dim, int) or not -len(shape) <= dim < len(shape):
            raise VariableError(f"expected a dimension of {names[0]} {list(shape)}, got {dim!r:.40}")
        return shape[dim]
    if keys in WAYS:
        ((verb, numbers),) = given.items()
        pair = [_number(number) for number in numbers] if isinstance(numbers, list) and len(numbers) == 2 else []
        if not pair:
            raise VariableError(f"expected two numbers for {verb}, got {numbers!r:.60}")
        if verb == "product":
            return pair[0] * pair[1]
        if verb == "sum":
            return pair[0] + pair[1]
        if verb == "ratio" and pair[1]:
            return pair[0] / pair[1]
        if not pair[1] or pair[0] % pair[1]:
            raise VariableError(f"expected {pair[1]} to divide {pair[0]}")
        return pair[0] // pair[1]
    raise VariableError(
        f"expected {{dim, of}}, {{count}}, {{quotient}}, {{product}}, {{sum}} or {{ratio}}, got {given!r:.60}"
    )


def _number(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise VariableError(f"expected a whole number, got {value!r:.40}")
    if abs(value) >= _LARGEST:
        raise VariableError(f"expected a number of at most 18 digits, got {value}")
    return value


def _matching(pattern: Any, tensors: Mapping[str, Tensor], steps: Steps) -> list[str]:
    if not isinstance(pattern, str):
        raise VariableError(f"expected a name, got {pattern!r:.40}")
    parsed = lone_pattern(pattern)
    if parsed.is_exact:
        return [parsed.exact] if parsed.exact in tensors else []
    return [name for name in tensors if parsed.match(name, steps) is not None]
