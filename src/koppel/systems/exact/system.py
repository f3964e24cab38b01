"""Exact Online as a value, and what can be asked of a login before anything is read: its divisions, an account's fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from xml.etree import ElementTree as ET

from koppel.model.can import Field
from koppel.model.problem import Problem, RetryLater, SetupError
from koppel.systems.exact import fields, odata, resources, wire
from koppel.systems.exact.auth import AUTH
from koppel.systems.exact.settings import Settings, division, hosts
from koppel.systems.exact.wire import Row, Unreadable
from koppel.systems.spi import Call, Exchange, NoReply, Remark, Reply, Request, Response, Site, System

TRY_AGAIN = 60.0  # seconds; ours

# --- divisions ----------------------------------------------------------------------------------------------------


def divisions(site: Site) -> Exchange[tuple[tuple[str, str], ...]]:
    """The divisions this login reaches, as (number, title). Raises SetupError, RetryLater.

    Listing needs a division in the URL, which is said not to be checked [picqer #470]: the user's current one serves.
    Which of the two lists answers depends on the licence [chef], so both are tried.
    """
    settings: Settings = site.settings
    current = str(settings.division) if settings.division is not None else (yield from _current_division(site))
    for path in ("hrm/Divisions", "system/Divisions"):
        query = odata.options(select=("Code", "Description", "CustomerName"))
        rows = yield from _rows_or_none(settings, wire.url(settings, current, path, query=query), path)
        if rows:
            return tuple((str(row["Code"]), _title(row)) for row in rows if "Code" in row)
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
    # A document type could declare entities that blow up while being read; the vendor's document has none.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - no document type, so no entities, as checked above
    except ET.ParseError:
        return None
    for entity in _named(root.iter(), "EntityType"):
        properties = {p.get("Name", ""): _length(p) for p in _named(entity, "Property")}
        # By what it holds, not by its name: the singular class name is known from one recording only. [dotnet fixtures]
        if {"ID", "Name", "ChamberOfCommerce"} <= properties.keys():
            links = {p.get("Name", ""): None for p in _named(entity, "NavigationProperty")}
            return {**links, **properties}
    return None


def _named(elements: Iterable[ET.Element], name: str) -> Iterable[ET.Element]:
    """The elements of that name, whichever edition of the schema they belong to."""
    return (element for element in elements if element.tag.rpartition("}")[2] == name)


def _length(element: ET.Element) -> int | None:
    stated = element.get("MaxLength", "")
    return int(stated) if stated.isdigit() else None


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
    sandbox="koppel.systems.exact.sandbox:make",
)
