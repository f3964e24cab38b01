"""Control totals as people and programs read them: a table, a page, CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from koppel.cli.words import counted, when

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.engine.totals import Totals
    from koppel.mapping.flow import Flow, SideName
    from koppel.sync.totals import Row, Sum

COLUMNS = (
    "period", "day", "measure", "vat", "method", "currency", "left_count", "left_amount", "right_count", "right_amount",
    "difference", "differs",
)  # fmt: skip


def human(told: Sequence[Totals], flow: Flow) -> Iterator[RenderableType]:
    """One table a period, then what it comes to."""
    from rich.text import Text

    from koppel.cli.render_plan import grid

    if not told:
        yield "No period of this flow was signed off yet: koppel totals FLOW --period 2026-10 --sign-off NAME"
    for one in told:
        table = grid(title=f"{flow.title}, {one.period.name}", lines=False)
        for heading in ("day", "what"):
            table.add_column(heading, overflow="fold")
        for heading in (flow.left.connection, flow.right.connection, "difference"):
            table.add_column(heading, justify="right", overflow="fold")
        for row in one.rows:
            style = "bold red" if row.differs else ""
            table.add_row(row.key.day, what(row), amount(row.left), amount(row.right), difference(row), style=style)
        if one.rows:
            yield table
        yield from (Text(line) for line in sums(one, flow))


def what(row: Row) -> str:
    """What is added up in a row."""
    parts = (row.key.measure, row.key.vat, row.key.method, row.key.currency)
    return ", ".join(part for part in parts if part)


def amount(side: Sum) -> str:
    """How many, and how much."""
    return f"{side.count} x" if side.amount is None else f"{side.count} x {side.amount}"


def difference(row: Row) -> str:
    """What the right has more than the left."""
    if not row.differs:
        return ""
    count = row.right.count - row.left.count
    more = (row.right.amount or Decimal(0)) - (row.left.amount or Decimal(0))
    return ", ".join([*([f"{count:+} x"] if count else []), *([f"{more:+}"] if more else [])])


def sums(one: Totals, flow: Flow) -> Iterator[str]:
    """A period in sentences."""
    ends: tuple[tuple[SideName, str], ...] = (("left", flow.left.connection), ("right", flow.right.connection))
    for side, name in ends:
        kept = f"{name}: {counted(one.records[side], 'record')} in {one.period.name}"
        extra = [f"{one.outside[side]} outside the flow"] if one.outside[side] else []
        extra += [f"{one.undated[side]} without a day, in no period"] if one.undated[side] else []
        yield f"{kept}{'; ' + ', '.join(extra) if extra else ''}."
    if flow.start:
        yield f"Nothing dated before {flow.start} is counted: that is where the flow starts."
    yield (
        "Both sides come to the same."
        if not one.different
        else f"{counted(one.different, 'total')} differ."
        if one.different > 1
        else "1 total differs."
    )
    if one.signed is not None:
        yield f"Signed off by {one.signed.by} on {when(one.signed.at)} (trail no. {one.signed.entry})."
    if one.changed:
        yield f"It has changed since it was signed off, in {counted(len(one.changed), 'total')}:"
        yield from (_change(then, now, flow) for then, now in one.changed)
    elif one.signed is not None:
        yield "Nothing has changed since."


def _change(then: Row | None, now: Row | None, flow: Flow) -> str:
    row = now or then
    assert row is not None
    was, is_ = (
        f"{flow.left.connection} {amount(one.left)}, {flow.right.connection} {amount(one.right)}" if one else "nothing"
        for one in (then, now)
    )
    return f"  {row.key.day} {what(row)}: was {was}; is {is_}"


def as_csv(told: Sequence[Totals]) -> Iterator[str]:
    """One line a total."""
    yield ",".join(COLUMNS) + "\r\n"
    for one in told:
        for row in one.rows:
            key, line = row.key, io.StringIO()
            more = (row.right.amount or Decimal(0)) - (row.left.amount or Decimal(0))
            cells = (
                one.period.name, key.day, key.measure, _text(key.vat), _text(key.method), key.currency, row.left.count,
                row.left.amount, row.right.count, row.right.amount, more, "yes" if row.differs else "no",
            )  # fmt: skip
            csv.writer(line).writerow(["" if cell is None else cell for cell in cells])
            yield line.getvalue()


def _text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "@", "+", "-", "\t")) else cell


def as_page(told: Sequence[Totals], flow: Flow) -> Iterator[str]:
    """A page to sign and keep: complete in itself, every value escaped."""
    from koppel.cli.page import page_head, whole_page

    title = f"Control totals: {flow.title}"
    about = f"Flow {flow.id}, {flow.left} and {flow.right}; added up {when(told[0].at) if told else 'never'}"
    different = sum(one.different for one in told)
    lead = f"{counted(different, 'total')} not the same on both sides." if different else "Both sides come to the same."
    top, bottom = whole_page(title, [page_head(title, about, lead), "\0"]).split("\0")
    yield top
    for one in told:
        yield f'<section class="{"ask" if one.different or one.changed else "link"}"><h2>{escape(one.period.name)}</h2>'
        yield f"<p>{'<br>'.join(escape(line) for line in sums(one, flow))}</p>"
        heads = ("Day", "What", flow.left.connection, flow.right.connection, "Difference")
        yield f"<table><thead><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr></thead><tbody>"
        for row in one.rows:
            cells = (what(row), amount(row.left), amount(row.right))
            cells_ = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            more = f"<td><ins>{escape(difference(row))}</ins></td>"
            yield f'<tr><th scope="row">{escape(row.key.day)}</th>{cells_}{more}</tr>\n'
        yield "</tbody></table></section>"
    yield bottom
