import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.binary import Window, file_size, open_file, read_file
from tensorferry.formats.errors import FormatError

from .bundle_writer import varint


def message(call, *arguments, **options):
    with pytest.raises(FormatError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_numbers_and_bytes_in_turn():
    window = Window(b"\x01\x02\x03\x04" + b"\xff" * 8 + b"abc" + b"\xac\x02" + b"rest", "f")
    assert window.fixed32("a") == 0x04030201
    assert window.fixed64("b") == 2**64 - 1
    assert window.take(3, "c") == b"abc"
    assert window.varint32("d") == 300
    assert window.left == 4


@given(st.integers(0, 2**64 - 1))
def test_varints_of_every_length(value):
    window = Window(varint(value) + b"\x80", "f")
    assert window.varint64("n") == value
    assert window.left == 1


def test_a_varint_may_be_longer_than_it_needs_to():
    assert Window(b"\x81\x80\x00", "f").varint32("n") == 1


@pytest.mark.parametrize("method", ["varint32", "varint64"])
def test_a_varint_that_ends_early(method):
    window = Window(b"x\x80\x80", "some/file", base=100)
    window.take(1, "x")
    assert (
        message(getattr(window, method), "a length")
        == "some/file: expected a length (a varint), got the end at byte 103"
    )


@pytest.mark.parametrize(
    ("method", "data", "bits"),
    [("varint32", b"\xff\xff\xff\xff\x10", 32), ("varint32", b"\x80" * 9, 32), ("varint64", b"\xff" * 9 + b"\x02", 64)],
)
def test_a_varint_that_is_too_large(method, data, bits):
    assert message(getattr(Window(data, "f", 7), method), "a size") == (
        f"f: expected a size (a varint below 2**{bits}), got a larger one at byte 7"
    )


def test_bytes_that_end_early_say_what_and_where():
    window = Window(b"abcde", "f", base=10, within=" of the block")
    window.take(2, "x")
    assert message(window.take, 4, "the name") == (
        "f: expected the name (4 bytes), got 3 bytes and the end at byte 12 of the block"
    )
    assert message(window.fixed64, "the offset") == (
        "f: expected the offset (8 bytes), got 3 bytes and the end at byte 12 of the block"
    )


def test_a_window_of_a_file(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with open_file(path, "digits") as file:
        assert file.size == 10
        assert file.window(2, 3, "some").take(3, "three") == b"234"
        assert file.window(10, 0, "none").left == 0
        for offset, size in (8, 3), (11, 0), (-1, 2), (0, -1), (0, 2**63), (2**63, 1):
            assert message(file.window, offset, size, "the rest") == (
                f"{path}: expected the rest ({size} bytes) at byte {offset}, got the end of the file at byte 10"
            )


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with open_file(path, "digits") as file:
        os.truncate(path, 4)
        assert message(file.window, 2, 6, "digits") == (
            f"{path}: expected digits (6 bytes) at byte 2, got only 2: the file has shrunk"
        )


@pytest.mark.parametrize("call", [open_file, file_size, lambda path, what: read_file(path, what, 100)])
def test_what_is_no_regular_file(tmp_path, call):
    os.mkfifo(tmp_path / "pipe")
    assert message(call, tmp_path / "none", "a graph") == f"{tmp_path}/none: expected a graph, got no such file"
    assert message(call, tmp_path, "a graph") == f"{tmp_path}: expected a graph, got a directory"
    assert message(call, tmp_path / "pipe", "a graph") == (
        f"{tmp_path}/pipe: expected a graph, got something that is no regular file"
    )
    long = tmp_path / ("x" * 300)
    assert (
        message(call, long, "a graph")
        == f"{long}: expected a graph, got a file that can't be read (File name too long)"
    )
    assert "expected a graph, got a path that no file can have" in message(call, "a\0b", "a graph")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    path.chmod(0)
    assert (
        message(open_file, path, "a graph")
        == f"{path}: expected a graph, got a file that can't be read (Permission denied)"
    )


def test_a_whole_file_within_a_limit(tmp_path):
    path: Path = tmp_path / "f"
    path.write_bytes(b"x" * 20)
    assert read_file(path, "a state", 20) == b"x" * 20
    assert message(read_file, path, "a state", 19) == f"{path}: expected a state of at most 19 bytes, got 20"
