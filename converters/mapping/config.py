"""The config.json of a table's result, and the files that belong beside it, told as data:

    [config]                                what the source's shapes tell, and what is the same for all of the kind
    hidden_size = "${hidden_size}"          a text that is one variable becomes its number

    [assumed]                               what shapes do not tell, as most have it
    hidden_act = "gelu"
    num_attention_heads = {quotient = ["${hidden_size}", 64]}      a number that follows from variables

    [beside]
    settings = ["bert_config.json"]         files beside the source, of which the first that is there is read
    needs = ["num_hidden_layers"]           entries that have to stand in it: there is nothing to assume
    copies = {"vocab.txt" = "vocab.txt"}    files that are copied: name beside the source -> name beside the result
    means = {hidden_act = {gelu = "gelu_new"}}      words of the settings that the others call by another word

An entry of the settings goes before what is assumed; where it says other than the shapes, one of the two is not this
model's, and that is an error. Other entries of the settings are not taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import FormatError, NameMapError, listing
from tensorferry.formats.tensor import Tensor

from .document import read_document
from .matcher import Steps, TooLongError
from .variables import VARIABLE, VariableError, resolve, substitute

if TYPE_CHECKING:
    from .table import Table

_BESIDE = ("settings", "needs", "copies", "means")


@dataclass(frozen=True, slots=True)
class Settings:
    """The entries of a file beside a source; empty where there is none."""

    path: str = ""
    entries: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """A config.json. `given` are the entries that came of the settings, `assumed` those that are assumed."""

    entries: dict[str, Any]
    given: list[str]
    assumed: list[str]


def read_settings(table: Table, directory: str) -> Settings:
    """The table's settings in a directory. FormatError."""
    for name in table.beside.get("settings", ()):
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            entries = read_document(path).data
            if not isinstance(entries, dict):
                raise FormatError(path, f"expected settings by name, got a {type(entries).__name__}")
            return Settings(path, {key: _meant(table, key, value) for key, value in entries.items()})
    return Settings()


def _meant(table: Table, key: str, value: Any) -> Any:
    return table.beside.get("means", {}).get(key, {}).get(value, value) if isinstance(value, str) else value


def copies_of(table: Table, directory: str) -> dict[str, str]:
    """Name beside the result -> path of what is copied there, for those that are in the directory."""
    found: dict[str, str] = {}
    for there, here in table.beside.get("copies", {}).items():
        path = os.path.join(directory, there)
        if os.path.isfile(path):
            found.setdefault(here, path)
    return found


def config_of(table: Table, tensors: Mapping[str, Tensor], settings: Settings | None = None) -> Config:
    """The config of a table's result. NameMapError where a variable, or the settings, do not fit the source."""
    settings = settings or Settings()
    _require(table, settings)
    try:
        values = resolve(table.derived, tensors, Steps())
        entries = _filled(table.config, values)
        _refuse_others(table.config, entries, settings)
        given = [key for key in (*table.assumed, *table.beside.get("needs", ())) if key in settings.entries]
        assumed = [key for key in table.assumed if key not in settings.entries]
        entries |= {key: settings.entries[key] for key in given}
        entries |= {key: _assumed(key, table.assumed[key], values) for key in assumed}
    except (VariableError, TooLongError) as error:
        raise NameMapError(table.path, str(error) or "expected patterns that match sooner") from None
    return Config(entries, given, assumed)


def _assumed(key: str, value: Any, values: Mapping[str, str | float]) -> Any:
    """A value as it stands there, or the number that follows from variables."""
    if isinstance(value, dict):
        return resolve({key: substitute(value, values)}, {}, Steps())[key]
    return _filled(value, values)


def _require(table: Table, settings: Settings) -> None:
    missing = [key for key in table.beside.get("needs", ()) if key not in settings.entries]
    if missing:
        names = " or ".join(table.beside.get("settings", ()))
        problem = f"expected {listing(missing)} in {names} beside the source, since shapes do not tell"
        raise NameMapError(table.path, f"{problem}, got {'none there' if settings.path else 'no such file'}")


def _refuse_others(config: Mapping[str, Any], entries: Mapping[str, Any], settings: Settings) -> None:
    """NameMapError where the settings have another value for what follows from the source."""
    told = [key for key, value in config.items() if isinstance(value, str) and VARIABLE.fullmatch(value)]
    problems = [
        f"{key} {settings.entries[key]!r:.40} for {entries[key]}"
        for key in told
        if key in settings.entries and settings.entries[key] != entries[key]
    ]
    if problems:
        raise NameMapError(settings.path, f"expected what the source's shapes tell, got {listing(problems)}")


def _filled(data: Any, values: Mapping[str, str | float]) -> Any:
    if isinstance(data, Mapping):
        return {key: _filled(item, values) for key, item in data.items()}
    if isinstance(data, list):
        return [_filled(item, values) for item in data]
    whole = VARIABLE.fullmatch(data) if isinstance(data, str) else None
    return values[whole[1]] if whole and whole[1] in values else substitute(data, values)


def beside_problems(data: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a table's `beside`: all its names are those of files in a directory, without a way out."""
    odd = [key for key in data if key not in _BESIDE]
    if odd:
        yield f"expected only {', '.join(_BESIDE)} in beside, got {', '.join(map(str, odd))}"
    settings, needs, copies = data.get("settings", []), data.get("needs", []), data.get("copies", {})
    if not isinstance(settings, list) or not all(map(_is_file_name, settings)):
        yield f"expected names of files for settings, got {settings!r:.60}"
    if not isinstance(needs, list) or not all(isinstance(key, str) for key in needs):
        yield f"expected names of entries for needs, got {needs!r:.60}"
    if not isinstance(copies, dict) or not all(map(_is_file_name, [*copies, *copies.values()])):
        yield f"expected names of files for copies, got {copies!r:.60}"
    means = data.get("means", {})
    if not isinstance(means, dict) or not all(isinstance(words, dict) for words in means.values()):
        yield f"expected {{ENTRY = {{WORD = OTHER}}}} for means, got {means!r:.60}"


def _is_file_name(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
