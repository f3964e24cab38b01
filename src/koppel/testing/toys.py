"""Two made-up systems with opposite manners, as clients: what an engine must get along with on both sides at once.

*Ledger* numbers every change (row versions), takes our operation id in a field, honours preconditions, shows what it wrote,
lists its deletions, renumbers its stream now and then, and hands out tokens that die when they are refreshed.
*Till* has only wall-clock stamps that show up late, a key, batches of five with an outcome per record, shows nothing of
what it wrote, cuts one field at 20 characters, re-spells another, and can only be probed by a natural key.

Their servers are in `toy_servers`, which share no code with this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from koppel.model.can import Can, Field
from koppel.model.company import Company
from koppel.model.kinds import Kind
from koppel.model.problem import Problem, RetryLater
from koppel.model.record import Record
from koppel.model.values import Cursor, Json
from koppel.systems.spi import (
    Absent,
    Auth,
    Batch,
    Budget,
    Call,
    CannotTell,
    Change,
    Dead,
    Decoded,
    Exchange,
    Finding,
    Found,
    Item,
    Landed,
    NoReply,
    NotLanded,
    Operation,
    Page,
    Query,
    Receipt,
    Refreshed,
    RefreshOutcome,
    Reply,
    Request,
    Resource,
    Response,
    Site,
    StillGood,
    System,
    Tokens,
    Trace,
    Unknown,
    Verdict,
)

LEDGER = "http://ledger.example"
TILL = "http://till.example"
LATEST_EFFECT = 30.0  # seconds after our time-out within which an effect may still arrive
TILL_LAG = 20.0  # a Till write may stay unseen for so long
TILL_MARGIN = 45.0
TOKEN_LIFE = 600.0

# canonical path -> the vendor's word, kind of value
FIELDS: dict[str, tuple[str, Kind]] = {
    "kvk": ("nr", "kvk"),
    "name": ("title", "name"),
    "phone": ("tel", "phone"),
    "email": ("mail", "email"),
    "trade_name": ("brand", "name"),
    "statutory_name": ("legal", "text"),
    "website": ("web", "url"),
    "legal_form": ("form", "text"),
    "address": ("place", "address"),
    "sbi": ("codes", "set"),
    "employees": ("staff", "int"),
    "do_not_mail": ("nomail", "bool"),
}
WORD = {path: word for path, (word, _) in FIELDS.items()}
PATH = {word: path for path, word in WORD.items()}
_BROKEN = "??"  # how a value looks that cannot be read


class LedgerSettings(msgspec.Struct, frozen=True):
    """A Ledger account: where its server stands, and our secret there."""

    secret: str = ""
    base: str = LEDGER


class TillSettings(msgspec.Struct, frozen=True):
    """A Till shop: where its server stands, and our key there."""

    apikey: str = ""
    base: str = TILL


# --- both ---------------------------------------------------------------------------------------------------------


def _body(reply: Reply, as_of: float) -> Json:
    """The JSON of a readable answer. Raises RetryLater for any other."""
    if isinstance(reply, NoReply) or reply.status != 200:
        raise RetryLater("no readable answer", at=as_of + 60)
    try:
        return msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        raise RetryLater("an answer whose end is missing", at=as_of + 60) from None


def _verdict(_request: Request, response: Response, as_of: float) -> Verdict:
    after = float(response.headers.get("retry-after", "5"))
    if response.status == 429:
        return Verdict("throttled", Problem("limit", "too many calls"), retry_at=as_of + after)
    if response.status >= 500:
        return Verdict("unavailable", Problem("down", "out of order"), retry_at=as_of + after)
    if response.status == 401:
        return Verdict("sign_in", Problem("token", "not signed in"))
    return Verdict("ok")


def read_company(row: Mapping[str, Json]) -> tuple[Company, tuple[Problem, ...]]:
    """A row in our words; a value that cannot be read is left out and named."""
    values: dict[str, Json] = {}
    problems: list[Problem] = []
    for word, value in row.items():
        path = PATH.get(word)
        if path is None or value in (None, "", []):
            continue
        if isinstance(value, str) and value.startswith(_BROKEN):
            problems.append(Problem("unreadable", f"{word} cannot be read", field=path, vendor_text=value))
            continue
        values[path] = value
    return msgspec.convert(values, Company, strict=False), tuple(problems)


def _decode(_site: Site, item: Item) -> Decoded:
    company, problems = read_company(item.fields)
    return Decoded(Record(company), problems)


def _lower(resource: str) -> Callable[[Site, Change], tuple[Operation, ...]]:
    def lower(_site: Site, change: Change) -> tuple[Operation, ...]:
        fields = {WORD[path]: value for path, value in change.values.items()}
        before = {WORD[path]: change.before.get(path) for path in change.values}
        keys = (("kvk", str(fields["nr"])),) if change.kind == "create" and fields.get("nr") else ()
        return (Operation(change.op, change.kind, resource, change.native, fields, before, keys, change.version),)

    return lower


def _fields(*, till: bool) -> tuple[Field, ...]:
    return tuple(
        Field(
            path=path,
            kind=kind,
            vendor=(word,),
            max_length=20 if till and path == "statutory_name" else None,
            required=path == "name",
        )
        for path, (word, kind) in FIELDS.items()
    )


def _same(one: Json, two: Json) -> bool:
    return (one or None) == (two or None)


# --- Ledger -------------------------------------------------------------------------------------------------------


def _ledger_item(row: Mapping[str, Json]) -> Item:
    return Item(str(row["id"]), {k: v for k, v in row.items() if k in PATH}, str(row["v"]), float(row["at"]))


def ledger_pages(site: Site, query: Query) -> Exchange[Page]:
    """Rows above a row version, five at a time; a stream that was renumbered is read again."""
    if query.next is not None:
        after, whole, epoch = msgspec.json.decode(query.next, type=tuple[int, bool, str])
    elif query.cursor is not None:
        after, whole, epoch = int(query.cursor.value), False, query.cursor.extra.get("epoch", "")
    else:
        after, whole, epoch = 0, True, ""
    body = _body((yield Call(Request("GET", f"{site.settings.base}/rows?after={after}"), kind="rows")), site.as_of)
    if epoch and body["epoch"] != epoch:
        return Page(restart=True)
    items = tuple(_ledger_item(row) for row in body["rows"])
    gone = tuple(("customers", str(native)) for native in body["gone"])
    high = max([after, int(body["high"])])
    if body["more"]:
        onward = msgspec.json.encode((high, whole, body["epoch"])).decode()
        return Page(items=items, gone=gone, next=onward)
    cursor = Cursor("version", str(high), extra={"epoch": body["epoch"]})
    return Page(items=items, gone=gone, cursor=cursor, complete=whole)


def ledger_find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """By id, number or our own reference."""
    word = {"native": "id", "kvk": "nr", "ref": "ref"}[kind]
    return (yield from _find(site, "rows", word, values, _ledger_item))


def _find(
    site: Site, where: str, word: str, values: tuple[str, ...], read: Callable[[Mapping[str, Json]], Item]
) -> Exchange[dict[str, Finding]]:
    url = f"{site.settings.base}/{where}?{word}={quote(','.join(values))}"
    try:
        body = _body((yield Call(Request("GET", url), kind="find")), site.as_of)
    except RetryLater as error:
        return {value: Unknown(Problem("unavailable", str(error), retry_at=error.at)) for value in values}
    found: dict[str, list[Item]] = {}
    for row in body["rows"]:
        found.setdefault(str(row[word]), []).append(read(row))
    return {value: Found(tuple(found[value])) if value in found else Absent() for value in values}


def ledger_send(site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    """One call a row; a precondition travels along."""
    receipts: list[Receipt] = []
    for op in batch.operations:
        headers = {"If-Match": op.expect} if op.expect and op.native else {}
        rows = f"{site.settings.base}/rows"
        method, url = ("PUT", f"{rows}/{op.native}") if op.native else ("POST", rows)
        body = msgspec.json.encode({"ref": op.op, "fields": op.fields, "archive": op.kind == "archive"})
        reply = yield Call(Request(method, url, headers, body), carries=(op.op,), kind="write")
        receipts.append(_ledger_receipt(op, reply))
    return tuple(receipts)


def _ledger_receipt(op: Operation, reply: Reply) -> Receipt:
    if isinstance(reply, NoReply) or reply.status >= 500:
        return Receipt(op.op, "unknown", op.native)
    if reply.status in {404, 412}:
        return Receipt(op.op, "stale", op.native)
    try:
        body = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return Receipt(op.op, "unknown", op.native)
    if reply.status != 200:
        return Receipt(
            op.op, "refused", op.native, problem=Problem("refused", "Ledger refuses it", vendor_text=str(body))
        )
    return Receipt(op.op, "done", str(body["id"]), _ledger_item(body))


def ledger_probe(site: Site, operations: tuple[Operation, ...]) -> Exchange[dict[str, Trace]]:
    """Creates by the reference we left, updates by id."""
    traces: dict[str, Trace] = {}
    for kind in ("ref", "native"):
        mine = [op for op in operations if (op.native is None) == (kind == "ref")]
        if not mine:
            continue
        keys = tuple(op.op if kind == "ref" else str(op.native) for op in mine)
        found = yield from ledger_find(site, kind, keys)
        for op, key in zip(mine, keys, strict=True):
            traces[op.op] = _trace(op, found[key], site.as_of)
    return traces


def _trace(op: Operation, finding: Finding, as_of: float) -> Trace:
    if isinstance(finding, Unknown):
        raise RetryLater("the probe was not answered", at=finding.problem.retry_at or as_of + 60)
    if isinstance(finding, Absent):
        return NotLanded()
    if op.native is None and len(finding.items) > 1:
        alike = [i for i in finding.items if all(_same(i.fields.get(w), v) for w, v in op.fields.items())]
        if len(alike) != 1:
            return CannotTell(Problem("cannot_tell", "several records carry this number and none is surely ours"))
        return Landed(alike[0].native, alike[0])
    item = next(iter(finding.items))
    return Landed(item.native, item)


def _ledger_due(tokens: Tokens, as_of: float) -> Any:
    return "fresh" if as_of - tokens.obtained_at < TOKEN_LIFE - 30 else "refresh"


def _ledger_refresh(settings: LedgerSettings, tokens: Tokens, as_of: float) -> Exchange[RefreshOutcome]:
    if as_of - tokens.obtained_at < TOKEN_LIFE - 30:
        return StillGood()
    return (yield from _token(settings, {"refresh": tokens.refresh}, as_of))


def _ledger_redeem(settings: LedgerSettings, code: str, as_of: float) -> Exchange[RefreshOutcome]:
    return (yield from _token(settings, {"code": code}, as_of))


def _token(settings: LedgerSettings, form: dict[str, str], as_of: float) -> Exchange[RefreshOutcome]:
    body = msgspec.json.encode({**form, "secret": settings.secret})
    reply = yield Call(Request("POST", f"{settings.base}/token", body=body), carries=("token",), kind="token")
    if isinstance(reply, Response) and reply.status in {400, 401}:
        return Dead("this token was used before")
    grant = _body(reply, as_of)
    return Refreshed(Tokens(grant["access"], grant["refresh"], as_of, as_of + TOKEN_LIFE))


def _bearer(_settings: Any, tokens: Tokens, request: Request) -> Request:
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": f"Bearer {tokens.access}"})


LEDGER_SYSTEM = System(
    name="ledger",
    title="Ledger",
    settings=LedgerSettings,
    resources=(
        Resource(
            name="customers",
            entity="company",
            can=Can(
                since=True,
                find=("native", "kvk"),
                create=True,
                update=True,
                archive=True,
                page=5,
                find_batch=20,
                parallel=3,
                never_skips="row_version",
                settles_after=LATEST_EFFECT,
                probe="operation_id",
                operation_id_field="ref",
                conditional=True,
                returns_record=True,
                fields=_fields(till=False),
            ),
            pages=ledger_pages,
            find=ledger_find,
            decode=_decode,
            lower=_lower("customers"),
            send=ledger_send,
            probe=ledger_probe,
        ),
    ),
    auth=Auth(
        kind="oauth_code",
        authorize=_bearer,
        due=_ledger_due,
        refresh=_ledger_refresh,
        redeem=_ledger_redeem,
        login=lambda settings: f"ledger at {settings.base}",
    ),
    verdict=_verdict,
)


# --- Till ---------------------------------------------------------------------------------------------------------


def _till_item(row: Mapping[str, Json]) -> Item:
    return Item(str(row["id"]), {k: v for k, v in row.items() if k in PATH}, "", float(row["stamp"]))


def till_pages(site: Site, query: Query) -> Exchange[Page]:
    """What was stamped since the last reading, and a margin before it: stamps show up late."""
    if query.next is not None:
        since, after, whole, began = msgspec.json.decode(query.next, type=tuple[float, str, bool, float])
    else:
        since = float(query.cursor.value) if query.cursor else 0.0
        after, whole, began = "", query.cursor is None, site.as_of
    url = f"{site.settings.base}/rows?since={since!r}&after={quote(after)}"
    body = _body((yield Call(Request("GET", url), kind="rows")), site.as_of)
    items = tuple(_till_item(row) for row in body["rows"])
    if body["next"] is not None:
        at, key = body["next"]
        return Page(items=items, next=msgspec.json.encode((at, key, whole, began)).decode())
    return Page(items=items, cursor=Cursor("stamp", repr(began - TILL_MARGIN)), complete=whole)


def till_graves(site: Site, query: Query) -> Exchange[Page]:
    """What was deleted since the last reading."""
    since = float(query.cursor.value) if query.cursor else 0.0
    body = _body(
        (yield Call(Request("GET", f"{site.settings.base}/graves?since={since!r}"), kind="graves")), site.as_of
    )
    gone = tuple(("shops", str(native)) for native in body["gone"])
    return Page(gone=gone, cursor=Cursor("stamp", repr(site.as_of - TILL_MARGIN)), complete=query.cursor is None)


def till_find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """By id or number."""
    word = {"native": "id", "kvk": "nr"}[kind]
    return (yield from _find(site, "find", word, values, _till_item))


def _till_group(operations: tuple[Operation, ...]) -> tuple[Batch, ...]:
    return tuple(Batch(operations[i : i + 5]) for i in range(0, len(operations), 5))


def till_send(site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    """Five rows in one call, an outcome for each; the order of the outcomes is Till's own."""
    lines = [
        {"n": op.op, "id": op.native, "fields": op.fields, "archive": op.kind == "archive"} for op in batch.operations
    ]
    ops = tuple(op.op for op in batch.operations)
    reply = yield Call(
        Request("POST", f"{site.settings.base}/batch", body=msgspec.json.encode(lines)), carries=ops, kind="write"
    )
    if isinstance(reply, NoReply) or reply.status >= 500:
        return tuple(Receipt(op, "unknown") for op in ops)
    try:
        outcomes = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return tuple(Receipt(op, "unknown") for op in ops)
    return tuple(_till_receipt(outcome) for outcome in outcomes)


def _till_receipt(outcome: Mapping[str, Json]) -> Receipt:
    if outcome.get("error") == "gone":
        return Receipt(outcome["n"], "stale", outcome.get("id"))
    if outcome.get("error"):
        return Receipt(
            outcome["n"], "refused", problem=Problem("refused", "Till refuses it", vendor_text=outcome["error"])
        )
    return Receipt(outcome["n"], "done", str(outcome["id"]))


def till_probe(site: Site, operations: tuple[Operation, ...]) -> Exchange[dict[str, Trace]]:
    """Creates by number, updates by id; a create without a number cannot be looked for."""
    traces: dict[str, Trace] = {
        op.op: CannotTell(Problem("no_key", "it was sent without a number, so it cannot be looked up"))
        for op in operations
        if op.native is None and not op.keys
    }
    asked: dict[str, list[tuple[Operation, str]]] = {}
    for op in operations:
        if op.native is not None:
            asked.setdefault("native", []).append((op, op.native))
        elif op.keys:
            asked.setdefault("kvk", []).append((op, op.keys[0][1]))
    for kind, pairs in asked.items():
        found = yield from till_find(site, kind, tuple(value for _, value in pairs))
        for op, value in pairs:
            traces[op.op] = _trace(op, found[value], site.as_of)
    return traces


def _till_key(_settings: Any, tokens: Tokens, request: Request) -> Request:
    return msgspec.structs.replace(request, headers={**request.headers, "Key": tokens.access})


TILL_BUDGET = 5

TILL_SYSTEM = System(
    name="till",
    title="Till",
    settings=TillSettings,
    resources=(
        Resource(
            name="shops",
            entity="company",
            can=Can(
                since=True,
                tombstones=True,
                find=("native", "kvk"),
                create=True,
                update=True,
                archive=True,
                page=8,
                batch=5,
                find_batch=20,
                parallel=2,
                never_skips="clock_with_margin",
                settles_after=LATEST_EFFECT + TILL_LAG,
                probe="natural_key",
                fields=_fields(till=True),
            ),
            pages=till_pages,
            find=till_find,
            decode=_decode,
            lower=_lower("shops"),
            group=_till_group,
            send=till_send,
            probe=till_probe,
            tombstones="graves",
        ),
        Resource(name="graves", entity="", can=Can(since=True, find=(), probe="none"), pages=till_graves),
    ),
    auth=Auth(
        kind="key",
        authorize=_till_key,
        due=lambda _tokens, _as_of: "fresh",
        tokens_from=lambda settings: Tokens(settings.apikey),
        login=lambda settings: f"till at {settings.base}",
    ),
    verdict=_verdict,
    budgets=(
        Budget(name="minute", limit=TILL_BUDGET, window="minute", key=lambda request: urlsplit(request.url).netloc),
    ),
)


def words(paths: Iterable[str]) -> tuple[str, ...]:
    """The vendor's words of canonical paths."""
    return tuple(WORD[path] for path in paths)
