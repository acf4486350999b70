"""`tensorferry diff`."""

from __future__ import annotations

import click

from .options import json_option, print_json


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--rtol", type=click.FloatRange(0), default=0.0, help="Relative tolerance; default 0: bytes are compared."
)
@click.option("--atol", type=click.FloatRange(0), default=0.0, help="Absolute tolerance; default 0.")
@json_option
def diff(a: str, b: str, rtol: float, atol: float, as_json: bool) -> int:
    """Compare the tensors of A and B by name: any two readable things. Exit status 1 where they differ."""
    from tensorferry import api
    from tensorferry.formats.errors import one_line

    found = api.diff(a, b, rtol=rtol, atol=atol)
    if as_json:
        print_json(found.to_dict())
        return 0 if found.same else 1
    for difference in found.different:
        largest = "" if difference.largest is None else f", largest difference {difference.largest:.6g}"
        click.echo(f"differs  {one_line(difference.name)}: {difference.reason}{largest}")
    for label, path, only in (("only in A", a, found.only_a), ("only in B", b, found.only_b)):
        for name in only:
            click.echo(f"{label}  {one_line(name)} ({one_line(path)})")
    counts = f"{len(found.equal)} equal, {len(found.different)} different"
    click.echo(f"{counts}, {len(found.only_a)} only in A, {len(found.only_b)} only in B")
    return 0 if found.same else 1
