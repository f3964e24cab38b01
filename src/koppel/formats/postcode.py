"""Dutch postcode: four digits, the first not 0, and two letters, never SA, SD or SS.

>>> validate("1034 wl")
'1034WL'
>>> pretty("1034wl")
'1034 WL'
>>> validate("0034 WL")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: '0034 WL' is not a Dutch postcode: it is not four digits (1000 or higher) and two letters; check it, or set the country when the address is abroad
"""

from __future__ import annotations

import re

from stdnum.exceptions import ValidationError
from stdnum.nl import postcode as stdnum_postcode

from koppel.formats.invalid import InvalidNumber

_WHAT = "Dutch postcode"
_REMEDY = "check it, or set the country when the address is abroad"
_SEPARATORS = re.compile(r"[\s.\-]")


def compact(text: str) -> str:
    """Give the text in capitals without spaces and punctuation.

    >>> compact("1034-wl")
    '1034WL'
    """
    return _SEPARATORS.sub("", text).upper()


def validate(text: str) -> str:
    """Return the compact postcode. Raises InvalidNumber."""
    code = compact(text)
    if not code:
        raise InvalidNumber(_WHAT, text, "it is empty", _REMEDY)
    try:
        stdnum_postcode.validate(code)
    except ValidationError:
        combination = code[4:] in {"SA", "SD", "SS"}
        reason = (
            f"{code[4:]} is never given out"
            if combination
            else "it is not four digits (1000 or higher) and two letters"
        )
        raise InvalidNumber(_WHAT, text, reason, _REMEDY) from None
    return code


def is_valid(text: str) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("1034WL"), is_valid("1034SS")
    (True, False)
    """
    try:
        validate(text)
    except InvalidNumber:
        return False
    return True


def pretty(text: str) -> str:
    """As people write it, with a space. Raises InvalidNumber."""
    code = validate(text)
    return f"{code[:4]} {code[4:]}"
