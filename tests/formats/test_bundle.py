import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from tensorferry.formats import tensor as tensors
from tensorferry.formats.bundle import read_bundle, storage_order
from tensorferry.formats.errors import FormatError, UnsupportedError
from tests.fixture import FIXTURES

from .bundle_writer import (
    NUMBERS,
    BundleWriter,
    entry,
    header,
    samples,
    slice_key,
    table,
)

CHECKPOINTS = [
    n for n in sorted(FIXTURES) if (FIXTURES[n].path / f"{FIXTURES[n].about.get('checkpoint')}.index").exists()
]


def assert_equal(found, expected):
    """Bit for bit, NaNs and signs of zero included."""
    assert found.shape == expected.shape
    if expected.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


# --- what TensorFlow wrote --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_tensor_is_what_tensorflow_reads(name):
    fixture = FIXTURES[name]
    bundle = read_bundle(fixture.prefix)
    expected, dtypes = fixture.tensors(), fixture.dtypes()
    assert set(bundle) == set(expected) | set(fixture.about.get("unreadable", ()))
    assert list(bundle) == sorted(bundle, key=lambda n: n.encode())
    for key, value in expected.items():
        assert bundle[key].dtype.name == dtypes[key], key
        assert bundle[key].shape == value.shape, key
        assert_equal(bundle[key].numpy(), value)
        if value.dtype != object:
            assert bundle[key].tobytes() == value.tobytes(), key


def test_an_index_of_many_blocks(tmp_path):
    fixture = FIXTURES["bundle_many"]
    prefix = tmp_path / "m"
    (tmp_path / "m.index").write_bytes(zlib.decompress(fixture.file("model.ckpt.index.z").read_bytes()))
    (tmp_path / "m.data-00000-of-00001").write_bytes(fixture.file("model.ckpt.data-00000-of-00001").read_bytes())
    recorded = np.load(fixture.path / "tensors.npz")
    bundle = read_bundle(prefix)
    assert [name.encode() for name in bundle] == recorded["names"].tolist()
    assert [float(bundle[name].numpy()) for name in bundle] == recorded["values"].tolist()


def test_header_facts():
    bundle = read_bundle(FIXTURES["bundle_sharded"].prefix)
    assert (bundle.num_shards, bundle.big_endian, bundle.path) == (3, False, str(FIXTURES["bundle_sharded"].prefix))
    assert repr(bundle) == f"<Bundle {bundle.path!r}: 10 tensors in 3 shards>"


def test_it_is_a_mapping():
    bundle = read_bundle(FIXTURES["add"].prefix)
    assert len(bundle) == 2
    assert list(bundle) == list(bundle.keys()) == ["v1", "v2"]
    assert "v1" in bundle
    assert "v3" not in bundle
    assert bundle.get("v3") is None
    with pytest.raises(KeyError, match="v3"):
        bundle["v3"]


def test_slices_are_no_names_of_their_own():
    bundle = read_bundle(FIXTURES["bundle_partitioned"].prefix)
    saved = FIXTURES["bundle_partitioned"].about["slices"]
    assert set(bundle) == set(saved) | {"plain"}
    assert all(type(bundle[name]).__name__ == "SlicedTensor" for name in saved)


def test_slices_of_strings():
    """TensorFlow writes these and can't read them: fixture.json has what was saved."""
    fixture = FIXTURES["bundle_partitioned"]
    expected = [text.encode() for text in fixture.about["saved"]["words"]]
    assert read_bundle(fixture.prefix)["words"].numpy().tolist() == expected


def test_variants_and_partial_variables_do_not_hinder_the_others():
    fixture = FIXTURES["bundle_odd"]
    bundle = read_bundle(fixture.prefix)
    assert bundle["whole"].numpy().tolist() == fixture.tensors()["whole"].tolist()
    assert (bundle["list"].dtype.name, bundle["list"].shape) == ("variant", ())
    with pytest.raises(UnsupportedError, match="no array holds 'list', of type variant"):
        bundle["list"].numpy()
    assert bundle["partial"].shape == (10, 4)
    with pytest.raises(FormatError) as caught:
        bundle["partial"].numpy()
    assert str(caught.value) == (
        f"{fixture.prefix}.index: expected one piece of 'partial' [10, 4] for each element, got none for [2:5, 0:4]"
    )
    with pytest.raises(FormatError, match=r"'far' \[1099511627776, 4\] .*, got none for \[0:1099511627000, 0:4\]"):
        bundle["far"].tobytes()


def test_opening_needs_no_numpy():
    code = (
        "import sys; from tensorferry.formats.bundle import read_bundle, storage_order\n"
        f"bundle = read_bundle({str(FIXTURES['bundle_partitioned'].prefix)!r})\n"
        "print([(n, t.dtype, t.shape, t.nbytes) for n, t in bundle.items()], storage_order(bundle))\n"
        "sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


# --- what the independent writer wrote (and TensorFlow read) -----------------------------------------


def test_samples_that_tensorflow_read(tmp_path):
    found = samples(tmp_path)
    assert {prefix.name for prefix in found} == {"plain", "snappy", "blocks", "snappy_blocks", "big_endian", "gaps"}
    for prefix, values in found.items():
        bundle = read_bundle(prefix)
        assert set(bundle) == set(values)
        assert bundle.big_endian == (prefix.name == "big_endian")
        for name, value in values.items():
            assert_equal(bundle[name].numpy(), value)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_type(tmp_path, name, big_endian):
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
    writer = BundleWriter(big_endian=big_endian)
    value = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    writer.shards[0] = b"odd"  # nothing is aligned
    writer.add("v", value)
    found = read_bundle(writer.write(tmp_path / "m"))["v"]
    assert found.dtype.name == name
    assert_equal(found.numpy(), value)
    assert found.tobytes() == value.tobytes()


def test_big_endian_slices_stream(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "CHUNK", 64)
    writer = BundleWriter(2, big_endian=True)
    value = np.arange(600, dtype=np.complex128).reshape(20, 30)
    writer.add_slices("v", value, [[(0, 20), (0, 13)], [(0, 20), (13, 17)]], [1, 0])
    assert read_bundle(writer.write(tmp_path / "m"))["v"].tobytes() == value.tobytes()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\xe9", "ué".encode(), b"\x01", b"a\nb", b"a\0b"])
def test_names_of_any_bytes_can_be_written_back(tmp_path, name):
    writer = BundleWriter()
    writer.add(name, np.float32(1))
    writer.add_slices(name + b"/sliced", np.zeros(4, np.float32), [[(0, 1)], [(1, 3)]])
    bundle = read_bundle(writer.write(tmp_path / "m"))
    assert {n.encode("utf-8", "surrogateescape") for n in bundle} == {name, name + b"/sliced"}
    assert all(tensor.numpy().size for tensor in bundle.values())


def test_storage_order_is_by_shard_and_offset(tmp_path):
    writer = BundleWriter(12)
    for index, name in enumerate("zyxwvutsrqpo"):
        writer.add(name, np.int8(index), shard=11 - index)
        writer.add(name + "2", np.int8(index), shard=11 - index)
    writer.add_slices("sliced", np.zeros(4, np.int8), [[(0, 1)], [(1, 3)]], [11, 3])
    bundle = read_bundle(writer.write(tmp_path / "m"))
    order = [n for name in "opqrstuvwxyz" for n in (name, name + "2")]
    order.insert(8, "sliced")
    assert storage_order(bundle) == order
    assert bundle.place("o2") == (0, 1)
    assert bundle.place("sliced") == (3, 2)


def test_no_tensors(tmp_path):
    assert len(read_bundle(BundleWriter().write(tmp_path / "m"))) == 0


def test_a_shard_that_nothing_lies_in_need_not_exist(tmp_path):
    writer = BundleWriter(1000)
    writer.add("v", np.float32(1), shard=7)
    prefix = writer.write(tmp_path / "m")
    for path in tmp_path.glob("m.data-*"):
        if not path.name.startswith("m.data-00007"):
            path.unlink()
    assert read_bundle(prefix)["v"].numpy() == 1


@pytest.mark.parametrize("slices", [False, True])
def test_twenty_thousand_entries_open_quickly(tmp_path, slices):
    """0.2 s on the machine it was written on; the bound leaves room for a busy one, and none for n * n."""
    count = 20_000
    rows = {b"layer_%05d/kernel" % i: entry(1, (1, 1), offset=4 * i, size=4) for i in range(count)}
    if slices:
        boxes = [((i, 1),) for i in range(8000)]
        rows = {slice_key(b"v", box): entry(1, (1,), offset=0, size=4) for box in boxes}
        rows[b"v"] = entry(1, (8000,), slices=boxes)
    (tmp_path / "m.index").write_bytes(table([(b"", header()), *sorted(rows.items())], per_block=4000))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(4 * count))
    start = time.process_time()
    assert len(read_bundle(tmp_path / "m")) == (1 if slices else count)
    assert time.process_time() - start < 2
