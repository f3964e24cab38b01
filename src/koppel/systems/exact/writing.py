"""Writing accounts: a change made into one call's fields, the answer made into a receipt, and a lost answer looked up.

Exact Online answers business refusals with HTTP 500. Only a message it is known to refuse with counts as a refusal; any
other 5xx may have taken effect and is `unknown`, to be probed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from koppel.model.problem import Problem, RetryLater, UsageError
from koppel.model.values import Json
from koppel.systems.exact import accounts, codec, fields, odata, wire
from koppel.systems.exact.settings import Settings, division
from koppel.systems.exact.wire import Row, Unreadable
from koppel.systems.spi import (
    Absent,
    Batch,
    CannotTell,
    Change,
    Exchange,
    Finding,
    Found,
    Item,
    Landed,
    NoReply,
    NotLanded,
    Operation,
    Receipt,
    Reply,
    Response,
    Site,
    Trace,
    Unknown,
)

Find = Callable[[Site, str, tuple[str, ...]], Exchange[dict[str, Finding]]]

# --- lower --------------------------------------------------------------------------------------------------------


def lower(_site: Site, change: Change) -> tuple[Operation, ...]:
    """The one call a change becomes, with only the wire fields that differ; nothing when none does. Raises UsageError."""
    if change.kind == "archive":
        # Deleting or blocking a debtor is a decision for people: neither (rule B19).
        raise UsageError(
            "Exact Online accounts are not archived.", remedy="Block or delete the account in Exact yourself."
        )
    after: Row = {}
    before: Row = {}
    for path, value in change.values.items():
        wanted, shown = accounts.wire_fields(path, value), _shown(change, path)
        cleared = {name: None for name in shown if name not in wanted and name != "Country"} if wanted else {}
        wanted = {**cleared, **wanted}
        after |= {name: new for name, new in wanted.items() if name not in shown or shown[name] != new}
        before |= {name: shown.get(name) for name in wanted}
    if change.kind == "create":
        after = {name: value for name, value in after.items() if value is not None}
    if not after:
        return ()
    return (
        Operation(
            op=change.op,
            kind=change.kind,
            resource="accounts",
            native=change.native,
            fields=after,
            before={} if change.kind == "create" else {name: before[name] for name in after},
            keys=_keys(after) if change.kind == "create" else (),
            expect=change.version,
        ),
    )


def _shown(change: Change, path: str) -> Row:
    """The wire fields of what the record shows now; empty when that is not known."""
    if change.kind == "create":
        return {}
    if path in change.before:
        return accounts.wire_fields(path, change.before[path])
    if change.current is None:
        return {}
    values = change.current.own if path in fields.OWN_NAMES else change.current.builtins()
    return accounts.wire_fields(path, values.get(path))


def _keys(sent: Row) -> tuple[tuple[str, str], ...]:
    """What a probe can look for: only numbers that are really sent."""
    named = (("kvk", sent.get("ChamberOfCommerce")), ("vat", sent.get("VATNumber")))
    return tuple((kind, value) for kind, value in named if value)


# --- send ---------------------------------------------------------------------------------------------------------


def send(site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    """One call per operation: POST for a new account, PUT with the changed fields for one that exists."""
    settings: Settings = site.settings
    receipts: list[Receipt] = []
    for operation in batch.operations:
        path = "crm/Accounts"
        if operation.native is not None:
            path = f"{path}({odata.guid(operation.native)})"
        method = "POST" if operation.native is None else "PUT"
        address = wire.url(settings, division(settings), path)
        reply = yield wire.write(method, address, operation.fields, op=operation.op, kind="crm/Accounts")
        receipts.append(_receipt(site, operation, reply))
    return tuple(receipts)


def _receipt(site: Site, operation: Operation, reply: Reply) -> Receipt:
    if isinstance(reply, NoReply):
        silence = Problem("no_reply", "Exact Online did not answer; whether the write took effect is looked up.")
        return Receipt(operation.op, "unknown", operation.native, problem=silence)
    if reply.status in {200, 201, 204}:
        return _accepted(site, operation, reply)
    said = wire.error_text(reply)
    if reply.status == 404 and operation.native is not None:
        gone = wire.problem("gone", "This account is no longer in Exact Online.", reply)
        return Receipt(operation.op, "stale", operation.native, problem=gone)
    business = reply.status == 500 and refusal_code(said)
    if business or (400 <= reply.status < 500 and reply.status != 408):
        code = business or refusal_code(said) or "refused"
        text = f"Exact Online refuses this: {said}" if said else f"Exact Online refuses this (HTTP {reply.status})."
        problem = wire.problem(code, text, reply, field=named_field(said, operation.fields))
        return Receipt(operation.op, "refused", operation.native, problem=problem)
    text = f"Exact Online answered {reply.status}; whether the write took effect is looked up."
    return Receipt(operation.op, "unknown", operation.native, problem=wire.problem("unclear_answer", text, reply))


def _accepted(site: Site, operation: Operation, response: Response) -> Receipt:
    shown: Item | None = None
    native = operation.native
    names = fields.properties(site.own, sync=False)
    try:
        row = wire.read_entity(response)
        native = accounts.item(row, names).native
        # Without all properties (unverified whether POST gives them) the row would read as values dropped.
        shown = accounts.whole_item(row, names)
    except Unreadable:
        native = native or _native_in(response.headers.get("location", ""))
    if native is None:
        text = "Exact Online took the account but did not show its ID; it is looked up."
        return Receipt(operation.op, "unknown", problem=wire.problem("unclear_answer", text, response))
    return Receipt(operation.op, "done", native, item=shown)


_LOCATION = re.compile(r"Accounts\(guid'([0-9a-fA-F-]{36})'\)")


def _native_in(location: str) -> str | None:
    found = _LOCATION.search(location)
    return found[1].lower() if found else None


# The words of business refusals, in the language of the user who signed in; no other text proves that nothing happened.
# [picqer #161 #416 #263; declaree KB; `Invalid:` and other languages unverified]
_REFUSALS = (
    ("mandatory", re.compile(r"\b(verplicht|mandatory)\s*:", re.IGNORECASE)),
    ("already_exists", re.compile(r"bestaat reeds|data already exists", re.IGNORECASE)),
    ("invalid_value", re.compile(r"\b(ongeldig|invalid)\s*:|error in converting value", re.IGNORECASE)),
)


def refusal_code(said: str) -> str | None:
    """Our code for a message that proves nothing was written; None for any other text."""
    return next((code for code, pattern in _REFUSALS if pattern.search(said)), None)


# Labels on Exact's screens that messages use; beyond `Name` and `Code` unverified.
_LABELS = {
    "naam": "Name",
    "kvk": "ChamberOfCommerce",
    "kvk-nummer": "ChamberOfCommerce",
    "chamber of commerce": "ChamberOfCommerce",
    "btw-nummer": "VATNumber",
    "vat number": "VATNumber",
    "adres": "AddressLine1",
    "address": "AddressLine1",
    "plaats": "City",
    "land": "Country",
    "telefoon": "Phone",
    "e-mail": "Email",
    "zoekcode": "SearchCode",
    "opmerkingen": "Remarks",
}
_QUOTED = re.compile(r"property '(\w+)'")


def named_field(said: str, sent: Row) -> str | None:
    """The vendor field a message names: by property, by its own name, or by its label on screen; else None.

    >>> named_field("Verplicht: Naam", {"Name": None})
    'Name'
    >>> named_field("Error in converting value for property 'InvoiceTo' to type 'Guid'", {})
    'InvoiceTo'
    """
    quoted = _QUOTED.search(said)
    if quoted:
        return quoted[1]
    labels = {**{name.lower(): name for name in sent}, **_LABELS}
    named = [label for label in labels if re.search(rf"(?<![\w-]){re.escape(label)}(?![\w-])", said, re.IGNORECASE)]
    return labels[max(named, key=len)] if named else None


# --- probe --------------------------------------------------------------------------------------------------------


def probe(site: Site, operations: tuple[Operation, ...], find: Find) -> Exchange[dict[str, Trace]]:
    """Whether writes in doubt took effect: updates by ID, creates by KVK number, else by VAT number.

    Raises RetryLater when the look-up itself gets no usable answer.
    """
    traces: dict[str, Trace] = {}
    asked: dict[str, list[tuple[Operation, str]]] = {}
    for operation in operations:
        kind, value = ("native", operation.native) if operation.native else _strongest(operation)
        if value is None:
            text = "This account was sent without a KVK or VAT number, so it cannot be looked up; look in Exact Online."
            traces[operation.op] = CannotTell(Problem("no_key", text))
        else:
            asked.setdefault(kind, []).append((operation, value))
    for kind, pairs in asked.items():
        findings = yield from find(site, kind, tuple(value for _, value in pairs))
        for operation, value in pairs:
            traces[operation.op] = _trace(operation, findings[value], site.as_of)
    return traces


def _strongest(operation: Operation) -> tuple[str, str | None]:
    keys = dict(operation.keys)
    return next(((kind, keys[kind]) for kind in ("kvk", "vat") if kind in keys), ("", None))


def _trace(operation: Operation, finding: Finding, as_of: float) -> Trace:
    if isinstance(finding, Unknown):
        if finding.problem.retry_at is not None:
            raise RetryLater(str(finding.problem), at=max(finding.problem.retry_at, as_of))
        return CannotTell(finding.problem)
    if isinstance(finding, Absent):
        return NotLanded()
    if operation.native is not None:
        # Compared with what was there before, not with what was sent, which the vendor may keep in another form.
        untouched = operation.before and all(
            _shows(finding.items[0], name, operation.before.get(name)) for name in operation.fields
        )
        return NotLanded(finding.items[0]) if untouched else Landed(operation.native, finding.items[0])
    ours = _ours(operation, finding)
    if ours is not None:
        return Landed(ours.native, ours)
    text = (
        f"Exact Online has {len(finding.items)} account(s) with this number and none is surely the one that was sent; "
        "look which it is, or whether it is missing."
    )
    return CannotTell(Problem("cannot_tell", text))


def _ours(operation: Operation, found: Found) -> Item | None:
    """The one record that is surely the one sent: alone under its key and named alike, or the only one alike in full."""
    sent = operation.fields
    named = [item for item in found.items if _shows(item, "Name", sent.get("Name"))]
    if len(found.items) == 1:
        return named[0] if named else None
    alike = [
        item for item in named if all(_shows(item, name, value) for name, value in sent.items() if name in item.fields)
    ]
    return alike[0] if len(alike) == 1 else None


def _shows(item: Item, name: str, value: Json) -> bool:
    """Whether the record shows a wire value, whatever the spelling of a number."""
    shown: Json = item.fields.get(name)
    if name in {"ChamberOfCommerce", "VATNumber"}:
        return codec.vat_form(shown) == codec.vat_form(value)
    return accounts.same_on_wire(value, shown)
