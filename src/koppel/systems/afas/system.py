"""AFAS Profit as a value, and what can be asked of a login before anything is read: its state, a debtor's own fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import msgspec

from koppel.model.can import Field
from koppel.model.kinds import Kind
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.afas import codec, fields, resources, wire
from koppel.systems.afas.auth import AUTH
from koppel.systems.afas.settings import ENVIRONMENTS, Settings, hosts
from koppel.systems.afas.wire import Row, Unreadable
from koppel.systems.spi import Exchange, Remark, Site, System

DAY = 24 * 3600.0
SOON = 60  # days; ours: from when a token's end is a problem and not only a fact
CLASSIC_ENDS = "2027-05-01"  # [MD authentication]; app connectors on classic tokens stop after 2027-08-31
WRITES = ("KnSalesRelationOrg", "KnOrganisation")

# --- the state of a login -------------------------------------------------------------------------------------------


class Status(msgspec.Struct, frozen=True):
    """What AFAS says of this login. `expires_on` is a date, None when nothing is said; `problems` are what to mend."""

    environment: str
    app: str
    group: str
    expires_on: str | None
    days_left: int | None
    get_connectors: tuple[str, ...]
    update_connectors: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]


def status(site: Site) -> Exchange[Status]:
    """Whether this login still holds, what it may use and what is missing; one call. Raises SetupError, RetryLater."""
    settings: Settings = site.settings
    try:
        told = wire.read_object((yield wire.metainfo(settings)))
    except Unreadable as error:
        raise wire.failure(error.problem, site.as_of) from None
    info = _row(told.get("info"))
    reads, writes = _ids(told.get("getConnectors")), _ids(told.get("updateConnectors"))
    wanted = [name for name in (settings.debtors, settings.organisations, settings.addresses) if name]
    have = {name.lower() for name in (*reads, *writes)}
    missing = tuple(name for name in (*wanted, *WRITES) if name.lower() not in have)
    expires_on = _expiry(info.get("tokenExpiry"))
    if settings.token and expires_on is None:
        expires_on = CLASSIC_ENDS  # when AFAS names no day, this one still holds
    left = (
        None
        if expires_on is None
        else (datetime.fromisoformat(expires_on).replace(tzinfo=UTC).timestamp() - site.as_of)
    )
    days_left = None if left is None else int(left // DAY)
    environment = codec.text(info.get("envid")) or ""
    return Status(
        environment=environment,
        app=codec.text(info.get("appName")) or "",
        group=codec.text(info.get("group")) or "",
        expires_on=expires_on,
        days_left=days_left,
        get_connectors=reads,
        update_connectors=writes,
        missing=missing,
        problems=tuple(_problems(settings, environment, missing, expires_on, days_left)),
    )


_LETTERS = {"O": "production", "T": "test", "A": "accept"}  # first letter of an environment's id [MD concepts]


def _problems(
    settings: Settings, environment: str, missing: tuple[str, ...], expires_on: str | None, days_left: int | None
) -> Iterable[Problem]:
    for name in missing:
        text = f"The app connector does not hold {name}; add it in Profit under Algemeen, Beheer, App connector."
        yield Problem("connector_missing", text, field=name)
    really = _LETTERS.get(environment[:1].upper())
    if really and not settings.base_url and really != settings.environment:
        text = f"This login is of the {really} environment, and the connection says {settings.environment}."
        yield Problem("wrong_environment", text, field="environment")
    if settings.token and days_left is not None:
        text = (
            f"The classic token ends on {expires_on} ({days_left} days). Change to OAuth: see the help of this system."
        )
        yield Problem("token_ends" if days_left <= SOON else "token_ends_later", text, field="token")


def _expiry(shown: Json) -> str | None:
    """The day a token ends. "0" is taken for "not said" [OAS example; unverified], and the form of a real one is too."""
    text = codec.text(shown)
    if text is None or not text.strip("0"):
        return None
    try:
        if text.isdigit() and len(text) in {8, 10, 13}:
            if len(text) == 8:
                return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
            return datetime.fromtimestamp(int(text[:10]), UTC).date().isoformat()
        moment = codec.wall_clock(text)
    except (ValueError, OverflowError):
        return None
    return None if moment is None else moment.date().isoformat()


def _ids(shown: Json) -> tuple[str, ...]:
    entries = cast("list[Json]", shown) if isinstance(shown, list) else []
    return tuple(str(_row(entry).get("id", "")) for entry in entries if _row(entry).get("id"))


def _row(shown: Json) -> Row:
    return cast("Row", shown) if isinstance(shown, dict) else {}


def remarks(site: Site) -> Exchange[tuple[Remark, ...]]:
    """What is worth knowing of this login: its environment, the end of its token, connectors that are missing. One call.

    Raises SetupError, RetryLater.
    """
    found = yield from status(site)
    kind = ENVIRONMENTS.get(_LETTERS.get(found.environment[:1].upper(), ""), "")
    where = (
        f"Environment {found.environment}{f' ({kind})' if kind else ''}, app connector {found.app or 'without a name'}."
    )
    said = [Remark("ok", "environment", where)]
    ends_at = None if found.expires_on is None else datetime.fromisoformat(found.expires_on).replace(tzinfo=UTC)
    for problem in found.problems:
        later = problem.code == "token_ends_later"
        ends = ends_at.timestamp() if ends_at and problem.code.startswith("token_ends") else None
        said.append(Remark("note" if later else "attention", problem.code, problem.text, ends_at=ends))
    if not found.missing:
        said.append(Remark("ok", "connectors", "The app connector holds every connector these settings name."))
    return tuple(said)


# --- a debtor's own fields ------------------------------------------------------------------------------------------

_KINDS: dict[str, Kind] = {"int": "int", "long": "int", "decimal": "decimal", "boolean": "bool", "date": "date"}


def debtor_fields(site: Site) -> Exchange[tuple[Field, ...]]:
    """The vendor's own fields of a debtor in this very environment, the tenant's free ones included; two or three calls.

    What is written comes from the UpdateConnectors' own description, what is read from the GetConnector's; canonical fields
    are listed when they were described. Our table stands in for a description that cannot be had. Raises nothing: a dead login
    ends the exchange from outside.
    """
    settings: Settings = site.settings
    described = yield from _described(site, "update", "KnSalesRelationOrg")
    shown = yield from _described(site, "get", settings.debtors)
    apart = yield from _described(site, "update", "KnOrganisation")
    found = {field.path: field for field in fields.OWN}
    if described is not None:
        inner = _below(described, "KnOrganisation")
        for path, field in found.items():
            level = inner if path.startswith(fields.ORGANISATION) else described
            if level is not None and _writable(field) and not _names_apart(field):
                found[path] = _unknown(field)
        found |= {field.path: field for field in _written(described, "")}
        found |= {field.path: field for field in _written(inner or {}, fields.ORGANISATION)}
        address = _below(inner or {}, "KnBasicAddressAdr")
        for field in fields.CANONICAL:
            level = address if field.path == "address" else inner if field.path in fields.ON_ORGANISATION else described
            names = _field_ids(level)
            if names and _writable(field):
                found[field.path] = field if names.issuperset(field.vendor) else _unknown(field, names)
    if apart is not None:
        found = {path: _unknown(field) if _names_apart(field) else field for path, field in found.items()}
        only = [f for f in _written(apart, fields.ORGANISATION) if _names_apart(f)]
        found |= {field.path: field for field in only}
    if shown is not None:
        columns = {str(_row(each).get("id", "")): _row(each) for each in shown.get("fields") or ()}
        found = {
            path: field
            for path, field in found.items()
            if _writable(fields.BY_PATH.get(path, field)) or fields.column(path) in columns
        }
        mapped = {*fields.COLUMNS.values(), *fields.OWN_COLUMNS.values(), *codec.LINES, *fields.PRIVATE}
        for name, column in columns.items():
            if name and name not in mapped and name not in found:
                found[name] = _column(name, column)
    return tuple(found.values())


def _described(site: Site, *path: str) -> Exchange[Row | None]:
    try:
        return wire.read_object((yield wire.metainfo(site.settings, *path)))
    except Unreadable:
        return None


def _below(described: Row, name: str) -> Row | None:
    """The nested object of that name in a connector's description."""
    return next((_row(each) for each in described.get("objects") or () if _row(each).get("name") == name), None)


def _field_ids(described: Row | None) -> frozenset[str]:
    shown = (described or {}).get("fields") or ()
    return frozenset(str(_row(each).get("fieldId", "")) for each in shown)


def _unknown(field: Field, names: frozenset[str] = frozenset()) -> Field:
    """A field that this environment's UpdateConnector does not have: sending it is answered with a 500."""
    lacking = ", ".join(name.removeprefix(fields.ORGANISATION) for name in field.vendor if name not in names)
    note = f"the UpdateConnector of this environment has no {lacking}; add it in Profit"
    return replace(field, writable="never", required=False, note=note)


def _writable(field: Field) -> bool:
    return field.writable != "never"


def _names_apart(field: Field) -> bool:
    return field.path.removeprefix(fields.ORGANISATION) in fields.APART


def _written(described: Row, prefix: str) -> Iterable[Field]:
    canonical = {name for field in fields.CANONICAL for name in field.vendor}
    for each in described.get("fields") or ():
        told = _row(each)
        name = str(told.get("fieldId", ""))
        path = f"{prefix}{name}"
        known = fields.own_field(path)
        if not name or name in canonical or known is None:
            continue
        values = tuple(str(_row(value).get("id", "")) for value in told.get("values") or ())
        length = told.get("length")
        listed = path in fields.BY_PATH
        yield Field(
            path=path,
            kind=known.kind if listed else _KINDS.get(str(told.get("dataType")), "code" if values else "text"),
            vendor=(path,),
            readable=known.readable if listed else False,
            writable="update" if _names_apart(known) else "always",
            required=bool(codec.flag(told.get("mandatory"))) and name != "CdDa",
            max_length=int(length) if isinstance(length, int) and length > 0 else None,
            values=values,
            own=True,
            note=str(told.get("label") or "") or known.note,
            form=known.form,
        )


def _column(name: str, told: Row) -> Field:
    kind = _KINDS.get(str(told.get("dataType")), "text")
    form = codec.bool_form if kind == "bool" else codec.text
    note = str(told.get("label") or "") or None
    return Field(path=name, kind=kind, vendor=(name,), own=True, writable="never", note=note, form=form)


# --- what one login reaches -----------------------------------------------------------------------------------------


def environments(site: Site) -> Exchange[tuple[tuple[str, str], ...]]:
    """The one environment a login reaches, as (id, title): a token belongs to exactly one. Raises SetupError, RetryLater."""
    found = yield from status(site)
    kind = ENVIRONMENTS.get(_LETTERS.get(found.environment[:1].upper(), ""), "")
    return ((found.environment, " ".join(part for part in (kind, f"({found.app})" if found.app else "") if part)),)


# --- the system ---------------------------------------------------------------------------------------------------

SYSTEM = System(
    name="afas",
    title="AFAS Profit",
    settings=Settings,
    resources=resources.RESOURCES,
    auth=AUTH,
    verdict=wire.verdict,
    metadata=debtor_fields,
    accounts=environments,
    status=remarks,
    hosts=hosts,
    sandbox="koppel.systems.afas.sandbox:make",
    fields_first=True,
)
