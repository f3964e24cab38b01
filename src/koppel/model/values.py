"""Small values that everything else is made of: JSON, references, money and cursors."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeAlias

import msgspec

# A value as it travels, is stored and is compared: None, bool, int, float, str, list, dict.
Json: TypeAlias = Any


class Ref(msgspec.Struct, frozen=True, order=True):
    """Names one record: connection, resource and the system's own id, e.g. `books-nl:accounts:71b9…`."""

    connection: str
    resource: str
    native: str

    def __str__(self) -> str:
        return f"{self.connection}:{self.resource}:{self.native}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read `connection:resource:native`; the native id may itself hold colons.

        >>> Ref.parse("books-nl:accounts:a:b").native
        'a:b'

        Raises ValueError when there are fewer than three parts.
        """
        parts = text.split(":", 2)
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} is not a reference: expected connection:resource:id")
        return cls(*parts)


class Money(msgspec.Struct, frozen=True):
    """An amount in one currency; arithmetic across currencies is refused, never converted.

    >>> Money(Decimal("1.005"), "EUR").rounded().amount
    Decimal('1.01')
    """

    amount: Decimal
    currency: str

    def rounded(self) -> Money:
        """To cents, half up, as Dutch bookkeeping does (law 13)."""
        return Money(self.amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP), self.currency)

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount + other.amount, self.currency)

    def __str__(self) -> str:
        return f"{self.rounded().amount} {self.currency}"

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read `"10000.00 EUR"`. Raises ValueError otherwise."""
        amount, _, currency = text.partition(" ")
        if not (currency.isalpha() and currency.isupper() and len(currency) == 3):
            raise ValueError(f"{text!r} is not an amount with a currency, such as '10000.00 EUR'")
        try:
            return cls(Decimal(amount), currency)
        except ArithmeticError:
            raise ValueError(f"{text!r} is not an amount with a currency, such as '10000.00 EUR'") from None


class Cursor(msgspec.Struct, frozen=True):
    """How far a stream has been read, in the vendor's own measure.

    `kind` names the measure (`timestamp`, `modified`, `signal`); `value` is opaque to everybody but the system;
    `tie` breaks ties within one value; `extra` holds what the system must compare next time (a division's move date).
    """

    kind: str
    value: str
    tie: str = ""
    extra: dict[str, str] = {}
