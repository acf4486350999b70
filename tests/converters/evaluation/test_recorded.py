"""Control flow, functions, lists, tables and state: every recorded answer of real TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate

from .recorded import RECORDED, Run, runs

RUNS = list(runs())


def test_answers_are_recorded() -> None:
    assert [path.name for path in RECORDED] == ["tensorflow1.pb", "tensorflow2.pb"]
    assert len({(run.path, run.case) for run in RUNS}) >= 38


@pytest.mark.parametrize("run", RUNS, ids=[f"{run.path.stem}-{run.case}-{run.number}" for run in RUNS])
def test_agrees_with_tensorflow(run: Run) -> None:
    answers = run.answers
    assert answers
    found = evaluate(run.graph, list(answers), run.feeds)
    for name, expected in answers.items():
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected, rtol=2e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[name], expected)
