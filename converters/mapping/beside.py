"""Files that belong beside a table's result, besides its config.json, told as data:

    [files."tokenizer_config.json"]         a file of JSON: its entries, with variables as in [config]
    do_lower_case = "${uncased}"
    model_max_length = "${positions}"

    [beside]
    copies = {"vocab.txt" = "vocab.txt"}    files that are copied: name beside the source -> name beside the result
    tells = {uncased = {uncased = "vocab.txt"}}         variables for `files` that a copy tells (`told`)
    goes_with = {"tokenizer_config.json" = "vocab.txt"}     files that are of use only with a copy, by its name
    assumes = ["preprocessor_config.json"]  files whose entries nothing in the source tells: the report has them

Where nothing tells a variable, the files that need it are not written, and where a copy has the name of a file, the
copy goes before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import NameMapError
from tensorferry.formats.tensor import Tensor

from .patterns.matcher import Steps, TooLongError
from .told import file_of, is_form, tell
from .variables import VARIABLE, VariableError, fill, resolve, variables_in

if TYPE_CHECKING:
    from .table import Table

KEYS = ("settings", "needs", "takes", "called", "copies", "means", "tells", "goes_with", "assumes")
CONFIG = "config.json"
LARGEST = 256 << 20
"""Bytes of a file that is copied."""


def copies_of(table: Table, directory: str) -> dict[str, str]:
    """Name beside the result -> path of what is copied there, for those that are in the directory."""
    found: dict[str, str] = {}
    for there, here in table.beside.get("copies", {}).items():
        path = os.path.join(directory, there)
        if os.path.isfile(path):
            found.setdefault(here, path)
    return found


def files_of(table: Table, tensors: Mapping[str, Tensor], directory: str) -> dict[str, Any]:
    """Name beside the result -> the data of the table's files that are written there. NameMapError, FormatError."""
    copies, goes_with = copies_of(table, directory), table.beside.get("goes_with", {})
    wanted = {name: data for name, data in table.files.items() if name not in copies}
    wanted = {name: data for name, data in wanted.items() if name not in goes_with or goes_with[name] in copies}
    try:
        values = resolve(table.derived, tensors, Steps()) | _told(table, copies)
    except (VariableError, TooLongError) as error:
        raise NameMapError(table.path, str(error)) from None
    return {name: fill(data, values) for name, data in wanted.items() if variables_in(data) <= set(values)}


def _told(table: Table, copies: Mapping[str, str]) -> dict[str, Any]:
    """The variables that copied files tell."""
    tells = table.beside.get("tells", {}).items()
    return {name: tell(how, copies[file_of(how)]) for name, how in tells if file_of(how) in copies}


def beside_problems(beside: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a table's `beside` and `files`: all names are those of files in a directory, no way out."""
    odd = [key for key in beside if key not in KEYS]
    if odd:
        yield f"expected only {', '.join(KEYS)} in beside, got {', '.join(map(str, odd))}"
    settings, copies = beside.get("settings", []), beside.get("copies", {})
    if not isinstance(settings, list) or not are_file_names(settings):
        yield f"expected names of files for settings, got {settings!r:.60}"
    for key in ("needs", "takes"):
        entries = beside.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            yield f"expected names of entries for {key}, got {entries!r:.60}"
    if not isinstance(copies, dict) or not are_file_names([*copies, *copies.values()]):
        yield f"expected names of files for copies, got {copies!r:.60}"
    called = beside.get("called", {})
    if not isinstance(called, dict) or not all(isinstance(name, str) for name in called.values()):
        yield f"expected {{ENTRY = NAME}} for called, got {called!r:.60}"
    means = beside.get("means", {})
    if not isinstance(means, dict) or not all(isinstance(words, dict) for words in means.values()):
        yield f"expected {{ENTRY = {{WORD = OTHER}}}} for means, got {means!r:.60}"
    if isinstance(copies, dict):
        yield from _file_problems(beside, files, list(copies.values()))


def _file_problems(beside: Mapping[str, Any], files: Mapping[str, Any], copies: Sequence[Any]) -> Iterator[str]:
    tells = beside.get("tells", {})
    if not isinstance(tells, dict) or not all(map(is_form, tells.values())) or not _are_variables(tells):
        yield f'expected {{VARIABLE = {{uncased = "FILE"}}}} or its like for tells, got {tells!r:.60}'
    elif not all(file_of(how) in copies for how in tells.values()):
        yield f"expected names that copies gives in tells, got {tells!r:.60}"
    goes_with = beside.get("goes_with", {})
    if not isinstance(goes_with, dict) or not set(goes_with) <= set(files):
        yield f"expected names of this table's files for goes_with, got {goes_with!r:.60}"
    elif not all(name in copies for name in goes_with.values()):
        yield f"expected names that copies gives for goes_with, got {goes_with!r:.60}"
    assumes = beside.get("assumes", [])
    if not isinstance(assumes, list) or not all(isinstance(name, str) and name in files for name in assumes):
        yield f"expected names of this table's files for assumes, got {assumes!r:.60}"
    if not are_file_names(files) or CONFIG in files:
        yield f"expected names of files other than {CONFIG} for files, got {', '.join(map(str, files))}"
    if not all(isinstance(entries, dict) for entries in files.values()):
        yield f"expected {{FILE = {{ENTRY = VALUE}}}} for files, got {files!r:.60}"


def _are_variables(names: Iterable[str]) -> bool:
    return all(VARIABLE.fullmatch(f"${{{name}}}") for name in names)


def are_file_names(names: Iterable[Any]) -> bool:
    """Whether each names a file of a directory, without a way out of it, in characters that can be printed."""
    return all(
        isinstance(name, str) and name not in ("", ".", "..") and name.isprintable() and not set(name) & set("/\\")
        for name in names
    )
