"""roles: what TensorFlow's own optimizers and averages made, and names that only look as if they had."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.names.roles import BOOKKEEPING, EMA, KINDS, OPTIMIZER, STEP, WEIGHT, Role, roles
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.object_graph import GRAPH_KEY, ObjectTensor, object_tensors
from tests.fixture import FIXTURES, HOME

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
CASES: dict[str, list[dict[str, Any]]] = json.loads((HOME / "roles" / "roles.json").read_text("utf-8"))["cases"]
OWN_NAME = "a name of one's own"


def kinds(names: Any, **options: Any) -> dict[str, str]:
    return {name: role.kind for name, role in roles(names, **options).items()}


# --- what TensorFlow made ---------------------------------------------------------------------------


@pytest.mark.parametrize("with_shapes", [True, False])
@pytest.mark.parametrize("case", [case for case in CASES if case != OWN_NAME])
def test_every_entry_has_the_role_that_the_live_graph_gives_it(case: str, with_shapes: bool) -> None:
    rows = CASES[case]
    shapes = {row["name"]: tuple(row["shape"]) for row in rows} if with_shapes else None
    expected = {row["name"]: Role(row["role"], row["variable"] or "") for row in rows}
    assert roles([row["name"] for row in rows], shapes=shapes) == expected


def test_there_are_cases_of_every_kind() -> None:
    assert {row["role"] for rows in CASES.values() for row in rows} == set(KINDS)
    assert len(CASES) >= 30


def test_slots_of_an_optimizer_by_an_unknown_name_stay_weights() -> None:
    rows = CASES[OWN_NAME]
    assert {row["name"].rpartition("/")[2] for row in rows if row["role"] == OPTIMIZER} == {"MyOwn", "MyOwn_1"}
    found = kinds(row["name"] for row in rows)
    for row in rows:
        assert found[row["name"]] == (WEIGHT if row["role"] == OPTIMIZER else row["role"])


def test_the_checkpoints_of_training_scripts() -> None:
    """`variables_to_restore` of the training script tells what is averaged."""
    fixture = FIXTURES["mnist"]
    found = roles(read_bundle(fixture.prefix))
    restored = fixture.variables_to_restore()
    assert restored is not None
    averages = {key: variable for key, variable in restored.items() if key != variable}
    assert {name: role.variable for name, role in found.items() if role.kind == EMA} == averages
    for variable in averages.values():
        assert found[variable] == Role(WEIGHT)
        assert found[f"{variable}/Adam"] == found[f"{variable}/Adam_1"] == Role(OPTIMIZER, variable)
    steps = {name for name, role in found.items() if role.kind == STEP}
    assert steps == {"beta1_power", "beta2_power", "global_step"}


OBJECTS = sorted(name for name in FIXTURES if name.startswith("objects_"))


@pytest.mark.parametrize("with_objects", [True, False])
@pytest.mark.parametrize("name", OBJECTS)
def test_tf2_checkpoints(name: str, with_objects: bool) -> None:
    fixture = FIXTURES[name]
    bundle = read_bundle(fixture.prefix)
    shapes = {key: tensor.shape for key, tensor in bundle.items()}
    found = roles(bundle, shapes=shapes, objects=object_tensors(bundle, "") if with_objects else None)
    slots, own = fixture.about["slots"], {f"optimizer/{n}" for n in OPTIMIZERS_OWN}
    assert list(found) == list(bundle)
    for key, role in found.items():
        base = key.removesuffix(VALUE)
        if key in slots:
            assert role.kind == OPTIMIZER
            assert role.variable in ([slots[key][1]] if with_objects else [slots[key][1], ""])
        elif base in own:
            assert role == Role(own_kind(base))
        else:
            assert role == Role(BOOKKEEPING if key == GRAPH_KEY else STEP if base == "save_counter" else WEIGHT), key


OPTIMIZERS_OWN = (
    "_iterations", "_learning_rate", "iter", "beta_1", "beta_2", "decay", "learning_rate", "beta1_power", "beta2_power",
)  # fmt: skip


def own_kind(base: str) -> str:
    return STEP if base.rpartition("/")[2] in ("_iterations", "iter", "beta1_power", "beta2_power") else OPTIMIZER


# --- names that only look as if ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["v/Momentum"],
        ["v/Adam", "v/Adam_1"],
        ["Adam", "Adam/Adam_x", "w"],
        ["Momentum", "/Momentum"],
        ["v/ExponentialMovingAverage"],
        ["v", "v/ExponentialMovingAverage_1"],
        ["v", "v/adam_m_1", "v/m", "v/v"],
        ["v", "v/biased"],
        ["v", "v/local_step"],
        ["v_slot_vr", "w"],
        ["v", "v_slot_x"],
        ["net/iter"],
        ["net/iter", "net/learning_rate_schedule", "v", "net/v/kernel"],
        ["my_global_step", "global_step/kernel"],
        ["v", "v/AdamWhatever", "v/adam"],
        ["save_counter"],
        ["_CHECKPOINTABLE"],
        [""],
    ],
)
def test_names_alone_are_weights(names: list[str]) -> None:
    assert set(kinds(names).values()) == {WEIGHT}


@pytest.mark.parametrize(
    "names",
    [
        ["v/.OPTIMIZER_SLOT/opt/m"],
        ["net/_variables/0"],
        ["net/iter"],
        ["net/learning_rate", "net/beta_1"],
        ["net/beta1_power"],
        ["net/save_counter"],
        ["net/global_step"],
        ["step"],
    ],
)
def test_tf2_keys_alone_are_weights(names: list[str]) -> None:
    assert set(kinds(name + VALUE for name in names).values()) == {WEIGHT}


def test_the_step_that_the_model_gardens_trainer_saves() -> None:
    """The optimizer's own, under a shorter path."""
    names = ["global_step", "optimizer/learning_rate", "model/v", "model/v/.OPTIMIZER_SLOT/optimizer/m"]
    found = kinds(name + VALUE for name in names)
    assert found["global_step" + VALUE] == STEP
    assert found["model/v" + VALUE] == WEIGHT


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("v/Adam", (3, 2)),
        ("v/Adam", ()),
        ("v/ExponentialMovingAverage", (2,)),
        ("v/adam_m", (2, 3, 1)),
        ("v/Adafactor", (6,)),
        ("v_slot_vc", (1, 2)),
        ("global_step", (1,)),
        ("beta1_power", (2, 3)),
        ("opt/v/m", (3,)),
        ("opt/learning_rate", (2,)),
    ],
)
def test_entries_of_another_shape_are_weights(name: str, shape: tuple[int, ...]) -> None:
    shapes = {"v": (2, 3), "opt/iter": (), "opt/decay": (), name: shape}
    found = kinds(shapes, shapes=shapes)
    assert found[name] == WEIGHT
    assert found["opt/decay"] == OPTIMIZER


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 2), (4, 3)])
@pytest.mark.parametrize("name", ["v/Adafactor", "v/Adafactor_1", "v_slot_vr"])
def test_adafactor_may_leave_an_axis_out(name: str, shape: tuple[int, ...]) -> None:
    assert roles(["v", name], shapes={"v": (4, 2, 3), name: shape})[name] == Role(OPTIMIZER, "v")


def test_a_scope_in_front_counts_if_nothing_else_is_in_it() -> None:
    names = ["v", "w", "train/v/Adam", "train/w/Adam", "train/beta1_power"]
    assert roles(names)["train/v/Adam"] == Role(OPTIMIZER, "v")
    found = kinds([*names, "train/kernel"])
    assert [found[name] for name in names] == [WEIGHT, WEIGHT, WEIGHT, WEIGHT, STEP]


def test_a_scope_in_front_counts_if_the_variable_is_in_it_too() -> None:
    found = roles(["net/v", "net/net/v/Adam", "net/other/Momentum", "other"])
    assert found["net/net/v/Adam"] == Role(OPTIMIZER, "net/v")
    assert found["net/other/Momentum"] == Role(WEIGHT)


def test_the_nearest_variable_counts() -> None:
    assert roles(["v", "a/v", "a/v/Adam"])["a/v/Adam"] == Role(OPTIMIZER, "a/v")


def test_an_average_of_a_chosen_suffix() -> None:
    assert roles(["v", "v/ema", "v/ExponentialMovingAverage"], ema="ema") == {
        "v": Role(WEIGHT),
        "v/ema": Role(EMA, "v"),
        "v/ExponentialMovingAverage": Role(WEIGHT),
    }


def test_an_average_without_its_variable_is_all_there_is_of_it() -> None:
    assert kinds(["v/ExponentialMovingAverage", "v/Adam"]) == {"v/ExponentialMovingAverage": WEIGHT, "v/Adam": WEIGHT}


def test_a_keras_optimizer_without_slots_is_known_by_its_settings() -> None:
    found = kinds(["SGD/iter", "SGD/decay", "SGD/learning_rate", "SGD/momentum", "SGD/kernel"])
    assert list(found.values()) == [STEP, OPTIMIZER, OPTIMIZER, OPTIMIZER, WEIGHT]
    names = [f"opt/{name}{VALUE}" for name in ("iter", "decay", "learning_rate", "momentum", "kernel")]
    assert list(kinds(names).values()) == [STEP, OPTIMIZER, OPTIMIZER, OPTIMIZER, WEIGHT]


def test_a_configuration_is_bookkeeping() -> None:
    key = "layer/.ATTRIBUTES/OBJECT_CONFIG_JSON"
    objects = {key: ObjectTensor(key, "", ("layer",), "OBJECT_CONFIG_JSON")}
    assert kinds([key], objects=objects) == {key: BOOKKEEPING}


# --- laws -------------------------------------------------------------------------------------------

PARTS = st.sampled_from([
    "v", "w", "net", "Adam", "Adam_1", "Momentum", "m", "iter", "beta1_power", "ExponentialMovingAverage", "biased",
    "local_step", "v_slot_vr", "global_step", ".OPTIMIZER_SLOT", "opt", "_variables", "0", "_iterations", "",
])  # fmt: skip
NAMES = st.builds(
    lambda parts, tf2: "/".join(parts) + (VALUE if tf2 else ""), st.lists(PARTS, max_size=5), st.booleans()
)


@given(names=st.lists(NAMES, unique=True, max_size=15))
def test_whatever_accompanies_a_variable_has_it(names: list[str]) -> None:
    found = roles(names)
    assert list(found) == names
    assert roles(reversed(names)) == found
    for name, role in found.items():
        assert role.kind in KINDS
        assert role.variable in ("", *found)
        assert not name or role.variable != name
        if role.kind == EMA:
            assert role.variable
        if not name.endswith(VALUE) and role.kind == OPTIMIZER and "iter" not in {n.rpartition("/")[2] for n in names}:
            assert role.variable


@pytest.mark.parametrize("name", ["{}/Adam_1", "a/b/c/{}/Adam", "opt/{}/m"])
def test_sixty_thousand_names_take_seconds_at_most(name: str) -> None:
    names = ["opt/iter"]
    for index in range(30_000):
        names += [f"layer{index}/kernel", name.format(f"layer{index}/kernel")]
    start = time.process_time()
    assert sum(role.kind == OPTIMIZER for role in roles(names).values()) == 30_000
    assert time.process_time() - start < 4


def test_it_needs_no_numpy() -> None:
    code = (
        "import sys; from tensorferry.converters.names.roles import roles; roles(['v']); print('numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
