"""Quotations: open (25) until they are accepted (50), rejected (5) or reviewed and closed (6). [enums]

Accepting makes nothing further here: what the vendor's `Action` stands for is not told.
"""

from __future__ import annotations

from typing import Any

from koppel.systems.exact.sandbox import selling, vat
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

QUOTATIONS, LINES = "crm/Quotations", "crm/QuotationLines"
REJECTED, REVIEWED, OPEN, PRINTED, ACCEPTED = 5, 6, 25, 40, 50
_WORDS = {REJECTED: "Afgewezen", REVIEWED: "Herzien", OPEN: "Open", PRINTED: "Afgedrukt", ACCEPTED: "Geaccepteerd"}


def _adding(desk: Desk, draft: Draft) -> None:
    values = draft.values
    selling.currency(desk, values)
    for name in ("InvoiceAccount", "DeliveryAccount"):
        values[name] = values.get(name) or values["OrderAccount"]
    values["QuotationDate"] = values.get("QuotationDate") or desk.today
    values["QuotationNumber"] = values.get("QuotationNumber") or desk.books.next_number("quotation", 1)
    values |= {"Status": OPEN, "StatusDescription": _WORDS[OPEN], "VersionNumber": 1}
    parts = [_line(desk, values, line.values) for line in draft.lines["QuotationLines"]]
    values |= _totals(desk, parts)


def _line(desk: Desk, head: Row, values: dict[str, Any]) -> vat.Taxed:
    found = selling.complete(desk, {"InvoiceTo": head.get("InvoiceAccount")}, values)
    values.pop("GLAccount", None)
    values |= {"QuotationNumber": head["QuotationNumber"], "VersionNumber": head["VersionNumber"]}
    return found


def _totals(desk: Desk, parts: list[vat.Taxed]) -> Row:
    shown = selling.totals(parts, desk.books.vat_rounding)
    return {name: shown[name] for name in ("AmountFC", "AmountDC", "VATAmountFC")}


def _changing(_desk: Desk, row: Row, _values: dict[str, Any]) -> None:
    if row["Status"] not in {OPEN, PRINTED}:
        raise Refused(500, "Niet toegestaan: de offerte is afgesloten")  # wording unverified


def _changed(desk: Desk, row: Row) -> None:
    parts = [selling.of_line(desk, line) for line in desk.having(LINES, "QuotationID", row["QuotationID"])]
    desk.books.records(QUOTATIONS).change(row["QuotationID"], _totals(desk, parts), None)


def _adding_line(desk: Desk, draft: Draft) -> None:
    row = desk.get(QUOTATIONS, draft.values.get("QuotationID"))
    if row is not None:
        numbers = [line["LineNumber"] for line in desk.having(LINES, "QuotationID", row["QuotationID"])]
        draft.values["LineNumber"] = max(numbers, default=0) + 1
        _line(desk, row, draft.values)


def _changing_line(desk: Desk, row: Row, values: dict[str, Any]) -> None:
    kept = {**row, **values}
    if ("UnitPrice" in values or "Discount" in values) and "NetPrice" not in values:
        kept["NetPrice"] = None
    _line(desk, desk.get(QUOTATIONS, row["QuotationID"]) or {}, kept)
    values |= {name: kept[name] for name in kept if kept[name] != row.get(name)}


def _turn(status: int, allowed: frozenset[int]) -> Behaviour:
    def act(desk: Desk, draft: Draft) -> Row:
        row = desk.get(QUOTATIONS, draft.values["QuotationID"])
        if row is None:
            raise Refused(500, f"Ongeldig: {label('Offerte')}")
        if row["Status"] not in allowed:
            raise Refused(500, f"Niet toegestaan: de offerte is {_WORDS[row['Status']].lower()}")
        desk.change(QUOTATIONS, row["QuotationID"], {"Status": status, "StatusDescription": _WORDS[status]})
        return {**draft.values, "SuccessMessage": f"Offerte {row['QuotationNumber']}: {_WORDS[status].lower()}"}

    return Behaviour(acts=act)


_LIVE = frozenset({OPEN, PRINTED})
QUOTATION = Behaviour(
    adding=_adding, changing=_changing, changed=_changed, removing=lambda desk, row: _changing(desk, row, {})
)
LINE = Behaviour(adding=_adding_line, changing=_changing_line)
ACCEPT = _turn(ACCEPTED, _LIVE)
REJECT = _turn(REJECTED, _LIVE)
REOPEN = _turn(OPEN, frozenset({REJECTED, ACCEPTED}))
REVIEW = _turn(REVIEWED, _LIVE)
PRINT = _turn(PRINTED, _LIVE)
