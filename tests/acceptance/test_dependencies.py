"""Orders from a CRM into a shop, two described APIs over HTTP: customers and articles go first, what misses waits and comes by itself."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from koppel.cli.main import app
from koppel.sandbox.host import build
from koppel.sandbox.server import running
from koppel.testing.trade import trade

pytestmark = pytest.mark.slow
BAKER = {"bedrijfsnaam": "Bakkerij De Korenaar B.V.", "kvkNummer": "00100104"}


@pytest.fixture
def made(tmp_path):
    host = build(companies=1, names=["rest"])
    with running(host) as base_url, trade(tmp_path / "books", base_url=base_url, host=host) as found:
        found.add("shop", "customers", bedrijfsnaam="Iemand anders", kvkNummer="90000025")  # so that ids differ
        yield found


def koppel(made, *words):
    result = CliRunner().invoke(app, [*words, "--json", "--workspace", str(made.ws.config.path)])
    return result.exit_code, json.loads(result.stdout)


def an_order(made, number="2026-1"):
    firm = made.add("crm", "customers", **BAKER)
    person = made.add("crm", "contacts", achternaam="Smit", email="smit@korenaar.example", relatie_id=firm)
    articles = [made.add("crm", "products", code=code, omschrijving=code, prijs=2.5) for code in ("BROOD", "TAART")]
    lines = [{"artikel_id": article, "aantal": 3, "prijs": 2.5} for article in articles]
    return firm, person, made.add("crm", "orders", nummer=number, datum="2026-11-01", relatie_id=firm, regels=lines)


def test_all_flows_bring_an_order_over_with_what_it_names_made_first(made):
    an_order(made)
    made.host.reset_calls()
    code, runs = koppel(made, "sync", "--all")
    assert code == 0
    assert [run["plan"]["flow"] for run in runs] == ["customers", "contacts", "products", "orders"]
    assert [run["counts"]["create"] for run in runs] == [1, 1, 2, 1]
    assert made.writes() == {"customers": 1, "contacts": 1, "products": 2, "orders": 1}
    firm = made.rows("shop", "customers")[-1]
    (person,) = made.rows("shop", "contacts")
    (order,) = made.rows("shop", "orders")
    codes = {row["id"]: row["code"] for row in made.rows("shop", "products")}
    assert firm["kvkNummer"] == BAKER["kvkNummer"]
    assert person["relatie_id"] == order["relatie_id"] == firm["id"]
    assert [codes[line["artikel_id"]] for line in order["regels"]] == ["BROOD", "TAART"]
    # per flow: both sides once, and the side written to once more; per record one write
    assert made.host.count("rest", "GET") == 4 * 3
    assert made.host.count("rest", "POST") == 5
    made.host.reset_calls()
    before = made.host.checksum("rest")
    koppel(made, "sync", "--all")
    assert (made.host.count("rest", "GET"), made.writes()) == (8, {})
    assert made.host.checksum("rest") == before


def test_one_flow_makes_just_what_its_records_name_first(made):
    an_order(made)
    made.add("crm", "customers", bedrijfsnaam="Molen De Hoop", kvkNummer="90000017")
    made.add("crm", "products", code="NIET", omschrijving="Niet besteld")
    made.host.reset_calls()
    code, plan = koppel(made, "plan", "orders")
    assert code == 0
    assert [(first["flow"], first["counts"]["create"]) for first in plan["first"]] == [
        ("customers", 1),
        ("products", 2),
    ]
    (step,) = [planned["step"] for planned in plan["steps"]]
    assert "Bakkerij De Korenaar B.V. (00100104)" in step["problem"]["text"]
    assert made.writes() == {}
    made.host.reset_calls()
    code, run = koppel(made, "sync", "orders")
    assert (code, run["counts"]["create"], run["counts"]["park"]) == (0, 1, 0)
    assert made.writes() == {"customers": 1, "products": 2, "orders": 1}
    assert "Molen De Hoop" not in {row["bedrijfsnaam"] for row in made.rows("shop", "customers")}
    assert {(r.flow, r.trigger) for r in made.ws.runs()} == {
        ("orders", "command"), ("customers", "needed by orders"), ("products", "needed by orders"),
    }  # fmt: skip


def test_applying_a_plan_makes_first_what_it_says_and_the_next_run_does_what_waited(made, tmp_path):
    an_order(made)
    file = tmp_path / "plan.json"
    koppel(made, "plan", "orders", "-o", str(file))
    code, _ = koppel(made, "apply", str(file))
    assert code in {0, 1}
    assert made.writes() == {"customers": 1, "products": 2}
    assert made.rows("shop", "orders") == []
    koppel(made, "sync", "orders")
    assert len(made.rows("shop", "orders")) == 1


def test_what_a_flow_may_not_make_waits_by_name_and_comes_by_itself_once_it_was_made_by_hand(made):
    made.change_flow("customers", "right = true", "right = false")
    _, _, order = an_order(made)
    made.host.reset_calls()
    _, runs = koppel(made, "sync", "--all")
    assert {run["plan"]["flow"]: run["counts"]["park"] for run in runs} == {
        "customers": 0, "contacts": 1, "products": 0, "orders": 1,
    }  # fmt: skip
    assert made.writes() == {"products": 2}
    _, parked = koppel(made, "parked")
    words = {item["flow"]: item["body"]["text"] for item in parked}
    assert words["orders"] == "its customer Bakkerij De Korenaar B.V. (00100104) is not in shop yet"
    assert words["contacts"] == "its company Bakkerij De Korenaar B.V. (00100104) is not in shop yet"
    made.host.reset_calls()
    koppel(made, "sync", "--all")  # still nothing: nobody is asked anything more for it
    assert (made.host.count("rest"), made.writes()) == (8, {})

    there = made.add("shop", "customers", **BAKER)  # somebody types it in
    koppel(made, "sync", "--all")
    assert made.rows("shop", "orders")[0]["relatie_id"] == there
    assert made.rows("shop", "contacts")[0]["relatie_id"] == there
    assert made.writes() == {"contacts": 1, "orders": 1}
    assert koppel(made, "parked")[1] == []
    assert order
