"""Whole streams, part by part: what a full comparison walks over. Nothing here grows with the size of an administration.

Each function answers one part, behind the key the part before it ended with.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from koppel.store.sql import Db, as_list
from koppel.sync.base import Base


class Agreed(msgspec.Struct, frozen=True):
    """A pair that shows on both sides what was last agreed: counterpart, whether it is one of several, and the base."""

    right: str
    follower: bool
    base: Base


class Shared(msgspec.Struct, frozen=True):
    """A strong key that several records of one stream carry: its kind, its digest, how many, and the first of them."""

    kind: str
    digest: str
    count: int
    natives: tuple[str, ...]


def count_members(db: Db, left: int, right: int) -> int:
    """How many linked pairs there are between two streams."""
    return db.scalar(
        "select count(*) from members l cross join members r where l.stream = :l and r.subject = l.subject and r.stream = :r",
        l=left,
        r=right,
    )


def present(db: Db, stream: int, *, after: str, size: int) -> list[str]:
    """Records that are there, and linked ones that are gone."""
    return [
        row[0]
        for row in db.rows(
            "select o.native from observations o where o.stream = :s and o.native > :a and (o.gone = 0 or exists"
            " (select 1 from members m where m.stream = o.stream and m.native = o.native)) order by o.native limit :n",
            s=stream, a=after, n=size,
        )
    ]  # fmt: skip


def agreed(db: Db, flow: str, left: int, right: int, natives: Iterable[str]) -> dict[str, list[Agreed]]:
    """By left native its pairs on which nothing has moved since both sides agreed on every field, and nobody asked to look."""
    rows = db.rows(
        f"select b.left_native, b.right_native, m.role, b.body from {db.values()} cross join bases b"
        " cross join observations lo cross join observations ro cross join members m"
        " where b.flow = :f and b.left_native = given.v and b.left_digest <> '' and b.right_digest <> ''"
        " and lo.stream = :l and lo.native = b.left_native and lo.gone = 0 and lo.digest = b.left_digest"
        " and ro.stream = :r and ro.native = b.right_native and ro.gone = 0 and ro.digest = b.right_digest"
        " and m.stream = :r and m.native = b.right_native and m.subject = b.subject"
        " and not exists (select 1 from due d where d.flow = :f and d.side = 'left' and d.native = b.left_native)"
        " and not exists (select 1 from work w where w.flow = :f and w.side = 'left' and w.native = b.left_native and w.state = 'open')",
        f=flow, l=left, r=right, list=as_list(natives),
    )  # fmt: skip
    found: dict[str, list[Agreed]] = {}
    for native, counterpart, role, body in rows:
        base = msgspec.json.decode(db.vault.unseal(body), type=Base)
        found.setdefault(native, []).append(Agreed(counterpart, role == "follower", base))
    return found


def unclaimed(db: Db, stream: int, far: int, *, after: str, size: int) -> list[str]:
    """Records that are there and belong together with none of the far stream."""
    return [
        row[0]
        for row in db.rows(
            "select o.native from observations o where o.stream = :s and o.native > :a and o.gone = 0 and not exists"
            " (select 1 from members m cross join members f where m.stream = o.stream and m.native = o.native"
            " and f.subject = m.subject and f.stream = :far) order by o.native limit :n",
            s=stream, far=far, a=after, n=size,
        )
    ]  # fmt: skip


def shared_keys(db: Db, stream: int, kind: str, *, after: str, size: int, show: int) -> list[Shared]:
    """Keys of a kind that more than one record carries, in order of their digests; of each the first `show` records."""
    there = "k.stream = :s and k.kind = :k and o.stream = :s and o.native = k.native and o.gone = 0"
    rows = db.rows(
        "with doubled as (select k.value as value, count(*) as several from match_keys k cross join observations o"
        f" where {there} and k.value > :a group by k.value having count(*) > 1 order by k.value limit :n)"
        " select value, several, native from (select d.value, d.several, k.native,"
        " row_number() over (partition by d.value order by k.native) as place"
        f" from doubled d cross join match_keys k cross join observations o where {there} and k.value = d.value) as each_one"
        " where place <= :m order by value, native",
        s=stream, k=kind, a=after, n=size, m=show,
    )  # fmt: skip
    return [
        Shared(kind, digest, several, tuple(row[2] for row in of_key))
        for (digest, several), of_key in groupby(rows, key=lambda row: (row[0], row[1]))
    ]


def never_shown(db: Db, stream: int, *, after: str, size: int) -> list[str]:
    """Members that no listing or look-up ever showed."""
    return [
        row[0]
        for row in db.rows(
            "select m.native from members m where m.stream = :s and m.native > :a and not exists"
            " (select 1 from observations o where o.stream = m.stream and o.native = m.native) order by m.native limit :n",
            s=stream, a=after, n=size,
        )
    ]  # fmt: skip


def alone(db: Db, stream: int, *, after: str, size: int) -> list[str]:
    """The only members their subjects have."""
    return [
        row[0]
        for row in db.rows(
            f"select m.native from members m where m.stream = :s and m.native > :a and not exists"
            f" (select 1 from members o{db.by('members_subject')} where o.subject = m.subject"
            " and (o.stream <> m.stream or o.native <> m.native)) order by m.native limit :n",
            s=stream, a=after, n=size,
        )
    ]  # fmt: skip


def parted(db: Db, flow: str, left: int, right: int, *, after: tuple[str, str], size: int) -> list[tuple[str, str]]:
    """Pairs of which it is remembered what was agreed although they are not linked."""
    return [
        (row[0], row[1])
        for row in db.rows(
            "select b.left_native, b.right_native from bases b where b.flow = :f and (b.left_native > :a or"
            " (b.left_native = :a and b.right_native > :z)) and not exists (select 1 from members l cross join members r"
            " where l.stream = :l and l.native = b.left_native and r.stream = :r and r.native = b.right_native"
            " and r.subject = l.subject) order by b.left_native, b.right_native limit :n",
            f=flow, l=left, r=right, a=after[0], z=after[1], n=size,
        )
    ]  # fmt: skip
