import pytest

from tensorferry.converters.ir import Graph, Node, Shape, node_name, split_value, value_name
from tensorferry.formats.errors import GraphError


def graph(**nodes):
    """A graph of nodes with the inputs given."""
    return Graph.of(Node(name, "Op", tuple(inputs.split())) for name, inputs in nodes.items())


@pytest.mark.parametrize(
    ("value", "node", "index", "full"),
    [
        ("a", "a", 0, "a:0"),
        ("a:0", "a", 0, "a:0"),
        ("scope/a:12", "scope/a", 12, "scope/a:12"),
        ("", "", 0, ""),
    ],
)
def test_values(value, node, index, full):
    assert node_name(value) == node
    assert split_value(value) == (node, index)
    assert value_name(value) == full


def test_node_of_a_control_input_and_of_a_function_value():
    assert node_name("^a") == "a"
    assert node_name("a:sum:1") == "a"


@pytest.mark.parametrize(
    ("shape", "text"), [(Shape(), "?"), (Shape(()), "[]"), (Shape((2, -1)), "[2, ?]"), (Shape((3,), ("n",)), "[3]")]
)
def test_shape_text(shape, text):
    assert str(shape) == text


def test_inputs_of_a_node():
    node = Node("n", "Op", ("a", "b:1", "^c", "^d"))
    assert node.data_inputs == ("a", "b:1")
    assert node.control_inputs == ("c", "d")


def test_nodes_are_changed_as_copies():
    node = Node("n", "Op", ("a",), {"T": 1}, "/cpu:0", b"residue")
    assert node.with_(name="m", inputs=()) == Node("m", "Op", (), {"T": 1}, "/cpu:0", b"residue")
    assert node.name == "n"
    with pytest.raises(AttributeError):
        node.name = "m"


class TestGraph:
    def test_order_is_the_sources(self):
        found = graph(b="", a="b", c="")
        assert [node.name for node in found] == ["b", "a", "c"]
        assert len(found) == 3

    def test_of_like_another(self):
        source = Graph({}, {"f": None}, {"y": "a:0"}, "onnx", b"residue")
        found = Graph.of([Node("a", "Op")], like=source)
        assert (found.functions, found.outputs, found.dialect, found.residue) == (
            {"f": None},
            {"y": "a:0"},
            "onnx",
            b"residue",
        )
        assert list(found.nodes) == ["a"]
        assert source.nodes == {}

    def test_two_nodes_of_one_name(self):
        with pytest.raises(GraphError, match="^a: expected one node of this name, got two$"):
            Graph.of([Node("a", "Op"), Node("a", "Other")])

    def test_producer(self):
        found = graph(a="", b="a")
        assert found.producer("a:1").name == "a"
        with pytest.raises(GraphError, match="^c: expected a node of this name, got none$"):
            found.producer("c:0")

    def test_consumers(self):
        found = graph(a="", b="a a:1 ^a", c="a b missing", d="").consumers()
        assert {name: [node.name for node in nodes] for name, nodes in found.items()} == {
            "a": ["b", "c"],
            "b": ["c"],
            "c": [],
            "d": [],
        }

    def test_consumers_of_inputs_left_out(self):
        assert Graph.of([Node("a", "Op", ("", ""))]).consumers() == {"a": []}


class TestTopological:
    def names(self, found):
        return [node.name for node in found.topological()]

    def test_producers_come_first(self):
        assert self.names(graph(c="b ^a", b="a:1", a="", d="")) == ["a", "b", "c", "d"]

    def test_else_the_order_is_kept(self):
        assert self.names(graph(x="", c="", b="", a="c b")) == ["x", "c", "b", "a"]

    def test_inputs_left_out(self):
        assert self.names(Graph.of([Node("a", "Op", ("", "b")), Node("b", "Op")])) == ["b", "a"]

    def test_depth_is_no_limit(self):
        count = 20_000
        found = Graph.of(Node(f"n{i}", "Op", (f"n{i + 1}",) if i < count else ()) for i in range(count + 1))
        assert self.names(found)[:2] == [f"n{count}", f"n{count - 1}"]

    def test_a_missing_input(self):
        with pytest.raises(GraphError, match="^a: expected its input 'b:1' in the graph, got none of that name$"):
            graph(a="b:1").topological()

    def test_a_cycle(self):
        with pytest.raises(GraphError, match="^a: expected no cycle, got one of 3 nodes: a <- b <- c$"):
            graph(start="a", a="b", b="c", c="a").topological()

    def test_a_node_that_needs_itself(self):
        with pytest.raises(GraphError, match="^a: expected no cycle, got one of 1 nodes: a$"):
            graph(a="a").topological()

    def test_a_long_cycle_is_cut_short_in_the_message(self):
        nodes = {f"n{i}": f"n{(i + 1) % 50}" for i in range(50)}
        with pytest.raises(GraphError, match=r"got one of 50 nodes: n0 <- .* <- n7$"):
            graph(**nodes).topological()

    @pytest.mark.parametrize("ref", ["", "Ref"])
    def test_loops_of_tensorflow_1(self, ref):
        """Enter -> Merge -> NextIteration -> Merge is no cycle."""
        found = Graph.of(
            [
                Node("start", "Const"),
                Node("enter", f"{ref}Enter", ("start",)),
                Node("merge", f"{ref}Merge", ("enter", "next")),
                Node("add", "Add", ("merge", "merge")),
                Node("next", f"{ref}NextIteration", ("add",)),
            ]
        )
        assert self.names(found) == ["start", "enter", "merge", "add", "next"]
