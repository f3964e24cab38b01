"""The demo's five acts in figures, counted at the sandboxes and in the store; and that a reader can follow them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from koppel.app import Workspace
from koppel.demo import run_demo
from koppel.demo.picture import draw, shortened
from koppel.demo.present import Presenter
from koppel.demo.report import Grid, Heading, Line
from koppel.demo.scene import AFAS, EXACT, Scene
from koppel.testing.stand import stand

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


def test_forty_numbers_are_taken_into_both_and_each_is_spoken_for(played):
    act = played.acts[0]
    assert (act.created, act.updated, act.linked) == (12 + 23, 10 + 5, 24 + 13)
    assert (act.refused, act.parked, act.asked) == (2 * 4, 2, 2)
    assert act.writes == act.created + act.updated
    plan = played.grids(1)[1]
    assert plan.columns == ("company", "Exact", "AFAS", "why", "calls")
    assert len(plan.rows) == 40
    for column in (1, 2):
        assert {row[column].split(",")[0].split()[0] for row in plan.rows} == {
            "create", "link", "ask", "park", "refuse",
        }  # fmt: skip
    assert all(row[3] for row in plan.rows), "every row says why"
    assert sum(int(row[4] or 0) for row in plan.rows) == act.writes, "the price is what was paid"


def test_the_register_is_asked_once_for_both(played):
    plan = played.grids(1)[1]
    assert plan.foot.startswith("Looked up once for both: 40 basisprofiel at KVK (€ 0.80), 2 zoeken at KVK (free).")
    assert plan.foot.endswith("Calls to write: 22 to Exact, 28 to AFAS.")
    # 40 and 2, the busy one once more by `apply`, and three calls about signals
    assert played.acts[0].calls["kvk"] == 40 + 2 + 1 + 3


def test_the_plan_names_every_way_a_company_can_be_known(played):
    rows = played.grids(1)[1].rows
    why = " | ".join(row[3] for row in rows)
    for reason in (
        "Same KVK number",
        "Same VAT number",
        "one of several debtors",
        "nobody has its numbers",
        "the VAT number names",
        "struck off long ago",
        "ended: no debtor is made",
    ):
        assert reason.lower() in why.lower()
    assert [row[1:3] for row in rows if "one of several" in row[3]] == [("link 3", "link 3")]
    assert [row[3] for row in rows if row[1:3] == ("link", "link,\nupdate")] == [
        "Same KVK number. AFAS: address put right"
    ]


def test_silence_writes_nothing_and_costs_one_call_per_stream(played):
    act = played.acts[1]
    assert (act.created, act.updated, act.linked, act.parked, act.asked, act.writes) == (0, 0, 0, 0, 0, 0)
    assert act.calls == {"exact": 2, "afas": 1, "kvk": 1}
    assert act.streams == sum(act.calls.values())
    assert act.unchanged == 2 * (40 - 4 - 1 - 1)


def test_only_what_the_signals_name_is_looked_up_and_only_what_changed_moves(played):
    act = played.acts[2]
    assert (act.updated, act.writes, act.asked, act.created) == (4, 4, 2, 0)
    assert act.calls["kvk"] == 4 + 1 + 2 + 1, (
        "four companies, the list, two signals in full, a search for the successor"
    )
    assert any("signals name 4 of the 36" in line.text for line in played.said if isinstance(line, Line))
    changes, questions = played.grids(3)
    assert {(row[1], row[2]) for row in changes.rows} == {("both", "address"), ("Exact", "name"), ("AFAS", "name")}
    assert "Nieuwe Markt 7" in next(row[4] for row in changes.rows if row[2] == "address")
    (question,) = questions.rows
    assert question[1] == "both"
    assert question[2].endswith("the register names 49999980 as its successor")


def test_the_address_is_put_right_and_the_telephone_stays_and_both_stand_in_the_trail(played):
    act = played.acts[3]
    assert (act.updated, act.writes) == (2, 2)
    now = next({row[0]: row[1:] for row in grid.rows} for grid in played.grids(4) if "in AFAS now" in grid.columns)
    typed, *books = now["address"]
    assert typed not in books
    assert books == ["Lange Voorhout 218 E"] * 2
    assert set(now["telephone"]) == {"030-5550142"}
    with Workspace.open(played.folder) as workspace:
        entries = [
            e for e in workspace.log(limit=1000) if e.data and set(e.data.get("fields", {})) & {"phone", "address"}
        ]
    noticed = [e.data["fields"]["phone"] for e in entries if e.kind == "noticed" and "phone" in e.data["fields"]]
    assert [phone["after"] for phone in noticed] == ["030-5550142"] * 2
    restored = [e for e in entries if e.kind == "updated" and "Verkeerdeweg" in str(e.data)]
    assert [e.data["fields"]["address"]["before"]["street"] for e in restored] == ["Verkeerdeweg"] * 2
    (shown,) = [grid for grid in played.grids(4) if grid.title == "The trail"]
    assert [row[1:3] for row in shown.rows] == [
        ("updated Exact", "address"),
        ("updated AFAS", "address"),
        ("seen in Exact", "telephone"),
        ("seen in AFAS", "telephone"),
    ]
    assert {row[3:] for row in shown.rows[2:]} == {("(empty) → 030-5550142", "Yours: no rule touches it")}


def test_trouble_is_survived(played):
    act = played.acts[4]
    assert act.created == act.writes == 2 * 8, "seven numbers and the one that KVK was busy with, in each"
    assert (act.updated, act.linked) == (0, 0)
    assert (act.refused, act.parked) == (2, 2)
    said = " ".join(line.text for line in played.said if isinstance(line, Line))
    assert "SIGKILL" in said
    assert "Exact holds 1 debtor that Koppel has not written down" in said
    assert "waiting 20 s" in said, "the 503"
    assert "a limit is reached" in said, "the 429"
    assert "a reply was lost" in said
    assert "AFAS may still be busy storing it" in said, "a reply lost there is asked about when AFAS is surely done"
    assert said.count("1 found that was stored without our hearing it") == 3
    first, last = played.grids(5)
    why = {row[1]: row[2] for row in first.rows}
    assert "Verplicht: Betalingsconditie" in why["Exact"]
    assert "Vul een waarde in bij 'Betalingsvoorwaarde'." in why["AFAS"]
    assert "KVK is processing a change" in why["both"]
    assert last.rows == (("nothing is parked any more", "", ""),)


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
    for jargon in ("left owns", "right owns", "native", "is_active", "idempot", "IPD1002", "first contact"):
        assert jargon not in text
    assert text.rstrip().endswith("what to do next")


def test_the_picture_shows_the_plan_and_what_it_came_to_and_fetches_nothing(played):
    drawn = draw(played.said, played.report)
    root = ET.fromstring(drawn)
    text = " ".join("".join(root.itertext()).replace("\xa0", " ").split())
    for shown in ("Take in 40 KVK numbers", "of 40 companies)", "link 3", "Doubled: 0. Lost: 0.", "act 5"):
        assert shown in text
    assert "http" not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert draw(played.said, played.report) == drawn


def test_the_pictures_plan_shows_each_thing_that_can_happen_once(played):
    plan = played.grids(1)[1]
    short = shortened(plan)
    assert {row[1:3] for row in short.rows} == {row[1:3] for row in plan.rows}
    assert len(short.rows) == len({row[1:3] for row in plan.rows})
    assert all(len(row[3]) <= 90 for row in short.rows)


def test_what_people_typed_and_a_number_nobody_speaks_of_would_be_counted_as_lost(tmp_path):
    with stand(tmp_path / "workspace", companies=4, seed=4, afas=True) as at:
        scene = Scene(stand=at, cast=None, say=lambda _said: None)
        scene.take(["00100104"])
        assert scene.missing() == ["exact 00100104", "afas 00100104"]
        at.workspace.sync(EXACT.flow)
        assert scene.missing() == ["afas 00100104"]
        at.workspace.sync(AFAS.flow)
        assert scene.missing() == []
        at.afas("edit", kvk="00100104", set={"TeNr": "030-5550142"})
        scene.keep(AFAS, "00100104", "TeNr")
        assert scene.missing() == []
        at.afas("edit", kvk="00100104", set={"TeNr": "030-5550199"})
        (lost,) = scene.missing()
        assert lost.startswith("afas")
        assert lost.endswith("TeNr")


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
    assert {tuple(act["calls"]) for act in told["acts"]} == {("exact", "kvk", "afas")}
    assert set(told["acts"][0]) == {
        "name", "created", "updated", "linked", "refused", "parked", "asked", "unchanged", "writes", "calls", "streams", "seconds",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []
