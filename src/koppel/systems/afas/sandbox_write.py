"""What the UpdateConnectors do: sales relations, the organisations under them, their addresses. [MD update-connector]

The HTTP verb is the action for the root element; for an organisation the match value overrides it: found is updated,
not found is added. [PA update-contacts.md] One call is one transaction. What is not known is marked `unverified`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from koppel.model.values import Json
from koppel.systems.afas.sandbox_body import Part, Tenant, read
from koppel.systems.afas.sandbox_books import Row, address_key, placed, today
from koppel.systems.afas.sandbox_errors import Refused, answer
from koppel.systems.afas.sandbox_fields import UPDATES, USE_PARENT, Entity
from koppel.systems.afas.sandbox_state import Environment, Made, State
from koppel.systems.spi import Response

_STEERING = frozenset({"PadAdr", "AutoNum", "MatchOga", "BcId", "BcCo"})
_MATCH_FIELD = {"1": "CcNr", "2": "FiNr", "3": "Nm"}
_MATCH_ADDRESS = {"4": ("KnBasicAddressAdr", "adr"), "5": ("KnBasicAddressPad", "pad")}
_ALWAYS_NEW = "6"
_SIDES = {"KnBasicAddressAdr": "Adr", "KnBasicAddressPad": "Pad"}
_HIDDEN = frozenset({"made", "changed", "Adr", "Pad", "adr", "pad", "Type"})


def tenant_of(state: State, environment: Environment) -> Tenant:
    """What is particular to this environment."""
    free = {name: {own.name: own for own in fields} for name, fields in environment.books.free.items()}
    return Tenant(free, state.switches.drop_field, state.switches.lose)


def update_allowed(state: State, id_: str) -> Entity:
    """The UpdateConnector, when this app connector may use it. Raises Refused (401)."""
    if id_ not in UPDATES or id_ in state.switches.hide_connector:
        raise Refused("update_denied", status=401)
    return UPDATES[id_]


def write(state: State, environment: Environment, method: str, id_: str, below: str | None, raw: bytes) -> Response:
    """One call: all of it or nothing. Raises Refused."""
    entity = update_allowed(state, id_)
    try:
        body = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return answer(400, {"message": "Invalid json"})  # [GO]; status unverified
    books = environment.books
    parts, as_array = read(body, entity, tenant_of(state, environment))
    if below is not None and any(below not in part.objects for part in parts):
        raise Refused("unexpected")
    # POST on a sub element adds that row and updates the parent [OAS]
    verb = "PUT" if below is not None else method
    call = _Call(state, environment, verb, [], [])
    before = books.begin()
    try:
        results = [_ROOTS[id_](call, part) for part in parts]
    except Refused:
        books.undo(before)
        raise
    books.keep()
    state.created.extend(call.made)
    state.writes.append(
        {
            "environment": environment.name,
            "method": method,
            "connector": id_ if below is None else f"{id_}/{below}",
            "at": state.now(),
            "records": call.touched,
        }
    )
    return _result(state, method, id_, results if as_array else results[0])


def _result(state: State, method: str, id_: str, results: Json) -> Response:
    """Values are text. [OAS] A PUT mostly answers without a body."""
    silent = state.switches.empty_post if method == "POST" else not state.switches.put_results
    status = 201 if method == "POST" or not silent else 200
    return Response(status) if silent else answer(status, {"results": {id_: results}})


@dataclass(frozen=True, slots=True)
class _Call:
    """One call under way."""

    state: State
    environment: Environment
    verb: str
    made: list[Made]
    touched: list[dict[str, Json]]

    @property
    def inserts(self) -> bool:
        return self.verb == "POST"

    def stamp(self) -> int:
        return self.environment.books.stamp(self.state.now())

    def log(self, kind: str, key: str, values: Mapping[str, Any], *, created: bool) -> None:
        self.touched.append({"kind": kind, "id": key, "created": created, "fields": sorted(values)})

    def created(self, kind: str, kvk: str | None, key: str, *, existed: bool) -> None:
        if kvk:
            self.made.append(Made(self.environment.name, kind, kvk, key, existed))


# --- sales relations ----------------------------------------------------------------------------------------------


def _debtor(call: _Call, part: Part) -> Json:
    books = call.environment.books
    values = {name: value for name, value in part.values.items() if name != "DbId"}
    given = part.values.get("DbId")
    if call.inserts:
        if given is not None and books.tables["debtor"].found("DbId", given):
            raise Refused("exists", label=part.entity.fields["DbId"].label)
        _require(part, values, "CuId")  # CdDa is in the schema's list too: Profit fills it itself (unverified)
        if "KnOrganisation" not in part.objects:
            raise Refused("mandatory", label=part.entity.objects["KnOrganisation"].label)
        number = given or books.number("debtor")
        bcco = _organisation(call, part.objects["KnOrganisation"], parent=None)
        row: Row = {"IsDb": True, "DbId": number, "BcCo": bcco}
    else:
        known = [] if given is None else books.tables["debtor"].found("DbId", given)
        if not known:
            raise Refused("no_value" if given else "mandatory", label=part.entity.fields["DbId"].label)
        number, row = known[0], books.debtors[known[0]]
        bcco = row["BcCo"]
        _not_emptied(part, values, "CuId")
        if "KnOrganisation" in part.objects:
            bcco = _organisation(call, part.objects["KnOrganisation"], parent=bcco)
        _refusable(call.state, books.organisations[bcco])
        row = books.debtors[number] | {"BcCo": bcco}
    kvk = books.organisations[bcco].get("CcNr")
    if call.inserts:
        same = books.tables["organisation"].found("CcNr", kvk) if kvk else []
        call.created("debtor", kvk, number, existed=any(books.tables["debtor"].found("BcCo", one) for one in same))
    stamp = call.stamp()
    books.put("debtor", number, _filled(row | values) | {"made": row.get("made", stamp), "changed": stamp})
    call.log("debtor", number, values, created=call.inserts)
    return {"DbId": number, "BcCo": bcco}


# --- organisations ------------------------------------------------------------------------------------------------


def _root_organisation(call: _Call, part: Part) -> Json:
    bcco = _organisation(call, part, parent=None)
    return {"BcCo": bcco, "BcId": str(int.from_bytes(bcco.encode()[-3:]))}  # an internal number; never to be sent


def _organisation(call: _Call, part: Part, *, parent: str | None) -> str:
    """Find or make the organisation; gives its BcCo."""
    _refusable(call.state, part.values)
    found = _matched(call, part, parent)
    if len(found) > 1:
        name = _MATCH_FIELD.get(str(part.values.get("MatchOga")), "MatchOga")
        raise Refused("several", label=part.entity.fields[name].label)
    bcco = found[0] if found else _new(call, part)
    return _changed(call, part, bcco, created=not found)


def _matched(call: _Call, part: Part, parent: str | None) -> list[str]:
    """The organisations the match value finds; none means: add it. Raises Refused when that is not meant."""
    table = call.environment.books.tables["organisation"]
    fields, label = part.values, part.entity.fields
    match, given = fields.get("MatchOga"), fields.get("BcCo")
    if match is None:
        if call.inserts:
            raise Refused("mandatory", label=label["MatchOga"].label)
        match = "0" if given is not None or parent is None else USE_PARENT  # on PUT it is optional [OAS]
    if match == _ALWAYS_NEW:
        return []
    if match == USE_PARENT:
        if parent is None:
            raise Refused("no_value", label=label["MatchOga"].label)
        return [parent]
    if match == "0":
        found = [] if given is None else table.found("BcCo", given)
        if found and parent is not None and found[0] != parent:  # another contact than the debtor's own (unverified)
            raise Refused("no_value", label=label["BcCo"].label)
        if not found and not call.inserts:
            raise Refused("no_value" if given else "mandatory", label=label["BcCo"].label)
    elif match in _MATCH_FIELD:
        value = fields.get(_MATCH_FIELD[match])
        found = [] if value is None else table.found(_MATCH_FIELD[match], value)
    else:
        name, side = _MATCH_ADDRESS[match]
        found = _at_address(call, part.objects.get(name), side)
    return [bcco for bcco in found if table.rows[bcco].get("Type", "ORG") == "ORG"]


def _at_address(call: _Call, address: Part | None, side: str) -> list[str]:
    if address is None:
        return []
    books = call.environment.books
    wanted = _completed(call.state, dict(address.values))
    return [
        bcco
        for id_ in books.tables["address"].found("same", address_key(wanted))
        for bcco in books.tables["organisation"].found(side, id_)
    ]


def _new(call: _Call, part: Part) -> str:
    """The number of an organisation to be added."""
    fields, label = part.values, part.entity.fields
    _require(part, fields, "PadAdr")
    _require(part, fields, "Nm")
    if fields.get("AutoNum"):
        return call.environment.books.number("organisation")
    given = fields.get("BcCo")
    if given is None:
        raise Refused("mandatory", label=label["AutoNum" if "AutoNum" not in fields else "BcCo"].label)
    if call.environment.books.tables["organisation"].found("BcCo", given):
        raise Refused("exists", label=label["BcCo"].label)
    return given


def _changed(call: _Call, part: Part, bcco: str, *, created: bool) -> str:
    """Write the supplied fields and addresses of one organisation."""
    books, stamp = call.environment.books, call.stamp()
    values = {name: value for name, value in part.values.items() if name not in _STEERING}
    _not_emptied(part, values, "Nm")
    if created:
        name = str(values["Nm"])
        row: Row = {"BcCo": bcco, "SeNm": name[:10].rstrip().upper(), "made": stamp}
    else:
        row = books.organisations[bcco]
        _refusable(call.state, row)
    row = _filled(row | values)
    if part.values.get("PadAdr") is not None:
        row["PadAdr"] = part.values["PadAdr"]
    for name, side in _SIDES.items():
        if name in part.objects and not (side == "Pad" and row.get("PadAdr", True)):
            row = row | {side: _addressed(call, part.objects[name], row, side, stamp, created=created)}
    if "KnBankAccount" in part.objects:
        row = row | _bank_account(part.objects["KnBankAccount"])
    row = books.in_force(row, today(call.state.now())) | {"changed": stamp}
    if created:
        kvk = row.get("CcNr")
        call.created("organisation", kvk, bcco, existed=bool(kvk and books.tables["organisation"].found("CcNr", kvk)))
    books.put("organisation", bcco, row)
    call.log("organisation", bcco, values, created=created)
    # A changed address does not move the debtor's own stamp. [support.qics.nl]
    if values or call.state.switches.joined_stamps:
        touch_relations(call.environment, bcco, stamp)
    return bcco


def touch_relations(environment: Environment, bcco: str, stamp: int) -> None:
    """Move the stamps of the debtors and creditors of an organisation."""
    books = environment.books
    for kind in ("debtor", "creditor"):
        for key in books.tables[kind].found("BcCo", bcco):
            books.put(kind, key, {**books.tables[kind].rows[key], "changed": stamp})


def _addressed(
    call: _Call, part: Part, row: Row, side: str, stamp: int, *, created: bool
) -> tuple[tuple[str, int], ...]:
    """The address history with the supplied fields over what holds now, from BeginDate (or today, unverified)."""
    books, fields = call.environment.books, part.values
    history = row.get(side, ())
    current = books.addresses.get(row.get(side.lower()) or 0, {})
    if created:
        for name in ("CoId", "PbAd", "ResZip"):
            _require(part, fields, name)
    values = {name: current.get(name) for name in current if name not in {"AddressId", "made", "changed"}} | dict(
        fields
    )
    _require(part, values, "CoId")  # an address needs a country [MD update-connector]
    id_ = books.address(_completed(call.state, values), stamp)
    begin = fields.get("BeginDate") or today(call.state.now())
    return placed(history, begin, id_)


def _completed(state: State, values: dict[str, Any]) -> dict[str, Any]:
    """The address as Profit keeps it: a Dutch postcode in its own form, the city looked up when asked for. [PA]"""
    look_up = values.pop("ResZip", None)
    values.pop("BeginDate", None)
    if values.get("CoId") == "NL" and values.get("ZpCd"):
        compact = re.sub(r"\s", "", str(values["ZpCd"])).upper()
        if re.fullmatch(r"\d{4}[A-Z]{2}", compact):
            values["ZpCd"] = f"{compact[:4]} {compact[4:]}"
        if look_up and compact in state.cities:
            values["Rs"] = state.cities[compact]
    return {name: value for name, value in values.items() if value is not None} | {"PbAd": bool(values.get("PbAd"))}


def _bank_account(part: Part) -> Row:
    """Only adding is allowed; the first one is the one shown. [MD endpoint knorganisation-post]"""
    if part.action in {"update", "delete"}:
        raise Refused("insert_only", name=part.entity.name)
    _require(part, part.values, "CoId")
    number = part.values.get("Iban") or part.values.get("BaAc")
    return {"Iban": number} if number else {}


# --- rules --------------------------------------------------------------------------------------------------------


def _require(part: Part, values: Mapping[str, Any], name: str) -> None:
    if values.get(name) is None:
        raise Refused("mandatory", label=part.entity.fields[name].label)


def _not_emptied(part: Part, values: Mapping[str, Any], name: str) -> None:
    if name in values:
        _require(part, values, name)


def _refusable(state: State, values: Mapping[str, Any]) -> None:
    """A record somebody said must be refused, by KVK number or name."""
    for name in ("CcNr", "Nm"):
        message = state.switches.refuse.get(str(values.get(name)))
        if message is not None:
            raise Refused("refused", message=message)


def _filled(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def plain(row: Row) -> dict[str, Json]:
    """A row without what is only bookkeeping of the sandbox."""
    return {name: value for name, value in sorted(row.items()) if name not in _HIDDEN}


_ROOTS: dict[str, Callable[[_Call, Part], Json]] = {"KnSalesRelationOrg": _debtor, "KnOrganisation": _root_organisation}
