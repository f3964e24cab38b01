"""The made-up world: Dutch-looking companies, the same for a seed on every machine.

Promises: `make_companies(seed, n)` is a prefix of `make_companies(seed, m)` for n < m; KVK, branch, RSIN and VAT numbers are
unique; numbers keep their check digits; hosts end in `.example`; no name of a living person or firm is taken from anywhere.
The first company is always 00100104, a plain BV the ERP does not know; the opening ones show every kind and every shape.
"""

from __future__ import annotations

import datetime as dt
import re
from random import Random
from typing import NamedTuple

from koppel.systems.sandbox_spi import SeedCompany, SeedPerson

FIRST_KVK = "00100104"

# Numbers the register itself hands out in its test environment: ours must never be taken for them. [kvk.md §7]
KVK_TEST_SET = frozenset({
    "69599084", "68750110", "68727720", "90004760", "90001354", "90006577", "69599068", "90000102", "90006623", "69599076", "90005414",
    "96354429", "55344526", "90002520", "90002490", "90001745", "90003942", "55505201", "90000749", "90004973", "90002903",
})  # fmt: skip


class _Part(NamedTuple):
    """One place in the opening: what the company is, how the ERP knows it, and what is odd about its VAT number."""

    kind: str
    shape: str
    in_erp: str
    vat: str = "B01"


# Small worlds show everything: every kind, every shape, every way the ERP can know a company.
_OPENING = (
    _Part("bv", "plain", "none"),
    _Part("bv", "plain", "both"),
    _Part("eenmanszaak", "plain", "kvk"),
    _Part("bv", "ended", "both"),  # continued by the one before it
    _Part("stichting", "no_branch", "kvk"),
    _Part("bv", "plain", "thrice"),
    _Part("bv", "shielded", "kvk"),
    _Part("bv", "po_box", "both"),
    _Part("bv", "foreign", "kvk"),
    _Part("bv", "plain", "vat"),
    _Part("nv", "plain", "both"),
    _Part("vof", "plain", "none"),
    _Part("vereniging", "no_branch", "none"),
    _Part("cooperatie", "plain", "both"),
    _Part("stichting", "plain", "kvk"),
    _Part("eenmanszaak", "shielded", "kvk"),
    _Part("eenmanszaak", "ended", "kvk"),  # simply stopped: no successor
    _Part("bv", "plain", "kvk", "B02"),
    _Part("vereniging", "plain", "none", "none"),
    _Part("nv", "foreign", "none"),
    _Part("stichting", "po_box", "both"),
    _Part("bv", "plain", "none", "none"),
)
_LATER_THRICE = 60  # the second company that stands on three debtors

_KINDS = (
    ("bv", 62),
    ("eenmanszaak", 16),
    ("vof", 6),
    ("stichting", 6),
    ("vereniging", 4),
    ("nv", 3),
    ("cooperatie", 3),
)
_SHAPES = (("plain", 88), ("ended", 4), ("po_box", 3), ("shielded", 3), ("foreign", 2))
_IN_ERP = (("none", 34), ("kvk", 29), ("both", 29), ("vat", 8))
_VAT = (("B01", 94), ("B02", 3), ("none", 3))

# word of the trade, SBI code and its description, second activity
_TRADES = (
    ("Bakkerij", "10710", "Vervaardiging van brood en vers banketbakkerswerk", "47241"),
    ("Slagerij", "47221", "Winkels in vlees en vleeswaren", "10130"),
    ("Bouwbedrijf", "41200", "Algemene burgerlijke en utiliteitsbouw", "43320"),
    ("Schildersbedrijf", "43340", "Schilderen en glaszetten", "43320"),
    ("Installatiebedrijf", "43210", "Elektrotechnische bouwinstallatie", "43220"),
    ("Loodgietersbedrijf", "43220", "Loodgieters- en fitterswerk", "43210"),
    ("Transportbedrijf", "49410", "Goederenvervoer over de weg", "52290"),
    ("Groothandel", "46900", "Groothandel, niet gespecialiseerd", "46190"),
    ("Bloemisterij", "47761", "Winkels in bloemen en planten", "01190"),
    ("Kwekerij", "01190", "Teelt van overige eenjarige gewassen", "47761"),
    ("Kapsalon", "96021", "Haarverzorging", "96022"),
    ("Drukkerij", "18120", "Overige drukkerijen", "58190"),
    ("Administratiekantoor", "69203", "Boekhoudkantoren", "69209"),
    ("Ingenieursbureau", "71120", "Ingenieurs en overig technisch ontwerp en advies", "71110"),
    ("Garage", "45112", "Handel in en reparatie van personenauto's", "45200"),
    ("Fietsenmaker", "47642", "Winkels in fietsen en bromfietsen", "95290"),
    ("Hoveniersbedrijf", "81300", "Landschapsverzorging", "01300"),
    ("Timmerfabriek", "16230", "Vervaardiging van timmerwerk", "43320"),
    ("Brouwerij", "11050", "Vervaardiging van bier", "56300"),
    ("Software", "62010", "Ontwikkelen, produceren en uitgeven van software", "62020"),
    ("Metaalbewerking", "25620", "Metaalbewerkende dienstverlening", "25110"),
    ("Boekhandel", "47610", "Winkels in boeken", "58110"),
)
_TRADE_TEXTS = {code: text for _, code, text, _ in _TRADES} | {
    "47241": "Winkels in brood en banket",
    "10130": "Vervaardiging van vleesproducten",
    "43320": "Bouwtimmeren",
    "52290": "Expediteurs en tussenpersonen in het goederenvervoer",
    "46190": "Handelsbemiddeling, algemeen assortiment",
    "96022": "Schoonheidsverzorging",
    "58190": "Overige uitgeverijen",
    "69209": "Overige administratiekantoren",
    "71110": "Architecten",
    "45200": "Autoservicebedrijven",
    "95290": "Reparatie van overige consumentenartikelen",
    "01300": "Teelt van sierplanten",
    "56300": "Cafés",
    "62020": "Advisering op het gebied van informatietechnologie",
    "25110": "Vervaardiging van metalen constructiewerken",
    "58110": "Uitgeverijen van boeken",
}
_CLUBS = (
    ("Buurthuis", "94996", "Overige belangenorganisaties"),
    ("Muziekvereniging", "90011", "Beoefening van podiumkunst"),
    ("Speeltuin", "93299", "Overige recreatie"),
    ("Sportclub", "93129", "Overige buitensport"),
    ("Museum", "91021", "Musea"),
    ("Tennisclub", "93127", "Tennisclubs"),
    ("Voedselhulp", "88999", "Overig maatschappelijk advies"),
)
_ADJECTIVES = (
    "Gouden",
    "Oude",
    "Vrolijke",
    "Zilveren",
    "Groene",
    "Witte",
    "Kromme",
    "Stille",
    "Hoge",
    "Blauwe",
    "Dwarse",
    "Nieuwe",
)
_NOUNS = (
    "Korenaar", "Zonnewijzer", "Ooievaar", "Molensteen", "Sleutel", "Lepelaar", "Wilgentak", "Klaproos", "Schaar", "Hamer",
    "Boomgaard", "Veerpont", "Leeuwerik", "Kastanje", "Dijk", "Polder", "Haven", "Wijzer", "Vuurtoren", "Zwaan", "Eik",
    "Waterlelie", "Karavaan", "Passer", "Ploeg", "Sluis", "Ster", "Watermolen", "Ekster", "Beuk", "Ketting", "Parel",
)  # fmt: skip
_STREETS = (
    "Dorpsstraat", "Kerkstraat", "Stationsweg", "Molenweg", "Industrieweg", "Nijverheidsweg", "Havenkade", "Schoolstraat",
    "Lindelaan", "Eikenlaan", "Beukenhof", "Zonnebloemstraat", "Ambachtsweg", "Lange Voorhout", "Laan van de Vrede", "Oude Gracht",
    "Nieuwe Markt", "'t Zand", "1e Dwarsstraat", "Plein 1992", "Het Rietveld", "Achter de Kerk", "Zuiderdiep", "Noordersingel",
)  # fmt: skip
# city, first two digits of its postcodes, area code
_CITIES = (
    ("Amsterdam", 10, "020"), ("Rotterdam", 30, "010"), ("'s-Gravenhage", 25, "070"), ("Utrecht", 35, "030"),
    ("Groningen", 97, "050"), ("Eindhoven", 56, "040"), ("Maastricht", 62, "043"), ("Zwolle", 80, "038"),
    ("'s-Hertogenbosch", 52, "073"), ("Leeuwarden", 89, "058"), ("Middelburg", 43, "0118"), ("Arnhem", 68, "026"),
    ("Enschede", 75, "053"), ("Haarlem", 20, "023"), ("Hoogeveen", 79, "0528"), ("Amersfoort", 38, "033"),
    ("Tilburg", 50, "013"), ("Alphen aan den Rijn", 24, "0172"), ("IJmuiden", 19, "0255"), ("Venlo", 59, "077"),
)  # fmt: skip
_ABROAD = (
    ("Hauptstraße", "50667", "Köln", "DE"),
    ("Am Rhein", "47533", "Kleve", "DE"),
    ("Stationsstraat", "2000", "Antwerpen", "BE"),
    ("Kerkplein", "9000", "Gent", "BE"),
    ("Rue du Moulin", "59000", "Lille", "FR"),
)
_FIRST_NAMES = (
    "Anouk", "Bram", "Carlijn", "Daan", "Esmée", "Floor", "Gijs", "Hanneke", "Ilse", "Joost", "Kees", "Lotte", "Merel", "Niels",
    "Oda", "Pim", "Roos", "Sjoerd", "Teun", "Wout", "Yara", "Zoë",
)  # fmt: skip
# Surnames are put together from halves, so that nobody's name is copied.
_SURNAME_HEADS = ("Hazel", "Wilgen", "Riet", "Zeil", "Kraan", "Duin", "Veen", "Mast", "Lis", "Terp", "Klei", "Schelp")
_SURNAME_TAILS = ("stramer", "wijnga", "zandsma", "molinga", "dijkstel", "kampsma", "hofsema", "brinker")


def make_companies(seed: int, count: int) -> tuple[SeedCompany, ...]:
    """`count` made-up companies. Raises ValueError for a negative count."""
    if count < 0:
        raise ValueError("a world cannot hold a negative number of companies")
    maker = _Maker(seed)
    return tuple(maker.next() for _ in range(count))


def _eleven_proof(digits: str) -> bool:
    """Whether 9·d1 + 8·d2 + … + 2·d8 - d9 is a multiple of 11. [kvk.md §8]"""
    return (sum(int(d) * w for d, w in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))) % 11 == 0


def _sole_trader_vat(digits: str) -> str | None:
    """Make the btw-id `NL#########B##` whose whole text is 1 modulo 97 (A=10 … Z=35), or None when no suffix fits. [kvk.md §8]"""
    stem = int(f"2321{digits}1100") % 97
    suffix = (1 - stem) % 97
    return f"NL{digits}B{suffix:02}" if suffix >= 2 else None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class _Maker:
    """Draws one company after the other from one source of chance."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 -- a world that can be made again, not a secret
        self._used: set[str] = {FIRST_KVK, *KVK_TEST_SET}
        self._names: set[str] = set()
        self._made: list[SeedCompany] = []

    def next(self) -> SeedCompany:
        company = self._company(len(self._made))
        self._made.append(company)
        return company

    # --- numbers ---

    def _unique(self, head: str, length: int) -> str:
        """Draw a number nobody has yet: `head`, then digits up to `length`."""
        while True:
            number = f"{head}{self._random.randrange(10 ** (length - len(head))):0{length - len(head)}}"
            if number not in self._used:
                self._used.add(number)
                return number

    def _kvk(self, index: int) -> str:
        if index == 0:
            return FIRST_KVK
        # 00… and 42… to 49… look right and, as far as known, were never issued (unverified); leading zeros are the usual trap.
        head = "000" if index in {1, 2} else self._random.choice(("00", "42", "43", "44", "45", "46", "47", "48", "49"))
        return self._unique(head, 8)

    def _rsin(self) -> str:
        while True:
            digits = f"{self._random.choice(('00', '80', '81', '82', '85', '86'))}{self._random.randrange(10**7):07}"
            if digits not in self._used and _eleven_proof(digits):
                self._used.add(digits)
                return digits

    def _vat(self, kind: str, rsin: str | None, suffix: str) -> str | None:
        if kind == "eenmanszaak":
            while True:
                digits = f"{self._random.randrange(1, 5):03}{self._random.randrange(10**6):06}"
                vat = _sole_trader_vat(digits)
                # the digits must say nothing: never an RSIN by accident
                if vat and digits not in self._used and not _eleven_proof(digits):
                    self._used.add(digits)
                    return vat
        return None if suffix == "none" else f"NL{rsin}{suffix}"

    # --- words ---

    def _pick(self, table: tuple[tuple[str, int], ...]) -> str:
        return self._random.choices([name for name, _ in table], [weight for _, weight in table])[0]

    def _name(self, trade: str) -> str:
        """`Bakkerij De Gouden Korenaar`; a place name, then a number is added once the plain ones are used up."""
        rnd = self._random
        for attempt in range(50):
            core = rnd.choice(
                (f"De {rnd.choice(_NOUNS)}", f"De {rnd.choice(_ADJECTIVES)} {rnd.choice(_NOUNS)}", rnd.choice(_NOUNS))
            )
            name = f"{trade} {core}"
            if attempt > 3:
                name = f"{name} {rnd.choice(_CITIES)[0]}"
            if name not in self._names:
                self._names.add(name)
                return name
        name = f"{trade} {rnd.choice(_NOUNS)} {len(self._made) + 1}"
        self._names.add(name)
        return name

    def _person(self, host: str) -> SeedPerson:
        rnd = self._random
        first, last = rnd.choice(_FIRST_NAMES), rnd.choice(_SURNAME_HEADS) + rnd.choice(_SURNAME_TAILS)
        return SeedPerson(first, last, f"{_slug(first)}.{_slug(last)}@{host}", f"06-5550{rnd.randrange(10**4):04}")

    def _shape(self, kind: str) -> str:
        if kind in {"stichting", "vereniging"} and self._random.random() < 0.6:
            return "no_branch"
        return self._pick(_SHAPES)

    def _part(self, index: int) -> _Part:
        if index < len(_OPENING):
            return _OPENING[index]
        kind = self._pick(_KINDS)
        shape = self._shape(kind)
        vat = "none" if kind == "vereniging" and self._random.random() < 0.5 else self._pick(_VAT)
        in_erp = self._pick(_IN_ERP)
        if index == _LATER_THRICE:
            return _Part("bv", "plain", "thrice")
        if vat == "none" and kind != "eenmanszaak" and in_erp in {"vat", "both"}:
            in_erp = "kvk"
        return _Part(kind, shape, in_erp, vat)

    # --- the company ---

    def _company(self, index: int) -> SeedCompany:
        rnd = self._random
        part = self._part(index)
        kvk = self._kvk(index)
        rsin = None if part.kind == "eenmanszaak" else self._rsin()
        club = part.kind in {"stichting", "vereniging"}
        if club:
            trade, code, text = rnd.choice(_CLUBS)
            sbi: tuple[tuple[str, str], ...] = ((code, text),)
        else:
            trade, code, text, second = rnd.choice(_TRADES)
            sbi = ((code, text), (second, _TRADE_TEXTS[second])) if rnd.random() < 0.35 else ((code, text),)
        name = self._name(trade)
        host = f"{_slug(name)}.example"
        city, head, area = rnd.choice(_CITIES)
        street, postcode, country = rnd.choice(_STREETS), self._postcode(head), "NL"
        if part.shape == "foreign":
            street, postcode, city, country = rnd.choice(_ABROAD)
        started = dt.date(1985, 1, 1) + dt.timedelta(days=rnd.randrange(14_600))
        ended = (
            max(started, dt.date(2018, 1, 1)) + dt.timedelta(days=rnd.randrange(1, 500))
            if part.shape == "ended"
            else None
        )
        continued = (
            part.shape == "ended" and part.kind != "eenmanszaak" and (index < len(_OPENING) or rnd.random() < 0.5)
        )
        successor = self._successor() if continued else None
        house = rnd.randrange(1, 290)
        letter = rnd.choice("ABCDEH") if rnd.random() < 0.15 else None
        addition = rnd.choice(("1", "2", "bis", "III", "hs")) if rnd.random() < 0.08 else None
        if successor is not None and successor.shape in {"plain", "no_branch"}:  # the business went on where it was
            street, postcode, city, country = successor.street, successor.postcode, successor.city, successor.country
            house, letter, addition = successor.number, successor.letter, successor.addition
        return SeedCompany(
            kvk=kvk,
            branch="" if part.shape == "no_branch" else self._unique("0000", 12),
            rsin=rsin,
            vat=self._vat(part.kind, rsin, part.vat),
            name=name,
            statutory_name=_statutory(part.kind, name),
            kind=part.kind,
            shape=part.shape,
            street=street,
            number=house,
            letter=letter,
            addition=addition,
            postcode=postcode,
            city=city,
            country=country,
            po_box=rnd.randrange(10, 9_000) if part.shape == "po_box" else None,
            phone=f"{area}-{'555' + f'{rnd.randrange(10**4):04}' if len(area) == 3 else '55' + f'{rnd.randrange(10**4):04}'}",
            email=f"info@{host}",
            website=f"www.{host}",
            sbi=sbi,
            started_on=started.isoformat(),
            ended_on=ended.isoformat() if ended else None,
            successor=successor.kvk if successor else None,
            employees=1 if part.kind == "eenmanszaak" else rnd.choice((0, 1, 2, 3, 5, 8, 12, 14, 25, 40, 120)),
            do_not_mail=rnd.random() < 0.25,
            person=self._person(host),
            in_erp=part.in_erp,
        )

    def _postcode(self, head: int) -> str:
        while True:
            letters = self._random.choice("ABCDEGHJKLMNPRSTVWXZ") + self._random.choice("ABCDEGHJKLMNPRSTVWXZ")
            if letters not in {"SA", "SD", "SS"}:  # never handed out
                return f"{head}{self._random.randrange(1, 100):02}{letters}"

    def _successor(self) -> SeedCompany | None:
        """Find the last one made that still lives: it took the business over."""
        return next(
            (company for company in reversed(self._made) if company.ended_on is None and company.kind != "eenmanszaak"),
            None,
        )


def _statutory(kind: str, name: str) -> str | None:
    if kind in {"eenmanszaak", "vof"}:
        return None
    form = {
        "bv": "{} B.V.",
        "nv": "{} N.V.",
        "stichting": "Stichting {}",
        "vereniging": "Vereniging {}",
        "cooperatie": "Coöperatie {} U.A.",
    }
    return form[kind].format(name)
