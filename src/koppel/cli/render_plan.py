"""A plan, and what became of it, as tables that fit 80 columns: every step with its values, its reason and its price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from koppel.cli.words import counted, euros, field_name, shown, tally

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.engine.flow import Result
    from koppel.engine.plan import Plan, Planned

STYLES = {"create": "green", "update": "cyan", "archive": "magenta", "link": "blue", "unlink": "magenta", "ask": "yellow", "park": "red", "refuse": "red"}
ORDER = ("create", "link", "update", "archive", "unlink", "ask", "park", "refuse")


def plan_steps(plan: Plan) -> tuple[Planned, ...]:
    """The steps worth showing, in the order people read them: what is only agreed upon is no news."""
    steps = [planned for planned in plan.steps if planned.step.kind in ORDER]
    return tuple(sorted(steps, key=lambda planned: ORDER.index(planned.step.kind)))


def render_plan(plan: Plan, *, title: str, next_step: str) -> Iterator[RenderableType]:
    """The whole plan; totals, price and what to do next come last."""
    steps = plan_steps(plan)
    if steps:
        yield steps_table(steps, title=f"Plan of {plan.flow}: {title}")
        yield ""
    yield from totals(plan)
    if plan.guard is not None:
        yield Text(f"A brake holds this plan: {plan.guard.reason}.", "bold red")
        yield Text(f"When that is right, allow it: --allow {plan.guard.override}")
    if not steps:
        yield "There is nothing to do."
    elif next_step:
        yield Text(f"Next: {next_step}", "bold")


def totals(plan: Plan) -> Iterator[RenderableType]:
    """What the plan comes to."""
    unchanged = f"; {plan.unchanged} unchanged" if plan.unchanged else ""
    yield f"In all: {tally(plan.counts)}{unchanged}."
    writes = ", ".join(f"{counted(calls, 'call')} to {name}" for name, calls in plan.calls.items())
    yield f"Writing it costs {writes}." if writes else "Nothing would be written."
    for item in plan.look_ups:
        cost = f": {euros(item.euros)} ({item.source})" if item.euros and float(item.euros) else ""
        yield f"Making this plan took {counted(item.count, 'look-up')} ({item.system} {item.kind}){cost}."


def steps_table(steps: Sequence[Planned], *, title: str = "") -> Table:
    """One row per step."""
    table = Table(title=title or None, title_justify="left", title_style="bold", show_lines=True, expand=True)
    table.add_column("what", no_wrap=True)
    table.add_column("record", ratio=3, overflow="fold")
    table.add_column("what changes, and why", ratio=7, overflow="fold")
    table.add_column("calls", justify="right", no_wrap=True)
    for planned in steps:
        kind = planned.step.kind
        calls = str(planned.calls) if planned.calls else ""
        table.add_row(Text(kind, STYLES[kind]), Text("\n".join(about(planned))), details(planned), calls)
    return table


def about(planned: Planned) -> list[str]:
    """Which record: its name and the ids on both sides."""
    step = planned.step
    ids = [part for part in (step.left, step.right) if part and part != step.label]
    return [step.label, *ids] if step.label else ids


def details(planned: Planned) -> Text:
    """What changes on it and why, a line each."""
    step, text = planned.step, Text()
    lines: list[tuple[str, str]] = []
    for key, value in step.values.items():
        if step.kind == "create":
            lines.append((f"{field_name(key)}: {shown(value)}", ""))
        else:
            change = f"{field_name(key)}: {shown(step.before.get(key))} → {shown(value)}"
            lines.append((change, step.because.get(key, "")))
    if step.problem is not None:
        lines.append((str(step.problem), step.because.get(step.field, "")))
    if step.because.get(""):
        lines.append(("", step.because[""]))
    lines += [(f"choice: {choice_words(choice)}", "") for choice in step.choices]
    for number, (line, reason) in enumerate(lines):
        text.append("\n" if number else "")
        text.append(line)
        if reason:
            text.append(f"{' ' if line else ''}({reason})", "dim")
    return text


ANSWERS = {
    "left": "take the left value",
    "right": "take the right value",
    "leave": "leave it as it is",
    "create": "create a new record",
    "skip": "leave this record out",
    "unlink": "unlink: the records no longer follow each other",
    "archive": "archive the other record",
    "restore": "make the missing record again",
}


def choice_words(choice: dict[str, object]) -> str:
    """One choice of a question, in words."""
    answer = str(choice.get("answer", ""))
    if "label" in choice:
        by = choice.get("by")
        evidence = f" (same {shown(by)})" if by else ""
        return f"link with {choice['label']}{evidence}, {answer}"
    words = ANSWERS.get(answer, answer)
    if "value" in choice:
        words += f": {shown(choice['value'])}"
    return f"{words}; successor {choice['successor']}" if choice.get("successor") else words


def render_result(result: Result, *, flow: str) -> Iterator[RenderableType]:
    """What a run did, what is left for a person, and when it goes on."""
    steps = plan_steps(result.plan)
    if steps and result.state != "stopped":
        yield steps_table(steps, title=f"Run {result.run} of {flow}")
        yield ""
    yield from result_lines(result, flow=flow)


def result_lines(result: Result, *, flow: str) -> Iterator[RenderableType]:
    """The sums of a run."""
    counts = result.counts
    verdict = {"done": "done", "stopped": "stopped", "failed": "failed"}.get(result.state, result.state)
    unchanged = f"; {counts['unchanged']} unchanged" if counts.get("unchanged") else ""
    yield Text(f"Run {result.run} of {flow} is {verdict}: {tally(counts)}{unchanged}.", "bold" if result.state == "done" else "bold red")
    if result.message:
        yield result.message
    calls = ", ".join(f"{name} {number}" for name, number in sorted(result.calls.items()))
    yield f"Calls: {calls or 'none'}. Streams read: {result.streams}."
    found = {key: number for key, number in result.recovered.items() if number}
    if found:
        words = {"landed": "had arrived", "dropped": "had not, and were decided anew", "parked": "wait for a person"}
        yield "Writes of an earlier run in doubt: " + ", ".join(f"{number} {words.get(key, key)}" for key, number in found.items()) + "."
    if result.already:
        yield f"{counted(result.already, 'step')} had been done before."
    for planned in result.moved:
        yield Text(f"Not done, because it changed since the plan was made: {planned.step.kind} {', '.join(about(planned))}", "yellow")
    if counts.get("unknown"):
        yield f"{counted(counts['unknown'], 'write')} without an answer: what became of it is asked before anything else is done."
    if counts.get("park"):
        yield f"Parked: {counts['park']}. See: koppel parked"
    if counts.get("ask"):
        yield f"Waiting for your decision: {counts['ask']}. See: koppel asks"
