"""What the imitated KVKBase says of a company: its documents as plain dicts, in the wrapper's own field names. [§9]

Pure functions from a made-up company to JSON. The field names are documented; how odd companies are shown (shielded, P.O. box,
abroad, several branches) is not, so that part is unverified. Two oddities are served on purpose: `isActive` may be null, and a
basic lookup knows the legal form only as "Onbekend". [third-party client]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from koppel.model.values import Json
from koppel.systems.sandbox_spi import SeedCompany

_COUNTRIES = {"NL": "Nederland", "DE": "Duitsland", "BE": "België", "FR": "Frankrijk", "GB": "Verenigd Koninkrijk"}
# Spellings other than that of the BV are unverified.
_FORMS = {
    "bv": "Besloten Vennootschap",
    "nv": "Naamloze Vennootschap",
    "eenmanszaak": "Eenmanszaak",
    "vof": "Vennootschap onder firma",
    "stichting": "Stichting",
    "vereniging": "Vereniging",
    "cooperatie": "Coöperatie",
}
KINDS = frozenset(_FORMS)
SHAPES = frozenset({"plain", "shielded", "po_box", "foreign", "ended", "no_branch"})
_UNKNOWN_FORM = "Onbekend"


class Branch(NamedTuple):
    """One branch of a company."""

    number: str
    name: str
    main: bool


class Verdict(NamedTuple):
    """What VIES told the wrapper of a number. `status`: valid | invalid | unavailable (the words are unverified)."""

    valid: bool
    status: str
    validated_at: str | None


def branches(company: SeedCompany) -> tuple[Branch, ...]:
    """The branches, main one first; the same ones as the register's own imitation makes of that company."""
    if not company.branch:
        return ()
    main = Branch(company.branch, company.name, True)
    if int(company.kvk) % 11 != 5 or company.employees < 5:
        return (main,)
    return (main, Branch(f"9900{company.kvk}", f"{company.name} Filiaal", False))


def display_name(company: SeedCompany) -> str:
    """The name it is registered by: statutory when there is one."""
    return company.statutory_name or company.name


def address(company: SeedCompany) -> dict[str, Json]:
    """Where it is. A shielded address is told by its country only."""
    country = _COUNTRIES.get(company.country, company.country)
    street: Json = company.street
    house: Json = f"{company.number}{company.letter or ''}{f'-{company.addition}' if company.addition else ''}"
    postcode: Json = company.postcode
    city: Json = company.city
    if company.shape == "shielded":
        street = house = postcode = city = None
    elif company.country != "NL":  # the register itself has foreign addresses on two lines only
        street, house = f"{company.street} {house}", None
        postcode, city = None, f"{company.postcode} {company.city}"
    elif company.po_box is not None:
        street, house = "Postbus", str(company.po_box)
    return {"street": street, "houseNumber": house, "postalCode": postcode, "city": city, "country": country}


def is_active(company: SeedCompany, *, enriched: bool) -> bool | None:
    """Whether it is active, as far as told: null for some, of whom an enriched lookup knows more."""
    unknown = int(company.kvk) % 7 == 3 if enriched else int(company.kvk) % 3 == 1
    if unknown and (company.ended_on is None or not enriched):
        return None
    return company.ended_on is None


def lookup(company: SeedCompany, *, null_active: bool) -> dict[str, Json]:
    """The basic lookup: name, address, status."""
    trading = dict.fromkeys([company.name, *(branch.name for branch in branches(company))])
    return {
        "kvkNumber": company.kvk,
        "name": display_name(company),
        "statutoryName": company.statutory_name,
        "tradingNames": list(trading),
        "legalForm": _UNKNOWN_FORM,
        "isActive": is_active(company, enriched=False) if null_active else company.ended_on is None,
        "mainBranchNumber": company.branch or None,
        "registrationDate": company.started_on,
        "address": address(company),
        "enriched": False,
    }


def enriched(company: SeedCompany, vat: Json, insolvency: Json, *, null_active: bool) -> dict[str, Json]:
    """The whole profile, with what VIES said of the VAT number."""
    return lookup(company, null_active=null_active) | {
        "legalForm": _FORMS[company.kind],
        "isActive": is_active(company, enriched=True) if null_active else company.ended_on is None,
        "employees": {"total": company.employees},
        "activities": [
            {"sbiCode": code, "description": text, "isMain": place == 0}
            for place, (code, text) in enumerate(company.sbi)
        ],
        "vat": vat,
        "insolvency": insolvency,
        "enriched": True,
    }


def vat_candidate(company: SeedCompany) -> str | None:
    """What the wrapper can ask VIES about: RSIN and B01. Of a sole trader nothing can be derived. [§8]"""
    return f"NL{company.rsin}B01" if company.rsin else None


def vat(number: str, verdict: Verdict) -> dict[str, Json]:
    """The block of an enriched lookup."""
    return {
        "number": number,
        "valid": verdict.valid,
        "status": verdict.status,
        "validatedAt": verdict.validated_at,
        "checksumValid": checksum_valid(number),
    }


def hit(company: SeedCompany, branch: Branch | None, *, null_active: bool) -> dict[str, Json]:
    """One row of a search: one for every branch, so that a company may be listed more than once. [third-party client]"""
    return {
        "kvkNumber": company.kvk,
        "branchNumber": branch.number if branch else None,
        "name": branch.name if branch and not branch.main else display_name(company),
        "city": address(company)["city"],
        "isActive": is_active(company, enriched=False) if null_active else company.ended_on is None,
    }


def branch_list(company: SeedCompany) -> dict[str, Json]:
    """Every branch (shape unverified)."""
    every = branches(company)
    shown = [
        {
            "branchNumber": branch.number,
            "name": branch.name,
            "isMainBranch": branch.main,
            "address": address(company),
        }
        for branch in every
    ]
    return {"kvkNumber": company.kvk, "total": len(every), "branches": shown}


def words(text: str) -> list[str]:
    """The words of a name, lower case."""
    return re.findall(r"[^\W_]+", text.lower())


def fits(company: SeedCompany, query: str, *, beginnings: bool) -> bool:
    """Whether a search finds it: by number, or by all words of the query; for type-ahead the last may be a beginning."""
    if query == company.kvk or (beginnings and query.isdigit() and company.kvk.startswith(query)):
        return True
    asked = words(query)
    if not asked:
        return False
    have = {word for name in (display_name(company), *(b.name for b in branches(company))) for word in words(name)}
    whole, last = (asked[:-1], asked[-1]) if beginnings else (asked, "")
    return have.issuperset(whole) and (not last or any(word.startswith(last) for word in have))


def checksum_valid(number: str) -> bool:
    """Whether a Dutch number's digits are right: the 11-proof or modulo 97. [§8] Other countries' are taken as they are."""
    if not number.startswith("NL"):
        return True
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    if sum(int(digit) * weight for digit, weight in zip(number[2:11], weights, strict=True)) % 11 == 0:
        return True
    return int("".join(str(int(letter, 36)) for letter in number)) % 97 == 1


def fiscal_unit_members(companies: Iterable[SeedCompany]) -> frozenset[str]:
    """Name (by KVK number) the companies whose RSIN with B01 is no VAT number; the same ones as the imitated VIES names.

    Every eighth living BV or NV that would otherwise have one and whose VAT number no ERP knows, never the first of a world.
    """
    fitting = [
        company.kvk
        for place, company in enumerate(companies)
        if place
        and company.kind in {"bv", "nv"}
        and company.ended_on is None
        and company.in_erp in {"none", "kvk"}
        and company.vat == f"NL{company.rsin}B01"
    ]
    return frozenset(fitting[::8])
