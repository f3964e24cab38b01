"""KVKBase's fields: what each becomes, and what is left out when nobody said."""

from __future__ import annotations

import pytest

from koppel.model.address import Address
from koppel.systems.kvkbase.codec import decode_company, decode_hit, legal_form, read_address, read_vat
from koppel.systems.kvkbase.settings import Settings
from koppel.systems.spi import Item

SETTINGS = Settings(apikey="kvk_test_made_up")
COMPANY = {
    "kvkNumber": "01234567",
    "name": "Bakkerij De Korenaar B.V.",
    "statutoryName": "Bakkerij De Korenaar B.V.",
    "tradingNames": ["De Korenaar"],
    "legalForm": "Besloten Vennootschap",
    "isActive": True,
    "mainBranchNumber": "000012345678",
    "registrationDate": "2018-03-12",
    "employees": {"total": 14},
    "address": {"street": "Dorpsstraat", "houseNumber": "12 A", "postalCode": "3451 BJ", "city": "Vleuten"},
    "activities": [
        {"sbiCode": "47240", "description": "Winkels in brood", "isMain": False},
        {"sbiCode": "10710", "description": "Vervaardiging van brood", "isMain": True},
    ],
    "vat": {"number": "NL800000006B01", "valid": True, "status": "valid", "validatedAt": "2026-11-02T08:00:00Z"},
    "insolvency": {"type": "surseance", "since": "2026-10-01"},
}


def company(settings=SETTINGS, own=(), **changes):
    return decode_company(settings, Item("01234567", COMPANY | changes), own)


def test_a_whole_company():
    decoded = company()
    told = decoded.record.entity
    assert decoded.problems == ()
    assert (told.name, told.trade_name) == ("Bakkerij De Korenaar B.V.", "De Korenaar")
    assert (told.kvk, told.branch, told.started_on) == ("01234567", "000012345678", "2018-03-12")
    assert (told.legal_form, told.employees, told.personal) == ("Besloten Vennootschap", 14, False)
    assert (told.vat_number, told.vat_candidate, told.vat_state) == ("NL800000006B01", None, "confirmed")
    assert [activity.code for activity in told.sbi] == ["10710", "47240"]
    assert told.address == Address(
        street="Dorpsstraat", number="12", suffix="A", postcode="3451BJ", city="Vleuten", country="NL"
    )


def test_the_name_is_the_settings_choice():
    assert company(Settings(apikey="x", name="trade")).record.entity.name == "De Korenaar"
    assert company(statutoryName=None, name=None).record.entity.name == "De Korenaar"


def test_an_activity_nobody_knows_is_not_an_end():
    assert company(isActive=None).record.entity.is_active is None
    assert company(isActive="Nee").record.entity.is_active is None
    assert company(isActive=False).record.entity.is_active is False
    assert company().record.entity.ended_on is None


@pytest.mark.parametrize(
    ("valid", "status", "state"),
    [
        (True, "valid", "confirmed"),
        (True, None, "confirmed"),
        (True, "unavailable", "unknown"),
        (False, "invalid", "invalid"),
        (False, None, "invalid"),
        (False, "UNAVAILABLE", "unknown"),
        (False, "something new", "unknown"),
        (None, "unavailable", "unknown"),
        (None, None, "candidate"),
        ("true", None, "candidate"),
    ],
)
def test_a_vat_number_has_the_state_that_vies_gave_it(valid, status, state):
    told = company(vat={"number": "NL800000006B01", "valid": valid, "status": status}).record.entity
    assert told.vat_state == state
    assert told.vat_number == ("NL800000006B01" if state == "confirmed" else None)
    assert told.vat_candidate == (None if state == "confirmed" else "NL800000006B01")


def test_without_a_number_there_is_no_state():
    assert read_vat({"number": None, "valid": False, "status": "unavailable"}, []) == (None, None)
    problems = []
    assert read_vat({"number": "NL800000007B01", "valid": True}, problems) == (None, None)
    assert problems[0].field == "vat.number"
    assert "800000007" not in str(problems[0])


def test_a_basic_look_up_knows_no_form_and_a_firm_without_any_sign_is_treated_as_a_person():
    assert legal_form("onbekend") is None
    assert company(legalForm="Onbekend").record.entity.personal is False
    assert company(legalForm="Onbekend", statutoryName=None).record.entity.personal is True
    assert company(legalForm="Eenmanszaak").record.entity.personal is True
    assert company(legalForm="Vennootschap onder Firma", statutoryName=None).record.entity.personal is False


def test_addresses_keep_their_shape():
    assert read_address({"street": "Postbus 90", "postalCode": "1234AB", "city": "Dorp"}, []) == Address(
        po_box="90", postcode="1234AB", city="Dorp", country="NL"
    )
    assert read_address({"street": "Postbusweg", "houseNumber": "3"}, []).street == "Postbusweg"
    assert read_address({"street": "Plein 1992", "houseNumber": "t/o 4"}, []).number == "t/o 4"
    assert read_address({"street": "Laan", "houseNumber": "7-III"}, []).suffix == "III"
    assert read_address({"country": "Nederland"}, []) is None


def test_abroad_is_told_in_lines_and_an_unknown_country_keeps_its_name():
    told = read_address({"street": "Stationsstraat 94", "city": "2000 Antwerpen", "country": "België"}, [])
    assert told == Address(lines=("Stationsstraat 94", "2000 Antwerpen"), country="BE")
    problems = []
    told = read_address({"street": "High Road 1", "city": "Town", "country": "Nergensland"}, problems)
    assert told == Address(lines=("High Road 1", "Town", "Nergensland"))
    assert problems[0].code == "country_unknown"


def test_what_cannot_be_read_is_left_out_and_named():
    decoded = company(registrationDate="ooit", mainBranchNumber="12", address={"street": "Laan", "postalCode": "99"})
    assert {problem.field for problem in decoded.problems} == {
        "registrationDate",
        "mainBranchNumber",
        "address.postalCode",
    }
    assert decoded.record.entity.started_on is None


def test_hostile_shapes_become_nothing():
    odd = {name: [{"x": 1}] for name in COMPANY}
    assert decode_company(SETTINGS, Item("01234567", odd)).record.entity.name is None
    assert decode_company(SETTINGS, Item("01234567", dict.fromkeys(COMPANY))).record.entity.sbi == ()


def test_own_fields_are_told_as_words():
    own = company(own=("insolvency", "vat.validatedAt", "nothing", "activities")).record.own
    assert own == {
        "insolvency": "surseance 2026-10-01",
        "vat.validatedAt": "2026-11-02T08:00:00Z",
        "nothing": None,
        "activities": None,
    }


def test_a_hit_tells_number_name_and_city():
    told = decode_hit(
        Item("01234567", {"kvkNumber": "01234567", "name": "De Korenaar", "city": "Vleuten"})
    ).record.entity
    assert (told.kvk, told.name, told.address, told.is_active) == (
        "01234567",
        "De Korenaar",
        Address(city="Vleuten"),
        None,
    )
