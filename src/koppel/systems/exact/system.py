"""Exact Online as a value, and what can be asked of a login before anything is read: its divisions, an account's fields."""

from __future__ import annotations

from dataclasses import replace

from koppel.model.can import Field
from koppel.model.problem import Problem, RetryLater, SetupError
from koppel.systems.exact import edmx, fields, generic, odata, resources, wire, writing_anything
from koppel.systems.exact.auth import AUTH
from koppel.systems.exact.settings import Settings, division, hosts
from koppel.systems.exact.wire import Row, Unreadable
from koppel.systems.spi import Anything, Call, Exchange, NoReply, Remark, Reply, Request, Response, Site, System

TRY_AGAIN = 60.0  # seconds; ours

# --- divisions ----------------------------------------------------------------------------------------------------


def divisions(site: Site) -> Exchange[tuple[tuple[str, str], ...]]:
    """The divisions this login reaches, as (number, title). Raises SetupError, RetryLater.

    Listing needs a division in the URL, which is said not to be checked [picqer #470]: the user's current one serves.
    Which of the two lists answers depends on the licence [chef], and the first one holds an accountant's own licence only
    [KB-faq; Pi]: both are asked, and what either shows is reached.
    """
    settings: Settings = site.settings
    current = str(settings.division) if settings.division is not None else (yield from _current_division(site))
    reached: dict[str, str] = {}
    for path in ("hrm/Divisions", "system/Divisions"):
        query = odata.options(select=("Code", "Description", "CustomerName"))
        rows = yield from _rows_or_none(settings, wire.url(settings, current, path, query=query), path)
        for row in rows or ():
            if "Code" in row:
                reached.setdefault(str(row["Code"]), _title(row))
    if reached:
        return tuple(reached.items())
    raise SetupError(
        "Exact Online lists no divisions for this login.",
        remedy="The user who signed in needs a role that may see companies; or type the division's number yourself.",
    )


def _current_division(site: Site) -> Exchange[str]:
    address = wire.url(site.settings, "current/Me", query=odata.options(select=("CurrentDivision",)))
    reply = yield wire.get(address, "current/Me")
    try:
        found = wire.read_entity(_response(reply)).get("CurrentDivision")
    except Unreadable as error:
        raise RetryLater(str(error.problem), at=site.as_of + TRY_AGAIN) from None
    if not isinstance(found, int):
        raise SetupError("Exact Online names no current division for this user.", remedy="Open one in Exact once.")
    return str(found)


def _rows_or_none(settings: Settings, address: str, path: str) -> Exchange[tuple[Row, ...] | None]:
    """Every row, or None when this list is refused or cannot be read."""
    rows: list[Row] = []
    onward: str | None = address
    while onward is not None:
        reply = yield wire.get(onward, path)
        try:
            page = wire.read_rows(_response(reply))
            onward = wire.own_link(settings, page.next) if page.next else None
        except Unreadable:
            return None
        rows.extend(page.rows)
    return tuple(rows)


def _title(row: Row) -> str:
    description, customer = str(row.get("Description") or "").strip(), str(row.get("CustomerName") or "").strip()
    if not description or customer in {"", description}:
        return description or customer or str(row["Code"])
    return f"{description} ({customer})"


def _response(reply: Reply) -> Response:
    if isinstance(reply, NoReply):
        raise Unreadable(Problem("no_reply", "Exact Online did not answer."))
    return reply


# --- what is worth knowing ------------------------------------------------------------------------------------------


def remarks(site: Site) -> Exchange[tuple[Remark, ...]]:
    """Whether the division was granted, and what else this sign-in reaches. Raises SetupError, RetryLater."""
    settings: Settings = site.settings
    reached = dict((yield from divisions(site)))
    chosen = "" if settings.division is None else str(settings.division)
    if not chosen:
        text = f"No division is chosen; this sign-in reaches {', '.join(reached)}."
        return (Remark("attention", "no_division", text, f"koppel connect {site.connection} --set division=…"),)
    if chosen not in reached:
        text = f"Division {chosen} is not among those this sign-in reaches: {', '.join(reached)}."
        return (Remark("attention", "division_not_granted", text, "Sign in again and tick it, or choose another."),)
    return (Remark("ok", "division", f"Division {chosen} ({reached[chosen]}) answers."),)


# --- an account's fields ------------------------------------------------------------------------------------------


def account_fields(site: Site) -> Exchange[tuple[Field, ...]]:
    """The vendor's own account fields this division really has; our whole table when its description cannot be read.

    What may be written stays our table's word: the description does not tell.
    """
    settings: Settings = site.settings
    address = wire.url(settings, division(settings), "crm/$metadata")
    # No Accept header: JSON does not exist for it and `application/xml` is refused. [chef OData notes; craft]
    reply = yield Call(Request("GET", address), kind="crm/$metadata")
    if isinstance(reply, NoReply) or reply.status != 200:
        return fields.OWN
    described = read_metadata(reply.body)
    if described is None:
        return fields.OWN
    return tuple(_described(field, described[field.path]) for field in fields.OWN if field.path in described)


def _described(field: Field, max_length: int | None) -> Field:
    return field if max_length is None else replace(field, max_length=max_length)


def read_metadata(body: bytes) -> dict[str, int | None] | None:
    """Property names of an account with their stated lengths, out of an EDMX document; None when it cannot be read."""
    service = edmx.read(body)
    for entity in service.entities.values() if service is not None else ():
        # By what it holds, not by its name: the singular class name is known from one recording only. [dotnet fixtures]
        if {"ID", "Name", "ChamberOfCommerce"} <= entity.types.keys():
            return {**dict.fromkeys(entity.collections), **{name: entity.lengths.get(name) for name in entity.types}}
    return None


# --- the system ---------------------------------------------------------------------------------------------------


SYSTEM = System(
    name="exact",
    title="Exact Online",
    settings=Settings,
    resources=resources.RESOURCES,
    auth=AUTH,
    verdict=wire.verdict,
    budgets=wire.BUDGETS,
    readings=wire.readings,
    metadata=account_fields,
    accounts=divisions,
    status=remarks,
    hosts=hosts,
    anything=Anything(
        kinds=generic.kinds,
        describe=generic.describe,
        read=generic.read,
        prepare=writing_anything.prepare,
        write=writing_anything.write,
        read_back=writing_anything.read_back,
        look=writing_anything.look,
    ),
    sandbox="koppel.systems.exact.sandbox:make",
)
