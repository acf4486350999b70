"""The command line: what a user types, what it prints, and its exit status.

    0  done, or equal
    1  a negative answer: different, or the verification failed
    2  bad usage or bad input; one line on stderr says what, and where that is too long, lines below it list all

Results go to stdout, everything else to stderr. With `--traceback` (or TENSORFERRY_TRACEBACK=1) an error shows
where in the code it came from.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from tensorferry import __version__
from tensorferry.formats.errors import TensorferryError, one_line

from .convert import convert
from .diff import diff
from .inspect import inspect
from .map import map_
from .run import run

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT, no_args_is_help=True)
@click.version_option(__version__, prog_name="tensorferry", message="%(prog)s %(version)s")
@click.option(
    "--traceback", is_flag=True, envvar="TENSORFERRY_TRACEBACK", help="Show where in the code an error came from."
)
def cli(traceback: bool) -> None:
    """Carry trained models out of TensorFlow files, without TensorFlow.

    SRC is a checkpoint (its prefix, .index, .data-..., .meta, or the directory), a MetaGraph, a GraphDef (.pb,
    .pbtxt), a SavedModel, or, for tensors, a .safetensors, .npz or .onnx file.
    """


for command in (inspect, convert, diff, run, map_):
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its status."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was begun is removed
    words = list(sys.argv[1:] if args is None else args)
    # Known before parsing, since parsing itself may fail.
    traceback = "--traceback" in words or os.environ.get("TENSORFERRY_TRACEBACK", "0") not in ("", "0")
    try:
        status = cli.main(words, prog_name="tensorferry", standalone_mode=False)
    except (TensorferryError, click.ClickException, OSError, MemoryError, KeyboardInterrupt, click.Abort) as error:
        if traceback:
            raise
        sys.exit(_report(error))
    sys.exit(status if isinstance(status, int) else 0)


def _report(error: BaseException) -> int:
    """Says on stderr what went wrong; returns the exit status for it."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        print("interrupted", file=sys.stderr)
        return 130
    if isinstance(error, BrokenPipeError):
        # The reader has gone; Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    print(f"error: {_message(error)}", file=sys.stderr)
    for problem in error.problems if isinstance(error, TensorferryError) else ():
        print(f"  {problem}", file=sys.stderr)
    return 2


def _message(error: BaseException) -> str:
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "tensorferry"
        return f"{one_line(error.format_message())} (see {command} --help)"
    if isinstance(error, click.ClickException):
        return one_line(error.format_message())
    if isinstance(error, OSError):
        return one_line(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    if isinstance(error, MemoryError):
        return f"out of memory{': ' * bool(str(error))}{one_line(error)}"
    return str(error)
