"""`tensorferry map`."""

from __future__ import annotations

import click

from tensorferry.api import EMA_SUFFIX

from .options import print_json


@click.group("map")
def map_() -> None:
    """Show, check and invert tables of names, {source: target}."""


@map_.command()
@click.argument("table")
def show(table: str) -> None:
    """Print TABLE, a JSON or TOML file, as SOURCE -> TARGET."""
    from tensorferry.converters.names.table import read_table
    from tensorferry.formats.errors import one_line

    for old, new in read_table(table).items():
        click.echo(f"{one_line(old)} -> {one_line(new)}")


@map_.command()
@click.argument("table")
@click.argument("src")
def check(table: str, src: str) -> None:
    """Check that TABLE can rename the tensors of SRC: none missing, none doubled."""
    from tensorferry import api
    from tensorferry.converters.names.selection import select_names
    from tensorferry.converters.names.table import read_table

    names = read_table(table)
    selection = select_names(api.load_checkpoint(src), tables=[names])
    for note in selection.notes:
        click.echo(note)
    click.echo(f"{len(names)} of {len(selection.entries)} names are in the table, each once")


@map_.command()
@click.argument("table")
def invert(table: str) -> None:
    """Print the inverse of TABLE, {target: source}, as JSON."""
    from tensorferry.converters.names.table import invert_table, read_table

    print_json(invert_table(read_table(table), table))


@map_.command("variables-to-restore")
@click.argument("src")
@click.option("--suffix", default=EMA_SUFFIX, show_default=True, help="What the averages' names end in.")
def variables_to_restore(src: str, suffix: str) -> None:
    """Print what ExponentialMovingAverage.variables_to_restore() gives for SRC: {name in the checkpoint: variable}.

    From the graph's collections where SRC has a graph, else from the names in the checkpoint.
    """
    from tensorferry import api

    print_json(api.variables_to_restore(src, suffix=suffix))
