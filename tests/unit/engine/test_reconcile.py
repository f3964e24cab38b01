"""Full reconciliation: the report says exactly what differs, in which verdict and why, and the plan mends what the rules allow."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from koppel.engine import reconcile
from koppel.engine.one_pass import Options
from koppel.model.record import Record
from koppel.store import observations, streams, subjects
from koppel.store.observations import Seen
from koppel.sync.compare import Finding
from koppel.testing.pair_desk import FLOW, QUARTER, PairDesk, company
from koppel.testing.planted import PERSON, PLANTED, plant
from koppel.testing.planted import company as planted_company


def compared(desk: PairDesk) -> tuple[Any, list[Finding]]:
    found: list[Finding] = []
    summary = desk.do(reconcile.compare(desk.ports, desk.flow, found.append))
    return summary, found


def short(finding: Finding) -> tuple[Any, ...]:
    values = (finding.left_value, finding.right_value)
    return (finding.kind, finding.verdict, finding.left, finding.right, finding.field, *values)


@pytest.fixture(scope="module")
def planted() -> Any:
    """2,000 on both sides, each kind of difference planted at least five times."""
    desk = PairDesk(flow=PLANTED)
    expected = plant(desk, 2000, every=20)
    summary, found = compared(desk)
    return desk, expected, summary, found


def test_the_report_is_exact_item_by_item(planted: Any) -> None:
    _, expected, _, found = planted
    told = Counter(short(finding) for finding in found)
    assert told - Counter(expected) == Counter()  # nothing that was not planted
    assert Counter(expected) - told == Counter()  # and all of it
    assert len(expected) > 100


def test_the_figures_agree_with_the_items(planted: Any) -> None:
    _, _, summary, found = planted
    counted = Counter((finding.kind, finding.verdict) for finding in found)
    assert {(k, v): n for k, by in summary.counts.items() for v, n in by.items()} == dict(counted)
    different = {f.left for f in found if f.kind == "differs"} | {
        f.left for f in found if f.kind == "orphan" and f.right and f.left
    }
    linked = summary.pairs
    doubtful = sum(1 for f in found if "never shown" in f.why)
    parted = sum(1 for f in found if "is remembered" in f.why)
    assert summary.same == linked - len(different) + parted - doubtful
    assert summary.left.records > 1900
    assert summary.right.records > 1900


def test_every_difference_says_which_rule_and_why(planted: Any) -> None:
    _, _, _, found = planted
    differs = [f for f in found if f.kind == "differs"]
    assert all(f.rule and f.why and f.label for f in differs)
    why = {(f.verdict, f.field): (f.rule, f.why) for f in differs}
    assert why["mend", "phone"] == ("the left owns it", "left changed")
    assert why["mend", "name"][0] == "the left owns it"
    assert why["person", "website"] == (
        "a person decides",
        "changed on both sides: left 'links.example', right 'rechts.example'",
    )
    assert why["allowed", "legal_form"][1].startswith('drift = "leave"')
    assert why["allowed", "phone"] == ("the left owns it", PERSON)
    assert why["person", "phone"][1] == "tel cannot be read"
    assert why["wait", "phone"][1] == "written, and not seen to have arrived yet"
    outside = {f.why for f in found if f.verdict == "outside"}
    assert len(outside) == 1
    assert next(iter(outside)).startswith("outside the flow: employees is 0")


def test_the_plan_mends_exactly_what_the_rules_allow(planted: Any) -> None:
    desk, _, _, found = planted
    left = sorted({f.left for f in found if f.verdict == "mend"})
    plan = desk.do(reconcile.mending(desk.ports, desk.flow, Options(override=("share",)), left=left, right=()))
    asked = {(p.step.kind, p.step.left) for p in plan.steps if p.step.kind not in ("agree", "unlink")}
    wanted = {
        ("update" if f.kind == "differs" else "link" if f.kind == "unlinked" else "create", f.left)
        for f in found
        if f.verdict == "mend"
    }
    assert asked == wanted
    assert set(plan.anchors["left"]) == set(left)


def test_a_flow_that_was_edited_since_its_last_run_is_compared_by_its_new_rules() -> None:
    """The short way is only for pairs on which the rules of today were tried."""
    desk = PairDesk(flow=PLANTED)
    plant(desk, 60, every=1000)
    summary, found = compared(desk)
    assert (summary.same, found) == (60, [])
    desk.edit_flow(scope=PLANTED.scope.__class__(left=(PLANTED.scope.left[0].__class__(field="employees", is_=0),)))
    _, found = compared(desk)
    assert Counter((f.kind, f.verdict) for f in found) == {("orphan", "person"): 60}


def test_a_counterpart_nothing_was_agreed_on_yet_is_compared_although_the_others_are_as_agreed() -> None:
    desk = PairDesk(flow=PLANTED)
    plant(desk, 3, every=1000)
    left, right = (desk.store.run(streams.number, *end) for end in (("left", "customers"), ("right", "shops")))
    subject = desk.store.run(subjects.of_records, left, ["L0000001"])["L0000001"].subject
    one = planted_company(1, legal_form="VOF")
    desk.store.run(observations.take_in, right, [Seen("R9", Record(one), keys=one.match_keys())], at=desk.clock.at)
    desk.store.run(subjects.join, subject, right, "R9", role="follower", why="kvk", at=desk.clock.at)
    summary, found = compared(desk)
    assert ("R9", "legal_form") in [(f.right, f.field) for f in found if f.kind == "differs"]
    assert (summary.pairs, summary.same) == (4, 3)


def test_both_sides_are_read_whole_before_they_are_compared() -> None:
    desk = PairDesk(FLOW, page=50, pace=QUARTER)
    for number in range(1, 13):
        desk.both(company(number))
    desk.sync()
    desk.sync()
    desk.hide("till", "5")
    assert compared(desk)[1] == []  # without reading nothing is known of it
    desk.later(3600)
    desk.do(reconcile.read_whole(desk.ports, desk.flow, Options()))
    summary, found = compared(desk)
    assert [short(f)[:4] for f in found] == [("orphan", "person", "5", "5")]
    assert summary.reconciled_at == desk.clock.at
