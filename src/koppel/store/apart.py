"""Standing decisions that two records are not one thing: what a person took apart is not linked again by itself.

A decision holds for the keys the two shared when it was made: a key they come to share later is news, and asked about. It is
lifted by whoever links the two by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from koppel.store.sql import Db, as_rows

Record = tuple[int, str]  # stream and native id
TAKEN_APART = frozenset({"unlinked", "split"})  # the words for what had been together until a person took it apart


class Apart(msgspec.Struct, frozen=True):
    """Two records a person holds apart; `keys` are digests of the keys they shared, `why` says in words what was decided."""

    one: Record
    two: Record
    at: float
    by: str
    why: str
    keys: tuple[str, ...] = ()

    def other(self, record: Record) -> Record:
        """The one that is not `record`."""
        return self.two if record == self.one else self.one


def hold(db: Db, pairs: Iterable[tuple[Record, Record]], *, at: float, by: str, why: str) -> None:
    """Hold pairs apart from now on; of one that is held apart already the keys are taken anew."""
    for first, second in pairs:
        one, two = sorted((first, second))
        db.run(
            "insert into apart (one_stream, one_native, two_stream, two_native, at, by_whom, why, keys)"
            " values (:s, :n, :t, :m, :at, :by, :why, :k) on conflict (one_stream, one_native, two_stream, two_native)"
            " do update set at = excluded.at, by_whom = excluded.by_whom, why = excluded.why, keys = excluded.keys",
            s=one[0], n=one[1], t=two[0], m=two[1], at=at, by=by, why=why,
            k=msgspec.json.encode(shared_keys(db, one, two)).decode(),
        )  # fmt: skip


def restore(db: Db, decisions: Iterable[Apart]) -> None:
    """Put decisions back exactly as they stood."""
    for held in decisions:
        hold(db, [(held.one, held.two)], at=held.at, by=held.by, why=held.why)
        db.run(
            "update apart set keys = :k where one_stream = :s and one_native = :n and two_stream = :t and two_native = :m",
            k=msgspec.json.encode(held.keys).decode(), s=held.one[0], n=held.one[1], t=held.two[0], m=held.two[1],
        )  # fmt: skip


def lift(db: Db, pairs: Iterable[tuple[Record, Record]]) -> None:
    """Forget that these are apart: somebody linked them."""
    for first, second in pairs:
        one, two = sorted((first, second))
        db.run(
            "delete from apart where one_stream = :s and one_native = :n and two_stream = :t and two_native = :m",
            s=one[0], n=one[1], t=two[0], m=two[1],
        )  # fmt: skip


def any_held(db: Db) -> bool:
    """Whether there is any such decision: most workspaces have none, and then nothing else need be asked."""
    return db.scalar("select 1 from apart limit 1") is not None


def of_records(db: Db, records: Iterable[Record]) -> list[Apart]:
    """The decisions one of these records has a part in, oldest first."""
    wanted: Sequence[Record] = list(dict.fromkeys(records))
    given = db.table({"stream": "big", "native": "text"})
    columns = "a.one_stream, a.one_native, a.two_stream, a.two_native, a.at, a.by_whom, a.why, a.keys"
    found: dict[tuple[Record, Record], Apart] = {}
    for half, index in (("one", ""), ("two", db.by("apart_two"))):
        rows = db.rows(
            f"select {columns} from {given} cross join apart a{index}"
            f" where a.{half}_stream = given.stream and a.{half}_native = given.native",
            rows=as_rows(wanted),
        )
        for row in rows:
            one, two = (row[0], row[1]), (row[2], row[3])
            found[one, two] = Apart(one, two, row[4], row[5], row[6], tuple(msgspec.json.decode(row[7])))
    return sorted(found.values(), key=lambda held: (held.at, held.one, held.two))


def shared_keys(db: Db, one: Record, two: Record) -> tuple[str, ...]:
    """Digests of the strong keys two records carry both."""
    rows = db.rows(
        "select a.kind, a.value from match_keys a join match_keys b on b.kind = a.kind and b.value = a.value"
        " where a.stream = :s and a.native = :n and b.stream = :t and b.native = :m order by a.kind, a.value",
        s=one[0], n=one[1], t=two[0], m=two[1],
    )  # fmt: skip
    return tuple(f"{kind} {value}" for kind, value in rows)
