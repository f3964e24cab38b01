"""VAT number (btw-id), Dutch or of another EU state, with its country in front.

A Dutch one is `NL` + 9 digits + `B` + 2 digits and passes either the 11-proof on the nine digits (legal persons, whose
RSIN they are) or mod-97 on the whole (sole traders since 2020, meaningless digits). Well-formed is not registered:
only VIES can say that.

>>> validate("NL 8000.00.006.B01")
'NL800000006B01'
>>> validate("001234567B29")
'NL001234567B29'
>>> validate("ATU 57194903")
'ATU57194903'
>>> validate("NL800000007B01")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: 'NL800000007B01' is not a VAT number: its check digits do not fit, so a character is wrong; copy it from the firm's invoice
"""

from __future__ import annotations

import re

from stdnum.eu import vat as eu_vat
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidLength, ValidationError

from koppel.formats import rsin as rsins
from koppel.formats.invalid import InvalidNumber

_WHAT = "VAT number"
_REMEDY = "copy it from the firm's invoice"
_SEPARATORS = re.compile(r"[\s.\-/_]")
_DUTCH = re.compile(r"NL[0-9]{9}B[0-9]{2}")
_DUTCH_WITHOUT_COUNTRY = re.compile(r"[0-9]{9}B[0-9]{2}")


def compact(text: str) -> str:
    """Give the text in capitals without spaces and punctuation; a Dutch number gets its country when that was left off.

    >>> compact("8000.00.006 b01")
    'NL800000006B01'
    """
    number = _SEPARATORS.sub("", text).upper()
    return f"NL{number}" if _DUTCH_WITHOUT_COUNTRY.fullmatch(number) else number


def validate(text: str) -> str:
    """Return the compact number, country included. Raises InvalidNumber."""
    number = compact(text)
    if not number:
        raise InvalidNumber(_WHAT, text, "it is empty", _REMEDY)
    # The library fills up a Dutch number that is too short with zeros; a lost digit is not ours to guess.
    if number.startswith("NL") and not _DUTCH.fullmatch(number):
        raise InvalidNumber(_WHAT, text, "a Dutch one is NL, 9 digits, B and 2 digits", _REMEDY)
    try:
        return eu_vat.validate(number)
    except InvalidChecksum:
        raise InvalidNumber(_WHAT, text, "its check digits do not fit, so a character is wrong", _REMEDY) from None
    except InvalidLength:
        raise InvalidNumber(_WHAT, text, f"it has the wrong length for {number[:2]}", _REMEDY) from None
    except InvalidComponent:
        reason = (
            "it does not start with the code of an EU country" if not _known(number) else "a part of it does not exist"
        )
        raise InvalidNumber(_WHAT, text, reason, _REMEDY) from None
    except ValidationError:
        raise InvalidNumber(_WHAT, text, f"it has the wrong form for {number[:2]}", _REMEDY) from None


def is_valid(text: str) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("NL800000006B01"), is_valid("NL123456789B90")
    (True, False)
    """
    try:
        validate(text)
    except InvalidNumber:
        return False
    return True


def from_rsin(rsin: str) -> str:
    """Derive the number a legal person with this RSIN most likely has: a candidate, confirmed by VIES only (rule B4).

    Never for a sole trader, whose number cannot be derived. Fiscal units and B02 and up exist. Raises InvalidNumber.

    >>> from_rsin("800000006")
    'NL800000006B01'
    """
    return f"NL{rsins.validate(rsin)}B01"


def _known(number: str) -> bool:
    country = number[:2].lower()
    return country in eu_vat.MEMBER_STATES or country in {"el", "eu", "im"}
