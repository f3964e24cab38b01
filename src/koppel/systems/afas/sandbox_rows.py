"""The GetConnectors this app connector may use: their columns, and how a row is seen in the books.

All are standard but one the tenant made itself (`Hub_Debiteuren`: Dutch column names, the address in parts, a free field). Column names, casing and odd spellings are the vendor's.
[OAS 6.6.9] Widths and control types in metainfo are sensible ones (unverified).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from koppel.systems.afas.sandbox_books import KEY_FIELD, Books, Key, Row, day
from koppel.systems.afas.sandbox_errors import Label
from koppel.systems.afas.sandbox_fields import COUNTRIES, COUNTRY_BY_CODE

T = TypeVar("T")
_NOTHING: Row = {}


class Sight:
    """One row as a connector shows it: read by column name."""

    __slots__ = ("address", "books", "columns", "key", "org", "side")

    def __init__(
        self, books: Books, columns: Mapping[str, Column], key: Key, side: Row, org: Row, address: Row
    ) -> None:
        self.books = books
        self.columns = columns
        self.key = key
        self.side = side
        self.org = org
        self.address = address

    def __getitem__(self, name: str) -> Any:
        """The stored value: dates as stamps. Raises KeyError."""
        return self.columns[name].read(self)


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a GetConnector. `free`: the field of the tenant it shows, as (UpdateConnector, label)."""

    name: str
    type: str
    label: Label
    read: Callable[[Sight], Any]
    length: int = 0
    free: tuple[str, str] | None = None


Look = Callable[[Books, Any], Iterable[Key]]


@dataclass(frozen=True)
class GetConnector:
    """A definition. `equal` and `since` name the columns an index answers; `authorised`: the user's filter applies."""

    id: str
    label: Label
    columns: Mapping[str, Column]
    keys: Callable[[Books], Iterable[Key]]
    see: Callable[[Books, Mapping[str, Column], Key], Sight]
    equal: Mapping[str, Look] = field(default_factory=dict)
    since: Mapping[str, Look] = field(default_factory=dict)
    authorised: bool = True


# --- how a value is read ------------------------------------------------------------------------------------------


def _org(name: str) -> Callable[[Sight], Any]:
    return lambda sight: sight.org.get(name)


def _side(name: str, default: Any = None) -> Callable[[Sight], Any]:
    return lambda sight: sight.side.get(name, default)


def _adr(name: str) -> Callable[[Sight], Any]:
    return lambda sight: sight.address.get(name)


def _line1(address: Row) -> str | None:
    parts = (address.get("Ad"), address.get("HmNr"), address.get("HmAd"))
    return " ".join(str(part) for part in parts if part not in {None, ""}) or None


def _line3(address: Row) -> str | None:
    return " ".join(str(part) for part in (address.get("ZpCd"), address.get("Rs")) if part) or None


def country_name(address: Row) -> str | None:
    """The country as it is printed."""
    found = COUNTRY_BY_CODE.get(address.get("CoId") or "")
    return found.name if found else None


def _iso(address: Row) -> str | None:
    found = COUNTRY_BY_CODE.get(address.get("CoId") or "")
    return found.iso if found else None


def _date(text: str | None) -> int | None:
    return None if text is None else day(text)


def _sample(address: Row) -> str | None:
    return ", ".join(line for line in (_line1(address), _line3(address)) if line) or None


def _column(
    name: str, label: str, read: Callable[[Sight], Any], type_: str = "string", length: int = 0, nl: str = ""
) -> Column:
    return Column(name, type_, Label(label, nl or label), read, length if length or type_ != "string" else 80)


def _columns(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


def _lines(prefix: str) -> tuple[Column, ...]:
    """`AdressLine1` with one d, `Adressline1` with another l: as the vendor spells it per connector."""
    return (
        _column(f"{prefix}1", "Address line 1 (street - house number)", lambda s: _line1(s.address), nl="Adresregel 1"),
        _column(f"{prefix}3", "Address line 3 (postcode - city)", lambda s: _line3(s.address), nl="Adresregel 3"),
        _column(f"{prefix}4", "Address line 4 (country)", lambda s: country_name(s.address), nl="Adresregel 4"),
    )


def _stamps(owner: Callable[[Sight], Row]) -> tuple[Column, ...]:
    return (
        _column("CreateDate", "Created on", lambda s: owner(s).get("made"), "date", nl="Aangemaakt op"),
        _column("ModifiedDate", "Changed on", lambda s: owner(s).get("changed"), "date", nl="Gewijzigd op"),
    )


# --- the connectors -----------------------------------------------------------------------------------------------

_DEBTOR = _columns(
    _column("DebtorId", "Debtor number", lambda s: s.key, length=16, nl="Nummer debiteur"),
    _column("DebtorName", "Debtor name", _org("Nm"), length=255, nl="Naam debiteur"),
    _column("BcCo", "Nummer org./pers.", _side("BcCo"), length=15),
    _column("SearchName", "Search name", _org("SeNm"), length=10, nl="Zoeknaam"),
    *_lines("AdressLine"),
    _column("TelNr", "Work phone no.", _org("TeNr"), length=255, nl="Telefoonnr. werk"),
    _column("Email", "Work e-mail", _org("EmAd"), length=255, nl="E-mail werk"),
    _column("IBAN", "IBAN number", lambda s: s.side.get("Iban") or s.org.get("Iban"), length=40, nl="IBAN-nummer"),
    _column("VatNr", "VAT identification number", _side("VaId"), length=21, nl="Btw-identificatienummer"),
    _column("ChOfCommNr", "COC number", _org("CcNr"), length=30, nl="KvK-nummer"),
    _column("CollectAccount", "Summary account", _side("ColA"), length=16, nl="Verzamelrekening"),
    _column("PayCon", "Payment condition", _side("PaCd"), length=5, nl="Betalingsvoorwaarde"),
    _column("VatDuty", "VAT duty", _side("VaDu"), length=3, nl="Btw-plicht"),
    _column("Blocked", "Blocked for delivery", _side("Bl", False), "boolean", nl="Blokkeren voor levering"),
    _column("CreditLimit", "Credit limit", _side("Krli"), "decimal", nl="Kredietlimiet"),
    _column("CurrencyId", "Currency", _side("CuId"), length=3, nl="Valuta"),
    _column("AutoPayment", "Automatically collect", _side("AuPa", False), "boolean", nl="Automatisch incasseren"),
    *_stamps(lambda s: s.side),
)
_ORG_PER = _columns(
    _column("BcCo", "Number", lambda s: s.key, length=15, nl="Nummer"),
    _column("Type", "Soort basic contact", lambda s: s.org.get("Type", "ORG"), length=3),
    _column("SearchName", "Search name", _org("SeNm"), length=10, nl="Zoeknaam"),
    _column("Name", "Name", _org("Nm"), length=255, nl="Naam"),
    *_lines("AdressLine"),
    _column("TelWork", "Work phone no.", _org("TeNr"), length=255, nl="Telefoonnr. werk"),
    _column("MailWork", "Work e-mail", _org("EmAd"), length=255, nl="E-mail werk"),
    _column("Homepage", "Website", _org("HoPa"), length=255),
    _column("Note", "Remark", _org("Re"), nl="Opmerking"),
    _column("ChOfCommNr", "COC number", _org("CcNr"), length=30, nl="KvK-nummer"),
    _column("DateBirth", "Date of birth", lambda s: _date(s.org.get("DaBi")), "date", nl="Geboortedatum"),
    _column("BSN", "'BSN'", _org("SoSe"), length=25),
)
_CREDITOR = _columns(
    _column("CreditorId", "Creditor number", lambda s: s.key, length=16, nl="Nummer crediteur"),
    _column("CreditorName", "Creditor name", _org("Nm"), length=255, nl="Naam crediteur"),
    _column("BcCo", "Org nr.", _side("BcCo"), length=15),
    _column("SearchName", "Search name", _org("SeNm"), length=10, nl="Zoeknaam"),
    *_lines("Adressline"),
    _column("TelNr", "Work phone no.", _org("TeNr"), length=255, nl="Telefoonnr. werk"),
    _column("Email", "Work e-mail", _org("EmAd"), length=255, nl="E-mail werk"),
    _column("IBAN", "IBAN number", _org("Iban"), length=40, nl="IBAN-nummer"),
    _column("Btw-nummer", "VAT identification number", _side("VaId"), length=21, nl="Btw-identificatienummer"),
    _column("ChOfCommNr", "COC number", _org("CcNr"), length=30, nl="KvK-nummer"),
    _column("PaymentCondition", "Betalingsvoorwaarde", _side("PaCd"), length=5),
    _column("CreditLimit", "Credit limit", _side("Krli"), "decimal", nl="Kredietlimiet"),
    _column("TempBlocked", "Block temporarily", _side("TempBlocked", False), "boolean", nl="Tijdelijk blokkeren"),
    _column("VatDuty", "VAT duty", _side("VaDu"), length=3, nl="Btw-plicht"),
    _column("AutoPayment", "Automatic payment", _side("AuPa", True), "boolean", nl="Automatisch betalen"),
    _column("Blocked", "Block completely, no longer visible", _side("Bl", False), "boolean", nl="Volledig blokkeren"),
    *_stamps(lambda s: s.side),
)
_ADDRESS = _columns(
    _column("AddressId", "Address ID", lambda s: s.key, "int", nl="Adres-ID"),
    _column("AddressLine", "Sample address on 1 line", lambda s: _sample(s.address), nl="Voorbeeldadres op 1 regel"),
    _column("PoBox", "P.O. Box address", lambda s: s.address.get("PbAd", False), "boolean", nl="Postbusadres"),
    _column("AddressAdd", "Add. for street", _adr("StAd"), nl="Toev. voor straat"),
    _column("Address", "Street", _adr("Ad"), length=60, nl="Straat"),
    _column("Number", "House number", _adr("HmNr"), "int", nl="Huisnummer"),
    _column("NumberAdd", "House number addition", _adr("HmAd"), length=30, nl="Toev. aan huisnr."),
    _column("ZipCode", "Postal code", _adr("ZpCd"), length=15, nl="Postcode"),
    _column("Recidence", "City", _adr("Rs"), length=50, nl="Woonplaats"),
    _column("Country", "Country", _adr("CoId"), length=3, nl="Land"),  # the tenant's code (unverified)
    _column("Addition", "Addition to address", _adr("AdAd"), nl="Toev. aan adres"),
    *_stamps(lambda s: s.address),
)
# The only standard connector that says whose an address is and gives it in parts. `Gewijzigd_op` is taken to be the
# contact's stamp, `Gewijzigd_op_2` the address's, the type code to be the one of the object it is written with (unverified).
_DELIVERY_ADDRESS = _columns(
    _column("OrgId", "Number", lambda s: s.key[0], length=15, nl="Nummer"),
    _column("Bedrijf", "Name", _org("Nm"), length=255, nl="Naam"),
    _column("Tel", "Work phone no.", _org("TeNr"), length=255, nl="Telefoonnr. werk"),
    _column("Fax", "Work fax", _org("FaNr"), length=255, nl="Fax werk"),
    _column("Mail", "Work e-mail", _org("EmAd"), length=255, nl="E-mail werk"),
    _column("Gewijzigd_op", "Changed on", _org("changed"), "date", nl="Gewijzigd op"),
    _column("Gewijzigd_op_2", "Changed on", _adr("changed"), "date", nl="Gewijzigd op"),
    _column("Is_debiteur", "Debtor", lambda s: bool(s.side), "boolean", nl="Debiteur"),
    _column("Adres_ID", "Address ID", _adr("AddressId"), "int", nl="Adres-ID"),
    _column("Adrestype_code", "Add. for street", _adr("StAd"), nl="Toev. voor straat"),
    _column("A_Straat", "Street", _adr("Ad"), length=60, nl="Straat"),
    _column("A_Huisnummer", "House number", _adr("HmNr"), "int", nl="Huisnummer"),
    _column("A_Toev_Huisnr.", "House number addition", _adr("HmAd"), length=30, nl="Toev. aan huisnr."),
    _column("A_Postcode", "Postal code", _adr("ZpCd"), length=15, nl="Postcode"),
    _column("A_Woonplaats", "City", _adr("Rs"), length=50, nl="Woonplaats"),
    _column("Adrestype_code_2", "Adrestype code", lambda s: s.key[1].upper(), length=3),
    _column("A_Land", "ISO Alpha-2", lambda s: _iso(s.address), length=2),
    _column("DebiteurID", "Debiteur Id", _side("DbId"), length=16),
)


def _free(name: str, connector: str, label: str, type_: str, length: int = 0) -> Column:
    """A column on a field of the tenant's own, which each environment knows by another id."""

    def read(sight: Sight) -> Any:
        row = sight.side if connector == "KnSalesRelationOrg" else sight.org
        for own in sight.books.free.get(connector, ()):
            if own.label.nl == label:
                value = row.get(own.name)
                return _date(value) if own.type == "date" else value
        return None

    return Column(name, type_, Label(label, label), read, length, free=(connector, label))


CHECKED_ON, MARK = "KvK gecontroleerd op", "Kenmerk koppeling"
_HUB = _columns(
    _column("Debiteurnummer", "Debiteurnummer", lambda s: s.key, length=16),
    _column("Organisatienummer", "Organisatienummer", _side("BcCo"), length=15),
    _column("Naam", "Naam", _org("Nm"), length=255),
    _column("Naam_statutair", "Naam (statutair)", _org("NmRg"), length=80),
    _column("KvK_nummer", "KvK-nummer", _org("CcNr"), length=30),
    _column("Vestigingsnummer", "Vestigingsnummer", _org("BrNr"), length=30),
    _column("Fiscaal_nummer", "Fiscaal nummer", _org("FiNr"), length=9),
    _column("Btw_nummer", "Btw-nummer", _side("VaId"), length=21),
    _column("Website", "Website", _org("HoPa"), length=255),
    _column("Postbus", "Postbusadres", lambda s: s.address.get("PbAd", False), "boolean"),
    _column("Straat", "Straat", _adr("Ad"), length=60),
    _column("Huisnummer", "Huisnummer", _adr("HmNr"), "int"),
    _column("Toevoeging", "Toev. aan huisnr.", _adr("HmAd"), length=30),
    _column("Postcode", "Postcode", _adr("ZpCd"), length=15),
    _column("Woonplaats", "Woonplaats", _adr("Rs"), length=50),
    _column("Land", "Land", _adr("CoId"), length=3),
    _column("Geblokkeerd", "Volledig geblokkeerd", _side("BlTl", False), "boolean"),
    _column("Externe_sleutel", "Externe sleutel", _org("XpRe"), length=40),
    _free("KvK_gecontroleerd_op", "KnOrganisation", CHECKED_ON, "date"),
    _free("Kenmerk_koppeling", "KnSalesRelationOrg", MARK, "string", 40),
    _column("Gewijzigd_op", "Gewijzigd op", _side("changed"), "date"),
)  # fmt: skip


def _current(books: Books, org: Row, side: str = "adr") -> Row:
    return books.addresses.get(org.get(side) or 0, _NOTHING)


def _see_side(kind: str) -> Callable[[Books, Mapping[str, Column], Key], Sight]:
    def see(books: Books, columns: Mapping[str, Column], key: Key) -> Sight:
        row = books.tables[kind].rows[key]
        org = books.organisations[row["BcCo"]]
        return Sight(books, columns, key, row, org, _current(books, org))

    return see


def _see_organisation(books: Books, columns: Mapping[str, Column], key: Key) -> Sight:
    org = books.organisations[key]
    return Sight(books, columns, key, _NOTHING, org, _current(books, org))


def _see_address(books: Books, columns: Mapping[str, Column], key: Key) -> Sight:
    return Sight(books, columns, key, _NOTHING, _NOTHING, books.addresses[key])


def _see_place(books: Books, columns: Mapping[str, Column], key: Key) -> Sight:
    org = books.organisations[key[0]]
    debtors = books.tables["debtor"].found("BcCo", key[0])
    side = books.debtors[debtors[0]] if debtors else _NOTHING
    return Sight(books, columns, key, side, org, _current(books, org, key[1].lower()))


def _places(books: Books, bccos: Iterable[Key]) -> Iterable[Key]:
    for bcco in bccos:
        org = books.organisations.get(bcco, _NOTHING)
        for side in ("Adr", "Pad"):
            if org.get(side.lower()) is not None:
                yield (bcco, side)


def _by_organisation(kind: str, name: str) -> Look:
    """Debtors or creditors whose organisation carries that value."""

    def look(books: Books, value: Any) -> Iterable[Key]:
        for bcco in books.tables["organisation"].found(name, value):
            yield from books.tables[kind].found("BcCo", bcco)

    return look


def _by_key(kind: str) -> Look:
    return _found(kind, KEY_FIELD[kind])


def _found(kind: str, name: str) -> Look:
    return lambda books, value: books.tables[kind].found(name, value)


def _since(kind: str) -> Look:
    return lambda books, stamp: books.tables[kind].since(stamp)


def _moved(books: Books, stamp: int) -> Iterable[Key]:
    for id_ in books.tables["address"].since(stamp):
        yield from _places(books, books.tables["organisation"].found("address", id_))


def _all(kind: str) -> Callable[[Books], Iterable[Key]]:
    return lambda books: books.tables[kind].rows


def _debtors(id_: str, label: Label, columns: dict[str, Column], names: Mapping[str, str]) -> GetConnector:
    """A connector on debtors; `names` says what its key, BcCo, KVK, VAT and stamp columns are called."""
    return GetConnector(
        id_,
        label,
        columns,
        _all("debtor"),
        _see_side("debtor"),
        {
            names["key"]: _by_key("debtor"),
            names["bcco"]: _found("debtor", "BcCo"),
            names["kvk"]: _by_organisation("debtor", "CcNr"),
            names["vat"]: _found("debtor", "VaId"),
            names["name"]: _by_organisation("debtor", "Nm"),
        },
        {names["stamp"]: _since("debtor")},
    )


CONNECTORS: dict[str, GetConnector] = {
    connector.id: connector
    for connector in (
        _debtors(
            "Profit_Debtor",
            Label("Debtors", "Debiteuren"),
            _DEBTOR,
            {"key": "DebtorId", "bcco": "BcCo", "kvk": "ChOfCommNr", "vat": "VatNr", "name": "DebtorName", "stamp": "ModifiedDate"},
        ),
        GetConnector(
            "Profit_OrgPer",
            Label("Organisations/Persons (excl. authorisation)", "Organisaties/personen (excl. autorisatie)"),
            _ORG_PER,
            _all("organisation"),
            _see_organisation,
            {
                "BcCo": _by_key("organisation"),
                "ChOfCommNr": _found("organisation", "CcNr"),
                "Name": _found("organisation", "Nm"),
            },
            authorised=False,
        ),
        GetConnector(
            "Profit_Creditor",
            Label("Creditors", "Crediteuren"),
            _CREDITOR,
            _all("creditor"),
            _see_side("creditor"),
            {
                "CreditorId": _by_key("creditor"),
                "BcCo": _found("creditor", "BcCo"),
                "ChOfCommNr": _by_organisation("creditor", "CcNr"),
            },
            {"ModifiedDate": _since("creditor")},
        ),
        GetConnector(
            "Profit_Address",
            Label("Address", "Adres"),
            _ADDRESS,
            _all("address"),
            _see_address,
            since={"ModifiedDate": _since("address")},
            authorised=False,
        ),
        GetConnector(
            "Profit_Deliveryaddress",
            Label("Addresses at contacts (all)", "Adressen bij contacten (alle)"),
            _DELIVERY_ADDRESS,
            lambda books: _places(books, books.organisations),
            _see_place,
            {
                "OrgId": lambda books, value: _places(books, _by_key("organisation")(books, value)),
                "DebiteurID": lambda books, value: _places(
                    books, [books.debtors[key]["BcCo"] for key in _by_key("debtor")(books, value)]
                ),
            },
            {
                "Gewijzigd_op": lambda books, stamp: _places(books, books.tables["organisation"].since(stamp)),
                "Gewijzigd_op_2": _moved,
            },
        ),
        _debtors(
            "Hub_Debiteuren",
            Label("Debiteuren voor de koppeling", "Debiteuren voor de koppeling"),
            _HUB,
            {
                "key": "Debiteurnummer", "bcco": "Organisatienummer", "kvk": "KvK_nummer", "vat": "Btw_nummer",
                "name": "Naam", "stamp": "Gewijzigd_op",
            },
        ),
        GetConnector(
            "ProfitCountries",
            Label("Countries", "Landen"),
            _columns(
                _column("CoId", "Country code", lambda s: s.key, length=3, nl="Landcode"),
                _column("Co", "Country", lambda s: COUNTRY_BY_CODE[s.key].name, length=50, nl="Land"),
            ),
            lambda books: [country.code for country in COUNTRIES],
            lambda books, columns, key: Sight(books, columns, key, _NOTHING, _NOTHING, _NOTHING),
            authorised=False,
        ),
    )
}  # fmt: skip
OWN_CONNECTORS = frozenset({"Hub_Debiteuren"})
