"""What a person types as a condition becomes a filter that means it; the sandbox is the judge, with a reader of its own."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from koppel.model.anything import Draft, Question
from koppel.model.problem import UsageError
from koppel.sandbox.host import build
from koppel.systems.exact import SYSTEM, conditions, odata
from koppel.systems.exact.settings import Settings
from koppel.systems.exact.vendor_table import resources
from koppel.systems.spi import Call, Reply, Request, Site, drive

ACCOUNT = resources()["crm/Accounts"]
VALUES = {
    "Name": "Bakkerij 't Hoekje B.V.",
    "ChamberOfCommerce": "81234567",
    "City": "Ede",
    "Country": "NL",
    "Email": "",
    "Status": "C",
    "StartDate": "2026-04-07T10:30:00",
    "IsSupplier": True,
    "IsAccountant": 1,
    "DiscountSales": Decimal("0.055"),
}
Books = tuple[str, str, Callable[[str], bool]]


@pytest.fixture(scope="module")
def books() -> Books:
    """An account in the sandbox's books: its id, its code, and whether a condition finds it."""
    host = build(companies=5, names=["exact"])
    address = "http://localhost/exact"
    told = host.sandboxes["exact"].contract(address)
    token = host.control("exact", "refresh_token", {"age": 0})["access_token"]
    settings = Settings(
        client_id="a",
        client_secret="b",
        redirect_uri="https://c.example",
        base_url=address,
        division=told["divisions"][0],
    )
    site = Site(connection="books", settings=settings, facts={}, as_of=host.clock.now())
    anything = SYSTEM.anything
    assert anything is not None
    assert anything.prepare is not None
    assert anything.write is not None

    def answer(call: Call) -> Reply:
        host.clock.advance(2)  # the allowance per minute is not what is looked at here
        signed = {**call.request.headers, "Authorization": f"Bearer {token}"}
        return host.handle(Request(call.request.method, call.request.url, signed, call.request.body))

    prepared = drive(anything.prepare(site, Draft(name="crm/Accounts", kind="create", values=VALUES)), answer)
    native = drive(anything.write(site, prepared, "op"), answer).native
    assert native is not None
    question = Question("crm/Accounts", where=f"ID = {native}", select=("Code",))
    code = str(drive(anything.read(site, question), answer).rows[0]["Code"]).strip()

    def holds(text: str) -> bool:
        sheet = drive(anything.read(site, Question("bulk/CRM/Accounts", where=text, select=("ID",))), answer)
        return native in {row["ID"] for row in sheet.rows}

    return native, code, holds


def filter_of(text: str) -> odata.Condition:
    return conditions.render(conditions.read(text, ACCOUNT).node)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Code = CODE", True),
        ("Code = CODE7", False),
        ("code = CODE and StartDate > 2026-01-01", True),
        ("StartDate > 2026-04-08", False),
        ("StartDate >= 2026-04-07T10:30", True),
        ('Name = "Bakkerij \'t Hoekje B.V."', True),
        ("Name = 'Bakkerij ''t Hoekje B.V.'", True),
        ("Name contains Hoekje", True),
        ("Name not contains Hoekje", False),
        ("Name starts with Bakker", True),
        ("Name ends with 'B.V.'", True),
        ("lower(City) = ede", True),
        ("upper(City) = EDE", True),
        ("length(City) = 3", True),
        ("trim(Country) = NL", True),
        ("year(StartDate) = 2026 and month(StartDate) = 4 and day(StartDate) = 7", True),
        ("Country = NL", True),
        ("Country != NL", False),
        ("Status in (P, C)", True),
        ("Status not in (P, C)", False),
        ("Email is empty", True),
        ("Email is null", False),
        ("Email is not empty", False),
        ("EndDate is null", True),
        ("IsSupplier", True),
        ("not IsSupplier", False),
        ("IsSupplier = no", False),
        ("IsAccountant = yes", True),
        ("DiscountSales > 0.0549", True),
        ("DiscountSales <= 0.0549", False),
        ("ID = NATIVE", True),
        ("City = Ede or City = Wageningen and Status = P", True),
        ("(City = Ede or City = Wageningen) and Status = P", False),
        ("not (City = Ede and Status = P)", True),
        ("Status eq C and City ne Amsterdam", True),
    ],
)
def test_a_condition_means_what_it_says(text: str, *, holds: bool, books: Books) -> None:
    native, code, found = books
    assert found(text.replace("CODE", code).replace("NATIVE", native.upper())) is holds


@pytest.mark.parametrize(
    ("text", "position", "word"),
    [
        ("Cod = 8", 1, "no property 'Cod'"),
        ("Code = 8 and Nme = x", 14, "no property 'Nme'"),
        ("Code", 5, "a comparison is expected"),
        ("Code =", 7, "a value is expected"),
        ("Code = 8 City = Ede", 10, "not expected here"),
        ("Name = City", 8, "cannot be compared with each other"),
        ("Name = 'open", 8, "a quote"),
        ("(Code = 8", 10, "')' is expected"),
        ("Status in (C", 13, "')' is expected"),
        ("ID = 12", 6, "not a GUID"),
        ("ID > 12", 4, "only = and !="),
        ("Blocked < yes", 9, "only = and !="),
        ("Modified > yesterday", 12, "not a date"),
        ("CreditLineSales > 1.000,50", 24, "numbers take a point"),
        ("CreditLineSales contains 5", 17, "only text can be searched"),
        ("year(Name) = 2026", 1, "takes a date"),
        ("BankAccounts = x", 1, "is a collection"),
        ("BankAccounts/IBAN = x", 1, "in a collection"),
        ("Name > null", 8, "nothing is smaller"),
        ("Name is blue", 9, "is empty"),
        ("", 1, "name of a property"),
    ],
)
def test_what_is_wrong_is_one_message_that_shows_the_place(text: str, position: int, word: str) -> None:
    with pytest.raises(UsageError) as error:
        conditions.read(text, ACCOUNT)
    assert f"position {position}:" in error.value.message
    assert word in error.value.message
    assert error.value.remedy.splitlines()[-1].index("^") - 8 == position - 1


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(UsageError) as error:
        conditions.read("Chamberofcomerce = 1", ACCOUNT)
    assert "ChamberOfCommerce" in error.value.remedy


def test_a_quote_in_a_value_cannot_break_out() -> None:
    assert filter_of("""Name = "' or 1 eq 1 or Name eq '" """) == "Name eq ''' or 1 eq 1 or Name eq '''"


def test_a_long_list_is_asked_in_parts_that_overlap_nowhere_and_fit() -> None:
    codes = [str(number) for number in range(500)]
    wanted = conditions.read(f"Status = C and Code in ({', '.join(codes)})", ACCOUNT)
    parts = wanted.batches(room=3000, most=40)
    assert len(parts) == 13
    assert all(odata.size(part) <= 3000 for part in parts)
    assert all("Status eq 'C'" in part for part in parts)
    for code in codes:
        assert sum(f"'{code:>18}'" in part for part in parts) == 1
    assert conditions.read("Status = C", ACCOUNT).batches(room=3000, most=40) == ("Status eq 'C'",)


def test_a_list_that_rows_need_not_be_in_is_never_cut() -> None:
    wanted = conditions.read(f"Status = C or Code in ({', '.join(map(str, range(100)))})", ACCOUNT)
    assert len(wanted.batches(room=300, most=5)) == 1


def test_a_value_that_may_be_filled_with_blanks_is_looked_for_in_each_spelling() -> None:
    assert filter_of("Country = NL") == "(Country eq 'NL' or Country eq 'NL ')"
    assert filter_of("Country != NL") == "(Country ne 'NL' and Country ne 'NL ')"
    assert filter_of("Country in (NL, BE)").count(" or ") == 3
