"""Lists, arrays, stacks, tables and variables by hand: what recorded answers don't show, and every error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.formats.dtype import FLOAT32, INT32, INT64, RESOURCE, STRING_TYPE, VARIANT, DType
from tensorferry.formats.tensor import ArrayTensor
from tensorferry.formats.tensor_proto import dtype_of_number

from .building import F32, const, error, graph, op, value

LIST = {"element_dtype": FLOAT32}
GROWS = LIST | {"resize_if_index_out_of_bounds": True}
SHAPED = LIST | {"shape_type": INT32}
KEYS = {"key_dtype": STRING_TYPE, "value_dtype": INT64}
MOVE = {"Tin": STRING_TYPE, "Tout": INT64}
SOME = [
    const("two", [2], INT32),
    const("any", -1, INT32),
    const("minus", [-1], INT32),
    const("row", [1.0, 2.0]),
    const("long", [1.0, 2.0, 3.0]),
    const("rows", [[1.0, 2.0], [3.0, 4.0]]),
    const("number", 1.0),
    const("none", 0, INT32),
    const("one", 1, INT32),
    const("many", 2**31 - 1, INT32),
    const("pair", [0, 1], INT32),
    const("below", [0, -1], INT32),
    const("lengths", [1, 1], INT64),
    const("short", [1], INT64),
    const("no_lengths", [], INT64),
    op("list", "TensorListFromTensor", "rows", "two", **SHAPED),
    op("unset", "TensorListReserve", "any", "one", **SHAPED),
    op("small", "EmptyTensorList", "two", "one", **SHAPED),
    op("empty", "EmptyTensorList", "any", "any", **SHAPED),
    op("pushed", "TensorListPushBack", "small", "row", **LIST),
    op("uneven", "TensorListSplit", "rows", "any", "lengths", **SHAPED),
    op("words", "TensorListReserve", "any", "one", element_dtype=STRING_TYPE, shape_type=INT32),
]
"""Tensors and lists to choose from."""


def outcome(kind: str, *inputs: str, **attrs: Any) -> str:
    return error(graph(*SOME, op("op", kind, *inputs, **attrs)), "op")


@pytest.mark.parametrize(
    ("kind", "inputs", "attrs", "message"),
    [
        ("TensorListGetItem", "list pair any", LIST, "expected TensorListGetItem's index to be a scalar"),
        ("TensorListGetItem", "row one any", LIST, "expected TensorListGetItem of a tensor list, got float32 [2]"),
        ("TensorListGetItem", "list many any", LIST, "expected an index below 2, got 2147483647"),
        ("TensorListGetItem", "words none any", LIST, "expected a list of float32, got one of string"),
        ("TensorListGetItem", "list none minus", LIST, None),
        ("TensorListGetItem", "list none one", LIST, "expected a shape to be a vector, or -1 if unknown, got 1"),
        ("TensorListGetItem", "unset none any", LIST, "an element that has been set, got none, and its shape ? "),
        ("TensorListGetItem", "unset none minus", LIST, "its shape [?] is not known"),
        ("TensorListSetItem", "list many row", LIST, "expected an index below 2, got 2147483647"),
        ("TensorListSetItem", "list none long", LIST, "expected elements of shape [2], got [3]"),
        ("TensorListSetItem", "list many row", GROWS, "expected TensorListSetItem to make at most"),
        ("TensorListReserve", "any many", SHAPED, "expected TensorListReserve to make at most"),
        ("TensorListReserve", "any any", SHAPED, "expected TensorListReserve to make sizes of 0 and more, got [-1]"),
        ("TensorListResize", "list many", {}, "expected TensorListResize to make at most"),
        ("TensorListResize", "list any", {}, "expected TensorListResize to make sizes of 0 and more, got [-1]"),
        ("TensorListStack", "list any", LIST | {"num_elements": 3}, "expected 3 elements, got 2"),
        ("TensorListStack", "empty any", LIST, "expected an element that has been set, got none, and its shape ? is"),
        ("TensorListPushBack", "pushed row", LIST, "expected at most 1 elements in the list, got one more"),
        ("TensorListPushBack", "small long", LIST, "expected elements of shape [2], got [3]"),
        ("TensorListPushBackBatch", "list row", LIST, None),
        ("TensorListPopBack", "small any", LIST, "expected an index below 0, got -1"),
        ("TensorListFromTensor", "number any", SHAPED, "expected a tensor with rows, got a scalar"),
        ("TensorListScatter", "rows two any", SHAPED, "expected 2 indices, got 1"),
        ("TensorListScatter", "rows below any", SHAPED, "expected TensorListScatter's indices in [0, 1)"),
        ("TensorListScatterV2", "rows pair any one", SHAPED, "expected indices below 1, got 1"),
        ("TensorListSplit", "rows any short", SHAPED, "expected lengths that add up to the size of [2, 2], got [1]"),
        ("TensorListConcatV2", "list any no_lengths", SHAPED, None),
        ("TensorListConcatLists", "list words", LIST, "expected a list of float32, got one of string"),
    ],
)  # fmt: skip
def test_lists(kind: str, inputs: str, attrs: dict[str, Any], message: str | None) -> None:
    if message is None:
        value(graph(*SOME, op("op", kind, *inputs.split(), **attrs)), "op")
    else:
        found = outcome(kind, *inputs.split(), **attrs)
        assert found.startswith("op: ")
        assert message in found


def test_elements_of_several_shapes() -> None:
    nodes = [
        op("ragged", "TensorListPushBack", "empty", "row", **LIST),
        op("more", "TensorListPushBack", "ragged", "long", **LIST),
        op("stacked", "TensorListStack", "more", "any", **LIST),
        op("joined", "TensorListConcat", "more", element_dtype=FLOAT32, element_shape=Shape()),
        op("other", "TensorListPushBack", "more", "number", **LIST),
        op("failed", "TensorListConcat", "other", element_dtype=FLOAT32, element_shape=Shape()),
    ]
    built = graph(*SOME, *nodes)
    assert value(built, "joined").tolist() == [1, 2, 1, 2, 3]
    assert value(built, "joined:1").tolist() == [2, 3]
    assert error(built, "stacked") == "stacked: expected elements of one shape to stack, got [2], [3]"
    assert error(built, "failed") == "failed: expected elements that differ in their first size alone, to join them"


def test_a_list_that_grew_out_of_another_leaves_it_alone() -> None:
    nodes = [op("set", "TensorListSetItem", "list", "none", "row", **LIST), op("n", "TensorListLength", "pushed")]
    built = graph(*SOME, *nodes, op("old", "TensorListStack", "list", "two", **LIST, num_elements=2))
    assert value(built, "n") == 1
    np.testing.assert_array_equal(value(built, "old"), [[1, 2], [3, 4]])


ARRAY = {"dtype": FLOAT32}


def arrays(*steps: tuple[str, str, dict[str, Any]], **attrs: Any) -> Graph:
    """A tensor array of two, and steps (op, inputs besides the handle, attributes), each after the one before."""
    nodes = [*SOME, const("size", 2, INT32), op("array", "TensorArrayV3", "size", **ARRAY, **attrs)]
    flow = "array:1"
    for number, (kind, inputs, own) in enumerate(steps):
        extra = (flow,) if kind != "TensorArrayCloseV3" else ()
        nodes.append(op(f"s{number}", kind, "array:0", *inputs.split(), *extra, **own))
        writes = kind.startswith(("TensorArrayWrite", "TensorArrayScatter", "TensorArraySplit"))
        flow = f"s{number}" if writes else flow
    return graph(*nodes)


WRITE, READ, GATHER = "TensorArrayWriteV3", "TensorArrayReadV3", "TensorArrayGatherV3"


@pytest.mark.parametrize(
    ("attrs", "steps", "message"),
    [
        ({}, [(WRITE, "many row", F32)], "s0: expected an index below 2, got 2147483647"),
        ({"dynamic_size": True}, [(WRITE, "many row", F32)], "s0: expected TensorArrayWriteV3 to make at most"),
        ({}, [(WRITE, "any row", F32)], "s0: expected an index below 2, got -1"),
        ({}, [(WRITE, "one row", F32), (WRITE, "one row", F32)], "s1: expected element 1 to be written once"),
        ({"identical_element_shapes": True}, [(WRITE, "one row", F32), (WRITE, "none long", F32)],
         "s1: expected elements of shape [2], got [3]"),
        ({"element_shape": Shape((2,))}, [(WRITE, "one long", F32)], "s0: expected elements of shape [2], got [3]"),
        ({}, [(READ, "many", ARRAY)], "s0: expected an index below 2, got 2147483647"),
        ({}, [(READ, "one", ARRAY)], "s0: expected an element that has been set, got none, and its shape ? is"),
        ({}, [(READ, "one", {"dtype": INT32})], "s0: expected an array of int32, got one of float32"),
        ({}, [(WRITE, "one row", F32), (GATHER, "pair", ARRAY | {"element_shape": Shape()})], "s1: expected an"),
        ({}, [("TensorArrayScatterV3", "pair number", F32)], "s0: expected an index for each row of [], got [2]"),
        ({}, [("TensorArraySplitV3", "rows short", F32)], "s0: expected lengths that add up to the size of"),
        ({}, [("TensorArrayScatterV3", "pair rows", F32), ("TensorArrayConcatV3", "", ARRAY)], None),
        ({"element_shape": Shape((2,))}, [(READ, "one", ARRAY)], None),
    ],
)  # fmt: skip
def test_arrays(attrs: dict[str, Any], steps: list[Any], message: str | None) -> None:
    built, last = arrays(*steps, **attrs), f"s{len(steps) - 1}"
    if message is None:
        value(built, last)
    else:
        assert error(built, last).startswith(message)


def test_an_element_is_read_once() -> None:
    reads = [
        op("first", READ, "array:0", "one", "s0", **ARRAY),
        op("second", READ, "array:0", "one", "flow", **ARRAY),
        op("flow", "Identity", "s0", "^first", **F32),
    ]
    once = graph(*arrays((WRITE, "one row", F32)), *reads)
    assert error(once, "second") == "second: expected element 1 to be read once, got it again"
    often = graph(*arrays((WRITE, "one row", F32), clear_after_read=False), *reads)
    np.testing.assert_array_equal(value(often, "second"), [1, 2])


def test_a_number_of_lengths() -> None:
    built = arrays(("TensorArraySplitV3", "one_row one_length", F32))
    built = graph(*built, const("one_row", [[1.0]]), const("one_length", [1], INT64))
    assert error(built, "s0") == "s0: expected 2 lengths, got 1"


def test_nothing_is_left_in_a_closed_array() -> None:
    built = arrays((WRITE, "one row", F32))
    closed = [
        op("close", "TensorArrayCloseV3", "array:0", "^s0"),
        op("n", "TensorArraySizeV3", "array:0", "s0", "^close"),
    ]
    assert value(graph(*built, *closed), "n") == 0


def test_stacks() -> None:
    nodes = [
        op("stack", "StackV2", "one", elem_type=FLOAT32),
        op("push", "StackPushV2", "stack", "row", **F32),
        op("again", "StackPushV2", "stack", "long", "^push", **F32),
        op("pop", "StackPopV2", "stack", "^push", elem_type=FLOAT32),
        op("empty_pop", "StackPopV2", "stack", "^pop", elem_type=FLOAT32),
        op("close", "StackCloseV2", "stack", "^push"),
        op("closed_pop", "StackPopV2", "stack", "^close", elem_type=FLOAT32),
        op("wrong", "StackPopV2", "list", elem_type=FLOAT32),
    ]
    built = graph(*SOME, *nodes)
    assert value(built, "pop").tolist() == [1, 2]
    assert error(built, "again") == "again: expected at most 1 tensors on the stack, got one more"
    assert error(built, "empty_pop") == "empty_pop: expected a tensor on the stack, got none"
    assert error(built, "closed_pop") == "closed_pop: expected a tensor on the stack, got none"
    assert error(built, "wrong") == "wrong: expected StackPopV2 of a stack, got object []"


# --- tables -----------------------------------------------------------------------------------------

WORDS = np.array([b"a", b"b"], object)


def tables(*more: Node, kind: str = "HashTableV2", **attrs: Any) -> Graph:
    return graph(
        op("table", kind, **KEYS, **attrs),
        const("keys", WORDS, STRING_TYPE),
        const("values", [1, 2], INT64),
        const("default", -1, INT64),
        op("find", "LookupTableFindV2", "table", "keys", "default", **MOVE),
        *more,
    )


INITIALIZE = op("fill", "InitializeTableV2", "table", "keys", "values", Tkey=STRING_TYPE, Tval=INT64)
FILE = op("fill", "InitializeTableFromTextFileV2", "table", "file", key_index=-2, value_index=-1)
HERE = const("file", b"/somewhere/words.txt", STRING_TYPE)


def test_the_initialisers_of_a_table_run_first() -> None:
    assert value(tables(INITIALIZE), "find").tolist() == [1, 2]
    assert error(tables(), "find") == "find: expected table to be initialised before it is asked, got no contents"


def test_contents_that_are_given_come_before_initialisers() -> None:
    given = {"table": (np.array(["b", "c"]), np.array([7, 8]))}
    for built in tables(), tables(INITIALIZE), tables(FILE, HERE):
        assert value(built, "find", tables=given).tolist() == [-1, 7]


def test_no_file_that_a_graph_names_is_read() -> None:
    assert error(tables(FILE, HERE), "find") == (
        "fill: expected the contents of table table, which come from '/somewhere/words.txt', to be given"
    )


def test_contents_of_another_type_are_refused() -> None:
    given = {"table": (np.array([1, 2]), np.array([7, 8]))}
    assert error(tables(), "find", tables=given) == (
        "table: expected contents of string and int64, got int64 and int64"
    )
    given = {"table": (np.array(["a"]), np.array([7, 8]))}
    assert error(tables(), "find", tables=given) == "table: expected values int64 [1] for table, got int64 [2]"


def insert(target: str, keys: str, values: str, *after: str) -> Node:
    return op("insert", "LookupTableInsertV2", target, keys, values, *after, **MOVE)


@pytest.mark.parametrize(
    ("more", "output", "message"),
    [
        ([op("ask", "LookupTableFindV2", "table", "values", "default", Tin=INT64, Tout=INT64)], "ask",
         "ask: expected keys string of table, got int64 [2]"),
        ([insert("table", "keys", "values"), const("x", 1.0, FLOAT32, "^insert")], "x",
         "insert: expected a table that can change, got table"),
        ([INITIALIZE.with_(inputs=("table", "same", "values")), const("same", [b"a", b"a"], STRING_TYPE)], "find",
         "fill: expected one value for each key of table, got two for b'a'"),
        ([op("ask", "LookupTableSizeV2", "values")], "ask", "ask: expected LookupTableSizeV2 of a table, got int64"),
    ],
)  # fmt: skip
def test_tables(more: list[Node], output: str, message: str) -> None:
    assert error(tables(*more), output).startswith(message)


def test_a_table_that_changes() -> None:
    nodes = [
        insert("table", "keys", "values"),
        op("remove", "LookupTableRemoveV2", "table", "some", "^insert", Tin=STRING_TYPE),
        const("some", [b"a"], STRING_TYPE),
        op("left", "LookupTableExportV2", "table", "^remove", Tkeys=STRING_TYPE, Tvalues=INT64),
        op("import", "LookupTableImportV2", "table", "some", "nine", "^remove", **MOVE),
        const("nine", [9], INT64),
        op("size", "LookupTableSizeV2", "table", "^import"),
    ]
    built = tables(*nodes, kind="MutableHashTableV2")
    assert value(built, "find").tolist() == [-1, -1]
    assert (value(built, "left").tolist(), value(built, "left:1").tolist()) == ([b"b"], [2])
    assert value(built, "size") == 1


def test_keys_that_stand_for_none() -> None:
    built = graph(
        const("empty_key", [0, 0], INT64),
        const("deleted_key", [-1, -1], INT64),
        op("table", "MutableDenseHashTableV2", "empty_key", "deleted_key", key_dtype=INT64, value_dtype=FLOAT32),
        const("keys", [[1, 2], [0, 0]], INT64),
        const("values", [1.0, 2.0]),
        op("insert", "LookupTableInsertV2", "table", "keys", "values", Tin=INT64, Tout=FLOAT32),
        const("x", 1.0, FLOAT32, "^insert"),
        op("ask", "LookupTableFindV2", "table", "short", "values", Tin=INT64, Tout=FLOAT32),
        const("short", [1], INT64),
    )
    assert error(built, "x") == "insert: expected keys other than the empty and the deleted one of table, got (0, 0)"
    assert error(built, "ask") == "ask: expected keys int64 [..., 2] of table, got int64 [1]"


# --- variables --------------------------------------------------------------------------------------

FLOAT_REF: DType = dtype_of_number(101)
V = op("v", "VariableV2", dtype=FLOAT32, shape=Shape((2,)))
H = op("h", "VarHandleOp", dtype=FLOAT32, shape=Shape((2,)))
GIVEN = {"v": ArrayTensor(np.array([1, 2], np.float32)), "h": ArrayTensor(np.array([1, 2], np.float32))}


def variables(*nodes: Node) -> Graph:
    return graph(
        V, H, const("x", [5.0, 6.0]), const("y", [1.0]), const("i", [0], INT32), const("n", [[0]], INT32), *nodes
    )


def test_a_variable_that_is_assigned_needs_no_value() -> None:
    nodes = [op("assign", "Assign", "v", "x", **F32), op("read", "Identity", "v", "^assign", **F32)]
    assert value(variables(*nodes), "read").tolist() == [5, 6]
    nodes = [
        op("assign", "AssignVariableOp", "h", "x", dtype=FLOAT32),
        op("read", "ReadVariableOp", "h", dtype=FLOAT32),
    ]
    assert value(variables(nodes[0], nodes[1].with_(inputs=("h", "^assign"))), "read").tolist() == [5, 6]
    early = [nodes[0], nodes[1], op("both", "Identity", "read", "^assign", **F32)]
    early[0] = early[0].with_(inputs=("h", "read"))
    assert error(variables(*early), "both") == "h: expected the variable to have a value before it is read, got none"


def test_who_has_read_a_variable_keeps_what_was_read() -> None:
    built = variables(
        op("before", "Identity", "v", **F32),
        op("assign", "AssignSub", "v", "x", "^before", **F32),
        op("after", "Add", "before", "v", "^assign", **F32),
    )
    assert value(built, "after", variables=GIVEN).tolist() == [1 - 4, 2 - 4]
    np.testing.assert_array_equal(GIVEN["v"].numpy(), [1, 2])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (op("op", "AssignAdd", "v", "y", **F32), "op: expected float32 [2] for v, got float32 [1]"),
        (op("op", "AssignAdd", "x", "y", **F32), "op: expected input 0 of AssignAdd to be a variable, got float32"),
        (op("op", "AssignAdd", "v", "i", **F32), "op: expected input 1 of AssignAdd to be float32, got int32"),
        (op("op", "AssignAdd", "v", **F32), "op: expected AssignAdd to have 2 inputs, got 1"),
        (op("op", "ReadVariableOp", "x", dtype=FLOAT32), "op: expected ReadVariableOp of a variable, got float32 [2]"),
        (op("op", "ReadVariableOp", "h", dtype=INT32), "op: expected ReadVariableOp to make int32, got float32"),
        (
            op("op", "ResourceGather", "h", "x", dtype=FLOAT32, Tindices=INT32),
            "op: expected input 1 of",
        ),
        (
            op("op", "ScatterAdd", "v", "i", "x", T=FLOAT32, Tindices=INT32),
            "op: expected updates of shape [1],",
        ),
    ],
)
def test_variables(node: Node, message: str) -> None:
    assert error(variables(node), "op", variables=GIVEN).startswith(message)


def test_scattering_into_variables() -> None:
    tens = const("tens", [10.0])
    for word, expected in [("Update", [10, 2]), ("Add", [11, 2]), ("Sub", [-9, 2]), ("Mul", [10, 2]), ("Div", [0.1, 2]),
                           ("Min", [1, 2]), ("Max", [10, 2])]:  # fmt: skip
        scatter = op("s", f"Scatter{word}", "v", "i", "tens", T=FLOAT32, Tindices=INT32)
        assert value(variables(tens, scatter), "s", variables=GIVEN).tolist() == np.float32(expected).tolist()
        through = op("s", f"ResourceScatter{word}", "h", "i", "ten", dtype=FLOAT32, Tindices=INT32)
        read = op("r", "ReadVariableOp", "h", "^s", dtype=FLOAT32)
        built = variables(const("ten", 10.0), through, read)
        assert value(built, "r", variables=GIVEN).tolist() == np.float32(expected).tolist()
    for word, expected in [("Update", [10, 2]), ("Add", [11, 2]), ("Sub", [-9, 2]), ("Min", [1, 2]), ("Max", [10, 2])]:
        scatter = op("s", f"ScatterNd{word}", "v", "n", "tens", T=FLOAT32, Tindices=INT32)
        assert value(variables(tens, scatter), "s", variables=GIVEN).tolist() == expected
        through = op("s", f"ResourceScatterNd{word}", "h", "n", "tens", T=FLOAT32, Tindices=INT32)
        read = op("r", "ReadVariableOp", "h", "^s", dtype=FLOAT32)
        assert value(variables(tens, through, read), "r", variables=GIVEN).tolist() == expected


def test_what_is_known_of_a_variable() -> None:
    built = variables(
        op("is", "IsVariableInitialized", "v", dtype=FLOAT32),
        op("handle_is", "VarIsInitializedOp", "h"),
        op("shape", "VariableShape", "h"),
        op("gather", "ResourceGatherNd", "h", "n", dtype=FLOAT32, Tindices=INT32),
        op("gone", "DestroyResourceOp", "h", "^gather"),
    )
    assert value(built, "is", variables=GIVEN)
    assert value(built, "handle_is", variables=GIVEN)
    assert value(built, "shape", variables=GIVEN).tolist() == [2]
    assert value(built, "gather", variables=GIVEN).tolist() == [1]


def test_ragged_values_in_variants() -> None:
    nodes = [
        const("splits", [0, 2, 3], INT64),
        const("values", [1.0, 2.0, 3.0]),
        op("rows", "RaggedTensorToVariant", "splits", "values", RAGGED_RANK=1, Tvalues=FLOAT32, Tsplits=INT64,
           batched_input=True),
        op("back", "RaggedTensorFromVariant", "rows", input_ragged_rank=0, output_ragged_rank=1, Tvalues=FLOAT32,
           Tsplits=INT64),
        op("deeper", "RaggedTensorFromVariant", "rows", input_ragged_rank=1, output_ragged_rank=2, Tvalues=FLOAT32,
           Tsplits=INT64),
        op("wrong", "RaggedTensorFromVariant", "rows", input_ragged_rank=0, output_ragged_rank=1, Tvalues=INT32,
           Tsplits=INT64),
        const("broken", [0, 5], INT64),
        op("bad", "RaggedTensorToVariant", "broken", "values", RAGGED_RANK=1, Tvalues=FLOAT32, Tsplits=INT64,
           batched_input=False),
    ]  # fmt: skip
    built = graph(*nodes)
    assert value(built, "back").tolist() == [0, 2, 3]
    assert value(built, "back:1").tolist() == [1, 2, 3]
    assert error(built, "deeper") == "deeper: expected ragged tensors of 1 ragged dimensions, got others"
    assert error(built, "wrong") == "wrong: expected ragged tensors of int32, got others"
    assert error(built, "bad") == "bad: expected splits from 0 to 3 that don't fall, got [0, 5]"


def test_opaque_values_pass_through_ops_that_move_elements() -> None:
    nodes = [
        op("packed", "Pack", "list", "pushed", T=VARIANT, N=2),
        op("second", "GatherV2", "packed", "one", "none", Tparams=VARIANT, Tindices=INT32, Taxis=INT32),
        op("n", "TensorListLength", "second"),
        op("same", "IdentityN", "list", "h", T=AttrList("dtype", (VARIANT, RESOURCE))),
        H,
        op("read", "ReadVariableOp", "same:1", dtype=FLOAT32),
    ]
    built = graph(*SOME, *nodes)
    assert value(built, "n") == 1
    assert value(built, "read", variables=GIVEN).tolist() == [1, 2]


def splat(name: str, content: Any, size: int, dtype: DType = FLOAT32) -> Node:
    from tensorferry.formats.tensor import SplatTensor

    tensor = SplatTensor(np.array(content, dtype.numpy()), (size,), dtype)
    return op(name, "Const", dtype=dtype, value=tensor)


def test_what_takes_no_room_in_a_file_takes_none_here() -> None:
    built = graph(*SOME, splat("huge", 1.0, 1 << 26), op("op", "TensorListFromTensor", "huge", "any", **SHAPED))
    assert error(built, "op").startswith("op: expected TensorListFromTensor to make at most")
    ask = op("ask", "LookupTableFindV2", "table", "huge", "default", **MOVE)
    built = tables(INITIALIZE, splat("huge", b"a", 1 << 26, STRING_TYPE), ask)
    assert error(built, "ask").startswith("ask: expected LookupTableFindV2 to make at most")


def test_lists_that_double_are_bounded() -> None:
    from tensorferry.converters.kernels.kernel import bounded

    nodes = [op("l0", "TensorListConcatLists", "list", "list", **LIST)]
    nodes += [op(f"l{i}", "TensorListConcatLists", f"l{i - 1}", f"l{i - 1}", **LIST) for i in range(1, 30)]
    with bounded(1 << 16):
        assert error(graph(*SOME, *nodes), "l29") == (
            "l12: expected TensorListConcatLists to make at most 65536 bytes, got 131072 for object [16384]"
        )


def test_every_operation_is_of_a_registered_op_and_knows_its_attributes() -> None:
    from tensorferry.converters.evaluation.operations import operations
    from tensorferry.converters.evaluation.variables import REFERENCES
    from tensorferry.converters.op_registry import op_defs, type_attrs

    for table in operations(), REFERENCES:
        for name in table:
            attrs = {attr.name for attr in op_defs()[name].attr}
            assert attrs - type_attrs(name) <= table._attrs[name], name
