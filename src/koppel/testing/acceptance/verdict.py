"""What playing a script found: plain values, so that a table, JSON and a test see the same."""

from __future__ import annotations

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: what, what had to be, what was, and whether that is right. `ok` None: not applicable."""

    what: str
    expected: str
    seen: str
    ok: bool | None


class StepReport(msgspec.Struct, frozen=True):
    """One step: `line` of the file, in words, and its checks."""

    number: int
    line: int
    words: str
    at: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return all(check.ok is not False for check in self.checks)


class Report(msgspec.Struct, frozen=True):
    """One file, played."""

    file: str
    title: str
    about: str
    digest: str
    version: str
    steps: tuple[StepReport, ...]
    broke_off: str = ""

    @property
    def ok(self) -> bool:
        """Whether the file was played to its end and nothing was wrong."""
        return not self.broke_off and all(step.ok for step in self.steps)
