"""What KVK's fields mean, and what must never come out of them."""

from __future__ import annotations

import copy

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koppel.model.address import Address
from koppel.model.company import Company, Sbi
from koppel.systems.kvk import SYSTEM, codec
from koppel.systems.kvk.countries import COUNTRIES
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Item, Site

TRADE = Settings(apikey="made-up-key-1", name="trade")
STATUTORY = Settings(apikey="made-up-key-1")  # an invoice needs the legal name, so it is the default
SECRET = "Geheimweg"

BAKERY = {
    "kvkNummer": "01234567",
    "indNonMailing": "Nee",
    "naam": "Bakkerij De Korenaar B.V.",
    "formeleRegistratiedatum": "20180312",
    "materieleRegistratie": {"datumAanvang": "20180300"},
    "totaalWerkzamePersonen": 14,
    "statutaireNaam": "De Korenaar  Holding B.V.",
    "handelsnamen": [{"naam": "Korenaar Winkel", "volgorde": 1}, {"naam": "De Korenaar", "volgorde": 0}],
    "sbiActiviteiten": [
        {"sbiCode": "4724", "sbiOmschrijving": "Winkels in brood", "indHoofdactiviteit": "Nee"},
        {"sbiCode": "10710", "sbiOmschrijving": "Vervaardiging van brood", "indHoofdactiviteit": "Ja"},
    ],
    "links": [{"rel": "self", "href": "http://register.example/"}],
    "_embedded": {
        "hoofdvestiging": {
            "vestigingsnummer": "000012345678",
            "kvkNummer": "01234567",
            "eersteHandelsnaam": "Bakkerij De Korenaar",
            "adressen": [
                {
                    "type": "bezoekadres",
                    "indAfgeschermd": "Nee",
                    "volledigAdres": "Dorpsstraat 12 A      3451BJ Vleuten",
                    "straatnaam": "Dorpsstraat",
                    "huisnummer": 12,
                    "huisletter": "A",
                    "huisnummerToevoeging": "2",
                    "postcode": "3451BJ",
                    "plaats": "Vleuten",
                    "land": "Nederland",
                },
                {
                    "type": "correspondentieadres",
                    "indAfgeschermd": "Nee",
                    "postbusnummer": 90,
                    "postcode": "3450AA",
                    "plaats": "Vleuten",
                },
            ],
            "websites": ["www.korenaar.example", "brood.example"],
        },
        "eigenaar": {
            "rsin": "800000006",
            "rechtsvorm": "BeslotenVennootschap",
            "uitgebreideRechtsvorm": "Besloten Vennootschap met gewone structuur",
        },
    },
}


def profile(**changes):
    """The bakery with changes; `hoofdvestiging` and `eigenaar` are merged, None takes a part out."""
    made = copy.deepcopy(BAKERY)
    for name in ("hoofdvestiging", "eigenaar"):
        if name in changes:
            change = changes.pop(name)
            made["_embedded"][name] = None if change is None else made["_embedded"][name] | change
    return made | changes


def decode(fields, how=TRADE, own=()):
    return codec.decode_profile(how, Item("01234567", fields), own)


def company_of(how=TRADE, **changes):
    return decode(profile(**changes), how).record.entity


def test_a_whole_company_is_translated():
    decoded = decode(BAKERY)
    assert decoded.problems == ()
    assert decoded.record.entity == Company(
        name="Bakkerij De Korenaar",
        trade_name="Bakkerij De Korenaar",
        statutory_name="De Korenaar Holding B.V.",
        kvk="01234567",
        branch="000012345678",
        rsin="800000006",
        vat_candidate="NL800000006B01",
        vat_state="candidate",
        legal_form="Besloten Vennootschap",
        sbi=(Sbi("10710", "Vervaardiging van brood", True), Sbi("4724", "Winkels in brood", False)),
        is_active=True,
        started_on="2018-03",
        do_not_mail=False,
        employees=14,
        address=Address(
            street="Dorpsstraat", number="12", suffix="A-2", postcode="3451BJ", city="Vleuten", country="NL"
        ),
        postal_address=Address(po_box="90", postcode="3450AA", city="Vleuten", country="NL"),
        website="www.korenaar.example",
    )


def test_every_translated_field_stands_in_the_field_table_and_none_can_be_written():
    can = SYSTEM.resource("companies").can
    told = set(msgspec.to_builtins(decode(BAKERY).record.entity)) | {"ended_on", "personal", "successor"}
    assert told == {field.path for field in can.fields if not field.own}
    assert {field.writable for field in can.fields} == {"never"}


def test_a_proposed_successor_put_beside_the_profile_is_told():
    assert company_of(**{codec.PROPOSED_SUCCESSOR: "76543210"}).successor == "76543210"
    assert company_of().successor is None


@pytest.mark.parametrize(
    "part",
    [{"materieleRegistratie": {"datumEinde": "20240630"}}, {"eigenaar": {"datumUitschrijving": "20240630"}}],
)
def test_a_company_has_ended_when_either_date_says_so(part):
    assert codec.ended(profile(**part))
    assert not codec.ended(BAKERY)


def test_the_visit_address_can_be_searched_for():
    assert codec.address_criteria(BAKERY) == (("postcode", "3451BJ"), ("huisnummer", "12"), ("huisletter", "A"))


@pytest.mark.parametrize(
    "adres",
    [
        {"type": "bezoekadres", "indAfgeschermd": "Ja", "postcode": "3451BJ", "huisnummer": 12},
        {
            "type": "bezoekadres",
            "straatHuisnummer": "Am Rhein 23",
            "postcodeWoonplaats": "47533 Kleve",
            "land": "Duitsland",
        },
        {"type": "correspondentieadres", "postbusnummer": 90, "postcode": "3450AA"},
        {"type": "bezoekadres", "huisnummer": 12, "postcode": "no code"},
    ],
)
def test_shielded_foreign_and_box_addresses_are_not_searched_for(adres):
    assert codec.address_criteria(profile(hoofdvestiging={"adressen": [adres]})) == ()


def test_the_connection_says_which_name_is_used():
    assert company_of(STATUTORY).name == "De Korenaar Holding B.V."
    assert company_of(STATUTORY, statutaireNaam=None).name == "Bakkerij De Korenaar"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"hoofdvestiging": None}, "De Korenaar"),
        ({"hoofdvestiging": None, "handelsnamen": []}, "Bakkerij De Korenaar B.V."),
        ({"hoofdvestiging": None, "handelsnamen": [], "naam": " "}, "De Korenaar Holding B.V."),
    ],
)
def test_the_trade_name_falls_back_in_the_registers_order(changes, name):
    assert company_of(**changes).trade_name == name


def test_a_vat_number_is_only_ever_a_candidate():
    company = company_of()
    assert company.vat_number is None
    assert ("vat", "NL800000006B01") in company.match_keys()


def test_a_sole_trader_is_a_person_without_candidate_and_without_rsin():
    sole = profile(eigenaar={"rechtsvorm": "Eenmanszaak", "uitgebreideRechtsvorm": "Eenmanszaak"}, statutaireNaam=None)
    company = decode(sole).record.entity
    assert company.personal
    assert (company.rsin, company.vat_candidate, company.vat_state) == (None, None, None)
    assert "800000006" not in repr(codec.without_hidden(sole))


def test_a_partnership_is_no_person():
    company = company_of(eigenaar={"rechtsvorm": "VennootschapOnderFirma"})
    assert (company.personal, company.legal_form, company.vat_candidate) == (
        False,
        "Vennootschap onder Firma",
        "NL800000006B01",
    )


def test_who_cannot_be_told_apart_from_a_person_is_treated_as_one():
    assert company_of(eigenaar=None, statutaireNaam=None).personal


@pytest.mark.parametrize(
    ("spelt", "form"),
    [
        ("Besloten Vennootschap", "Besloten Vennootschap"),
        ("BeslotenVennootschap", "Besloten Vennootschap"),
        ("besloten vennootschap", "Besloten Vennootschap"),
        ("Cooperatie", "Coöperatie"),
        ("Coöperatie", "Coöperatie"),
        ("VerenigingVanEigenaars", "Vereniging van Eigenaars"),
        ("EuropeesEconomischSamenwerkingsverband", "Europees Economisch Samenwerkingsverband"),
        ("Overige privaatrechtelijke rechtspersoon", "Overige privaatrechtelijke rechtspersoon"),
    ],
)
def test_a_legal_form_reads_the_same_however_it_is_spelt(spelt, form):
    assert codec.legal_form(spelt) == form


@pytest.mark.parametrize(
    ("registration", "owner", "is_active", "ended_on"),
    [
        ({}, {}, True, None),
        ({"datumEinde": None}, {"datumUitschrijving": None}, True, None),
        ({"datumEinde": "20240131"}, {}, False, "2024-01-31"),
        ({"datumEinde": "00000000"}, {}, False, None),
        ({}, {"datumUitschrijving": "20240000"}, False, "2024"),
    ],
)
def test_an_end_date_ends_the_company_even_when_it_is_unknown(registration, owner, is_active, ended_on):
    company = company_of(materieleRegistratie=registration, eigenaar=owner)
    assert (company.is_active, company.ended_on) == (is_active, ended_on)


@pytest.mark.parametrize(
    ("top", "branch", "do_not_mail"),
    [("Ja", "Nee", True), ("Nee", "Ja", True), ("Nee", None, False), (None, None, None), (None, "Nee", False)],
)
def test_one_yes_is_enough_for_do_not_mail(top, branch, do_not_mail):
    assert company_of(indNonMailing=top, hoofdvestiging={"indNonMailing": branch}).do_not_mail is do_not_mail


def test_a_foundation_without_main_branch_is_read_from_its_owner():
    address = BAKERY["_embedded"]["hoofdvestiging"]["adressen"][0]
    company = company_of(
        hoofdvestiging=None,
        handelsnamen=None,
        eigenaar={"rechtsvorm": "Stichting", "adressen": [address], "websites": ["bolder.example"]},
    )
    assert company.address.first_line() == "Dorpsstraat 12 A-2"
    assert (company.branch, company.postal_address, company.website) == (None, None, "bolder.example")


def with_address(**adres):
    return decode(profile(hoofdvestiging={"adressen": [{"type": "bezoekadres", **adres}]}))


def test_a_visit_address_is_never_made_of_a_correspondence_address():
    postal = {"type": "correspondentieadres", "postbusnummer": 1, "postcode": "3450AA", "plaats": "Vleuten"}
    company = company_of(hoofdvestiging={"adressen": [postal]})
    assert company.address is None
    assert company.postal_address.po_box == "1"


@pytest.mark.parametrize(
    ("adres", "address"),
    [
        (
            {"straatHuisnummer": "Rue de la Loi  16", "postcodeWoonplaats": "1000 Brussel", "land": "België"},
            Address(lines=("Rue de la Loi 16", "1000 Brussel"), country="BE"),
        ),
        (
            {
                "straatHuisnummer": "Main St 1",
                "postcodeWoonplaats": "X1 Town",
                "regio": "Kent",
                "land": "Groot-Brittannië",
            },
            Address(lines=("Main St 1", "X1 Town"), region="Kent", country="GB"),
        ),
        ({"straatHuisnummer": "Main St 1"}, Address(lines=("Main St 1",))),
        (
            {"straatnaam": "Hauptstraße", "huisnummer": 3, "plaats": "Kleve", "land": "Duitsland"},
            Address(lines=("Hauptstraße 3", "Kleve"), country="DE"),
        ),
        (
            {"straatnaam": "Dorpsstraat", "huisnummer": 1, "plaats": "Vleuten"},
            Address(street="Dorpsstraat", number="1", city="Vleuten", country="NL"),
        ),
        ({}, None),
    ],
)
def test_each_kind_of_address_keeps_its_own_shape(adres, address):
    decoded = with_address(**adres)
    assert decoded.record.entity.address == address
    assert decoded.problems == ()


def test_an_unknown_country_is_named_and_kept_readable():
    decoded = with_address(straatHuisnummer="Weg 1", land="Utopia")
    assert decoded.record.entity.address == Address(lines=("Weg 1", "Utopia"))
    assert "Utopia" in decoded.problems[0].text


def test_an_address_in_one_string_is_kept_whole_for_a_person_to_split():
    decoded = with_address(volledigAdres="Dorpsstraat 12 A      3451BJ Vleuten")
    assert decoded.record.entity.address == Address(lines=("Dorpsstraat 12 A 3451BJ Vleuten",), country="NL")
    assert [problem.code for problem in decoded.problems] == ["address_whole"]


def test_a_shielded_address_holds_nothing():
    decoded = with_address(
        indAfgeschermd="Ja", straatnaam=SECRET, huisnummer=4, postcode="1034WL", geoData={"gpsLatitude": 52.1}
    )
    assert decoded.record.entity.address == Address(shielded=True)
    assert decoded.record.entity.address.is_empty()


PARTS = st.dictionaries(
    st.sampled_from(["straatnaam", "volledigAdres", "plaats", "straatHuisnummer", "toevoegingAdres", "regio"]),
    st.just(SECRET),
)
HIDDEN = PARTS.map(lambda parts: {"type": "bezoekadres", "indAfgeschermd": "Ja", **parts})
UNMARKED = PARTS.map(lambda parts: {"type": "bezoekadres", **parts})


@settings(deadline=None)
@given(st.lists(HIDDEN, min_size=1, max_size=3), st.lists(UNMARKED, max_size=2), st.booleans())
def test_nothing_of_a_shielded_address_is_left_in_the_raw_fields(hidden, unmarked, swap):
    first, second = ({"adressen": hidden}, {"adressen": unmarked})
    fields = profile(hoofdvestiging=second if swap else first, eigenaar=first if swap else second)
    clean = codec.without_hidden(fields)
    assert SECRET not in repr(clean)
    assert SECRET not in repr(decode(clean))
    assert codec.without_hidden(clean) == clean


def test_hiding_leaves_everything_else_as_it_came():
    clean = codec.without_hidden(BAKERY)
    assert clean == {key: value for key, value in BAKERY.items() if key != "links"}


@pytest.mark.parametrize(
    ("changes", "field", "shown"),
    [
        ({"eigenaar": {"rsin": "800000007"}}, "rsin", "800000007"),
        ({"hoofdvestiging": {"vestigingsnummer": "12"}}, "vestigingsnummer", "'12'"),
    ],
)
def test_a_bad_number_is_left_out_and_named_but_not_shown(changes, field, shown):
    decoded = decode(profile(**changes))
    assert [problem.field for problem in decoded.problems] == [field]
    assert shown not in str(decoded.problems[0])


def test_a_date_that_does_not_exist_is_left_out_and_named():
    decoded = decode(profile(materieleRegistratie={"datumAanvang": "20180230"}))
    assert decoded.record.entity.started_on is None
    assert decoded.problems[0].field == "datumAanvang"


@given(st.dates())
def test_every_whole_date_is_itself(day):
    assert codec.read_date(f"{day:%Y%m%d}".rjust(8, "0")) == day.isoformat()


def test_vendor_fields_a_flow_asks_for_come_along_by_kvks_name():
    decoded = decode(BAKERY, own=("uitgebreideRechtsvorm", "naam", "adressen", "nietBekend"))
    assert decoded.record.own == {
        "uitgebreideRechtsvorm": "Besloten Vennootschap met gewone structuur",
        "naam": "Bakkerij De Korenaar B.V.",
        "adressen": None,
        "nietBekend": None,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "kvkNummer",
        "naam",
        "handelsnamen",
        "sbiActiviteiten",
        "materieleRegistratie",
        "_embedded",
        "indNonMailing",
        "statutaireNaam",
    ]
)


PART_KEYS = st.sampled_from(["adressen", "rsin", "websites", "rechtsvorm", "vestigingsnummer", "eersteHandelsnaam"])
ADRES_KEYS = st.sampled_from(
    [
        "type",
        "indAfgeschermd",
        "huisnummer",
        "huisletter",
        "postbusnummer",
        "postcode",
        "plaats",
        "land",
        "volledigAdres",
    ]
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, JSON), st.dictionaries(PART_KEYS, JSON), st.dictionaries(ADRES_KEYS, JSON))
def test_no_answer_however_odd_stops_a_run(fields, part, adres):
    part.setdefault("adressen", [{"type": "bezoekadres"}, adres | {"type": "bezoekadres"}, adres])
    fields["_embedded"] = {"hoofdvestiging": part, "eigenaar": part}
    site = Site(connection="register", settings=TRADE, facts={}, as_of=0.0)
    company = SYSTEM.resource("companies").decode(site, Item("01234567", fields)).record.entity
    assert msgspec.convert(msgspec.to_builtins(company), Company) == company


def test_the_country_table_holds_real_codes():
    assert all(len(code) == 2 and code.isupper() and name == name.lower() for name, code in COUNTRIES.items())
    assert COUNTRIES["belgie"] == "BE"
