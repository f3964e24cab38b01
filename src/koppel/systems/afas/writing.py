"""Writing debtors: a change made into nested calls, the answer made into a receipt, and a lost answer looked up.

A new debtor's organisation is looked up by KVK number when it is planned, and again in the moment before it is written:
exactly one found is used (`MatchOga` 0 with its number), none makes a new one (6), several are for a person; one that is not
as the plan showed it is not touched. Matching is never left to AFAS (1 and up): it writes over whatever it finds.

AFAS refuses with HTTP 500 and words. A 500 without words, and one that says the time was up, may have taken effect and
is `unknown`, to be probed when AFAS has surely stopped working at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import msgspec

from koppel.model.address import Address
from koppel.model.kinds import normalise
from koppel.model.problem import Problem, RetryLater, UsageError
from koppel.model.values import Json
from koppel.systems.afas import codec, debtors, fields, organisations, wire
from koppel.systems.afas.debtors import Wire
from koppel.systems.afas.settings import Settings
from koppel.systems.afas.wire import Row, Unreadable
from koppel.systems.spi import (
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
    TakeOver,
    Trace,
    Unknown,
)

Find = Callable[[Site, str, tuple[str, ...]], Exchange[dict[str, Finding]]]
_ORGANISATION = frozenset({"Nm", "CcNr", "TeNr", "EmAd"})
_ADDRESS = frozenset({*codec.ADDRESS_FIELDS, "BeginDate"})

# --- lower --------------------------------------------------------------------------------------------------------


def lower(site: Site, change: Change) -> tuple[Operation, ...]:
    """The calls a change becomes, with only the wire fields that differ; nothing when none does. Raises UsageError.

    One call carries the sales relation with its organisation and address; a second one carries what the organisation has
    only in its own connector. An address travels whole, with the day from which it holds.
    """
    if change.kind == "archive":
        # Blocking or deleting a debtor is a decision for people (rule B19).
        raise UsageError("AFAS debtors are not archived.", remedy="Block the debtor in Profit yourself.")
    nested: dict[str, tuple[Row, Row]] = {}
    apart: dict[str, tuple[Row, Row]] = {}
    for path, value in change.values.items():
        after, before = _flat(debtors.wire(path, value)), _flat(_shown(change, path))
        changed = {name: new for name, new in after.items() if not debtors.same(name, new, before.get(name, ""))}
        if change.kind == "create":
            changed = {name: value for name, value in after.items() if value != ""}
        elif path == "address" and changed:
            changed = {name: value for name, value in after.items() if value != "" or before.get(name)}
        if path == "address" and changed:
            changed["BeginDate"] = codec.today(site.as_of)
        if changed:
            own = path.removeprefix(fields.ORGANISATION) in fields.APART
            (apart if own else nested)[path] = (changed, {name: before.get(name) for name in changed})
    if change.kind == "create":
        nested.setdefault("CuId", ({"CuId": "EUR"}, {}))  # mandatory [OAS KnSalesRelationOrg]
    first = _operation(change, change.op, nested) if nested else None
    second = _operation(change, f"{change.op}.2" if first else change.op, apart) if apart else None
    if first and second and change.kind == "create":
        # What follows a create's first operation is an update of the debtor it made.
        second = msgspec.structs.replace(second, kind="update", keys=(), needs=(first.op,))
    return tuple(operation for operation in (first, second) if operation)


def _operation(change: Change, op: str, parts: dict[str, tuple[Row, Row]]) -> Operation:
    sent = {name: value for after, _ in parts.values() for name, value in after.items()}
    before = {name: value for _, shown in parts.values() for name, value in shown.items()}
    return Operation(
        op=op,
        kind=change.kind,
        resource="debtors",
        native=change.native,
        fields=sent,
        before={} if change.kind == "create" else before,
        keys=_keys(change, sent),
        expect=change.version,
        covers=tuple(path for path in change.values if path in parts),
    )


def _shown(change: Change, path: str) -> Wire:
    """The wire fields of what the record shows now; empty when that is not known."""
    if change.kind == "create":
        return Wire()
    if path in change.before:
        value = change.before[path]
    elif change.current is not None:
        values = change.current.own if fields.own_field(path) else change.current.builtins()
        value = values.get(path)
    else:
        return Wire()
    try:
        return debtors.wire(path, value)
    except UsageError:
        return Wire()  # what Profit shows need not be what we could write (a country we have no code of)


def _flat(parts: Wire) -> Row:
    """One row of all levels, organisation fields beyond our own four told apart by their prefix."""
    organisation = {
        (name if name in _ORGANISATION else f"{fields.ORGANISATION}{name}"): value
        for name, value in parts.organisation.items()
    }
    return {**parts.debtor, **organisation, **parts.address}


def _levels(sent: Row) -> Wire:
    """The levels again, out of an operation's fields."""
    address = {name: value for name, value in sent.items() if name in _ADDRESS}
    organisation = {
        name.removeprefix(fields.ORGANISATION): value
        for name, value in sent.items()
        if name in _ORGANISATION or name.startswith(fields.ORGANISATION)
    }
    debtor = {
        name: value
        for name, value in sent.items()
        if name not in address and name not in _ORGANISATION and not name.startswith(fields.ORGANISATION)
    }
    return Wire(debtor, organisation, address)


def _keys(change: Change, sent: Row) -> tuple[tuple[str, str], ...]:
    """What can be looked for: the numbers that are really sent with a create; the organisation of what exists."""
    if change.kind == "create":
        named = (("kvk", sent.get("CcNr")), ("vat", sent.get("VaId")))
        return tuple((kind, value) for kind, value in named if value)
    number = change.current.own.get("BcCo") if change.current else None
    return (("organisation", number),) if number else ()


# --- send ---------------------------------------------------------------------------------------------------------


class _Cannot(Exception):
    """A write that must not be sent; `receipt` says why."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.op)
        self.receipt = receipt


def send(site: Site, batch: Batch, find: Find) -> Exchange[tuple[Receipt, ...]]:
    """One call per operation: POST for a new debtor, PUT with the changed fields for one that exists."""
    receipts: list[Receipt] = []
    for operation in batch.operations:
        before: Row = {}
        try:
            if operation.kind == "create":
                call, before = yield from _create(site, operation)
            else:
                call = yield from _update(site, operation, find)
        except _Cannot as cannot:
            receipts.append(cannot.receipt)
            continue
        receipt = yield from _receipt(site, operation, (yield call), find)
        receipts.append(msgspec.structs.replace(receipt, before=before))
    return tuple(receipts)


def takes_over(site: Site, operations: tuple[Operation, ...]) -> Exchange[dict[str, TakeOver | Unknown]]:
    """What these creates would write over, in one call for up to 40; who is sent without a KVK number takes over nothing."""
    numbers = {operation.op: number for operation in operations if (number := dict(operation.keys).get("kvk"))}
    known = (yield from organisations.with_numbers(site, numbers.values())) if numbers else {}
    told: dict[str, TakeOver | Unknown] = {}
    for operation in operations:
        if operation.op in numbers:
            found = known[numbers[operation.op]]
            parts = _levels(operation.fields)
            told[operation.op] = (
                Unknown(found) if isinstance(found, Problem) else organisations.taken_over(found, parts)
            )
    return told


def _create(site: Site, operation: Operation) -> Exchange[tuple[wire.Call, Row]]:
    """The call that makes a debtor, and what it writes over when it makes one of an organisation that is there.

    Raises _Cannot.
    """
    settings: Settings = site.settings
    parts = _levels(operation.fields)
    number = dict(operation.keys).get("kvk")
    known = (yield from organisations.with_numbers(site, (number,)))[number] if number else None
    if isinstance(known, Problem):
        raise _Cannot(Receipt(operation.op, "refused", problem=known))
    over = organisations.taken_over(known, parts)
    if number and operation.expect not in ("", over.expect):
        text = "Its organisation in Profit is not as it was when this was decided; it is decided anew."
        raise _Cannot(Receipt(operation.op, "stale", problem=Problem("moved", text)))
    if known is None:
        # 6 is "always new"; 0 with an empty number would make one too, or fail. [OAS; PA update-contacts.md]
        match: Row = {"MatchOga": "6", "AutoNum": True, "PadAdr": True}
    else:
        match = {"MatchOga": "0", "BcCo": str(known["BcCo"]), "AutoNum": False, "PadAdr": True}
    body = wire.element(
        "KnSalesRelationOrg",
        {"IsDb": True, **parts.debtor},
        objects=_organisation({**match, **parts.organisation}, parts.address),
    )
    call = wire.write(settings, "POST", "KnSalesRelationOrg", body, op=operation.op)
    return call, over.before


def _update(site: Site, operation: Operation, find: Find) -> Exchange[wire.Call]:
    settings: Settings = site.settings
    parts = _levels(operation.fields)
    number: str | None = None
    if parts.organisation or parts.address:
        number = dict(operation.keys).get("organisation") or (yield from _organisation_behind(site, operation, find))
    match: Row = {"MatchOga": "0", "BcCo": number}
    if not parts.debtor and not parts.address and parts.organisation.keys() <= fields.APART:
        body = wire.element("KnOrganisation", {**match, **parts.organisation})
        return wire.write(settings, "PUT", "KnOrganisation", body, op=operation.op)
    objects = _organisation({**match, **parts.organisation}, parts.address) if number else None
    body = wire.element("KnSalesRelationOrg", parts.debtor, key={"DbId": operation.native}, objects=objects)
    return wire.write(settings, "PUT", "KnSalesRelationOrg", body, op=operation.op)


def _organisation(own: Row, address: Row) -> Row:
    inside: Row = {"Fields": own}
    if address:
        # The city is not looked up by postcode: what the register says is what is written.
        inside["Objects"] = [{"KnBasicAddressAdr": {"Element": {"Fields": {**address, "ResZip": False}}}}]
    return {"KnOrganisation": {"Element": inside}}


def _organisation_behind(site: Site, operation: Operation, find: Find) -> Exchange[str]:
    """The organisation of a debtor whose record we have only in part. Raises _Cannot: 0 without a number makes a new one."""
    native = str(operation.native)
    finding = (yield from find(site, "native", (native,)))[native]
    if isinstance(finding, Unknown):
        retry = msgspec.structs.replace(finding.problem, retry_at=site.as_of + wire.TRY_AGAIN)
        raise _Cannot(Receipt(operation.op, "refused", native, problem=retry))
    number = debtors.organisation_of(finding.items[0]) if isinstance(finding, Found) else None
    if number is None:
        gone = Problem("gone", "This debtor is no longer in Profit, or has no organisation behind it.")
        raise _Cannot(Receipt(operation.op, "stale", native, problem=gone))
    return number


# --- receipts -----------------------------------------------------------------------------------------------------


def _receipt(site: Site, operation: Operation, reply: Reply, find: Find) -> Exchange[Receipt]:
    if isinstance(reply, NoReply):
        silence = Problem("no_reply", "AFAS did not answer; whether the write took effect is looked up.")
        return Receipt(operation.op, "unknown", operation.native, problem=silence)
    if reply.status in {200, 201, 204}:
        return (yield from _accepted(site, operation, reply, find))
    told = wire.said(reply).text
    if (reply.status == 500 and told and not wire.TIMEOUT.search(told)) or (
        400 <= reply.status < 500 and reply.status != 408
    ):
        return Receipt(operation.op, "refused", operation.native, problem=(yield from _refusal(site, operation, reply)))
    text = f"AFAS answered {reply.status}; it may still be at work. Whether the write took effect is looked up later."
    return Receipt(operation.op, "unknown", operation.native, problem=wire.problem("unclear_answer", text, reply))


def _accepted(site: Site, operation: Operation, response: Response, find: Find) -> Exchange[Receipt]:
    if operation.native is not None:
        return Receipt(operation.op, "done", operation.native)
    native = codec.text(wire.read_results(response, "KnSalesRelationOrg").get("DbId"))
    if native is not None:
        return Receipt(operation.op, "done", native)
    # 201 may come without a word [OAS]; the debtor is there, only its number is not known.
    for kind, value in operation.keys:
        finding = (yield from find(site, kind, (value,)))[value]
        ours = _ours(operation, finding) if isinstance(finding, Found) else None
        if ours is not None:
            return Receipt(operation.op, "done", ours.native, item=ours)
    text = "AFAS took the debtor but did not show its number; it is looked up."
    return Receipt(operation.op, "unknown", problem=wire.problem("unclear_answer", text, response))


# (code, words in both languages, what to do) [MD endpoint fientries-post, troubleshooting; Dutch words partly unverified]
_REASONS = (
    (
        "mandatory",
        re.compile(r"enter a value|vul een waarde|verplicht|mandatory", re.IGNORECASE),
        "Fill this field, in the flow or in Profit. / Vul dit veld, in de flow of in Profit.",
    ),
    (
        "unknown_value",
        re.compile(r"does not exist|bestaat niet|komt niet voor", re.IGNORECASE),
        "Use a code that exists in this environment. / Gebruik een code die in deze omgeving bestaat.",
    ),
    (
        "too_long",
        re.compile(r"too long|te lang|maximum length|maximale lengte", re.IGNORECASE),
        "Shorten the value. / Kort de waarde in.",
    ),
    (
        "locked",
        wire.LOCKED,
        "Somebody has it open in Profit; it is tried again. / Iemand heeft dit open in Profit; het wordt opnieuw geprobeerd.",
    ),
    (
        "not_allowed",
        wire.NOT_ALLOWED,
        "Add the UpdateConnector to the app connector, or the right to its user. / Geef de app connector of gebruiker recht.",
    ),
)
_OTHER = (
    "Mend it in Profit or in the source; AFAS support asks for the log reference. / Herstel dit in Profit of bij de bron; "
    "AFAS Support vraagt naar de logreferentie."
)


def _refusal(site: Site, operation: Operation, response: Response) -> Exchange[Problem]:
    told = wire.said(response).text
    code, hint = next(((code, hint) for code, words, hint in _REASONS if words.search(told)), ("refused", _OTHER))
    named = _labels(told)
    field = next((_FIELD_OF_LABEL[label.lower()] for label in named if label.lower() in _FIELD_OF_LABEL), None)
    if field is None and named:
        field = yield from _described(site, operation, named)
    text = f"AFAS refuses this: {told}" if told else f"AFAS refuses this (HTTP {response.status})."
    found = wire.problem(code, f"{text} {hint}", response, field=field)
    # A lock passes by itself, and nothing was written.
    return msgspec.structs.replace(found, retry_at=site.as_of + wire.TRY_AGAIN) if code == "locked" else found


def _labels(told: str) -> tuple[str, ...]:
    return tuple(re.findall(r"['\"]([^'\"]{1,80})['\"]", told))


# Labels of the fields we write, in English as in the vendor's description, in Dutch as on screen (those unverified).
_FIELD_OF_LABEL = {
    label: name
    for name, labels in {
        "Nm": ("name", "naam"),
        "CcNr": ("coc number", "kvk-nummer"),
        "VaId": ("vat identification number", "btw-identificatienummer", "btw-nummer"),
        "Ad": ("street", "straat"),
        "HmNr": ("house number", "huisnummer"),
        "HmAd": ("house number addition", "toevoeging aan huisnummer", "toev. aan huisnr."),
        "ZpCd": ("postal code", "postcode"),
        "Rs": ("city", "woonplaats"),
        "CoId": ("country", "land"),
        "TeNr": ("work phone no.", "telefoonnr. werk"),
        "EmAd": ("work e-mail", "e-mail werk"),
        "CuId": ("currency", "valuta"),
        "PaCd": ("payment condition", "betalingsvoorwaarde"),
        "VaDu": ("vat duty", "btw-plicht"),
        "BeginDate": ("ingangsdatum adreswijziging",),
    }.items()
    for label in labels
}


def _described(site: Site, operation: Operation, named: tuple[str, ...]) -> Exchange[str | None]:
    """The field a message names by a label of the tenant's own: the connector describes itself in the same language."""
    try:
        described = wire.read_object((yield wire.metainfo(site.settings, "update", "KnSalesRelationOrg")))
    except Unreadable:
        return None
    wanted = {label.lower() for label in named}
    sent = {name.removeprefix(fields.ORGANISATION) for name in operation.fields}
    found = [name for name, label in _all_fields(described) if label.lower() in wanted]
    return next((name for name in found if name in sent), found[0] if found else None)


def _all_fields(described: Row) -> Iterator[tuple[str, str]]:
    for field in described.get("fields") or ():
        yield str(field.get("fieldId", "")), str(field.get("label", ""))
    for inside in described.get("objects") or ():
        yield from _all_fields(cast("Row", inside))


# --- probe --------------------------------------------------------------------------------------------------------


def probe(site: Site, operations: tuple[Operation, ...], find: Find) -> Exchange[dict[str, Trace]]:
    """Whether writes in doubt took effect: updates by DbId, creates by KVK number, else by VAT number.

    Raises RetryLater when the look-up itself gets no usable answer.
    """
    traces: dict[str, Trace] = {}
    asked: dict[str, list[tuple[Operation, str]]] = {}
    for operation in operations:
        kind, value = ("native", operation.native) if operation.native else next(iter(operation.keys), ("", None))
        if value is None:
            text = "This debtor was sent without a KVK or VAT number, so it cannot be looked up; look in Profit."
            traces[operation.op] = CannotTell(Problem("no_key", text))
        else:
            asked.setdefault(kind, []).append((operation, value))
    for kind, pairs in asked.items():
        findings = yield from find(site, kind, tuple(dict.fromkeys(value for _, value in pairs)))
        for operation, value in pairs:
            traces[operation.op] = _trace(operation, findings[value], site.as_of)
    return traces


def _trace(operation: Operation, finding: Finding, as_of: float) -> Trace:
    if isinstance(finding, Unknown):
        if finding.problem.retry_at is not None:
            raise RetryLater(str(finding.problem), at=max(finding.problem.retry_at, as_of))
        return CannotTell(finding.problem)
    if not isinstance(finding, Found):
        return NotLanded()
    if operation.native is None:
        ours = _ours(operation, finding)
        if ours is not None:
            return Landed(ours.native, ours)
        text = (
            f"Profit has {len(finding.items)} debtor(s) with this number and none is surely the one that was sent; "
            "look which it is, or whether it is missing."
        )
        return CannotTell(Problem("cannot_tell", text))
    item = finding.items[0]
    # Compared with what was there before, not with what was sent, which Profit may keep in another form.
    told = _compared(item, operation.fields, operation.before)
    if not told:
        text = "AFAS does not show the fields of this write, so whether it took effect cannot be seen; look in Profit."
        return CannotTell(Problem("cannot_tell", text))
    return NotLanded(item) if all(told) else Landed(operation.native, item)


def _ours(operation: Operation, found: Found) -> Item | None:
    """The one debtor that is surely the one sent: alone under its key and named alike, or the only one alike in full."""
    sent = operation.fields
    named = [item for item in found.items if all(_compared(item, {"Nm": sent.get("Nm")}, sent))]
    if len(found.items) == 1:
        return named[0] if named else None
    alike = [item for item in named if all(_compared(item, sent, sent))]
    return alike[0] if len(alike) == 1 else None


_COLUMN = {
    **{field.vendor[0]: fields.COLUMNS[field.path] for field in fields.CANONICAL if field.path in fields.COLUMNS},
    **fields.OWN_COLUMNS,
}


def _compared(item: Item, names: Row, values: Row) -> list[bool]:
    """For each written field that can be seen again: whether the record shows the value in `values`."""
    told = [
        debtors.same(name, values.get(name) or "", item.fields[_COLUMN[name]])
        for name in names
        if name in _COLUMN and _COLUMN[name] in item.fields
    ]
    if "CoId" in names or "Ad" in names:
        shown, _ = codec.read_address(item.fields)
        told.append(_form(_address_of(values)) == _form(shown))
    return told


def _form(address: Address | None) -> Json:
    return normalise("address", codec.address_form(msgspec.to_builtins(address))) if address else None


def _address_of(sent: Row) -> Address | None:
    """The address in wire parts, as we would read it back."""
    parts = {
        "street": sent.get("Ad"),
        "number": sent.get("HmNr"),
        "suffix": sent.get("HmAd"),
        "postcode": sent.get("ZpCd"),
        "city": sent.get("Rs"),
        "code": sent.get("CoId"),
        "box": sent.get("PbAd"),
    }
    return codec.read_address({codec.PARTS: parts})[0]
