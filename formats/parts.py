"""Parts: files that are written beside their destination, each owned by a process for as long as that lives.

    DIR/.NAME.0123abcd.tensorferry-part/NAME

The folder is named after the first destination that it holds a part of, and a random number. The writer keeps a lock on
each part (flock), which ends with the process, whatever ends that. So a part that can be locked belongs to nobody, and
`sweep` removes it. Where a filesystem has no locks, leftovers stay; where the system has no flock at all, open files
can't be removed anyhow.
"""

from __future__ import annotations

import io
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .errors import DestinationError

try:
    import fcntl
except ImportError:  # a system without flock
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".tensorferry-part"

_FOLDER = re.compile(rf"\.(.+)\.[0-9a-f]{{8}}{re.escape(SUFFIX)}")
_LONGEST = 150
"""Bytes of the destination's name that fit into the folder's, where names end at 255."""


@dataclass
class Part:
    """A file on its way to `path`, open until it is there."""

    path: str
    temporary: str
    file: io.BufferedWriter
    descriptor: int
    identity: os.stat_result

    def finish(self) -> None:
        """Everything that was written reaches the disk."""
        self.file.flush()
        with reported(self.path):
            os.fsync(self.descriptor)

    def retire(self) -> None:
        """Takes the old file away, for good."""
        with reported(self.path), suppress(FileNotFoundError):
            os.unlink(self.path)
            sync_directory(os.path.dirname(self.path))

    def publish(self, force: bool) -> None:
        """The part takes the destination's place; without `force` only if there is nothing."""
        if fcntl is None:  # an open file can't be renamed there
            self.file.close()
        with reported(self.path):
            if force:
                os.replace(self.temporary, self.path)
                return
            try:
                os.link(self.temporary, self.path)
            except FileExistsError:
                raise exists(self.path) from None
            except OSError:  # no hard links here
                if os.path.lexists(self.path):
                    raise exists(self.path) from None
                os.rename(self.temporary, self.path)
            else:
                os.unlink(self.temporary)

    def withdraw(self) -> None:
        """Takes the destination away again, if it is this very file."""
        _remove_if_same(self.path, self.identity)

    def discard(self) -> None:
        """Closes the file and removes what is left of it in the folder of parts."""
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
        with reported(self.destination):
            return super().write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        with reported(self.destination):
            return super().seek(offset, whence)

    if hasattr(os, "pwrite"):

        def write_at(self, data: Any, position: int) -> None:
            """Writes all of `data` at `position`, wherever the file stands."""
            left = memoryview(data)
            with reported(self.destination):
                while left:
                    done = os.pwrite(self.fileno(), left, position)
                    left, position = left[done:], position + done


def make_folder(directory: str, name: str) -> str:
    """A new folder for parts, the first of which is for `name`."""
    while True:
        folder = os.path.join(directory, f".{_stem(name)}.{os.urandom(4).hex()}{SUFFIX}")
        with suppress(FileExistsError):
            os.mkdir(folder)
            return folder


def publish_folder(folder: str, path: str, parts: Iterable[Part]) -> None:
    """The folder, with all its parts, becomes the directory `path`, where nothing is."""
    if fcntl is None:  # where a directory with open files can't be renamed
        for part in parts:
            part.file.close()
    with reported(path):
        os.rename(folder, path)


def create(path: str, temporary: str) -> Part | None:
    """A new, locked part for `path`; None where another run's sweep took the folder or the file before the lock."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except FileNotFoundError:
        if os.path.isdir(os.path.dirname(temporary)):
            raise
        return None
    raw = _PartFile(descriptor, path)
    identity = os.fstat(descriptor)
    if _lock(descriptor) is not False and _is_same(temporary, identity):
        return Part(path, temporary, io.BufferedWriter(raw, 1 << 16), descriptor, identity)
    _remove_if_same(temporary, identity)
    raw.close()
    return None


def sweep(path: str) -> None:
    """Removes the folders with a part of `path` (or for it, and still empty) that dead writers left."""
    directory, name = os.path.split(path)
    with suppress(OSError):
        for entry in os.listdir(directory or "."):
            folder, match = os.path.join(directory, entry), _FOLDER.fullmatch(entry)
            if match is None or os.path.islink(folder):
                continue
            with suppress(OSError):
                found = os.listdir(folder)
                if name in found or match[1] == _stem(name):
                    for part in found:
                        _sweep_part(os.path.join(folder, part))
                    os.rmdir(folder)  # fails where one is left


def _sweep_part(path: str) -> None:
    """Removes a part that nobody has locked; where there are no locks, one that nobody has open."""
    if fcntl is None:
        os.unlink(path)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(descriptor):
            _remove_if_same(path, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _stem(name: str) -> str:
    """What tells the destination in a folder's name; long names are cut and told apart by a digest."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST:
        return name
    import hashlib

    readable = encoded[:_LONGEST].decode("ascii", "replace").replace("\ufffd", "_")
    return readable + hashlib.sha256(encoded).hexdigest()[:16]


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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, SIGINT and SIGTERM wait: for steps between which a file would be nobody's.

    Only the main thread sees signals. A mask would not do: another thread (a numerical library's) would take them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in handlers.items() if handler is not None}
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: waiting.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for caught in waiting:
            signal.raise_signal(caught)


def sync_directory(directory: str) -> None:
    """Makes renames in `directory` last through a power failure, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def exists(path: str, files: str = "") -> DestinationError:
    """What to raise where there is something; or where `files` of a directory are, several."""
    if files:
        return DestinationError(path, f"has {files} already", hint="--force replaces them")
    return DestinationError(path, "exists already", hint="--force replaces it")


@contextmanager
def reported(path: str) -> Iterator[None]:
    """Turns the system's errors into DestinationError at `path`."""
    try:
        yield
    except OSError as error:
        raise DestinationError(path, f"can't be written: {error.strerror or error}") from None
