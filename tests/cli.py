"""Runs the command line in this process, as a user would."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from tensorferry.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result of a command that was given --json."""
        return json.loads(self.out)


def ferry(*words: object) -> Outcome:
    """`tensorferry WORDS`."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    return Outcome(status, out.getvalue(), err.getvalue())


def ferried(*words: object) -> Outcome:
    """The same, for a command that has to succeed."""
    outcome = ferry(*words)
    assert outcome.status == 0, outcome
    return outcome


def refused(*words: object) -> str:
    """The one line that a command gives for bad input, with exit status 2 and nothing on stdout."""
    outcome = ferry(*words)
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")
