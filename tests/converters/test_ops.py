import numpy as np
import pytest

from tensorferry.converters.ir import AttrList, FuncRef, Graph, Node, Placeholder, Shape
from tensorferry.converters.ops import OpNode, OpTable
from tensorferry.formats.dtype import FLOAT32, INT32
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor

TENSOR = ArrayTensor(np.zeros(2, np.float32))
VALUES = {
    "integer": 3,
    "real": 0.5,
    "flag": True,
    "text": b"NHWC",
    "dtype": FLOAT32,
    "shape": Shape((2,)),
    "tensor": TENSOR,
    "func": FuncRef("f"),
    "graph": Graph(),
    "integers": AttrList("int", (1, 2)),
    "reals": AttrList("float", (0.5,)),
    "flags": AttrList("bool", (True,)),
    "texts": AttrList("bytes", (b"a",)),
    "dtypes": AttrList("dtype", (FLOAT32,)),
    "shapes": AttrList("shape", (Shape(),)),
}
GIVEN = {"text": "NHWC", "texts": ("a",)}


def op_node(**attrs):
    return OpNode(Node("n", "Op", (), attrs))


@pytest.mark.parametrize("kind", VALUES)
def test_attributes_by_type(kind):
    value = VALUES[kind]
    expected = GIVEN.get(kind, value.items if isinstance(value, AttrList) else value)
    assert getattr(op_node(a=value), kind)("a") == expected


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("other", VALUES)
def test_attributes_of_another_type(kind, other):
    if kind == other:
        return
    with pytest.raises(GraphError, match="^n: expected Op's attribute 'a' to be a "):
        getattr(op_node(a=VALUES[other]), kind)("a")


def test_empty_lists_are_lists_of_anything():
    node = op_node(a=AttrList())
    for kind in "integers", "reals", "flags", "texts", "dtypes", "shapes":
        assert getattr(node, kind)("a") == ()


@pytest.mark.parametrize(
    ("kind", "attrs", "message"),
    [
        ("integer", {}, "n: expected Op's attribute 'a' to be a int, got none"),
        ("integer", {"a": True}, "n: expected Op's attribute 'a' to be a int, got True"),
        ("flag", {"a": 1}, "n: expected Op's attribute 'a' to be a bool, got 1"),
        ("real", {"a": Placeholder("T")}, "n: expected Op's attribute 'a' to be a float, got Placeholder(name='T')"),
    ],
)
def test_messages(kind, attrs, message):
    with pytest.raises(GraphError) as error:
        getattr(op_node(**attrs), kind)("a")
    assert str(error.value) == message


def test_defaults_are_filled_in():
    node = OpNode(Node("m", "MatMul"))
    assert (node.name, node.op) == ("m", "MatMul")
    assert node.flag("transpose_a") is False
    assert node.has("transpose_a")
    assert not node.has("T")


class TestTable:
    def table(self, *names, attrs=()):
        table = OpTable("kernel")
        table.op(*names, attrs=attrs)(len)
        return table

    def test_contents(self):
        table = self.table("MatMul", "Conv2D")
        assert "MatMul" in table
        assert "Add" not in table
        assert list(table) == ["MatMul", "Conv2D"]
        assert len(table) == 2

    def test_a_handler_is_given_back_by_the_decorator(self):
        assert OpTable("kernel").op("MatMul")(len) is len

    def test_two_handlers(self):
        table = self.table("MatMul")
        with pytest.raises(KeyError, match="two kernels for MatMul"):
            table.add("MatMul", max)

    def test_merged(self):
        both = OpTable.merged("kernel", [self.table("MatMul", attrs={"transpose_a"}), self.table("Add")])
        assert set(both) == {"MatMul", "Add"}
        assert both.unknown_attrs(Node("m", "MatMul", (), {"transpose_a": True})) == []
        with pytest.raises(KeyError, match="two kernels for Add"):
            OpTable.merged("kernel", [self.table("Add"), self.table("Add")])

    def test_find(self):
        assert self.table("MatMul").find(Node("m", "MatMul", (), {"T": FLOAT32, "_class": b"x"})) is len

    def test_no_handler(self):
        with pytest.raises(UnsupportedError, match="^m: no kernel for MatMul$"):
            OpTable("kernel").find(Node("m", "MatMul"))

    def test_attributes_that_would_be_ignored(self):
        node = Node("m", "MatMul", (), {"T": INT32, "transpose_a": True, "transpose_b": True, "_private": 1})
        assert self.table("MatMul", attrs={"transpose_a"}).unknown_attrs(node) == ["transpose_b"]
        with pytest.raises(
            UnsupportedError, match="^m: the kernel of MatMul knows no attribute transpose_a, transpose_b$"
        ):
            self.table("MatMul").find(node)

    def test_attributes_at_their_default(self):
        node = Node("m", "MatMul", (), {"T": INT32, "transpose_a": False})
        assert self.table("MatMul").unknown_attrs(node) == []

    def test_attributes_that_no_registry_knows(self):
        assert self.table("MyOp").unknown_attrs(Node("m", "MyOp", (), {"T": INT32})) == ["T"]
