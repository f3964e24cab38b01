"""`cache = "hashes"`: the same is done as with all values kept, what is decided on is read first, and nothing settled lies here."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import msgspec
import pytest

from koppel.engine import caching, reconcile
from koppel.engine.flow import Options
from koppel.engine.plan import Plan
from koppel.engine.send import Sender
from koppel.model.problem import Problem
from koppel.store import flows, intents, leases, observations, streams, trail
from koppel.store.intents import Intent
from koppel.store.store import open_store
from koppel.store.vault import Vault
from koppel.sync.looks import UNTOLD, is_look
from koppel.systems.spi import Unknown
from koppel.testing import toys
from koppel.testing.pair_desk import QUARTER, PairDesk
from koppel.testing.toy_kept import kept

from .two_way import Somebody, bakery, two_sides


def in_mode(sides: PairDesk, mode: str, *names: str) -> PairDesk:
    for name in names or ("left", "right"):
        sides.connections[name] = kept(sides.connections[name], mode, [sides.flow])
    sides.ports = sides.new_ports(sides.ports.worker)
    return sides


def rows(sides: PairDesk, name: str, resource: str) -> dict[str, observations.Observation]:
    stream = sides.store.run(streams.number, name, resource)
    find = "select native from observations where stream = :s"
    natives = [row[0] for row in sides.store.run(lambda db: db.rows(find, s=stream))]
    return sides.store.run(observations.load, stream, natives, entity="company")


def held(sides: PairDesk) -> list[str]:
    """Records whose values lie here."""
    both = (("left", rows(sides, "left", "customers")), ("right", rows(sides, "right", "shops")))
    return sorted(f"{side} {native}" for side, seen in both for native, one in seen.items() if one.record is not None)


@pytest.fixture(params=["left", "right", "both"])
def hashed_sides(request):
    return {"left": ("left",), "right": ("right",), "both": ("left", "right")}[request.param]


def story(sides: PairDesk, *, seed: int = 7) -> list[tuple[str, ...]]:
    """A fortnight in two systems: made, changed on either side, put back, asked about, deleted; what each run did."""
    told: list[tuple[str, ...]] = []

    def run() -> None:
        counts = sides.sync().counts
        told.append(tuple(f"{kind} {counts[kind]}" for kind in ("create", "update", "link", "unlink", "ask", "park")))

    somebody = Somebody(sides, seed)
    for number in range(6):
        somebody.founds(f"4210000{number}")
    one, two = sides.both(bakery("42100077", mail="a@firm.example"))
    for _ in range(3):
        run()
    sides.ledger.edit(one, {"tel": "0205559999"})  # carried over
    run()
    run()
    sides.till.edit(two, {"legal": "Niet Zo", "web": "www.new.example"})  # the left owns the first: put back
    run()
    run()
    sides.ledger.edit(one, {"mail": "left@firm.example"})  # both sides: asked
    sides.till.edit(two, {"mail": "right@firm.example"})
    run()
    sides.ledger.edit(one, {"title": "Bakker en Zoon"})  # while the question is open
    run()
    sides.answer("right")
    run()
    run()
    sides.till.edit(two, {"codes": [{"code": "10001"}]})  # a set that is united
    run()
    sides.ledger.edit(one, {"codes": [{"code": "10001"}, {"code": "10002"}]})
    run()
    run()
    sides.till.delete(two)
    run()
    sides.answer("restore")
    run()
    run()
    for _ in range(12):
        somebody.edits()
    for _ in range(4):
        run()
    return told


def ends(sides: PairDesk) -> object:
    """Everything but stamps: values on both sides, kinds of entries, open questions."""
    entries = [(e.kind, (e.data or {}).get("left"), (e.data or {}).get("fields")) for e in sides.trail()]
    kinds = [
        (kind, left, msgspec.to_builtins(fields))
        for kind, left, fields in entries
        if kind in ("created", "updated", "archived")
    ]
    changed = [
        (kind, left, {key: (one["before"], one["after"]) for key, one in (fields or {}).items()})
        for kind, left, fields in kinds
    ]
    return sides.shown(), changed, [(i.field, i.code, i.body["text"]) for i in sides.asks() + sides.parked()]


def test_the_same_is_done_and_written_down_as_with_all_values_kept(hashed_sides):
    full, hashed = (
        two_sides(missing_left="ask", missing_right="ask"),
        two_sides(missing_left="ask", missing_right="ask"),
    )
    in_mode(hashed, "hashes", *hashed_sides)
    assert story(hashed) == story(full)
    assert ends(hashed) == ends(full)  # `before` of every write, too: the trail holds what stood there
    assert hashed.store.run(trail.verify) is None


def test_what_every_flow_has_looked_at_is_let_go_and_what_is_asked_about_stays():
    sides = in_mode(two_sides(), "hashes")
    one, two = sides.both(bakery("42100077", mail="a@firm.example"))
    sides.both(bakery("42100078"))
    sides.settle()
    assert held(sides) == []
    sides.ledger.edit(one, {"mail": "left@firm.example"})
    sides.till.edit(two, {"mail": "right@firm.example"})
    sides.settle()
    assert held(sides) == [f"left {one}", f"right {two}"]
    sides.answer("left")
    sides.settle()
    assert held(sides) == []
    bases = sides.store.run(flows.bases_of, "pair", left=[one])[one, two].base
    assert all(is_look(value) for values in (bases.left, bases.right) for value in values.values() if value is not None)


def test_a_quiet_run_reads_nothing_by_id_and_a_change_reads_its_counterpart_in_one_call():
    sides = in_mode(two_sides(), "hashes")
    pairs = [sides.both(bakery(f"421000{number}")) for number in range(10, 22)]
    sides.settle()
    assert sides.plan().read_by_id == {}
    for one, _ in pairs:
        sides.ledger.edit(one, {"tel": "0205551111"})
    plan: Plan = sides.plan()
    assert plan.counts["update"] == 12
    assert plan.read_by_id == {"right": 1}  # twelve records, one call
    assert all(p.step.before == {"phone": "0205550001"} for p in plan.steps if p.step.kind == "update")
    sides.settle()
    assert held(sides) == []


def test_nothing_is_decided_on_a_record_that_cannot_be_read():
    sides = in_mode(two_sides(), "hashes")
    one, two = sides.both(bakery("42100077"))
    sides.settle()
    sides.ledger.edit(one, {"tel": "0205551111"})
    found = sides.till.handle
    sides.till.handle = lambda request: (
        msgspec.structs.replace(found(request), status=503) if "/find" in request.url else found(request)
    )
    sides.sync()
    assert sides.till.rows[two]["tel"] == "0205550001"
    sides.till.handle = found
    sides.settle()
    assert sides.till.rows[two]["tel"] == "0205551111"


def test_what_the_vendor_could_not_show_stays_due_and_nothing_is_made_of_its_digest():
    sides = in_mode(two_sides(), "hashes")
    one, two = sides.both(bakery("42100077"))
    sides.settle()
    entries, right = len(sides.trail()), sides.connections["right"]

    def silent(_site, _kind, values):
        yield from ()
        return {value: Unknown(Problem("busy", "not now")) for value in values}

    resources = tuple(replace(r, find=silent if r.find else None) for r in right.system.resources)
    sides.connections["right"] = replace(right, system=replace(right.system, resources=resources))
    sides.ports = sides.new_ports("one")
    sides.ledger.edit(one, {"tel": "0205551111"})
    plan = sides.plan()
    assert [p.step.kind for p in plan.steps] == []
    result = sides.sync()
    assert (result.counts["update"], result.counts["park"], len(sides.trail())) == (0, 0, entries)
    sides.connections["right"] = right
    sides.ports = sides.new_ports("one")
    sides.settle()
    assert sides.till.rows[two]["tel"] == "0205551111"


def test_an_undo_reads_first_and_takes_back_the_same():
    outcomes = []
    for mode in ("full", "hashes"):
        sides = in_mode(two_sides(), mode)
        one, _ = sides.both(bakery("42100077"))
        sides.settle()
        sides.ledger.edit(one, {"tel": "0205551111", "title": "Anders"})
        run = sides.sync().run
        sides.settle()
        assert mode == "full" or held(sides) == []
        result = sides.undo(run)
        sides.settle()
        outcomes.append((result.counts["update"], sides.shown()))
    assert outcomes[0] == outcomes[1]


def test_no_digest_is_shown_to_a_person():
    sides = in_mode(two_sides(), "hashes")
    one, two = sides.both(bakery("42100077", mail="a@firm.example"))
    sides.settle()
    sides.ledger.edit(one, {"title": "Anders"})
    run = sides.sync().run
    sides.settle()
    sides.ledger.edit(one, {"title": "Weer Anders", "mail": "left@firm.example"})
    sides.till.edit(two, {"mail": "right@firm.example"})
    sides.undo(run)
    written = next(entry.data for entry in sides.trail("updated") if entry.run != run)
    assert written["fields"]["name"]["after"] == "Bakker"
    assert written["kept"]["name"] == [UNTOLD, "Bakker"]  # the left shows something newer than what was agreed
    sides.settle()
    (item,) = sides.asks()
    assert item.body["values"] == {"left": "left@firm.example", "right": "right@firm.example"}
    assert item.body["base"] == {"left": UNTOLD, "right": UNTOLD}
    assert not any("koppel:looks" in str(entry.data) for entry in sides.trail())


def test_a_comparison_reads_what_it_needs_and_finds_the_same():
    told = []
    for mode in ("full", "hashes"):
        sides = in_mode(two_sides(create_left=False, create_right=False), mode)
        for number in range(5):
            sides.both(bakery(f"4210001{number}"))
        one, two = sides.both(bakery("42100077", web="www.a.example"))
        sides.ledger.add({"nr": "42100099", "title": "Alleen links", "tel": "0205550009"})
        sides.till.add({"nr": "42100098", "title": "Alleen rechts", "tel": "0205550008"})
        sides.settle()
        sides.ledger.edit(one, {"web": "www.b.example"})
        sides.till.edit(two, {"title": "Heel Anders"})
        sides.later(QUARTER)
        asyncio.run(reconcile.read_whole(sides.ports, sides.flow, Options()))
        found: list[object] = []
        summary = asyncio.run(reconcile.compare(sides.ports, sides.flow, found.append))
        told.append((found, summary.pairs, summary.same, summary.counts))
        assert mode == "full" or len(held(sides)) < 14
    assert told[0] == told[1]


def test_a_connection_that_changes_to_hashes_lets_go_and_one_that_changes_back_reads_again():
    sides = in_mode(two_sides(), "full")
    one, two = sides.both(bakery("42100077"))
    sides.settle()
    assert held(sides) == [f"left {one}", f"right {two}"]
    entries = len(sides.trail())
    in_mode(sides, "hashes")
    sides.settle(2)
    assert held(sides) == []
    base = sides.store.run(flows.bases_of, "pair", left=[one])[one, two].base
    assert is_look(base.left["phone"])
    in_mode(sides, "full")
    sides.sync()
    assert held(sides) == [f"left {one}", f"right {two}"]
    assert len(sides.trail()) == entries  # nothing of it is news
    sides.till.edit(two, {"legal": "Niet Zo"})
    sides.settle()
    assert sides.till.rows[two]["legal"] == "Bakker BV"


def test_values_stay_while_another_flow_is_running_or_a_write_about_them_is_in_doubt():
    sides = in_mode(two_sides(), "full")
    one, _ = sides.both(bakery("42100077"))
    sides.settle()
    place = sides.store.run(flows.position, sides.flow.id)
    sides.store.run(flows.move, "other", place)
    left = kept(sides.connections["left"], "hashes", [sides.flow, msgspec.structs.replace(sides.flow, id="other")])
    stream, at = sides.store.run(streams.number, "left", "customers"), sides.clock.at

    def go() -> int:
        return sides.store.run(caching.let_go, left, left.resource("customers"), flow=sides.flow.id, at=at)

    sides.store.run(leases.take, "flow other", "somebody", at=at, seconds=60)
    assert go() == 0
    sides.store.run(leases.release, "flow other", "somebody")
    doubt = Intent("op1", 1, "other", "update", stream, "left", None, one, {}, "doubt", at, at)
    sides.store.run(intents.open_intents, [doubt])
    assert go() == 0
    sides.store.run(intents.close, ["op1"])
    assert go() == 1


class Glass(Vault):
    """Seals nothing: every byte that is stored can be read."""

    def seal(self, plain: bytes, *, about: str = "") -> str:
        return "t:" + plain.decode() if plain.isascii() else "b:" + base64.b64encode(plain).decode()

    def unseal(self, sealed: str, *, about: str = "") -> bytes:
        return sealed[2:].encode() if sealed.startswith("t:") else base64.b64decode(sealed[2:])


def stored_bytes(mode: str, folder) -> tuple[bytes, set[bytes]]:
    """What the database's files hold after records were made and changed and two runs were quiet; and the values they show."""
    sides = two_sides()
    file = folder / f"{mode}.db"
    sides.store = open_store(f"sqlite:///{file}", Glass(bytes(range(32))), inline=True, create=True)
    sides.ledger.renumber()
    in_mode(sides, mode)
    asyncio.run(Sender(sides.ports).logins.redeem(sides.connections["left"], sides.ledger.new_code()))
    somebody = Somebody(sides, 3)
    for number in range(5):
        sides.both(bakery() | somebody.row(f"4210002{number}") | {"legal": f"Firma Nummer {number:04}"})
    for number in range(5):
        sides.ledger.add(somebody.row(f"4210003{number}") | {"legal": f"Beheer Twee {number:04}"})
    sides.settle()
    for native in sorted(sides.ledger.rows)[:3]:
        sides.ledger.edit(native, {"tel": somebody.phone(), "place": somebody.value("place")})
    sides.settle(2)
    sides.settle(2)
    assert sides.asks() + sides.parked() == []
    needles = {
        str(part).encode()
        for server in (sides.ledger, sides.till)
        for row in server.rows.values()
        for word, value in row.items()
        if word in toys.PATH
        for part in (value.values() if isinstance(value, dict) else (value,))
        if isinstance(part, str) and len(part) > 7
    }
    live = b"".join(path.read_bytes() for path in sorted(folder.glob(f"{mode}.db*")))
    sides.store.close()
    return live + b"".join(path.read_bytes() for path in sorted(folder.glob(f"{mode}.db*"))), needles


def test_no_value_of_a_settled_record_is_in_the_files_of_the_database(tmp_path):
    data, needles = stored_bytes("hashes", tmp_path)
    assert len(needles) > 40
    assert sorted(needle for needle in needles if needle in data) == []


def test_the_same_search_finds_them_where_all_is_kept(tmp_path):
    data, needles = stored_bytes("full", tmp_path)
    assert sum(needle in data for needle in needles) > len(needles) * 0.9
