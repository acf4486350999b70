"""`tensorferry convert`."""

from __future__ import annotations

import click

from .options import EmaCommand, ema_option, graph_option, json_option, names, print_json, read_feeds, scheme_option
from .progress import progress_bar

NO_FUSE = (
    "dilations, duplicates, layout, clip, hard_sigmoid, softmax, gelu, layer_norm, tensordot, one_dimension, pads, "
    "batch_norm, conv_bias, gemm, affine, reshapes, scales, recurrent"
)
"""`tensorferry.converters.lowering.PASSES`, which would take long to load."""


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
@click.option(
    "--map", "maps", metavar="FILE|PRESET", multiple=True, help="A table of names or rules; see tensorferry map --help."
)
@click.option(
    "--rename", "renames", metavar="OLD=NEW", multiple=True, help="OLD in SRC is NEW in DST, or in the graph."
)
@click.option("--allow-unmatched", is_flag=True, help="Let rules of a table match nothing.")
@click.option("--allow-unused", is_flag=True, help="Leave out weights that no rule of a table takes.")
@ema_option
@click.option("--include", metavar="GLOB", multiple=True, help="Take only the variables of these names.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out the variables of these names.")
@scheme_option
@click.option("--keep-optimizer", is_flag=True, help="Keep what is not a weight: slots, averages, counters.")
@click.option("--dtype", metavar="D", help="Cast floating-point tensors: float64, float32, float16 or bfloat16.")
@click.option(
    "--unstorable", default="error", metavar="POLICY", help="Types that DST lacks: error, drop, or keep as bits."
)
@click.option("--max-shard-size", metavar="5GB", help="Divide weights into files of at most this size.")
@click.option("--keep-layout", is_flag=True, help="Keep a checkpoint's data files and the slices of its variables.")
@click.option("--clean", is_flag=True, help="Rid a frozen graph of checks, dropout, identities and foldable constants.")
@click.option("--fold-constants", is_flag=True, help="Fold constants in a frozen graph.")
@click.option("--fold-batch-norm", is_flag=True, help="Fold batch normalization into weights in a frozen graph.")
@click.option("--keep-functions", is_flag=True, help="Leave functions and their calls in a frozen graph.")
@click.option("--opset", metavar="N", type=int, help="The ONNX opset; default 18.")
@click.option("--no-fuse", "no_fuse", metavar="NAMES", help=f"Leave out rewrites of the ONNX graph: {NO_FUSE}.")
@click.option("--inputs-as-nchw", metavar="A:0,B:0", help="Give these inputs of the ONNX model their channels second.")
@click.option("--outputs-as-nchw", metavar="C:0", help="Give these outputs of the ONNX model their channels second.")
@click.option("--external-data", is_flag=True, help="Put the ONNX model's weights into a file beside it, DST.data.")
@click.option("--verify", is_flag=True, help="Compare what is written with what was read, and write it only if equal.")
@click.option(
    "--feed", "feeds", metavar="A:0=X.NPY", multiple=True, help="Verify with this input; default: random values."
)
@click.option("--dry-run", is_flag=True, help="Check and report everything, write nothing.")
@click.option("--force", is_flag=True, help="Replace DST if it exists, with all the files of an older result.")
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
    allow_unmatched: bool,
    allow_unused: bool,
    ema: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    scheme: str | None,
    keep_optimizer: bool,
    dtype: str | None,
    unstorable: str,
    max_shard_size: str | None,
    keep_layout: bool,
    keep_functions: bool,
    clean: bool,
    fold_constants: bool,
    fold_batch_norm: bool,
    opset: int | None,
    no_fuse: str | None,
    inputs_as_nchw: str | None,
    outputs_as_nchw: str | None,
    external_data: bool,
    verify: bool,
    feeds: tuple[str, ...],
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Convert SRC to DST: a frozen GraphDef, ONNX, safetensors, .npz or a checkpoint.

    \b
    tensorferry convert model.ckpt model.safetensors
    tensorferry convert model.ckpt model.onnx --outputs softmax:0 --ema
    tensorferry convert model.ckpt frozen.pb --graph eval.meta --rename v1=other-v1
    tensorferry convert bert_model.ckpt bert/ --map bert    a directory for transformers
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
            allow_unmatched=allow_unmatched,
            allow_unused=allow_unused,
            ema=ema or False,
            include=include,
            exclude=exclude,
            names=scheme,
            keep_optimizer=keep_optimizer,
            dtype=dtype,
            unstorable=unstorable,
            max_shard_size=max_shard_size,
            keep_layout=keep_layout,
            keep_functions=keep_functions,
            clean=clean,
            fold_constants=fold_constants,
            fold_batch_norm=fold_batch_norm,
            opset=opset,
            no_fuse=names(no_fuse) or (),
            inputs_as_nchw=names(inputs_as_nchw) or (),
            outputs_as_nchw=names(outputs_as_nchw) or (),
            external_data=external_data,
            verify=verify,
            feeds=read_feeds(feeds),
            dry_run=dry_run,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(report.text())
    return 1 if report.verified is False else 0
