"""`simulate`, `torture` and `demo`: options go through, the exit code says whether every law held."""

from __future__ import annotations

import msgspec
import pytest

from koppel.cli.torture import fine
from koppel.demo.report import Act, DemoReport, Heading
from koppel.testing.simulate import Failed, Report, added
from koppel.testing.torture_report import TortureReport

GREEN = Report(1, 1, (), 3, 4, 5, 6, 7, 0, 0.5, {1: "aa"})
RED = msgspec.structs.replace(GREEN, green=0, failures=(Failed(2, "pair", 3, "a value was lost"),), heads={2: "bb"})
UNHARMED = TortureReport(2, 0, 0, {"page stored": 2}, 0, 0, 0, True, 0, 9, 5, 5, 7)
ACT = Act("take in", 10, 2, 3, 1, 0, 1, 5, 12, {"exact": 20, "kvk": 40}, 2, 1.5)


@pytest.fixture
def worlds(monkeypatch):
    """Worlds that are green, except that of seed 2; what they were asked for."""
    asked = []

    def simulate(seeds, *, mutant, kind, jobs):
        asked.append((list(seeds), mutant, kind, jobs))
        report = GREEN
        for seed in asked[-1][0][1:]:
            report = added(report, RED if seed == 2 else GREEN)
        return report

    monkeypatch.setattr("koppel.testing.simulate.simulate", simulate)
    return asked


def test_green_worlds_are_exit_0_in_parts_with_progress(person, worlds):
    said = person(None)("simulate", "--seeds", "25", "--first-seed", "100", "--jobs", "1", "--json")
    assert said.code == 0
    assert said.json["seeds"] == said.json["green"] == 25
    assert [seeds for seeds, *_ in worlds] == [[*range(100, 110)], [*range(110, 120)], [*range(120, 125)]]
    assert said.err.splitlines()[-1] == "25 of 25 worlds, 25 green"


def test_a_red_world_is_exit_1_and_says_how_to_see_it_again(person, worlds):
    said = person(None)("simulate", "--seeds", "2", "--jobs", "1")
    assert said.code == 1
    assert "1 of 2 worlds green" in said.out
    assert "Seed 2 (pair), law 3: a value was lost" in said.out
    assert "--seeds 1 --first-seed 2" in said.out


def test_reports_add_up():
    both = added(GREEN, RED)
    assert (both.seeds, both.green, both.calls, both.seconds) == (2, 1, 8, 1.0)
    assert both.heads == {1: "aa", 2: "bb"}
    assert both.failures == RED.failures


@pytest.mark.slow
def test_a_real_world_can_be_lived_through(person):
    said = person(None)("simulate", "--seeds", "1", "--first-seed", "1", "--kind", "pair", "--jobs", "1", "--json")
    assert said.json["seeds"] == 1
    assert said.code == (0 if said.json["green"] == 1 else 1)


def test_torture_tells_by_point(person, monkeypatch):
    asked = []
    monkeypatch.setattr("koppel.testing.torture.torture", lambda *a, **k: asked.append((a, k)) or UNHARMED)
    said = person(None)("torture", "--kills", "2", "--seed", "7", "--json")
    assert said.code == 0
    assert said.json["by_point"] == {"page stored": 2}
    assert asked[0][0] == (2,)
    assert asked[0][1]["seed"] == 7
    assert "2 kills" in person(None)("torture", "--kills", "2").out


@pytest.mark.parametrize(
    "change",
    [{"duplicated": 1}, {"lost": 1}, {"wrong_fields": 1}, {"unrecorded": 1}, {"restless": 1}, {"trail_ok": False}],
    ids=str,
)
def test_any_harm_is_exit_1(person, monkeypatch, change):
    harmed = msgspec.structs.replace(UNHARMED, **change)
    monkeypatch.setattr("koppel.testing.torture.torture", lambda *_, **__: harmed)
    assert not fine(harmed)
    assert person(None)("torture", "--kills", "2").code == 1


@pytest.fixture
def story(monkeypatch):
    """A demo that is over at once."""
    asked = {}

    def run_demo(*, keep, say):
        asked["keep"] = keep
        say(Heading(1, "Take in", "Forty numbers."))
        return asked.get("report", DemoReport((ACT,), 0, 0, True))

    monkeypatch.setattr("koppel.demo.run_demo", run_demo)
    return asked


def test_the_demo_as_json_is_one_object_and_nothing_else_there(person, story, tmp_path):
    said = person(None)("demo", "--json", "--keep", str(tmp_path / "d"))
    assert said.code == 0
    assert said.json["acts"][0]["created"] == 10
    assert {"acts", "duplicates", "lost", "trail_ok"} == set(said.json)
    assert story["keep"] == tmp_path / "d"
    assert said.err == "1. Take in\n"


def test_the_demo_ends_with_what_to_do_next(person, story):
    said = person(None)("demo")
    assert "koppel connect register --system kvk" in said.out
    assert "With your own accounts" in said.out


@pytest.mark.parametrize(
    "report", [DemoReport((), 1, 0, True), DemoReport((), 0, 1, True), DemoReport((), 0, 0, False)]
)
def test_a_demo_that_fails_is_exit_1(person, story, report):
    story["report"] = report
    assert person(None)("demo", "--json").code == 1
