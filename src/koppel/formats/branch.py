"""Branch number (vestigingsnummer): twelve digits, kept as text because leading zeros count. It has no check digit.

A shorter number is never completed: KVK's own pages print branch numbers without their four leading zeros, and then
nothing tells them from a KVK number.

>>> validate("0000 3785 0001")
'000037850001'
>>> validate("37850001")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: '37850001' is not a branch number: it has 8 digits, not 12; write it with its leading zeros, as in the KVK register
"""

from __future__ import annotations

import re

from koppel.formats.invalid import InvalidNumber, digits_only

LENGTH = 12
_WHAT = "branch number"
_SEPARATORS = re.compile(r"[\s.\-/_]")
_REMEDY = "write it with its leading zeros, as in the KVK register"


def compact(text: str) -> str:
    """Give the text without spaces and punctuation; nothing is added.

    >>> compact("0000.3785.0001")
    '000037850001'
    """
    return _SEPARATORS.sub("", text)


def validate(text: str) -> str:
    """Return the twelve digits. Raises InvalidNumber."""
    number = digits_only(_WHAT, text, compact(text), _REMEDY)
    if len(number) != LENGTH:
        raise InvalidNumber(_WHAT, text, f"it has {len(number)} digits, not {LENGTH}", _REMEDY)
    if not number.strip("0"):
        raise InvalidNumber(_WHAT, text, "it is all zeros, a placeholder", _REMEDY)
    return number


def is_valid(text: str) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("000037850001"), is_valid("37850001")
    (True, False)
    """
    try:
        validate(text)
    except InvalidNumber:
        return False
    return True
