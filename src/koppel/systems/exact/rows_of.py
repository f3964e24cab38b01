"""Rows of any resource as they come: a page, a listing to its end, a row with the whole of its collections."""

from __future__ import annotations

from typing import cast

from koppel.model.problem import Problem, RetryLater, SetupError, UsageError
from koppel.systems.exact import edm, wire
from koppel.systems.exact.settings import Settings
from koppel.systems.exact.wire import Unreadable
from koppel.systems.spi import Exchange, NoReply, Reply, Site

TRY_AGAIN = 60.0  # seconds; ours


def every_row(site: Site, link: str, kind: str) -> Exchange[tuple[wire.Row, ...]]:
    """A listing to its end, one page after the other. Raises UsageError, SetupError, RetryLater."""
    found: list[wire.Row] = []
    onward: str | None = link
    try:
        while onward is not None:
            page = rows((yield wire.get(wire.own_link(site.settings, onward), kind)))
            found += page.rows
            onward = page.next
    except Unreadable as error:
        raise failure(error.problem, site.as_of) from None
    return tuple(found)


def whole(settings: Settings, row: wire.Row, collections: tuple[str, ...], kind: str) -> Exchange[wire.Row]:
    """A row with every record of its collections: one that was cut at a page goes on at its own `__next`."""
    found = dict(row)
    for name in collections:
        inside: object = row.get(name)
        records = cast("list[object]", inside) if isinstance(inside, list) else []
        onward: object = None
        if isinstance(inside, dict):
            envelope = cast("dict[str, object]", inside)
            held = envelope.get("results")
            records = cast("list[object]", held) if isinstance(held, list) else []
            onward = envelope.get("__next")
        every = list(records)
        while isinstance(onward, str) and onward:
            page = rows((yield wire.get(wire.own_link(settings, onward), kind)))
            every += page.rows
            onward = page.next
        found[name] = cast("wire.Json", every)
    return found


def rows(reply: Reply) -> wire.Rows:
    """A page of rows, numbers digit for digit. Raises Unreadable."""
    if isinstance(reply, NoReply):
        raise Unreadable(Problem("no_reply", "Exact Online did not answer."))
    try:
        return wire.read_rows(reply, decode=edm.read_json)
    except Unreadable:
        if reply.status != 200:
            raise
        return wire.Rows((wire.read_entity(reply, decode=edm.read_json),))  # functions may show one record bare


def failure(problem: Problem, as_of: float) -> UsageError | SetupError | RetryLater:
    """How a question without a usable answer ends: what is wrong with it is said in the vendor's words."""
    said = problem.vendor_text or ""
    status = problem.status or 0
    if problem.code == "foreign_link":
        return SetupError(str(problem), remedy="Check the site of this connection.")
    if 400 <= status < 500 or (status == 500 and said):
        remedy = "The table and the account may differ: see --describe." if "No property" in said else ""
        return UsageError(
            f"Exact Online refuses the question: {said or f'it answers {status}'}.".replace("..", "."), remedy=remedy
        )
    return RetryLater(str(problem), at=as_of + TRY_AGAIN)
