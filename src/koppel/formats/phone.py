"""Telephone number, kept in the international form E.164; Dutch when no country is written.

>>> validate("020-123 45 67")
'+31201234567'
>>> validate("0032 2 555 12 12")
'+3225551212'
>>> validate("12")
Traceback (most recent call last):
koppel.formats.invalid.InvalidNumber: '12' is not a telephone number: no such number exists in NL; write it with its country, such as +31 20 123 45 67
"""

from __future__ import annotations

import re

import phonenumbers

from koppel.formats.invalid import InvalidNumber

HOME = "NL"
_WHAT = "telephone number"
_REMEDY = "write it with its country, such as +31 20 123 45 67"
_SEPARATORS = re.compile(r"[\s.\-/()]")


def compact(text: str) -> str:
    """Give the text without spaces, brackets and punctuation; nothing is added.

    >>> compact("(020) 123-45.67")
    '0201234567'
    """
    return _SEPARATORS.sub("", text)


def validate(text: str, *, region: str = HOME) -> str:
    """Return the number in E.164. Raises InvalidNumber, also for an extension.

    E.164 has no place for an extension, so it would be lost silently.
    """
    if not text.strip():
        raise InvalidNumber(_WHAT, text, "it is empty", _REMEDY)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise InvalidNumber(_WHAT, text, "it cannot be read as one", _REMEDY) from None
    if number.extension:
        raise InvalidNumber(
            _WHAT, text, f"it carries an extension ({number.extension})", "keep the extension elsewhere"
        )
    if not phonenumbers.is_valid_number(number):
        place = phonenumbers.region_code_for_country_code(number.country_code or 0)
        raise InvalidNumber(_WHAT, text, f"no such number exists in {place}", _REMEDY)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_valid(text: str, *, region: str = HOME) -> bool:
    """Whether `validate` would take it.

    >>> is_valid("06 12345678"), is_valid("call me")
    (True, False)
    """
    try:
        validate(text, region=region)
    except InvalidNumber:
        return False
    return True
