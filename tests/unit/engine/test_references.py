"""Values that name other records: compared as who they name, sent as the other side's ids, and waiting for what is missing."""

from __future__ import annotations

import pytest

from koppel.engine.references import spoken
from koppel.mapping.references import named, renamed
from koppel.store import due, needs, subjects, trail, work
from koppel.store.subjects import Member
from koppel.testing.trade import Trade, trade

BAKER = {"bedrijfsnaam": "Bakkerij De Korenaar B.V.", "kvkNummer": "00100104"}
MILLER = {"bedrijfsnaam": "Molen De Hoop", "kvkNummer": "90000017"}
CREATES = "[create]\nright = true"


@pytest.fixture
def made(tmp_path):
    with trade(tmp_path / "books") as found:
        found.add("shop", "customers", bedrijfsnaam="Iemand anders", kvkNummer="90000025")  # so that ids differ
        yield found


def alone(made: Trade, *flows: str) -> Trade:
    """Only these flows are there, so that nothing is made first."""
    for file in (made.ws.config.path / "flows").iterdir():
        if file.stem not in flows:
            file.unlink()
    made.reopen()
    return made


def write(made: Trade, name: str, text: str) -> None:
    (made.ws.config.path / "flows" / f"{name}.toml").write_text(text, "utf-8")
    made.reopen()


def texts(made: Trade) -> list[tuple[str, str]]:
    return [(item.code, item.body["text"]) for item in made.ws.parked()]


def order(made: Trade, customer: int, *products: int, number: str = "2026-1") -> int:
    lines = [{"artikel_id": product, "aantal": 2, "prijs": 2.5} for product in products]
    return made.add("crm", "orders", nummer=number, relatie_id=customer, regels=lines)


def linked_pair(made: Trade, **values) -> tuple[int, int]:
    """The same firm on both sides, linked by the customers' flow."""
    here, there = made.add("crm", "customers", **values), made.add("shop", "customers", **values)
    made.ws.sync("customers")
    return here, there


# --- comparing ------------------------------------------------------------------------------------------------------------


def test_two_ids_of_one_firm_are_no_difference(made):
    here, there = linked_pair(made, **BAKER)
    made.add("crm", "orders", nummer="7", relatie_id=here)
    made.add("shop", "orders", nummer="7", relatie_id=there)
    made.host.reset_calls()
    counts = made.ws.sync("orders").counts
    assert here != there
    assert (counts["link"], counts["update"], counts["ask"], counts["park"]) == (1, 0, 0, 0)
    assert made.writes() == {}


def test_another_firm_is_a_difference_and_the_owner_restores_it_by_the_other_sides_id(made):
    here, there = linked_pair(made, **BAKER)
    order(made, here)
    made.ws.sync("orders")
    (sold,) = made.rows("shop", "orders")
    stranger = made.rows("shop", "customers")[0]["id"]
    made.edit("shop", "orders", sold["id"], relatie_id=stranger)
    plan = made.ws.plan("orders")
    (step,) = [p.step for p in plan.steps if p.step.kind == "update"]
    assert spoken(step.values["customer"], step.names) == "Bakkerij De Korenaar B.V. (00100104)"
    assert spoken(step.before["customer"], step.names) == "Iemand anders (90000025)"
    made.ws.sync("orders")
    assert made.rows("shop", "orders")[0]["relatie_id"] == there


def test_lines_name_articles_by_each_sides_ids_and_their_order_and_prices_travel_whole(made):
    made.add("shop", "products", code="Z", omschrijving="Iets anders")
    here, _ = linked_pair(made, **BAKER)
    bread, cake = (made.add("crm", "products", code=c, omschrijving=c, prijs=2.5) for c in ("BROOD", "TAART"))
    made.ws.sync("products")
    order(made, here, cake, bread)
    made.ws.sync("orders")
    codes = {row["id"]: row["code"] for row in made.rows("shop", "products")}
    (sold,) = made.rows("shop", "orders")
    assert [codes[line["artikel_id"]] for line in sold["regels"]] == ["TAART", "BROOD"]
    assert all((line["aantal"], line["prijs"]) == (2, 2.5) for line in sold["regels"])
    made.host.reset_calls()
    made.ws.sync("orders")
    assert made.writes() == {}


def test_a_view_of_many_orders_asks_the_store_no_more_than_a_view_of_few(made):
    from koppel.engine.frame import Loader, make_frame

    here, _ = linked_pair(made, **BAKER)
    for number in range(12):
        order(made, here, number=str(number))
    made.ws.sync("orders")

    def asked(natives: list[str]) -> int:
        async def counted(ports):
            frame = make_frame(ports, made.ws.flow("orders"))

            def load(db):
                count, rows = 0, db.rows

                def counting(*given, **more):
                    nonlocal count
                    count += 1
                    return rows(*given, **more)

                db.rows = counting
                views = Loader(db, frame).views(left=natives, right=[])
                del db.rows
                assert len(views) == len(natives)
                return count

            return ports.store.run(load)

        return made.ws.with_ports(counted)

    everything = [str(row["id"]) for row in made.rows("crm", "orders")]
    assert asked(everything) == asked(everything[:2])


# --- waiting ----------------------------------------------------------------------------------------------------------------


def test_what_names_something_missing_waits_and_says_for_what(made):
    alone(made, "orders")
    here = made.add("crm", "customers", **BAKER)
    bread = made.add("crm", "products", code="BROOD", omschrijving="Brood")
    number = order(made, here, bread)
    assert made.ws.sync("orders").counts["park"] == 1
    assert made.rows("shop", "orders") == []
    ((code, text),) = texts(made)
    assert code == "needs"
    assert text == f"its customer {here} is not in shop yet; its product {bread} is not in shop yet"
    found = made.ws.store.run(needs.of, "orders", "left", str(number))
    assert [(need.target, need.met) for need in found] == [(str(here), False), (str(bread), False)]


def test_it_is_said_by_name_once_the_record_is_known(made):
    made.change_flow("customers", CREATES, "[create]\nright = false")
    here = made.add("crm", "customers", **BAKER)
    order(made, here)
    made.ws.sync("orders")
    assert texts(made) == [("needs", "its customer Bakkerij De Korenaar B.V. (00100104) is not in shop yet")]


def test_another_flow_that_makes_it_wakes_what_waited_and_the_park_closes(made):
    customers = (made.ws.config.path / "flows" / "customers.toml").read_text("utf-8")
    alone(made, "orders")
    here = made.add("crm", "customers", **BAKER)
    number = order(made, here)
    made.ws.sync("orders")
    made.host.reset_calls()
    made.ws.sync("orders")  # nothing is there yet: it goes on waiting, and costs nothing more
    assert (made.host.count("rest"), len(texts(made))) == (2, 1)
    write(made, "customers", customers)
    made.ws.sync("customers")
    assert [(entry.side, entry.native) for entry in made.ws.store.run(due.ready, "orders", at=1e12)] == [
        ("left", str(number))
    ]
    made.ws.sync("orders")
    there = made.rows("shop", "customers")[-1]
    assert made.rows("shop", "orders")[0]["relatie_id"] == there["id"]
    assert texts(made) == []
    (need,) = made.ws.store.run(needs.of, "orders", "left", str(number))
    assert need.met


def test_what_was_made_while_another_worker_noted_the_wait_is_found_at_the_next_pass(made):
    customers = (made.ws.config.path / "flows" / "customers.toml").read_text("utf-8")
    alone(made, "orders")
    here = made.add("crm", "customers", **BAKER)
    number = order(made, here)
    made.ws.sync("orders")
    write(made, "customers", customers)
    made.ws.sync("customers")
    made.ws.store.run(due.done, "orders", "left", [str(number)])  # the wake was lost
    made.ws.sync("orders")
    assert len(made.rows("shop", "orders")) == 1


def test_a_field_that_cannot_be_carried_over_waits_alone_and_the_rest_is_written(made):
    here, _ = linked_pair(made, **BAKER)
    number = order(made, here)
    made.ws.sync("orders")
    made.change_flow("customers", CREATES, "[create]\nright = false")
    new = made.add("crm", "customers", **MILLER)
    made.edit("crm", "orders", number, relatie_id=new, datum="2026-11-20")
    made.ws.sync("orders")
    (sold,) = made.rows("shop", "orders")
    assert sold["datum"] == "2026-11-20"
    assert texts(made) == [("needs", "its customer Molen De Hoop (90000017) is not in shop yet")]
    there = made.add("shop", "customers", **MILLER)
    made.ws.sync("customers")
    made.ws.sync("orders")
    assert made.rows("shop", "orders")[0]["relatie_id"] == there
    assert texts(made) == []


def test_nobody_is_asked_about_two_firms_that_may_turn_out_to_be_one(made):
    made.change_flow("orders", 'customer = { owner = "left" }', 'customer = { owner = "ask" }')
    alone(made, "orders")
    here, there = made.add("crm", "customers", **BAKER), made.add("shop", "customers", **BAKER)
    made.add("crm", "orders", nummer="7", relatie_id=here)
    made.add("shop", "orders", nummer="7", relatie_id=there)
    counts = made.ws.sync("orders").counts
    assert (counts["ask"], counts["park"]) == (0, 1)


def test_what_is_stored_about_one_record_never_holds_the_name_of_another(made):
    made.change_flow("customers", CREATES, "[create]\nright = false")
    order(made, made.add("crm", "customers", **BAKER))
    made.ws.sync("orders")
    stored = [*made.ws.store.run(work.listed, "parked"), *made.ws.store.run(trail.read)]
    assert "record:" in repr(stored)
    assert "Korenaar" not in repr([each for each in stored if "order" in repr(each)])
    assert "Korenaar" in repr(made.ws.log())
    assert "Korenaar" in repr(made.ws.parked())


# --- when who is meant changes ---------------------------------------------------------------------------------------------


def test_a_record_that_got_another_id_is_still_who_was_meant(made):
    here, there = linked_pair(made, **BAKER)
    number = order(made, here)
    made.ws.sync("orders")
    made.delete("shop", "customers", there)
    anew = made.add("shop", "customers", **BAKER)
    stream = made.ws.store.run(
        lambda db: db.scalar("select id from streams where connection = 'shop' and resource = 'customers'")
    )

    def renumbered(db):  # what a vendor's move of an administration comes to: the same firm under another id
        subject = subjects.of_records(db, stream, [str(there)])[str(there)].subject
        subjects.leave(db, stream, str(there))
        subjects.join(db, subject, stream, str(anew), role="main", why="renumbered", at=made.host.clock.now())

    made.ws.store.run(renumbered)
    (sold,) = made.rows("shop", "orders")
    made.edit("shop", "orders", sold["id"], relatie_id=anew)
    made.host.reset_calls()
    counts = made.ws.sync("orders").counts
    assert (counts["update"], counts["ask"], counts["park"]) == (0, 0, 0)
    made.edit("crm", "orders", number, datum="2026-11-20")
    made.ws.sync("orders")
    assert made.rows("shop", "orders")[0]["relatie_id"] == anew


def _members(made: Trade, connection: str):
    def read(db):
        stream = db.scalar("select id from streams where connection = :c and resource = 'customers'", c=connection)
        return stream, {
            row[0]: row[1] for row in db.rows("select native, subject from members where stream = :s", s=stream)
        }

    return made.ws.store.run(read)


def test_a_customer_that_is_linked_to_another_record_makes_its_orders_be_looked_at_again(made):
    here, there = linked_pair(made, **BAKER)
    order(made, here)
    made.ws.sync("orders")
    other = made.add("shop", "customers", bedrijfsnaam="De Korenaar (winkel)")
    stream, of = _members(made, "shop")

    def moved(db):
        subjects.leave(db, stream, str(there))
        subjects.join(db, of[str(there)], stream, str(other), role="main", why="by hand", at=made.host.clock.now())

    made.ws.store.run(moved)
    made.ws.sync("orders")
    assert made.rows("shop", "orders")[0]["relatie_id"] == other


def test_an_order_whose_customer_was_unlinked_is_left_as_it_is_until_somebody_changes_it(made):
    here, there = linked_pair(made, **BAKER)
    number = order(made, here)
    made.ws.sync("orders")
    for connection, native in (("crm", here), ("shop", there)):
        made.ws.store.run(subjects.leave, _members(made, connection)[0], str(native))
    made.host.reset_calls()
    assert made.ws.sync("orders").counts["park"] == 0
    made.edit("crm", "orders", number, datum="2026-11-21")
    alone(made, "orders")
    made.ws.sync("orders")
    assert made.rows("shop", "orders")[0]["datum"] == "2026-11-21"
    assert [code for code, _ in texts(made)] == ["needs"]
    assert made.rows("shop", "orders")[0]["relatie_id"] == there


def test_two_subjects_that_become_one_are_agreed_again_without_a_write(made):
    here, there = linked_pair(made, **BAKER)
    order(made, here)
    made.ws.sync("orders")

    def merged(db):
        subject = subjects.create(db, at=made.host.clock.now())
        for connection, native in (("crm", here), ("shop", there)):
            stream = db.scalar("select id from streams where connection = :c and resource = 'customers'", c=connection)
            subjects.leave(db, stream, str(native))
            subjects.join_many(db, [Member(stream, str(native), subject, "main", "one firm")], at=made.host.clock.now())
        return subject

    subject = made.ws.store.run(merged)
    made.host.reset_calls()
    counts = made.ws.sync("orders").counts
    assert (made.writes(), counts["ask"], counts["park"]) == ({}, 0, 0)
    base = made.ws.store.run(
        lambda db: __import__("koppel.store.flows", fromlist=["x"]).bases_of(db, "orders", left=["9001"])
    )
    ((_, stored),) = base.items()
    assert stored.base.left["customer"] == stored.base.right["customer"] == f"subject:{subject}"


# --- in a circle --------------------------------------------------------------------------------------------------------------


def test_a_circle_in_the_data_is_closed_by_an_update_once_both_records_exist(made):
    made.change_flow(
        "customers",
        'kvk = { owner = "left" }',
        'kvk = { owner = "left" }\n"right:Hoofdcontact" = { from = "Hoofdcontact", when = "update" }',
    )
    firm = made.add("crm", "customers", **BAKER)
    person = made.add("crm", "contacts", achternaam="Smit", email="smit@korenaar.example", relatie_id=firm)
    made.edit("crm", "customers", firm, hoofdcontact=person)
    assert [p.code for p in made.ws.check() if p.severity == "error"] == []
    assert made.ws.in_order().index("customers") < made.ws.in_order().index("contacts")
    for flow in (*made.ws.in_order(), "customers"):
        made.ws.sync(flow)
        made.wait(5)
    there = made.rows("shop", "customers")[-1]
    (contact,) = made.rows("shop", "contacts")
    assert contact["relatie_id"] == there["id"]
    assert there["hoofdcontact"] == contact["id"]
    assert texts(made) == []
    made.host.reset_calls()
    for flow in made.ws.in_order():
        made.ws.sync(flow)
    assert made.writes() == {}


# --- what is kept ---------------------------------------------------------------------------------------------------------------


def test_the_trail_and_the_bases_hold_who_is_meant_and_no_ids_of_either_side(made):
    here, _ = linked_pair(made, **BAKER)
    order(made, here)
    made.ws.sync("orders")
    stored, shown = (
        next(e for e in entries if e.kind == "created" and e.data["flow"] == "orders")
        for entries in (made.ws.store.run(trail.read), made.ws.log())
    )
    assert stored.data["fields"]["customer"]["after"].startswith("subject:")
    assert shown.data["fields"]["customer"]["after"] == "Bakkerij De Korenaar B.V. (00100104)"
    assert made.ws.store.run(trail.verify) is None


def test_what_stands_in_lists_is_found_and_replaced_and_nothing_else_is():
    lines = [{"product": "7", "tekst": "7"}, {"product": None}, {"tekst": "los"}]
    assert list(named(lines, "product")) == ["7"]
    assert renamed(lines, "product", "<{}>".format) == [
        {"product": "<7>", "tekst": "7"},
        {"product": None},
        {"tekst": "los"},
    ]
    assert list(named("7", "")) == ["7"]
    assert renamed(None, "", "<{}>".format) is None
