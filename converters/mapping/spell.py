"""A table as text again: TOML for people, plain data for JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tensorferry.formats.errors import UnsupportedError

from .patterns.hole import Hole
from .patterns.pattern import Pattern
from .rule import Rule
from .verbs.verb import EACH, JOIN, SPLIT, Verb

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def spelled_rule(rule: Rule) -> dict[str, Any]:
    """The rule as a table's file has it."""
    first = rule.sources[0]
    found: dict[str, Any] = {}
    joins, divides = lists(rule.verbs or ())
    if first.regex is not None:
        found["regex"] = first.source
    else:
        found["from"] = _one_or_many(rule.sources, joins and not rule.gathered)
    if rule.drop:
        found["drop"] = rule.drop
    else:
        known = [hole for pattern in rule.sources for hole in pattern.holes]
        found["to"] = _one_or_many(rule.targets, divides and not rule.dealt, known)
    if rule.verbs is None:
        found["do"] = rule.do
    elif rule.verbs:
        found["do"] = spelled_verbs(rule.verbs)
    if rule.where.spelled():
        found["where"] = rule.where.spelled()
    if rule.optional:
        found["optional"] = True
    return found


def spelled_verbs(verbs: Sequence[Verb]) -> Any:
    """One verb, or a list of them, as a table's file has it."""
    steps = [verb.name if verb.spelled() is True else {verb.name: verb.spelled()} for verb in verbs]
    return steps[0] if len(steps) == 1 else steps


def toml_table(rules: Sequence[Mapping[str, Any]], comments: Sequence[str] = (), notes: Sequence[str] = ()) -> str:
    """These rules as TOML, a line each with its note behind. UnsupportedError for names that TOML can't hold."""
    lines = [f"# {_printable(comment)}" for comment in comments]
    behind = [f"  # {_printable(note)}" for note in notes] or [""] * len(rules)
    written = (f"  {_toml(dict(rule))},{note}" for rule, note in zip(rules, behind, strict=True))
    return "\n".join([*lines, "rules = [", *written, "]"])


def lists(verbs: Sequence[Verb]) -> tuple[bool, bool]:
    """Whether what the verbs take, and what they give, are several tensors."""
    arities = [verb.arity for verb in verbs if verb.arity != EACH] or [EACH]
    return arities[0] == JOIN, arities[-1] == SPLIT


def _one_or_many(patterns: Sequence[Pattern], many: bool, known: Sequence[Hole] = ()) -> Any:
    texts = [pattern.spelled(known) for pattern in patterns]
    return texts if many or len(texts) > 1 else texts[0]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnsupportedError("TOML", f"can't hold the name {value!r}", hint="--json can") from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _toml(key)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
