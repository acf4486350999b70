"""What a preset does with its fixture, found again from the two ends alone."""

from __future__ import annotations

from functools import cache

import pytest

from tensorferry.converters.drafting.draft import Draft, draft_table
from tensorferry.converters.drafting.link import Wanted
from tensorferry.converters.jobs.convert_weights import SURPLUS
from tensorferry.converters.jobs.options import Options
from tensorferry.converters.mapping.naming import named_for
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.rule import read_rule
from tensorferry.converters.names.roles import WEIGHT
from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tests.preset_fixture import PRESETS, PresetFixture


@cache
def ends(fixture: PresetFixture) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """The weights of a checkpoint, what its preset makes of them, and by how many rules."""
    table = read_preset(fixture.about["preset"])
    named = named_for([table], detect(fixture.prefix), "key" if "--names" in fixture.options else None)
    surplus = {name: SURPLUS[role] for name, role in named.roles.items() if role != WEIGHT}
    ema = "ExponentialMovingAverage" if "--ema" in fixture.options else None
    source = Options(ema=ema).select(named.tensors, surplus).tensors
    made = Options(tables=[table], ema=ema).select(named.tensors, surplus).tensors
    target = {name: ArrayTensor(tensor.numpy(), tensor.dtype) for name, tensor in made.items()}
    return source, target, len(table.rules)


def gives(draft: Draft, source: dict[str, Tensor], target: dict[str, Tensor]) -> bool:
    """Whether the rules, run over the source, give the target bit for bit and account for all."""
    plan = make_plan([read_rule(rule, "draft", {}) for rule in draft.rules], source)
    found = {name: tensor for move in plan.moves for name, tensor in move.targets.items()}
    return (
        not plan.all_problems(source, allow_unmatched=False, allow_unused=False)
        and found.keys() == target.keys()
        and all((found[n].dtype, found[n].shape) == (t.dtype, t.shape) for n, t in target.items())
        and all(found[n].tobytes() == t.tobytes() for n, t in target.items())
    )


@pytest.mark.parametrize("fixture", PRESETS.values(), ids=repr)
def test_by_values_the_draft_gives_what_the_preset_gives(fixture: PresetFixture) -> None:
    source, target, rules = ends(fixture)
    draft = draft_table(source, {name: Wanted(tensor.shape, tensor) for name, tensor in target.items()})
    assert gives(draft, source, target)
    assert len(draft.rules) <= 1.2 * rules + 3


def test_by_names_it_does_for_most() -> None:
    """Of names and shapes alone; the rest is told by a confidence below one half."""
    done = 0
    for fixture in PRESETS.values():
        source, target, _ = ends(fixture)
        draft = draft_table(source, {name: Wanted(tensor.shape) for name, tensor in target.items()})
        right = gives(draft, source, target)
        done += right
        assert right or min(draft.confidence) < 0.5
    assert done >= 0.8 * len(PRESETS)
