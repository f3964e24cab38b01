"""Register → Boekje over HTTP on this machine: its ready-made flow, and a second run that is silent."""

from pathlib import Path

import pytest
from koppel.app import Workspace, ready_made
from koppel.sandbox.host import build, contract
from koppel.sandbox.server import running


@pytest.fixture
def host():
    return build(companies=24, names=["boekje", "kvk"])


@pytest.fixture
def ws(host, tmp_path: Path):
    folder = tmp_path / "books"
    with running(host) as base_url:
        told = contract(host, base_url)["systems"]
        Workspace.create(folder).close()
        file = folder / "koppel.toml"
        file.write_text(f'{file.read_text("utf-8")}clock = "{base_url}/_sandbox/clock"\n', "utf-8")
        with Workspace.open(folder) as opened:
            opened.connect(
                "register", system="kvk", settings={name: told["kvk"][name] for name in ("base_url", "apikey")}
            )
            opened.connect("boekje", system="boekje", settings=told["boekje"])
            opened.add_flow("kvk-boekje", {"register": "register", "boekje": "boekje"})
            yield opened


def relations(host, kvk):
    return [row for row in host.state("boekje") if row["kvk"] == kvk]


def test_its_flow_is_among_the_ready_made_ones_and_has_no_errors(ws):
    assert "kvk-boekje" in {flow.name for flow in ready_made()}
    assert [problem for problem in ws.check() if problem.severity == "error"] == []


def test_companies_come_into_boekje_once_in_calls_of_ten_and_a_second_run_is_silent(ws, host):
    firms = [c for c in host.world.companies if c.in_erp == "none" and c.shape == "plain" and c.kind != "eenmanszaak"]
    numbers = [company.kvk for company in firms]
    assert len(numbers) > 2
    ws.add(numbers, to="boekje")
    for company in firms:
        (row,) = relations(host, company.kvk)
        assert row["naam"] == (company.statutory_name or company.name)
        assert row["adres"]["postcode"] == company.postcode
        assert row["memo"], "written once, when the relation is made"
    assert host.count("boekje", "POST") == 1, "one call for all of them"
    before = host.checksum("boekje")
    host.reset_calls()
    ws.sync("kvk-boekje")
    assert host.checksum("boekje") == before
    assert host.count("boekje", "POST") == 0


def test_what_the_register_changes_is_changed_in_boekje(ws, host):
    company = host.world.companies[0]
    ws.add([company.kvk], to="boekje")
    host.control("kvk", "edit", {"kvk": company.kvk, "set": {"street": "Nieuwe Kade"}})
    ws.sync("kvk-boekje", refresh=True)
    (row,) = relations(host, company.kvk)
    assert row["adres"]["straat"] == "Nieuwe Kade"
