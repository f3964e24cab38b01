"""What KVK's fields mean: a Basisprofiel or a search result becomes a Company.

`without_hidden` runs before a record leaves the exchange: what the register shields, and a sole trader's RSIN (which
would be the person's BSN), is taken out of the raw fields too, so that it can be stored nowhere (rules B3, B13).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date

import msgspec

from koppel.formats import InvalidNumber, branch, kvk, postcode, rsin, vat
from koppel.model.address import Address
from koppel.model.company import Company, Sbi
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.systems.kvk.countries import COUNTRIES
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Decoded, Item

VISIT, POSTAL = "bezoekadres", "correspondentieadres"
# Not a word of KVK's: the profile names no successor, so what a search at the same address found is put beside it.
PROPOSED_SUCCESSOR = "koppel:successor"
SOLE_TRADER = "Eenmanszaak"
# Voortgezet door, overgedragen aan: the roles of who carries on [kvk-connect docs/mutatieservice].
SUCCESSOR_ROLES = frozenset({"VG", "OG"})

# KVK spells forms with and without spaces [cassette, portal]; compared by their letters only.
_LEGAL_FORMS = {
    "beslotenvennootschap": "Besloten Vennootschap",
    "bv": "Besloten Vennootschap",
    "naamlozevennootschap": "Naamloze Vennootschap",
    "nv": "Naamloze Vennootschap",
    "eenmanszaak": SOLE_TRADER,
    "vennootschaponderfirma": "Vennootschap onder Firma",
    "vof": "Vennootschap onder Firma",
    "commanditairevennootschap": "Commanditaire Vennootschap",
    "cv": "Commanditaire Vennootschap",
    "maatschap": "Maatschap",
    "stichting": "Stichting",
    "vereniging": "Vereniging",
    "verenigingvaneigenaars": "Vereniging van Eigenaars",
    "cooperatie": "Coöperatie",
    "onderlingewaarborgmaatschappij": "Onderlinge Waarborgmaatschappij",
    "kerkgenootschap": "Kerkgenootschap",
}


# --- before it leaves the exchange ----------------------------------------------------------------------------------


def without_hidden(profile: dict[str, Json]) -> dict[str, Json]:
    """The profile without shielded address parts, without a sole trader's RSIN, links and coordinates (never used).

    When one address of a type is shielded, others of that type stay only if they are marked as open.
    """
    shielded = [address.get("type") for address in _addresses_within(profile) if address.get("indAfgeschermd") == "Ja"]
    personal = is_personal(profile)

    def clean(value: Json) -> Json:
        if isinstance(value, list):
            return [clean(part) for part in value]
        if not isinstance(value, dict):
            return value
        if _is_address(value) and value.get("type") in shielded and value.get("indAfgeschermd") != "Nee":
            return {"type": value.get("type"), "indAfgeschermd": "Ja"}
        return {key: clean(part) for key, part in value.items() if not _dropped(key)}

    def _dropped(key: str) -> bool:
        return key in {"links", "_links", "geoData"} or (key == "rsin" and personal)

    return clean(profile)


def is_personal(profile: dict[str, Json]) -> bool:
    """Whether the record is personal data: a sole trader's, who *is* the firm.

    A partnership (VoF, maatschap, CV) is not: it has an RSIN and a VAT number of its own. Without any sign of a legal
    person (form, RSIN, statutes) the careful answer is yes.
    """
    eigenaar = _embedded(profile, "eigenaar")
    forms = [legal_form(_text(eigenaar.get(key))) for key in ("rechtsvorm", "uitgebreideRechtsvorm")]
    if any(forms):
        return SOLE_TRADER in forms
    return not (eigenaar.get("rsin") or profile.get("statutaireNaam"))


# --- a profile becomes a company -------------------------------------------------------------------------------------


def decode_profile(settings: Settings, item: Item, own: tuple[str, ...] = ()) -> Decoded:
    """Translate a Basisprofiel (already `without_hidden`); what could not be read is left out and named."""
    profile = without_hidden(item.fields)
    hoofdvestiging, eigenaar = _embedded(profile, "hoofdvestiging"), _embedded(profile, "eigenaar")
    problems: list[Problem] = []
    trade_name, statutory_name = _trade_name(profile, hoofdvestiging), _text(profile.get("statutaireNaam"))
    rsin_number = _number(rsin.validate, eigenaar.get("rsin"), "rsin", problems)
    personal = is_personal(profile)
    candidate = vat.from_rsin(rsin_number) if rsin_number and not personal else None
    registration = _object(profile.get("materieleRegistratie"))
    ended = _text(registration.get("datumEinde")) or _text(eigenaar.get("datumUitschrijving"))
    company = Company(
        name=trade_name if settings.name == "trade" else statutory_name or trade_name,
        trade_name=trade_name,
        statutory_name=statutory_name,
        kvk=_number(kvk.validate, profile.get("kvkNummer"), "kvkNummer", problems),
        branch=_number(branch.validate, hoofdvestiging.get("vestigingsnummer"), "vestigingsnummer", problems),
        rsin=rsin_number,
        vat_candidate=candidate,
        vat_state="candidate" if candidate else None,
        legal_form=legal_form(_text(eigenaar.get("rechtsvorm")) or _text(eigenaar.get("uitgebreideRechtsvorm"))),
        sbi=_sbi(profile.get("sbiActiviteiten") or hoofdvestiging.get("sbiActiviteiten")),
        is_active=ended is None,
        started_on=_date(registration.get("datumAanvang"), "datumAanvang", problems),
        ended_on=_date(ended, "datumEinde", problems),
        successor=_number(kvk.validate, profile.get(PROPOSED_SUCCESSOR), PROPOSED_SUCCESSOR, problems),
        do_not_mail=_do_not_mail(profile, hoofdvestiging),
        employees=read_count(profile.get("totaalWerkzamePersonen"), hoofdvestiging.get("totaalWerkzamePersonen")),
        personal=personal,
        address=_address_of(VISIT, hoofdvestiging, eigenaar, problems),
        postal_address=_address_of(POSTAL, hoofdvestiging, eigenaar, problems),
        website=_website(hoofdvestiging, eigenaar),
    )
    return Decoded(Record(company, {name: _own(profile, name) for name in own}), tuple(problems))


def decode_branch(settings: Settings, item: Item, own: tuple[str, ...] = ()) -> Decoded:
    """Translate a Vestigingsprofiel: the company as this branch of it stands, with the branch's visit address.

    It names no owner, so that legal form is never known; the RSIN stays only beside a name in statutes, i.e. a legal person's.
    """
    vestiging = without_hidden(item.fields)
    whole = {"_embedded": {"hoofdvestiging": vestiging, "eigenaar": {"rsin": vestiging.get("rsin")}}}
    return decode_profile(settings, msgspec.structs.replace(item, fields=vestiging | whole), own)


def is_branch(fields: dict[str, Json]) -> bool:
    """Whether these are a Vestigingsprofiel's fields: a Basisprofiel has its branch number further in."""
    return "vestigingsnummer" in fields


def ended(profile: dict[str, Json]) -> bool:
    """Whether the profile says that the company has ended."""
    registration, eigenaar = _object(profile.get("materieleRegistratie")), _embedded(profile, "eigenaar")
    return bool(_text(registration.get("datumEinde")) or _text(eigenaar.get("datumUitschrijving")))


def address_criteria(profile: dict[str, Json]) -> tuple[tuple[str, str], ...]:
    """The open Dutch visit address as Zoeken's parameters; empty when there is none to search by."""
    for holder in (_embedded(profile, "hoofdvestiging"), _embedded(profile, "eigenaar")):
        for adres in _objects(holder.get("adressen")):
            if adres.get("type") == VISIT:
                code = _number(postcode.validate, adres.get("postcode"), "postcode", [])
                number, letter = _text(adres.get("huisnummer") or None), _text(adres.get("huisletter"))
                if code is None or number is None or adres.get("indAfgeschermd") == "Ja":
                    return ()
                named = (("postcode", code), ("huisnummer", number), ("huisletter", letter))
                return tuple((name, value) for name, value in named if value)
    return ()


def read_rows(body: dict[str, Json]) -> list[dict[str, Json]]:
    """The results on one page of a search."""
    return _objects(body.get("resultaten"))


def decode_hit(item: Item) -> Decoded:
    """Translate one search result: enough to choose from, far from a whole company."""
    hit = item.fields
    problems: list[Problem] = []
    adres = _object(hit.get("adres"))
    inland, abroad = _object(adres.get("binnenlandsAdres")), _object(adres.get("buitenlandsAdres"))
    found = inland or abroad
    address = read_address(found, problems) if found else None
    is_visit = not inland or inland.get("type", VISIT) == VISIT
    actief = _yes_no(hit.get("actief"))
    company = Company(
        name=_text(hit.get("naam")),
        kvk=_number(kvk.validate, hit.get("kvkNummer"), "kvkNummer", problems),
        branch=_number(branch.validate, hit.get("vestigingsnummer"), "vestigingsnummer", problems),
        is_active=actief,
        address=address if is_visit else None,
        postal_address=None if is_visit else address,
    )
    return Decoded(Record(company), tuple(problems))


def read_signals(body: dict[str, Json]) -> list[dict[str, Json]]:
    """The signals on one page of the Mutatieservice."""
    return _objects(body.get("signalen"))


def read_successor(signaal: dict[str, Json]) -> tuple[str, str] | None:
    """Who a signal says has taken a company over, as (old number, new number); None when it names nobody for all of it.

    The type's own block holds the role and the other's number; how deep differs by version [innovatiespotter docs], so it is
    looked for. A signal about some of the branches only says nothing about the company: it goes on elsewhere.
    """
    about = _object(signaal.get("heeftBetrekkingOp"))
    old = _number(kvk.validate, about.get("kvkNummer"), "kvkNummer", [])
    branches = {_text(part.get("vestigingsnummer")) for part in _objects(about.get("wordtUitgeoefendIn"))}
    blocks = [value for key, value in signaal.items() if key != "heeftBetrekkingOp"]
    for block in _objects_within(blocks):
        new = _number(kvk.validate, block.get("kvkNummer"), "kvkNummer", [])
        if old is None or new in {None, old} or not _has_role(block):
            continue
        moved = {_text(part) for part in _list(_object(block.get("betrokkenVestigingen")).get("vestigingsnummers"))}
        if new and not (moved and branches - moved):
            return old, new
    return None


def decode_signal(item: Item) -> Decoded:
    """Translate what a signal says of a succession: two numbers, the old one's successor being the new one."""
    problems: list[Problem] = []
    company = Company(
        kvk=_number(kvk.validate, item.fields.get("kvkNummer"), "kvkNummer", problems),
        successor=_number(kvk.validate, item.fields.get("opvolger"), "opvolger", problems),
    )
    return Decoded(Record(company), tuple(problems))


def _has_role(block: dict[str, Json]) -> bool:
    """Whether the block says "continued by" (VG) or "transferred to" (OG), as a text or as a code one step deeper."""
    values = [*block.values(), *(_object(value).get("code") for value in block.values())]
    return any(isinstance(value, str) and value in SUCCESSOR_ROLES for value in values)


def _objects_within(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else _list(value):
        yield from _objects_within(part)


def legal_form(text: str | None) -> str | None:
    """The legal form as readable Dutch, however KVK spelt it.

    >>> legal_form("BeslotenVennootschap") == legal_form("Besloten Vennootschap") == "Besloten Vennootschap"
    True
    >>> legal_form("BuitenlandseRechtsvorm")
    'Buitenlandse Rechtsvorm'
    """
    if not text:
        return None
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    known = _LEGAL_FORMS.get(re.sub(r"[^a-z]", "", plain.lower()))
    return known or " ".join(re.sub(r"(?<=[a-zë])(?=[A-Z])", " ", text).split())


def read_date(text: str) -> str | None:
    """A register date as ISO, cut to what is known; None when nothing of it is.

    >>> read_date("20180312"), read_date("20180300"), read_date("20180000"), read_date("00000000")
    ('2018-03-12', '2018-03', '2018', None)

    Raises ValueError when it is no date at all.
    """
    digits = text.replace("-", "")
    if not (len(digits) == 8 and digits.isascii() and digits.isdigit()):
        raise ValueError("a register date has eight digits, YYYYMMDD")
    year, month, day = digits[:4], digits[4:6], digits[6:]
    if year == "0000":
        return None
    # Unknown parts are zeros [skill]; the known ones must exist in the calendar.
    date(int(year), int(month) or 1, int(day) or 1)
    if month == "00":
        return year
    return f"{year}-{month}" if day == "00" else f"{year}-{month}-{day}"


def read_address(adres: dict[str, Json], problems: list[Problem]) -> Address | None:
    """One address in the shape it has: shielded, P.O. box, foreign, or street and number (rule B18)."""
    if adres.get("indAfgeschermd") == "Ja":
        return Address(shielded=True)
    land = _text(adres.get("land"))
    country = COUNTRIES.get(_folded(land)) if land else "NL"
    if country is None:
        problems.append(
            Problem("country_unknown", f"The country name {land!r} is not known; set the country by hand.", "land")
        )
    if adres.get("straatHuisnummer") or adres.get("postcodeWoonplaats") or country != "NL":
        return _foreign(adres, land=land, country=country)
    code, city = _postcode(adres, problems), _text(adres.get("plaats"))
    if adres.get("postbusnummer"):
        return Address(po_box=_text(adres["postbusnummer"]), postcode=code, city=city, country="NL")
    street = _text(adres.get("straatnaam"))
    whole = _text(adres.get("volledigAdres"))
    if street is None and code is None and city is None:
        if whole is None:
            return None
        # One string only: kept whole for a person to split, not split by guess (rule B18).
        problems.append(
            Problem("address_whole", "KVK gave this address in one string; split it by hand.", "volledigAdres")
        )
        return Address(lines=(whole,), country="NL")
    return Address(
        street=street,
        number=_text(adres.get("huisnummer") or None),
        suffix=_suffix(_text(adres.get("huisletter")), _text(adres.get("huisnummerToevoeging"))),
        postcode=code,
        city=city,
        country="NL",
    )


# --- parts ----------------------------------------------------------------------------------------------------------


def _foreign(adres: dict[str, Json], *, land: str | None, country: str | None) -> Address | None:
    structured = (_text(adres.get("straatHuisnummer")), _text(adres.get("postcodeWoonplaats")))
    lines = [line for line in structured if line] or [line for line in (_text(adres.get("volledigAdres")),) if line]
    if not lines:
        street = " ".join(
            str(adres[key])
            for key in ("straatnaam", "huisnummer", "huisletter", "huisnummerToevoeging")
            if adres.get(key)
        )
        place = " ".join(str(adres[key]) for key in ("postcode", "plaats") if adres.get(key))
        lines = [line for line in (street, place) if line]
    # An unknown country's name stays readable in the last line, so that nothing is lost. A home country that only
    # has the foreign shape is no country at all: KVK leaves `land` out at times.
    if land and country is None:
        lines.append(land)
    return (
        Address(lines=tuple(lines), region=_text(adres.get("regio")), country=country if land else None)
        if lines
        else None
    )


def _suffix(huisletter: str | None, toevoeging: str | None) -> str | None:
    """House letter and addition as the address registration writes them: `A`, `2`, `A-2`."""
    return "-".join(part for part in (huisletter, toevoeging) if part) or None


def _postcode(adres: dict[str, Json], problems: list[Problem]) -> str | None:
    return _number(postcode.validate, adres.get("postcode"), "postcode", problems)


def _address_of(
    kind: str, hoofdvestiging: dict[str, Json], eigenaar: dict[str, Json], problems: list[Problem]
) -> Address | None:
    """The main branch's address of that type; a foundation has no main branch, then the owner's [cassette vve]."""
    for holder in (hoofdvestiging, eigenaar):
        for adres in _objects(holder.get("adressen")):
            if adres.get("type") == kind:
                return read_address(adres, problems)
    return None


def _trade_name(profile: dict[str, Json], hoofdvestiging: dict[str, Json]) -> str | None:
    first = _text(hoofdvestiging.get("eersteHandelsnaam"))
    if first:
        return first
    # The list also holds names of other branches; the lowest order is the firm's own first name [cassette].
    named = sorted(_objects(profile.get("handelsnamen")), key=lambda name: read_count(name.get("volgorde")) or 0)
    candidates = (*(name.get("naam") for name in named), profile.get("naam"), profile.get("statutaireNaam"))
    return next((text for text in map(_text, candidates) if text), None)


def _sbi(activiteiten: Json) -> tuple[Sbi, ...]:
    """Main activity first, the rest in KVK's order."""
    activities = [
        Sbi(code, _text(activity.get("sbiOmschrijving")) or "", activity.get("indHoofdactiviteit") == "Ja")
        for activity in _objects(activiteiten)
        if (code := _text(activity.get("sbiCode")))
    ]
    return tuple(sorted(activities, key=lambda activity: not activity.main))


def _do_not_mail(*holders: dict[str, Json]) -> bool | None:
    """One yes is enough; silence everywhere is silence."""
    answers = [_yes_no(holder.get("indNonMailing")) for holder in holders]
    return True if True in answers else (False if False in answers else None)


def _website(*holders: dict[str, Json]) -> str | None:
    sites = (site for holder in holders for site in _list(holder.get("websites")))
    return next((text for text in map(_text, sites) if text), None)


def _number(validate: Callable[[str], str], value: Json, field: str, problems: list[Problem]) -> str | None:
    """A number through its format's `validate`; a bad one is left out and named, never shown."""
    text = _text(value)
    if text is None:
        return None
    try:
        return validate(text)
    except InvalidNumber as error:
        problems.append(Problem("number_unreadable", f"KVK gave a number that {error.reason}; it is left out.", field))
        return None


def _date(value: Json, field: str, problems: list[Problem]) -> str | None:
    text = _text(value)
    if text is None:
        return None
    try:
        return read_date(text)
    except ValueError:
        problems.append(Problem("date_unreadable", f"KVK gave {text!r}, which is no date; it is left out.", field))
        return None


def _own(profile: dict[str, Json], name: str) -> Json:
    """A vendor field by KVK's name: from the profile, its owner or its main branch; never a structure."""
    for holder in (profile, _embedded(profile, "eigenaar"), _embedded(profile, "hoofdvestiging")):
        value = holder.get(name)
        if value is not None and not isinstance(value, dict | list):
            return _text(value) if isinstance(value, str) else value
    return None


def _is_address(value: dict[str, Json]) -> bool:
    return "indAfgeschermd" in value or value.get("type") in (VISIT, POSTAL)


def _addresses_within(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        if _is_address(value):
            yield value
        for part in value.values():
            yield from _addresses_within(part)
    elif isinstance(value, list):
        for part in value:
            yield from _addresses_within(part)


def _embedded(profile: dict[str, Json], name: str) -> dict[str, Json]:
    return _object(_object(profile.get("_embedded")).get(name))


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _objects(value: Json) -> list[dict[str, Json]]:
    return [part for part in _list(value) if isinstance(part, dict)]


def _text(value: Json) -> str | None:
    """Text without padding (KVK pads `volledigAdres` with runs of spaces [cassette]); empty text is no value."""
    return " ".join(str(value).split()) or None if isinstance(value, str | int) else None


def _yes_no(value: Json) -> bool | None:
    return {"Ja": True, "Nee": False}.get(value) if isinstance(value, str) else None


def read_count(*values: Json) -> int | None:
    """The first of the values that is a whole number."""
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def _folded(text: str) -> str:
    """Lower case without accents, for looking up a name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(plain.lower().split())
