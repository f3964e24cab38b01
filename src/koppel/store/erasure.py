"""Erasing a person, or only keeping them: each in one transaction, with what is left of it said in the trail.

Erased: the key of each subject is destroyed (its trail entries can never be read again, and the chain holds), every row about
the records goes, and keyed digests of their ids and strong keys are kept, so that they do not come back with the next poll.
Restricted: everything stays where it is, nothing is done with it. `Store.scrub` clears the database's files afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

from koppel.model.values import Json
from koppel.store import blocks, due, hints, streams, subjects, suppression, trail
from koppel.store.due import Due
from koppel.store.holdings import Holdings
from koppel.store.people import Key, Person, World, every_key
from koppel.store.sql import Db, as_list
from koppel.store.tables import metadata

Counts = dict[str, int]


def counts(holdings: Holdings) -> Counts:
    """What there is of a person, in numbers."""
    return {
        "records": len(holdings.records), "links": len(holdings.links), "agreed": len(holdings.agreed),
        "trail": len(holdings.told.entries), "work": len(holdings.work), "due": len(holdings.due),
        "hints": len(holdings.hints), "runs": len(holdings.runs), "notes": len(holdings.notes),
    }  # fmt: skip


def erase(
    db: Db,
    world: World,
    person: Person,
    holdings: Holdings,
    *,
    at: float,
    by: str,
    reason: str,
    case: int | None = None,
) -> int:
    """Take everything away but digests; returns the case's number. `case`: a restriction that ends so."""
    if case is None:
        case = suppression.open_case(db, "erased", at=at, by=by, until=None, reason=reason)
    else:
        suppression.change(db, case, "erased", at=at, by=by, until=None, reason=reason)
    suppression.suppress(db, case, natives=person.records, keys=every_key(db, world, person.records))
    suppression.release(db, case)
    trail.clear(
        db, holdings.told.loose, at=at, actor=by, why=f"privacy case {case}: they named a person who was erased"
    )
    _forget_work(db, holdings, at=at)
    for row in holdings.agreed:
        db.run("delete from bases where flow = :f and left_native = :l and right_native = :r", f=row["flow"], l=row["left"], r=row["right"])  # fmt: skip
    db.run(f"delete from bases where subject in (select v from {db.values()})", list=as_list(person.subjects))
    for subject in person.subjects:
        subjects.erase(db, subject)
    _forget_records(db, person.records)
    _forget_in_flows(db, world, person.records)
    _forget_notes(db, holdings)
    _say(db, "erased", case, at=at, by=by, reason=reason, numbers=counts(holdings))
    return case


def restrict(
    db: Db, world: World, person: Person, holdings: Holdings, *, at: float, by: str, until: float, reason: str
) -> int:
    """Only keep from now on, until then; returns the case's number. Work items go: nobody is to work on them."""
    case = suppression.open_case(db, "restricted", at=at, by=by, until=until, reason=reason)
    suppression.suppress(db, case, natives=person.records, keys=every_key(db, world, person.records))
    suppression.restrict(db, case, person.records)
    _forget_work(db, holdings, at=at)
    for stream, native in person.records:
        hints.done(db, stream, [native])
        blocks.drop(db, stream, [native])
    _say(db, "restricted", case, at=at, by=by, reason=reason, numbers=counts(holdings))
    return case


def lift(db: Db, case: int, *, at: float, by: str, reason: str) -> list[streams.Stream]:
    """The person may take part again; returns the streams their records were read from, for the caller to have them read anew."""
    found = [streams.get(db, stream) for stream in suppression.let_go(db, case)]
    suppression.change(db, case, "lifted", at=at, by=by, until=None, reason=reason)
    _say(db, "lifted", case, at=at, by=by, reason=reason, numbers={})
    return found


def forget(db: Db, keys: Iterable[Key], *, subjects_: Iterable[str] = ()) -> None:
    """Take records away whose time is over, with their subjects. Nothing keeps them from coming back: nobody asked for that."""
    keys = list(keys)
    for subject in subjects_:
        subjects.erase(db, subject)
    _forget_records(db, keys)


def _forget_work(db: Db, holdings: Holdings, *, at: float) -> None:
    """Questions about somebody else that only named the person as a candidate are asked again, without them."""
    numbers = [row["number"] for row in holdings.work]
    again = [row for row in holdings.work if row["about_somebody_else"] and row["state"] != "closed"]
    db.run(
        f"delete from work where id in (select cast(v as bigint) from {db.values()})",
        list=as_list(str(number) for number in numbers),
    )
    for row in holdings.due:
        due.done(db, row["flow"], row["side"], [row["native"]])
    for row in again:
        due.add(db, row["flow"], [Due(row["side"], row["native"], "asked")], at=at)


def places_of_records() -> dict[str, list[tuple[str, str]]]:
    """Every table that names records by stream and id, with those pairs of columns: what is added later is forgotten as well.

    Intents are not among them: while an operation about somebody is open, nobody is erased.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for table in metadata.sorted_tables:
        names = {column.name for column in table.columns}
        pairs = [("stream", "native"), ("stream", "target")]
        pairs += [(f"{name.removesuffix('_native')}_stream", name) for name in names if name.endswith("_native")]
        if {"flow", "side"} <= names:  # there `native` is a record of that side, which `_forget_in_flows` forgets
            pairs.remove(("stream", "native"))
        mine = sorted(pair for pair in pairs if {*pair} <= names)
        if mine and table.name not in ("intents", "suppressions"):
            found[table.name] = mine
    return found


def _forget_records(db: Db, keys: Iterable[Key]) -> None:
    by_stream: dict[int, list[str]] = {}
    for stream, native in keys:
        by_stream.setdefault(stream, []).append(native)
    for table, pairs in places_of_records().items():
        for of, named in pairs:
            for stream, natives in by_stream.items():
                db.run(
                    f"delete from {table} where {of} = :s and {named} in (select v from {db.values()})",
                    s=stream, list=as_list(natives),
                )  # fmt: skip


def _forget_in_flows(db: Db, world: World, keys: Iterable[Key]) -> None:
    """Rows that name a record by flow and side, in whichever table."""
    mine = list(keys)
    for table in metadata.sorted_tables:
        if table.name in ("work", "intents") or not {"flow", "side", "native"} <= {c.name for c in table.columns}:
            continue
        for flow, (left, right) in world.flows.items():
            for side, stream in (("left", left), ("right", right)):
                db.run(
                    f"delete from {table.name} where flow = :f and side = :d and native in (select v from {db.values()})",
                    f=flow, d=side, list=as_list(native for s, native in mine if s == stream),
                )  # fmt: skip


def _forget_notes(db: Db, holdings: Holdings) -> None:
    for row in holdings.runs:
        db.run("update runs set message = '' where id = :i", i=row["run"])
    db.run(f"delete from meta where key in (select v from {db.values()})", list=as_list(holdings.notes))


def _say(db: Db, kind: str, case: int, *, at: float, by: str, reason: str, numbers: Counts) -> None:
    """An entry that names nobody."""
    data: dict[str, Json] = {"case": case, "because": reason, "label": f"privacy case {case}", **({"counts": numbers} if numbers else {})}  # fmt: skip
    trail.append(db, [trail.Entry(at, by, kind, data)])
