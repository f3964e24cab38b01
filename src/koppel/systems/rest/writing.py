"""Writing to a described API: a change made into one call, the answer made into a receipt, a lost answer looked up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from koppel.model.kinds import is_blank
from koppel.model.problem import Problem, RetryLater, UsageError
from koppel.model.values import Json
from koppel.systems.rest import codec, wire
from koppel.systems.rest.description import ResourceText
from koppel.systems.rest.entities import FOUND_BY, PROBED_BY
from koppel.systems.rest.settings import Settings
from koppel.systems.rest.wire import Row, Unreadable
from koppel.systems.spi import (
    Absent,
    Batch,
    CannotTell,
    Change,
    Exchange,
    Finding,
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

# --- lower ----------------------------------------------------------------------------------------------------------


def lower(name: str, resource: ResourceText, site: Site, change: Change) -> tuple[Operation, ...]:
    """The one call a change becomes, with only what differs; nothing when nothing does. Raises UsageError."""
    way = resource.write.create if change.kind == "create" else resource.write.update
    if change.kind == "archive" or way is None:
        raise UsageError(f"{name}: the description names no way to {change.kind}.", remedy="Do it there yourself.")
    after: Row = {}
    before: Row = {}
    for path, value in change.values.items():
        wanted, shown = codec.wire_fields(resource, path, value), _shown(resource, change, path)
        if all(field in shown and shown[field] == new for field, new in wanted.items()):
            continue
        after |= wanted  # all parts of one value together: half an address would wipe the other half at some vendors
        before |= {field: shown.get(field) for field in wanted}
    if change.kind == "create":
        after = {field: value for field, value in after.items() if value is not None}
    if not after:
        return ()
    fields = {**after, resource.write.operation_id: change.op} if resource.write.operation_id else after
    return (
        Operation(
            op=change.op,
            kind=change.kind,
            resource=name,
            native=change.native,
            fields=fields,
            before={} if change.kind == "create" else before,
            keys=_keys(resource, after) if change.kind == "create" else (),
            expect=change.version if resource.write.if_match else "",
        ),
    )


def _shown(resource: ResourceText, change: Change, path: str) -> Row:
    """The wire fields of what the record shows now; empty when that is not known."""
    if change.kind == "create":
        return {}
    if path in change.before:
        return codec.wire_fields(resource, path, change.before[path])
    if change.current is None:
        return {}
    values = change.current.own if path in resource.own else change.current.builtins()
    return codec.wire_fields(resource, path, values.get(path))


def _keys(resource: ResourceText, sent: Row) -> tuple[tuple[str, str], ...]:
    """What a probe can look for: only numbers that are really sent and can be asked for."""
    named = FOUND_BY[resource.entity]
    pairs = (
        (kind, resource.fields[named[kind]].field) for kind in PROBED_BY if kind in named and kind in resource.find
    )
    return tuple((kind, str(sent[field])) for kind, field in pairs if sent.get(field))


# --- send -----------------------------------------------------------------------------------------------------------


def send(name: str, resource: ResourceText, site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    """One call per operation."""
    settings: Settings = site.settings
    write = resource.write
    receipts: list[Receipt] = []
    for operation in batch.operations:
        way = write.create if operation.native is None else write.update
        assert way, "what the description does not name is never lowered"
        body: Row = {}
        for path, value in operation.fields.items():
            wire.put(body, f"{write.wrapper}.{path}" if write.wrapper else path, value)
        headers = {write.idempotency_header: operation.op} if write.idempotency_header else {}
        if operation.expect and operation.native is not None:
            headers["If-Match"] = operation.expect
        address = wire.url(settings, way.path, id=operation.native or "")
        reply = yield wire.call(settings, way.method, address, name, body=body, headers=headers, ops=(operation.op,))
        receipts.append(_receipt(resource, settings, operation, reply))
    return tuple(receipts)


def _receipt(resource: ResourceText, settings: Settings, operation: Operation, reply: Reply) -> Receipt:
    title, refusal = settings.api.title, resource.write.refused
    if isinstance(reply, NoReply):
        silence = Problem("no_reply", f"{title} did not answer; whether the write took effect is looked up.")
        return Receipt(operation.op, "unknown", operation.native, problem=silence)
    if 200 <= reply.status < 300 and not (refusal.when and not is_blank(wire.at(_json(reply), refusal.when))):
        return _accepted(resource, settings, operation, reply)
    if operation.native is not None and reply.status in {404, 410, 412}:
        gone = reply.status != 412
        text = f"This record is no longer at {title}." if gone else f"This record was changed at {title} meanwhile."
        told = wire.problem(settings, reply, refusal, "gone" if gone else "changed", text)
        return Receipt(operation.op, "stale", operation.native, problem=told)
    if reply.status in refusal.status or reply.status < 500:
        told = wire.problem(settings, reply, refusal, "refused", f"{title} refuses this (HTTP {reply.status}).")
        if told.vendor_text:
            told = msgspec.structs.replace(told, text=f"{title} refuses this: {told.vendor_text}")
        return Receipt(operation.op, "refused", operation.native, problem=told)
    text = f"{title} answered {reply.status}; whether the write took effect is looked up."
    told = wire.problem(settings, reply, refusal, "unclear_answer", text)
    return Receipt(operation.op, "unknown", operation.native, problem=told)


def _accepted(resource: ResourceText, settings: Settings, operation: Operation, response: Response) -> Receipt:
    row = wire.at(_json(response), resource.record)
    native, shown = operation.native, None
    try:
        if isinstance(row, dict):
            native = codec.item(resource, row).native
            shown = codec.whole_item(resource, row)
    except Unreadable:
        pass  # an answer without the record: its address may tell the id
    native = native or response.headers.get("location", "").partition("?")[0].rstrip("/").rpartition("/")[2] or None
    if native is None or (operation.native is not None and native != operation.native):
        text = f"{settings.api.title} took the record but did not show its id; it is looked up."
        return Receipt(operation.op, "unknown", operation.native, problem=Problem("unclear_answer", text))
    return Receipt(operation.op, "done", native, item=shown)


def _json(response: Response) -> Json:
    try:
        return msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return None


# --- probe ----------------------------------------------------------------------------------------------------------


def probe(resource: ResourceText, site: Site, operations: tuple[Operation, ...], find: Find) -> Exchange[dict[str, Trace]]:  # fmt: skip
    """Whether writes in doubt took effect: by the operation id we left, else updates by id and creates by a number.

    Raises RetryLater when the look-up itself gets no usable answer.
    """
    traces: dict[str, Trace] = {}
    for operation in operations:
        if operation.native is not None:
            finding = (yield from find(site, "native", (operation.native,)))[operation.native]
        elif "operation" in resource.find:
            finding = (yield from find(site, "operation", (operation.op,)))[operation.op]
        elif operation.keys:
            kind, value = operation.keys[0]
            finding = (yield from find(site, kind, (value,)))[value]
        else:
            text = "This record was sent without a number it can be looked up by; look at the vendor."
            traces[operation.op] = CannotTell(Problem("no_key", text))
            continue
        traces[operation.op] = _trace(resource, operation, finding, site.as_of)
    return traces


def _trace(resource: ResourceText, operation: Operation, finding: Finding, as_of: float) -> Trace:
    if isinstance(finding, Unknown):
        if finding.problem.retry_at is not None:
            raise RetryLater(str(finding.problem), at=max(finding.problem.retry_at, as_of))
        return CannotTell(finding.problem)
    if isinstance(finding, Absent):
        return NotLanded()
    if operation.native is not None:
        # Compared with what was there before, not with what was sent, which the vendor may keep in another form.
        item = finding.items[0]
        if resource.write.operation_id:
            ours = item.fields.get(resource.write.operation_id) == operation.op
            return Landed(operation.native, item) if ours else NotLanded(item)
        untouched = operation.before and all(
            _alike(resource, item, field, value) for field, value in operation.before.items()
        )
        return NotLanded(item) if untouched else Landed(operation.native, item)
    ours = [item for item in finding.items if _is_ours(resource, operation, item)]
    if len(ours) == 1:
        return Landed(ours[0].native, ours[0])
    text = (
        f"{len(finding.items)} record(s) carry this number and none is surely the one that was sent; look which it is."
    )
    return CannotTell(Problem("cannot_tell", text))


def _is_ours(resource: ResourceText, operation: Operation, item: Item) -> bool:
    """Whether a record is surely the one sent: it carries our id, or everything we sent."""
    mark = resource.write.operation_id
    if mark and "operation" in resource.find:
        return item.fields.get(mark) == operation.op
    return all(
        _alike(resource, item, field, value) for field, value in operation.fields.items() if field in item.fields
    )


def _alike(resource: ResourceText, item: Item, field: str, value: Json) -> bool:
    """Whether the record shows a wire value, whatever the spelling of a number."""
    shown = item.fields.get(field)
    if is_blank(shown) or is_blank(value):
        return is_blank(shown) and is_blank(value)
    path = next((path for path, each in resource.fields.items() if each.field == field), "")
    return shown == value or codec.comparable(path, shown) == codec.comparable(path, value)
