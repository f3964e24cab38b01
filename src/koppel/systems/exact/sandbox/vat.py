"""VAT as the books reckon it: from a code, on or out of an amount, rounded per line or per document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Refused, label

CODES = "vat/VATCodes"


@dataclass(frozen=True, slots=True)
class Taxed:
    """An amount taken apart; `code` is empty where no VAT applies."""

    code: Row
    net: Decimal
    vat: Decimal

    @property
    def gross(self) -> Decimal:
        """Both together."""
        return self.net + self.vat


def code_of(desk: Desk, code: str | None) -> Row:
    """A VAT code, empty for none. Raises Refused for one that is unknown or blocked."""
    if not (code or "").strip():
        return {}
    found = desk.one(CODES, "Code", code)
    if found is None or found.get("IsBlocked"):
        raise Refused(500, f"Ongeldig: {label('VATCode')}")
    return found


def rate(code: Row) -> Decimal:
    """The fraction that is charged: nought for codes that only register a base."""
    return exact(code.get("Percentage")) if code.get("Type") in {"E", "I"} else ZERO


def taxed(code: Row, amount: Decimal) -> Taxed:
    """An amount as it was entered: VAT comes on top, or stands in it where the code says so."""
    amount, part = cents(amount), rate(code)
    if code.get("Type") == "I":
        vat = cents(amount * part / (1 + part))
        return Taxed(code, amount - vat, vat)
    return Taxed(code, amount, cents(amount * part))


def rounded(parts: Sequence[Taxed], how: str) -> list[Taxed]:
    """The lines of a document with `how` = line as they are; with `document` the VAT of each code is that of its sum.

    The difference of cents stands in the last line of the code. What the customer pays for prices including VAT stays.
    """
    if how == "line":
        return list(parts)
    found = list(parts)
    for code in {part.code.get("Code"): part.code for part in parts}.values():
        places = [place for place, part in enumerate(found) if part.code.get("Code") == code.get("Code")]
        including = code.get("Type") == "I"
        whole = taxed(code, sum((found[place].gross if including else found[place].net for place in places), ZERO))
        difference = whole.vat - sum((found[place].vat for place in places), ZERO)
        last = found[places[-1]]
        net = last.net - difference if including else last.net
        found[places[-1]] = Taxed(code, net, last.vat + difference)
    return found
