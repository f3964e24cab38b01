"""The demo's five acts in figures, counted at the sandboxes and in the store; and that a reader can follow them."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import msgspec
import pytest
from rich.console import Console

from koppel.app import Workspace
from koppel.demo import run_demo
from koppel.demo.present import Presenter
from koppel.demo.report import Grid, Heading, Line

pytestmark = pytest.mark.slow


class Played:
    """One performance: its report, what was said, and the workspace that stayed."""

    def __init__(self, folder):
        self.said = []
        self.report = run_demo(keep=folder, say=self.said.append)
        self.acts = self.report.acts
        self.folder = folder

    def grids(self, act):
        number, found = 0, []
        for said in self.said:
            number = said.number if isinstance(said, Heading) else number
            if isinstance(said, Grid) and number == act:
                found.append(said)
        return found

    def text(self):
        shown = io.StringIO()
        present = Presenter(Console(file=shown, width=200, highlight=False))
        for said in self.said:
            present(said)
        present.closing(self.report, ("what to do next",))
        return shown.getvalue()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(tmp_path_factory.mktemp("demo") / "workspace")


def test_nothing_is_doubled_and_nothing_lost(played):
    assert (played.report.duplicates, played.report.lost, played.report.trail_ok) == (0, 0, True)
    assert [act.name for act in played.acts] == [
        "take in", "silence", "register changes", "people edit", "trouble",
    ]  # fmt: skip


def test_forty_numbers_are_taken_in_and_each_is_spoken_for(played):
    act = played.acts[0]
    assert (act.created, act.updated, act.linked) == (12, 10, 24)
    assert (act.refused, act.parked, act.asked) == (4, 1, 1)
    assert act.writes == act.created + act.updated
    rows = played.grids(1)[1].rows
    assert len(rows) == 40
    assert {row[1].split()[0] for row in rows} == {"create", "link", "ask", "park", "refuse"}
    assert all(row[2] for row in rows), "every row says why"
    assert sum(int(row[3] or 0) for row in rows) == act.writes, "the price is what was paid"


def test_the_plan_names_every_way_a_company_can_be_known(played):
    rows = played.grids(1)[1].rows
    why = " | ".join(row[2] for row in rows)
    for reason in (
        "Same KVK number",
        "Same VAT number",
        "one of several debtors",
        "nobody in the books",
        "the VAT number names",
    ):
        assert reason.lower() in why.lower()
    assert [row[1] for row in rows if "one of several" in row[2]] == ["link 3"]


def test_silence_writes_nothing_and_costs_one_call_per_stream(played):
    act = played.acts[1]
    assert (act.created, act.updated, act.linked, act.parked, act.asked, act.writes) == (0, 0, 0, 0, 0, 0)
    assert act.calls == {"exact": act.streams, "kvk": 0}
    assert act.streams == 2
    assert act.unchanged == 40 - 4 - 1 - 1


def test_only_what_changed_in_the_register_moves(played):
    act = played.acts[2]
    assert (act.updated, act.writes, act.asked, act.created) == (2, 2, 1, 0)
    changes, questions = played.grids(3)
    assert sorted(row[1] for row in changes.rows) == ["address", "name"]
    assert "Nieuwe Markt 7" in next(row[3] for row in changes.rows if row[1] == "address")
    assert act.calls["kvk"] == 34 + 1, "every linked company once, and one search for a successor"
    (question,) = questions.rows
    assert "possible successor" in question[1]
    assert "49999980" in question[1]


def test_the_address_is_put_right_and_the_telephone_stays_and_both_stand_in_the_trail(played):
    act = played.acts[3]
    assert (act.updated, act.writes) == (1, 1)
    now = next({row[0]: row[1:] for row in grid.rows} for grid in played.grids(4) if "now" in grid.columns)
    assert now["address"][0] != now["address"][1]
    assert now["telephone"] == ("030-5550142", "030-5550142")
    with Workspace.open(played.folder) as workspace:
        entries = [
            e for e in workspace.log(limit=1000) if e.data and set(e.data.get("fields", {})) & {"phone", "address"}
        ]
    noticed = next(e for e in entries if e.kind == "noticed")
    assert noticed.data["fields"]["phone"]["after"] == "030-5550142"
    restored = next(e for e in entries if e.kind == "updated" and "Verkeerdeweg" in str(e.data))
    assert restored.data["fields"]["address"]["before"]["street"] == "Verkeerdeweg"
    (shown,) = [grid for grid in played.grids(4) if grid.title == "The trail"]
    assert [row[2] for row in shown.rows] == ["address", "telephone"]
    assert shown.rows[1][3:] == ("(empty) → 030-5550142", "Yours: no rule touches it")


def test_trouble_is_survived(played):
    act = played.acts[4]
    assert act.created == act.writes == 8, "seven numbers and the one that KVK was busy with"
    assert (act.updated, act.linked) == (0, 0)
    assert act.refused >= 1
    assert act.parked >= 1
    said = " ".join(line.text for line in played.said if isinstance(line, Line))
    assert "SIGKILL" in said
    assert "Exact holds 1 debtor that Koppel has not written down" in said
    assert "waiting 20 s" in said, "the 503"
    assert "a limit is reached" in said, "the 429"
    assert "a reply was lost" in said
    first, last = played.grids(5)
    assert any("Verplicht: Betalingsconditie" in row[1] for row in first.rows)
    assert last.rows == (("nothing is parked any more", ""),)


def test_the_sandboxes_count_what_the_store_recorded(played):
    with Workspace.open(played.folder) as workspace:
        kinds = [entry.kind for entry in workspace.log(limit=1000)]
        assert workspace.audit_verify() is None
        assert workspace.parked() == []
    assert kinds.count("created") == sum(act.created for act in played.acts)
    assert kinds.count("created") + kinds.count("updated") == sum(act.writes for act in played.acts)


def test_a_reader_needs_eighty_columns_and_no_jargon(played):
    text = played.text()
    assert max(map(len, text.splitlines())) <= 80
    for jargon in ("left owns", "right owns", "native", "is_active", "idempot", "IPD1002"):
        assert jargon not in text
    assert text.rstrip().endswith("what to do next")


def test_it_is_the_same_twice(played):
    again = run_demo(keep=None, say=lambda _said: None)

    def figures(report):
        return [msgspec.structs.replace(act, seconds=0.0) for act in report.acts]

    assert figures(again) == figures(played.report)


def test_json_is_one_object_and_nothing_else_on_standard_output(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from koppel.cli.main import main; main()", "demo", "--json"], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"acts", "duplicates", "lost", "trail_ok"}
    assert set(told["acts"][0]) == {
        "name", "created", "updated", "linked", "refused", "parked", "asked", "unchanged", "writes", "calls", "streams", "seconds",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []
