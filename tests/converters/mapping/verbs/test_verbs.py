"""The verbs of a rule, beside numpy."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.mapping.verbs import VERBS, layout, parts, read_verb, values
from tensorferry.converters.mapping.verbs.verb import MisfitError, NoInverseError
from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor import ArrayTensor

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
B = A + 100


def applied(name, given, *arrays, wanted=0):
    """The results, each checked to be what it says it is."""
    names = [f"t{i}" for i in range(len(arrays))]
    results = read_verb(name, given).apply([ArrayTensor(a) for a in arrays], names, wanted)
    for result in results:
        array = result.numpy()
        assert (array.shape, array.dtype) == (result.shape, result.dtype.numpy())
        assert result.tobytes() == np.ascontiguousarray(array).tobytes()
    return [result.numpy() for result in results]


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("transpose", [2, 0, 1], A.transpose(2, 0, 1)),
        ("transpose", {"perm": [0, 1, 2]}, A),
        ("reshape", [4, -1], A.reshape(4, 6)),
        ("reshape", {"from": [2, -1, 4], "to": [24]}, A.reshape(24)),
        ("expand", 0, A[None]),
        ("expand", [0, -1], A[None, ..., None]),
        ("flip", 0, A[::-1]),
        ("flip", [0, -1], A[::-1, :, ::-1]),
        ("slice", {"axis": 0, "start": 1}, A[1:]),
        ("slice", {"axis": 0, "stop": 1}, A[:1]),
        ("slice", {"axis": 0}, A),
        ("slice", {"axis": 1, "start": -2, "stop": -1}, A[:, -2:-1]),
        ("slice", {"axis": 2, "step": 3}, A[:, :, ::3]),
        ("pad", {"axis": 1, "before": 1, "after": 2}, np.pad(A, [(0, 0), (1, 2), (0, 0)])),
        ("pad", {"axis": -1, "after": 1, "value": 0.5}, np.pad(A, [(0, 0), (0, 0), (0, 1)], constant_values=0.5)),
        ("scale", 0.125, A * np.float32(0.125)),
        ("scale", 0.1, (A.astype(np.float64) * 0.1).astype(np.float32)),
        ("add", 1, A + 1),
        ("cast", "float16", A.astype(np.float16)),
        ("cast", {"from": "float32", "to": "bfloat16"}, A.astype(ml_dtypes.bfloat16)),
        ("cast", "float32", A),
        ("narrow", "bfloat16", A.astype(ml_dtypes.bfloat16)),
    ],
)
def test_each_by_itself(name, given, expected):
    same(applied(name, given, A), [expected])
    same(applied(name, given, A, A), [expected, expected])


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("split", {"axis": 1, "sizes": [1, 2]}, [A[:, :1], A[:, 1:]]),
        ("split", {"axis": 0, "sizes": [1, 1]}, [A[:1], A[1:]]),
        ("chunk", {"axis": 2, "parts": 2}, [A[..., :2], A[..., 2:]]),
        ("chunk", {"axis": -3, "parts": 2}, [A[:1], A[1:]]),
        ("unstack", 0, [A[0], A[1]]),
        ("unstack", {"axis": 1}, [A[:, 0], A[:, 1], A[:, 2]]),
    ],
)
def test_one_to_several(name, given, expected):
    same(applied(name, given, A), expected)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("concat", 0, np.concatenate([A, B])),
        ("concat", {"axis": 1, "parts": 2}, np.concatenate([A, B], 1)),
        ("concat", {"axis": -1, "sizes": [4, 4]}, np.concatenate([A, B], 2)),
        ("stack", 0, np.stack([A, B])),
        ("stack", -1, np.stack([A, B], 3)),
        ("sum", True, A + B),
    ],
)
def test_several_to_one(name, given, expected):
    same(applied(name, given, A, B), [expected])


def test_tie_and_same():
    same(applied("tie", True, A, wanted=3), [A, A, A])
    same(applied("same", True, A, A.copy()), [A])
    with pytest.raises(FormatError, match="^t1: expected the same values as t0, got: 24 of 24 differ$"):
        applied("same", True, A, B)


def test_a_scalar_beside():
    same(applied("with", {"dtype": "int64", "value": 7}, A, wanted=2), [A, np.array(7)])
    same(applied("with", {"dtype": "bfloat16", "value": 1}, A, wanted=2)[:1], [A])
    same(applied("first", True, A, np.array(7)), [A])
    for dtype in ("int8", "bool", "float16", "string"):
        with pytest.raises(MisfitError, match=f"^expected a number that is a {dtype}, got 70001$"):
            applied("with", {"dtype": dtype, "value": 70001}, A, wanted=2)


def test_a_tensor_beside():
    same(applied("fill", 1, A, wanted=2), [A, np.ones_like(A)])
    same(applied("fill", 0.5, A, wanted=2), [A, np.full_like(A, 0.5)])
    whole = np.arange(6, dtype=np.int8).reshape(2, 3)
    same(applied("fill", {"value": -3}, whole, wanted=2), [whole, np.full_like(whole, -3)])
    for value in (0.5, 300, float("nan"), float("inf")):
        with pytest.raises(MisfitError, match=f"^expected a number that is a int8, got {float(value)}$"):
            applied("fill", value, whole, wanted=2)
    with pytest.raises(MisfitError, match="^fill expected elements that are float or signed or unsigned, got bool$"):
        applied("fill", 1, np.array([True]), wanted=2)


def test_what_was_filled():
    same(applied("unfill", 1, A, np.ones_like(A)), [A])
    other = np.ones_like(A)
    other[0, 1] = np.nan
    with pytest.raises(FormatError, match=r"^t1: expected 1\.0 everywhere, got other values too$"):
        applied("unfill", 1, A, other)
    with pytest.raises(MisfitError, match="^expected one shape$"):
        applied("unfill", 1, A, other[0])
    with pytest.raises(MisfitError, match="^expected two tensors, got 3$"):
        applied("unfill", 1, A, A, A)


def test_integers():
    whole = np.arange(6, dtype=np.int8).reshape(2, 3)
    same(applied("cast", "int32", whole), [whole.astype(np.int32)])
    same(applied("cast", "float32", whole), [whole.astype(np.float32)])
    same(
        applied("pad", {"axis": 0, "after": 1, "value": 7}, whole), [np.pad(whole, [(0, 1), (0, 0)], constant_values=7)]
    )
    same(applied("stack", 0, whole, whole), [np.stack([whole, whole])])


def test_strings():
    words = np.array([b"a", b"bc", b"d"], object)
    (found,) = read_verb("slice", {"axis": 0, "start": 1}).apply([ArrayTensor(words)], ["t"], 1)
    assert list(found.numpy()) == [b"bc", b"d"]
    parts = read_verb("chunk", {"axis": 0, "parts": 3}).apply([ArrayTensor(words)], ["t"], 3)
    assert [list(part.numpy()) for part in parts] == [[b"a"], [b"bc"], [b"d"]]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("transpose", [1, 0], "expected each of the axes [0, 1, 2] once in [1, 0]"),
        ("transpose", [0, 0, 1], "expected each of the axes [0, 1, 2] once in [0, 0, 1]"),
        ("reshape", [5, -1], "expected 24 elements, got the shape [5, -1]"),
        ("reshape", [-1, -1], "expected sizes, of which one may be -1, got [-1, -1]"),
        ("reshape", [-2, -12], "expected sizes, of which one may be -1, got [-2, -12]"),
        ("reshape", [0, -1], "expected 24 elements, got the shape [0, -1]"),
        ("reshape", {"from": [3, 8], "to": [24]}, "expected [3, 8] to reshape from"),
        ("squeeze", 0, "expected a size of 1 at the axes [0]"),
        ("squeeze", 3, "expected an axis below 3, got 3"),
        ("expand", [0, 0], "expected different axes, got [0, 0]"),
        ("slice", {"axis": 0, "start": 3}, "expected places within 2 along axis 0"),
        ("slice", {"axis": 0, "start": 2}, "expected something to remain of 2 along axis 0"),
        ("slice", {"axis": 0, "step": 0}, "expected a step of 1 or more, got 0"),
        ("pad", {"axis": 0, "before": -1}, "expected from 0 to 16777216 more along an axis, got -1 and 0"),
        ("split", {"axis": 0, "sizes": [1, 2]}, "expected sizes that make 2, got [1, 2]"),
        ("split", {"axis": 0, "sizes": [3, -1]}, "expected sizes that make 2, got [3, -1]"),
        ("chunk", {"axis": 1, "parts": 2}, "expected a size along axis 1 that 2 divides"),
        ("chunk", {"axis": 1, "parts": 0}, "expected a size along axis 1 that 0 divides"),
        ("cast", {"from": "float16", "to": "float64"}, "expected float16 to cast from"),
        ("cast", "int32", "cast expected elements that are signed or unsigned, got float32"),
        ("narrow", "float64", "expected a type that holds all of float64"),
    ],
)
def test_what_does_not_fit(name, given, message):
    with pytest.raises(MisfitError) as error:
        applied(name, given, A)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("concat", 1, "expected shapes that differ along axis 1 alone"),
        ("concat", {"axis": 0, "sizes": [1, 1]}, "expected the sizes [1, 1] along axis 0"),
        ("concat", {"axis": 0, "parts": 2}, "expected 2 tensors of one size along axis 0"),
        ("stack", 0, "expected one shape"),
        ("sum", True, "expected one shape"),
        ("same", True, "expected one shape"),
    ],
)
def test_what_does_not_go_together(name, given, message):
    with pytest.raises(MisfitError) as error:
        applied(name, given, A, A[:1])
    assert str(error.value) == message
    with pytest.raises(MisfitError, match="^expected one dtype, got float32 and float64$"):
        applied(name, given, A, A.astype(np.float64))


@pytest.mark.parametrize("name", ["scale", "add"])
def test_whole_numbers_are_not_rounded(name):
    with pytest.raises(MisfitError, match=f"^{name} expected elements that are float or complex, got int32$"):
        applied(name, 0.5, A.astype(np.int32))


def test_values_that_do_not_narrow():
    with pytest.raises(FormatError, match="^narrow float16: expected values that float16 holds, got 1 others$"):
        applied("narrow", "float16", np.float32([1, 2049, np.nan]))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("twist", 1, f"expected a verb, one of {', '.join(VERBS)}, got twist"),
        ("transpose", True, "transpose: expected a list of whole numbers for perm, got True"),
        ("transpose", {"perm": [1.5]}, "transpose: expected a list of whole numbers for perm, got [1.5]"),
        ("transpose", {"axes": [1]}, "transpose: expected only perm, got axes"),
        ("split", {"axis": 0}, "split: expected sizes too"),
        ("split", 0, "split: expected only axis, sizes, got a value"),
        (
            "chunk",
            {"axis": "x", "parts": None},
            "chunk: expected a whole number for axis, a whole number for parts, got 'x', None",
        ),
        ("scale", "x", "scale: expected a number for factor, got 'x'"),
        ("cast", "float31", "cast: expected an element type such as float32 for to, got 'float31'"),
        ("tie", 3, "tie: expected no parameters (true), got a value"),
        ("reshape", [1 << 62], f"reshape: expected a list of whole numbers for to, got [{1 << 62}]"),
    ],
)
def test_parameters(name, given, message):
    with pytest.raises(ValueError, match="^") as error:
        read_verb(name, given)
    assert str(error.value) == message


def test_a_variable_is_a_text():
    assert read_verb("split", {"axis": 0, "sizes": ["1", "2"]}) == read_verb("split", {"axis": 0, "sizes": [1, 2]})


SPELLED = {
    "transpose": [2, 0, 1], "reshape": {"to": [24], "from": [2, 3, 4]}, "squeeze": 0, "expand": [0, 1], "flip": [1],
    "slice": {"axis": 1, "start": 1}, "pad": {"axis": 1, "before": 1, "value": 2.0}, "scale": -1.0, "add": 1.0,
    "cast": {"to": "float64", "from": "float32"}, "narrow": {"to": "bfloat16", "from": "float32"},
    "split": {"axis": 1, "sizes": [1, 2]}, "chunk": {"axis": 1, "parts": 3}, "unstack": 1, "tie": True,
    "concat": {"axis": 1, "sizes": [1, 2]}, "stack": 1, "sum": True, "same": True,
    "with": {"dtype": "int64", "value": 3}, "fill": 1.0, "unfill": 1.0, "first": True,
}  # fmt: skip


def test_every_verb_is_listed_with_its_module():
    there = [verb for module in (layout, values, parts) for verb in module.VERBS]
    assert [verb.name for verb in there] == list(VERBS)
    assert [VERBS[name] for name in VERBS] == there
    assert VERBS.get("layout") is None


@pytest.mark.parametrize("name", VERBS)
def test_spelling(name):
    verb = read_verb(name, SPELLED[name])
    assert read_verb(name, verb.spelled()) == verb
    assert str(verb).startswith(name)


INVERTIBLE = [
    ("transpose", [2, 0, 1]), ("reshape", {"to": [4, -1], "from": [2, 3, 4]}), ("expand", [0, 2]), ("flip", [0, 2]),
    ("pad", {"axis": 1, "before": 2, "after": 1}), ("pad", {"axis": 0, "after": 1}), ("pad", {"axis": 0}),
    ("scale", -1), ("cast", {"from": "float32", "to": "float64"}), ("split", {"axis": 2, "sizes": [1, 3]}),
    ("chunk", {"axis": 1, "parts": 3}), ("unstack", 1), ("unstack", -1), ("tie", True), ("fill", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given"), INVERTIBLE)
@pytest.mark.parametrize("known", [False, True])
def test_there_and_back(name, given, known):
    """The bytes come back, and going there again is the same verb again."""
    verb, start = read_verb(name, given), [ArrayTensor(A)]
    made = verb.apply(start, ["a"], 2)
    (back,) = verb.inverse(start if known else None).apply(made, [str(i) for i in range(len(made))], 1)
    assert (back.dtype, back.shape, back.tobytes()) == (start[0].dtype, A.shape, A.tobytes())
    if name == "pad":
        return
    again = verb.inverse(start).inverse(made).apply([back], ["a"], 2)
    assert [t.tobytes() for t in again] == [t.tobytes() for t in made]


@given(st.lists(st.floats(width=16, allow_nan=False) | st.just(0.0), max_size=5))
def test_a_cast_and_back(values):
    array = np.array(values, np.float16)
    verb = read_verb("cast", {"from": "float16", "to": "float32"})
    (wide,) = verb.apply([ArrayTensor(array)], ["a"], 1)
    (back,) = verb.inverse(None).apply([wide], ["a"], 1)
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("slice", {"axis": 0, "start": 1}, "slice loses what it takes away"),
        ("scale", 2, "scale 2.0 rounds"),
        ("add", 1, "add 1.0 rounds"),
        ("sum", True, "sum does not keep its parts"),
        ("first", True, "first leaves the others out"),
        ("reshape", [24], "reshape does not say what shape it comes from: {from = [...], to = [...]} does"),
        ("concat", 0, "concat does not say where it can be cut: sizes = [...] or parts = N do"),
        ("cast", "float64", 'cast does not say what type it comes from: {from = "...", to = "..."} does'),
        ("cast", {"from": "float32", "to": "float16"}, "cast from float32 to float16 rounds"),
        ("narrow", "float16", 'narrow does not say what type it comes from: {from = "...", to = "..."} does'),
    ],
)
def test_no_way_back(name, given, message):
    with pytest.raises(NoInverseError) as error:
        read_verb(name, given).inverse(None)
    assert str(error.value) == message


def test_a_cast_to_the_same_type_and_back():
    start = [ArrayTensor(A)]
    verb = read_verb("cast", "float32")
    assert verb.inverse(start).apply(verb.apply(start, ["a"], 1), ["a"], 1) == start


def test_shapes_help_back():
    start = [ArrayTensor(A)]
    for verb in (read_verb("reshape", [24]), read_verb("cast", "float64")):
        (back,) = verb.inverse(start).apply(verb.apply(start, ["a"], 1), ["a"], 1)
        assert back.tobytes() == A.tobytes()
    parts = [ArrayTensor(A[:, :1]), ArrayTensor(A[:, 1:])]
    verb = read_verb("concat", 1)
    back = verb.inverse(parts).apply(verb.apply(parts, ["a", "b"], 1), ["c"], 2)
    assert [t.tobytes() for t in back] == [t.tobytes() for t in parts]
