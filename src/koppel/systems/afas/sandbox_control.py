"""What a person, the vendor or a test does beside the API: the actions of `control`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from koppel.model.values import Json
from koppel.systems.afas import sandbox_seed as seed
from koppel.systems.afas.sandbox_body import convert
from koppel.systems.afas.sandbox_books import ADDRESS_FIELDS, Books, Row, placed, today
from koppel.systems.afas.sandbox_errors import Refused
from koppel.systems.afas.sandbox_fields import ORGANISATION, UPDATES, Field
from koppel.systems.afas.sandbox_read import stamp_text
from koppel.systems.afas.sandbox_signin import CLASSIC_END, USER
from koppel.systems.afas.sandbox_state import Environment, State
from koppel.systems.afas.sandbox_write import plain, touch_relations

_NO_ADDRESS: Row = {}


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class _Where(msgspec.Struct, forbid_unknown_fields=True):
    """An environment."""

    environment: str = "production"


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    """One contact of an environment, by debtor, organisation or KVK number (of several the first), and what to do with it.

    `set` holds UpdateConnector field names of the debtor, the organisation or its address; `KnBasicAddressPad.Ad` names
    the postal one. Without `stamp` no stamp moves. `organisation_only` adds no debtor.
    """

    environment: str = "production"
    debtor: str | int | None = None
    organisation: str | int | None = None
    kvk: str | None = None
    set: dict[str, Json] = {}
    stamp: bool = True
    organisation_only: bool = False


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    """Which environment; `expires` is epoch seconds or None for a token without an end."""

    environment: str = "production"
    expires: float | None = CLASSIC_END


class _Revoke(msgspec.Struct, forbid_unknown_fields=True):
    """Which environment; one token by its XML, or all of them."""

    environment: str = "production"
    token: str | None = None


class _Fill(msgspec.Struct, forbid_unknown_fields=True):
    """How many plain debtors to add."""

    debtors: int
    environment: str = "production"


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """The switches (see `Switches`); what is left out stays as it is.

    `accepts`, `secret_expired` and `public_key` are those of every environment's sign-in (see `SignIn`).
    """

    authorisation_filter: bool | None = None
    refuse: dict[str, str] | None = None
    hide_connector: frozenset[str] | None = None
    block_connector: frozenset[str] | None = None
    drop_field: dict[str, frozenset[str]] | None = None
    lose: frozenset[str] | None = None
    unstable_order: bool | None = None
    maintenance: bool | None = None
    ip_restricted: bool | None = None
    timeout: bool | None = None
    in_flight: int | None = None
    largest: int | None = None
    joined_stamps: bool | None = None
    needs_charset: bool | None = None
    empty_post: bool | None = None
    put_results: bool | None = None
    language: Literal["nl", "en"] | None = None
    accepts: Literal["classic", "hybrid", "oauth"] | None = None
    secret_expired: bool | None = None
    public_key: str | None = None


_SIGN_IN = ("accepts", "secret_expired", "public_key")


def control(state: State, action: str, body: dict[str, Json]) -> dict[str, Json]:
    """Do one action. Raises ValueError for an unknown action or a bad body."""
    if action not in _ACTIONS:
        raise ValueError(f"the afas sandbox has no action {action!r}; it has {', '.join(sorted(_ACTIONS))}")
    shape, act = _ACTIONS[action]
    return act(state, msgspec.convert(body, shape))  # its error is a ValueError


# --- people at their desks ----------------------------------------------------------------------------------------


def _edit(state: State, wanted: _Named) -> dict[str, Json]:
    environment = _environment(state, wanted.environment)
    bcco, debtor = _chosen(environment.books, wanted)
    _fill_in(state, environment, bcco, debtor, wanted)
    return _debtor(environment.books, debtor) if debtor else _organisation(environment.books, bcco)


def _add(state: State, wanted: _Named) -> dict[str, Json]:
    environment, books = _environment(state, wanted.environment), _environment(state, wanted.environment).books
    if not wanted.set.get("Nm"):
        raise ValueError("set must hold a name (Nm)")
    bcco, debtor = books.number("organisation"), "" if wanted.organisation_only else books.number("debtor")
    before = books.begin()
    stamp = books.stamp(state.now())
    row: Row = {"BcCo": bcco, "PadAdr": True, "made": stamp, "changed": stamp}
    books.put("organisation", bcco, books.in_force(row, today(state.now())))
    if debtor:
        books.put(
            "debtor",
            debtor,
            {"DbId": debtor, "BcCo": bcco, "IsDb": True, "CuId": "EUR", "made": stamp, "changed": stamp},
        )
    try:
        _fill_in(state, environment, bcco, debtor or None, wanted)
    except ValueError:
        books.undo(before)
        raise
    books.keep()
    return _debtor(books, debtor) if debtor else _organisation(books, bcco)


def _fill_in(state: State, environment: Environment, bcco: str, debtor: str | None, wanted: _Named) -> None:
    """Set fields as the screens would: stamps move unless told otherwise."""
    books, now = environment.books, state.now()
    values = _typed(books, wanted.set)
    if values["KnSalesRelationOrg"] and debtor is None:
        raise ValueError("this organisation is no debtor")
    stamp = books.stamp(now)
    row = dict(books.organisations[bcco])
    for name, side in (("KnBasicAddressAdr", "Adr"), ("KnBasicAddressPad", "Pad")):
        if values[name]:
            current = books.addresses.get(row.get(side.lower()) or 0, _NO_ADDRESS)
            old_stamp = current.get("changed", stamp)
            id_ = books.address(
                {"CoId": "NL", "PbAd": False, **current, **values[name]}, stamp if wanted.stamp else old_stamp
            )
            row[side] = placed(row.get(side, ()), today(now), id_)
            row["PadAdr"] = row.get("PadAdr", True) and side != "Pad"
    row = _without_empty(row | values["KnOrganisation"])
    if wanted.stamp:
        row["changed"] = stamp
    books.put("organisation", bcco, books.in_force(row, today(now)))
    if debtor is not None:
        books.put("debtor", debtor, _without_empty(books.debtors[debtor] | values["KnSalesRelationOrg"]))
    own = values["KnOrganisation"] or values["KnSalesRelationOrg"]
    if wanted.stamp and (own or state.switches.joined_stamps):
        touch_relations(environment, bcco, stamp)


def _typed(books: Books, given: dict[str, Json]) -> dict[str, Row]:
    """The values per element; a name two elements have is the organisation's, then the address's, then the debtor's."""
    parts = ORGANISATION.objects
    fields: dict[str, dict[str, Field]] = {
        "KnOrganisation": {**ORGANISATION.fields, **{own.name: own for own in books.free.get("KnOrganisation", ())}},
        "KnBasicAddressAdr": {name: parts["KnBasicAddressAdr"].fields[name] for name in ADDRESS_FIELDS},
        "KnSalesRelationOrg": {
            **UPDATES["KnSalesRelationOrg"].fields,
            **{own.name: own for own in books.free.get("KnSalesRelationOrg", ())},
        },
        "KnBasicAddressPad": {name: parts["KnBasicAddressPad"].fields[name] for name in ADDRESS_FIELDS},
    }
    values: dict[str, Row] = {name: {} for name in fields}
    for full, value in given.items():
        entity, _, name = full.rpartition(".")
        found = entity if entity in fields else next((one for one in fields if name in fields[one]), None)
        if (
            found is None
            or name not in fields[found]
            or name in {"BcCo", "BcId", "DbId", "MatchOga", "AutoNum", "PadAdr"}
        ):
            raise ValueError(f"there is no field {full!r} that can be set")
        try:
            values[found][name] = convert(fields[found][name], value)
        except Refused as refused:
            raise ValueError(refused.body("en", "")["externalMessage"]) from None
    return values


def _delete(state: State, wanted: _Named) -> dict[str, Json]:
    """A person removes a contact; no connector tells, only the log here does. [HELP App_Cnnct_Deleted_Data]"""
    books = _environment(state, wanted.environment).books
    bcco, _ = _chosen(books, wanted)
    gone: dict[str, Json] = {"BcCo": bcco, "DbId": books.tables["debtor"].found("BcCo", bcco)}
    for kind in ("debtor", "creditor"):
        for key in books.tables[kind].found("BcCo", bcco):
            books.put(kind, key, None)
    books.put("organisation", bcco, None)
    books.pending.pop(bcco, None)
    books.removed.append(gone)
    return gone


def _fill(state: State, wanted: _Fill) -> dict[str, Json]:
    if not 0 <= wanted.debtors <= 500_000:
        raise ValueError("debtors must lie between 0 and 500000")
    books = _environment(state, wanted.environment).books
    seed.fill(books, wanted.debtors, state.now())
    return {"debtors": len(books.debtors)}


def _refresh_copy(state: State, wanted: _Where) -> dict[str, Json]:
    """The environment becomes a copy of production as it is now, free fields included; its tokens stay (unverified)."""
    if wanted.environment == "production":
        raise ValueError("production is what is copied")
    environment = _environment(state, wanted.environment)
    environment.books = state.environments["production"].books.copy()
    environment.lists.clear()
    return {"debtors": len(environment.books.debtors), "organisations": len(environment.books.organisations)}


# --- looking ------------------------------------------------------------------------------------------------------


def _debtors(state: State, wanted: _Named) -> dict[str, Json]:
    books = _environment(state, wanted.environment).books
    keys = [key for bcco in _bccos(books, wanted) for key in books.tables["debtor"].found("BcCo", bcco)]
    return {"debtors": [_debtor(books, key) for key in sorted(keys)]}


def _organisations(state: State, wanted: _Named) -> dict[str, Json]:
    books = _environment(state, wanted.environment).books
    return {"organisations": [_organisation(books, bcco) for bcco in sorted(_bccos(books, wanted))]}


def _bccos(books: Books, wanted: _Named) -> list[str]:
    if wanted.kvk is None and wanted.debtor is None and wanted.organisation is None:
        return [bcco for bcco, row in books.organisations.items() if row.get("Type", "ORG") == "ORG"]
    return _named(books, wanted)


def _organisation(books: Books, bcco: str) -> dict[str, Json]:
    """The organisation's fields with its addresses below it, dates as text of the Dutch wall clock."""
    row = books.organisations[bcco]
    shown = plain(row) | {"changed": stamp_text(row["changed"])}
    for side in ("adr", "pad"):
        if row.get(side) is not None:
            shown[side.title()] = plain(books.addresses[row[side]])
    return shown


def _debtor(books: Books, key: str) -> dict[str, Json]:
    row = books.debtors[key]
    own = plain(row) | {"changed": stamp_text(row["changed"])}
    return {**_organisation(books, row["BcCo"]), **own}


def _writes(state: State, _: _Nothing) -> dict[str, Json]:
    by_method = Counter(str(write["method"]) for write in state.writes)
    by_environment = Counter(str(write["environment"]) for write in state.writes)
    return {
        "count": len(state.writes),
        "by_method": dict(sorted(by_method.items())),
        "by_environment": dict(sorted(by_environment.items())),
        "refused": state.refused,
        "writes": list(state.writes),
    }


def _duplicates(state: State, _: _Nothing) -> dict[str, Json]:
    """Numbers the API created more than once; `existing`: created though the environment already had them."""
    by_number: dict[tuple[str, str, str], list[str]] = {}
    for made in state.created:
        by_number.setdefault((made.environment, made.kind, made.kvk), []).append(made.id)
    found: list[Json] = [
        {"environment": environment, "kind": kind, "kvk": kvk, "count": len(ids), "ids": ids}
        for (environment, kind, kvk), ids in sorted(by_number.items())
        if len(ids) > 1
    ]
    existing: list[Json] = [
        {"environment": made.environment, "kind": made.kind, "kvk": made.kvk, "id": made.id}
        for made in state.created
        if made.existed
    ]
    return {"count": len(found), "duplicates": found, "existing": existing}


# --- the vendor ---------------------------------------------------------------------------------------------------


def _token(state: State, wanted: _Token) -> dict[str, Json]:
    token = _environment(state, wanted.environment).sign_in.new_token(wanted.expires)
    return {"token": token.xml, "expires": token.expires}


def _revoke(state: State, wanted: _Revoke) -> dict[str, Json]:
    data = None
    if wanted.token is not None:
        data = wanted.token.partition("<data>")[2].partition("</data>")[0] or wanted.token
    count = _environment(state, wanted.environment).sign_in.revoke(data)
    if wanted.token is not None and not count:
        raise ValueError("there is no such token, or it was revoked before")
    return {"revoked": count}


def _otp(state: State, wanted: _Where) -> dict[str, Json]:
    """The codes that were e-mailed and still hold, with the keys they belong to."""
    sign_in = _environment(state, wanted.environment).sign_in
    keys: dict[str, Json] = {"apiKey": sign_in.api_key, "apiToken": sign_in.environment_key, "userId": USER}
    return {**keys, "codes": [code for code, until in sign_in.codes.items() if until > state.now()]}


def _settings(state: State, wanted: _Settings) -> dict[str, Json]:
    for name in wanted.__struct_fields__:
        value: Any = getattr(wanted, name)
        if value is None:
            continue
        for target in [one.sign_in for one in state.environments.values()] if name in _SIGN_IN else [state.switches]:
            setattr(target, name, value)
    return {}


_ACTIONS: dict[str, tuple[type[msgspec.Struct], Callable[..., dict[str, Json]]]] = {
    "edit": (_Named, _edit),
    "add": (_Named, _add),
    "delete": (_Named, _delete),
    "debtors": (_Named, _debtors),
    "organisations": (_Named, _organisations),
    "writes": (_Nothing, _writes),
    "duplicates": (_Nothing, _duplicates),
    "token": (_Token, _token),
    "revoke": (_Revoke, _revoke),
    "otp": (_Where, _otp),
    "settings": (_Settings, _settings),
    "refresh_copy": (_Where, _refresh_copy),
    "fill": (_Fill, _fill),
}


def _environment(state: State, name: str) -> Environment:
    if name not in state.environments:
        raise ValueError(f"there is no environment {name!r}; there are {', '.join(state.environments)}")
    environment = state.environments[name]
    environment.books.settle(state.now())
    return environment


def _named(books: Books, wanted: _Named) -> list[str]:
    """BcCo of every contact that is meant."""
    if wanted.debtor is not None:
        found = books.tables["debtor"].found("DbId", str(wanted.debtor))
        return [books.debtors[key]["BcCo"] for key in found]
    if wanted.organisation is not None:
        return books.tables["organisation"].found("BcCo", str(wanted.organisation))
    return [] if wanted.kvk is None else books.tables["organisation"].found("CcNr", wanted.kvk)


def _chosen(books: Books, wanted: _Named) -> tuple[str, str | None]:
    """The contact that is meant: its BcCo and its debtor number, if it has one."""
    found = _named(books, wanted)
    if not found:
        raise ValueError("there is no such contact in this environment; name it by debtor, organisation or kvk")
    bcco = min(found)
    own = books.tables["debtor"].found("BcCo", bcco)
    named = books.tables["debtor"].found("DbId", str(wanted.debtor)) if wanted.debtor is not None else own
    return bcco, named[0] if named else None


def _without_empty(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
