"""`cache = "mapped"`: only what flows use is kept, and a flow that comes to use more has it read anew before it decides."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest

from koppel.mapping.kept import kept_fields
from koppel.mapping.project import own_fields
from koppel.store import observations, streams, trail

FLOW = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text("utf-8")


def mapped(desk, *, whole=False):
    """Connections that keep what the flow needs (or all)."""
    for name, connection in desk.connections.items():
        resource = "companies" if name == "register" else "accounts"
        can = connection.resource(resource).can
        keeps = {} if whole else {resource: kept_fields("company", [desk.flow], can=can)}
        own = {"accounts": own_fields(desk.flow, "right")} if name != "register" else {}
        desk.connections[name] = replace(connection, keeps=keeps, own=own)
    desk.ports = desk.new_ports(desk.ports.worker)


def kept_of(desk, name):
    return desk.connections[name].keeps["companies" if name == "register" else "accounts"]


def rows(desk, name):
    connection, _, resource = name.partition(":")
    stream = desk.store.run(streams.number, connection, resource)
    natives = [
        row[0]
        for row in desk.store.run(lambda db: db.rows("select native from observations where stream = :s", s=stream))
    ]
    return desk.store.run(observations.load, stream, natives, entity="company")


def fields_held(desk, name):
    return {field for seen in rows(desk, name).values() if seen.record for field in seen.record.builtins()}


@pytest.fixture
def linked(desk):
    mapped(desk)
    desk.take()
    desk.sync()
    return desk


def test_the_outcome_is_the_same_and_less_is_kept(linked, make_desk):
    other = make_desk()
    other.take()
    other.sync()
    for number in linked.numbers:
        ours = [
            {k: v for k, v in a.items() if k not in ("ID", "Modified", "Timestamp")} for a in linked.accounts(number)
        ]
        theirs = [
            {k: v for k, v in a.items() if k not in ("ID", "Modified", "Timestamp")} for a in other.accounts(number)
        ]
        assert [a["Name"] for a in ours] == [a["Name"] for a in theirs]
    assert linked.count("exact", "POST") == other.count("exact", "POST")
    assert linked.count("exact", "PUT") == other.count("exact", "PUT")
    assert fields_held(other, "register:companies") - fields_held(linked, "register:companies")
    assert fields_held(linked, "books-nl:accounts") <= kept_of(linked, "books-nl")
    assert linked.sound()


def test_what_no_flow_uses_is_no_news(linked):
    before = len(linked.trail())
    number = next(n for n in linked.numbers if linked.accounts(n))
    linked.later(3600)
    linked.exact("edit", id=linked.account(number)["ID"], set={"Website": "https://new.example"})
    assert linked.sync().counts["update"] == 0
    assert len(linked.trail()) == before


def test_a_flow_that_uses_less_has_what_lies_here_cut_down_without_a_call(desk):
    desk.take()
    desk.sync()
    whole = fields_held(desk, "register:companies")
    calls = desk.count("kvk")
    mapped(desk)
    desk.later(3600)
    result = desk.sync()
    assert (result.counts["create"], result.counts["update"], result.counts["park"]) == (0, 0, 0)
    assert desk.count("exact", "POST", "accounts") == 0 or desk.sound()
    assert fields_held(desk, "books-nl:accounts") <= kept_of(desk, "books-nl")
    assert desk.count("kvk") == calls
    assert whole - kept_of(desk, "register")
    assert desk.store.run(trail.verify) is None


def test_a_flow_that_uses_more_has_it_read_from_the_start_before_it_decides(linked):
    number = next(n for n in linked.numbers if len(linked.accounts(n)) == 1)
    linked.later(3600)
    linked.exact("edit", id=linked.account(number)["ID"], set={"Website": "https://theirs.example"})
    linked.sync()
    assert "website" not in fields_held(linked, "books-nl:accounts")
    linked.flow = linked.read(FLOW.replace("[fields]", '[fields]\nwebsite = { owner = "right" }', 1))
    mapped(linked)
    linked.later(3600)
    linked.sync()
    assert any("reading it from the start" in text for text in linked.told)
    assert "website" in fields_held(linked, "books-nl:accounts")
    assert linked.account(number)["Website"] == "https://theirs.example"  # not taken for empty
    assert linked.sound()


def test_nothing_is_decided_on_a_row_that_lacks_what_the_flow_needs(linked):
    """As a light run meets it, which does not read the listing."""
    linked.flow = linked.read(FLOW.replace("[fields]", '[fields]\nwebsite = { owner = "right" }', 1))
    number = next(n for n in linked.numbers if len(linked.accounts(n)) == 1)
    plan = linked.plan(only=(number,), light=True)  # the connections still keep what they kept
    assert [p.step.kind for p in plan.steps if p.step.kind in ("update", "agree")] == []


def test_a_look_up_that_lacks_what_the_flow_needs_now_is_made_again_at_once(linked):
    number = next(n for n in linked.numbers if len(linked.accounts(n)) == 1)
    held = fields_held(linked, "register:companies")
    assert "employees" not in held
    linked.flow = linked.read(FLOW.replace("[fields]", '[fields]\n"right:Description" = { from = "employees" }', 1))
    mapped(linked)
    calls = linked.count("kvk")
    linked.sync()
    assert linked.count("kvk") > calls
    assert "employees" in fields_held(linked, "register:companies")
    assert linked.scalar("select count(*) from due where native = :n", n=number) == 0


def test_a_field_that_the_register_never_shows_costs_no_look_up(linked):
    linked.flow = linked.read(FLOW.replace("[fields]", '[fields]\nphone = { owner = "right" }', 1))
    mapped(linked)
    calls = linked.count("kvk")
    linked.sync()
    assert linked.count("kvk") == calls
