"""KVK number: eight digits, kept as text because leading zeros count. It has no check digit.

`validate` is strict, for where a number must already be right; `read` is for what people paste into CRM fields.

>>> validate("KvK-nr. 01 23.45-67")
'01234567'
>>> validate("1234567")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: '1234567' is not a KVK number: it has 7 digits, not 8; write the leading zero when it was lost
"""

from __future__ import annotations

import re

from koppel.formats import branch as branches
from koppel.formats.invalid import InvalidNumber, digits_only

LENGTH = 8
_WHAT = "KVK number"
_LABEL = re.compile(r"^\s*k\.?v\.?k\.?[\s\-]*(nummer|number|nr|no|n°)?\.?\s*:?\s*", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s.\-/_+]")
_LOOK_UP = "look the firm up in the KVK register and copy its 8 digits"
_BRANCH_ZEROS = "0000"


def compact(text: str) -> str:
    """Give the text without label, spaces and punctuation; nothing is added.

    >>> compact("KVK: 01.234.567")
    '01234567'
    """
    return _SEPARATORS.sub("", _LABEL.sub("", text))


def validate(text: str) -> str:
    """Return the eight digits. Raises InvalidNumber; seven digits are refused here and completed by `read`."""
    number = digits_only(_WHAT, text, compact(text), _LOOK_UP)
    if len(number) == LENGTH - 1:
        raise InvalidNumber(_WHAT, text, "it has 7 digits, not 8", "write the leading zero when it was lost")
    if len(number) != LENGTH:
        raise InvalidNumber(_WHAT, text, f"it has {len(number)} digits, not {LENGTH}", _LOOK_UP)
    if not number.strip("0"):
        raise InvalidNumber(_WHAT, text, "it is all zeros, a placeholder", _LOOK_UP)
    return number


def is_valid(text: str) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("12345678"), is_valid("NL123456789B01")
    (True, False)
    """
    try:
        validate(text)
    except InvalidNumber:
        return False
    return True


def read(text: str) -> tuple[str, str | None, str | None]:
    """Tell what a person meant: (KVK number, branch number or None, note or None). Raises InvalidNumber.

    - 8 digits: the number. 7 digits: a spreadsheet dropped the leading zero; it is put back, and the note says so.
    - 20 digits: KVK number and the 12-digit branch number (vestigingsnummer) after it.
    - 12 digits: KVK number and the 4-digit sequence of the old file number (dossiernummer). Those 4 digits are *not* a
      branch number and every firm has a 0000 or 0001, so they would match strangers: they are named in the note and
      left out. Twelve digits beginning with 0000 are a branch number in the wrong field, and refused.

    >>> read("12345678")
    ('12345678', None, None)
    >>> read("1234567")
    ('01234567', None, 'a leading zero was put back: 1234567 became 01234567')
    >>> read("12345678 0000.3785.0001")
    ('12345678', '000037850001', None)
    >>> read("12345678-0001")
    ('12345678', None, 'the last four digits (0001) are an old file sequence, not a branch number, and were left out')
    >>> read("000037850001")
    Traceback (most recent call last):
    koppel.formats.invalid.InvalidNumber: '000037850001' is not a KVK number: it is a branch number (12 digits beginning with 0000); write the 8-digit number of the firm here
    """
    number = compact(text)
    if not (number.isascii() and number.isdigit()):
        return validate(text), None, None
    if len(number) == LENGTH - 1:
        padded = _checked("0" + number, text)
        return padded, None, f"a leading zero was put back: {number} became {padded}"
    if len(number) == branches.LENGTH:
        if number.startswith(_BRANCH_ZEROS):
            reason = "it is a branch number (12 digits beginning with 0000)"
            raise InvalidNumber(_WHAT, text, reason, "write the 8-digit number of the firm here")
        note = (
            f"the last four digits ({number[LENGTH:]}) are an old file sequence, not a branch number, and were left out"
        )
        return _checked(number[:LENGTH], text), None, note
    if len(number) == LENGTH + branches.LENGTH:
        return _checked(number[:LENGTH], text), branches.validate(number[LENGTH:]), None
    return validate(text), None, None


def _checked(number: str, text: str) -> str:
    """`validate`, but a complaint names what was typed."""
    try:
        return validate(number)
    except InvalidNumber as error:
        raise InvalidNumber(_WHAT, text, error.reason, error.remedy) from None
