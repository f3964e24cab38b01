"""`koppel reconcile`: where the sides differ, on the terminal and in files, and the plan that mends it."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from koppel.app.reconcile import Mend
from koppel.cli import tell_findings
from koppel.cli.main import app  # noqa: F401 - the commands are put together without a cycle
from koppel.sync.compare import Finding
from koppel.testing.pair_desk import FLOW
from koppel.testing.stand import Stand

Koppel = Any


@pytest.fixture
def kept(at: Stand, koppel: Koppel) -> Stand:
    """Ten companies in both, one of them edited in the books afterwards."""
    numbers = [company.kvk for company in at.host.world.companies[:10]]
    assert koppel("add", *numbers, "--to", "books-nl", "--allow", "creates", "--quiet").code in (0, 1)
    assert koppel("sync", "kvk-exact", "--now", "--quiet", "--allow", "creates").code in (0, 1)
    return at


def test_sides_that_agree_are_said_to_and_leave_zero(kept: Stand, koppel: Koppel) -> None:
    said = koppel("reconcile", "kvk-exact", "--json")
    assert said.json["summary"]["left"]["listed"] is False
    assert said.json["summary"]["right"]["whole_at"] is not None
    different = [
        f for kind in said.json["findings"].values() for f in kind if f["verdict"] in ("mend", "person", "wait")
    ]
    assert (said.code == 0) == (different == [])


def test_what_is_to_be_mended_is_planned_from_the_left_record_or_from_the_right_one_alone() -> None:
    mend = Mend()
    for kind, verdict, left, right in (
        ("differs", "mend", "l1", "r1"),
        ("only_right", "mend", None, "r2"),
        ("only_right", "allowed", None, "r3"),
        ("differs", "person", "l4", "r4"),
    ):
        mend.note(Finding(kind, verdict, left, right))
    assert (list(mend.left), list(mend.right)) == (["l1"], ["r2"])


def test_an_edit_in_the_books_is_told_field_by_field_and_mended_by_the_plan(
    kept: Stand, koppel: Koppel, tmp_path: Path
) -> None:
    linked = [c.kvk for c in kept.host.world.companies[:10] if len(kept.accounts(c.kvk)) == 1]
    account = kept.account(linked[0])["ID"]
    kept.exact("edit", division=kept.division, kvk=linked[0], set={"Name": "Somebody's own name"})
    kept.wait(60)
    said = koppel(
        "reconcile", "kvk-exact", "--json", "--plan", str(tmp_path / "mend.json"), "-o", str(tmp_path / "r.json")
    )
    assert said.code == 1
    (found,) = [f for f in said.json["findings"]["differs"] if f["verdict"] == "mend"]
    assert (found["right"], found["field"], found["right_value"]) == (account, "name", "Somebody's own name")
    assert found["rule"] == "the left owns it"
    assert said.json["plan"]["counts"]["update"] == 1
    assert koppel("apply", str(tmp_path / "mend.json"), "--quiet").code in (0, 1)
    after = koppel("reconcile", "kvk-exact", "--json").json
    assert [f for f in after["findings"].get("differs", ()) if f["verdict"] == "mend"] == []
    whole = json.loads((tmp_path / "r.json").read_text())
    assert [f for f in whole["findings"] if f.get("verdict") == "mend"] == [found]
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == 0o600


def test_a_run_says_that_it_read_whole(kept: Stand, koppel: Koppel) -> None:
    kept.wait(8 * 86_400)  # the ready-made flow says weekly
    said = koppel("sync", "kvk-exact", "--now")
    assert "books-nl:accounts: reading all of it (weekly reconciliation)" in said.err
    assert "1 side read whole" in said.out
    assert "read whole" not in koppel("sync", "kvk-exact", "--now").out


def test_a_file_must_say_what_it_is_to_hold(koppel: Koppel, tmp_path: Path) -> None:
    said = koppel("reconcile", "kvk-exact", "--no-read", "-o", str(tmp_path / "report.docx"))
    assert said.code == 2
    assert ".html, .csv, .json" in said.err
    assert list(tmp_path.glob("report*")) == []


def test_an_unknown_flow_is_wrong_use(koppel: Koppel) -> None:
    assert koppel("reconcile", "nothing").code == 2


FOUND = [
    Finding(
        "differs", "mend", "1", "2", "<b>Jansen & Zn</b>", "name", "A", "=cmd()", "the left owns it", "left changed"
    ),
    Finding("only_left", "person", "3", None, "Pieters", why="two candidates", item=7),
    Finding(
        "duplicate",
        "person",
        label="x, y",
        field="kvk",
        right_value="00000019",
        why="on the right: 2 records carry it",
        records=("4", "5"),
    ),
]


def test_csv_holds_every_value_and_nothing_a_spreadsheet_would_run() -> None:
    rows = list(csv.DictReader("".join(tell_findings.as_csv(FOUND)).splitlines()))
    assert [row["kind"] for row in rows] == ["differs", "only_left", "duplicate"]
    assert (rows[0]["left_value"], rows[0]["right_value"]) == ("A", "'=cmd()")
    assert rows[1]["item"] == "7"
    assert rows[2]["records"] == "4, 5"


def test_the_page_escapes_and_names_both_values(tmp_path: Path) -> None:
    from koppel.app.findings import Findings
    from koppel.engine.reconcile import Read, Summary

    side = Read("left:customers", 3, 0.0, 0.0, True)
    counts: Any = {"differs": {"mend": 1}, "only_left": {"person": 1}, "duplicate": {"person": 1}}
    summary = Summary("pair", 0.0, side, side, 2, 1, counts)
    with Findings(tmp_path) as findings:
        for finding in FOUND:
            findings.put(finding)
        page = "".join(tell_findings.as_page(summary, findings, FLOW))
    assert "<b>Jansen" not in page
    assert "&lt;b&gt;Jansen &amp; Zn" in page
    assert "3 things on which the two sides do not agree" in page
    assert "for a person (no. 7)" in page
    assert list(tmp_path.iterdir()) == []
