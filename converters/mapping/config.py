"""The config.json of a table's result, told as data:

    [config]                                what the source's shapes tell, and what is the same for all of the kind
    hidden_size = "${hidden_size}"          a text that is one variable becomes its number

    [assumed]                               what shapes do not tell, as most have it
    hidden_act = "gelu"
    num_attention_heads = {quotient = ["${hidden_size}", 64]}      a number that follows from variables

    [beside]
    settings = ["bert_config.json"]         files beside the source, of which the first that is there is read
    needs = ["num_hidden_layers"]           entries that have to stand in it: there is nothing to assume
    takes = ["id2label"]                    entries that are taken where they stand in it, and else are not written
    called = {hidden_act = "activation"}    entries that the settings call by another name
    means = {hidden_act = {gelu = "gelu_new"}}      words of the settings that the others call by another word

An entry of the settings goes before what is assumed; where it says other than the shapes, or of an entry in `called`
other than the table, one of the two is not this model's, and that is an error. Other entries of the settings are not
taken. What else belongs there: `beside`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import FormatError, NameMapError, listing
from tensorferry.formats.tensor import Tensor

from .document import read_document
from .patterns.matcher import Steps, TooLongError
from .variables import VARIABLE, WAYS, Number, VariableError, fill, resolve, substitute

if TYPE_CHECKING:
    from .table import Table


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
            called: dict[str, str] = {there: here for here, there in table.beside.get("called", {}).items()}
            named = {str(called.get(key, key)): value for key, value in entries.items()}
            return Settings(path, {key: _meant(table, key, value) for key, value in named.items()})
    return Settings()


def _meant(table: Table, key: str, value: Any) -> Any:
    return table.beside.get("means", {}).get(key, {}).get(value, value) if isinstance(value, str) else value


def config_of(table: Table, tensors: Mapping[str, Tensor], settings: Settings | None = None) -> Config:
    """The config of a table's result. NameMapError where a variable, or the settings, do not fit the source."""
    settings = settings or Settings()
    _require(table, settings)
    try:
        values = resolve(table.derived, tensors, Steps())
        entries = fill(table.config, values)
        _refuse_others(table, entries, settings)
        given = [
            key
            for key in (*table.assumed, *table.beside.get("needs", ()), *table.beside.get("takes", ()))
            if key in settings.entries
        ]
        assumed = [key for key in table.assumed if key not in settings.entries]
        entries |= {key: settings.entries[key] for key in given}
        entries |= {key: _assumed(key, table.assumed[key], values, tensors) for key in assumed}
    except (VariableError, TooLongError) as error:
        raise NameMapError(table.path, str(error), hint=_hint(table, str(error))) from None
    return Config(entries, given, assumed)


def _assumed(key: str, value: Any, values: Mapping[str, Number], tensors: Mapping[str, Tensor]) -> Any:
    """A value as it stands there, or the number that follows from variables and from the source."""
    if isinstance(value, dict) and set(value) in WAYS:
        return resolve({key: substitute(value, values)}, tensors, Steps())[key]
    return fill(value, values)


def _hint(table: Table, problem: str) -> str:
    """Where else an entry could stand of which the usual value does not fit."""
    entry = problem.removeprefix("variable ").partition(":")[0]
    files = " or ".join(table.beside.get("settings", ()))
    return f"{files} beside the source may tell {entry}" if files and entry in table.assumed else ""


def _require(table: Table, settings: Settings) -> None:
    missing = [key for key in table.beside.get("needs", ()) if key not in settings.entries]
    if missing:
        names = " or ".join(table.beside.get("settings", ()))
        problem = f"expected {listing(missing)} in {names} beside the source, since shapes do not tell"
        raise NameMapError(table.path, f"{problem}, got {'none there' if settings.path else 'no such file'}")


def _refuse_others(table: Table, entries: Mapping[str, Any], settings: Settings) -> None:
    """NameMapError where the settings have another value for what follows from the source, or is in `called`."""
    called = table.beside.get("called", {})
    told = [k for k, v in table.config.items() if k in called or (isinstance(v, str) and VARIABLE.fullmatch(v))]
    problems = [
        f"{key} {settings.entries[key]!r:.40} for {entries[key]}"
        for key in told
        if key in settings.entries and settings.entries[key] != entries[key]
    ]
    if problems:
        raise NameMapError(
            settings.path, f"expected what the table and the source's shapes tell, got {listing(problems)}"
        )
