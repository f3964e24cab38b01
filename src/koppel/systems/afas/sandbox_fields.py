"""What the UpdateConnectors of this tenant take: our own table of names, types, lengths and codes.

One word per field: `Name:type`, the length of a text, and `!` when the schema lists it as mandatory. Types: `s` text,
`i` whole number, `d` decimal, `b` yes/no, `D` date, `B` memo or file. [OAS 6.6.9] Contacts (KnContact, KnPerson) are not
imitated and are therefore missing from metainfo, as they are for an app connector without rights to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from koppel.systems.afas.sandbox_errors import Label

_TYPES = {"s": "string", "i": "int", "d": "decimal", "b": "boolean", "D": "date", "B": "blob"}

_ORGANISATION = """
    PadAdr:b! AutoNum:b! MatchOga:s1! BcId:i! BcCo:s15! SeNm:s10 Nm:s255! ViLe:s20 ViLb:s20 CcNr:s30 CcDa:D
    BrNr:s30 NmRg:s80 RsRg:s50 TtId:s3 LeHe:s255 OuId:s10 TeNr:s255 FaNr:s255 MbNr:s255 EmAd:s255 HoPa:s255
    Corr:b ViMd:s20 Re:B FiNr:s9 StId:s20 EmAm:s20 SocN:s255 CrIb:s9 Face:s255 Link:s255 Twtr:s255 LgId:s3
    XpRe:s40 SBIc:s10 BcPa:s15 FileId:s32 FileName:s255 FileStream:B
"""
_ONLY_ALONE = frozenset({"BrNr", "EmAm", "CrIb", "XpRe", "SBIc", "FileId"})  # the nested form lacks these
_DEBTOR = """
    DbId:s16 Iban:s40 BaAc:s40 CoId:s3 IsDb:b ToAc:s16 VaId:s21 PaCd:s5 VeId:s16 LgId:s3 CuId:s3! DsId:i
    EmId:s15 VaDu:s3 PfId:s16 PrLi:d PrFc:d ClPc:d PrPt:d Krli:d FaTo:s16 TrPt:s16 PrDl:i PrVn:s16 PrLs:s5
    VkMa:s15 Bl:b BlTl:b VaLi:b LDId:s15 VaYN:b DuYN:b VaIg:s20 VaGu:s20 DsGr:s5 NtPr:b VtIn:b InTx:s40 CITo:b
    TxTc:s40 StMa:b MaIn:d StMi:b MiIn:d RoOf:s5 DeId:s15 PaSp:b AuPa:b PaCo:b SiPA:b WaOr:b WaTx:s255 CsTy:s1
    Rm:B CdDa:i! CtP1:i CtP2:i ColA:s16 CsDa:D BcBy:s15 DeCo:s20 CtI1:i InPv:s20 SoId:s8 VaBc:s20 BaCo:s30
    CoDs:s8 MnOr:b EDDn:b VaA1:s10 VaA2:s10 VaA3:s10 VaA4:s10 VaA5:s10 Pwrd:s255 AtCd:s255 AcTp:s255 OrPr:s20
    AsGr:s5 AsYN:b OINr:s40 VaDt:s20 EnId:s50 VaTp:s20 ReCo:b EORI:s17
"""
_ADDRESS = """
    CoId:s3! PbAd:b! StAd:s255 Ad:s60 HmNr:i HmAd:s30 ZpCd:s15 Rs:s50 AdAd:s255 BeginDate:D! ResZip:b!
"""
_BANK_ACCOUNT = """
    CoId:s3! IbCk:b Iban:s40 BaAc:s40 BkTp:i BkIc:s15 AcGa:b AcCk:b DiNm:s80 DiPl:s35 Bic:s11 BaNm:s35 BaFi:s35
    BaAd:s35 BaPl:s35 CalM:s20
"""

_LABELS = {
    "PadAdr": Label("Postadres is adres", "Postadres is adres"),
    "AutoNum": Label("Autonummering", "Autonummering"),
    "MatchOga": Label("Organisatie vergelijken op", "Organisatie vergelijken op"),
    "BcCo": Label("Number", "Nummer"),
    "SeNm": Label("Search name", "Zoeknaam"),
    "Nm": Label("Name", "Naam"),
    "ViLe": Label("Legal form", "Rechtsvorm"),
    "ViLb": Label("Sector", "Branche"),
    "CcNr": Label("COC number", "KvK-nummer"),
    "CcDa": Label("CoC date", "Datum KvK"),
    "BrNr": Label("Branch number", "Vestigingsnummer"),
    "NmRg": Label("Name (statutory)", "Naam (statutair)"),
    "RsRg": Label("Registered office", "Vestigingsplaats (statutair)"),
    "TeNr": Label("Work phone no.", "Telefoonnr. werk"),
    "FaNr": Label("Work fax", "Fax werk"),
    "MbNr": Label("Work mobile no.", "Mobiel werk"),
    "EmAd": Label("Work e-mail", "E-mail werk"),
    "HoPa": Label("Website", "Website"),
    "Corr": Label("Correspondence", "Correspondentie"),
    "ViMd": Label("Preferred medium", "Voorkeursmedium"),
    "FiNr": Label("Fiscal number", "Fiscaal nummer"),
    "EmAm": Label("Number of employees", "Aantal medewerkers"),
    "SBIc": Label("SBI code", "SBI-code"),
    "XpRe": Label("External key", "Externe sleutel"),
    "LgId": Label("Language", "Taal"),
    "DbId": Label("Debtor number", "Nummer debiteur"),
    "IsDb": Label("Is debtor", "Is debiteur"),
    "VaId": Label("VAT identification number", "Btw-identificatienummer"),
    "PaCd": Label("Payment condition", "Betalingsvoorwaarde"),
    "CuId": Label("Currency", "Valuta"),
    "VaDu": Label("VAT duty", "Btw-plicht"),
    "Krli": Label("Credit limit", "Kredietlimiet"),
    "Bl": Label("Blocked for delivery", "Blokkeren voor levering"),
    "BlTl": Label("Block completely, no longer visible", "Volledig blokkeren, niet meer zichtbaar"),
    "AuPa": Label("Automatically collect", "Automatisch incasseren"),
    "ColA": Label("Summary account", "Verzamelrekening"),
    "InPv": Label("Preferred issue method", "Voorkeur verstrekkingswijze"),
    "CdDa": Label("Preferred delivery address", "Voorkeur afleveradres"),
    "CoId": Label("Country", "Land"),
    "PbAd": Label("P.O. Box address", "Postbusadres"),
    "StAd": Label("Add. for street", "Toev. voor straat"),
    "Ad": Label("Street", "Straat"),
    "HmNr": Label("House number", "Huisnummer"),
    "HmAd": Label("House number addition", "Toev. aan huisnr."),
    "ZpCd": Label("Postal code", "Postcode"),
    "Rs": Label("City", "Woonplaats"),
    "AdAd": Label("Addition to address", "Toev. aan adres"),
    "BeginDate": Label("Ingangsdatum adreswijziging", "Ingangsdatum adreswijziging"),
    "ResZip": Label("Zoek woonplaats bij postcode", "Zoek woonplaats bij postcode"),
    "Iban": Label("IBAN number", "IBAN-nummer"),
}

_MATCHES = {
    "0": "Zoek op BcCo",
    "1": "KvK-nummer",
    "2": "Fiscaal nummer",
    "3": "Naam",
    "4": "Adres",
    "5": "Postadres",
    "6": "Altijd nieuw toevoegen",
}
USE_PARENT = "9"
_CODES: dict[str, dict[str, str]] = {
    "ViLe": {
        "999": "Niet vastgesteld",
        "00": "Privé persoon",
        "01": "(code nog niet vastgesteld)",
        "05": "Eenmanszaak",
        "10": "Rederij",
        "15": "Maatschap",
        "20": "Vennootschap onder firma",
        "25": "Commanditaire vennootschap",
        "30": "Besloten vennootschap",
        "35": "Naamloze vennootschap",
        "40": "Coöperatie",
        "45": "Vereniging",
        "50": "Kerkgenootschap",
        "55": "Stichting",
        "60": "Onderlinge waarborgmaatschappij",
        "70": "Buitenlandse rechtsvorm",
        "71": "Nevenvestiging",
        "80": "Europees samenwerkingsverband",
        "81": "Buitenlandse vennoot, onderneming in NL",
        "82": "Buitenlandse vennoot, hoofdonderneming in NL",
        "83": "Buitenlandse onderneming in NL",
        "84": "Buitenlandse hoofdonderneming in NL",
        "99": "Overige rechtsvormen",
    },
    "ViLb": {f"{number:02}00": f"Branche {number}" for number in range(1, 17)},
    "EmAm": {f"{number:02}": f"Klasse {number}" for number in range(1, 13)},
    "ViMd": {"EMA": "E-mail", "FAX": "Fax", "PRS": "Persoonlijk", "PST": "Post", "TEL": "Telefoonnr."},
    "DeCo": {str(number): f"Leveringsconditie {number}" for number in range(4)},
    "InPv": {letter: f"Verstrekkingswijze {letter}" for letter in "ABCDEFMOPQRSUVXY"},
    "VaBc": {str(number): f"Barcodetype {number}" for number in range(9)},
    "OrPr": {str(number): f"Verwerkingsvolgorde {number}" for number in range(1, 8)},
    "VaDt": {"B": "B2B", "S": "Standaard"},
    "VaTp": {"001": "Brons", "002": "Zilver", "003": "Goud"},
    "CalM": {"1": "Begunstigde", "2": "Opdrachtgever", "3": "Gedeeld"},
}


@dataclass(frozen=True, slots=True)
class Country:
    """A country of this tenant. Profit has its own codes: many are those on number plates. [PA IsoCountryTrait]"""

    code: str
    iso: str
    name: str


_COUNTRY_LIST = """
NL NL Nederland, B BE België, D DE Duitsland, F FR Frankrijk, L LU Luxemburg, GB GB Verenigd Koninkrijk, A AT Oostenrijk,
CH CH Zwitserland, E ES Spanje, P PT Portugal, I IT Italië, DK DK Denemarken, S SE Zweden, N NO Noorwegen, FIN FI Finland,
PL PL Polen, CZ CZ Tsjechië, H HU Hongarije, IRL IE Ierland, GR GR Griekenland, RO RO Roemenië, BG BG Bulgarije,
HR HR Kroatië, SLO SI Slovenië, SK SK Slowakije, EE EE Estland, LV LV Letland, LT LT Litouwen, M MT Malta, CY CY Cyprus,
TR TR Turkije, USA US Verenigde Staten
"""
COUNTRIES = tuple(Country(*entry.strip().split(" ", 2)) for entry in _COUNTRY_LIST.split(","))
COUNTRY_BY_CODE = {country.code: country for country in COUNTRIES}
COUNTRY_BY_ISO = {country.iso: country for country in COUNTRIES}

# Master data of the tenant: codes a field may refer to that metainfo does not list. Each tenant has its own.
LOOKUPS: dict[str, frozenset[str]] = {
    "CuId": frozenset({"EUR", "USD", "GBP", "CHF", "DKK", "SEK", "NOK", "PLN"}),
    "PaCd": frozenset({"00", "08", "14", "21", "30", "45", "60"}),
    "LgId": frozenset({"NL", "EN", "DE", "FR"}),
    "CoId": frozenset(COUNTRY_BY_CODE),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an UpdateConnector. `codes` are the only values it takes, when there are any."""

    name: str
    type: str
    length: int
    mandatory: bool
    label: Label
    codes: Mapping[str, str] | None = None
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """An element that can be sent: its fields and the elements that may hang below it."""

    name: str
    label: Label
    fields: Mapping[str, Field]
    objects: Mapping[str, Entity] = field(default_factory=dict)


def make_field(name: str, type_: str, length: int, *, mandatory: bool = False, label: Label | None = None) -> Field:
    """A field with what is known of it."""
    return Field(name, type_, length, mandatory, label or _LABELS.get(name, Label(name, name)), _CODES.get(name))


_WORD = re.compile(r"(\w+):([sidbDB])(\d*)(!?)")


def _fields(text: str, *, key: str = "", codes: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for word in text.split():
        match = _WORD.fullmatch(word)
        assert match, word
        name, mark, length, mandatory = match.groups()
        label = _LABELS.get(name, Label(name, name))
        allowed = (codes or {}).get(name, _CODES.get(name))
        found[name] = Field(name, _TYPES[mark], int(length or 0), bool(mandatory), label, allowed, name == key)
    return found


_PARTS = {
    "KnBankAccount": Entity("KnBankAccount", Label("Bank account", "Bankrekening"), _fields(_BANK_ACCOUNT)),
    "KnBasicAddressAdr": Entity("KnBasicAddressAdr", Label("Address", "Adres"), _fields(_ADDRESS)),
    "KnBasicAddressPad": Entity("KnBasicAddressPad", Label("Postal address", "Postadres"), _fields(_ADDRESS)),
}
ORGANISATION = Entity(
    "KnOrganisation",
    Label("Organisation", "Organisatie"),
    _fields(_ORGANISATION, key="BcCo", codes={"MatchOga": _MATCHES}),
    _PARTS,
)
_NESTED = Entity(
    "KnOrganisation",
    ORGANISATION.label,
    {
        name: found
        for name, found in _fields(
            _ORGANISATION, codes={"MatchOga": _MATCHES | {USE_PARENT: "Gebruik bovenliggende entiteit"}}
        ).items()
        if name not in _ONLY_ALONE
    },
    _PARTS,
)
DEBTOR = Entity(
    "KnSalesRelationOrg",
    Label("Sales contact organisation", "Verkooprelatie organisatie"),
    _fields(_DEBTOR, key="DbId"),
    {"KnOrganisation": _NESTED},
)
UPDATES: dict[str, Entity] = {entity.name: entity for entity in (DEBTOR, ORGANISATION)}
