"""Values of Profit: times that lie about their zone, addresses in lines and in parts, countries with codes of their own."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.model.address import Address
from koppel.model.kinds import normalise
from koppel.systems.afas import codec


def lines(first, third=None, fourth=None):
    return codec.read_address({"AdressLine1": first, "AdressLine3": third, "AdressLine4": fourth})


def parts(**row):
    return codec.read_address({codec.PARTS: codec.parts_of(row)})


def form(address):
    return normalise("address", codec.address_form(msgspec.to_builtins(address)))


# --- times --------------------------------------------------------------------------------------------------------


def test_the_z_of_a_time_means_nothing():
    assert codec.wall_clock("2026-07-01T12:00:00Z") == codec.wall_clock("2026-07-01T12:00:00")
    assert codec.instant("2026-07-01T12:00:00Z") == datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp()
    assert codec.instant("2026-01-01T12:00:00Z") == datetime(2026, 1, 1, 11, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("value", ["gisteren", 12, ["2026"], "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_said_to_be_none(value):
    with pytest.raises(ValueError, match=r"."):
        codec.wall_clock(value)
    assert codec.instant(value) is None


def test_nothing_is_no_time():
    assert codec.wall_clock(None) is codec.wall_clock("") is codec.instant(None) is None


def test_an_hour_that_comes_twice_has_two_instants_and_its_start_is_where_doubt_begins():
    moment = codec.wall_clock("2026-10-25T02:30:00Z")
    first, second = codec.instants(moment)
    assert second - first == 3_600
    assert codec.start_of_doubt(moment).minute == 0
    plain = codec.wall_clock("2026-10-25T03:30:00Z")
    assert codec.start_of_doubt(plain) == plain


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "third", "expected"),
    [
        (
            "Dorpsstraat 12",
            "1034 WL Amsterdam",
            Address("Dorpsstraat", "12", postcode="1034WL", city="Amsterdam", country="NL"),
        ),
        (
            "Dorpsstraat 12a",
            "1034WL  AMSTERDAM",
            Address("Dorpsstraat", "12", "A", postcode="1034WL", city="AMSTERDAM", country="NL"),
        ),
        ("Postbus 90", "1000 AA Amsterdam", Address(po_box="90", postcode="1000AA", city="Amsterdam", country="NL")),
        (
            "Plein 1940 12-2",
            "2511 CV 's-Gravenhage",
            Address("Plein 1940", "12", "2", postcode="2511CV", city="'s-Gravenhage", country="NL"),
        ),
    ],
)
def test_a_dutch_address_in_lines_is_split(first, third, expected):
    assert lines(first, third, "Nederland") == (expected, ())
    assert lines(first, third) == (expected, ())


def test_a_line_without_a_number_is_kept_whole_and_put_up_for_review():
    address, problems = lines("Kasteel De Hooge Vuursche", "3744 AA Baarn")
    assert address.street == "Kasteel De Hooge Vuursche"
    assert [problem.code for problem in problems] == ["address_review"]
    assert "Vuursche" not in str(problems[0]), "a problem never holds the value"


def test_a_foreign_address_keeps_its_lines():
    address, problems = lines("Musterstr. 1", "10115 Berlin", "Duitsland")
    assert address == Address(lines=("Musterstr. 1", "10115 Berlin"), country="DE")
    assert problems == ()


def test_an_unknown_country_loses_nothing_and_is_reviewed():
    address, problems = lines("Straat 1", "0000 Stad", "Verweggistan")
    assert address == Address(lines=("Straat 1", "0000 Stad", "Verweggistan"))
    assert [problem.code for problem in problems] == ["address_review"]


def test_no_address_is_none():
    assert lines(None) == (None, ())
    assert parts(Street=None, City=None) == (None, ())


@pytest.mark.parametrize(
    "row",
    [
        {
            "Ad": "Dorpsstraat",
            "HmNr": 12,
            "HmAd": "a",
            "ZpCd": "1034 WL",
            "Rs": "Amsterdam",
            "CoId": "NL",
            "PbAd": False,
        },
        {
            "Address": "Dorpsstraat",
            "Number": 12,
            "NumberAdd": "A",
            "ZipCode": "1034WL",
            "Recidence": "Amsterdam",
            "Country": "NL",
        },
        {
            "A_Straat": "Dorpsstraat",
            "A_Huisnummer": 12,
            "A_Toev_Huisnr.": "-a",
            "A_Postcode": "1034 wl",
            "A_Woonplaats": "Amsterdam",
            "A_Land": "NL",
        },
        {
            "Straat": "Dorpsstraat",
            "Huisnummer": 12,
            "Toevoeging": "A",
            "Postcode": "1034 WL",
            "Woonplaats": "Amsterdam",
        },
    ],
)
def test_parts_are_read_by_the_names_of_every_standard_feed(row):
    assert parts(**row) == (Address("Dorpsstraat", "12", "A", postcode="1034WL", city="Amsterdam", country="NL"), ())


def test_a_row_without_street_and_city_has_no_parts():
    assert codec.parts_of({"AddressId": 1, "ZipCode": "1034 WL"}) is None


def test_a_po_box_in_parts_is_no_house_number():
    assert parts(Street=None, Number=90, City="Amsterdam", PoBox="1")[0].po_box == "90"
    assert parts(Street="Laan", Number=0, City="Amsterdam")[0].number is None


def test_codes_of_countries_are_profits_own():
    assert parts(Street="Musterstr.", Number=1, City="Berlin", CoId="D")[0].country == "DE"
    assert parts(Street="Rue", Number=1, City="Liège", A_Land="BE")[0].country == "BE"
    address, problems = parts(Street="Rue", Number=1, City="X", CoId="QQQ")
    assert address.country is None
    assert problems


def test_an_address_is_written_in_parts_with_a_whole_house_number():
    address = {"street": "Dorpsstraat", "number": "12a", "suffix": "2", "postcode": "1034wl", "city": "Amsterdam"}
    assert codec.address_parts(address) == {
        "PbAd": False,
        "CoId": "NL",
        "Ad": "Dorpsstraat",
        "HmNr": 12,
        "HmAd": "A-2",
        "ZpCd": "1034 WL",
        "Rs": "Amsterdam",
    }


@pytest.mark.parametrize("number", [None, "bij 3", "0"])
def test_a_house_number_that_is_none_is_left_out_and_never_nought(number):
    written = codec.address_parts({"street": "Woonboot", "number": number, "city": "Amsterdam"})
    assert "HmNr" not in written
    assert written["Ad"] == " ".join(part for part in ("Woonboot", number) if part)


def test_a_po_box_is_written_as_one():
    written = codec.address_parts({"po_box": "90", "postcode": "1000AA", "city": "Amsterdam"})
    assert (written["PbAd"], written["HmNr"]) == (True, 90)
    assert "Ad" not in written


def test_a_foreign_address_keeps_its_first_line_and_its_place():
    written = codec.address_parts({"lines": ["Musterstr. 1", "10115 Berlin"], "country": "DE"})
    assert written == {"PbAd": False, "CoId": "D", "Ad": "Musterstr. 1", "Rs": "10115 Berlin"}


def test_a_country_without_a_code_is_refused_and_not_guessed():
    with pytest.raises(ValueError, match="BR"):
        codec.address_parts({"lines": ["Rua 1"], "country": "BR"})


@pytest.mark.parametrize(
    "nothing", [None, {}, {"country": "NL"}, {"shielded": True}, {"shielded": True, "city": "Geheim"}]
)
def test_a_shielded_or_empty_address_is_written_nowhere(nothing):
    assert codec.address_parts(nothing) is None
    assert codec.address_form(nothing) is None


WORDS = st.text("abcdefghijklmnop é'-", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    street=WORDS,
    number=st.integers(1, 9_999).map(str),
    suffix=st.sampled_from([None, "A", "a", "2", "A-2", "bis", "III", "a2"]),
    city=WORDS,
    joint=st.sampled_from([" ", "-", "/", ""]),
)
def test_what_is_sent_equals_what_the_lines_show_however_profit_joins_them(street, number, suffix, city, joint):
    sent = Address(street=street, number=number, suffix=suffix, postcode="1034WL", city=city, country="NL")
    joint = " " if joint == "" and suffix and suffix[0].isdigit() else joint
    shown, _ = lines(
        f"{street} {number}{joint if suffix else ''}{suffix or ''}", f"1034 WL {city.upper()}", "Nederland"
    )
    assert form(shown) == form(sent)


@given(street=WORDS, number=st.integers(1, 9_999), city=WORDS)
def test_what_is_sent_in_parts_reads_back_as_what_was_sent(street, number, city):
    sent = Address(street=street, number=str(number), suffix="A", postcode="1034WL", city=city, country="NL")
    shown, _ = codec.read_address({codec.PARTS: codec.parts_of(codec.address_parts(msgspec.to_builtins(sent)))})
    assert form(shown) == form(sent)


def test_a_form_of_a_form_is_itself():
    for address in (
        Address("Dorpsstraat", "12", "A", city="X"),
        Address(lines=("Musterstr. 1", "Berlin"), country="DE"),
    ):
        once = codec.address_form(msgspec.to_builtins(address))
        assert codec.address_form(once) == once


# --- small values ---------------------------------------------------------------------------------------------------


def test_numbers_are_one_amount_in_any_spelling():
    assert codec.number_form(1000.0) == codec.number_form("1000") == codec.number_form("1000.00") == "1000"
    assert codec.number_form("12.50") == "12.5"
    assert codec.number_form(None) is None


def test_codes_keep_their_leading_zeros():
    assert codec.text("0000012") == "0000012"


def test_a_date_known_to_the_month_cannot_be_kept():
    assert codec.date_form("2018-03") is None
    assert codec.date_form("2018-03-01") == "2018-03-01"
