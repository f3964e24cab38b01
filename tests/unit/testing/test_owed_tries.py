"""What a refused operation, tried again at its time, may cost a run with nothing to do."""

from __future__ import annotations

from koppel.mapping.flow import SideName
from koppel.store.work import Item
from koppel.testing.owed_tries import readings, tried_in_time
from koppel.testing.toy_servers import Row

ROWS: dict[SideName, dict[str, Row]] = {
    "left": {"1": {"nr": "16002"}, "2": {"nr": None}, "4": {"nr": "99"}},
    "right": {"6": {"nr": "16002"}, "7": {"nr": "99"}, "8": {"nr": None}},
}


def refused(
    number: int = 12, *, run: int = 33, native: str = "1", right: str | None = None, op: str | None = "o"
) -> Item:
    body = {"left": native, "right": right}
    return Item(
        number, "parked", "extra", "left", native, "", "open", "refused", body, None, op, run, 2, 0.0, 90.0, None, None
    )


def test_a_try_counts_when_its_time_had_come() -> None:
    one = refused()
    assert tried_in_time({12: 50.0}, [one], 33, 60.0) == [one]
    assert tried_in_time({12: 70.0}, [one], 33, 60.0) == []  # early
    assert tried_in_time({12: 50.0}, [one], 34, 60.0) == []  # by another run
    assert tried_in_time({12: None}, [one], 33, 60.0) == []  # at nobody's time
    assert tried_in_time({}, [one], 33, 60.0) == []  # refused for the first time
    assert tried_in_time({12: 50.0}, [refused(op=None)], 33, 60.0) == []


def test_whoever_carries_its_number_is_read_once() -> None:
    assert readings([refused()], ROWS, {"right": 1}) == 1
    assert readings([refused()], ROWS, {"left": 1, "right": 1}) == 2
    assert readings([refused()], ROWS, {"left": 5, "right": 5}) == 2


def test_both_records_of_its_step_are_read_also_without_numbers() -> None:
    assert readings([refused(native="2", right="8")], ROWS, {"left": 3, "right": 3}) == 2
    assert readings([refused(native="2")], ROWS, {"left": 3, "right": 3}) == 1


def test_without_a_try_no_reading_is_owed() -> None:
    assert readings([], ROWS, {"left": 1, "right": 1}) == 0


def test_what_was_not_read_by_id_is_not_owed() -> None:
    assert readings([refused()], ROWS, {}) == 0
