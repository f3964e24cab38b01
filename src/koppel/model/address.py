"""Addresses: street and number apart, P.O. boxes and foreign forms in their own shape (rule B18)."""

from __future__ import annotations

import msgspec


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """One address. Dutch: street, number, suffix, postcode `1034WL`, city. Foreign: `lines` and country.

    `shielded` means the register hides it: every other part is then None (rule B3: shielded addresses are written nowhere).
    `country` is ISO 3166 alpha-2.
    """

    street: str | None = None
    number: str | None = None
    suffix: str | None = None
    po_box: str | None = None
    postcode: str | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None
    lines: tuple[str, ...] = ()
    shielded: bool = False

    def is_empty(self) -> bool:
        """Whether there is nothing to show: shielded, or no part filled."""
        return self.shielded or not (self.street or self.po_box or self.postcode or self.city or self.lines)

    def first_line(self) -> str:
        """Street line as people write it.

        >>> Address(street="Dorpsstraat", number="12", suffix="A").first_line()
        'Dorpsstraat 12 A'
        >>> Address(po_box="90").first_line()
        'Postbus 90'
        """
        if self.po_box:
            return f"Postbus {self.po_box}"
        if self.lines:
            return self.lines[0]
        return " ".join(part for part in (self.street, self.number, self.suffix) if part)
