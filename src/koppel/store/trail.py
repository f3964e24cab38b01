"""The trail: append-only, hash-chained; what changed, when, why, by whom, before and after.

Each entry's hash covers its place, time, actor, run, operation, kind, subject and the commitment to its encrypted payload,
and the hash before it. Payloads are sealed under the subject's key (subjectless ones under the workspace's): destroying a
subject's key makes its payloads unreadable and leaves the chain valid. Payloads may also be cleared (a retention ended, an
entry without a subject named somebody who was erased): a later entry says which, and an empty payload nobody recorded is
noticed. A cut-off tail can only be noticed against an exported head (`audit head`): export it.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import exc

from koppel.model.problem import SetupError
from koppel.model.values import Json
from koppel.store import subjects
from koppel.store.sql import Db, as_list, as_rows
from koppel.store.vault import canonical, seal_under, unseal_under

VERSION = 1
CLEARED = "cleared"  # the kind of entry that says which payloads were taken away
GENESIS = "0" * 64
_NOTHING = sha256(b"").hexdigest()


class Entry(msgspec.Struct, frozen=True):
    """What is to be recorded. `data` is plain JSON; refs and numbers live inside it, never beside it."""

    at: float
    actor: str
    kind: str
    data: dict[str, Json]
    run: int | None = None
    op: str | None = None
    subject: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """An entry as read back; `data` is None when its subject was erased."""

    seq: int
    at: float
    actor: str
    kind: str
    run: int | None
    op: str | None
    subject: str | None
    hash: str
    data: dict[str, Json] | None


class Head(msgspec.Struct, frozen=True):
    """The end of the chain: what to export, and to verify against."""

    seq: int
    hash: str


class Broken(msgspec.Struct, frozen=True):
    """The first entry that does not hold, and why."""

    seq: int
    why: str


def head(db: Db) -> Head:
    """The chain's end; seq 0 when empty."""
    row = db.one("select seq, hash from trail_head where id = 1")
    return Head(row[0], row[1]) if row else Head(0, GENESIS)


def append(db: Db, entries: Sequence[Entry]) -> list[int]:
    """Add entries; returns their numbers. No gaps, in order, in the caller's transaction."""
    if not entries:
        return []
    row = db.one("select seq, hash from trail_head where id = 1" + db.for_update)
    if row is None:  # two that come first at once must still meet at one head
        db.run("insert into trail_head (id, seq, hash) values (1, 0, :g) on conflict (id) do nothing", g=GENESIS)
        row = db.one("select seq, hash from trail_head where id = 1" + db.for_update)
        assert row is not None
    seq: int = row[0]
    last: str = row[1]
    keys = subjects.keys(db, {entry.subject for entry in entries if entry.subject})
    rows: list[list[Json]] = []
    for entry in entries:
        seq += 1
        plain = msgspec.json.encode(entry.data)
        subject_key = keys.get(entry.subject) if entry.subject else None
        if entry.subject and subject_key is None:
            sealed = ""  # erased: what happened is recorded, not to whom
        elif subject_key is not None:
            sealed = base64.b64encode(seal_under(subject_key, plain, db.vault.random(12))).decode()
        else:
            sealed = db.vault.seal(plain, about="trail")
        commitment = sha256(sealed.encode()).hexdigest()
        told = [VERSION, round(entry.at * 1_000_000), entry.actor, entry.run, entry.op, entry.kind, entry.subject]
        last = _link(last, seq, told, commitment)
        rows.append([seq, *told, sealed, commitment, last])
    columns = {
        "seq": "big", "version": "big", "at_us": "big", "actor": "text", "run": "big", "op": "text",
        "kind": "text", "subject": "text", "data": "text", "commitment": "text", "hash": "text",
    }  # fmt: skip
    names = ", ".join(columns)
    db.run(f"insert into trail ({names}) select {names} from {db.table(columns)} where true", rows=as_rows(rows))
    db.run("update trail_head set seq = :s, hash = :h where id = 1", s=seq, h=last)
    return [row[0] for row in rows]


def _link(previous: str, seq: int, told: Sequence[Json], commitment: str) -> str:
    """The hash of one entry. The time is counted in whole microseconds: no database rounds those."""
    return sha256(canonical([previous, seq, *told, commitment])).hexdigest()


def verify(db: Db, *, against: Head | None = None) -> Broken | None:
    """Walk the chain; None when it holds. `against` is an exported head: the chain must pass through it, so a cut-off or
    rewritten past is noticed."""
    last, expected = GENESIS, 0
    empty: list[int] = []
    cleared: set[int] = set()
    for row in _entries(db):
        expected += 1
        if row is None:
            return Broken(expected, f"entry {expected} cannot be read")
        seq, *told, data, commitment, stored = row
        if seq != expected:
            return Broken(expected, f"entry {expected} is missing" if seq > expected else f"there is an entry {seq}")
        if data == "" and commitment != _NOTHING:
            empty.append(seq)
        elif not isinstance(data, str) or sha256(data.encode()).hexdigest() != commitment:
            return Broken(seq, f"entry {seq}: its payload was altered")
        elif told[5] == CLEARED and data and told[6] is None:
            cleared |= _numbers(db, data)
        last = _link(last, seq, told, commitment)
        if last != stored:
            return Broken(seq, f"entry {seq} does not follow from the entries before it")
        if against is not None and seq == against.seq and last != against.hash:
            return Broken(seq, f"entry {seq} differs from the exported head")
    unsaid = next((seq for seq in empty if seq not in cleared), None)
    if unsaid is not None:
        return Broken(unsaid, f"entry {unsaid}: its payload was taken away, and no entry says so")
    kept = head(db)
    if kept.seq != expected or kept.hash != last:
        return Broken(expected + 1, f"the chain ends at entry {expected}, its head says {kept.seq}")
    if against is not None and against.seq > expected:
        return Broken(expected + 1, f"the chain ends at entry {expected}, before the exported head {against.seq}")
    return None


def clear(db: Db, seqs: Iterable[int], *, at: float, actor: str, why: str) -> int:
    """Take the payloads of these entries away, and record which; returns how many had one. What happened, when and by whom
    stays, and so does the chain."""
    listed = as_list(str(seq) for seq in seqs)
    rows = db.rows(
        f"select seq from trail where data <> '' and seq in (select cast(v as bigint) from {db.values()}) order by seq",
        list=listed,
    )
    numbers = [row[0] for row in rows]
    if not numbers:
        return 0
    db.run(
        f"update trail set data = '' where seq in (select cast(v as bigint) from {db.values()})",
        list=as_list(str(seq) for seq in numbers),
    )
    append(db, [Entry(at, actor, CLEARED, {"why": why, "entries": _ranges(numbers)})])
    return len(numbers)


def _ranges(numbers: Sequence[int]) -> list[list[int]]:
    """Rising numbers as [first, last] pairs: a year's entries are one line."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _numbers(db: Db, sealed: str) -> set[int]:
    """The entries that a `cleared` entry speaks of; none when it cannot be read, which the chain itself notices."""
    with contextlib.suppress(SetupError, KeyError, TypeError, ValueError):
        said = db.vault.unseal_json(sealed, about="trail")
        return {number for first, last in said["entries"] for number in range(first, last + 1)}
    return set()


def _entries(db: Db) -> Iterator[Sequence[Json] | None]:
    """Every row in order, some at a time; None for one that the database itself cannot read, and then no more."""
    after, size = -(2**63), 2000
    while True:
        try:
            rows = db.rows(
                "select seq, version, at_us, actor, run, op, kind, subject, data, commitment, hash from trail"
                " where seq > :after order by seq limit :size",
                after=after,
                size=size,
            )
        except exc.DatabaseError:  # a flipped byte may leave no text, or no page
            if size == 1 or not db.sqlite:
                yield None
                return
            size = 1
            continue
        yield from rows
        if len(rows) < size:
            return
        after = rows[-1][0]


def read(
    db: Db,
    *,
    run: int | None = None,
    subject: str | None = None,
    after: int = 0,
    limit: int = 1000,
    newest_first: bool = False,
) -> list[Recorded]:
    """Entries, filtered."""
    where = (
        "seq > :after"
        + (" and run = :run" if run is not None else "")
        + (" and subject = :subject" if subject is not None else "")
    )
    values = (
        {"after": after, "limit": limit}
        | ({"run": run} if run is not None else {})
        | ({"subject": subject} if subject is not None else {})
    )
    rows = db.rows(
        f"select seq, at_us, actor, kind, run, op, subject, hash, data from trail where {where} order by seq {'desc' if newest_first else 'asc'} limit :limit",
        **values,
    )
    return list(_open(db, rows))


def numbered(db: Db, numbers: Iterable[int]) -> list[Recorded]:
    """These entries, in order."""
    rows = db.rows(
        f"select seq, at_us, actor, kind, run, op, subject, hash, data from trail where seq in (select cast(v as bigint) from {db.values()}) order by seq",
        list=as_list(str(number) for number in numbers),
    )
    return list(_open(db, rows))


def _open(db: Db, rows: Sequence[Sequence]) -> Iterator[Recorded]:
    keys = subjects.keys(db, {row[6] for row in rows if row[6]})
    for seq, at_us, actor, kind, run, op, subject, digest, sealed in rows:
        data: dict[str, Json] | None = None
        if subject and sealed and subject in keys:
            with contextlib.suppress(InvalidTag, ValueError):  # altered: `verify` names it
                data = msgspec.json.decode(unseal_under(keys[subject], base64.b64decode(sealed)))
        elif sealed and not subject:
            data = db.vault.unseal_json(sealed, about="trail")
        yield Recorded(seq, at_us / 1_000_000, actor, kind, run, op, subject, digest, data)
