"""room: values that are made of one source read it once, and nothing damaged passes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crc32c
import numpy as np
import pytest

from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import FormatError
from tensorferry.formats.room import Room, StoppedError, borrowed, stretch
from tensorferry.formats.tensor import ArrayTensor, FileTensor

DATA = np.random.default_rng(0).bytes(3 << 20)


class Counting(ArrayTensor):
    """Counts how often it is read."""

    def __init__(self, size: int) -> None:
        super().__init__(np.zeros(size, np.float32))
        self.reads = 0

    def numpy(self) -> Any:
        self.reads += 1
        return super().numpy()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all that is read of files."""
    sizes: list[int] = []
    original = FileTensor._stored

    def stored(self: FileTensor, buffers: Any) -> Iterator[memoryview]:
        for piece in original(self, buffers):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(FileTensor, "_stored", stored)
    return sizes


@pytest.fixture
def whole(tmp_path: Path) -> FileTensor:
    (tmp_path / "f").write_bytes(b"head" + DATA)
    return FileTensor(FLOAT32, (len(DATA) // 4,), tmp_path / "f", 4, name="t", crc32c=crc32c.crc32c(DATA))


def taken(tensor: FileTensor, first: int, end: int, readers: int = 2) -> bytes:
    return b"".join(bytes(chunk) for chunk in stretch(tensor, first, end, readers))


def damage(tensor: FileTensor, place: int) -> None:
    with Path(tensor.path).open("r+b") as file:
        file.seek(tensor.offset + place)
        file.write(bytes([DATA[place] ^ 1]))


def test_stretches_read_the_whole_once(whole: FileTensor, read: list[int]) -> None:
    cuts = [0, 4, 1 << 20, (1 << 20) + 4, len(DATA)]
    with Room():
        for index in (2, 0, 3, 1):
            assert taken(whole, cuts[index], cuts[index + 1]) == DATA[cuts[index] : cuts[index + 1]]
    assert sum(read) == len(DATA)


def test_what_nobody_wants_is_checked_too(whole: FileTensor, read: list[int]) -> None:
    with Room():
        assert taken(whole, 400, 800) == DATA[400:800]
    assert sum(read) == len(DATA)


@pytest.mark.parametrize("place", [0, 500, len(DATA) - 1])
def test_damage_anywhere_is_found_when_the_room_is_left(whole: FileTensor, place: int) -> None:
    damage(whole, place)
    actual = crc32c.crc32c(Path(whole.path).read_bytes()[4:])
    room = Room()
    room.enter()
    taken(whole, 400, 800)
    taken(whole, 800, 1200)
    with pytest.raises(FormatError) as error:
        room.leave(check=True)
    expected = f"expected checksum {whole.crc32c:08x} for 't', got {actual:08x}: the data are damaged"
    assert str(error.value) == f"{whole.path}: {expected}"


def test_without_a_room_or_alone_the_whole_is_checked_at_once(whole: FileTensor) -> None:
    assert taken(whole, 400, 800) == DATA[400:800]
    damage(whole, 0)
    with pytest.raises(FormatError, match="the data are damaged$"):
        taken(whole, 400, 800)
    with Room(), pytest.raises(FormatError, match="the data are damaged$"):
        taken(whole, 400, 800, readers=1)


def test_bytes_that_are_wanted_twice_are_checked_twice(whole: FileTensor) -> None:
    with Room():
        assert taken(whole, 400, 800) == DATA[400:800]
        assert taken(whole, 600, 1000) == DATA[600:1000]
        damage(whole, 700)
        with pytest.raises(FormatError, match="the data are damaged$"):
            taken(whole, 600, 1000)
        Path(whole.path).write_bytes(b"head" + DATA)


def test_a_stretch_that_is_given_up(whole: FileTensor) -> None:
    with Room():
        chunks = stretch(whole, 0, 1 << 20, 2)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
        assert taken(whole, 0, 1 << 20) == DATA[: 1 << 20]


def test_no_check_after_an_error(whole: FileTensor) -> None:
    damage(whole, 0)
    room = Room()
    room.enter()
    taken(whole, 400, 800)
    room.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)


def test_a_file_that_is_gone_when_the_room_is_left(whole: FileTensor) -> None:
    room = Room()
    room.enter()
    taken(whole, 400, 800)
    Path(whole.path).unlink()
    with pytest.raises(FormatError, match="/f: expected to read 't', got: No such file or directory$"):
        room.leave(check=True)


def test_without_checksums_only_what_is_wanted_is_read(whole: FileTensor, read: list[int]) -> None:
    whole.crc32c = None
    with Room():
        assert taken(whole, 400, 800) == DATA[400:800]
    assert sum(read) == 400


def test_an_array_is_kept_for_all_its_readers() -> None:
    tensor = Counting(10)
    with Room() as room:
        for _ in range(3):
            with borrowed(tensor, 3) as array:
                assert array.shape == (10,)
        assert tensor.reads == 1
        assert not room._held
        with borrowed(tensor):
            pass
    assert tensor.reads == 2


def test_without_a_room_nothing_is_kept() -> None:
    tensor = Counting(10)
    for _ in range(2):
        with borrowed(tensor, 2):
            pass
    assert tensor.reads == 2


def test_what_waits_for_readers_makes_place_for_others() -> None:
    first, second = Counting(100), Counting(50)
    with Room(400):
        for tensor in (first, second, first):
            with borrowed(tensor, 9):
                pass
    assert (first.reads, second.reads) == (2, 1)


def test_a_borrower_waits_for_place_unless_he_has_borrowed_already() -> None:
    first, second, third = Counting(60), Counting(60), Counting(60)
    came: list[str] = []
    inside, done = threading.Event(), threading.Event()
    with Room(400) as room:

        def other() -> None:
            with room_of(room), borrowed(third):
                came.append("other")
                done.set()

        thread = threading.Thread(target=other)
        with borrowed(first):
            thread.start()
            inside.wait(0.05)
            with borrowed(second):  # more than there is place for
                assert not done.is_set()
                came.append("mine")
        thread.join(10)
    assert came == ["mine", "other"]


def test_two_that_want_the_same_read_it_once() -> None:
    tensor, started, go = Counting(10), threading.Event(), threading.Event()
    original = tensor.numpy

    def slow() -> Any:
        started.set()
        assert go.wait(10)
        return original()

    tensor.numpy = slow  # type: ignore[method-assign]
    found: list[int] = []
    with Room() as room:

        def borrow() -> None:
            with room_of(room), borrowed(tensor, 2) as array:
                found.append(array.size)

        threads = [threading.Thread(target=borrow) for _ in range(2)]
        threads[0].start()
        assert started.wait(10)
        threads[1].start()
        go.set()
        for thread in threads:
            thread.join(10)
    assert (found, tensor.reads) == ([10, 10], 1)


def test_who_waits_for_one_that_fails_tries_for_himself() -> None:
    tensor = Counting(10)
    tensor.numpy = lambda: 1 / 0  # type: ignore[method-assign]
    with Room() as room:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), borrowed(tensor, 2):
                pass
        assert not room._held
        assert not +room._borrowing


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released whenever somebody begins to wait."""
    begun, original = threading.Semaphore(0), threading.Condition.wait

    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is None:
            begun.release()
        return original(self, timeout)

    monkeypatch.setattr(threading.Condition, "wait", wait)
    return begun


def test_nobody_waits_for_place_in_a_room_that_is_stopped(waits: threading.Semaphore) -> None:
    first, second = Counting(100), Counting(100)
    caught: list[type[BaseException]] = []
    with Room(400) as room:

        def other() -> None:
            with room_of(room), pytest.raises(StoppedError) as error, borrowed(second):
                pass
            caught.append(error.type)

        thread = threading.Thread(target=other, daemon=True)
        with borrowed(first):
            thread.start()
            assert waits.acquire(timeout=10)
            room.stop()
            thread.join(10)
            assert caught == [StoppedError]
            with pytest.raises(StoppedError), borrowed(second):
                pass
    assert second.reads == 0


def test_nobody_waits_for_another_to_read_in_a_room_that_is_stopped(waits: threading.Semaphore) -> None:
    tensor = Counting(10)
    caught: list[type[BaseException]] = []
    with Room() as room:

        def other() -> None:
            with room_of(room), pytest.raises(StoppedError) as error, borrowed(tensor, 2):
                pass
            caught.append(error.type)

        thread = threading.Thread(target=other, daemon=True)

        def numpy() -> Any:
            thread.start()
            assert waits.acquire(timeout=10)
            room.stop()
            thread.join(10)
            return np.zeros(10, np.float32)

        tensor.numpy = numpy  # type: ignore[method-assign]
        with borrowed(tensor, 2):
            assert caught == [StoppedError]


def test_what_is_given_back_after_the_room_was_left() -> None:
    tensor = Counting(10)
    room = Room()
    room.enter()
    held = borrowed(tensor)
    held.__enter__()
    room.leave(check=False)
    held.__exit__(None, None, None)
    assert not room._held


class room_of:  # noqa: N801 - reads as a context
    """The room in a thread of its own, as threads of a sink have it."""

    def __init__(self, room: Room) -> None:
        from tensorferry.formats import room as module

        self.variable, self.room = module._room, room

    def __enter__(self) -> None:
        self.token = self.variable.set(self.room)

    def __exit__(self, *_: object) -> None:
        self.variable.reset(self.token)
