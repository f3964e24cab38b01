"""What is wrong with a flow file, as data: where it stands, what it is, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class FlowProblem(msgspec.Struct, frozen=True):
    """One finding. An `error` keeps the flow from running; a `warning` is said and the flow runs.

    `code` is ours and stable; `message` is for people; `suggestion` is what to write instead, or empty. Lines and columns
    count from one.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    suggestion: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint} [{self.code}]"


def has_errors(problems: Iterable[FlowProblem]) -> bool:
    """Whether one of them keeps the flow from running."""
    return any(problem.severity == "error" for problem in problems)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A suggestion for a word that is not among the known ones: the closest, or the whole list when it is short.

    >>> did_you_mean("ownr", ("owner", "empty"))
    "did you mean 'owner'?"
    >>> did_you_mean("xyz", ("left", "right"))
    'one of: left, right'
    """
    options = sorted(set(known))
    by_lower = {option.lower(): option for option in options}
    close = get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{by_lower[close[0]]}'?"
    return f"one of: {', '.join(options)}" if 0 < len(options) <= 12 else ""
