from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from koppel.model.address import Address
from koppel.model.address_line import split_line
from koppel.model.kinds import normalise
from koppel.model.problem import UsageError
from koppel.systems.exact import accounts, codec, fields
from koppel.systems.exact.settings import Settings
from koppel.systems.spi import Site

SETTINGS = Settings(client_id="a", client_secret="b", redirect_uri="https://c.example", division=7095)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
ID = "71b961de-0000-4000-8000-000000000001"
ROW = {
    "ID": ID.upper(),
    "Timestamp": "1234567",
    "Modified": "/Date(1780315200000)/",
    "Name": "Bakkerij De  Korenaar B.V.",
    "ChamberOfCommerce": "KvK 68.75.01.10",
    "VATNumber": "NL 8000.00.006.B01",
    "RSIN": "800000006",
    "AddressLine1": "Dorpsstraat 12a",
    "AddressLine2": None,
    "AddressLine3": None,
    "Postcode": "1034 wl",
    "City": "Amsterdam",
    "Country": "NL ",
    "Phone": "020-1234567",
    "Email": "info@korenaar.example",
    "Website": "",
    "Status": "C",
    "IsSupplier": False,
    "Blocked": False,
    "EndDate": None,
    "Code": "                 8",
    "BSN": "123456782",
    "Remarks": "regel 1\r\nregel 2 ",
    "SalesVATCode": "5  ",
    "Classification1": ID.upper(),
}


def site(*own):
    return Site(connection="books", settings=SETTINGS, facts={}, as_of=NOW, own=own)


def decoded(*own, **changes):
    names = fields.properties(own, sync=True)
    return accounts.decode(site(*own), accounts.item({**ROW, **changes}, names))


def company(**changes):
    return decoded(**changes).record.entity


# --- dates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-01-15T12:00:00", datetime(2026, 1, 15, 11, tzinfo=UTC)),
        ("2026-07-15T12:00:00", datetime(2026, 7, 15, 10, tzinfo=UTC)),
        ("2026-03-29T01:59:00", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29T03:00:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T03:00:00", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
        ("1965-01-01T00:00:00", datetime(1964, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_the_number_in_a_date_is_dutch_wall_clock_time_summer_time_included(wall, utc):
    number = int(datetime.fromisoformat(f"{wall}Z").timestamp() * 1000)
    assert codec.wall_clock(f"/Date({number})/").isoformat() == wall
    assert codec.instant(f"/Date({number})/") == utc.timestamp()


def test_a_date_alone_is_never_shifted():
    assert codec.day("/Date(1351209600000)/") == "2012-10-26"
    assert codec.day("2026-04-07T00:00:00") == "2026-04-07"
    assert codec.day(None) is None


@pytest.mark.parametrize("odd", ["tomorrow", 5, True, "/Date(x)/", {}])
def test_what_is_no_date_is_refused(odd):
    with pytest.raises(ValueError, match=r".*"):
        codec.wall_clock(odd)


def test_today_is_counted_where_the_books_are():
    assert codec.day_in_amsterdam(datetime(2026, 6, 30, 22, 30, tzinfo=UTC).timestamp()) == "2026-07-01"


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("Dorpsstraat 12", ("Dorpsstraat", "12", None)),
        ("Dorpsstraat  12a", ("Dorpsstraat", "12", "A")),
        ("Dorpsstraat 12 A", ("Dorpsstraat", "12", "A")),
        ("Dorpsstraat 12-A", ("Dorpsstraat", "12", "A")),
        ("Dorpsstraat 12-2", ("Dorpsstraat", "12", "2")),
        ("Dorpsstraat 12 hs", ("Dorpsstraat", "12", "hs")),
        ("Dorpsstraat 12 III", ("Dorpsstraat", "12", "III")),
        ("Dorpsstraat 12 bis A", ("Dorpsstraat", "12", "bis A")),
        ("Plein 1940 12", ("Plein 1940", "12", None)),
        ("1e Jan Steenstraat 5", ("1e Jan Steenstraat", "5", None)),
        ("Laan van 's-Gravenmade 10/2", ("Laan van 's-Gravenmade", "10", "2")),
        ("Dorpsstraat 12 t/m 14", ("Dorpsstraat 12 t/m", "14", None)),
    ],
)
def test_a_line_is_split_into_street_number_and_suffix(line, parts):
    found = split_line(line)
    assert (found.street, found.number, found.suffix) == parts


@pytest.mark.parametrize("line", ["Kasteel De Vuursche", "Dorpsstraat", "12", "Unit 4 Trade Park Noord Building"])
def test_a_line_without_a_house_number_is_not_guessed_at(line):
    assert split_line(line) is None


def test_an_unsplit_line_is_kept_whole_and_put_up_for_review():
    found = decoded(AddressLine1="Kasteel De Vuursche")
    assert found.record.entity.address.street == "Kasteel De Vuursche"
    assert [(problem.code, problem.field) for problem in found.problems] == [("address_review", "AddressLine1")]
    assert codec.address_form(msgspec.to_builtins(found.record.entity.address))["AddressLine1"] == "Kasteel De Vuursche"


WORDS = st.text("abcdefgh'", min_size=5, max_size=8).map(lambda word: word.strip("'") or "straat")
DUTCH = st.builds(
    Address,
    street=st.lists(WORDS, min_size=1, max_size=3).map(" ".join),
    number=st.integers(1, 99_999).map(str),
    suffix=st.none() | st.lists(st.sampled_from(("A", "b", "2", "14", "hs", "bis", "II")), max_size=3).map(" ".join),
    postcode=st.sampled_from((None, "1034WL", "1034 wl")),
    city=st.sampled_from((None, "Amsterdam", " Den  Haag ")),
    country=st.sampled_from((None, "NL")),
)
FOREIGN = st.builds(
    Address,
    lines=st.lists(st.text("abc 12", min_size=1).filter(str.strip), min_size=1, max_size=5).map(tuple),
    postcode=st.sampled_from((None, "B-1000")),
    city=st.sampled_from((None, "Brussel")),
    country=st.sampled_from(("BE", "DE")),
)
BOXES = st.builds(Address, po_box=st.integers(1, 99_999).map(str), city=st.just("Utrecht"), country=st.just("NL"))


@given(DUTCH | FOREIGN | BOXES)
@example(Address(street="Plein 1940", number="12", suffix="A2", country="NL"))
def test_an_address_read_back_has_the_form_it_was_sent_in(address):
    sent = codec.address_form(msgspec.to_builtins(address))
    back, problems = codec.read_address({**sent, "Country": f"{sent['Country']} "})
    assert problems == ()
    assert codec.address_form(msgspec.to_builtins(back)) == sent
    assert codec.address_form(sent) == sent


def test_spelling_is_never_a_difference():
    forms = {
        str(
            codec.address_form(
                {"street": "Dorpsstraat", "number": "12", "suffix": suffix, "postcode": code, "city": "X"}
            )
        )
        for suffix in ("a2", "A-2", "A 2")
        for code in ("1034WL", "1034 wl")
    }
    assert len(forms) == 1


def test_a_dutch_address_becomes_four_fields():
    shown = codec.address_form(
        {"street": "Dorpsstraat", "number": "12", "suffix": "A", "postcode": "1034wl", "city": "X"}
    )
    assert shown == {"AddressLine1": "Dorpsstraat 12 A", "Postcode": "1034 WL", "City": "X", "Country": "NL"}


def test_more_than_three_foreign_lines_are_joined_and_none_is_lost():
    shown = codec.address_form({"lines": ["a", "b", "c", "d"], "country": "BE"})
    assert shown == {"AddressLine1": "a", "AddressLine2": "b", "AddressLine3": "c, d", "Country": "BE"}


@pytest.mark.parametrize("nothing", [None, {}, {"shielded": True, "street": "Geheim"}, {"country": "NL"}])
def test_a_shielded_or_empty_address_has_no_form(nothing):
    assert codec.address_form(nothing) is None


# --- decode -------------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_company():
    found = decoded()
    assert found.problems == ()
    assert msgspec.to_builtins(found.record.entity) == {
        "name": "Bakkerij De Korenaar B.V.",
        "kvk": "68750110",
        "vat_number": "NL800000006B01",
        "rsin": "800000006",
        "is_active": True,
        "role": "customer",
        "is_supplier": False,
        "blocked": False,
        "address": {
            "street": "Dorpsstraat",
            "number": "12",
            "suffix": "A",
            "postcode": "1034WL",
            "city": "Amsterdam",
            "country": "NL",
        },
        "phone": "020-1234567",
        "email": "info@korenaar.example",
        "code": "8",
    }


def test_an_item_carries_its_row_version_and_its_stamp_as_an_instant():
    item = accounts.item(ROW, fields.properties((), sync=True))
    assert (item.native, item.version) == (ID, "1234567")
    assert item.modified_at == datetime(2026, 6, 1, 10, tzinfo=UTC).timestamp()
    assert accounts.item({"ID": ID, "Modified": "odd"}, ()).modified_at is None


def test_a_bsn_is_neither_asked_for_nor_kept_even_when_a_flow_names_it():
    assert "BSN" not in fields.properties(("BSN",), sync=True)
    found = decoded("BSN")
    assert "123456782" not in msgspec.json.encode(found).decode()
    assert "BSN" not in accounts.item(ROW, fields.properties(("BSN",), sync=True)).fields


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [("ChamberOfCommerce", "12345", "kvk"), ("VATNumber", "NL123", "vat_number"), ("RSIN", "123456789", "rsin")],
)
def test_a_number_that_is_none_is_left_out_and_named_without_being_shown(field, value, path):
    found = decoded(**{field: value})
    assert getattr(found.record.entity, path) is None
    assert [(problem.code, problem.field) for problem in found.problems] == [("invalid_number", field)]
    assert value not in str(found.problems[0])


def test_a_lost_leading_zero_of_a_kvk_number_is_put_back_and_said():
    found = decoded(ChamberOfCommerce="1234567")
    assert found.record.entity.kvk == "01234567"
    assert [problem.code for problem in found.problems] == ["number_mended"]


@pytest.mark.parametrize(
    ("status", "role"),
    [("C", "customer"), ("P", "prospect"), ("S", "suspect"), ("A", "none"), (None, "none"), ("C ", "customer")],
)
def test_status_tells_the_role(status, role):
    assert company(Status=status).role == role


def test_an_undocumented_status_is_named_and_not_guessed():
    found = decoded(Status="X")
    assert found.record.entity.role is None
    assert [problem.field for problem in found.problems] == ["Status"]


@pytest.mark.parametrize(
    ("end", "ended_on", "active"),
    [
        ("/Date(1780185600000)/", "2026-05-31", False),
        ("/Date(1780272000000)/", "2026-06-01", False),
        ("/Date(1780358400000)/", "2026-06-02", True),
        (None, None, True),
    ],
)
def test_an_end_date_ends_the_company_on_that_day(end, ended_on, active):
    found = company(EndDate=end)
    assert (found.ended_on, found.is_active) == (ended_on, active)


def test_a_date_that_cannot_be_read_is_named():
    found = decoded(EndDate="soon")
    assert found.record.entity.ended_on is None
    assert [problem.field for problem in found.problems] == ["EndDate"]


def test_a_foreign_address_keeps_its_lines():
    found = company(AddressLine1="Rue Haute 5", AddressLine2="Bte 3", Postcode="1000", City="Bruxelles", Country="BE ")
    assert found.address == Address(lines=("Rue Haute 5", "Bte 3"), postcode="1000", city="Bruxelles", country="BE")


def test_an_account_with_only_a_country_has_no_address():
    assert company(AddressLine1="", Postcode=None, City=" ").address is None


def test_own_fields_come_without_padding_and_only_when_asked_for():
    assert decoded().record.own == {}
    own = decoded("Remarks", "SalesVATCode", "Classification1", "Nonsense").record.own
    assert own == {"Remarks": "regel 1\nregel 2", "SalesVATCode": "5", "Classification1": ID}


def test_a_row_that_lacks_properties_gives_no_item_to_compare_with():
    names = fields.properties((), sync=False)
    assert accounts.whole_item(ROW, names) is not None
    assert accounts.whole_item({k: v for k, v in ROW.items() if k != "Phone"}, names) is None


# --- encode -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "wire"),
    [
        ("name", " Bakker  BV ", {"Name": "Bakker BV"}),
        ("kvk", "01.23.45.67", {"ChamberOfCommerce": "01234567"}),
        ("vat_number", "nl8000.00.006.b01", {"VATNumber": "NL800000006B01"}),
        ("role", "prospect", {"Status": "P"}),
        ("role", "supplier", {"Status": "A"}),
        ("blocked", True, {"Blocked": True}),
        ("blocked", False, {"Blocked": False}),
        ("ended_on", "2026-04-07", {"EndDate": "2026-04-07T00:00:00"}),
        ("ended_on", "2026-04", {}),
        ("ended_on", None, {"EndDate": None}),
        ("phone", None, {"Phone": None}),
        ("phone", "", {"Phone": None}),
        ("Remarks", "a\nb", {"Remarks": "a\nb"}),
        ("address", None, {"AddressLine1": None, "Postcode": None, "City": None}),
        ("address", {"shielded": True}, {}),
        ("address", {"country": "NL"}, {}),
        (
            "address",
            {"street": "Dorpsstraat", "number": "1"},
            {"AddressLine1": "Dorpsstraat 1", "Postcode": None, "City": None, "Country": "NL"},
        ),
    ],
)
def test_values_become_wire_fields(path, value, wire):
    assert accounts.wire_fields(path, value) == wire


@pytest.mark.parametrize("path", ["Classification1", "CustomField", "is_active", "code", "BSN", "legal_form"])
def test_what_cannot_be_written_is_refused_with_the_reason(path):
    with pytest.raises(UsageError) as caught:
        accounts.wire_fields(path, ID)
    assert path in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("sent", "shown", "same"),
    [
        ("NL", "NL ", True),
        (None, None, True),
        (None, "", True),
        ("2026-04-07T00:00:00", "/Date(1775520000000)/", True),
        ("2026-04-08T00:00:00", "/Date(1775520000000)/", False),
        (False, None, True),
        (True, False, False),
        ("a", "b", False),
    ],
)
def test_what_is_shown_is_compared_with_what_was_sent_padding_and_notation_aside(sent, shown, same):
    assert accounts.same_on_wire(sent, shown) is same


FORMED = {
    "name": st.text(),
    "kvk": st.text() | st.sampled_from(("01.234.567", "68750110")),
    "vat_number": st.text() | st.sampled_from(("nl 8000.00.006.b01",)),
    "rsin": st.text() | st.text("8/. ") | st.sampled_from(("8000.00.006",)),
    "ended_on": st.dates().map(str) | st.sampled_from(("2018", "2018-03")),
    "role": st.sampled_from(("customer", "supplier", "none")),
    "phone": st.text(),
    "Remarks": st.text() | st.text("a \r\n"),
    "InvoiceAccount": st.just(ID.upper()),
}


@given(st.data())
def test_every_form_is_stable(data):
    path = data.draw(st.sampled_from(sorted(FORMED)))
    form = fields.BY_PATH[path].form
    once = form(data.draw(FORMED[path] | st.none()))
    assert form(once) == once
    assert normalise(fields.BY_PATH[path].kind, form(once)) == normalise(fields.BY_PATH[path].kind, once)


def test_the_field_table_is_sound():
    assert len(fields.BY_PATH) == len(fields.FIELDS)
    for field in fields.FIELDS:
        assert field.vendor, field.path
        assert field.own == (field.path in fields.OWN_NAMES)
    assert [field.path for field in fields.FIELDS if field.required] == ["name"]
