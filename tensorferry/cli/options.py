"""Options and words that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from tensorferry.api import EMA_SUFFIX


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def graph_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--graph`."""
    return click.option(
        "--graph", metavar="META_OR_PB", help="Another graph (.meta, .pb, .pbtxt) for the checkpoint SRC."
    )(function)


class EmaCommand(click.Command):
    """A command whose `--ema` takes a suffix or none.

    In `--ema SRC DST` the parser takes SRC for the suffix; where an argument is missing for that reason, the words are
    read again without a suffix.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter:
            if "--ema" not in given:
                raise
            given[given.index("--ema")] = f"--ema={EMA_SUFFIX}"
            return super().parse_args(ctx, given)


def scheme_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--names SCHEME`."""
    return click.option("--names", "scheme", metavar="SCHEME", help="Names in TF2 checkpoints: key, full or object.")(
        function
    )


def ema_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--ema [SUFFIX]`."""
    return click.option(
        "--ema",
        metavar="[SUFFIX]",
        is_flag=False,
        flag_value=EMA_SUFFIX,
        help=f"Take the moving averages of the variables, VARIABLE/SUFFIX; default {EMA_SUFFIX}.",
    )(function)


def names(text: str | None) -> list[str] | None:
    """The names in a comma-separated option; None where it was not given."""
    if text is None:
        return None
    listed = [name.strip() for name in text.split(",")]
    if not all(listed):
        raise click.BadParameter(f"expected names with commas between, got {text!r}")
    return listed


def read_feeds(words: Iterable[str]) -> dict[str, Any]:
    """The arrays of `--feed NAME=FILE.npy`, by name."""
    return dict(map(_read_feed, words))


def _read_feed(word: str) -> tuple[str, Any]:
    import numpy as np

    from tensorferry.formats.errors import FormatError, UsageError

    name, equals, path = word.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--feed {word}", "expected NAME=FILE.npy")
    try:
        value = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(
            path, f"expected an array in .npy form, got: {getattr(error, 'strerror', None) or error}"
        ) from None
    if not isinstance(value, np.ndarray):
        raise FormatError(path, "expected one array in .npy form, got an archive")
    return name, value


def print_json(value: Any) -> None:
    """Prints a result as JSON. What JSON has no number for (NaN, infinities) is a text."""
    import json

    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=True, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
