"""What is read by name, as JSON and as cells: every digit stays, and nothing reads as something else."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from koppel.app.reading import as_json, as_text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_an_amount_is_a_json_number_with_exactly_its_digits(amount: Decimal) -> None:
    text = msgspec.json.format(msgspec.json.encode({"rows": [as_json({"AmountDC": amount})]}), indent=2)
    read = msgspec.json.Decoder(float_hook=Decimal).decode(text)["rows"][0]["AmountDC"]
    assert Decimal(read) == amount
    assert f"{Decimal(read):f}" == f"{amount:f}"


def test_dates_lines_and_flags_in_json_and_in_cells() -> None:
    row = {
        "On": datetime(2026, 4, 7),  # noqa: DTZ001
        "At": datetime(2026, 4, 7, 8, 30),  # noqa: DTZ001
        "Blocked": False,
        "Nothing": None,
        "Lines": ({"Quantity": Decimal("1.50"), "Notes": None}, {"Quantity": Decimal(2)}),
    }
    assert msgspec.json.decode(msgspec.json.encode(as_json(row))) == {
        "On": "2026-04-07T00:00:00",
        "At": "2026-04-07T08:30:00",
        "Blocked": False,
        "Nothing": None,
        "Lines": [{"Quantity": 1.5, "Notes": None}, {"Quantity": 2}],
    }
    assert [as_text(value) for value in row.values()] == [
        "2026-04-07",
        "2026-04-07 08:30:00",
        "no",
        "",
        "Quantity 1.50; Quantity 2",
    ]
