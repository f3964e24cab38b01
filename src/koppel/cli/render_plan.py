"""Plans and runs on a terminal: tables that fit 80 columns, every step with its values, its reason and its price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from koppel.cli.rows import Row, plan_rows, run_rows
from koppel.cli.words import STEPS, counted, euros, tally, when

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.engine.flow import Result
    from koppel.engine.plan import Plan
    from koppel.engine.quota import Quota
    from koppel.mapping.flow import Flow
    from koppel.store.trail import Recorded

STYLES = {
    "create": "green",
    "update": "cyan",
    "archive": "magenta",
    "link": "blue",
    "unlink": "magenta",
    "ask": "yellow",
    "park": "red",
    "refuse": "red",
}


def grid(*, lines: bool = True, title: str = "") -> Table:
    """An empty table in the house's manner: rules between rows, no boxes, as wide as the terminal."""
    return Table(
        title=title or None, title_justify="left", title_style="bold", box=box.HORIZONTALS, show_lines=lines,
        expand=True, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip


def render_plan(plan: Plan, *, flow: Flow | None, title: str, next_step: str) -> Iterator[RenderableType]:
    """The whole plan; totals, price and what to do next come last."""
    rows = plan_rows(plan, flow)
    if rows:
        yield steps_table(rows, title=f"Plan of {plan.flow}: {title}")
        yield ""
    yield from (Text(line) for line in plan_sums(plan))
    yield from (Text(line, "bold" if line.endswith(":") else "") for line in first_sums(plan))
    if plan.guard is not None:
        yield Text(f"A brake holds this plan: {plan.guard.reason}.", "bold red")
        yield Text(f"When that is right, let it pass: {plan.guard.allow}")
    if not rows:
        yield "There is nothing to do."
    elif next_step:
        yield Text(f"Next: {next_step}", "bold")


def first_sums(plan: Plan) -> Iterator[str]:
    """What other flows would make before, because records of this plan name it."""
    if plan.first:
        yield "First, because it is named here:"
    for first in plan.first:
        yield from (f"  {line.lstrip()}" for line in first_sums(first) if not line.endswith(":"))
        held = f"; held by a brake: {first.guard.reason}" if first.guard else ""
        labels = ", ".join(p.step.label for p in first.steps if p.step.kind == "create")
        yield f"  {first.flow}: {tally(first.counts)}{f' ({labels})' if labels else ''}{held}"


def plan_sums(plan: Plan) -> Iterator[str]:
    """What the plan comes to, in sentences."""
    unchanged = f"; {plan.unchanged} unchanged" if plan.unchanged else ""
    yield f"In all: {tally(plan.counts)}{unchanged}."
    writes = ", ".join(f"{counted(calls, 'call')} to {name}" for name, calls in plan.calls.items())
    yield f"Writing it costs {writes}." if writes else "Nothing would be written."
    yield from (quota_said(each, plan.made_at) for each in plan.quotas)
    for name, calls in plan.read_by_id.items():
        yield f"Making this plan took {counted(calls, 'call')} to {name} for values that are not kept here."
    for item in plan.look_ups:
        cost = f": {euros(item.euros)} ({item.source})" if item.euros and float(item.euros) else ""
        cost = f": {counted(item.tokens, 'token')} ({item.source})" if item.tokens else cost
        yield f"Making this plan took {counted(item.count, 'look-up')} ({item.system} {item.kind}){cost}."


def quota_said(quota: Quota, made_at: float) -> str:
    """What the plan takes of one allowance, and until when it has to wait for it."""
    of = f"{quota.connection} allows {quota.limit:,} calls a {quota.window}, {quota.left:,} of them now"
    if quota.done_at is None:
        return f"{of}; {quota.after:,} are left after this."
    day = when(quota.done_at)
    at = day[11:] if day[:10] == when(made_at)[:10] else day
    return f"{of}: {quota.calls:,} take until about {at}."


def steps_table(rows: Sequence[Row], *, title: str = "", done: bool = False) -> Table:
    """One row per step."""
    table = grid(title=title)
    table.add_column("what", no_wrap=True)
    table.add_column("record, change and reason", ratio=1, overflow="fold")
    if not done:
        table.add_column("calls", justify="right", no_wrap=True)
    for row in rows:
        word = STEPS[row.kind] if done else row.kind
        cells = [Text(word, STYLES[row.kind]), details(row)]
        table.add_row(*cells, *([] if done else [str(row.calls) if row.calls else ""]))
    return table


def details(row: Row) -> Text:
    """The record, where it is, what changes on it and why."""
    text = Text(row.label, "bold")
    for where in row.where:
        text.append(f"\n{where}", "dim not bold")
    for line in row.lines:
        text.append("\n")
        if line.text:
            text.append(f"- {line.text}" if line.choice else line.text, "not bold")
        if line.reason:
            text.append(f" ({line.reason})" if line.text else line.reason, "italic not bold")
    return text


def render_result(result: Result, entries: Sequence[Recorded], *, flow: Flow | None) -> Iterator[RenderableType]:
    """What a run did, what is left for a person, and when it goes on."""
    if result.state == "waiting":
        yield Text(f"{result.plan.flow}: {result.message}")
        return
    rows = run_rows(result.plan, entries, flow) if result.state != "stopped" or entries else ()
    if rows:
        yield steps_table(rows, title=f"Run {result.run} of {result.plan.flow}", done=True)
        yield ""
    first, *others = result_sums(result)
    yield Text(first, "bold" if result.state == "done" else "bold red")
    yield from (Text(line) for line in others)
    for planned in result.moved:
        label = planned.step.label or planned.step.left or ""
        yield Text(f"Not done, it changed since the plan was made: {planned.step.kind} {label}", "yellow")
    if result.moved:
        again = f"undo {result.plan.undo_of}" if result.plan.undo_of else f"plan {result.plan.flow}"
        yield Text(f"Next: koppel {again} -o plan.json", "bold")


def result_sums(result: Result) -> Iterator[str]:
    """What a run comes to, in sentences."""
    counts = result.counts
    unchanged = f"; {counts['unchanged']} unchanged" if counts.get("unchanged") else ""
    yield f"Run {result.run} of {result.plan.flow} is {result.state}: {tally(counts, done=True)}{unchanged}."
    if result.message:
        yield result.message
    calls = ", ".join(f"{name} {number}" for name, number in sorted(result.calls.items()))
    yield f"Calls: {calls or 'none'}. Streams read: {result.streams}."
    if counts.get("read_whole"):
        yield f"{counted(counts['read_whole'], 'side')} read whole, from the start: what was not shown there is gone."
    found = {key: number for key, number in result.recovered.items() if number}
    if found:
        one = found == {"parked": 1}
        words = {
            "landed": "had arrived",
            "dropped": "had not and were decided anew",
            "parked": f"{'waits' if one else 'wait'} for a person",
        }
        told = ", ".join(f"{number} {words.get(key, key)}" for key, number in found.items())
        yield f"Writes in doubt, asked about: {told}."
    if result.already:
        yield f"{counted(result.already, 'step')} of the plan had been done before."
    if counts.get("unknown"):
        it = "it" if counts["unknown"] == 1 else "them"
        yield f"{counted(counts['unknown'], 'reply', 'replies')} lost: what became of {it} is asked before anything else is done."
    if result.next_at:
        yield f"It goes on by itself at the next run after {when(result.next_at)}."
    if counts.get("park"):
        yield f"{counts['park']} could not be done: koppel parked"
    if counts.get("ask"):
        yield f"{counts['ask']} {'waits' if counts['ask'] == 1 else 'wait'} for your decision: koppel asks"
