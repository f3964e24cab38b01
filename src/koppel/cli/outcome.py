"""Exit codes of runs and plans: 0 when nothing is left for a person, else 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koppel.cli.terminal import DONE, LEFT_OVER

if TYPE_CHECKING:
    from koppel.engine.flow import Result
    from koppel.engine.plan import Plan


def run_code(result: Result) -> int:
    """1 when something was parked or asked, moved since the plan, is in doubt, or the run did not reach its end. A
    run that waits for its window leaves nothing for anybody."""
    left = any(result.counts.get(kind) for kind in ("park", "ask", "unknown", "moved"))
    return LEFT_OVER if left or result.moved or result.state not in ("done", "waiting") else DONE


def plan_code(plan: Plan, *, expect_empty: bool = False) -> int:
    """1 when a brake holds the plan, or when it was expected to be empty and is not."""
    steps = any(planned.step.kind != "agree" for planned in plan.steps)
    return LEFT_OVER if plan.guard is not None or (expect_empty and steps) else DONE
