"""atomic: the destination holds the old file, the whole new one, or none."""

# ruff: noqa: PT012 (what is under test is the context manager, not the one statement in it)

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tensorferry.formats import atomic
from tensorferry.formats.atomic import OutputSet, check_destination, check_new_directory, output, outputs
from tensorferry.formats.errors import DestinationError
from tensorferry.formats.parts import SUFFIX

ROOT = Path(__file__).parents[2]
FCNTL = pytest.mark.skipif("fcntl" not in sys.modules, reason="no flock here")


def message(error: pytest.ExceptionInfo[DestinationError]) -> str:
    return str(error.value)


def write(path: Path, data: bytes, force: bool = False) -> None:
    with output(path, force) as file:
        file.write(data)


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with output(path) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not path.exists()
        (folder,) = os.listdir(tmp_path)
        assert folder.startswith(".a.")
        assert folder.endswith(SUFFIX)
        assert os.listdir(tmp_path / folder) == ["a"]
    assert path.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["a"]
    assert path.stat().st_nlink == 1


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a"), b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_the_file_can_be_rewound(tmp_path: Path) -> None:
    with output(tmp_path / "a") as file:
        file.write(b"????tail")
        file.seek(0)
        file.write(b"head")
    assert (tmp_path / "a").read_bytes() == b"headtail"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), output(tmp_path / "a") as file:
        file.write(b"half")
        raise failure
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_exception_keeps_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(failure), output(path, force=True) as file:
        file.write(b"new" * 100_000)
        raise failure
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_force_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old and long")
    write(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_the_umask_rules_the_mode(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "a", b"")
        write(tmp_path / "b", b"", force=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o640


def test_a_name_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    names = ["x" * 254 + "1", "x" * 254 + "2", "é" * 127]
    for name in names:
        write(tmp_path / name, name.encode())
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_a_link_is_replaced_and_what_is_behind_it_kept(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"shared")
    (tmp_path / "a").symlink_to("blob")
    write(tmp_path / "a", b"new", force=True)
    assert (tmp_path / "blob").read_bytes() == b"shared"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not (tmp_path / "a").is_symlink()


class TestRefusals:
    """Each message, from the check before any work and from `output` alike."""

    def refused(self, path: Path | str, force: bool = False, **keywords: object) -> str:
        with pytest.raises(DestinationError) as checked:
            check_destination(path, force, **keywords)  # type: ignore[arg-type]
        if not keywords:
            with pytest.raises(DestinationError) as opened, output(path, force):
                raise AssertionError
            assert message(opened) == message(checked)
        return message(checked)

    def test_exists(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")
        assert self.refused(path) == f"{path}: exists already (--force replaces it)"
        assert path.read_bytes() == b"old"
        check_destination(path, force=True)

    def test_a_link_to_nothing_exists(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.symlink_to("nothing")
        assert self.refused(path) == f"{path}: exists already (--force replaces it)"

    def test_no_directory(self, tmp_path: Path) -> None:
        directory = tmp_path / "none"
        assert self.refused(directory / "a") == f"{directory}: expected a directory to write a into, got none"

    def test_a_file_for_a_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        path = tmp_path / "file" / "a"
        assert self.refused(path) == f"{path}: can't be written: Not a directory"

    @pytest.mark.parametrize("force", [False, True])
    def test_a_directory(self, tmp_path: Path, force: bool) -> None:
        assert self.refused(tmp_path, force) == f"{tmp_path}: expected a file or nothing, got a directory"

    def test_a_pipe(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        assert self.refused(path, True) == f"{path}: expected a file or nothing, got a device or pipe"

    def test_a_device(self) -> None:
        assert self.refused(os.devnull, True) == f"{os.devnull}: expected a file or nothing, got a device or pipe"

    @pytest.mark.parametrize("path", ["", "a/", "a\0b"])
    def test_no_name(self, path: str) -> None:
        assert self.refused(path).endswith("expected the name of a file, got none")

    def test_a_name_too_long(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path / ("x" * 256)).endswith("x: can't be written: File name too long")

    @pytest.mark.parametrize("how", ["itself", "link", "hard link"])
    def test_a_source(self, tmp_path: Path, how: str) -> None:
        source, path = tmp_path / "source", tmp_path / "a"
        source.write_bytes(b"only copy")
        if how == "itself":
            path = source
        elif how == "link":
            path.symlink_to(source)
        else:
            path.hardlink_to(source)
        sources = [tmp_path / "other", source]
        expected = f"{path}: expected a destination of its own, got one of the sources"
        assert self.refused(path, True, sources=sources) == expected
        assert self.refused(path, False, sources=sources) == expected

    def test_sources_elsewhere_are_no_hindrance(self, tmp_path: Path) -> None:
        (tmp_path / "source").write_bytes(b"")
        (tmp_path / "a").write_bytes(b"")
        check_destination(tmp_path / "a", force=True, sources=[tmp_path / "source", tmp_path, tmp_path / "none"])

    def test_a_directory_that_cannot_be_written(self, tmp_path: Path) -> None:
        directory = tmp_path / "closed"
        directory.mkdir(mode=0o555)
        if os.access(directory, os.W_OK):
            pytest.skip("this user may write anywhere; the next test drops the right")
        expected = f"{directory}: expected a directory that can be written, got one that can't"
        assert self.refused(directory / "a") == expected

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_a_directory_of_somebody_else(self) -> None:
        code = (
            "import os\n"
            "from tensorferry.formats.atomic import output\n"
            "from tensorferry.formats.errors import DestinationError\n"
            "os.setuid(65534)\n"
            "try:\n    output('/a').__enter__()\nexcept DestinationError as error:\n    print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "/: expected a directory that can be written, got one that can't\n"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(DestinationError) as error, output(path) as file:
        file.write(b"ours")
        path.write_bytes(b"theirs")
    assert message(error) == f"{path}: exists already (--force replaces it)"
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["a"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(DestinationError, match=r"b: exists already"), output(tmp_path / "b"):
        (tmp_path / "b").write_bytes(b"theirs")
    assert (tmp_path / "b").read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_failed_sync_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DestinationError) as error:
        write(tmp_path / "a", b"new")
    assert message(error) == f"{tmp_path / 'a'}: can't be written: Input/output error"
    assert os.listdir(tmp_path) == []


def test_a_file_size_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DestinationError) as error:
            write(path, b"x" * (3 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert message(error) == f"{path}: can't be written: File too large"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", [3 << 20, (1 << 20) + 10])
def test_a_full_disk(tmp_path: Path, size: int) -> None:
    """Both while large pieces are written and when the last small one is flushed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        (disk / "old").write_bytes(b"old")
        with pytest.raises(DestinationError) as error, output(disk / "old", force=True) as file:
            for at in range(0, size, 1000):
                file.write(b"x" * min(1000, size - at))
        assert message(error) == f"{disk / 'old'}: can't be written: No space left on device"
        assert os.listdir(disk) == ["old"]
        assert (disk / "old").read_bytes() == b"old"
        write(disk / "new", b"x" * 500_000)
    finally:
        subprocess.run(["umount", disk], check=True)


class TestSets:
    def test_all_appear_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        order = []
        link = os.link

        def watch(source: str, target: str) -> None:
            order.append(os.path.basename(target))
            link(source, target)

        monkeypatch.setattr(os, "link", watch)
        with OutputSet() as files:
            for name in "two", "one", "index":
                files.open(tmp_path / name).write(name.encode())
            assert not [name for name in os.listdir(tmp_path) if not name.endswith(SUFFIX)]
        assert order == ["two", "one", "index"]
        assert {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)} == {n: n for n in order}

    def test_parts_can_be_read_before(self, tmp_path: Path) -> None:
        with OutputSet() as files:
            files.open(tmp_path / "data").write(b"data")
            files.open(tmp_path / "index").write(b"index")
            found = files.parts()
            assert list(found) == [str(tmp_path / "data"), str(tmp_path / "index")]
            assert [Path(part).read_bytes() for part in found.values()] == [b"data", b"index"]
            assert [Path(part).name for part in found.values()] == ["data", "index"]
            assert len({Path(part).parent for part in found.values()}) == 1
        assert sorted(os.listdir(tmp_path)) == ["data", "index"]

    def test_a_set_of_somebody_else_is_theirs_to_publish(self, tmp_path: Path) -> None:
        with OutputSet() as files:
            with output(tmp_path / "a", files=files) as file:
                file.write(b"a")
            with outputs(files=files) as chosen:
                assert chosen is files
                chosen.open(tmp_path / "b").write(b"b")
            assert all(name.endswith(SUFFIX) for name in os.listdir(tmp_path))
        assert sorted(os.listdir(tmp_path)) == ["a", "b"]

    def test_in_several_directories(self, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        with outputs() as files:
            files.open(tmp_path / "one" / "a").write(b"1")
            files.open(tmp_path / "two" / "a").write(b"2")
        assert (os.listdir(tmp_path / "one"), os.listdir(tmp_path / "two")) == (["a"], ["a"])
        assert (tmp_path / "two" / "a").read_bytes() == b"2"

    def test_an_error_leaves_none_and_keeps_the_old(self, tmp_path: Path) -> None:
        (tmp_path / "index").write_bytes(b"old")
        with pytest.raises(ValueError, match="stop"), OutputSet(force=True) as files:
            files.open(tmp_path / "data").write(b"new")
            files.open(tmp_path / "index").write(b"new")
            raise ValueError("stop")
        assert os.listdir(tmp_path) == ["index"]
        assert (tmp_path / "index").read_bytes() == b"old"

    def test_an_intruder_leaves_none(self, tmp_path: Path) -> None:
        with pytest.raises(DestinationError, match="index: exists already"), OutputSet() as files:
            files.open(tmp_path / "data").write(b"ours")
            files.open(tmp_path / "index").write(b"ours")
            (tmp_path / "index").write_bytes(b"theirs")
        assert os.listdir(tmp_path) == ["index"]
        assert (tmp_path / "index").read_bytes() == b"theirs"

    def test_the_old_index_goes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that no old index ever stands beside new data."""
        (tmp_path / "data").write_bytes(b"old")
        (tmp_path / "index").write_bytes(b"old")
        seen = []
        replace = os.replace

        def watch(source: str, target: str) -> None:
            replace(source, target)
            seen.append(
                {name: (tmp_path / name).read_bytes() for name in ("data", "index") if (tmp_path / name).exists()}
            )

        monkeypatch.setattr(os, "replace", watch)
        with OutputSet(force=True) as files:
            files.open(tmp_path / "data").write(b"new")
            files.open(tmp_path / "index").write(b"new")
        assert seen == [{"data": b"new"}, {"data": b"new", "index": b"new"}]

    def test_one_that_exists_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "index").write_bytes(b"old")
        with pytest.raises(DestinationError, match="index: exists already"), OutputSet() as files:
            files.open(tmp_path / "data")
            files.open(tmp_path / "index")
        assert os.listdir(tmp_path) == ["index"]

    def test_the_same_twice_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DestinationError, match="expected an output of its own, got two"), OutputSet() as files:
            files.open(tmp_path / "a")
            files.open(tmp_path / "a")
        assert os.listdir(tmp_path) == []


WRITER = """
import sys
from tensorferry.formats import atomic
from tensorferry.formats.atomic import OutputSet
data, index, step = sys.argv[1], sys.argv[2], 0
print("ready", flush=True)
while True:
    step = (step + 1) % 256
    with OutputSet(force=True) as files:
        files.open(data).write(bytes([step]) * 300_000)
        files.open(index).write(bytes([step]) * 1000)
"""


def start_writer(data: Path, index: Path) -> subprocess.Popen[bytes]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, data, index], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    return writer


def stop(writer: subprocess.Popen[bytes]) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert writer.stdout is not None
    writer.stdout.close()


@FCNTL
def test_kills_at_random_moments(tmp_path: Path) -> None:
    """Whatever is there is whole, an index never stands beside other data, and the next run leaves no parts."""
    data, index = tmp_path / "data", tmp_path / "index"
    moments, leftovers = random.Random(0), 0
    for _ in range(25):
        writer = start_writer(data, index)
        time.sleep(moments.uniform(0, 0.03))
        stop(writer)
        found = {path.name: path.read_bytes() for path in (data, index) if path.exists()}
        for name, content in found.items():
            assert len(content) == (300_000 if name == "data" else 1000)
            assert len(set(content)) == 1
        if "index" in found:
            assert found["index"][0] == found["data"][0]
        leftovers += len(set(os.listdir(tmp_path)) - {"data", "index"})
    with OutputSet(force=True) as files:
        files.open(data).write(b"data")
        files.open(index).write(b"index")
    assert leftovers, "no kill came in the middle of a write: the test proves nothing"
    assert sorted(os.listdir(tmp_path)) == ["data", "index"]


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_part_is_made_leaves_nothing(tmp_path, monkeypatch, signal_):
    """It waits until the part is known to its owner, who removes it."""
    real = atomic.create

    def interrupted(path, temporary):
        part = real(path, temporary)
        os.kill(os.getpid(), signal_)
        return part

    def stop(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal_, stop)
    try:
        monkeypatch.setattr(atomic, "create", interrupted)
        with pytest.raises(KeyboardInterrupt), output(tmp_path / "x") as file:
            file.write(b"never")
    finally:
        signal.signal(signal_, before)
    assert list(tmp_path.iterdir()) == []


class TestANewDirectory:
    def test_it_appears_whole(self, tmp_path: Path) -> None:
        new = tmp_path / "new"
        with OutputSet(directory=new) as files:
            files.open(new / "a").write(b"1")
            files.open(new / "b").write(b"2")
            assert [Path(part).read_bytes() for part in files.parts().values()] == [b"1", b"2"]
            assert not new.exists()
            (folder,) = tmp_path.iterdir()
            assert folder.name.startswith(".new.")
            assert folder.name.endswith(SUFFIX)
        assert sorted(os.listdir(new)) == ["a", "b"]
        assert (new / "b").read_bytes() == b"2"
        assert os.listdir(tmp_path) == ["new"]
        (tmp_path / "plain").mkdir()
        assert new.stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_a_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with OutputSet(directory="new") as files:
            files.open("new/a").write(b"1")
        assert Path("new/a").read_bytes() == b"1"

    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
    def test_an_exception_leaves_nothing(self, tmp_path: Path, failure: type[BaseException]) -> None:
        with pytest.raises(failure), OutputSet(directory=tmp_path / "new") as files:
            files.open(tmp_path / "new" / "a").write(b"half")
            raise failure
        assert os.listdir(tmp_path) == []

    def test_what_appears_meanwhile_is_kept(self, tmp_path: Path) -> None:
        new = tmp_path / "new"
        with pytest.raises(DestinationError) as error, OutputSet(directory=new) as files:
            files.open(new / "a").write(b"1")
            new.mkdir()
        assert message(error) == f"{new}: expected nothing where a directory is to be made, got a directory"
        assert os.listdir(tmp_path) == ["new"]
        assert os.listdir(new) == []

    def test_what_can_not_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to("nowhere")
        wrong = {
            "file": "expected nothing where a directory is to be made, got a file",
            "link": "expected nothing where a directory is to be made, got a link that leads nowhere",
            "": "expected the name of a directory, got none",
        }
        for name, problem in wrong.items():
            with pytest.raises(DestinationError, match=problem):
                check_new_directory(f"{tmp_path}/{name}")
        with pytest.raises(DestinationError, match="none: expected a directory to make new in, got none"):
            check_new_directory(f"{tmp_path}/none/new")
        new = tmp_path / "new"
        with (
            pytest.raises(DestinationError, match="expected a file of the new directory"),
            OutputSet(False, new) as files,
        ):
            files.open(tmp_path / "a")
        with pytest.raises(DestinationError, match="got two of this name"), OutputSet(False, new) as files:
            files.open(new / "a")
            files.open(new / "a")
        assert sorted(os.listdir(tmp_path)) == ["file", "link"]

    @FCNTL
    def test_what_a_dead_run_left(self, tmp_path: Path) -> None:
        left = tmp_path / f".new.0123abcd{SUFFIX}"
        left.mkdir()
        (left / "a").write_bytes(b"half")
        with OutputSet(directory=tmp_path / "new") as files:
            files.open(tmp_path / "new" / "a").write(b"1")
        assert os.listdir(tmp_path) == ["new"]
