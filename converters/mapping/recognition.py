"""Which preset a source is made for, told from its names before any rule is read.

    [recognise]
    has = ["bert/embeddings/word_embeddings", ...]      names (patterns), each of which the source has
    lacks = [...]                                       names that none of it has
    says = "${layers} layers, ${hidden_size} wide"      what to tell of it, with the table's variables

This stands before the first `[[rules]]` of a preset: `inspect` reads no further. Where one of its variables is the
scope of all names, `model = "tf_bert_model"`, a source is recognised too that has `tf_bert_model_1`: Keras numbers the
models of a session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tensorferry.formats.tensor import Tensor

from .shipped import preset_files

_RULES = "\n[[rules]]"
_HAS = re.compile(r"^has = \[(.*?)\]$", re.DOTALL | re.MULTILINE)
_NUMBERED = re.compile(r".+_[1-9][0-9]*")
_CONSTANT = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*) = "([^"\n]+)"$', re.MULTILINE)
_STRING = re.compile(r'"([^"\n]*)"')
_OPEN = re.compile(r"\$?\{[^{}]*\}|[*?\\]+")
"""What is not plain text in a name: holes, variables, wild cards and escapes."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A preset that fits a source, and what it says of it: `BERT, 12 layers, 768 wide`."""

    name: str
    """With the variable that this source needs, if one: `NAME:model=tf_bert_model_1`."""

    says: str
    names: str = ""
    """What --names has to be for it: `key`, the names in the checkpoint, not those that its object graph gives."""

    @property
    def options(self) -> str:
        """What to convert with."""
        return f"--map {self.name}" + (f" --names {self.names}" if self.names else "")


def recognise(tensors: Mapping[str, Tensor]) -> list[Recognised]:
    """The presets that are made for a source with these tensors, sorted by name."""
    found: list[Recognised] = []
    names = "\n".join(tensors)
    for name, text in _heads():
        # Most presets are told from this, before anything that parses tables is loaded.
        if all(part in names for part in plain_parts(text)):
            found += _recognised(name, text, tensors)
    return found or list(_numbered(tensors))


def _numbered(tensors: Mapping[str, Tensor]) -> Iterator[Recognised]:
    """The presets for what these tensors would be called if their model were the first of its session."""
    scopes = filter(_NUMBERED.fullmatch, sorted({name.partition("/")[0] for name in tensors if "/" in name}))
    numbered = {scope.rpartition("_")[0]: scope for scope in scopes}
    for name, text in _heads() if numbered else ():
        variables = text.partition("\n[variables]\n")[2].partition("\n[")[0]
        for variable, first in _CONSTANT.findall(variables):
            if first in numbered:
                scope = numbered[first]
                inside = {key: tensor for key, tensor in tensors.items() if key.startswith(f"{scope}/")}
                renamed = {first + key[len(scope) :]: tensor for key, tensor in inside.items()}
                for each in _recognised(name, text, {**tensors, **renamed}):
                    yield replace(each, name=f"{name}:{variable}={scope}")


def _heads() -> Iterator[tuple[str, str]]:
    """What each preset that can be recognised says before its rules."""
    for file in preset_files():
        text = file.read_text("utf-8").partition(_RULES)[0]
        if "[recognise]" in text:
            yield file.stem, text


def plain_parts(text: str) -> list[str]:
    """Of each name in `has` the longest part that is no pattern: what one of the source's names has in it."""
    names = [name for block in _HAS.findall(text) for name in _STRING.findall(block)]
    return [max(_OPEN.split(name), key=len) for name in names]


def _recognised(name: str, text: str, tensors: Mapping[str, Tensor]) -> Iterator[Recognised]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib

    from .patterns.hole import PatternError
    from .patterns.matcher import Steps, TooLongError
    from .variables import VariableError, resolve, substitute

    head = tomllib.loads(text)
    rules = head["recognise"]
    variables = head.get("variables", {})
    constants = {key: value for key, value in variables.items() if not isinstance(value, dict)}
    derived = {key: value for key, value in variables.items() if isinstance(value, dict)}
    try:
        if fits(rules, tensors):
            values = resolve(substitute(derived, constants), tensors, Steps())
            says = substitute(rules.get("says", ""), values)
            yield Recognised(name, ", ".join(filter(None, [head.get("title", name), says])))
    except (VariableError, PatternError, TooLongError):
        return


def fits(rules: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bool:
    """Whether the source has all that the preset asks for, and nothing that it excludes."""
    from .patterns.matcher import Steps
    from .patterns.pattern import lone_pattern

    steps = Steps()

    def has(name: str) -> bool:
        pattern = lone_pattern(name)
        if pattern.is_exact:
            return pattern.exact in tensors
        return any(pattern.match(each, steps) is not None for each in tensors)

    return all(map(has, rules.get("has", ()))) and not any(map(has, rules.get("lacks", ())))
