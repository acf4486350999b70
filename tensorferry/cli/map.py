"""`tensorferry map`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tensorferry.api import EMA_SUFFIX

from .options import EmaCommand, ema_option, json_option, print_json, scheme_option

if TYPE_CHECKING:
    from tensorferry.converters.mapping.inverse import Inverse
    from tensorferry.converters.mapping.table import Table


@click.group("map")
def map_() -> None:
    """Write, show, check and invert tables that say which tensors of a source give which of a result.

    A table is a file for `convert --map`: flat, {source name: target name}, or a list of rules in TOML, JSON or YAML:

    \b
    [[rules]]
    from = "encoder/layer_{n:int}/{part:query|key|value}/kernel"
    to = "encoder.{n}.{part:q|k|v}.weight"
    do = {transpose = [1, 0]}

    {n:int} is a number ({n+1} counts on), {part:a|b} one of these words, {name} text up to a slash, * and ** anything.
    `do` is a verb or a list of them: transpose, reshape, split, concat, stack, cast, tie, ...; `drop = "why"` in place
    of `to` leaves out. The first rule that matches a name takes it; every rule has to match something, and every weight
    to be taken by a rule.

    To begin:

    \b
    tensorferry inspect SRC                            the names, and whether a preset fits: --map bert
    tensorferry map show                               all presets; `map show bert` prints one
    tensorferry map draft SRC TARGET > table.toml      a first version, for a target or a list of its names
    tensorferry map check table.toml SRC --plan        what does not fit, or all that would be done
    tensorferry convert SRC DST --map table.toml       the conversion; --dry-run, --verify
    tensorferry map invert table.toml > back.toml      the way back

    docs/tables.md has the whole language.
    """


@map_.command()
@click.argument("table", required=False)
@json_option
def show(table: str | None, as_json: bool) -> None:
    """Print TABLE, a file or a preset, as SOURCE -> TARGET; without one, list the presets."""
    from tensorferry.converters.mapping.presets import preset_names, read_map, read_preset
    from tensorferry.converters.mapping.spell import spelled_rule
    from tensorferry.converters.mapping.table import Table
    from tensorferry.formats.errors import one_line

    if table is None:
        presets = {name: read_preset(name).description for name in preset_names()}
        return print_json(presets) if as_json else _lines([f"{name}  {text}" for name, text in presets.items()])
    found = read_map(table)
    if not isinstance(found, Table):
        return print_json(found) if as_json else _lines([f"{old} -> {new}" for old, new in found.items()])
    if as_json:
        rules = [spelled_rule(rule) for rule in found.rules]
        texts = {"title": found.title, "description": found.description, "note": found.note}
        return print_json({**texts, "rules": rules})
    if found.title or found.description:
        click.echo(one_line(": ".join(filter(None, [found.title, found.description]))))
    if found.note:
        click.echo(one_line(f"note: {found.note}"))
    return _lines([f"{rule.place}  {rule}{_doing(rule)}" for rule in found.rules])


@map_.command(cls=EmaCommand)
@click.argument("table")
@click.argument("src", required=False)
@click.option("--plan", is_flag=True, help="Print every tensor of the result: its sources, transforms, type and shape.")
@ema_option
@scheme_option
@json_option
def check(table: str, src: str | None, plan: bool, ema: str | None, scheme: str | None, as_json: bool) -> None:
    """Check TABLE by itself, or that it fits SRC: every rule matches, every weight is taken, all shapes fit.

    Nothing is read but names and shapes. With --plan or --json all that a conversion would do is printed, as by
    `convert --dry-run`.
    """
    from tensorferry.converters.jobs.check_map import check_map, plan_of
    from tensorferry.converters.mapping.inverse import invert_rules
    from tensorferry.converters.mapping.presets import read_map
    from tensorferry.converters.mapping.table import Table

    found = read_map(table)
    if src is None:
        if not isinstance(found, Table):
            return print_json({"names": len(found)}) if as_json else click.echo(f"{len(found)} names")
        back = invert_rules(found.rules)
        if as_json:
            return print_json({"rules": len(found.rules), "with_inverse": len(back.rules), "without": back.problems})
        return click.echo(f"{len(found.rules)} rules, {len(back.rules)} of them with an inverse")
    selection = check_map(found, src, ema, scheme)
    report = plan_of(selection, src)
    if as_json:
        told = report.to_dict()
        return print_json({key: told[key] for key in ("source", "tensors", "dropped", "notes")})
    for note in selection.notes:
        click.echo(note)
    if isinstance(found, Table):
        taken = {source for entry in selection.entries.values() for source in (entry.source, *entry.others)}
        click.echo(f"{len(found.rules)} rules make {len(selection.entries)} tensors of {len(taken)}")
    else:
        click.echo(f"{len(found)} of {len(selection.entries)} names are in the table, each once")
    return _lines(["", *report.plan_lines()]) if plan else None


@map_.command()
@click.argument("table")
@click.argument("src", required=False)
@click.option("--partial", is_flag=True, help="Leave out what has no inverse, and say so.")
@scheme_option
@json_option
def invert(table: str, src: str | None, partial: bool, scheme: str | None, as_json: bool) -> None:
    """Print the table that goes back. With SRC, what TABLE was made for, shapes need not be in the table.

    A table of rules gives TOML, or JSON with --json; a flat one gives JSON, {target: source}.
    """
    from tensorferry.converters.mapping.inverse import invert_rules
    from tensorferry.converters.mapping.presets import read_map
    from tensorferry.converters.mapping.spell import toml_table
    from tensorferry.converters.mapping.table import Table
    from tensorferry.converters.names.table import invert_table
    from tensorferry.formats.errors import NameMapError, of_many, one_line

    found = read_map(table)
    if not isinstance(found, Table):
        return print_json(invert_table(found, table))
    back = invert_rules(found.rules) if src is None else _invert_for(found, src, scheme)
    if back.problems and not partial:
        raise of_many(NameMapError, table, back.problems, "has no inverse: ", hint="--partial leaves that out")
    for problem in back.problems:
        click.echo(f"left out: {one_line(problem)}", err=True)
    for doubt in back.doubts:
        click.echo(f"note: {one_line(doubt)} (with SRC that is checked)", err=True)
    return print_json({"rules": back.rules}) if as_json else click.echo(toml_table(back.rules))


@map_.command()
@click.argument("src")
@click.argument("target")
@scheme_option
@json_option
def draft(src: str, target: str, scheme: str | None, as_json: bool) -> None:
    """Propose a table that makes TARGET of SRC, by values, shapes and names, and print it as TOML.

    TARGET is anything readable, or JSON: {name: shape}, the header of a safetensors file, or an index. Behind each rule
    stands how sure it is, from 0 to 1; read it, complete it, and `map check` it. Where TARGET holds the values too (a
    conversion by other means of the same checkpoint), little is left to guess. What has no target is dropped, with the
    reason, if all targets have their sources; else it is listed in comments, for one of those may be what is missing.
    """
    from tensorferry.converters.drafting.draft import draft_table
    from tensorferry.converters.drafting.wanted import read_wanted
    from tensorferry.converters.jobs.check_map import weights_of
    from tensorferry.converters.mapping.plan import told
    from tensorferry.converters.mapping.spell import toml_table

    source, wanted = weights_of(src, scheme), read_wanted(target)
    found = draft_table(source, wanted)
    if as_json:
        rules = zip(found.rules, found.confidence, found.notes, strict=True)
        return print_json(
            {
                "rules": [{**rule, "confidence": sure, "because": note} for rule, sure, note in rules],
                "confidence": found.overall,
                "sources_left": found.sources_left,
                "targets_left": found.targets_left,
            }
        )
    used = sum(len(link.sources) for link in found.links)
    met = sum(len(link.targets) for link in found.links)
    comments = [
        f"{met} of {len(wanted)} tensors are made of {used} of {len(source)} weights, {len(found.dropped)} are dropped",
        f"confidence {found.overall:.2f}, behind each rule its own and what it is based on; check before use",
    ]
    comments += [f"no target found for {told(name, source[name])}" for name in found.sources_left]
    comments += [f"no source found for {name} {_shape(wanted[name].shape)}" for name in found.targets_left]
    notes = [f"{sure:.2f} {note}" for sure, note in zip(found.confidence, found.notes, strict=True)]
    return click.echo(toml_table(found.rules, comments, notes))


@map_.command("variables-to-restore")
@click.argument("src")
@click.option("--suffix", default=EMA_SUFFIX, show_default=True, help="What the averages' names end in.")
def variables_to_restore(src: str, suffix: str) -> None:
    """Print what ExponentialMovingAverage.variables_to_restore() gives for SRC: {name in the checkpoint: variable}.

    From the graph's collections where SRC has a graph, else from the names in the checkpoint.
    """
    from tensorferry import api

    print_json(api.variables_to_restore(src, suffix=suffix))


def _lines(lines: list[str]) -> None:
    from tensorferry.formats.errors import one_line

    for line in lines:
        click.echo(one_line(line))


def _doing(rule: Any) -> str:
    verbs = ", ".join(map(str, rule.verbs)) if rule.verbs is not None else f"{rule.do}"
    conditions = [f"do {verbs}"] * bool(verbs) + [f"where {rule.where.spelled()}"] * bool(rule.where.spelled())
    return "".join(f"  [{text}]" for text in [*conditions, *["optional"] * rule.optional])


def _invert_for(table: Table, src: str, scheme: str | None) -> Inverse:
    from tensorferry.converters.jobs.check_map import weights_of
    from tensorferry.converters.mapping.inverse import invert_plan
    from tensorferry.converters.mapping.plan import make_plan

    tensors = weights_of(src, scheme, [table])
    plan = make_plan(table.rules, tensors)
    plan.check(table.path, tensors, allow_unmatched=False, allow_unused=False)
    return invert_plan(plan, tensors)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "of unknown shape" if shape is None else str(list(shape))
