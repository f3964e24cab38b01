"""Contact: a person at a company, or a private customer."""

from __future__ import annotations

from koppel.model.address import Address
from koppel.model.entity import Entity


class Contact(Entity, frozen=True, omit_defaults=True):
    """Entity version 1. A person's record is personal data, all of it.

    `company` is the native id, in the same connection, of the company the person belongs to; None for a private person.
    `prefix` is the Dutch "tussenvoegsel" (`van der`). `is_main` marks the company's first contact.
    """

    first_name: str | None = None
    prefix: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    mobile: str | None = None
    job_title: str | None = None
    language: str | None = None
    company: str | None = None
    is_main: bool | None = None
    is_active: bool | None = None
    do_not_mail: bool | None = None
    address: Address | None = None
    code: str | None = None

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """E-mail counts only together with the surname or the postcode: families and offices share addresses (rule B17).

        >>> Contact(email="J.Smit@Firm.example", last_name="Smit").match_keys()
        (('email_surname', 'j.smit@firm.example smit'),)
        """
        keys: list[tuple[str, str]] = [("code", self.code)] if self.code else []
        mail = "".join((self.email or "").split()).lower()
        if mail and self.last_name and self.last_name.strip():
            keys.append(("email_surname", f"{mail} {' '.join(self.last_name.split()).lower()}"))
        if mail and self.address and self.address.postcode:
            keys.append(("email_postcode", f"{mail} {''.join(self.address.postcode.split()).upper()}"))
        return tuple(keys)

    def label(self) -> str:
        """Full name and e-mail address.

        >>> Contact(first_name="Anna", prefix="de", last_name="Vries", email="a@firm.example").label()
        'Anna de Vries (a@firm.example)'
        """
        name = " ".join(part for part in (self.first_name, self.prefix, self.last_name) if part)
        return f"{name or self.email or ''}{f' ({self.email})' if name and self.email else ''}"
