"""The bounds that a reader has to keep on any input: 2 seconds of processor time, 300 MB of memory.

    with bounded():
        read(...)

Address space is limited meanwhile, so that a claim of terabytes is a MemoryError at once and harms nobody.
"""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 2.0
"""Processor time for one input."""

GROWTH = 300 << 20
"""Bytes by which the resident memory may grow for one input."""

ROOM = 1 << 30
"""Bytes of address space that one input may take."""


class BoundError(BaseException):
    """An input took too long, or too much memory. No `except Exception` of a reader hides it."""


@contextmanager
def bounded(seconds: float = SECONDS, growth: int = GROWTH) -> Iterator[None]:
    """Raises BoundError where the block takes more than it may. For the main thread only."""

    def stop(number: int, frame: object) -> None:
        raise BoundError(f"more than {seconds} s of processor time")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    address, resident = _status("VmSize"), _status("VmRSS")
    before = signal.signal(signal.SIGVTALRM, stop)
    began = time.process_time()
    _reset_peak()
    if address:
        resource.setrlimit(resource.RLIMIT_AS, (address + ROOM, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGVTALRM, before)
    used, peak = time.process_time() - began, _status("VmHWM") - resident
    if used > seconds:
        raise BoundError(f"{used:.1f} s of processor time")
    if peak > growth:
        raise BoundError(f"{peak >> 20} MB of memory")


def _reset_peak() -> None:
    """Lets the highest resident size begin anew (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """A size in bytes from the kernel's account of this process; 0 where there is none, as outside Linux."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) << 10
    return 0
