"""Organisations behind debtors: found by KVK number, whether a debtor or not, and what a create writes over of them.

A new debtor takes the one organisation that carries its number (`MatchOga` 0), and Profit then writes our values over what
stood there. A plan shows that before it happens; the write is bound to what the plan showed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from koppel.formats import InvalidNumber, kvk
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.afas import codec, filters, wire
from koppel.systems.afas.debtors import Wire
from koppel.systems.afas.filters import Filter, Operator, where
from koppel.systems.afas.settings import Settings
from koppel.systems.afas.wire import Row, Unreadable
from koppel.systems.spi import Exchange, Site, TakeOver

AT_ONCE = 40  # numbers in one filter; the query's length may split them further
ROWS = 1000  # a page
NOTHING = "nothing"  # what a create expects that makes an organisation of its own

# Canonical path -> wire field, column of the connector of organisations. [OAS Profit_OrgPer]
_SHOWN = {
    "name": ("Nm", "Name"),
    "kvk": ("CcNr", "ChOfCommNr"),
    "phone": ("TeNr", "TelWork"),
    "email": ("EmAd", "MailWork"),
    "KnOrganisation/SeNm": ("SeNm", "SearchName"),
    "KnOrganisation/HoPa": ("HoPa", "Homepage"),
    "KnOrganisation/Re": ("Re", "Note"),
}


# --- by number ----------------------------------------------------------------------------------------------------


def plain_number(shown: str) -> str:
    """What two spellings of one KVK number share."""
    try:
        return kvk.read(shown)[0]
    except InvalidNumber:
        return "".join(shown.split())


def number_filter(number: str) -> Filter:
    """Looks for a KVK number in the spellings people store it in: whole, and with its leading zero lost."""
    plain = plain_number(number)
    spellings = (plain, plain.lstrip("0")) if plain.startswith("0") else (plain,)
    return tuple(group for spelling in spellings for group in where("ChOfCommNr", Operator.EQUALS, spelling))


def with_numbers(site: Site, numbers: Iterable[str]) -> Exchange[dict[str, Row | Problem | None]]:
    """The one organisation with each KVK number: None when there is none, a Problem when it cannot be said which or whether."""
    found: dict[str, Row | Problem | None] = {}
    wanted: list[tuple[str, Filter]] = []
    for number in dict.fromkeys(numbers):
        try:
            looked_for = number_filter(number)
            filters.query(looked_for, order=("BcCo",), take=ROWS)
            wanted.append((number, looked_for))
        except ValueError as error:
            found[number] = Problem("cannot_ask", f"AFAS cannot be asked for this KVK number: {error}.", "kvk")
    for asked, alternatives in filters.chunks(wanted, _fits, most=AT_ONCE):
        try:
            rows = yield from _rows(site, alternatives)
        except Unreadable as error:
            text = f"Whether AFAS has an organisation with this KVK number could not be asked ({error.problem.text})."
            retry = msgspec.structs.replace(
                error.problem, code="cannot_ask", text=text, retry_at=site.as_of + wire.TRY_AGAIN
            )
            found |= dict.fromkeys(asked, retry)
        else:
            found |= {number: _the_one(rows, number) for number in asked}
    return found


def _fits(wanted: Filter) -> bool:
    try:
        filters.query(wanted, order=("BcCo",), skip=10_000_000, take=ROWS)
    except ValueError:
        return False
    return True


def _rows(site: Site, wanted: Filter) -> Exchange[list[Row]]:
    """Every row a filter selects. Raises Unreadable."""
    settings: Settings = site.settings
    rows: list[Row] = []
    while True:
        asked = filters.query(wanted, order=("BcCo",), skip=len(rows), take=ROWS)
        page = wire.read_rows((yield wire.get(settings, settings.organisations, asked))).rows
        rows += page
        if len(page) < ROWS:
            return rows


def _the_one(rows: Iterable[Row], number: str) -> Row | Problem | None:
    plain = plain_number(number)
    mine = [row for row in rows if plain_number(codec.text(row.get("ChOfCommNr")) or "") == plain]
    found = {str(row["BcCo"]): row for row in mine if codec.text(row.get("BcCo"))}
    if len(found) > 1:
        text = (
            f"{len(found)} organisations in Profit have this KVK number ({', '.join(sorted(found))}), so nobody can tell whose "
            "debtor this is. Merge them, or make the debtor in Profit yourself. / Meerdere organisaties in Profit hebben dit "
            "KvK-nummer; voeg ze samen of maak de debiteur zelf aan."
        )
        return Problem("ambiguous_organisation", text, "CcNr")
    return next(iter(found.values()), None)


# --- what is written over -----------------------------------------------------------------------------------------


def taken_over(row: Row | None, parts: Wire) -> TakeOver:
    """What a create of these parts writes over: of this organisation, or of nothing."""
    if row is None:
        return TakeOver(NOTHING)
    number = str(row["BcCo"])
    return TakeOver(f"{number} {_digest(row, parts)}", f"organisation {number}", _before(row, parts))


def _before(row: Row, parts: Wire) -> dict[str, Json]:
    """What an organisation shows, in our words, of the fields that are written over it (law 3)."""
    before: dict[str, Json] = {
        path: codec.text(row[column])
        for path, (name, column) in _SHOWN.items()
        if name in parts.organisation and column in row
    }
    if parts.address and any(line in row for line in codec.LINES):
        shown, _ = codec.read_address(row)
        before["address"] = msgspec.to_builtins(shown) if shown else None
    return before


def _digest(row: Mapping[str, Json], parts: Wire) -> str:
    """The columns that are written over, as they came: an edit of them is noticed, an edit beside them does no harm."""
    columns = [column for name, column in _SHOWN.values() if name in parts.organisation]
    columns += codec.LINES if parts.address else ()
    shown = [[column, codec.text(row.get(column))] for column in columns]
    return blake2b(msgspec.json.encode(shown), digest_size=8).hexdigest()
