"""Atomic outputs: a destination holds the old file, the whole new one, or none; never a part of one.

    DIR/NAME                                   the destination
    DIR/.NAME.0123abcd.tensorferry-part        what is written first, under the process's umask

The part is written, flushed, synced and then put in the destination's place. Without `force` it is linked there, so
that a file which appeared in the meantime is kept (where a filesystem has no hard links: looked for, then renamed);
with `force` it is renamed over the old one. A destination that is a symbolic link is replaced, not followed: the file
behind it may be shared, as in a cache. Any exception removes the parts.

A part belongs to its writer as long as the writer holds a lock on it (flock), which ends with the process. So the next
run for the same destination removes what a killed one left, and no other file. Where the system has no flock, open
files can't be removed anyhow.

Several files that belong together are published in the order in which they were opened: open the one that refers to the
others last. When it replaces an older one, the older goes first of all: a kill in the middle of that leaves a set
without its index, which nobody takes for a whole one.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from .binary import Path
from .errors import DestinationError

try:
    import fcntl
except ImportError:  # a system without flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from typing_extensions import Self

SUFFIX = ".tensorferry-part"

_LONGEST = 150
"""Bytes of the destination's name that fit into the part's, where names end at 255."""


@contextmanager
def output(path: Path, force: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write, which becomes `path` when the block ends and vanishes when it raises.

    DestinationError as for `check_destination`, and when writing fails (disk full, no permission, ...).
    """
    with OutputSet(force) as files:
        yield files.open(path)


class OutputSet:
    """Files that are published together, in the order in which they were opened, when the block ends."""

    def __init__(self, force: bool = False) -> None:
        self._force = force
        self._parts: list[_Part] = []

    def open(self, path: Path) -> BinaryIO:
        """A new file that becomes `path`; the caller writes and leaves it open. DestinationError as for `output`."""
        path = os.fspath(path)
        check_destination(path, self._force)
        if any(part.path == path for part in self._parts):
            raise DestinationError(path, "expected an output of its own, got two of this name")
        _sweep(path)
        part = _create(path)
        self._parts.append(part)
        return part.file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        published: list[_Part] = []
        try:
            if kind is None:
                self._publish(published)
        except BaseException:
            if not self._force:
                for part in published:
                    part.withdraw()
            raise
        finally:
            for part in self._parts:
                part.discard()

    def _publish(self, published: list[_Part]) -> None:
        for part in self._parts:
            part.finish()
        directories = {os.path.dirname(part.path) for part in self._parts}
        if self._force and len(self._parts) > 1:
            last = self._parts[-1].path
            with _reported(last), suppress(FileNotFoundError):
                os.unlink(last)
                _sync_directory(os.path.dirname(last))
        for part in self._parts:
            if part is self._parts[-1] and len(self._parts) > 1:
                for directory in directories:
                    _sync_directory(directory)
            published.append(part)
            part.publish(self._force)
        for directory in directories:
            _sync_directory(directory)


def check_destination(path: Path, force: bool = False, sources: Iterable[Path] = ()) -> None:
    """Raises DestinationError where `path` can't be written: to be called before any work is done.

    It has to be in a directory that exists and can be written, be no directory or device, none of `sources`, and not
    exist unless `force` says that it may be replaced.
    """
    path = os.fspath(path)
    directory, name = os.path.split(path)
    if not name or "\0" in path:
        raise DestinationError(path, "expected the name of a file, got none")
    with _reported(path):
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
        raise _exists(path)
    if not os.access(directory or ".", os.W_OK | os.X_OK):
        raise DestinationError(directory or ".", "expected a directory that can be written, got one that can't")


def _stat(path: str) -> os.stat_result | None:
    """What is at `path`, behind links too; None where there is nothing."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


@dataclass
class _Part:
    """A file on its way to `path`, open until it is there."""

    path: str
    temporary: str
    file: io.BufferedWriter
    descriptor: int
    identity: os.stat_result

    def finish(self) -> None:
        """Everything that was written reaches the disk."""
        self.file.flush()
        with _reported(self.path):
            os.fsync(self.descriptor)

    def publish(self, force: bool) -> None:
        """The part takes the destination's place; without `force` only if there is nothing."""
        if fcntl is None:  # an open file can't be renamed there
            self.file.close()
        with _reported(self.path):
            if force:
                os.replace(self.temporary, self.path)
                return
            try:
                os.link(self.temporary, self.path)
            except FileExistsError:
                raise _exists(self.path) from None
            except OSError:  # no hard links here
                if os.path.lexists(self.path):
                    raise _exists(self.path) from None
                os.rename(self.temporary, self.path)
            else:
                os.unlink(self.temporary)

    def withdraw(self) -> None:
        """Takes the destination away again, if it is this very file."""
        _remove_if_same(self.path, self.identity)

    def discard(self) -> None:
        """Closes the file and removes what is left of it beside the destination."""
        if fcntl is not None:  # while the lock is held
            _remove_if_same(self.temporary, self.identity)
        with suppress(OSError):  # not the buffer's close(), which would write what is left and may fail again
            self.file.raw.close()
        if fcntl is None:  # where an open file can't be removed
            _remove_if_same(self.temporary, self.identity)


class _PartFile(io.FileIO):
    """The raw file, whose failures name the destination."""

    def __init__(self, descriptor: int, destination: str) -> None:
        super().__init__(descriptor, "wb")
        self.destination = destination

    def write(self, data: Any, /) -> int:
        with _reported(self.destination):
            return super().write(data)


def _create(path: str) -> _Part:
    """A new, locked part for `path`."""
    directory, name = os.path.split(path)
    while True:
        temporary = os.path.join(directory, f".{_stem(name)}.{secrets.token_hex(4)}{SUFFIX}")
        with _reported(path):
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
                descriptor = os.open(temporary, flags, 0o666)
            except FileExistsError:
                continue
        raw = _PartFile(descriptor, path)
        # Another run's sweep may have come between these two steps: then this part is no longer ours.
        identity = os.fstat(descriptor)
        if _lock(descriptor) is not False and _is_same(temporary, identity):
            return _Part(path, temporary, io.BufferedWriter(raw, 1 << 16), descriptor, identity)
        raw.close()


def _sweep(path: str) -> None:
    """Removes the parts that dead writers of `path` left."""
    directory, name = os.path.split(path)
    ours = re.compile(rf"\.{re.escape(_stem(name))}\.[0-9a-f]{{8}}{re.escape(SUFFIX)}")
    with suppress(OSError):
        for entry in os.listdir(directory or "."):
            if not ours.fullmatch(entry):
                continue
            leftover = os.path.join(directory, entry)
            if fcntl is None:
                with suppress(OSError):
                    os.unlink(leftover)
                continue
            with suppress(OSError):
                descriptor = os.open(leftover, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if _lock(descriptor):
                        _remove_if_same(leftover, os.fstat(descriptor))
                finally:
                    os.close(descriptor)


def _stem(name: str) -> str:
    """The part of a temporary name that tells its destination; long names are cut and told apart by a digest."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST:
        return name
    return (
        encoded[:_LONGEST].decode("ascii", "replace").replace("\ufffd", "_") + hashlib.sha256(encoded).hexdigest()[:16]
    )


def _lock(descriptor: int) -> bool | None:
    """Whether this process now holds the file; None where the filesystem has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_same(path: str, identity: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), identity)
    except OSError:
        return False


def _remove_if_same(path: str, identity: os.stat_result) -> None:
    if _is_same(path, identity):
        with suppress(OSError):
            os.unlink(path)


def _sync_directory(directory: str) -> None:
    """Makes renames in `directory` last through a power failure, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exists(path: str) -> DestinationError:
    return DestinationError(path, "exists already", hint="--force replaces it")


@contextmanager
def _reported(path: str) -> Iterator[None]:
    """Turns the system's errors into DestinationError at `path`."""
    try:
        yield
    except OSError as error:
        raise DestinationError(path, f"can't be written: {error.strerror or error}") from None
