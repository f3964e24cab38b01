"""The environments before anybody integrates: what people typed over the years from the companies of the made-up world.

Deterministic per company and seed. AFAS knows its own slice, about two thirds of what the ERP knows: most as a debtor with
its organisation, some as an organisation only, one number on three debtors, some by VAT number only. Test and accept are
smaller, older copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from random import Random
from zlib import crc32

from koppel.systems.afas.sandbox_books import Books, Key, Row, today, wall
from koppel.systems.afas.sandbox_errors import Label
from koppel.systems.afas.sandbox_fields import COUNTRY_BY_ISO, Field, make_field
from koppel.systems.afas.sandbox_rows import CHECKED_ON, MARK
from koppel.systems.sandbox_spi import SeedCompany, SeedPerson

_DAY = 86_400.0
_ALWAYS = frozenset({"thrice", "vat"})  # what must be there to be tried
_THRICE = ("", " - vestiging", " (inkoop)")
_OLD_STREETS = ("Oude Dorpsstraat", "Industrieweg", "Stationsplein", "Molenkade")
_LEGAL_FORMS = {"bv": "30", "nv": "35", "eenmanszaak": "05", "vof": "20", "stichting": "55", "vereniging": "45"}
_SHARE = {"test": 3, "accept": 5}  # one in so many contacts is in the smaller copy


def begin(seed: int, companies: Iterable[SeedCompany], now: float) -> dict[str, Books]:
    """The books of all three environments."""
    books = Books(free=free_fields(seed, "production"))
    for company in companies:
        rng = Random(f"{seed}:afas:{company.kvk}")  # noqa: S311
        share = rng.random()
        if company.in_erp != "none" and (company.in_erp in _ALWAYS or share < 0.66):
            _enter(books, company, rng, now)
    made = {"production": books}
    for name, share in _SHARE.items():
        made[name] = books.copy(lambda bcco, share=share: crc32(bcco.encode()) % share == 0)
        made[name].free = free_fields(seed, name)
    return made


def free_fields(seed: int, environment: str) -> dict[str, tuple[Field, ...]]:
    """The tenant's own fields: `U` and 32 hex digits, another one in each environment. [MD custom-fields]"""

    def own(label: str, type_: str, length: int) -> Field:
        digits = hashlib.sha256(f"{seed}:{environment}:{label}".encode()).hexdigest()[:32].upper()
        return make_field(f"U{digits}", type_, length, label=Label(label, label))

    return {
        "KnOrganisation": (own(CHECKED_ON, "date", 0), own("Activiteit", "string", 100)),
        "KnSalesRelationOrg": (own(MARK, "string", 40),),
    }


def _enter(books: Books, company: SeedCompany, rng: Random, now: float) -> None:
    """Enter one company: as organisation only, as debtor, or three times."""
    copies = 3 if company.in_erp == "thrice" else 1
    only = copies == 1 and company.in_erp != "vat" and rng.random() < 0.15
    for number in range(copies):
        at = now - rng.randrange(30, 1500) * _DAY + rng.randrange(8 * 3600)
        bcco = books.number("organisation")
        moment = wall(at) - rng.randrange(1000)
        row = _organisation(company, number, rng) | {"BcCo": bcco, "made": moment}
        row["Adr"] = ((today(at), books.address(_address(company, number, rng), moment)),)
        row["PadAdr"] = company.po_box is None
        if company.po_box is not None:
            row["Pad"] = ((today(at), books.address(_post_box(company), moment)),)
        changed = moment + rng.randrange(1, 25) * 86_400_000 if rng.random() < 0.4 else moment
        books.put("organisation", bcco, books.in_force(row, today(now)) | {"changed": changed})
        if not only:
            debtor = books.number("debtor")
            side = _debtor(company, rng) | {"DbId": debtor, "BcCo": bcco, "made": moment, "changed": changed}
            books.put("debtor", debtor, side)
        if rng.random() < 0.2:
            creditor = str(20_000 + int(bcco) % 10_000)
            known = {name: side for name, side in _debtor(company, rng).items() if name in {"VaId", "PaCd", "VaDu"}}
            books.put(
                "creditor", creditor, known | {"CrId": creditor, "BcCo": bcco, "made": moment, "changed": changed}
            )
    if company.kind == "eenmanszaak":
        _person(books, company.person, rng, now)


def _organisation(company: SeedCompany, number: int, rng: Random) -> Row:
    name = (_spelled(company, rng) + _THRICE[number])[:255]
    row: Row = {"Nm": name, "SeNm": name[:10].rstrip().upper(), "Corr": not company.do_not_mail}
    if company.in_erp in {"kvk", "both", "thrice"}:
        row["CcNr"] = company.kvk
        if company.branch and rng.random() < 0.3:
            row["BrNr"] = company.branch
    if company.rsin is not None and rng.random() < 0.3:
        row["FiNr"] = company.rsin
    if company.kind in _LEGAL_FORMS and rng.random() < 0.5:
        row["ViLe"] = _LEGAL_FORMS[company.kind]
    if rng.random() < 0.75:
        row["TeNr"] = company.phone if rng.random() < 0.6 else company.phone.replace("-", "")
    if rng.random() < 0.75:
        row["EmAd"] = company.email if rng.random() < 0.6 else company.person.email
    if rng.random() < 0.5:
        row["HoPa"] = company.website
    return row


def _address(company: SeedCompany, number: int, rng: Random) -> Row:
    """The visiting address as it was known once; some were never changed after a move."""
    code = COUNTRY_BY_ISO.get(company.country.upper())
    row: Row = {"CoId": code.code if code else "NL", "PbAd": False}
    if number == 1 or rng.random() < 0.1:
        row |= {"Ad": rng.choice(_OLD_STREETS), "HmNr": rng.randrange(1, 200)}
    else:
        row |= {"Ad": company.street, "HmNr": company.number}
        addition = f"{company.letter or ''}{'-' if company.letter and company.addition else ''}{company.addition or ''}"
        if addition:
            row["HmAd"] = addition
    city = company.city if rng.random() < 0.9 else company.city.upper()
    return row | {"ZpCd": _postcode(company), "Rs": city}


def _post_box(company: SeedCompany) -> Row:
    city = {"ZpCd": _postcode(company), "Rs": company.city}
    return {"CoId": "NL", "PbAd": True, "Ad": "Postbus", "HmNr": company.po_box} | city


def _postcode(company: SeedCompany) -> str:
    compact = company.postcode.replace(" ", "").upper()
    return f"{compact[:4]} {compact[4:]}" if company.country == "NL" else company.postcode


def _debtor(company: SeedCompany, rng: Random) -> Row:
    row: Row = {
        "IsDb": True,
        "CuId": "EUR",
        "PaCd": rng.choice(("14", "30")),
        "VaDu": "1",
        "Krli": float(rng.choice((0, 2500, 10_000))),
        "Bl": rng.random() < 0.03,
    }
    if company.in_erp in {"vat", "both"} and company.vat is not None:
        row["VaId"] = company.vat
    if rng.random() < 0.2:
        row |= {"Iban": _iban(rng), "AuPa": rng.random() < 0.5}
    return row


def _person(books: Books, person: SeedPerson, rng: Random, now: float) -> None:
    """Somebody in the same list of contacts: not a company, and with a number nobody asked for."""
    bcco, moment = books.number("organisation"), wall(now - rng.randrange(30, 1500) * _DAY)
    books.put(
        "organisation",
        bcco,
        {
            "BcCo": bcco,
            "Type": "PER",
            "Nm": f"{person.last_name}, {person.first_name}",
            "SeNm": person.last_name[:10].upper(),
            "EmAd": person.email,
            "MbNr": person.phone,
            "DaBi": f"{rng.randrange(1955, 2000)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}",
            "SoSe": f"999{rng.randrange(10**6):06}",  # never given out
            "made": moment,
            "changed": moment,
        },
    )


def _spelled(company: SeedCompany, rng: Random) -> str:
    """The name as somebody wrote it down."""
    name = company.statutory_name or company.name
    luck = rng.random()
    if luck < 0.45:
        return name
    if luck < 0.75:
        return name.replace("B.V.", "BV").replace("N.V.", "NV").replace("U.A.", "UA")
    return company.name.upper() if luck < 0.8 else company.name


def _iban(rng: Random) -> str:
    """A made-up account at a bank that does not exist, with a check that holds."""
    number = f"{rng.randrange(10**10):010d}"
    spelled = "".join(str(int(character, 36)) for character in f"VRBD{number}NL00")
    return f"NL{98 - int(spelled) % 97:02d}VRBD{number}"


def fill(books: Books, count: int, now: float) -> None:
    """Add that many plain debtors at once: numbers, one street each, no oddities."""
    organisations: dict[Key, Row] = {}
    debtors: dict[Key, Row] = {}
    addresses: dict[Key, Row] = {}
    moment, since = wall(now), today(now - 400 * _DAY)
    for number in range(count):
        bcco, debtor = books.number("organisation"), books.number("debtor")
        books.last["address"] += 1
        place = books.last["address"]
        stamp = moment - 400 * 86_400_000 + (number * 7919) % (300 * 86_400_000)
        when = {"made": stamp, "changed": stamp}
        addresses[place] = {
            "AddressId": place,
            "CoId": "NL",
            "PbAd": False,
            "Ad": f"Vulstraat {number // 900}",
            "HmNr": number % 900 + 1,
            "ZpCd": f"{1000 + number % 9000} AB",
            "Rs": "Vulstad",
            **when,
        }
        organisations[bcco] = {
            "BcCo": bcco,
            "Nm": f"Vulbedrijf {number} B.V.",
            "SeNm": "VULBEDRIJF",
            "CcNr": f"7{number:07d}",
            "PadAdr": True,
            "Adr": ((since, place),),
            "adr": place,
            "pad": None,
            **when,
        }
        debtors[debtor] = {"DbId": debtor, "BcCo": bcco, "IsDb": True, "CuId": "EUR", "PaCd": "30", "VaDu": "1", **when}
    for kind, rows in (("address", addresses), ("organisation", organisations), ("debtor", debtors)):
        books.tables[kind].fill(rows)
    books.version += 1
