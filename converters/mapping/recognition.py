"""Which preset a source is made for, told from its names before any rule is read.

    [recognise]
    has = ["bert/embeddings/word_embeddings", ...]      names (patterns), each of which the source has
    lacks = [...]                                       names that none of it has
    says = "${layers} layers, ${hidden_size} wide"      what to tell of it, with the table's variables

This stands before the first `[[rules]]` of a preset: `inspect` reads no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorferry.formats.tensor import Tensor

_RULES = "\n[[rules]]"
_HAS = re.compile(r"^has = \[(.*?)\]$", re.DOTALL | re.MULTILINE)
_PLAIN = re.compile(r'"([^"\\{}*?$]+)"')


@dataclass(frozen=True, slots=True)
class Recognised:
    """A preset that fits a source, and what it says of it: `BERT, 12 layers, 768 wide`."""

    name: str
    says: str
    names: str = ""
    """What --names has to be for it: `key`, the names in the checkpoint, not those that its object graph gives."""

    @property
    def options(self) -> str:
        """What to convert with."""
        return f"--map {self.name}" + (f" --names {self.names}" if self.names else "")


def preset_files() -> list[Path]:
    """The presets' files."""
    return sorted((Path(__file__).parent.parent / "presets").glob("*.toml"))


def recognise(tensors: Mapping[str, Tensor]) -> list[Recognised]:
    """The presets that are made for a source with these tensors, sorted by name."""
    found: list[Recognised] = []
    for name, text in _heads():
        # Most presets are told from this, before anything that parses tables is loaded.
        if all(plain in tensors for plain in plain_names(text)):
            found += _recognised(name, text, tensors)
    return found


def _heads() -> Iterator[tuple[str, str]]:
    """What each preset that can be recognised says before its rules."""
    for file in preset_files():
        text = file.read_text("utf-8").partition(_RULES)[0]
        if "[recognise]" in text:
            yield file.stem, text


def plain_names(text: str) -> list[str]:
    """The names in `has`, but for those that are patterns."""
    return [name for block in _HAS.findall(text) for name in _PLAIN.findall(block)]


def _recognised(name: str, text: str, tensors: Mapping[str, Tensor]) -> Iterator[Recognised]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib

    from .hole import PatternError
    from .matcher import Steps, TooLongError
    from .variables import VariableError, resolve, substitute

    head = tomllib.loads(text)
    rules = head["recognise"]
    derived = {key: value for key, value in head.get("variables", {}).items() if isinstance(value, dict)}
    try:
        if _fits(rules, tensors):
            says = substitute(rules.get("says", ""), resolve(derived, tensors, Steps()))
            yield Recognised(name, ", ".join(filter(None, [head.get("title", name), says])))
    except (VariableError, PatternError, TooLongError):
        return


def _fits(rules: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bool:
    """Whether the source has all that the preset asks for, and nothing that it excludes."""
    from .matcher import Steps
    from .pattern import lone_pattern

    steps = Steps()

    def has(name: str) -> bool:
        pattern = lone_pattern(name)
        if pattern.is_exact:
            return pattern.exact in tensors
        return any(pattern.match(each, steps) is not None for each in tensors)

    return all(map(has, rules.get("has", ()))) and not any(map(has, rules.get("lacks", ())))
