"""Acceptance: files of steps a buyer can read, played against made-up vendors on this machine, with a table to sign.

`python -m koppel.testing.acceptance FILE…` plays them. The format is told in docs/guides/acceptance.md.
"""

from koppel.testing.acceptance.script import Script, read_script
from koppel.testing.acceptance.verdict import Check, Report, StepReport

__all__ = ["Check", "Report", "Script", "StepReport", "read_script"]
