"""A package nobody wrote code for: register → a described REST API, over HTTP, its description in a file of the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from koppel.app import Workspace
from koppel.model.problem import SetupError
from koppel.sandbox.host import Fault, build, contract
from koppel.sandbox.server import running

pytestmark = pytest.mark.slow
DESCRIPTION = (Path(__file__).parents[1] / "contract" / "rest_voorbeeld.toml").read_text("utf-8")
FLOW = """
koppel = 1
id     = "kvk-shop"
title  = "Companies from the register into the shop"
entity = "company"
left   = "register:companies"
right  = "shop:relations"

[scope]
take = "intake"

[match]
keys = ["kvk", "vat"]

[create]
right = true

[fields]
name    = { owner = "left" }
kvk     = { owner = "left" }
address = { owner = "left", empty = "keep" }
"right:Notities" = { transform = "legal_form_and_sbi", when = "create" }

[missing]
left  = "ask"
right = "ask"
"""


@pytest.fixture
def host():
    return build(companies=24, names=["kvk", "rest"])


@pytest.fixture
def ws(host, tmp_path):
    folder = tmp_path / "books"
    with running(host) as base_url:
        told = contract(host, base_url)["systems"]
        Workspace.create(folder).close()
        file = folder / "koppel.toml"
        file.write_text(f'{file.read_text("utf-8")}clock = "{base_url}/_sandbox/clock"\n', "utf-8")
        (folder / "shop.toml").write_text(DESCRIPTION, "utf-8")
        (folder / "flows" / "kvk-shop.toml").write_text(FLOW, "utf-8")
        shop = {"description": "shop.toml", "base_url": told["rest"]["base_url"], "key": told["rest"]["key"]}
        with Workspace.open(folder) as opened:
            opened.connect(
                "register", system="kvk", settings={name: told["kvk"][name] for name in ("base_url", "apikey")}
            )
            opened.connect("shop", system="rest", settings=shop)
            yield opened


def relations(host, kvk):
    return [row for row in host.state("rest") if row["kvkNummer"] == kvk]


def new_firms(host):
    return [company for company in host.world.companies if company.in_erp == "none" and company.shape == "plain"]


def test_the_flow_is_checked_against_what_the_file_describes(ws):
    assert [problem for problem in ws.check() if problem.severity == "error"] == []
    assert ws.check_connection("shop").calls == 1
    assert {field.path for field in ws.own_fields("shop")} == {"Notities"}
    assert "relations" in ws.document("kvk-shop")


def test_companies_come_in_once_and_a_second_run_is_silent(ws, host):
    firms = new_firms(host)
    ws.add([company.kvk for company in firms], to="shop")
    for company in firms:
        (row,) = relations(host, company.kvk)
        assert row["bedrijfsnaam"] == (company.statutory_name or company.name)
        assert row["adres"]["postcode"] == company.postcode
        assert row["notities"]
    assert host.count("rest", "POST") == len(firms)
    before = host.checksum("rest")
    host.reset_calls()
    ws.sync("kvk-shop")
    assert host.checksum("rest") == before
    assert (host.count("rest", "POST"), host.count("rest", "PATCH"), host.count("rest")) == (0, 0, 1)


def test_a_create_whose_reply_was_lost_is_found_by_its_operation_id_and_not_doubled(ws, host):
    company = new_firms(host)[0]
    host.add_fault(Fault(system="rest", method="POST", kind="lose_reply"))
    ws.add([company.kvk], to="shop")
    host.clock.advance(120)
    ws.sync("kvk-shop")
    assert len(relations(host, company.kvk)) == 1
    assert host.count("rest", "POST") == 1


def test_an_edit_of_the_description_makes_the_stream_begin_anew(ws, host):
    ws.add([new_firms(host)[0].kvk], to="shop")
    ws.sync("kvk-shop")
    file = ws.config.path / "shop.toml"
    file.write_text(file.read_text("utf-8").replace('website    = "website"\n', ""), "utf-8")
    host.reset_calls()
    ws.sync("kvk-shop")
    assert host.count("rest", "GET") >= 1
    assert host.count("rest", "PATCH") == 0


def test_a_description_that_went_wrong_stops_everything_with_its_line(ws):
    file = ws.config.path / "shop.toml"
    file.write_text(DESCRIPTION.replace('"page", page', '"pages", page'), "utf-8")
    for use in (lambda: ws.sync("kvk-shop"), ws.check, lambda: ws.check_connection("shop")):
        with pytest.raises(SetupError, match=r"shop\.toml: line \d+, resources\.relations\.paging\.style"):
            use()
