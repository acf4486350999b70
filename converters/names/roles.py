"""Roles: which entries of a checkpoint are weights, and which accompany them.

    weight         everything that no rule below names; it is what a conversion is for
    ema            the moving average of a variable     v/ExponentialMovingAverage
    optimizer      an optimizer's slot or setting       v/Adam_1, v/adam_m, v_slot_vr, training/Adam/v/m, and in TF2
                                                        v/.OPTIMIZER_SLOT/opt/m, opt/_variables/7, opt/learning_rate
    step           how far training is                  global_step, beta1_power, opt/iter, save_counter
    bookkeeping    of the format, or of an average      _CHECKPOINTABLE_OBJECT_GRAPH, v/ExponentialMovingAverage/biased

No name alone makes an entry more than a weight, for a layer may be called `Adam` and a weight `Momentum`:

1. A slot, or an average, needs its variable in the checkpoint, of the same shape (Adafactor's: without one of the last
   two axes). An average whose variable is missing is the only copy of it, and a weight.
2. An optimizer that was made within a scope puts the scope in front, `train/v/Adam`. That counts if nothing but slots,
   averages and steps is in the scope, or if the variable is in it too (`net/net/v/Adam`).
3. Settings and steps have to be scalars. A Keras optimizer's need its `iter`, and slots or other settings beside it.

What has an object graph is judged by that. The slots of an optimizer by a name of the user's own
(`AdamOptimizer(name="mine")`) are not recognised, and stay weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tensorferry.formats.object_graph import GRAPH_KEY, ObjectTensor

from .selection import EMA_SUFFIX

WEIGHT, EMA, OPTIMIZER, STEP, BOOKKEEPING = "weight", "ema", "optimizer", "step", "bookkeeping"
KINDS = (WEIGHT, EMA, OPTIMIZER, STEP, BOOKKEEPING)

SLOTS = frozenset({
    "Adadelta", "Adafactor", "Adagrad", "AdagradDA", "Adam", "AdaMax", "AdamW", "AddSignOptimizer", "Ftrl", "LAMB",
    "LARS", "LARSOptimizer", "LAMBOptimizer", "Momentum", "MomentumW", "Nadam", "PowerSignOptimizer", "ProximalAdagrad",
    "RMSProp",
})  # fmt: skip
"""What TF1's optimizers call their slots, with `_1`, `_2` for further ones: their own names."""

_BY_NAME = frozenset({"adam_m", "adam_v", "lamb_m", "lamb_v"})
"""Slots that BERT's optimizers and their kin make by name."""
_MESH_SLOT = re.compile(r"(.+)_slot_(?:vr|vc|v|m)", re.DOTALL)
_NUMBERED = re.compile(r"_\d+\Z")
_KERAS_SLOTS = frozenset({
    "m", "v", "vhat", "momentum", "rms", "mg", "accumulator", "accum_grad", "accum_var", "linear",
})  # fmt: skip
_KERAS_SETTINGS = frozenset({"beta_1", "beta_2", "decay", "learning_rate", "momentum", "rho", "epsilon"})
_ITERATIONS = frozenset({"iter", "_iterations", "iterations"})
_POWERS = frozenset({"beta1_power", "beta2_power"})
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_SLOT_MARK = "/.OPTIMIZER_SLOT/"
_LISTED = re.compile(r"(.+)/_variables/\d+", re.DOTALL)

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """What an entry is for; `variable` is the entry that it accompanies, where there is one and it is known."""

    kind: str
    variable: str = ""


def roles(
    names: Iterable[str],
    *,
    shapes: Mapping[str, Shape] | None = None,
    objects: Mapping[str, ObjectTensor] | None = None,
    ema: str = EMA_SUFFIX,
) -> dict[str, Role]:
    """The role of each of a checkpoint's `names` (its own keys), in their order.

    With `shapes`, rules about shapes hold too. `objects` is what `object_tensors` told of a TF2 checkpoint, `ema` the
    suffix of averages.
    """
    labels = _Labels(list(names), shapes or {}, ema)
    if GRAPH_KEY in labels.known:
        labels.found[GRAPH_KEY] = Role(BOOKKEEPING)
    labels.by_objects(objects or {})
    labels.by_keys()
    labels.by_names()
    labels.by_keras()
    labels.by_scopes()
    return {name: labels.found.get(name, Role(WEIGHT)) for name in labels.names}


class _Labels:
    """The roles found so far, by rules that never change what an earlier one said."""

    def __init__(self, names: list[str], shapes: Mapping[str, Shape], ema: str) -> None:
        self.names = names
        self.known = frozenset(names)
        self.shapes = shapes
        self.ema = ema
        self.found: dict[str, Role] = {}

    def put(self, name: str, kind: str, variable: str = "") -> None:
        self.found.setdefault(name, Role(kind, variable))

    def by_objects(self, objects: Mapping[str, ObjectTensor]) -> None:
        for name in self.known.intersection(objects):
            found = objects[name]
            if found.slot:
                self.put(name, OPTIMIZER, found.variable)
            elif found.optimizer is not None:
                last = found.object_name.rpartition("/")[2]
                self.put(name, STEP if last in _ITERATIONS or last in _POWERS else OPTIMIZER)
            elif found.attribute == "OBJECT_CONFIG_JSON":
                self.put(name, BOOKKEEPING)

    def by_keys(self) -> None:
        """TF2's keys, by what other keys there are."""
        bases = {name.removesuffix(_VALUE) for name in self.names if name.endswith(_VALUE)}
        optimizers = {base.rpartition("/")[0] for base in bases if base.rpartition("/")[2] in _ITERATIONS}
        for base in bases:
            name, (parent, _, last) = base + _VALUE, base.rpartition("/")
            variable, mark, slot = base.rpartition(_SLOT_MARK)
            listed = _LISTED.fullmatch(base)
            if mark and variable in bases:
                self.put(name, OPTIMIZER, variable + _VALUE)
                optimizers.add(slot.rpartition("/")[0])
            elif listed and f"{listed[1]}/_iterations" in bases:
                self.put(name, OPTIMIZER)
            elif base in ("save_counter", "global_step") and self.is_scalar(name):
                self.put(name, STEP)
        for base in bases:
            name, (parent, _, last) = base + _VALUE, base.rpartition("/")
            if parent in optimizers and self.is_scalar(name):
                beside = last.startswith("_") or any(f"{parent}/{s}" in bases for s in ("learning_rate", "decay"))
                if last in _POWERS or (last in _ITERATIONS and beside):
                    self.put(name, STEP)
                elif last.lstrip("_") in _KERAS_SETTINGS and beside:
                    self.put(name, OPTIMIZER)

    def by_names(self) -> None:
        """TF1's names that say whose slot or average they are."""
        for name in self.names:
            if self.is_step(name):
                self.put(name, STEP)
            for variable, kind in self.claims(name):
                if variable in self.known and self.fits(name, variable):
                    self.put(name, kind, variable)

    def by_keras(self) -> None:
        """A Keras optimizer's variables in a TF1 graph: OPTIMIZER/iter, OPTIMIZER/VARIABLE/m."""
        optimizers = {name[: -len("/iter")] for name in self.names if name.endswith("/iter") and self.is_scalar(name)}
        if not optimizers:
            return
        for name in self.names:
            for scope in _scopes(name):
                if scope not in optimizers:
                    continue
                variable, _, last = name[len(scope) + 1 :].rpartition("/")
                if last in _KERAS_SLOTS and variable in self.known and self.fits(name, variable):
                    self.put(name, OPTIMIZER, variable)
                elif not variable and last in _KERAS_SETTINGS and self.is_scalar(name):
                    self.put(name, OPTIMIZER)
                if name in self.found:
                    self.put(f"{scope}/iter", STEP)

    def by_scopes(self) -> None:
        """Slots and averages with the scope in front in which they were made."""
        claimed: dict[str, tuple[str, str, str]] = {}
        for name in self.names:
            if name not in self.found:
                for scope in _scopes(name):
                    for variable, kind in self.claims(name[len(scope) + 1 :]):
                        if variable in self.known and self.fits(name, variable):
                            claimed.setdefault(name, (scope, variable, kind))
        scopes = {scope for scope, _, _ in claimed.values()}
        others: Counter[str] = Counter()
        for name in self.names:
            kind = self.found[name].kind if name in self.found else WEIGHT
            if name not in claimed and kind == WEIGHT:
                others.update(scopes.intersection(_scopes(name)))
        for name, (scope, variable, kind) in claimed.items():
            if not others[scope] or variable.startswith(f"{scope}/"):
                self.put(name, kind, variable)

    def claims(self, name: str) -> Iterator[tuple[str, str]]:
        """(variable, role) that a name would mean if there is that variable."""
        variable, slash, last = name.rpartition("/")
        mesh = _MESH_SLOT.fullmatch(name)
        if mesh:
            yield mesh[1], OPTIMIZER
        if not (slash and variable):
            return
        if _NUMBERED.sub("", last) in SLOTS or last in _BY_NAME:
            yield variable, OPTIMIZER
        elif last == self.ema:
            yield variable, EMA
        elif last in ("biased", "local_step"):
            yield variable, BOOKKEEPING

    def fits(self, name: str, variable: str) -> bool:
        """Whether an entry has a shape that a companion of `variable` may have."""
        parent, _, last = name.rpartition("/")
        if last in ("biased", "local_step") and not {f"{parent}/biased", f"{parent}/local_step"} <= self.known:
            return False
        if last == "local_step":
            return self.is_scalar(name)
        if name not in self.shapes or variable not in self.shapes:
            return True
        shape, whole = tuple(self.shapes[name]), tuple(self.shapes[variable])
        if _NUMBERED.sub("", last) == "Adafactor" or _MESH_SLOT.fullmatch(name):
            return shape in (whole, whole[:-1], whole[:-2] + whole[-1:])
        return shape == whole

    def is_step(self, name: str) -> bool:
        last = name.rpartition("/")[2]
        return (last == "global_step" or _NUMBERED.sub("", last) in _POWERS) and self.is_scalar(name)

    def is_scalar(self, name: str) -> bool:
        """Whether an entry is a scalar, as far as one knows."""
        return tuple(self.shapes.get(name, ())) == ()


def _scopes(name: str) -> Iterator[str]:
    """`a`, `a/b` of `a/b/c`: the scopes that a name may be in, the outermost first."""
    at = name.find("/")
    while at >= 0:
        if at:
            yield name[:at]
        at = name.find("/", at + 1)
