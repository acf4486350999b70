"""Atomic outputs: a destination holds the old file, the whole new one, or none; never a part of one.

    DIR/NAME                                      the destination
    DIR/.NAME.0123abcd.tensorferry-part/NAME      what is written first, under the process's umask

The part is written, flushed, synced and then put in the destination's place. Without `force` it is linked there, so
that a file which appeared in the meantime is kept (where a filesystem has no hard links: looked for, then renamed);
with `force` it is renamed over the old one. A destination that is a symbolic link is replaced, not followed: the file
behind it may be shared, as in a cache. Any exception removes the parts.

Several files that belong together share the folder of parts, each under its own name. So they can be read, references
among them included, before they are published (`parts`). That happens in the order in which they were opened: open
the one that refers to the others last. When it replaces an older one, the older goes first of all: a kill in the
middle of that leaves a set without its index, which nobody takes for a whole one.

A directory that is new is published whole: the folder of parts lies beside it and takes its name at the end.

    DIR/.NEW.0123abcd.tensorferry-part/NAME ...   becomes   DIR/NEW/NAME ...

What a killed run leaves, the next run that writes the same destination removes (see `parts`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from .binary import Path
from .errors import DestinationError
from .parts import Part, create, exists, make_folder, publish_folder, reported, sweep, sync_directory, undisturbed

if TYPE_CHECKING:
    from typing_extensions import Self


@contextmanager
def output(path: Path, force: bool = False, files: OutputSet | None = None) -> Iterator[BinaryIO]:
    """A binary file to write, which becomes `path` when the block ends and vanishes when it raises.

    Given `files`, it is one of theirs and waits for them. DestinationError as for `check_destination`, and when
    writing fails (disk full, no permission, ...).
    """
    with outputs(force, files) as chosen:
        yield chosen.open(path)


@contextmanager
def outputs(force: bool = False, files: OutputSet | None = None) -> Iterator[OutputSet]:
    """`files`, which their owner publishes; or, given None, a set that is published when the block ends."""
    if files is not None:
        yield files
        return
    with OutputSet(force) as own:
        yield own


class OutputSet:
    """Files that are published together, in the order in which they were opened, when the block ends.

    Given a `directory`, which is not there yet, they are its files, and it appears with all of them.
    """

    def __init__(self, force: bool = False, directory: Path | None = None) -> None:
        self._force = force
        self._directory = None if directory is None else os.fspath(directory)
        self._parts: list[Part] = []
        self._folders: dict[str, str] = {}

    def open(self, path: Path) -> BinaryIO:
        """A new file that becomes `path`; the caller writes and leaves it open. DestinationError as for `output`."""
        path = os.fspath(path)
        if self._directory is None:
            check_destination(path, self._force)
        else:
            check_new_directory(self._directory)
            if os.path.dirname(path) != self._directory:
                raise DestinationError(path, f"expected a file of the new directory {self._directory}")
        if any(part.path == path for part in self._parts):
            raise DestinationError(path, "expected an output of its own, got two of this name")
        sweep(self._directory or path)
        with undisturbed(), reported(path):
            return self._create(path)

    def _create(self, path: str) -> BinaryIO:
        """A part for `path`, which `__exit__` knows of."""
        directory, name = os.path.split(path)
        while True:
            folder = self._folders.get(directory, "")
            if not os.path.isdir(folder):  # or another run's sweep took it before there was anything in it
                place = os.path.split(path if self._directory is None else self._directory)
                folder = self._folders[directory] = make_folder(*place)
            part = create(path, os.path.join(folder, name))
            if part is not None:
                self._parts.append(part)
                return part.file

    def parts(self) -> dict[str, str]:
        """Where the bytes of each destination are until the block ends; all that was written can be read there."""
        for part in self._parts:
            part.file.flush()
        return {part.path: part.temporary for part in self._parts}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with undisturbed():
            published: list[Part] = []
            try:
                if kind is None and self._directory is not None:
                    self._publish_directory(self._directory)
                elif kind is None:
                    self._publish(published)
            except BaseException:
                if not self._force:
                    for part in published:
                        part.withdraw()
                raise
            finally:
                self._remove_parts()

    def _remove_parts(self) -> None:
        """Closes all parts and removes what is left of them."""
        for part in self._parts:
            part.discard()
        for folder in self._folders.values():
            with suppress(OSError):
                os.rmdir(folder)

    def _publish(self, published: list[Part]) -> None:
        for part in self._parts:
            part.finish()
        several = len(self._parts) > 1
        if self._force and several:
            self._parts[-1].retire()
        for part in self._parts:
            if several and part is self._parts[-1]:
                self._sync()
            published.append(part)
            part.publish(self._force)
        self._sync()

    def _publish_directory(self, path: str) -> None:
        for part in self._parts:
            part.finish()
        check_new_directory(path)
        for folder in self._folders.values():
            sync_directory(folder)
            publish_folder(folder, path, self._parts)
        sync_directory(os.path.dirname(path))

    def _sync(self) -> None:
        for directory in {os.path.dirname(part.path) for part in self._parts}:
            sync_directory(directory)


def check_destination(path: Path, force: bool = False, sources: Iterable[Path] = ()) -> None:
    """Raises DestinationError where `path` can't be written: to be called before any work is done.

    It has to be in a directory that exists and can be written, be no directory or device, none of `sources`, and not
    exist unless `force` says that it may be replaced.
    """
    path = os.fspath(path)
    directory, name = os.path.split(path)
    if not name or "\0" in path:
        raise DestinationError(path, "expected the name of a file, got none")
    with reported(path):
        there = _stat(path)
    if there is not None:
        for source in sources:
            with suppress(OSError):
                if os.path.samestat(there, os.stat(source)):
                    raise DestinationError(path, "expected a destination of its own, got one of the sources")
        if stat.S_ISDIR(there.st_mode):
            raise DestinationError(path, "expected a file or nothing, got a directory")
        if not stat.S_ISREG(there.st_mode):
            raise DestinationError(path, "expected a file or nothing, got a device or pipe")
    if not os.path.isdir(directory or "."):
        raise DestinationError(directory, f"expected a directory to write {name} into, got none")
    if not force and os.path.lexists(path):
        raise exists(path)
    if not os.access(directory or ".", os.W_OK | os.X_OK):
        raise DestinationError(directory or ".", "expected a directory that can be written, got one that can't")


def check_new_directory(path: str) -> None:
    """Raises DestinationError where the directory `path` can't be made: to be called before any work is done."""
    parent, name = os.path.split(path)
    if not name or "\0" in path:
        raise DestinationError(path, "expected the name of a directory, got none")
    with reported(path):
        there = _stat(path)
    if there is not None or os.path.lexists(path):
        kind = (
            "a link that leads nowhere" if there is None else "a directory" if stat.S_ISDIR(there.st_mode) else "a file"
        )
        raise DestinationError(path, f"expected nothing where a directory is to be made, got {kind}")
    if not os.path.isdir(parent or "."):
        raise DestinationError(parent, f"expected a directory to make {name} in, got none")
    if not os.access(parent or ".", os.W_OK | os.X_OK):
        raise DestinationError(parent or ".", "expected a directory that can be written, got one that can't")


def _stat(path: str) -> os.stat_result | None:
    """What is at `path`, behind links too; None where there is nothing."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
