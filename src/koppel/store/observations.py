"""Observations: what we last saw of each record, and the keys it can be found by.

Values lie sealed; keys lie as keyed digests. Each real change gets the next `seq` of its stream, which is all a flow
needs to know what it still has to look at: the store is the inbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.model.versions import ENTITY_VERSIONS, read_record
from koppel.store import suppression
from koppel.store.sql import Db, as_list, as_rows
from koppel.store.vault import canonical


class Seen(msgspec.Struct, frozen=True):
    """One record as an exchange brought it: decoded, or None for a record the vendor says is gone.

    `problems`: what of it could not be read, or why it is not there. `remember`: keep its absence even when it was never seen
    (an answered look-up). `kept`: the fields that were kept of the record; None: all it has.
    """

    native: str
    record: Record | None
    entity: str = "company"
    version: str = ""
    modified_at: float | None = None
    raw_digest: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    remember: bool = False
    kept: frozenset[str] | None = None


class Observation(msgspec.Struct, frozen=True):
    """What the store knows of one record. `seen_at` is when we last saw it, changed or not."""

    stream: int
    native: str
    seq: int
    version: str
    digest: str
    raw_digest: str
    gone: bool
    seen_at: float
    record: Record | None
    modified_at: float | None
    problems: tuple[Problem, ...] = ()
    given: tuple[str, ...] = ()  # fields of the record that another resource laid over it
    kept: frozenset[str] | None = None  # the fields that are kept of it; None: all it has
    givers: dict[
        str, tuple[str, str, float]
    ] = {}  # and for each the record it is from: its ref, version and when it was seen
    bare: bool = False  # its values were let go: they have to be read before anything is decided on it


class Taken(msgspec.Struct, frozen=True):
    """What a page brought: natives that are new, changed, gone; how many records were left out (erased or restricted people)."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    left_out: int = 0


GONE_DIGEST = "gone"
BARE = ""  # in the place of sealed values that were let go


def take_in(db: Db, stream: int, seen: Sequence[Seen], *, at: float, scan: int = 0, fill: bool = True) -> Taken:
    """Store what was seen. A record whose digest is as known only gets its version and `seen_at`; no `seq` (P6, P9). `fill`: also
    its values, if they were let go.

    What belongs to an erased or restricted person is dropped: a record that is only kept counts as seen, as it was."""
    if not seen:
        return Taken()
    latest = {item.native: item for item in seen}
    out = suppression.left_out(db, stream, {native: item.keys for native, item in latest.items()}, at=at)
    place = db.one("select seq, scan from streams where id = :i" + db.for_update, i=stream)
    assert place is not None, f"there is no stream {stream}"
    seq: int = place[0]
    scan = scan or place[1]  # seen beside a listing under way is seen all the same: its end must not call it gone
    known = {
        row[0]: (row[1], bool(row[2]), bool(row[3]))
        for row in db.rows(
            "select native, digest, gone, case when vals = '' then 1 else 0 end from observations"
            f" where stream = :s and native in (select v from {db.values()})",
            s=stream,
            list=as_list(latest),
        )
    }
    changed_rows: list[list[Json]] = []
    touched_rows: list[list[Json]] = []
    key_rows: list[list[Json]] = []
    filled_rows: list[list[Json]] = []
    new: list[str] = []
    changed: list[str] = []
    gone: list[str] = []
    for native, item in latest.items():
        before = known.get(native)
        if native in out:
            if before is not None:
                touched_rows.append([native, "", "", at, scan])  # only kept: neither news nor gone
            continue
        if item.record is None:
            if before is not None and before[1]:
                touched_rows.append([native, "", "", at, scan])  # known to be gone: no news
                continue
            if before is None and not item.remember:
                continue
            seq += 1
            gone.append(native)
            # why it is not there is kept only where no last values are
            why = {"p": msgspec.to_builtins(item.problems), "m": None}
            told = db.vault.seal_json(why, about=native) if before is None and item.problems else None
            changed_rows.append([native, seq, item.version, 1, "", GONE_DIGEST, told, 1, at, scan])
            continue
        body = {"e": item.record.builtins(), "o": item.record.own, "p": msgspec.to_builtins(item.problems)}
        digest = db.vault.digest(canonical(body))
        more: dict[str, Json] = {"m": item.modified_at} | ({} if item.kept is None else {"k": sorted(item.kept)})
        if before is not None and before[:2] == (digest, False):
            touched_rows.append([native, item.version, item.raw_digest, at, scan])
            if fill and before[2]:
                sealed = db.vault.seal_json(body | more, about=native)
                filled_rows.append([native, ENTITY_VERSIONS[item.entity], sealed])
            continue
        seq += 1
        (new if before is None else changed).append(native)
        sealed = db.vault.seal_json(body | more, about=native)
        changed_rows.append(
            [native, seq, item.version, ENTITY_VERSIONS[item.entity], item.raw_digest, digest, sealed, 0, at, scan]
        )
        key_rows.extend([kind, db.vault.digest_key(kind, value), native] for kind, value in dict.fromkeys(item.keys))
    if changed_rows:
        _write(db, stream, changed_rows, key_rows)
        db.run("update streams set seq = :q where id = :i", q=seq, i=stream)
    if touched_rows:
        _touch(db, stream, touched_rows)
    if filled_rows:
        _fill(db, stream, filled_rows)
    return Taken(tuple(new), tuple(changed), tuple(gone), len(out))


def _write(db: Db, stream: int, rows: list[list[Json]], key_rows: list[list[Json]]) -> None:
    columns = {
        "native": "text", "seq": "big", "version": "text", "entity_version": "big", "raw_digest": "text",
        "digest": "text", "vals": "text", "gone": "big", "seen_at": "real", "scan": "big",
    }  # fmt: skip
    names = ", ".join(columns)
    db.run(
        f"insert into observations (stream, {names}) select :s, {names} from {db.table(columns)} where true"
        " on conflict (stream, native) do update set "
        + ", ".join(f"{name} = excluded.{name}" for name in columns if name not in {"native", "vals", "entity_version"})
        # a gone record keeps its last values, and what they are written in: a person may need them
        + ", vals = coalesce(excluded.vals, observations.vals), entity_version ="
        " case when excluded.vals is null then observations.entity_version else excluded.entity_version end",
        s=stream, rows=as_rows(rows),
    )  # fmt: skip
    changed = as_list(row[0] for row in rows)
    db.run(
        f"delete from match_keys where stream = :s and native in (select v from {db.values()})", s=stream, list=changed
    )
    if key_rows:
        columns = {"kind": "text", "value": "text", "native": "text"}
        db.run(
            f"insert into match_keys (stream, kind, value, native) select :s, kind, value, native from {db.table(columns)} where true on conflict do nothing",
            s=stream, rows=as_rows(key_rows),
        )  # fmt: skip


def _touch(db: Db, stream: int, rows: list[list[Json]]) -> None:
    columns = {"native": "text", "version": "text", "raw_digest": "text", "seen_at": "real", "scan": "big"}
    db.run(  # an empty version means this way of reading shows none: keep the one we had
        "insert into observations (stream, native, seq, digest, version, raw_digest, seen_at, scan)"
        " select o.stream, o.native, o.seq, o.digest,"
        " case when given.version = '' then o.version else given.version end,"
        " case when given.raw_digest = '' then o.raw_digest else given.raw_digest end, given.seen_at,"
        " case when given.scan = 0 then (select scan from streams where id = :s) else given.scan end"
        f" from {db.table(columns)} cross join observations o where o.stream = :s and o.native = given.native"
        " on conflict (stream, native) do update set version = excluded.version, raw_digest = excluded.raw_digest,"
        " seen_at = excluded.seen_at, scan = excluded.scan",
        s=stream, rows=as_rows({row[0]: row for row in rows}.values()),
    )  # fmt: skip


def _fill(db: Db, stream: int, rows: list[list[Json]]) -> None:
    """Put values where they were let go: no change, and no news."""
    columns = {"native": "text", "entity_version": "big", "vals": "text"}
    db.run(
        "insert into observations (stream, native, seq, digest, entity_version, vals, seen_at)"
        f" select o.stream, o.native, o.seq, o.digest, given.entity_version, given.vals, o.seen_at from {db.table(columns)}"
        " cross join observations o where o.stream = :s and o.native = given.native"
        " on conflict (stream, native) do update set vals = excluded.vals, entity_version = excluded.entity_version",
        s=stream, rows=as_rows(rows),
    )  # fmt: skip


def raw_digests(db: Db, stream: int, natives: Iterable[str], *, fill: bool = False) -> dict[str, str]:
    """Raw digest by native, of records that are not gone: unchanged raw items need no decoding, unless values that were let go
    are to be filled in."""
    held = " and (vals is null or vals <> '')" if fill else ""
    rows = db.rows(
        f"select native, raw_digest from observations where stream = :s and gone = 0 and raw_digest <> ''{held} and native in (select v from {db.values()})",
        s=stream, list=as_list(natives),
    )  # fmt: skip
    return {row[0]: row[1] for row in rows}


def touch_known(db: Db, stream: int, rows: Sequence[tuple[str, str, str]], *, at: float, scan: int) -> None:
    """Mark (native, version, raw digest) as seen again, unchanged."""
    if rows:
        _touch(db, stream, [[native, version, raw, at, scan] for native, version, raw in rows])


def mark_unseen_gone(db: Db, stream: int, scan: int, *, at: float, seen_before: float | None = None) -> Taken:
    """At the proven end of a complete listing: what it did not show is gone (law 7).

    `seen_before` spares what was seen after that instant: what was written just before the listing began may not have been
    listed yet. The next listing tells.
    """
    young = "" if seen_before is None else " and seen_at < :old"
    rows = db.rows(
        f"select native from observations where stream = :s and gone = 0 and scan < :n{young} order by native",
        **{"s": stream, "n": scan} | ({} if seen_before is None else {"old": seen_before}),
    )
    return take_in(db, stream, [Seen(row[0], None) for row in rows], at=at, scan=scan)


def load(db: Db, stream: int, natives: Iterable[str], *, entity: str) -> dict[str, Observation]:
    """Observations by native id; unknown ones are missing."""
    rows = db.rows(
        "select native, seq, version, entity_version, digest, raw_digest, gone, seen_at, vals from observations"
        f" where stream = :s and native in (select v from {db.values()})",
        s=stream, list=as_list(natives),
    )  # fmt: skip
    return {row[0]: _observation(db, stream, entity, row) for row in rows}


def _observation(db: Db, stream: int, entity: str, row: tuple) -> Observation:
    native, seq, version, entity_version, digest, raw_digest, gone, seen_at, sealed = row
    body = db.vault.unseal_json(sealed, about=native) if sealed else None
    record = read_record(entity, entity_version, body["e"], body["o"]) if body and "e" in body else None
    problems = msgspec.convert(body.get("p", []), tuple[Problem, ...]) if body else ()
    return Observation(
        stream,
        native,
        seq,
        version,
        digest,
        raw_digest,
        bool(gone),
        seen_at,
        record,
        body["m"] if body else None,
        problems,
        kept=frozenset(body["k"]) if body and "k" in body else None,
        bare=sealed == BARE and not gone,
    )


def bare(db: Db, stream: int, natives: Iterable[str]) -> list[str]:
    """Those of `natives` that are there and whose values were let go."""
    asked = as_list(dict.fromkeys(natives))
    find = f"select native from observations where stream = :s and gone = 0 and vals = '' and native in (select v from {db.values()})"
    return [row[0] for row in db.rows(find + " order by native", s=stream, list=asked)]


def let_go(
    db: Db, stream: int, *, upto: int, watchers: Iterable[tuple[str, str]], spare: Iterable[str], codes: str
) -> int:
    """Let the values go of records no flow has to look at any more: changed last at `upto` or before, neither due nor open on a
    work list of the `watchers` (flow, side), they themselves or what they are paired with; not those in `spare`, nor those with
    an answered question whose code begins with `codes`. Returns how many."""
    given: dict[str, Json] = {"s": stream, "u": upto, "c": codes, "n": len(codes), "list": as_list(spare)}
    held = ""
    for number, (flow, side) in enumerate(watchers):
        far = "right" if side == "left" else "left"
        f = f":f{number}"
        given[f"f{number}"] = flow
        busy = (
            f"exists (select 1 from due d where d.flow = {f} and d.side = '{{side}}' and d.native = {{native}})"
            f" or exists (select 1 from work w where w.flow = {f} and w.side = '{{side}}' and w.native = {{native}} and"
            " (w.state = 'open' or (w.state = 'answered' and substr(w.code, 1, :n) = :c)))"
        )
        held += " and not (" + busy.format(side=side, native="observations.native") + ")"
        held += (
            f" and not exists (select 1 from bases b where b.flow = {f} and b.{side}_native = observations.native and ("
            + busy.format(side=far, native=f"b.{far}_native")
            + "))"
        )
    return db.run(
        "update observations set vals = '' where stream = :s and seq <= :u and vals <> ''"
        f"{held} and native not in (select v from {db.values()})",
        **given,
    )


def cut_down(db: Db, stream: int, kept: frozenset[str]) -> None:
    """Keep only these fields of what a stream's rows hold: gone records, too. It is no change: no row gets a `seq`."""
    after, size = "", 2000
    while True:
        rows = db.rows(
            "select native, vals, gone, digest from observations where stream = :s and native > :a and vals <> ''"
            " order by native limit :n",
            s=stream, a=after, n=size,
        )  # fmt: skip
        given: list[list[Json]] = []
        for native, sealed, gone, digest in rows:
            body = db.vault.unseal_json(sealed, about=native)
            if "e" not in body:
                continue
            fields = kept & {*body["k"]} if "k" in body else kept
            body |= {"e": {name: value for name, value in body["e"].items() if name in fields}, "k": sorted(fields)}
            shown = db.vault.digest(canonical({part: body[part] for part in ("e", "o", "p")}))
            given.append([native, db.vault.seal_json(body, about=native), digest if gone else shown])
        columns = {"native": "text", "vals": "text", "digest": "text"}
        db.run(  # without a raw digest it is decoded anew when it is seen next
            "insert into observations (stream, native, seq, digest, vals, raw_digest, seen_at)"
            f" select o.stream, o.native, o.seq, given.digest, given.vals, '', o.seen_at from {db.table(columns)}"
            " cross join observations o where o.stream = :s and o.native = given.native"
            " on conflict (stream, native) do update set digest = excluded.digest, vals = excluded.vals, raw_digest = ''",
            s=stream, rows=as_rows(given),
        )  # fmt: skip
        if len(rows) < size:
            return
        after = rows[-1][0]


def outdate(db: Db, stream: int) -> None:
    """What was looked up is too old by now, whatever a flow says about that: it is asked for again when it is needed."""
    db.run("update observations set seen_at = 0 where stream = :s", s=stream)


def tell_again(db: Db, stream: int, native: str) -> None:
    """Give a record the next `seq` although it has not changed: something about it is news to flows that looked already."""
    db.run("update streams set seq = seq + 1 where id = :s", s=stream)
    db.run(
        "update observations set seq = (select seq from streams where id = :s) where stream = :s and native = :n",
        s=stream,
        n=native,
    )


def changed_since(db: Db, stream: int, seq: int, *, upto: int) -> list[str]:
    """Natives whose latest change lies in (seq, upto], in order of change."""
    return [
        row[0]
        for row in db.rows(
            "select native from observations where stream = :s and seq > :a and seq <= :b order by seq",
            s=stream,
            a=seq,
            b=upto,
        )
    ]


def carriers(db: Db, stream: int, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Who carries each key, among records that are not gone: the store-wide key table, so batching cannot matter."""
    wanted = {(kind, db.vault.digest_key(kind, value)): (kind, value) for kind, value in sorted(set(keys))}
    if not wanted:
        return {}
    found: dict[tuple[str, str], list[str]] = {key: [] for key in wanted.values()}
    columns = {"kind": "text", "value": "text"}
    rows = db.rows(
        f"select k.kind, k.value, k.native from {db.table(columns)} cross join match_keys k cross join observations o"
        " where k.stream = :s and k.kind = given.kind and k.value = given.value"
        " and o.stream = :s and o.native = k.native and o.gone = 0 order by k.native",
        s=stream, rows=as_rows(wanted),
    )  # fmt: skip
    for kind, digest, native in rows:
        found[wanted[kind, digest]].append(native)
    return {key: tuple(natives) for key, natives in found.items()}


def keys_of(db: Db, stream: int, natives: Iterable[str], kinds: Iterable[str]) -> dict[str, set[tuple[str, str]]]:
    """The keys of records as they lie here: kind and keyed digest, by native."""
    rows = db.rows(
        f"select native, kind, value from match_keys where stream = :s and native in (select v from {db.values()})",
        s=stream,
        list=as_list(natives),
    )
    wanted, found = set(kinds), dict[str, set[tuple[str, str]]]()
    for native, kind, value in rows:
        if kind in wanted:
            found.setdefault(native, set()).add((kind, value))
    return found


def namesakes(db: Db, stream: int, natives: Iterable[str], kinds: Iterable[str], *, into: int) -> list[tuple[str, str]]:
    """(native, its namesake) for records with a key that a record of the stream `into` carries: one that is there, or is
    expected."""
    wanted = set(kinds)
    rows = db.rows(
        f"select mine.native, k.native, mine.kind from {db.values()} cross join match_keys mine{db.by('match_keys_native')}"
        " cross join match_keys k"
        " where mine.stream = :s and mine.native = given.v"
        " and k.stream = :t and k.kind = mine.kind and k.value = mine.value"
        " and not exists (select 1 from observations o where o.stream = :t and o.native = k.native and o.gone = 1)"
        " order by mine.native, k.native",
        s=stream, t=into, list=as_list(natives),
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows if row[2] in wanted]


def expect(db: Db, stream: int, native: str, source_stream: int, source: str) -> None:
    """A record that was made and has not been seen yet carries the keys of the one it was made from: until it is seen."""
    db.run(
        "insert into match_keys (stream, kind, value, native) select :t, kind, value, :n from match_keys"
        " where stream = :s and native = :m on conflict do nothing",
        t=stream, n=native, s=source_stream, m=source,
    )  # fmt: skip


def population(db: Db, stream: int) -> int:
    """How many records of the stream are known and not gone."""
    return db.scalar("select count(*) from observations where stream = :s and gone = 0", s=stream)


def vanished(db: Db, stream: int) -> tuple[int, int]:
    """How many records were seen once and are gone now, and how many of those belong to a subject (are linked)."""
    gone = "select count(*) from observations o where o.stream = :s and o.gone = 1 and o.vals is not null"
    linked = " and exists (select 1 from members m where m.stream = o.stream and m.native = o.native)"
    return db.scalar(gone, s=stream), db.scalar(gone + linked, s=stream)


def seen_since(db: Db, stream: int, natives: Iterable[str], at: float) -> set[str]:
    """Those of `natives` that were seen after `at`."""
    find = f"select native from observations where stream = :s and seen_at > :at and native in (select v from {db.values()})"
    return {row[0] for row in db.rows(find, s=stream, at=at, list=as_list(natives))}


def older_than(db: Db, stream: int, natives: Iterable[str], at: float) -> list[str]:
    """Those of `natives` last seen before `at`."""
    return [
        row[0]
        for row in db.rows(
            f"select native from observations where stream = :s and seen_at < :at and native in (select v from {db.values()}) order by native",
            s=stream, at=at, list=as_list(natives),
        )
    ]  # fmt: skip
