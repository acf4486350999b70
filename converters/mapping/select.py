"""From tables to a selection: averages, --include and --exclude first, then the rules over what is left.

Tables of rules, flat tables and single renames make one list of rules: the renames first, then each table in its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from tensorferry.formats.errors import UnsupportedError, listing
from tensorferry.formats.tensor import Tensor

from ..names.selection import Entry, Selection, select_names
from ..names.table import expand_scopes, path_of
from .patterns.pattern import exact_pattern
from .plan import Plan, make_plan
from .recognition import recognise
from .rule import Rule
from .shipped import shipped_file
from .table import Table
from .verbs.verb import SPLIT

UNUSED = "no rule of the table takes it"


def rules_of(
    tables: Sequence[Table | Mapping[str, str]], rename: Mapping[str, str], names: Sequence[str]
) -> list[Rule]:
    """All rules in order; `names` are those of the source that scopes of flat tables stand for."""
    rules = [_exact(old, new, f"--rename {old}") for old, new in rename.items()]
    for table in tables:
        if isinstance(table, Table):
            rules += table.rules
        else:
            place = PurePath(path_of(table)).name or "table"
            rules += [_exact(old, new, place) for old, new in expand_scopes(table, names).items()]
    return rules


def select_by_tables(
    tensors: Mapping[str, Tensor],
    tables: Sequence[Table | Mapping[str, str]],
    *,
    rename: Mapping[str, str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    ema: str | None = None,
    surplus: Mapping[str, str] | None = None,
    allow_unmatched: bool = False,
    allow_unused: bool = False,
) -> Selection:
    """The tensors of a result as the tables make them. NameMapError lists all that does not fit."""
    rules = rules_of(tables, rename or {}, [name for name in tensors if name not in (surplus or {})])
    asked = {pattern.exact for rule in rules if rule.is_exact for pattern in rule.sources}
    left_out = {name: why for name, why in (surplus or {}).items() if name not in asked}
    selection = select_names(tensors, include=include, exclude=exclude, ema=ema, surplus=left_out)
    named = {name: entry.tensor for name, entry in selection.entries.items()}
    plan = make_plan(rules, named, selection.dropped)
    where = ", ".join(dict.fromkeys(table.path for table in tables if isinstance(table, Table))) or "table"
    hint = ""
    if plan.problems or plan.unmatched or plan.unused:
        brought = [name for name in plan.unused if name in left_out] if include and not allow_unused else []
        hint = "; ".join(_about_roles({name: left_out[name] for name in brought}) + _about_presets(tables, tensors))
    plan.check(where, named, allow_unmatched=allow_unmatched, allow_unused=allow_unused, hint=hint)
    done = _applied(plan, selection)
    done.notes += [f"{table.path}: {table.note}" for table in tables if isinstance(table, Table) and table.note]
    return done


def refuse_transforms(tables: Sequence[Table | Mapping[str, str]], what: str) -> None:
    """UnsupportedError that lists the rules which do more than give names."""
    rules = [rule for table in tables if isinstance(table, Table) for rule in table.rules]
    odd = [f"{rule.place} ({rule})" for rule in rules if not (rule.drop or _only_names(rule))]
    if odd:
        problem = f"can only rename for {what}, got rules that do more: {listing(odd)}"
        raise UnsupportedError("a table", problem, hint="convert the weights to a checkpoint with it first")


def _only_names(rule: Rule) -> bool:
    """Whether each result is one tensor as it was."""
    return rule.verbs is not None and all(verb.name == "tie" and verb.arity == SPLIT for verb in rule.verbs)


def _about_roles(brought: Mapping[str, str]) -> list[str]:
    """What to say of names that only --include has brought, by why they are left out without it."""
    told = listing((f"{name} ({why.partition(' (')[0]})" for name, why in brought.items()), 3)
    return [f"--include brings what is no weight, --exclude leaves it out: {told}"] if brought else []


def _about_presets(tables: Sequence[Table | Mapping[str, str]], tensors: Mapping[str, Tensor]) -> list[str]:
    """What the source looks like, where it was given another preset."""
    given = {table.path for table in tables if isinstance(table, Table)}
    if not any(shipped_file(path) for path in given):
        return []
    found = recognise(tensors)
    return [] if given & {each.name for each in found} else [f"looks like {e.says}: {e.options}" for e in found[:3]]


def _exact(old: str, new: str, place: str) -> Rule:
    return Rule(place, (exact_pattern(old),), (exact_pattern(new),))


def _applied(plan: Plan, selection: Selection) -> Selection:
    """The selection with what the plan makes of its entries."""
    entries = selection.entries
    done = Selection(
        entries={entry.target: entry for entry in _entries(plan, entries)},
        dropped=dict(selection.dropped),
        notes=list(selection.notes),
    )
    for name, reason in [*plan.dropped.items(), *((name, UNUSED) for name in plan.unused)]:
        done.dropped[entries[name].source] = reason
        if name in done.dropped:
            done.dropped[name] = reason
    used = {name for move in plan.moves for name in move.sources}
    done.unaveraged = [name for name in selection.unaveraged if name in used]
    done.notes += [f"allowed: {problem}" for problem in plan.unmatched]
    return done


def _entries(plan: Plan, entries: Mapping[str, Entry]) -> Iterator[Entry]:
    for move in plan.moves:
        first, *others = (entries[name] for name in move.sources)
        averaged = first.averaged or any(entry.averaged for entry in others)
        for target, tensor in move.targets.items():
            yield Entry(target, first.source, tensor, averaged, tuple(entry.source for entry in others), move.how)
