"""The document that would take another one back: a proposal for a person, never sent by itself.

Amounts are negated, debit and credit change places. Lines are rounded to cents, half up; what the lines' sum then lacks to the
document's own total (the cents of a split) is taken by the last line, as long as it is no more than rounding can make (B10).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from koppel.model.values import Json

CENT = Decimal("0.01")
TOLERANCE = Decimal("0.05")
_NEGATED = ("quantity", "amount")


def correction(entity: str, values: Mapping[str, Json]) -> dict[str, Json]:
    """The correcting document of what was made: an invoice's credit note, an order's reversal, a journal entry's counter-entry.
    Plain JSON, amounts as text."""
    lines = [dict(line) for line in values.get("lines") or () if isinstance(line, Mapping)]
    kept = {key: value for key, value in values.items() if key not in ("lines", "number", "total", "total_vat")}
    if entity == "journal_entry":
        return _described(kept, values) | {"lines": [_turned(line) for line in lines]}
    made: dict[str, Json] = kept | ({"credits": values["number"]} if values.get("number") else {})
    totals = {
        key: _text(-amount) for key in ("total", "total_vat") if (amount := _decimal(values.get(key))) is not None
    }
    return made | totals | {"lines": _negated(lines, _net(values))}


def _described(kept: dict[str, Json], values: Mapping[str, Json]) -> dict[str, Json]:
    number = values.get("number")
    return kept | ({"description": f"correction of {number}"} if number else {})


def _net(values: Mapping[str, Json]) -> Decimal | None:
    """The document's total without VAT, when it says both."""
    total, vat = _decimal(values.get("total")), _decimal(values.get("total_vat"))
    return None if total is None or vat is None else total - vat


def _negated(lines: list[dict[str, Json]], net: Decimal | None) -> list[dict[str, Json]]:
    made: list[dict[str, Json]] = []
    for line in lines:
        turned = {
            key: _text(-amount if key == "quantity" else _cents(-amount))
            for key in _NEGATED
            if (amount := _decimal(line.get(key))) is not None
        }
        made.append(line | turned)
    amounts = [_decimal(line.get("amount")) for line in made]
    if net is not None and made and all(amount is not None for amount in amounts):
        lacking = _cents(-net) - sum((amount for amount in amounts if amount is not None), Decimal(0))
        last = amounts[-1]
        if last is not None and lacking and abs(lacking) <= TOLERANCE:
            made[-1] = made[-1] | {"amount": _text(last + lacking)}
    return made


def _turned(line: dict[str, Json]) -> dict[str, Json]:
    """Debit becomes credit, and the other way round."""
    sides = {"debit": line.get("credit"), "credit": line.get("debit")}
    rest = {key: value for key, value in line.items() if key not in sides}
    return rest | {key: _text(amount) for key, value in sides.items() if (amount := _decimal(value)) is not None}


def _cents(amount: Decimal) -> Decimal:
    sign = Decimal(-1) if amount < 0 else Decimal(1)
    return sign * abs(amount).quantize(CENT, rounding=ROUND_HALF_UP)


def _decimal(value: Json) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _text(amount: Decimal) -> str:
    return str(amount + 0)  # never "-0"
