"""IBAN: a bank account with its country and check digits.

>>> validate("nl91 abna 0417 1643 00")
'NL91ABNA0417164300'
>>> pretty("NL91ABNA0417164300")
'NL91 ABNA 0417 1643 00'
>>> validate("NL91ABNA0417164301")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: 'NL91ABNA0417164301' is not an IBAN: its check digits do not fit, so a character is wrong; copy it from a bank statement
"""

from __future__ import annotations

import re

from stdnum import iban as stdnum_iban
from stdnum.exceptions import InvalidChecksum, ValidationError

from koppel.formats.invalid import InvalidNumber

_WHAT = "IBAN"
_REMEDY = "copy it from a bank statement"
_SEPARATORS = re.compile(r"[\s.\-]")


def compact(text: str) -> str:
    """Give the text in capitals without spaces and punctuation.

    >>> compact("nl91 abna")
    'NL91ABNA'
    """
    return _SEPARATORS.sub("", text).upper()


def validate(text: str) -> str:
    """Return the compact IBAN. Raises InvalidNumber."""
    number = compact(text)
    if not number:
        raise InvalidNumber(_WHAT, text, "it is empty", _REMEDY)
    try:
        return stdnum_iban.validate(number)
    except InvalidChecksum:
        raise InvalidNumber(_WHAT, text, "its check digits do not fit, so a character is wrong", _REMEDY) from None
    except ValidationError:
        raise InvalidNumber(_WHAT, text, f"it has the wrong form for {number[:2]}", _REMEDY) from None


def is_valid(text: str) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("NL91ABNA0417164300"), is_valid("NL91ABNA0417164301")
    (True, False)
    """
    try:
        validate(text)
    except InvalidNumber:
        return False
    return True


def pretty(text: str) -> str:
    """In groups of four, as banks print it. Raises InvalidNumber."""
    number = validate(text)
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))
