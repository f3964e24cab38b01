"""The books before anybody integrates: what people typed over the years from the companies of the made-up world.

Deterministic per company and seed: spellings differ, some addresses are old, telephone and e-mail were filled by hand.
"""

from __future__ import annotations

import random

from koppel.systems.exact.sandbox.books import ACCOUNTS, Books, Person, guid
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import LENGTHS, country_name, wall
from koppel.systems.sandbox_spi import SeedCompany

_DAY = 86_400.0
_THRICE = ("", " - vestiging", " (inkoop)")
_OLD_STREETS = ("Oude Dorpsstraat", "Industrieweg", "Stationsplein", "Molenkade")
_HANDFUL = (
    ("Holding De Eendracht B.V.", "Beursplein 4", "1012 JW", "Amsterdam", "85000011"),
    ("Administratiekantoor Van der Meer", "Kerkstraat 21", "3511 AB", "Utrecht", "85000022"),
    ("Stichting Personeelsfonds", "Havenweg 2", "3812 PR", "Amersfoort", None),
    ("Verhuur Noord BV", "Energieweg 140", "9743 AN", "Groningen", "85000033"),
)


def books(seed: int, number: int, description: str, now: float) -> Books:
    """Empty books of a division."""
    rng = random.Random(f"{seed}:{number}")  # noqa: S311
    founded = now - rng.randrange(2000, 4000) * _DAY
    about: Row = {
        "Code": number,
        "Description": description,
        "CustomerName": "Groep Voorbeeld",
        "CustomerCode": "1000001".rjust(18),
        "Customer": guid(seed, "customer"),
        "Country": "NL ",
        "CountryDescription": country_name("NL"),
        "Currency": "EUR",
        "CurrencyDescription": "Euro",
        "Hid": 400_000 + number,
        "HID": 400_000 + number,
        "Status": 1,
        "BlockingStatus": 0,
        "Current": False,
        "ChamberOfCommerceNumber": f"8{rng.randrange(10**7):07d}",
        "AddressLine1": f"Voorbeeldlaan {rng.randrange(1, 99)}",
        "Postcode": "3511 AA",
        "City": "Utrecht",
        "Legislation": "NL",
        "Created": wall(founded),
        "Modified": wall(founded),
        "StartDate": wall(founded) - wall(founded) % 86_400_000,
    }
    return Books(seed=seed, number=number, about=about, stamp=23_000_000_000 + rng.randrange(10**9))


def people(seed: int) -> tuple[Person, ...]:
    """Who works in these books: the user of the app first, then three at their desks."""
    names = ("Koppeling Voorbeeld", "M. de Boer", "S. Yilmaz", "A. van Dijk")
    return tuple(Person(guid(seed, "person", name), name) for name in names)


def fill(target: Books, companies: tuple[SeedCompany, ...], staff: tuple[Person, ...], now: float) -> None:
    """Enter the companies the ERP already knows."""
    for company in companies:
        if company.in_erp == "none":
            continue
        rng = random.Random(f"{target.seed}:exact:{company.kvk}")  # noqa: S311
        for number in range(3 if company.in_erp == "thrice" else 1):
            values = _typed(company, number, rng)
            made = now - rng.randrange(30, 1500) * _DAY
            desk = Desk(target, rng.choice(staff[1:]), made)
            row = desk.add(ACCOUNTS, values)
            if rng.random() < 0.4:
                row["Modified"] = wall(min(now, made + rng.randrange(1, 30) * _DAY))
            if rng.random() < 0.2:
                _give_bank_account(desk, row, rng)


def fill_handful(target: Books, staff: tuple[Person, ...], now: float) -> None:
    """Enter a few accounts that belong to no company of the world."""
    for number, (name, street, postcode, city, kvk) in enumerate(_HANDFUL):
        values: Row = {"Name": name, "AddressLine1": street, "Postcode": postcode, "City": city, "Status": "C"}
        if kvk is not None:
            values["ChamberOfCommerce"] = kvk
        Desk(target, staff[1], now - (400 - number) * _DAY).add(ACCOUNTS, values)


def _typed(company: SeedCompany, number: int, rng: random.Random) -> Row:
    """One account as somebody typed it."""
    house = f"{company.number}{company.letter or ''}{'-' + company.addition if company.addition else ''}"
    street = f"{company.street} {house}"
    if number == 1 or rng.random() < 0.1:
        street = f"{rng.choice(_OLD_STREETS)} {rng.randrange(1, 200)}"
    values: Row = {
        "Name": (_spelled(company, rng) + _THRICE[number])[: LENGTHS["Name"]],
        "AddressLine1": street,
        "Postcode": _postcode(company, rng),
        "City": company.city if rng.random() < 0.9 else company.city.upper(),
        "Country": company.country[:2].upper().ljust(3),
        "Status": "C" if rng.random() < 0.85 else rng.choice("PS"),
        "IsSupplier": rng.random() < 0.25,
        "SalesVATCode": "4  ",
        "PaymentConditionSales": rng.choice(("14", "30")),
    }
    if company.in_erp in {"kvk", "both", "thrice"}:
        values["ChamberOfCommerce"] = company.kvk
    if company.in_erp in {"vat", "both"} and company.vat is not None:
        values["VATNumber"] = company.vat
    if company.rsin is not None and rng.random() < 0.3:
        values["RSIN"] = company.rsin
    if rng.random() < 0.75:
        values["Phone"] = _phone(company.phone, rng)
    if rng.random() < 0.75:
        values["Email"] = company.email if rng.random() < 0.6 else company.person.email
    if rng.random() < 0.5:
        values["Website"] = company.website
    if company.kind == "eenmanszaak" and rng.random() < 0.3:
        values["BSN"] = (
            f"999{rng.randrange(10**6):06d}"  # 999… is never given out; it arrives unasked, as in real books
        )
    return values


def _postcode(company: SeedCompany, rng: random.Random) -> str:
    """With a blank or without."""
    compact = company.postcode.replace(" ", "")
    return f"{compact[:4]} {compact[4:]}" if company.country == "NL" and rng.random() < 0.5 else compact


def _phone(phone: str, rng: random.Random) -> str:
    """As it stands, without dash, or the international way."""
    luck = rng.random()
    if luck < 0.5 or not phone.startswith("0"):
        return phone
    return phone.replace("-", "") if luck < 0.75 else "+31 " + phone[1:].replace("-", " ")


def _spelled(company: SeedCompany, rng: random.Random) -> str:
    """The name as somebody wrote it down: mostly the statutory one, some without dots, some the trade name."""
    name = company.statutory_name or company.name
    luck = rng.random()
    if luck < 0.45:
        return name
    if luck < 0.75:
        return name.replace("B.V.", "BV").replace("N.V.", "NV").replace("U.A.", "UA")
    return company.name.upper() if luck < 0.8 else company.name


def _give_bank_account(desk: Desk, row: Row, rng: random.Random) -> None:
    """A made-up account at a bank that does not exist, with a check that holds."""
    number = f"{rng.randrange(10**10):010d}"
    iban = made_up_iban(number)
    values = {"Account": row["ID"], "BankAccount": iban, "IBAN": iban, "BICCode": "VRBDNL2X", "Main": True, "Type": "A"}
    desk.add("crm/BankAccounts", {"ID": guid(row["ID"], "bank"), **values})


def made_up_iban(number: str) -> str:
    """An account number of a bank that does not exist.

    >>> made_up_iban("0123456789")
    'NL64VRBD0123456789'
    """
    spelled = "".join(str(int(character, 36)) for character in f"VRBD{number}NL00")
    return f"NL{98 - int(spelled) % 97:02d}VRBD{number}"
