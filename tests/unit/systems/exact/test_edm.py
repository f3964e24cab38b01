"""Values by Edm type: nothing is guessed, and an amount keeps its digits."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.systems.exact import edm

ID = "71b961de-9c2b-4f6e-8a5d-0f1e2d3c4b5a"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**14), max_value=10**14))
def test_an_amount_keeps_every_digit_from_the_answer_to_the_body_and_the_filter(amount: Decimal) -> None:
    text = f'{{"AmountDC":{amount:f}}}'
    read = edm.read_json(text)
    assert isinstance(read, dict)
    value = edm.decode("Double", read["AmountDC"])
    assert value == amount
    assert edm.write_json({"AmountDC": edm.encode("Double", value)}).decode() == text
    assert edm.literal("Double", value) == f"{amount:f}d"


def test_an_amount_that_a_float_cannot_hold_comes_through() -> None:
    read = edm.read_json('{"d":{"a":100000000000000.07,"b":0.10}}')
    assert read == {"d": {"a": Decimal("100000000000000.07"), "b": Decimal("0.10")}}
    assert str(edm.decode("Double", Decimal("0.10"))) == "0.10"


@pytest.mark.parametrize(
    ("type_", "shown", "value"),
    [
        ("Int64", "9007199254740993", 9007199254740993),
        ("Int64", 5, 5),
        ("Int32", -3, -3),
        ("Byte", 1, 1),
        ("Boolean", True, True),
        ("Boolean", 0, False),
        ("Guid", ID.upper(), ID),
        ("DateTime", "/Date(1351209600000)/", datetime(2012, 10, 26)),  # noqa: DTZ001
        ("DateTime", "2026-04-07T08:30:00", datetime(2026, 4, 7, 8, 30)),  # noqa: DTZ001
        ("String", "                 8", "                 8"),
        ("Binary", "SGVs", "SGVs"),
        ("Unknown", "/Date(0)/", datetime(1970, 1, 1)),  # noqa: DTZ001
        ("Unknown", "x", "x"),
        ("Double", None, None),
    ],
)
def test_a_value_is_read_as_its_type_says(type_: str, shown: object, value: object) -> None:
    found = edm.decode(type_, shown)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("type_", "shown"),
    [
        ("Int32", 2**31),
        ("Byte", 256),
        ("Byte", True),
        ("Int64", "x"),
        ("Int64", Decimal("1.5")),
        ("Guid", "71b961de"),
        ("Double", "1,50"),
        ("Double", "NaN"),
        ("DateTime", "soon"),
        ("DateTime", "/Date(99999999999999999)/"),
        ("DateTime", 5),
        ("String", {"a": 1}),
        ("Unknown", [1]),
        ("Boolean", 2),
    ],
)
def test_what_is_not_of_the_type_is_refused_instead_of_guessed(type_: str, shown: object) -> None:
    with pytest.raises(ValueError, match=r"not|no single"):
        edm.decode(type_, shown)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("Boolean", "yes", True),
        ("Boolean", "nee", False),
        ("Byte", "yes", 1),
        ("Byte", "7", 7),
        ("Double", "12.50", Decimal("12.50")),
        ("DateTime", "2026-01-31", datetime(2026, 1, 31)),  # noqa: DTZ001
        ("DateTime", "2026-01-31T08:15", datetime(2026, 1, 31, 8, 15)),  # noqa: DTZ001
        ("Guid", f" {ID.upper()} ", ID),
        ("String", " as typed ", " as typed "),
        ("Int64", "5", 5),
    ],
)
def test_what_a_person_types_becomes_a_value_of_the_type(type_: str, text: str, value: object) -> None:
    assert edm.typed(type_, text) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("Boolean", "maybe"),
        ("Double", "1.000,00"),
        ("DateTime", "31-01-2026"),
        ("DateTime", "2026-01-31T08:15Z"),
        ("Guid", f"guid'{ID}'"),
        ("Unknown", "1"),
        ("Binary", "no base64!"),
    ],
)
def test_what_cannot_be_of_the_type_is_refused_in_words(type_: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        edm.typed(type_, text)


def test_a_body_holds_plain_guids_and_dates_without_a_zone() -> None:
    assert edm.encode("Guid", ID.upper()) == ID
    assert edm.encode("DateTime", datetime(2026, 4, 7)) == "2026-04-07T00:00:00"  # noqa: DTZ001
    assert edm.encode("Double", None) is None
    with pytest.raises(ValueError, match="without a zone"):
        edm.encode("DateTime", datetime(2026, 4, 7, tzinfo=UTC))
    with pytest.raises(ValueError, match="base64"):
        edm.encode("Binary", "not base64")
    with pytest.raises(ValueError, match="not text"):
        edm.encode("String", 8)


def test_a_json_file_must_say_numbers_as_numbers_and_text_as_text() -> None:
    assert edm.from_json("Double", Decimal("1.10")) == Decimal("1.10")
    assert edm.from_json("DateTime", "2026-04-07") == datetime(2026, 4, 7)  # noqa: DTZ001
    for type_, value in (("Double", "1.10"), ("String", 8), ("Int32", "8"), ("DateTime", "2026-04-07T00:00:00Z")):
        with pytest.raises(ValueError, match=r".+"):
            edm.from_json(type_, value)


def test_bytes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        edm.literal("Binary", "SGVs")
