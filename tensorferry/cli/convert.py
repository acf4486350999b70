"""`tensorferry convert`."""

from __future__ import annotations

import click

from .options import EmaCommand, ema_option, graph_option, json_option, names, print_json
from .progress import progress_bar


@click.command(cls=EmaCommand)
@click.argument("src")
@click.argument("dst")
@graph_option
@click.option(
    "--to", metavar="FORMAT", help="graphdef, pbtxt, safetensors, npz, onnx or bundle; default: by the ending of DST."
)
@click.option("--inputs", metavar="A:0,B:0", help="Cut the graph at these values and feed them.")
@click.option(
    "--outputs", metavar="C:0", help="The values to compute; default: the signature's, or the only likely one."
)
@click.option("--signature", metavar="NAME", help="Take inputs and outputs of this signature.")
@click.option("--tag", metavar="T", help="Take the MetaGraph of a SavedModel with this tag; default: serve.")
@click.option("--map", "maps", metavar="FILE", multiple=True, help="A table of names, {source: target}, JSON or TOML.")
@click.option(
    "--rename", "renames", metavar="OLD=NEW", multiple=True, help="OLD in SRC is NEW in DST, or in the graph."
)
@ema_option
@click.option("--include", metavar="GLOB", multiple=True, help="Take only the variables of these names.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out the variables of these names.")
@click.option("--names", "scheme", metavar="SCHEME", help="Names in TF2 checkpoints: key, full or object.")
@click.option("--keep-optimizer", is_flag=True, help="Keep what is not a weight: slots, averages, counters.")
@click.option("--dtype", metavar="D", help="Cast floating-point tensors: float64, float32, float16 or bfloat16.")
@click.option(
    "--unstorable", default="error", metavar="POLICY", help="Types that DST lacks: error, drop, or keep as bits."
)
@click.option("--max-shard-size", metavar="5GB", help="Divide safetensors into files of at most this size.")
@click.option("--opset", metavar="N", type=int, help="The ONNX opset; default 18.")
@click.option("--verify", is_flag=True, help="Compare what is written with what was read, and write it only if equal.")
@click.option("--dry-run", is_flag=True, help="Check and report everything, write nothing.")
@click.option("--force", is_flag=True, help="Replace DST if it exists.")
@json_option
def convert(
    src: str,
    dst: str,
    graph: str | None,
    to: str | None,
    inputs: str | None,
    outputs: str | None,
    signature: str | None,
    tag: str | None,
    maps: tuple[str, ...],
    renames: tuple[str, ...],
    ema: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    scheme: str | None,
    keep_optimizer: bool,
    dtype: str | None,
    unstorable: str,
    max_shard_size: str | None,
    opset: int | None,
    verify: bool,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Convert SRC to DST: a frozen GraphDef, ONNX, safetensors, .npz or a checkpoint.

    \b
    tensorferry convert model.ckpt model.safetensors
    tensorferry convert model.ckpt model.onnx --outputs softmax:0 --ema
    tensorferry convert model.ckpt frozen.pb --graph eval.meta --rename v1=other-v1
    """
    from tensorferry import api
    from tensorferry.converters.names.table import parse_renames

    with progress_bar(dst) as progress:
        report = api.convert(
            src,
            dst,
            graph=graph,
            to=to,
            inputs=names(inputs),
            outputs=names(outputs),
            signature=signature,
            tag=tag,
            map=maps,
            rename=parse_renames(renames),
            ema=ema or False,
            include=include,
            exclude=exclude,
            names=scheme,
            keep_optimizer=keep_optimizer,
            dtype=dtype,
            unstorable=unstorable,
            max_shard_size=max_shard_size,
            opset=opset,
            verify=verify,
            dry_run=dry_run,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(report.text())
    return 1 if report.verified is False else 0
