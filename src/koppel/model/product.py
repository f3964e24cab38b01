"""Product: an article or service that is sold or bought."""

from __future__ import annotations

from decimal import Decimal

from koppel.model.entity import Entity


class Product(Entity, frozen=True, omit_defaults=True):
    """Entity version 1. `code` is the SKU. `price` is the sales price without VAT, in `currency` (ISO 4217).

    `vat` is a meaning (`nl-high`, `nl-low`, `exempt` ...), never a percentage (rule B5).
    """

    code: str | None = None
    name: str | None = None
    description: str | None = None
    ean: str | None = None
    unit: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    vat: str | None = None
    group: str | None = None
    is_active: bool | None = None
    is_stock: bool | None = None

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """SKU, then the article number on the package."""
        return tuple((kind, value) for kind, value in (("sku", self.code), ("ean", self.ean)) if value)

    def label(self) -> str:
        """Name and SKU."""
        return f"{self.name or self.code or ''}{f' ({self.code})' if self.name and self.code else ''}"
