"""Amounts: reckoned as decimals, half up to the cent, served as the bare numbers of the vendor."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_CENT = Decimal("0.01")
ZERO = Decimal(0)


def exact(value: Any) -> Decimal:
    """A served number as the decimal it stands for; nothing is nought.

    >>> exact(0.1) + exact(0.2)
    Decimal('0.3')
    """
    return ZERO if value is None else Decimal(str(value))


def cents(amount: Decimal) -> Decimal:
    """Half up to the cent.

    >>> cents(Decimal("2.345")), cents(Decimal("-2.345"))
    (Decimal('2.35'), Decimal('-2.35'))
    """
    return amount.quantize(_CENT, ROUND_HALF_UP)


def bare(amount: Decimal) -> float:
    """As it is stored and served."""
    return float(amount)
