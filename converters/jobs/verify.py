"""Verify: what was written computes what was read.

    weights   every tensor is read back and compared byte by byte with its source
    graphs    the source's graph, with the variables as they were bound, runs in the reference evaluator; the result,
              read back from the file, runs there too (GraphDef) or in onnxruntime (ONNX; the onnx package's own
              evaluator where onnxruntime is not installed); both get the same inputs, given or random

Floating-point outputs agree within rtol 1e-3 and atol 1e-5; all others are equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import UnsupportedError, UsageError, listing
from tensorferry.formats.room import Room
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..difference import diff_tensors
from ..ir import Graph, ValueInfo
from .report import Checked

if TYPE_CHECKING:
    import numpy as np

    from ..tables import Table

    Arrays = dict[str, np.ndarray[Any, Any]]

_LARGEST = 1 << 28
"""Elements of an input whose values are made up."""
RTOL, ATOL = 1e-3, 1e-5


def verify_tensors(expected: Mapping[str, Tensor], written: Mapping[str, Tensor]) -> list[Checked]:
    """Compares the tensors of a written file with what they were made from, bit for bit."""
    checks = []
    with Room():
        for name, tensor in expected.items():
            if name not in written:
                checks.append(Checked(name, float("nan"), equal=False))
                continue
            difference = diff_tensors(name, tensor, written[name])
            largest = 0.0 if difference is None else difference.largest
            checks.append(Checked(name, float("nan") if largest is None else largest, equal=difference is None))
    extra = [name for name in written if name not in expected]
    return checks + [Checked(name, float("nan"), equal=False) for name in extra]


def run_graph(
    graph: Graph,
    outputs: Mapping[str, str],
    feeds: Arrays,
    values: Mapping[str, Tensor],
    tables: Mapping[str, Table],
) -> Arrays:
    """The outputs (public name -> value) of a graph with the `values` of its variables, by the reference evaluator."""
    from ..evaluation.evaluate import evaluate

    contents = {name: table.arrays() for name, table in tables.items()}
    found = evaluate(graph, list(outputs.values()), feeds, values, contents)
    return {name: found[value] for name, value in outputs.items()}


def run_onnx(path: str, feeds: Arrays) -> Arrays:
    """The outputs of the ONNX model at `path`."""
    given = {name: _as_text(array) for name, array in feeds.items()}
    try:
        import onnxruntime
    except ModuleNotFoundError:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(path)
        found = dict(zip(session.output_names, session.run(None, given), strict=True))
    else:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found = dict(zip([o.name for o in session.get_outputs()], session.run(None, given), strict=True))
    return {name: _as_bytes(array) for name, array in found.items()}


def _as_text(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Strings as ONNX has them: text, not bytes."""
    if array.dtype != object:
        return array
    return _each(array, lambda item: item.decode("utf-8", "replace") if isinstance(item, bytes) else item)


def _as_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Strings as TensorFlow has them."""
    if getattr(array, "dtype", None) is None or array.dtype.kind not in "OU":
        return array
    return _each(array, lambda item: item.encode() if isinstance(item, str) else item)


def _each(array: np.ndarray[Any, Any], change: Callable[[Any], Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    changed: np.ndarray[Any, Any] = np.empty(array.size, object)
    changed[:] = [change(item) for item in array.reshape(-1).tolist()]
    return np.reshape(changed, array.shape)


def compare_outputs(expected: Arrays, found: Arrays) -> list[Checked]:
    """Compares two sets of outputs by name."""
    checks = []
    for name, array in expected.items():
        if name not in found:
            checks.append(Checked(name, float("nan"), equal=False))
            continue
        a, b = ArrayTensor(found[name]), ArrayTensor(array)
        exact = not a.dtype.is_floating and a.dtype.kind != "complex"
        difference = diff_tensors(name, a, b, rtol=0 if exact else RTOL, atol=0 if exact else ATOL)
        if difference is None:
            checks.append(Checked(name, _largest(a, b), equal=True))
        else:
            largest = float("nan") if difference.largest is None else difference.largest
            checks.append(Checked(name, largest, equal=False))
    return checks


def _largest(a: Tensor, b: Tensor) -> float:
    exact = diff_tensors("", a, b)
    return 0.0 if exact is None or exact.largest is None else exact.largest


def words_of(tables: Mapping[str, Table]) -> list[bytes]:
    """Some of the words that a model's tables know."""
    words = [word for table in tables.values() if table.keys.dtype.kind == "string" for word in table.arrays()[0][:100]]
    return list(dict.fromkeys(words))


def make_feeds(inputs: Mapping[str, ValueInfo], given: Arrays, words: Sequence[bytes] = ()) -> Arrays:
    """What to feed, by value: what is `given`, by public name or by value, and random arrays for the other `inputs`."""
    values = {info.value: info.value for info in inputs.values()} | {name: i.value for name, i in inputs.items()}
    strange = [name for name in given if name not in values]
    if strange:
        has = listing(inputs) or "none"
        raise UsageError(f"--feed {listing(strange)}", f"expected an input of the result, which has: {has}")
    chosen = {values[name]: array for name, array in given.items()}
    return chosen | random_feeds([info for info in inputs.values() if info.value not in chosen], words=words)


def random_feeds(inputs: Sequence[ValueInfo], *, seed: int = 0, words: Sequence[bytes] = ()) -> Arrays:
    """Random arrays for placeholders: normal floats, integers 0 and 1, and 2, 3, 3, ... for unknown sizes.

    Strings are `text` and, where the model knows any, its `words`.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    feeds: Arrays = {}
    for info in inputs:
        if info.shape.dims is None or info.dtype is None:
            problem = "expected an input of known type and rank, to make up values for it"
            raise UnsupportedError(info.value, problem, hint="--feed gives some")
        shape = [size if size >= 0 else (2 if axis == 0 else 3) for axis, size in enumerate(info.shape.dims)]
        if math.prod(shape) > _LARGEST:
            raise UnsupportedError(info.value, f"expected an input of at most {_LARGEST} elements, got {info.shape}")
        feeds[info.value] = _random(random, shape, info.dtype, info.value, [b"text", *words])
    return feeds


def _random(
    random: np.random.Generator, shape: list[int], dtype: DType, where: str, words: Sequence[bytes]
) -> np.ndarray[Any, Any]:
    import numpy as np

    if dtype.is_floating or dtype.kind == "complex":
        return random.standard_normal(shape).astype(dtype.numpy())
    if dtype.is_integer or dtype.kind == "boolean":
        return random.integers(0, 2, shape).astype(dtype.numpy())
    if dtype.kind == "string":
        known = np.empty(len(words), object)
        known[:] = words
        chosen: np.ndarray[Any, Any] = known[random.integers(0, len(words), shape)]
        return np.asarray(chosen, object)
    raise UnsupportedError(where, f"expected an input whose values can be made up, got one of type {dtype}")
