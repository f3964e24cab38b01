"""`koppel totals` at the command line: shown, written, signed off, and what has changed since."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from koppel.testing.stand import Stand


@pytest.fixture
def month(at: Stand, koppel: Any) -> str:
    """Companies kept in step, and the month that it is."""
    koppel("add", at.host.world.companies[0].kvk, "--to", "books-nl", "--quiet")
    koppel("sync", "kvk-exact", "--now", "--quiet", "--allow", "creates")
    day = max(one["day"] for one in _days(koppel("totals", "kvk-exact", "--period", str(_year(at)), "--json").json))
    return day[:7]


def _year(at: Stand) -> int:
    return 1970 + int(at.host.clock.now() / 31_556_952)


def _days(told: Any) -> list[dict[str, str]]:
    return [row["key"] for one in told for row in one["rows"]]


def test_a_period_is_shown_written_and_signed_and_what_changed_since_is_said(
    month: str, at: Stand, koppel: Any, tmp_path: Path
) -> None:
    for ending in ("html", "csv", "json"):
        assert koppel("totals", "kvk-exact", "-p", month, "--no-read", "-o", str(tmp_path / f"t.{ending}")).code == 1
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert {row["period"] for row in rows} == {month}
    assert [row["measure"] for row in rows] == ["changed"] * len(rows)
    assert json.loads((tmp_path / "t.json").read_text())[0]["period"]["name"] == month
    assert "Control totals" in (tmp_path / "t.html").read_text()
    refused = koppel("totals", "kvk-exact", "-p", month, "--sign-off", "A. de Vries")
    assert refused.code == 2
    assert "--with-differences" in refused.err
    assert koppel("totals", "kvk-exact", "--signed", "--no-read").code == 0
    signed = koppel("totals", "kvk-exact", "-p", month, "--sign-off", "A. de Vries", "--with-differences")
    assert "Signed off by A. de Vries" in signed.out
    assert "Nothing has changed since" in koppel("totals", "kvk-exact", "--signed").out
    assert "signed off by A. de Vries" in koppel("log").out
    at.exact("add", division=at.division, set={"Name": "Nieuw", "Status": "C"})
    at.wait(60)
    later = koppel("totals", "kvk-exact", "--signed")
    assert later.code == 1
    assert "has changed since it was signed off" in later.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--signed"),
        (("--period", "october"), "2026-10"),
        (("--period", "2026-13"), "does not exist"),
        (("--signed", "--sign-off", "A"), "period and a name"),
        (("--period", "2026-10", "--sign-off", " "), "period and a name"),
        (("--period", "2026-10", "-o", "t.pdf"), ".html, .csv, .json"),
    ],
)
def test_wrong_use_is_said_in_one_message(koppel: Any, words: tuple[str, ...], said: str) -> None:
    told = koppel("totals", "kvk-exact", "--no-read", *words)
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err
