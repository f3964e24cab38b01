"""The page: self-contained, escaped, complete."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from koppel.app import read_plan
from koppel.cli.page import RunTold, plan_page, runs_page
from koppel.cli.rows import plan_rows
from koppel.sandbox.seeds import make_companies

EVIL = "<script>alert(\"x\")</script> & Zn. 'B.V.'"
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Notes what stands on a page; complains about tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture
def plan(at):
    numbers = [company.kvk for company in make_companies(1, 24)]
    company = make_companies(1, 24)[0]
    at.exact("add", set={"Name": EVIL, "VATNumber": company.vat, "ChamberOfCommerce": "49999980", "Status": "C"})
    made = at.workspace.add(numbers, to="books-nl", plan_only=True).plan
    assert made is not None
    return made


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(at, plan):
    page = plan_page(plan, flow=at.workspace.flow("kvk-exact"))
    reader = read(page)
    assert page.startswith("<!doctype html>")
    assert {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object", "form"} == set()
    assert not any(name in attributes for _, attributes in reader.tags for name in ("src", "href", "onclick", "style"))
    assert "url(" not in page
    assert "@import" not in page
    for words in ("prefers-color-scheme:dark", "@page{size:A4", "@media print"):
        assert words in page


def test_values_are_escaped(at, plan):
    page = plan_page(plan, flow=at.workspace.flow("kvk-exact"))
    assert EVIL in "".join(read(page).text)
    assert "<script>" not in page


def test_every_step_stands_on_it_with_values_and_reasons(at, plan):
    flow = at.workspace.flow("kvk-exact")
    said = "".join(read(plan_page(plan, flow=flow)).text)
    rows = plan_rows(plan, flow)
    assert {row.kind for row in rows} >= {"create", "link", "update", "ask", "refuse"}
    for row in rows:
        assert row.label in said
        for line in row.lines:
            assert line.reason in said
            assert line.after in said
            assert (line.before or "") in said
    for words in ("Nothing has been written yet", "€ 0.48", "calls to books-nl"):
        assert words in said


def test_a_brake_is_said_first(at, plan, tmp_path):
    flow = at.folder / "flows" / "kvk-exact.toml"
    flow.write_text(flow.read_text().replace("creates = 200", "creates = 0"))
    with at.reopen() as ws:
        held = ws.plan("kvk-exact")
        assert held.guard is not None
        page = "".join(read(plan_page(held, flow=ws.flow("kvk-exact"))).text)
    assert "held by a brake" in page
    assert "--allow creates" in page


def test_a_run_tells_what_was_done_not_what_was_planned(at, koppel, tmp_path):
    at.exact("settings", refuse={"00100104": "Verplicht: Betalingsconditie"})
    said = koppel("add", "00100104", "--to", "books-nl", "--html", str(tmp_path / "run.html"))
    assert said.code == 1
    text = "".join(read((tmp_path / "run.html").read_text()).text)
    assert "Could not be done" in text
    assert "Verplicht: Betalingsconditie" in text
    assert "New records" not in text


def test_an_empty_plan_is_a_page_too(at, koppel, tmp_path):
    assert koppel("plan", "kvk-exact", "-o", str(tmp_path / "p.json"), "--html", str(tmp_path / "p.html")).code == 0
    assert "nothing to do" in "".join(read((tmp_path / "p.html").read_text()).text)
    flow = at.workspace.flow("kvk-exact")
    result = at.workspace.sync("kvk-exact")
    assert "The run is done" in "".join(read(runs_page([RunTold(result, (), flow)], workspace="w")).text)
    assert read_plan(tmp_path / "p.json").flow == "kvk-exact"
