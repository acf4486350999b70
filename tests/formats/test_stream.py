"""stream: no tensor can shift what follows it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crc32c
import numpy as np
import pytest

from tensorferry.formats import stream
from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.dtype import DTYPES, FLOAT32
from tensorferry.formats.errors import DestinationError, FormatError
from tensorferry.formats.room import LIMIT, borrowed, stretch
from tensorferry.formats.stream import LARGE, Sink, copy, watcher
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor, Tensor

SIZES = (3, LARGE, 0, 2 * LARGE + 7, LARGE - 1, 5 * LARGE)


class Liar(Tensor):
    """Gives other bytes than it promises."""

    def __init__(self, given: list[bytes]) -> None:
        super().__init__(FLOAT32, (2,))
        self.given = given

    def chunks(self) -> Iterator[bytes]:
        yield from self.given

    def numpy(self) -> Any:
        raise NotImplementedError


def copied(tensor: Tensor, bits: int = 8) -> bytes:
    file = io.BytesIO()
    copy(tensor, "x", file, bits)
    return file.getvalue()


def test_bytes_arrive() -> None:
    assert copied(ArrayTensor(np.array([1, 2], "<i2"))) == b"\1\0\2\0"
    assert copied(ArrayTensor(np.array([1, 2], ">i2"))) == b"\1\0\2\0"
    assert copied(ArrayTensor(np.array([[1, 2], [3, 4]], "<i2").T)) == b"\1\0\3\0\2\0\4\0"
    assert copied(ArrayTensor(np.empty((0, 3), "<i2"))) == b""
    assert copied(ArrayTensor(np.array([1, 2, 3], np.uint8), DTYPES["uint4"]), 4) == b"\x21\x03"
    assert copied(SplatTensor(np.array(7, "<i4"), (1 << 20, 3), DTYPES["int32"])) == b"\7\0\0\0" * (3 << 20)


@pytest.mark.parametrize(
    ("given", "found"),
    [([], "0"), ([b"1234", b"567"], "7"), ([b"1234", b"56789"], "more"), ([b"12345678", b"9"], "more")],
)
def test_another_number_of_bytes(given: list[bytes], found: str) -> None:
    file = io.BytesIO()
    with pytest.raises(FormatError) as error:
        copy(Liar(given), "x", file)
    assert str(error.value) == f"x: expected 8 bytes of float32 [2], got {found}"
    assert len(file.getvalue()) <= 8


def test_the_checksum_is_verified(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"12345678")
    with pytest.raises(FormatError, match="the data are damaged"):
        copied(FileTensor(FLOAT32, (2,), tmp_path / "data", 0, name="x", crc32c=1))


def test_a_source_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with pytest.raises(FormatError) as error:
        copied(FileTensor(FLOAT32, (2,), path, 0, name="x"))
    assert str(error.value) == f"{path}: expected to read 'x', got: No such file or directory"


class Slow(Tensor):
    """`size` bytes, a piece at a time; raises `error` before the last one."""

    def __init__(self, size: int, error: BaseException | None = None) -> None:
        super().__init__(DTYPES["uint8"], (size,))
        self.error = error

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, self.size, LARGE // 2):
            if self.error is not None and start + LARGE // 2 >= self.size:
                raise self.error
            yield bytes([start >> 19 & 255]) * min(LARGE // 2, self.size - start)

    def numpy(self) -> Any:
        raise NotImplementedError


def appended(path: Path, values: dict[str, Tensor], error: BaseException | None = None) -> None:
    with OutputSet() as files, Sink(files.open(path)) as sink:
        for name, value in values.items():
            sink.append(value, name)
        if error is not None:
            raise error


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_sink_puts_everything_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(stream, "THREADS", threads)
    values = [np.random.default_rng(n).integers(0, 256, size, np.uint8) for n, size in enumerate(SIZES)]
    with OutputSet() as files:
        file = files.open(tmp_path / "out")
        file.write(b"before")
        with Sink(file) as sink:
            written = []
            for number, value in enumerate(values):
                sink.write(b"head %d" % number)
                written.append(sink.append(ArrayTensor(value), "x", summed=True))
            sink.write(b"tail")
    expected = b"".join(b"head %d" % n + value.tobytes() for n, value in enumerate(values))
    assert (tmp_path / "out").read_bytes() == b"before" + expected + b"tail"
    assert sink.size == len(expected) + 4
    assert [value.crc32c for value in written] == [crc32c.crc32c(value.tobytes()) for value in values]
    assert [value.position for value in written] == [
        sum(SIZES[:n]) + len("head 0") * (n + 1) for n in range(len(SIZES))
    ]


def test_a_sink_that_ends_in_a_large_value(tmp_path: Path) -> None:
    with OutputSet() as files, Sink(files.open(tmp_path / "out")) as sink:
        sink.append(Slow(3 * LARGE), "x")
    assert (tmp_path / "out").stat().st_size == 3 * LARGE


def test_a_sink_tells_of_the_first_failure_and_of_no_other(tmp_path: Path) -> None:
    broken = Slow(8 * LARGE, OSError(5, "Input/output error"))
    with pytest.raises(FormatError) as error:
        appended(tmp_path / "out", {"a": Slow(4 * LARGE), "b": broken, "c": Slow(64 * LARGE)})
    assert str(error.value) == "b: expected to read 'b', got: Input/output error"
    assert not list(tmp_path.iterdir())


def test_a_sink_whose_owner_fails_ends_its_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        appended(tmp_path / "out", dict.fromkeys("abcdef", Slow(64 * LARGE)), KeyboardInterrupt())
    assert threading.active_count() == before
    assert not list(tmp_path.iterdir())


def test_a_watcher_is_told_of_every_byte(tmp_path: Path) -> None:
    told: list[int] = []
    token = watcher.set(told.append)
    try:
        with OutputSet() as files, Sink(files.open(tmp_path / "out")) as sink:
            for size in SIZES:
                sink.append(Slow(size), "x")
    finally:
        watcher.reset(token)
    assert sum(told) == sum(SIZES)


def test_any_file_will_do() -> None:
    file = io.BytesIO()
    with Sink(file) as sink:
        sink.append(Slow(3 * LARGE), "x")
        sink.write(b"end")
    assert len(file.getvalue()) == 3 * LARGE + 3


def test_a_value_that_no_file_can_hold(tmp_path: Path) -> None:
    with pytest.raises(DestinationError) as error:
        appended(tmp_path / "out", {"a": SplatTensor(np.array(0, np.uint8), (1 << 62,), DTYPES["uint8"])})
    assert str(error.value).startswith(f"{tmp_path / 'out'}: can't be written: ")


class Piece(Tensor):
    """One of several stretches of a file."""

    def __init__(self, whole: FileTensor, first: int, end: int) -> None:
        super().__init__(DTYPES["uint8"], (end - first,))
        self.place = whole, first, end, 2

    def chunks(self) -> Iterator[Any]:
        return stretch(*self.place)

    def numpy(self) -> Any:
        raise NotImplementedError


def test_a_sink_checks_what_its_values_share(tmp_path: Path) -> None:
    data = bytes(3 * LARGE)
    (tmp_path / "data").write_bytes(data)
    whole = FileTensor(DTYPES["uint8"], (len(data),), tmp_path / "data", 0, name="x", crc32c=crc32c.crc32c(data))
    pieces: dict[str, Tensor] = {"a": Piece(whole, 0, 2 * LARGE), "b": Piece(whole, 2 * LARGE, 2 * LARGE + 5)}
    appended(tmp_path / "good", pieces)
    assert (tmp_path / "good").stat().st_size == 2 * LARGE + 5
    whole.crc32c = 1
    with pytest.raises(FormatError, match="/data: expected checksum 00000001 for 'x', got .*: the data are damaged$"):
        appended(tmp_path / "out", pieces)
    assert not (tmp_path / "out").exists()
    with pytest.raises(KeyboardInterrupt):
        appended(tmp_path / "out", pieces, KeyboardInterrupt())


class Whole(Tensor):
    """So large that a room has place for one."""

    def __init__(self) -> None:
        super().__init__(DTYPES["uint8"], (LIMIT,))

    def chunks(self) -> Iterator[bytes]:
        raise NotImplementedError

    def numpy(self) -> Any:
        return np.zeros((), np.uint8)


class Borrower(Tensor):
    """Borrows; then comes what `then` does."""

    def __init__(self, then: Callable[[], None], size: int = LARGE) -> None:
        super().__init__(DTYPES["uint8"], (size,))
        self.then = then
        self.whole = Whole()

    def _borrowed(self) -> Iterator[None]:
        with borrowed(self.whole):
            yield

    def chunks(self) -> Iterator[bytes]:
        held = self._borrowed()  # an error's traceback will keep it as it is
        next(held)
        self.then()
        yield bytes(self.size)

    def numpy(self) -> Any:
        raise NotImplementedError


class Later(Borrower):
    """Borrows after `event`; tells by `begun` that it would."""

    def __init__(self, event: threading.Event, begun: threading.Event) -> None:
        super().__init__(lambda: None)
        self.event, self.begun = event, begun

    def chunks(self) -> Iterator[bytes]:
        self.begun.set()
        assert self.event.wait(10)
        yield from super().chunks()


@pytest.mark.parametrize("size", [LARGE, 1], ids=["a thread", "the owner"])
@pytest.mark.parametrize("error", [FormatError("bad", "is damaged"), KeyboardInterrupt("now")], ids=["error", "break"])
def test_nobody_waits_for_what_a_failure_keeps(tmp_path: Path, size: int, error: BaseException) -> None:
    has_it, begun = threading.Event(), threading.Event()

    def fail() -> None:
        assert begun.wait(10)
        has_it.set()
        raise error

    found: list[BaseException] = []

    def run() -> None:
        try:
            appended(tmp_path / "out", {"good": Later(has_it, begun), "bad": Borrower(fail, size)})
        except BaseException as caught:
            found.append(caught)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert found == [error]
    assert not list(tmp_path.iterdir())


def test_the_owner_does_not_wait_for_what_a_thread_keeps(tmp_path: Path) -> None:
    has_it, begun = threading.Event(), threading.Event()

    def fail() -> None:
        assert begun.wait(10)
        has_it.set()
        raise FormatError("bad", "is damaged")

    later = Later(has_it, begun)
    later.shape = (1,)
    found: list[str] = []

    def run() -> None:
        with pytest.raises(FormatError) as error:
            appended(tmp_path / "out", {"bad": Borrower(fail), "good": later})
        found.append(str(error.value))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert found == ["bad: is damaged"]
    assert not list(tmp_path.iterdir())


class Part(Slow):
    """Made of `whole`; tells by what thread it is written, and takes its time."""

    def __init__(self, whole: Tensor | None, told: list[tuple[Tensor | None, int]]) -> None:
        super().__init__(LARGE)
        self.whole, self.told = whole, told

    @property
    def held(self) -> Tensor | None:
        return self.whole

    def chunks(self) -> Iterator[bytes]:
        self.told.append((self.whole, threading.get_ident()))
        time.sleep(0.01)
        yield from super().chunks()


def test_values_that_need_the_same_are_written_by_one_thread(tmp_path: Path) -> None:
    one, other = ArrayTensor(np.zeros(1)), ArrayTensor(np.zeros(1))
    told: list[tuple[Tensor | None, int]] = []
    wholes = [one, other, one, other, None, other, None, one]
    appended(tmp_path / "out", {f"v{n}": Part(whole, told) for n, whole in enumerate(wholes)})
    assert (tmp_path / "out").stat().st_size == len(wholes) * LARGE
    assert len(told) == len(wholes)
    for whole in (one, other):
        assert len({thread for part, thread in told if part is whole}) == 1


def test_what_values_need_and_is_gone(tmp_path: Path) -> None:
    whole = FileTensor(FLOAT32, (2,), tmp_path / "data", 0, name="x")
    with pytest.raises(FormatError) as error:
        appended(tmp_path / "out", {"a": Part(whole, []), "b": Part(whole, [])})
    assert str(error.value) == f"{tmp_path / 'data'}: expected to read 'a', got: No such file or directory"
