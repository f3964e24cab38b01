"""What Boekje offers: its relations, read on from a version number and found in bulk. And the system as a value."""

from __future__ import annotations

from koppel.model.can import Can
from koppel.model.problem import RetryLater, SetupError
from koppel.model.values import Cursor
from koppel.systems.spi import (
    Absent,
    Batch,
    Exchange,
    Finding,
    Found,
    Item,
    Operation,
    Page,
    Query,
    Receipt,
    Resource,
    Site,
    System,
    Trace,
    Unknown,
)

from koppel_boekje import codec, wire, writing
from koppel_boekje.auth import AUTH
from koppel_boekje.settings import Settings, hosts
from koppel_boekje.wire import Unreadable

PAGE = 100
TRY_AGAIN = 60.0  # seconds
ASKED_BY = {"native": "nummer", "kvk": "kvk", "vat": "btw", "operation": "kenmerk"}
SHOWN_AS = {"kvk": "kvk", "vat": "btw", "operation": "kenmerk"}


def pages(site: Site, query: Query) -> Exchange[Page]:
    """One page of what changed after a version number, deleted relations included. Raises SetupError, RetryLater.

    The list is ordered by version, so every page's last version is a place to go on from.
    """
    after = query.next or (query.cursor.value if query.cursor else "0")
    # Whether this listing began at the start: then what it did not show does not exist.
    whole = query.cursor is None
    reply = yield wire.get(site.settings, "/relaties", na_versie=after, aantal=min(query.size or PAGE, PAGE))
    try:
        body, rows = wire.listed(reply, "relaties")
        last = str(body["laatste_versie"])
    except (Unreadable, KeyError) as error:
        status = error.problem.status if isinstance(error, Unreadable) else 200
        if status and 400 <= status < 500:
            raise SetupError(f"Boekje: {error}", remedy="Check the address and the token's rights.") from None
        raise RetryLater(f"Boekje: {error}", at=site.as_of + TRY_AGAIN) from None
    more = bool(body.get("verder"))
    return Page(
        items=tuple(codec.item(row) for row in rows if not row.get("vervallen")),
        gone=tuple(("relaties", str(row["nummer"])) for row in rows if row.get("vervallen")),
        next=last if more else None,
        # Stored with its own page: what was read stays read when a run is cut off.
        cursor=Cursor("versie", last) if not (whole and more) else None,
        complete=whole and not more,
    )


def find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Relations by number, KVK or VAT number, or by the operation id we left; many in one call."""
    reply = yield wire.get(site.settings, "/relaties/zoek", **{ASKED_BY[kind]: ",".join(values)})
    try:
        _, rows = wire.listed(reply, "relaties")
    except Unreadable as error:
        problem = error.problem
        return dict.fromkeys(
            values, Unknown(type(problem)(problem.code, problem.text, retry_at=site.as_of + TRY_AGAIN))
        )
    items = [codec.item(row) for row in rows]
    found = {value: tuple(item for item in items if _key(kind, item) == value) for value in values}
    return {value: Found(each) if each else Absent() for value, each in found.items()}


def _key(kind: str, item: Item) -> str:
    return item.native if kind == "native" else str(item.fields.get(SHOWN_AS[kind]) or "")


def send(site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    """See `writing`."""
    return (yield from writing.send(site, batch))


def probe(site: Site, operations: tuple[Operation, ...]) -> Exchange[dict[str, Trace]]:
    """See `writing`."""
    return (yield from writing.probe(site, operations, find))


CAN = Can(
    since=True,
    tombstones=True,
    find=("native", "kvk", "vat"),
    create=True,
    update=True,
    page=PAGE,
    batch=writing.BATCH,
    find_batch=50,
    never_skips="row_version",
    probe="operation_id",
    operation_id_field="kenmerk",
    conditional=True,
    fields=codec.FIELDS,
)

SYSTEM = System(
    name="boekje",
    title="Boekje",
    settings=Settings,
    resources=(
        Resource(
            name="relaties",
            entity="company",
            can=CAN,
            pages=pages,
            find=find,
            decode=codec.decode,
            lower=writing.lower,
            group=writing.group,
            send=send,
            probe=probe,
        ),
    ),
    auth=AUTH,
    verdict=wire.verdict,
    budgets=wire.BUDGETS,
    readings=wire.readings,
    hosts=hosts,
    sandbox="koppel_boekje.sandbox:make",
)
