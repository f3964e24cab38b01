"""Address lines as Dutch people write them: one text taken apart into street, number and suffix, and put together again.

What cannot be taken apart surely is left whole for a person to look at (rule B18).
"""

from __future__ import annotations

import re

from koppel.model.address import Address

_PO_BOX = re.compile(r"(?:postbus|p\.?\s?o\.?\s?box|pb\.?)\s+(?P<number>\d{1,6})", re.IGNORECASE)
# The last number that stands apart is the house number: "Plein 1940 12" is number 12 of the Plein 1940.
_STREET = re.compile(
    r"(?P<street>.*\S)\s+(?P<number>[1-9]\d{0,4})(?P<suffix>(?:\s*[-/]?\s*[A-Za-z]{1,4}(?![A-Za-z])|\s*[-/]\s*\d{1,4})*)"
)
_PARTS = re.compile(r"[A-Za-z]+|\d+")
_ROMAN = re.compile(r"[ivx]+", re.IGNORECASE)


def split_line(line: str) -> Address | None:
    """Street, number and suffix of a Dutch address line, or its P.O. box; None when no house number stands in it.

    >>> split_line("Plein 1940 12a-2").first_line()
    'Plein 1940 12 A-2'
    >>> split_line("Postbus 90").po_box
    '90'
    >>> split_line("Kasteel De Hooge Vuursche") is None
    True
    """
    plain = " ".join(line.split())
    box = _PO_BOX.fullmatch(plain)
    if box is not None:
        return Address(po_box=box["number"])
    found = _STREET.fullmatch(plain)
    if found is None:
        return None
    return Address(street=found["street"], number=found["number"], suffix=suffix_form(found["suffix"]) or None)


def is_po_box(line: str) -> bool:
    """Whether a line names a P.O. box.

    >>> is_po_box("Postbus 90"), is_po_box("Postbusstraat 9")
    (True, False)
    """
    return _PO_BOX.fullmatch(" ".join(line.split())) is not None


def suffix_form(suffix: str | None) -> str:
    """One spelling for every way to write a house-number suffix, so that spelling is never a difference.

    >>> [suffix_form(spelling) for spelling in ("a2", "A 2", "-a-2", "BIS", "ii")]
    ['A-2', 'A-2', 'A-2', 'bis', 'II']
    """
    written = ""
    for part in _PARTS.findall(suffix or ""):
        shown = part if part.isdigit() else _letters(part)
        written += shown if not written else f"{'-' if shown.isdigit() else ' '}{shown}"
    return written


def house_number_line(address: Address) -> str:
    """The street line in one spelling.

    >>> house_number_line(Address(street="Dorpsstraat", number="12", suffix="a"))
    'Dorpsstraat 12 A'
    >>> house_number_line(Address(po_box="90"))
    'Postbus 90'
    """
    if address.po_box:
        return f"Postbus {address.po_box}"
    suffix = suffix_form(address.suffix)
    joint = "" if not suffix else "-" if suffix[0].isdigit() else " "
    number = f"{address.number or ''}{joint}{suffix}".strip()
    return " ".join(part for part in (" ".join((address.street or "").split()), number) if part)


def _letters(part: str) -> str:
    return part.upper() if len(part) == 1 or _ROMAN.fullmatch(part) else part.lower()
