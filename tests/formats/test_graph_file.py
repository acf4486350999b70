import pytest

from tensorferry.formats import protos
from tensorferry.formats.errors import FormatError
from tensorferry.formats.graph_file import read_graph_def, read_meta_graph
from tests.fixture import FIXTURES

META = FIXTURES["add"].graph
FROZEN = FIXTURES["add"].frozen["raw"]
RENAMED = FIXTURES["add_renamed"].path


def refused(call, path):
    with pytest.raises(FormatError) as caught:
        call(path)
    return str(caught.value)


def test_a_graph():
    graph = read_graph_def(FROZEN)
    assert [node.op for node in graph.node].count("Const") == 2
    assert graph == protos.parse("GraphDef", FROZEN.read_bytes(), "")


def test_a_graph_in_text_form_is_the_same_graph():
    assert read_graph_def(RENAMED / "graph.pbtxt") == read_graph_def(RENAMED / "graph.pb")


def test_a_meta_graph():
    meta = read_meta_graph(META)
    assert meta.meta_info_def.tensorflow_version == "1.15.5"
    assert meta.saver_def.restore_op_name == "save/restore_all"
    assert "v1" in {node.name for node in meta.graph_def.node}


def test_a_meta_graph_in_text_form(tmp_path):
    path = tmp_path / "x.pb"  # the name is no matter
    path.write_text(protos.to_text(read_meta_graph(META)))
    assert read_meta_graph(path) == read_meta_graph(META)


def test_a_byte_order_mark(tmp_path):
    path = tmp_path / "x.pbtxt"
    path.write_bytes(b"\xef\xbb\xbfnode { name: 'a' op: 'NoOp' }")
    assert read_graph_def(str(path)).node[0].op == "NoOp"


def test_the_other_message():
    assert refused(read_graph_def, META) == f"{META}: expected a GraphDef, got a MetaGraphDef"
    assert refused(read_meta_graph, FROZEN) == f"{FROZEN}: expected a MetaGraphDef, got a GraphDef"
    text = RENAMED / "graph.pbtxt"
    assert refused(read_meta_graph, text) == f"{text}: expected a MetaGraphDef, got a GraphDef in text form"


def test_no_file(tmp_path):
    assert refused(read_graph_def, tmp_path / "x") == f"{tmp_path}/x: expected a GraphDef, got no such file"
    assert refused(read_meta_graph, tmp_path) == f"{tmp_path}: expected a MetaGraphDef, got a directory"


def test_an_empty_file(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    assert refused(read_graph_def, tmp_path / "x") == f"{tmp_path}/x: expected a GraphDef, got an empty file"


def test_other_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"PK\x03\x04 and more")
    assert refused(read_graph_def, tmp_path / "x") == (
        f"{tmp_path}/x: expected a GraphDef, got a file that begins with 50 4b 03 04 20 61 6e 64"
    )


def test_a_file_beyond_what_a_message_can_be(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 31)
    assert refused(read_graph_def, tmp_path / "x") == (
        f"{tmp_path}/x: expected a GraphDef of at most 2147483647 bytes, got 2147483648"
    )


def test_text_with_an_error_tells_where(tmp_path):
    (tmp_path / "x").write_text('node {\n  nome: "a"\n}\n')
    assert refused(read_graph_def, tmp_path / "x").startswith(
        f"{tmp_path}/x: expected a GraphDef message in text form, got: 2:3 : "
    )


def test_text_that_is_no_text(tmp_path):
    (tmp_path / "x").write_bytes(b"node { name: '\xff' }")
    assert refused(read_graph_def, tmp_path / "x") == (
        f"{tmp_path}/x: expected a GraphDef in text form, got no UTF-8 at byte 14"
    )


@pytest.mark.parametrize(("read", "path"), [(read_graph_def, FROZEN), (read_meta_graph, META)])
def test_truncation(tmp_path, read, path):
    """Cut between two fields a message is whole again; cut anywhere else there is one error."""
    whole = path.read_bytes()
    cut = tmp_path / "x"
    short = 0
    for length in sorted({*range(min(len(whole), 400)), *range(0, len(whole), 997), len(whole) - 1}):
        cut.write_bytes(whole[:length])
        try:
            assert read(cut).SerializeToString(deterministic=True) != whole
        except FormatError:
            assert refused(read, cut).startswith(f"{cut}: expected a ")
            short += 1
    assert short > 300
