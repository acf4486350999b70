"""`tensorferry inspect`."""

from __future__ import annotations

import click

from .options import graph_option, json_option, print_json


@click.command()
@click.argument("src")
@graph_option
@click.option("--tag", metavar="T", help="Look at the MetaGraph of a SavedModel with this tag; default: serve.")
@json_option
def inspect(src: str, graph: str | None, tag: str | None, as_json: bool) -> None:
    """Tell what SRC is and holds: variables, and for a graph its inputs, outputs, signatures and ops."""
    from tensorferry import api

    found = api.inspect(src, graph=graph, tag=tag)
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(found.text())
