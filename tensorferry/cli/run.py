"""`tensorferry run`."""

from __future__ import annotations

from typing import Any

import click

from .options import EmaCommand, ema_option, graph_option, json_option, names, print_json, read_feeds


@click.command(cls=EmaCommand)
@click.argument("src")
@click.option("--outputs", metavar="C:0", help="The values to compute; default: the only likely one.")
@click.option("--signature", metavar="NAME", help="Take inputs and outputs of this signature, by its names.")
@click.option("--tag", metavar="T", help="Take the MetaGraph of a SavedModel with this tag; default: serve.")
@click.option("--feed", "feeds", metavar="A:0=X.NPY", multiple=True, help="Feed a value from a .npy file.")
@click.option(
    "--rename", "renames", metavar="OLD=NEW", multiple=True, help="OLD in the checkpoint is NEW in the graph."
)
@ema_option
@graph_option
@json_option
def run(
    src: str,
    outputs: str | None,
    signature: str | None,
    tag: str | None,
    feeds: tuple[str, ...],
    renames: tuple[str, ...],
    ema: str | None,
    graph: str | None,
    as_json: bool,
) -> None:
    """Evaluate the graph of SRC and print the values, by tensorferry's own reference evaluator.

    \b
    tensorferry run model.ckpt --outputs add:0
    tensorferry run frozen.pb --outputs softmax:0 --feed images:0=images.npy
    """
    from tensorferry import api
    from tensorferry.converters.names.table import parse_renames

    model = api.load_model(src, graph=graph, tag=tag)
    found = api.evaluate(
        model,
        outputs=names(outputs),
        signature=signature,
        feeds=read_feeds(feeds),
        rename=parse_renames(renames),
        ema=ema or False,
    )
    if as_json:
        print_json(
            {name: {"dtype": str(v.dtype), "shape": list(v.shape), "value": _json(v)} for name, v in found.items()}
        )
        return
    for name, value in found.items():
        click.echo(f"{name} {value.dtype} {list(value.shape)}\n{value}")


def _json(value: Any) -> Any:
    """An array as nested lists; bytes as text, complex numbers as pairs."""
    if value.dtype == object:
        return [item.decode("utf-8", "backslashreplace") for item in value.reshape(-1)]
    if value.dtype.kind == "c":
        return [[item.real, item.imag] for item in value.reshape(-1).tolist()]
    return value.astype(float).tolist() if value.dtype.kind == "V" else value.tolist()
