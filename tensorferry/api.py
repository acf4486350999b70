"""The Python face: the same steps as the command line, with Python's own types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    import numpy as np

    from tensorferry.converters.ir import Model
    from tensorferry.converters.jobs.diff import Comparison
    from tensorferry.converters.jobs.inspect import Inspection
    from tensorferry.converters.jobs.report import Report
    from tensorferry.formats.tensor import Tensor

    Path = str | os.PathLike[str]

EMA_SUFFIX = "ExponentialMovingAverage"

__all__ = [
    "convert",
    "diff",
    "evaluate",
    "inspect",
    "load_checkpoint",
    "load_model",
    "to_onnx",
    "variables_to_restore",
]


def convert(
    source: Path,
    destination: Path,
    *,
    graph: Path | None = None,
    to: str | None = None,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    signature: str | None = None,
    tag: str | None = None,
    map: Path | Sequence[Path] = (),  # noqa: A002 - the name of the command line's option
    rename: Mapping[str, str] | None = None,
    allow_unmatched: bool = False,
    allow_unused: bool = False,
    ema: bool | str = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    names: str | None = None,
    keep_optimizer: bool = False,
    dtype: str | None = None,
    unstorable: str = "error",
    max_shard_size: str | int | None = None,
    keep_layout: bool = False,
    keep_functions: bool = False,
    clean: bool = False,
    fold_constants: bool = False,
    fold_batch_norm: bool = False,
    opset: int | None = None,
    no_fuse: Sequence[str] = (),
    inputs_as_nchw: Sequence[str] = (),
    outputs_as_nchw: Sequence[str] = (),
    external_data: bool = False,
    verify: bool = False,
    feeds: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Converts `source` to `destination`, whose ending (or `to`) says the format, and returns the account of it.

    `rename` maps names in the source to names in the result or in the graph; `map` names files with such tables or
    with tables of rules (docs/tables.md), or presets that come with the package. Every rule has to match, and every
    weight to be taken by one, unless `allow_unmatched` and `allow_unused`. `ema` True takes moving averages in place of
    the variables; a text is the averages' suffix. `outputs` and `inputs` are values (`add:0`); without `outputs` the
    signature's or the only likely ones are taken. `progress` is called with the bytes written and the bytes in all.

    Of a checkpoint, what is not a weight (optimizer slots, averages, counters) is left out unless `keep_optimizer`.
    `names` ("key", "full", "object") says what the tensors of a TensorFlow 2 checkpoint are called, `unstorable`
    ("error", "drop", "bits") what becomes of tensors of types that the format lacks. Weights are divided into files of
    `max_shard_size` ("5GB"); with `keep_layout` a checkpoint that is rewritten keeps its data files and slices.
    With `keep_functions` a frozen graph keeps its functions and their calls. With `clean` it loses what changes no
    result (checks, dropout, identities, defaults, constants), with `fold_constants` only constants are folded;
    `fold_batch_norm` puts batch normalization into the weights before it.

    `verify` compares the result with the source before it is put in place; a graph's inputs are then `feeds`, arrays by
    name, and random where it gives none.

    Raises TensorferryError, and leaves the destination as it was.
    """
    import os

    from tensorferry.converters.jobs.convert import convert as run
    from tensorferry.converters.jobs.options import Options
    from tensorferry.converters.jobs.shards import parse_size

    files = [map] if isinstance(map, (str, os.PathLike)) else list(map)
    options = Options(
        graph=graph,
        to=to,
        inputs=inputs,
        outputs=outputs,
        signature=signature,
        tag=tag,
        rename=rename or {},
        tables=_tables(files),
        allow_unmatched=allow_unmatched,
        allow_unused=allow_unused,
        ema=_suffix(ema),
        include=include,
        exclude=exclude,
        names=names,
        keep_optimizer=keep_optimizer,
        dtype=dtype,
        unstorable=unstorable,
        max_shard_size=None if max_shard_size is None else parse_size(str(max_shard_size)),
        keep_layout=keep_layout,
        keep_functions=keep_functions,
        clean=clean,
        fold_constants=fold_constants,
        fold_batch_norm=fold_batch_norm,
        opset=opset,
        no_fuse=no_fuse,
        inputs_as_nchw=inputs_as_nchw,
        outputs_as_nchw=outputs_as_nchw,
        external_data=external_data,
        verify=verify,
        feeds=feeds or {},
        dry_run=dry_run,
        force=force,
        progress=progress,
    )
    return run(source, destination, options)


def _tables(files: Sequence[Path]) -> list[Any]:
    """The tables of `map`. What reads them is loaded if there are any."""
    if not files:
        return []
    from tensorferry.converters.mapping.presets import read_map

    return [read_map(file) for file in files]


def load_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """The named tensors at `path`, each read, checked and converted only when its value is asked for.

    A checkpoint may be named by its prefix, by any of its files, or by its directory (the latest one there).
    """
    from tensorferry.converters.load import load_checkpoint as load

    return load(path)


def load_model(path: Path, *, graph: Path | None = None, tag: str | None = None) -> Model:
    """The graph at `path` with the tensors of its checkpoint: .meta, .pb, .pbtxt, a checkpoint with its .meta, or a
    SavedModel, of which `tag` chooses a MetaGraph.

    `graph` gives another graph for the checkpoint at `path`.
    """
    from tensorferry.converters.load import load_model as load

    return load(path, graph=graph, tag=tag)


def inspect(path: Path, *, graph: Path | None = None, tag: str | None = None) -> Inspection:
    """What is at `path`: its variables and, for a graph, the inputs, outputs, signatures and ops.

    `graph` gives another graph for the checkpoint at `path`, `tag` chooses a MetaGraph of a SavedModel.
    """
    from tensorferry.converters.jobs.inspect import inspect as look

    return look(path, graph=graph, tag=tag)


def to_onnx(
    model: Model,
    *,
    outputs: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    signature: str | None = None,
    opset: int = 18,
    ema: bool | str = False,
    rename: Mapping[str, str] | None = None,
    no_fuse: Sequence[str] = (),
    inputs_as_nchw: Sequence[str] = (),
    outputs_as_nchw: Sequence[str] = (),
) -> Any:
    """The `onnx.ModelProto` of a model, its weights inside; see `convert` for the rewrites and layouts."""
    from tensorferry.converters.jobs.convert_graph import onnx_model
    from tensorferry.converters.jobs.options import Options

    options = Options(
        inputs=inputs,
        outputs=outputs,
        signature=signature,
        opset=opset,
        ema=_suffix(ema),
        rename=rename or {},
        no_fuse=no_fuse,
        inputs_as_nchw=inputs_as_nchw,
        outputs_as_nchw=outputs_as_nchw,
    )
    return onnx_model(model, options)


def evaluate(
    model: Model,
    *,
    outputs: Sequence[str] | None = None,
    signature: str | None = None,
    feeds: Mapping[str, np.ndarray[Any, Any]] | None = None,
    ema: bool | str = False,
    rename: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray[Any, Any]]:
    """The values of `outputs` (`add:0`), computed by the reference evaluator from `feeds` (by value, `x:0`).

    With a signature, both go by its own names.
    """
    from tensorferry.converters.jobs.freeze_model import run_model
    from tensorferry.converters.jobs.options import Options

    options = Options(outputs=outputs, signature=signature, ema=_suffix(ema), rename=rename or {})
    return run_model(model, options, feeds or {})


def diff(
    a: Path | Mapping[str, Tensor], b: Path | Mapping[str, Tensor], *, rtol: float = 0, atol: float = 0
) -> Comparison:
    """Compares the named tensors of two paths, or of two mappings, whatever the format of each."""
    from tensorferry.converters.jobs.diff import diff as compare

    left = a if isinstance(a, Mapping) else load_checkpoint(a)
    right = b if isinstance(b, Mapping) else load_checkpoint(b)
    return compare(left, right, rtol=rtol, atol=atol)


def variables_to_restore(source: Path, *, suffix: str = EMA_SUFFIX) -> dict[str, str]:
    """The dictionary that TensorFlow's `ExponentialMovingAverage.variables_to_restore()` gives: name in the
    checkpoint -> variable, from a graph's collections where `source` has a graph, else from a checkpoint's names.
    """
    from tensorferry.converters.names.ema import restore_table

    return restore_table(source, suffix)


def _suffix(ema: bool | str) -> str | None:
    return EMA_SUFFIX if ema is True else ema or None
