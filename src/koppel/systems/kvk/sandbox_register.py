"""What the imitated register says of a company: its documents as plain dicts, in the register's own words.

Pure functions from a made-up company to JSON. Numbers in square brackets name sections of the fact sheet; what it does not
show is marked unverified. Oddities of the real register are served on purpose: padded `volledigAdres`, two spellings of the
BV form, dates with unknown parts, a P.O. box beside the visiting address.
"""

from __future__ import annotations

from typing import NamedTuple

from koppel.model.values import Json
from koppel.systems.sandbox_spi import SeedCompany

LEGAL_PERSONS = frozenset({"bv", "nv", "stichting", "vereniging", "cooperatie"})
_CLUBS = frozenset({"stichting", "vereniging"})
_COUNTRIES = {"NL": "Nederland", "DE": "Duitsland", "BE": "België", "FR": "Frankrijk", "GB": "Verenigd Koninkrijk"}
_REGIONS = {
    "Köln": "Nordrhein-Westfalen",
    "Kleve": "Nordrhein-Westfalen",
    "Antwerpen": "Vlaanderen",
    "Gent": "Vlaanderen",
}

# rechtsvorm, uitgebreideRechtsvorm; other spellings than those of the BV and the Eenmanszaak are unverified. [§3]
_FORMS = {
    "bv": ("BeslotenVennootschap", "Besloten Vennootschap met gewone structuur"),
    "nv": ("NaamlozeVennootschap", "Naamloze Vennootschap"),
    "eenmanszaak": ("Eenmanszaak", "Eenmanszaak"),
    "vof": ("VennootschapOnderFirma", "Vennootschap onder firma"),
    "stichting": ("Stichting", "Stichting"),
    "vereniging": ("Vereniging", "Vereniging met volledige rechtsbevoegdheid"),
    "cooperatie": ("Coöperatie", "Coöperatie met uitgesloten aansprakelijkheid"),
}
KINDS = frozenset(_FORMS)
SHAPES = frozenset({"plain", "shielded", "po_box", "foreign", "ended", "no_branch"})


class Branch(NamedTuple):
    """One branch of a company."""

    number: str
    name: str
    main: bool
    commercial: bool
    employees: int


def ja(value: bool) -> str:
    """Ja or Nee, as the register writes booleans."""
    return "Ja" if value else "Nee"


def display_name(company: SeedCompany) -> str:
    """The name the register shows: statutory when there is one."""
    return company.statutory_name or company.name


def branches(company: SeedCompany) -> tuple[Branch, ...]:
    """The branches, main one first. Some companies of several people have a second, derived from their number."""
    if not company.branch:
        return ()
    main = Branch(company.branch, company.name, True, True, company.employees)
    if int(company.kvk) % 11 != 5 or company.employees < 5:
        return (main,)
    other = Branch(
        f"9900{company.kvk}", f"{company.name} Filiaal", False, company.kind not in _CLUBS, company.employees // 3
    )
    return (main._replace(employees=company.employees - other.employees), other)


def date(text: str) -> str:
    """2018-03-12 as 20180312."""
    return text.replace("-", "")


def _started(company: SeedCompany) -> str:
    # Unknown parts of a date are zeros. [§3 formeleRegistratiedatum]
    start = date(company.started_on)
    match int(company.kvk) % 17:
        case 3:
            return start[:6] + "00"
        case 4:
            return start[:4] + "0000"
        case _:
            return start


def _registration(company: SeedCompany) -> dict[str, Json]:
    registration = {"datumAanvang": _started(company)}
    if company.ended_on:
        registration["datumEinde"] = date(company.ended_on)
    return registration


def street_line(company: SeedCompany) -> str:
    """Street, number, letter and addition on one line."""
    return " ".join(str(part) for part in (company.street, company.number, company.letter, company.addition) if part)


def addresses(company: SeedCompany, *, geo: bool) -> list[dict[str, Json]]:
    """The addresses the register publishes: visiting first."""
    if company.shape == "shielded":
        return [{"type": "bezoekadres", "indAfgeschermd": "Ja"}]
    country = _COUNTRIES.get(company.country, company.country)
    if company.country != "NL":
        town = f"{company.postcode} {company.city}"
        foreign: dict[str, Json] = {
            "type": "bezoekadres",
            "indAfgeschermd": "Nee",
            "volledigAdres": f"{street_line(company):<40}{town}",
            "straatHuisnummer": street_line(company),
            "postcodeWoonplaats": town,
            "land": country,
        }
        if company.city in _REGIONS:
            foreign["regio"] = _REGIONS[company.city]
        return [foreign]
    if company.po_box is not None:
        return [_po_box(company, company.po_box)]
    visit: dict[str, Json] = {
        "type": "bezoekadres",
        "indAfgeschermd": "Nee",
        # the recorded value holds runs of padding spaces [§3]
        "volledigAdres": f"{street_line(company):<40}{company.postcode} {company.city}",
        "straatnaam": company.street,
        "huisnummer": company.number,
        "postcode": company.postcode,
        "plaats": company.city,
        "land": country,
    }
    if company.letter:
        visit["huisletter"] = company.letter
    if company.addition:
        visit["huisnummerToevoeging"] = company.addition
    if geo:
        visit["geoData"] = _geo(company)
    if int(company.kvk) % 5 == 2:
        return [visit, _po_box(company, int(company.kvk) % 8999 + 1)]
    return [visit]


def _po_box(company: SeedCompany, number: int) -> dict[str, Json]:
    return {
        "type": "correspondentieadres",
        "indAfgeschermd": "Nee",
        "volledigAdres": f"{f'Postbus {number}':<40}{company.postcode} {company.city}",
        "postbusnummer": number,
        "postcode": company.postcode,
        "plaats": company.city,
        "land": "Nederland",
    }


def _geo(company: SeedCompany) -> dict[str, Json]:
    spread = int(company.kvk) % 10_000
    return {
        "addresseerbaarObjectId": f"0363010{spread:09}",
        "nummerAanduidingId": f"0363200{spread:09}",
        "gpsLatitude": 51.5 + spread / 10_000,
        "gpsLongitude": 4.5 + spread / 10_000,
        "rijksdriehoekX": 100_000.5 + spread,
        "rijksdriehoekY": 450_000.5 + spread,
        "rijksdriehoekZ": 0.0,
    }


def _activities(company: SeedCompany) -> list[dict[str, Json]]:
    return [
        {"sbiCode": code, "sbiOmschrijving": text, "indHoofdactiviteit": ja(index == 0)}
        for index, (code, text) in enumerate(company.sbi)
    ]


def _trade_names(company: SeedCompany) -> list[dict[str, Json]]:
    names = dict.fromkeys([company.name, *(branch.name for branch in branches(company))])
    return [{"naam": name, "volgorde": index} for index, name in enumerate(names)]  # counted from 0, as recorded [§3]


def link(rel: str, href: str) -> dict[str, str]:
    """One entry of a `links` array."""
    return {"rel": rel, "href": href}


def basisprofiel(company: SeedCompany, base: str, *, geo: bool) -> dict[str, Json]:
    """The Basisprofiel, whole. [§3]"""
    self = f"{base}/api/v1/basisprofielen/{company.kvk}"
    profile: dict[str, Json] = {
        "kvkNummer": company.kvk,
        "indNonMailing": ja(company.do_not_mail),
        "naam": display_name(company),
        "formeleRegistratiedatum": date(company.started_on),
        "materieleRegistratie": _registration(company),
        "totaalWerkzamePersonen": company.employees,
    }
    if company.statutory_name:
        profile["statutaireNaam"] = company.statutory_name
    if company.branch:
        profile["handelsnamen"] = _trade_names(company)
    profile["sbiActiviteiten"] = _activities(company)
    profile["links"] = [link("self", self), link("vestigingen", f"{self}/vestigingen")]
    embedded: dict[str, Json] = {}
    if company.branch:
        embedded["hoofdvestiging"] = hoofdvestiging(company, base, geo=geo)
    embedded["eigenaar"] = eigenaar(company, base, geo=geo)
    profile["_embedded"] = embedded
    return profile


def eigenaar(company: SeedCompany, base: str, *, geo: bool) -> dict[str, Json]:
    """The owner. It carries the addresses of a company without a main branch. [§9, last line]"""
    self = f"{base}/api/v1/basisprofielen/{company.kvk}"
    short, long = _FORMS[company.kind]
    if company.kind == "bv" and int(company.kvk) % 2:
        short = "Besloten Vennootschap"  # both spellings are about [§3]
    owner: dict[str, Json] = {}
    if company.rsin:
        owner["rsin"] = company.rsin
    owner["rechtsvorm"] = short
    owner["uitgebreideRechtsvorm"] = long
    if company.ended_on and company.rsin:
        owner["datumUitschrijving"] = date(company.ended_on)
    if not company.branch:
        owner["adressen"] = addresses(company, geo=geo)
        owner["websites"] = [company.website] if company.website else []
    owner["links"] = [link("self", f"{self}/eigenaar"), link("basisprofiel", self)]
    return owner


def hoofdvestiging(company: SeedCompany, base: str, *, geo: bool) -> dict[str, Json]:
    """The main branch as embedded: without rsin, handelsnamen and sbiActiviteiten. [§3]"""
    self = f"{base}/api/v1/basisprofielen/{company.kvk}"
    shown = _vestiging(company, branches(company)[0], geo=geo)
    vestigingsprofiel_url = f"{base}/api/v1/vestigingsprofielen/{company.branch}"
    shown["links"] = [
        link("self", f"{self}/hoofdvestiging"),
        link("vestigingen", f"{self}/vestigingen"),
        link("basisprofiel", self),
        link("vestigingsprofiel", vestigingsprofiel_url),
    ]
    return shown


def _vestiging(company: SeedCompany, branch: Branch, *, geo: bool) -> dict[str, Json]:
    full_time = branch.employees - branch.employees // 4
    return {
        "vestigingsnummer": branch.number,
        "kvkNummer": company.kvk,
        "formeleRegistratiedatum": date(company.started_on),
        "materieleRegistratie": _registration(company),
        "eersteHandelsnaam": branch.name,
        "indHoofdvestiging": ja(branch.main),
        "indCommercieleVestiging": ja(branch.commercial),
        "voltijdWerkzamePersonen": full_time,
        "totaalWerkzamePersonen": branch.employees,
        "deeltijdWerkzamePersonen": branch.employees - full_time,
        "adressen": addresses(company, geo=geo),
        "websites": [company.website] if company.website else [],
    }


def vestigingen(company: SeedCompany, base: str) -> dict[str, Json]:
    """Every branch in short; not paged. [§3]"""
    self = f"{base}/api/v1/basisprofielen/{company.kvk}"
    every = branches(company)
    commercial = sum(branch.commercial for branch in every)
    address = addresses(company, geo=False)[0]
    items: list[dict[str, Json]] = []
    for branch in every:
        item: dict[str, Json] = {
            "vestigingsnummer": branch.number,
            "eersteHandelsnaam": branch.name,
            "indHoofdvestiging": ja(branch.main),
            "indAdresAfgeschermd": address["indAfgeschermd"],
            "indCommercieleVestiging": ja(branch.commercial),
        }
        if "volledigAdres" in address:
            item["volledigAdres"] = address["volledigAdres"]
        item["links"] = [link("vestigingsprofiel", f"{base}/api/v1/vestigingsprofielen/{branch.number}")]
        items.append(item)
    return {
        "kvkNummer": company.kvk,
        "aantalCommercieleVestigingen": commercial,
        "aantalNietCommercieleVestigingen": len(every) - commercial,
        "totaalAantalVestigingen": len(every),
        "vestigingen": items,
        "links": [link("self", f"{self}/vestigingen"), link("basisprofiel", self)],
    }


def vestigingsprofiel(company: SeedCompany, branch: Branch, base: str, *, geo: bool) -> dict[str, Json]:
    """One branch, whole. [§4]"""
    shown = _vestiging(company, branch, geo=geo)
    if company.rsin:
        shown["rsin"] = company.rsin
    if company.statutory_name:
        shown["statutaireNaam"] = company.statutory_name
    shown["indNonMailing"] = ja(company.do_not_mail)
    shown["handelsnamen"] = [{"naam": branch.name, "volgorde": 0}]
    shown["sbiActiviteiten"] = _activities(company)
    shown["links"] = [
        link("self", f"{base}/api/v1/vestigingsprofielen/{branch.number}"),
        link("basisprofiel", f"{base}/api/v1/basisprofielen/{company.kvk}"),
    ]
    return shown


def naamgeving(company: SeedCompany, base: str) -> dict[str, Json]:
    """Every name of a company and its branches. [§4]"""
    shown: dict[str, Json] = {"kvkNummer": company.kvk}
    if company.rsin:
        shown["rsin"] = company.rsin
    if company.statutory_name:
        shown["statutaireNaam"] = company.statutory_name
    shown["naam"] = display_name(company)
    shown["startdatum"] = _started(company)
    if company.ended_on:
        shown["einddatum"] = date(company.ended_on)
    items: list[dict[str, Json]] = []
    for branch in branches(company):
        item: dict[str, Json] = {"vestigingsnummer": branch.number}
        if branch.commercial:
            item |= {"eersteHandelsnaam": branch.name, "handelsnamen": [{"naam": branch.name, "volgorde": 0}]}
        else:
            item |= {"naam": branch.name, "ookGenoemd": company.name}
        item["links"] = [link("vestigingsprofiel", f"{base}/api/v1/vestigingsprofielen/{branch.number}")]
        items.append(item)
    shown["vestigingen"] = items
    shown["links"] = [
        link("self", f"{base}/api/v1/naamgevingen/kvknummer/{company.kvk}"),
        link("basisprofiel", f"{base}/api/v1/basisprofielen/{company.kvk}"),
    ]
    return shown
