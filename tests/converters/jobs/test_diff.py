import numpy as np
import pytest

from tensorferry.converters.difference import Difference
from tensorferry.converters.jobs.diff import diff
from tensorferry.converters.load import load_checkpoint
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import FIXTURES


def tensor(values, dtype=np.float32):
    return ArrayTensor(np.array(values, dtype))


class TestNames:
    def test_all_four_sorts(self):
        a = {"same": tensor(1), "other": tensor(1), "a": tensor(1)}
        b = {"b": tensor(1), "other": tensor(3), "same": tensor(1)}
        found = diff(a, b)
        assert (found.equal, found.only_a, found.only_b) == (["same"], ["a"], ["b"])
        assert found.different == [Difference("other", "1 of 1 differ", 2.0)]
        assert not found.same
        assert found.to_dict() == {
            "same": False,
            "equal": ["same"],
            "different": [{"name": "other", "reason": "1 of 1 differ", "largest": 2.0}],
            "only_a": ["a"],
            "only_b": ["b"],
        }

    @pytest.mark.parametrize("side", ["a", "b"])
    def test_a_name_more_is_a_difference(self, side):
        more, less = {"x": tensor(1), "y": tensor(1)}, {"x": tensor(1)}
        assert not (diff(more, less) if side == "a" else diff(less, more)).same

    def test_the_name_of_a_value_is_that_of_its_variable(self):
        a = {"v": tensor(1), "w:0": tensor(2), "both": tensor(3), "both:0": tensor(4), "u:1": tensor(5)}
        b = {"v:0": tensor(1), "w": tensor(3), "both:0": tensor(4), "u": tensor(5)}
        found = diff(a, b)
        assert (found.equal, found.only_a, found.only_b) == (["v", "both:0"], ["both", "u:1"], ["u"])
        assert [d.name for d in found.different] == ["w:0"]

    def test_a_cast_within_a_tolerance(self):
        wide = {"x": tensor([1.0, 1 / 3]), "i": tensor([1], np.int32)}
        narrow = {"x": tensor([1.0, 1 / 3], np.float16), "i": tensor([1], np.int64)}
        assert [d.reason for d in diff(wide, narrow).different] == ["float32 against float16", "int32 against int64"]
        found = diff(wide, narrow, rtol=1e-3)
        assert (found.equal, [d.name for d in found.different]) == (["x"], ["i"])
        (difference, _) = diff(wide, narrow, rtol=1e-5).different
        assert difference.reason == "1 of 2 differ"
        assert difference.largest == pytest.approx(abs(float(np.float16(1 / 3)) - float(np.float32(1 / 3))), rel=1e-12)

    def test_nothing_is_the_same_as_nothing(self):
        assert diff({}, {}).same

    def test_two_steps_of_a_run(self):
        fixture = FIXTURES["latest"]
        found = diff(load_checkpoint(fixture.file("model.ckpt-10")), load_checkpoint(fixture.file("model.ckpt-30")))
        assert [d.name for d in found.different] == ["global_step", "v"]
        assert [d.largest for d in found.different] == [20.0, 0.5]
