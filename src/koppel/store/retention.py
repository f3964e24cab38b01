"""Retention: how long what is kept may lie, per class, and the sweep that takes away what is over.

Never touched: what is linked, what a listing still shows (it mirrors a system in use, and matching needs it), what a question
is open about, and the trail of the years that must be kept. What goes, goes with the chain still valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from koppel.store import notes, suppression, trail
from koppel.store.erasure import erase, forget
from koppel.store.holdings import gather, standing_on
from koppel.store.people import Held, Key, Person, World, held, whole
from koppel.store.sql import Db, as_list

DAY = 86400.0
MONTH = 30.4375 * DAY
KEEP_AT_LEAST = 7  # years after the book year: what Dutch tax law asks of a firm's books (rule B14)
SWEPT = "privacy swept"


class Retention(msgspec.Struct, frozen=True):
    """How long, per class. `technical_days`: records that belong to nothing, closed work items, what runs said;
    `personal_months`: people without documents, after they were unlinked or gone; `trail_years`: payloads of the trail,
    whole years after the one they are of."""

    technical_days: int = 90
    personal_months: int = 12
    trail_years: int = KEEP_AT_LEAST


class Swept(msgspec.Struct, frozen=True):
    """What a sweep took away (or would): numbers only. `ended`: restrictions that ended in an erasure; `extended`: those whose
    person stands on newer documents by now."""

    records: int = 0
    people: int = 0
    work: int = 0
    runs: int = 0
    trail: int = 0
    ended: int = 0
    extended: int = 0

    @property
    def anything(self) -> bool:
        """Whether there was anything to do."""
        return any(msgspec.structs.astuple(self))


def sweep(
    db: Db, world: World, retention: Retention, *, asked: Iterable[int], at: float, by: str, dry: bool = False
) -> Swept:
    """Take away what is over; with `dry` only count it. `asked`: streams that nobody can list, whose answers can be asked
    for again."""
    old = at - retention.technical_days * DAY
    orphans = _orphans(db, world)
    waiting = {key for orphan in orphans for key in orphan.person.records if orphan.person.personal}
    mine = [key for key in _unlinked(db, world, asked, old) if key not in waiting]
    people = [o for o in orphans if o.person.personal and o.last_at < at - retention.personal_months * MONTH]
    kept = standing_on(db, world, [o.person for o in people], keep_years=retention.trail_years, at=at)
    people = [o for number, o in enumerate(people) if number not in kept]
    done, said = _closed_work(db, old), _said_by_runs(db, old)
    past = _past(db, retention, at)
    ended, extended = _restrictions(db, world, retention, at=at, by=by, dry=dry)
    if not dry:
        forget(db, mine)
        for orphan in people:
            forget(db, orphan.person.records, subjects_=orphan.person.subjects)
        _delete(db, "delete from work where id in", done)
        _delete(db, "update runs set message = '' where id in", said)
        trail.clear(db, past, at=at, actor=by, why=f"older than {retention.trail_years} years")
        notes.put(db, SWEPT, {"at": at})
    return Swept(len(mine), len(people), len(done), len(said), len(past), ended, extended)


def due(db: Db, *, at: float) -> bool:
    """Whether the last sweep is a day ago."""
    told = notes.get(db, SWEPT)
    return told is None or at - told["at"] >= DAY


def _delete(db: Db, what: str, numbers: list[int]) -> None:
    if numbers:
        db.run(f"{what} (select cast(v as bigint) from {db.values()})", list=as_list(str(n) for n in numbers))


def _closed_work(db: Db, old: float) -> list[int]:
    return [row[0] for row in db.rows("select id from work where state = 'closed' and closed_at < :old", old=old)]


def _said_by_runs(db: Db, old: float) -> list[int]:
    return [row[0] for row in db.rows("select id from runs where message <> '' and ended < :old", old=old)]


def _past(db: Db, retention: Retention, at: float) -> list[int]:
    """Entries whose payload need not be kept any more. What says which were cleared, stays: the chain is read with it."""
    year = datetime.fromtimestamp(at, UTC).year - max(retention.trail_years, KEEP_AT_LEAST)
    before = datetime(max(year, 1970), 1, 1, tzinfo=UTC).timestamp() * 1_000_000
    rows = db.rows(
        "select seq from trail where at_us < :b and data <> '' and kind <> :k order by seq",
        b=int(before),
        k=trail.CLEARED,
    )
    return [row[0] for row in rows]


def _unlinked(db: Db, world: World, asked: Iterable[int], old: float) -> list[Key]:
    """Records that belong to nothing: gone ones, and answers to look-ups, that no question and no flow waits for."""
    used = (  # each list is made once, whatever the number of records
        "select native from members where stream = :s",
        "select native from restricted where stream = :s",
        "select native from work where state <> 'closed'",
        "select native from due",
        "select source_native from intents where source_native is not null",
        "select target_native from intents where target_native is not null",
        "select left_native from bases",
        "select right_native from bases",
    )
    waits = "".join(f" and o.native not in ({names})" for names in used)
    found: list[Key] = []
    for stream in world.places:
        gone = "" if stream in {*asked} else " and o.gone = 1"
        rows = db.rows(
            f"select o.native from observations o where o.stream = :s and o.seen_at < :old{gone}{waits} order by o.native",
            s=stream, old=old,
        )  # fmt: skip
        found += [(stream, row[0]) for row in rows]
    return found


class Orphan(msgspec.Struct, frozen=True):
    """A subject that no record belongs to any more, and when the trail last spoke of it."""

    person: Person
    last_at: float


def _orphans(db: Db, world: World) -> list[Orphan]:
    """Subjects without members, with the records they once had: the trail still names those."""
    names = {place.name: place for place in world.places.values()}
    found: list[Orphan] = []
    rows = db.rows(
        "select id from subjects s where not exists (select 1 from members m where m.subject = s.id) order by id"
    )
    for (subject,) in rows:
        keys: dict[Key, None] = {}
        last = 0.0
        for entry in trail.read(db, subject=subject, limit=1_000_000):
            last = entry.at
            for side in ("left", "right", "seen"):
                stream, _, native = str((entry.data or {}).get(side) or "").rpartition(":")
                if stream in names:
                    keys[names[stream].stream, native] = None
        free = [key for key in keys if not _linked(db, key)]
        kept = [one for stream, native in free for one in held(db, stream, [native])]
        contact = any(world.places[stream].entity == "contact" for stream, _ in keys)
        personal = contact or any(one.values.get("personal") for one in kept)
        found.append(
            Orphan(Person("", tuple(one.key for one in kept if _past_use(one)), (subject,), {}, personal), last)
        )
    return found


def _past_use(one: Held) -> bool:
    """A record that is still there mirrors a system in use."""
    return one.gone


def _linked(db: Db, key: Key) -> bool:
    return bool(db.scalar("select count(*) from members where stream = :s and native = :n", s=key[0], n=key[1]))


def _restrictions(db: Db, world: World, retention: Retention, *, at: float, by: str, dry: bool) -> tuple[int, int]:
    """Restrictions whose time is over: erased now, unless newer documents stand on the person."""
    ended = extended = 0
    for case in suppression.cases(db, state="restricted"):
        if case.until is None or case.until > at:
            continue
        kept = suppression.restricted_by(db, case.id)
        person = whole(db, world, dict.fromkeys(kept, "restricted"))
        holdings = gather(db, world, person, keep_years=retention.trail_years, at=at)
        if holdings.keep_until is not None:
            extended += 1
            if not dry:
                suppression.change(db, case.id, "restricted", at=case.at, by=case.by, until=holdings.keep_until, reason=case.reason)  # fmt: skip
            continue
        ended += 1
        if not dry:
            erase(
                db,
                world,
                person,
                holdings,
                at=at,
                by=by,
                reason="the documents need not be kept any more",
                case=case.id,
            )
    return ended, extended
