"""What an answer of VIES means: a Company of which only the VAT number is known, confirmed or not."""

from __future__ import annotations

from koppel.formats import rsin
from koppel.model.company import Company
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.systems.spi import Decoded, Item
from koppel.systems.vies.wire import KEPT

WITHHELD = "---"  # a member state may keep name and address to itself [clients]


def decode_answer(item: Item) -> Decoded:
    """Translate a yes or a no; date, consultation number, name and address of a yes are kept beside it as proof."""
    number, valid = item.native, item.fields.get("valid") is True
    company = Company(
        vat_number=number if valid else None,
        vat_candidate=None if valid else number,
        vat_state="confirmed" if valid else "invalid",
        personal=is_personal(number),
    )
    own = {name: text for name in KEPT if (text := _said(item.fields.get(name))) is not None}
    return Decoded(Record(company, own))


def is_personal(number: str) -> bool:
    """Whether a number is a person's: a Dutch sole trader's, whose nine digits are no RSIN.

    >>> is_personal("NL800000006B01"), is_personal("NL001234567B29")
    (False, True)
    """
    return number.startswith("NL") and not rsin.is_valid(number[2:11])


def _said(value: Json) -> str | None:
    """A text as one line per line of the answer; withheld and empty ones are no value."""
    if not isinstance(value, str):
        return None
    lines = [line for line in (" ".join(part.split()) for part in value.splitlines()) if line]
    return "\n".join(lines) if lines and lines != [WITHHELD] else None
