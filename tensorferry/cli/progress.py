"""A progress bar for long work: on stderr, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

LONG = 64 << 20
"""Bytes from which on work is long enough to show."""


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A function to call with (bytes done, bytes in all); None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    with ExitStack() as stack:
        moves: list[Callable[[int, int], None]] = []

        def move(done: int, total: int) -> None:
            if total < LONG:
                return
            if not moves:
                moves.append(_bar(stack, label))
            moves[0](done, total)

        yield move


def _bar(stack: ExitStack, label: str) -> Callable[[int, int], None]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()]
    bar = stack.enter_context(Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True))
    task = bar.add_task(label)
    return lambda done, total: bar.update(task, completed=done, total=total)
