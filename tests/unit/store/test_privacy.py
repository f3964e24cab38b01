"""One person in every table of a store: shown, erased, kept apart, swept."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from koppel.model.address import Address
from koppel.model.company import Company
from koppel.model.contact import Contact
from koppel.model.documents import Invoice, JournalEntry
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.store import (
    due,
    erasure,
    flows,
    hints,
    holdings,
    needs,
    notes,
    observations,
    people,
    retention,
    runs,
    streams,
    subjects,
    suppression,
    trail,
    work,
)
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.store.holdings import gather
from koppel.store.needs import Need
from koppel.store.observations import Seen
from koppel.store.people import Place, World
from koppel.store.retention import Retention
from koppel.store.tables import metadata
from koppel.sync.base import Base

NOW = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
DAY = 86400.0
ANNA = Contact(
    first_name="Anna", prefix="de", last_name="Zwaluwstaart", email="anna@zwaluwstaart.example", phone="+31612345678",
    company="77", address=Address(street="Merelhof", number="8", postcode="1034WL", city="Amsterdam", country="NL"),
)  # fmt: skip
SECRETS = (b"Zwaluwstaart", b"zwaluwstaart", b"612345678", b"crm-native-anna", b"shop-native-anna", b"Merelhof")


def seen(native, entity, name="contact"):
    return Seen(native, Record(entity), name, keys=entity.match_keys())


@pytest.fixture
def world(store) -> World:
    names = {"crm:contacts": "contact", "shop:customers": "contact", "shop:invoices": "invoice", "books:entries": "journal_entry", "register:companies": "company"}  # fmt: skip
    places = {}
    for name, entity in names.items():
        connection, _, resource = name.partition(":")
        stream = store.run(streams.ensure, connection, resource).id
        places[stream] = Place(stream, name, connection, connection.title(), entity)
    by_name = {place.name: stream for stream, place in places.items()}
    return World(places, {"crm-shop": (by_name["crm:contacts"], by_name["shop:customers"])})


@pytest.fixture
def at(world):
    numbers = {place.name: stream for stream, place in world.places.items()}
    return lambda name: numbers[name]


@pytest.fixture
def anna(store, world, at):
    """Anna on two sides, linked, agreed on, asked about, spoken of; and Bob, who is somebody else."""

    def within(db):
        crm, shop = at("crm:contacts"), at("shop:customers")
        bob = Contact(first_name="Bob", last_name="Anders", email="bob@anders.example")
        observations.take_in(db, crm, [seen("crm-native-anna", ANNA), seen("b1", bob)], at=NOW - DAY)
        observations.take_in(db, shop, [seen("shop-native-anna", ANNA), seen("b2", bob)], at=NOW - DAY)
        one, two = subjects.create_many(db, 2, at=NOW)
        for stream, native, subject in ((crm, "crm-native-anna", one), (shop, "shop-native-anna", one), (crm, "b1", two), (shop, "b2", two)):  # fmt: skip
            subjects.join(db, subject, stream, native, role="main", why="same e-mail and surname", at=NOW)
        base = Base(left={"email": ANNA.email}, right={"email": ANNA.email})
        flows.move(db, "crm-shop", flows.Position("d", {}, 0, 0))
        flows.save_bases(db, "crm-shop", [
            StoredBase("crm-native-anna", "shop-native-anna", one, base, "", "", 1),
            StoredBase("b1", "b2", two, Base(left={"email": bob.email}, right={"email": bob.email}), "", "", 1),
        ])  # fmt: skip
        ref = "crm:contacts:crm-native-anna"
        changed = {"email": {"before": None, "after": ANNA.email, "because": "first contact"}}
        trail.append(db, [
            trail.Entry(NOW, "koppel", "parked", {"flow": "crm-shop", "label": "Anna de Zwaluwstaart", "left": ref}),
            trail.Entry(NOW, "koppel", "updated", {"label": "Anna", "left": ref, "fields": changed}, subject=one),
            trail.Entry(NOW, "koppel", "asked", {"label": "Bob", "problem": {"text": "is it Anna de Zwaluwstaart?"}}, subject=two),
            trail.Entry(NOW, "koppel", "updated", {"label": "Bob", "fields": {"phone": {"before": ANNA.phone}}}, subject=two),
        ])  # fmt: skip
        work.put(db, "ask", flow="crm-shop", side="left", native="crm-native-anna", field="phone", code="conflict", body={"text": f"left {ANNA.phone}"}, at=NOW)  # fmt: skip
        choices = [{"answer": "shop-native-anna", "label": "Anna de Zwaluwstaart"}]
        work.put(db, "ask", flow="crm-shop", side="left", native="b1", code="twins", body={"choices": choices}, at=NOW)
        work.put(db, "parked", flow="crm-shop", side="left", native="b1", field="phone", code="x", body={"text": "Bob's"}, at=NOW)  # fmt: skip
        due.add(db, "crm-shop", [Due("right", "shop-native-anna", "asked"), Due("left", "b1", "asked")], at=NOW)
        for native in ("crm-native-anna", "b1"):
            needs.replace(db, "crm-shop", "left", {native: [Need(at("register:companies"), "00100104", shop)]})
        hints.put(db, crm, ["crm-native-anna", "b1"], at=NOW)
        run = runs.begin(db, "crm-shop", trigger="t", actor="a", at=NOW)
        runs.end(db, run, state="failed", counts={}, message="Anna de Zwaluwstaart was refused", at=NOW)
        notes.put(db, "alert crm", {"said": "anna@zwaluwstaart.example"})
        return one

    return store.run(within)


def found(store, world, text):
    return store.run(lambda db: people.people(db, world, people.search(db, world, text)))


def held_of(store, world, person, *, keep_years=7, now=NOW):
    return store.run(gather, world, person, keep_years=keep_years, at=now)


def erase(store, world, person, **given):
    holdings = held_of(store, world, person)
    return store.run(erasure.erase, world, person, holdings, at=NOW, by="mieke", reason="asked for", **given)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("anna@ZWALUWSTAART.example", "email"),
        ("anna de zwaluwstaart", "name"),
        ("Zwaluwstaart", "last name"),
        ("zwaluwstaart, anna", "name"),
        ("06 123 456 78", "phone"),
        ("0031612345678", "phone"),
        ("shop-native-anna", "its id"),
    ],
)
def test_a_person_is_found_by_what_people_type(store, world, anna, typed, why):
    (person,) = found(store, world, typed)
    assert [world.ref(key) for key in person.records] == [
        "crm:contacts:crm-native-anna",
        "shop:customers:shop-native-anna",
    ]
    assert person.subjects == (anna,)
    assert why in person.why.values()
    assert (person.label, person.personal) == ("Anna de Zwaluwstaart", True)


@pytest.mark.parametrize("typed", ["zwaluw", "Anna Anders", "de", "612345", "nobody@firm.example"])
def test_a_part_of_a_word_finds_nobody(store, world, anna, typed):
    assert found(store, world, typed) == []


def test_an_unlinked_record_with_the_same_strong_key_is_the_same_person(store, world, at, anna):
    other = msgspec.structs.replace(ANNA, phone="+31201234567")
    store.run(observations.take_in, at("shop:customers"), [seen("dup", other)], at=NOW)
    (person,) = found(store, world, "0201234567")
    assert len(person.records) == 3
    assert person.why["shop:customers:dup"] == "phone"


def test_everything_held_is_gathered_and_nothing_of_others(store, world, anna):
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    told = held_of(store, world, person)
    assert erasure.counts(told) == {
        "records": 2, "links": 2, "agreed": 1, "trail": 3, "work": 2, "due": 1, "hints": 1, "runs": 1, "notes": 1,
    }  # fmt: skip
    assert {row["values"]["email"] for row in told.records} == {ANNA.email}
    assert [entry.kind for entry in told.told.entries] == ["parked", "updated", "asked"]
    assert told.told.elsewhere == 1  # Bob's own entry, with the phone they share
    assert [row["about_somebody_else"] for row in told.work] == [False, True]
    assert told.documents == ()


def test_what_is_erased_can_be_read_nowhere_and_others_keep_everything(store, world, at, anna):
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    before = store.run(trail.read)
    case = erase(store, world, person)
    assert store.run(trail.verify) is None
    after = {entry.seq: entry for entry in store.run(trail.read)}
    assert [entry.data is None for entry in (after[n] for n in (1, 2, 3))] == [True, True, True]
    assert after[4].data == before[3].data
    assert [(e.kind, e.subject) for n, e in after.items() if n > 4] == [("cleared", None), ("erased", None)]
    assert found(store, world, "zwaluwstaart") == []
    (bob,) = found(store, world, "bob@anders.example")
    assert len(bob.records) == 2
    told = held_of(store, world, bob)
    assert (len(told.agreed), len(told.links), len(told.hints)) == (1, 2, 1)
    assert [(item.code, item.body) for item in store.run(work.listed, "parked")] == [("x", {"text": "Bob's"})]
    assert store.run(work.listed, "ask") == []  # asked again, without her: Bob is due
    assert Due("left", "b1", "asked") in store.run(due.ready, "crm-shop", at=NOW)
    assert store.run(lambda db: [r[0] for r in db.rows("select native from due")]) == ["b1"]
    assert store.run(lambda db: [r[0] for r in db.rows("select native from needs")]) == ["b1"]
    assert store.run(notes.get, "alert crm") is None
    assert store.run(runs.listed)[0].message == ""
    (told_case,) = store.run(suppression.cases)
    assert (told_case.id, told_case.state) == (case, "erased")


def test_the_bytes_are_gone_from_the_files(store, world, anna, url):
    """SQLite; what lies sealed cannot be searched, so that the rows are compared: no column holds what it held of her."""
    if not url.startswith("sqlite"):
        pytest.skip("files of its own")
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    path = url.removeprefix("sqlite:///")
    sealed = store.run(
        lambda db: [
            value.encode()
            for sql in (
                "select vals from observations where native like '%anna'",
                "select value from match_keys where native like '%anna'",
                f"select key from subjects where id = '{anna}'",
                f"select body from bases where subject = '{anna}'",
                "select body from work where field = 'phone' and code = 'conflict'",
                "select data from trail where subject is null",
            )
            for (value,) in db.rows(sql)
        ]
    )
    assert len(sealed) == 10
    erase(store, world, person)
    store.scrub()
    from pathlib import Path

    files = b"".join(file.read_bytes() for file in Path(path).parent.glob(f"{Path(path).name}*"))
    suppressed = store.run(lambda db: {row[0].encode() for row in db.rows("select value from suppressions")})
    left = [value for value in sealed if value not in suppressed and value in files]
    assert left == []  # the key's digest alone is kept: it says nothing without the workspace key
    assert [secret for secret in SECRETS if secret in files] == []


def test_an_erased_person_does_not_come_back_under_another_id(store, world, at, anna):
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    case = erase(store, world, person)
    again = [seen("crm-native-anna", ANNA), seen("new-id", msgspec.structs.replace(ANNA, phone=None)), seen("b9", Contact(last_name="Zo"))]  # fmt: skip
    taken = store.run(observations.take_in, at("crm:contacts"), again, at=NOW)
    assert (taken.new, taken.left_out) == (("b9",), 2)
    store.run(erasure.lift, case, at=NOW, by="mieke", reason="a customer again")
    assert store.run(observations.take_in, at("crm:contacts"), again[:2], at=NOW).new == ("crm-native-anna", "new-id")
    assert store.run(trail.read)[-1].kind == "lifted"


def test_a_gone_record_keeps_its_person_out_by_the_keys_of_its_last_values(store, world, at, anna):
    store.run(observations.take_in, at("crm:contacts"), [Seen("crm-native-anna", None)], at=NOW)
    store.run(observations.take_in, at("shop:customers"), [Seen("shop-native-anna", None)], at=NOW)
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    erase(store, world, person)
    assert store.run(observations.take_in, at("crm:contacts"), [seen("new-id", ANNA)], at=NOW).left_out == 1


def invoice(day, party="shop-native-anna", number="2026-1"):
    return seen(f"i{number}", Invoice(number=number, date=day, party=party), "invoice")


@pytest.mark.parametrize(
    ("day", "until"),
    [("2026-03-01", "2034-01-01"), ("2019-12-31", "2027-01-01"), ("2018-12-31", None)],
)
def test_a_document_is_kept_for_whole_years_after_its_book_year(store, world, at, anna, day, until):
    store.run(observations.take_in, at("shop:invoices"), [invoice(day)], at=NOW)
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    told = held_of(store, world, person)
    assert told.keep_until == (datetime.fromisoformat(until).replace(tzinfo=UTC).timestamp() if until else None)


def test_documents_of_others_and_of_other_connections_keep_nobody(store, world, at, anna):
    entry = JournalEntry(number="5", date="2026-01-01", description="rent")
    store.run(observations.take_in, at("shop:invoices"), [invoice("2026-03-01", party="crm-native-anna")], at=NOW)
    store.run(observations.take_in, at("books:entries"), [seen("5", entry, "journal_entry")], at=NOW)
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    assert held_of(store, world, person).documents == ()


def test_a_journal_entry_that_names_the_person_and_a_booked_invoice_in_the_trail_must_be_kept(store, world, at, anna):
    entry = JournalEntry(number="5", date="2026-01-01", description="private use Anna de Zwaluwstaart")
    store.run(observations.take_in, at("books:entries"), [seen("5", entry, "journal_entry")], at=NOW)
    fields = {"party": {"after": "shop-native-anna"}, "date": {"after": "2025-05-05"}}
    data = {"label": "invoice 9", "right": "shop:invoices:i9", "fields": fields}
    store.run(trail.append, [trail.Entry(NOW, "koppel", "created", data)])
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    told = held_of(store, world, person)
    assert [(d.ref, d.known_from) for d in told.documents] == [("shop:invoices:i9", "the trail"), ("books:entries:5", "the store")]  # fmt: skip


def restrict(store, world, person):
    holdings = held_of(store, world, person)
    until = holdings.keep_until
    assert until is not None
    return store.run(erasure.restrict, world, person, holdings, at=NOW, by="mieke", until=until, reason="documents")


def test_a_restricted_person_is_kept_as_they_were_and_hidden(store, world, at, anna):
    store.run(observations.take_in, at("shop:invoices"), [invoice("2026-03-01")], at=NOW)
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    restrict(store, world, person)
    changed = msgspec.structs.replace(ANNA, phone="+31201111111")
    store.run(observations.take_in, at("crm:contacts"), [seen("crm-native-anna", changed)], at=NOW)
    kept = store.run(observations.load, at("crm:contacts"), ["crm-native-anna"], entity="contact")["crm-native-anna"]
    assert kept.record.entity.phone == ANNA.phone
    assert store.run(suppression.hidden_subjects) == {anna}
    assert store.run(work.listed, "ask") == []
    assert store.run(suppression.spared, at("crm:contacts"), ["crm-native-anna", "b1"]) == ["b1"]
    assert store.run(trail.read, subject=anna)[0].data is not None


def sweep(store, world, now, asked=(), **kept):
    return store.run(retention.sweep, world, Retention(**kept), asked=asked, at=now, by="koppel")


def test_a_restriction_ends_in_an_erasure_when_the_documents_need_not_be_kept(store, world, at, anna):
    store.run(observations.take_in, at("shop:invoices"), [invoice("2026-03-01")], at=NOW)
    (person,) = found(store, world, "anna@zwaluwstaart.example")
    case = restrict(store, world, person)
    over = datetime(2034, 1, 1, tzinfo=UTC).timestamp()
    assert sweep(store, world, over - 1).ended == 0
    store.run(observations.take_in, at("shop:invoices"), [invoice("2027-03-01", number="2027-1")], at=NOW)
    assert sweep(store, world, over).extended == 1
    assert sweep(store, world, datetime(2035, 1, 1, tzinfo=UTC).timestamp()).ended == 1
    assert found(store, world, "zwaluwstaart") == []
    assert [(c.id, c.state) for c in store.run(suppression.cases)] == [(case, "erased")]
    assert store.run(observations.take_in, at("crm:contacts"), [seen("crm-native-anna", ANNA)], at=NOW).left_out == 1
    assert store.run(trail.verify) is None


def test_what_belongs_to_nothing_goes_after_its_days_and_what_mirrors_a_system_stays(store, world, at, anna):
    crm, register = at("crm:contacts"), at("register:companies")
    firm = Company(name="Bakkerij B.V.", kvk="00100104")
    store.run(observations.take_in, register, [seen("00100104", firm, "company"), Seen("00200208", None, remember=True, problems=(Problem("x", "no"),))], at=NOW - 100 * DAY)  # fmt: skip
    store.run(observations.take_in, crm, [seen("live", Contact(last_name="Levend")), seen("g", Contact(last_name="Weg"))], at=NOW - 100 * DAY)  # fmt: skip
    store.run(observations.take_in, crm, [Seen("g", None)], at=NOW - 95 * DAY)
    store.run(work.close, [item.id for item in store.run(work.listed, "parked")], by="a", at=NOW - 95 * DAY)
    dry = store.run(retention.sweep, world, Retention(), asked=(register,), at=NOW, by="koppel", dry=True)
    swept = sweep(store, world, NOW, asked=(register,))
    assert swept == dry
    assert (swept.records, swept.work, swept.people) == (3, 1, 0)
    assert set(store.run(observations.load, crm, ["live", "g", "crm-native-anna"], entity="contact")) == {"live", "crm-native-anna"}  # fmt: skip
    assert not sweep(store, world, NOW, asked=(register,)).anything


def test_an_answer_that_a_question_waits_for_is_kept(store, world, at):
    register = at("register:companies")
    store.run(observations.take_in, register, [seen("00100104", Company(name="B"), "company")], at=NOW - 100 * DAY)
    number = store.run(work.put, "ask", flow="f", side="left", native="00100104", code="x", body={}, at=NOW)
    assert sweep(store, world, NOW, asked=(register,)).records == 0
    store.run(work.close, [number], by="a", at=NOW)
    assert sweep(store, world, NOW, asked=(register,)).records == 1


def test_a_person_who_belongs_to_nothing_any_more_goes_after_their_months(store, world, at, anna):
    crm, shop = at("crm:contacts"), at("shop:customers")
    for stream, native in ((crm, "crm-native-anna"), (shop, "shop-native-anna")):
        store.run(observations.take_in, stream, [Seen(native, None)], at=NOW)
        store.run(subjects.leave, stream, native)
    store.run(flows.drop_base, "crm-shop", "crm-native-anna", "shop-native-anna")
    assert sweep(store, world, NOW + 300 * DAY).people == 0
    assert store.run(trail.read, subject=anna)[0].data is not None
    assert sweep(store, world, NOW + 400 * DAY).people == 1
    assert store.run(trail.read, subject=anna)[0].data is None
    assert store.run(trail.verify) is None
    taken = store.run(observations.take_in, crm, [seen("crm-native-anna", ANNA)], at=NOW + 401 * DAY)
    assert taken.new == ("crm-native-anna",)  # nobody asked to be erased


def test_of_people_who_belong_to_nothing_those_with_documents_stay_and_the_trail_is_walked_once(
    store, world, at, anna, monkeypatch
):
    crm, shop = at("crm:contacts"), at("shop:customers")
    bob = store.run(subjects.of_records, crm, ["b1"])["b1"].subject
    refs = {"left": "crm:contacts:b1", "right": "shop:customers:b2"}
    store.run(trail.append, [trail.Entry(NOW, "koppel", "unlinked", refs, subject=bob)])
    refs = {"left": "crm:contacts:crm-native-anna", "right": "shop:customers:shop-native-anna"}
    store.run(trail.append, [trail.Entry(NOW, "koppel", "unlinked", refs, subject=anna)])
    for stream, native in ((crm, "crm-native-anna"), (shop, "shop-native-anna"), (crm, "b1"), (shop, "b2")):
        store.run(observations.take_in, stream, [Seen(native, None)], at=NOW)
        store.run(subjects.leave, stream, native)
    store.run(observations.take_in, at("shop:invoices"), [invoice("2026-03-01")], at=NOW)
    walks = []
    walk = holdings.whole_trail
    monkeypatch.setattr(holdings, "whole_trail", lambda db: walks.append(1) or walk(db))
    swept = sweep(store, world, NOW + 400 * DAY)
    assert (swept.people, len(walks)) == (1, 1)
    assert {subject: bool(store.run(subjects.key, subject)) for subject in (anna, bob)} == {anna: True, bob: False}
    assert sweep(store, world, NOW + 9 * 366 * DAY).people == 1


def test_the_trail_is_cleared_by_whole_years_and_stays_valid(store, world, anna):
    last = datetime(2033, 12, 31, 23, tzinfo=UTC).timestamp()
    assert sweep(store, world, last, trail_years=1).trail == 0  # the law asks for seven, whatever is configured
    assert sweep(store, world, last + 7200, trail_years=10).trail == 0
    swept = sweep(store, world, last + 7200)
    assert swept.trail == 4
    assert store.run(trail.verify) is None
    assert all(entry.data is None for entry in store.run(trail.read)[:4])


def test_a_payload_taken_away_without_a_word_is_noticed(store, anna):
    store.run(lambda db: db.run("update trail set data = '' where seq = 2"))
    broken = store.run(trail.verify)
    assert (broken.seq, "no entry says so" in broken.why) == (2, True)


def test_an_entry_that_says_what_was_cleared_cannot_be_cleared_itself(store, anna):
    store.run(trail.clear, [1], at=NOW, actor="a", why="w")
    assert store.run(trail.verify) is None
    store.run(lambda db: db.run("update trail set data = '' where kind = 'cleared'"))
    assert store.run(trail.verify) is not None


def test_two_people_of_one_name_are_two(store, world, at, anna):
    namesake = Contact(first_name="Anna", prefix="de", last_name="Zwaluwstaart", email="other@firm.example")
    store.run(observations.take_in, at("crm:contacts"), [seen("n", namesake)], at=NOW)
    assert [len(person.records) for person in found(store, world, "Anna de Zwaluwstaart")] == [2, 1]


def test_every_table_that_names_records_is_known_to_an_erasure():
    """Whoever adds a table with ids in it finds it here, or has to say how they are forgotten."""
    known = {name: {column for pair in pairs for column in pair} for name, pairs in erasure.places_of_records().items()}
    by_flow = {"flow", "side", "native"}
    elsewhere = {"bases": {"left_native", "right_native"}, "intents": {"source_native", "target_native"}}
    for table in metadata.sorted_tables:
        names = {column.name for column in table.columns}
        ids = {name for name in names if "native" in name or name == "target"} - elsewhere.get(table.name, set())
        ids -= known.get(table.name, set()) | (by_flow if by_flow <= names else set())
        assert ids == set(), f"{table.name}: an erased person's ids would stay in {ids}"
