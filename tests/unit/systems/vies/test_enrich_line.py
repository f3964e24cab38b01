"""The line about VIES in the shipped flow: marked off it changes nothing, taken in it is a good one."""

from __future__ import annotations

from importlib.resources import files

from koppel.mapping.read import read_flow

TEXT = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text("utf-8")
MARKED = [line for line in TEXT.splitlines() if line.startswith(("# [enrich]", "# vat ="))]


def test_the_shipped_flow_works_without_vies():
    flow, problems = read_flow(TEXT, file="kvk-exact.toml")
    assert not problems
    assert flow.enrich == ()


def test_taking_the_marks_off_asks_vies_about_the_candidate():
    text = TEXT
    for line in MARKED:
        text = text.replace(line, line.removeprefix("# "))
    flow, problems = read_flow(text, file="kvk-exact.toml")
    assert not problems
    (line,) = flow.enrich
    assert (str(line.source.connection), line.source.resource, line.by) == ("vies", "numbers", "vat_candidate")
    assert line.gives == ("vat_number", "vat_state")
