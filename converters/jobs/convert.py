"""Convert: one source to one destination, by a plan that is made and checked before anything is written.

plan       `convert_weights` or `convert_graph`, by the format asked for, gives a job: what will be written
write      the job writes into parts beside the destination
verify     on request, the job compares what the parts hold with the source
publish    the parts take the destination's place, together, or vanish
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tensorferry.formats.atomic import OutputSet, check_destination, check_new_directory
from tensorferry.formats.errors import DestinationError, UsageError, listing
from tensorferry.formats.parts import exists
from tensorferry.formats.stream import watcher
from tensorferry.formats.tensor import SplatTensor, Tensor
from tensorferry.formats.tensor_proto import ProtoTensor

from .job import Job
from .options import Options, Path
from .report import Report

FORMATS = {
    ".pb": "graphdef",
    ".pbtxt": "pbtxt",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".npz": "npz",
    ".ckpt": "bundle",
}
"""File name ending -> the format that it stands for."""

WEIGHTS = ("safetensors", "npz", "bundle")
"""The formats that hold tensors and no graph."""


class _VerificationError(Exception):
    """Ends an output that differs from its source, before it is published."""


def convert(source: Path, destination: Path, options: Options | None = None) -> Report:
    """Converts what is at `source` and writes it to `destination`, atomically; returns the account of it.

    Raises TensorferryError, and leaves the destination as it was, for anything that can't be done as asked. A
    verification that fails raises nothing and writes nothing: `report.verified` is False.
    """
    options = options or Options()
    path = _file_of(os.fspath(destination), options)
    target = _format_of(path, options)
    _refuse_contradictions(target, options)
    report = Report(os.fspath(source), path, target, dry_run=options.dry_run)
    job = _plan(source, target, options, report)
    sources = _files_of(source, options)
    if path != os.fspath(destination):
        from .config_beside import with_config

        job = with_config(job, os.path.dirname(sources[0]), options, report)
    directory = _new_directory(path, os.fspath(destination))
    _check_destinations(job.destinations(path), directory, sources, options.force)
    older = [] if directory is not None else _older_files(job.older(path), sources, report, options.force)
    _check_room(directory or path, job)
    if options.dry_run:
        return report
    try:
        with OutputSet(options.force, directory) as files:
            with _watched(options, sum(kept.nbytes for kept in report.kept)):
                job.write(files, path, report)
            if options.verify:
                report.checks = job.verify(files.parts())
                if report.verified is False:
                    raise _VerificationError
                if report.verified is None:
                    report.notes.append("nothing to verify: the result holds no values")
    except _VerificationError:
        report.notes.append("the verification failed: nothing was written")
    else:
        for file in older:
            os.remove(file)
        job.published(path, report, force=options.force)
    return report


def _file_of(destination: str, options: Options) -> str:
    """The file to write: the destination, or what a directory stands for, given a table with a config."""
    if not options.tables:
        return destination
    from .config_beside import weights_in

    return weights_in(destination, options)


def _new_directory(path: str, destination: str) -> str | None:
    """The directory that has to be made: where the destination stands for a file in it, and it is not there."""
    directory = os.path.dirname(path)
    return directory if path != destination and not os.path.isdir(directory) else None


def _check_destinations(files: Sequence[str], directory: str | None, sources: Sequence[str], force: bool) -> None:
    """DestinationError where one of the files can't be written; of several that are there already, all are named."""
    if directory is not None:
        check_new_directory(directory)
        return
    there = [file for file in files if os.path.lexists(file)]
    for file in files:
        check_destination(file, force or len(there) > 1, sources=sources)
    if len(there) > 1 and not force:
        raise exists(os.path.dirname(there[0]), listing(os.path.basename(file) for file in there))


def _older_files(files: list[str], sources: Sequence[str], report: Report, force: bool) -> list[str]:
    """The files of an older result to remove. DestinationError where there are some that may not be replaced."""
    if not files:
        return []
    names = listing(map(os.path.basename, files), 6)
    if {os.path.realpath(file) for file in files} & {os.path.realpath(file) for file in sources}:
        report.notes.append(f"the source stays beside it: {names}")
        return []
    if not force:
        raise exists(os.path.dirname(files[0]) or ".", names)
    report.notes.append(f"takes the place of an older result: {names}")
    return files


def _check_room(path: str, job: Job) -> None:
    """DestinationError where tensors of a graph, whose few bytes may claim any size, exceed the room on the disk."""
    needed = sum(tensor.nbytes for tensor in job.tensors_written if tensor.dtype.is_plain and _is_claim(tensor))
    try:
        free = shutil.disk_usage(os.path.dirname(os.path.abspath(path))).free
    except OSError:
        return  # writing will say what is wrong with the directory
    if needed > free:
        raise DestinationError(path, f"expected room for {needed} bytes, got {free} that are free")


def _is_claim(tensor: Tensor) -> bool:
    """Whether a tensor's size is no sign of as many bytes in a file."""
    while isinstance(base := getattr(tensor, "base", None), Tensor):
        tensor = base
    return isinstance(tensor, (ProtoTensor, SplatTensor))


@contextmanager
def _watched(options: Options, total: int) -> Iterator[None]:
    """Within, the user's callback is told of what is written."""
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        if options.progress is not None:
            options.progress(done, total)

    token = watcher.set(told if options.progress is not None else None)
    try:
        yield
    finally:
        watcher.reset(token)


def _plan(source: Path, target: str, options: Options, report: Report) -> Job:
    if target in WEIGHTS:
        from .convert_weights import plan_weights

        return plan_weights(source, target, options, report)
    from .convert_graph import plan_graph

    return plan_graph(source, target, options, report)


def _files_of(source: Path, options: Options) -> list[str]:
    """The files that a conversion reads, none of which may be its destination."""
    from tensorferry.formats.detect import detect

    return [file for path in (source, options.graph) if path is not None for file in detect(path).files]


def _format_of(path: str, options: Options) -> str:
    known = sorted(set(FORMATS.values()))
    if options.to is not None:
        if options.to not in known:
            raise UsageError(f"--to {options.to}", f"expected one of {', '.join(known)}")
        return options.to
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        endings = ", ".join(f"{e} ({f})" for e, f in FORMATS.items())
        configured = any(getattr(table, "config", None) for table in options.tables)
        hint = "or --to; or a slash behind the name of a directory" if configured else "or --to"
        raise UsageError(path, f"expected a name that tells the format, ending in {endings}", hint=hint)
    return FORMATS[ending]


def _refuse_contradictions(target: str, options: Options) -> None:
    """Options that mean nothing for the format asked for are errors: nothing is ignored."""
    graph_only = {
        "--graph": options.graph,
        "--inputs": options.inputs,
        "--outputs": options.outputs,
        "--signature": options.signature,
        "--tag": options.tag,
    }
    weights_only = {
        "--dtype": options.dtype,
        "--keep-optimizer": options.keep_optimizer,
        "--names": options.names,
        "--unstorable": options.unstorable != "error",
    }
    _refuse(graph_only if target in WEIGHTS else weights_only, target)
    onnx_only = {
        "--opset": options.opset,
        "--no-fuse": options.no_fuse,
        "--inputs-as-nchw": options.inputs_as_nchw,
        "--outputs-as-nchw": options.outputs_as_nchw,
        "--external-data": options.external_data,
    }
    _refuse(onnx_only if target != "onnx" else {}, target)
    graph_def_only = {
        "--keep-functions": options.keep_functions,
        "--clean": options.clean,
        "--fold-constants": options.fold_constants,
        "--fold-batch-norm": options.fold_batch_norm,
    }
    _refuse(graph_def_only if target not in ("graphdef", "pbtxt") else {}, target)
    _refuse({"--max-shard-size": options.max_shard_size} if target not in ("safetensors", "bundle") else {}, target)
    _refuse({"--keep-layout": options.keep_layout} if target != "bundle" else {}, target)
    if options.max_shard_size and options.keep_layout:
        raise UsageError("--max-shard-size, --keep-layout", "expected one of them, got both")
    _refuse({"--feed": options.feeds} if target in WEIGHTS else {}, target)
    if options.feeds and not options.verify:
        raise UsageError("--feed", "expected --verify to go with it, got none")
    if options.outputs and options.signature:
        raise UsageError("--outputs, --signature", "expected one of them, got both")


def _refuse(options: Mapping[str, object], target: str) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError(listing(given), f"means nothing for {target}")
