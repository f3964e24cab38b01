"""RSIN, the tax office's number of a legal person: nine digits that pass the 11-proof.

>>> validate("8000.00.006")
'800000006'
>>> validate("800000007")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: '800000007' is not an RSIN: it fails the 11-proof, so a digit is wrong; compare it with the KVK extract
"""

from __future__ import annotations

import re

from stdnum.nl import bsn

from koppel.formats.invalid import InvalidNumber, digits_only

LENGTH = 9
_WHAT = "RSIN"
_SEPARATORS = re.compile(r"[\s.\-/_]")
_REMEDY = "compare it with the KVK extract"


def compact(text: str) -> str:
    """Give the text without spaces and punctuation; nothing is added.

    >>> compact("8000.00.006")
    '800000006'
    """
    return _SEPARATORS.sub("", text)


def validate(text: str) -> str:
    """Return the nine digits. Raises InvalidNumber.

    Eight digits are refused, not completed: a KVK number in this field would pass one time in eleven.
    """
    number = digits_only(_WHAT, text, compact(text), _REMEDY)
    if len(number) != LENGTH:
        raise InvalidNumber(_WHAT, text, f"it has {len(number)} digits, not {LENGTH}", _REMEDY)
    if not number.strip("0"):
        raise InvalidNumber(_WHAT, text, "it is all zeros, a placeholder", _REMEDY)
    # An RSIN and a person's BSN share one numbering and one proof; the library knows it under the latter's name.
    if bsn.checksum(number) != 0:
        raise InvalidNumber(_WHAT, text, "it fails the 11-proof, so a digit is wrong", _REMEDY)
    return number


def is_valid(text: str) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("800000006"), is_valid("123456789")
    (True, False)
    """
    try:
        validate(text)
    except InvalidNumber:
        return False
    return True
