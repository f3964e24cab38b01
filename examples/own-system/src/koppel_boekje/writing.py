"""Writing to Boekje: a change lowered to one operation, ten sent at once, and a lost answer looked up by our own id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from koppel.model.problem import Problem, RetryLater, UsageError
from koppel.systems.spi import (
    Absent,
    Batch,
    CannotTell,
    Change,
    Exchange,
    Finding,
    Found,
    Landed,
    NoReply,
    NotLanded,
    Operation,
    Receipt,
    Site,
    Trace,
    Unknown,
)

from koppel_boekje import codec, wire
from koppel_boekje.wire import Unreadable

BATCH = 10
Find = Callable[[Site, str, tuple[str, ...]], Exchange[dict[str, Finding]]]


def lower(site: Site, change: Change) -> tuple[Operation, ...]:
    """The one operation a change becomes; nothing when nothing differs. Raises UsageError."""
    if change.kind == "archive":
        raise UsageError("Boekje does not archive relations.", remedy="Delete the relation in Boekje yourself.")
    after: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for path, value in change.values.items():
        wanted = codec.wire_fields(path, value)
        shown = {} if change.kind == "create" else codec.wire_fields(path, change.before.get(path))
        if wanted and (change.kind == "create" or wanted != shown):
            after |= wanted
            before |= shown
    if not after:
        return ()
    return (
        Operation(
            op=change.op,
            kind=change.kind,
            resource="relaties",
            native=change.native,
            fields=after,
            before=before,
            expect=change.version,
        ),
    )


def group(operations: tuple[Operation, ...]) -> tuple[Batch, ...]:
    """Ten in one call."""
    return tuple(Batch(operations[start : start + BATCH]) for start in range(0, len(operations), BATCH))


def send(site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    """Send them; Boekje answers each by itself, in an order of its own."""
    orders = [
        {
            "kenmerk": each.op,
            "nummer": each.native and int(each.native),
            "op_versie": each.expect,
            "velden": each.fields,
        }
        for each in batch.operations
    ]
    ops = tuple(each.op for each in batch.operations)
    reply = yield wire.post(site.settings, "/relaties/batch", {"opdrachten": orders}, ops=ops)
    if not isinstance(reply, NoReply) and 400 <= reply.status < 500:
        refused = Problem("refused", "Boekje refuses the whole call.", status=reply.status)
        return tuple(Receipt(each.op, "refused", each.native, problem=refused) for each in batch.operations)
    try:
        _, rows = wire.listed(reply, "uitkomsten")
    except Unreadable as error:
        return tuple(Receipt(each.op, "unknown", each.native, problem=error.problem) for each in batch.operations)
    outcomes = {row.get("kenmerk"): row for row in rows}
    return tuple(_receipt(each, outcomes.get(each.op)) for each in batch.operations)


def _receipt(operation: Operation, outcome: dict[str, Any] | None) -> Receipt:
    match outcome:
        case {"uitkomst": "ok", "nummer": number}:
            return Receipt(operation.op, "done", str(number))
        case {"uitkomst": "achterhaald"}:
            stale = Problem("changed", "This relation was changed in Boekje meanwhile.")
            return Receipt(operation.op, "stale", operation.native, problem=stale)
        case {"uitkomst": "geweigerd"}:
            said = str(outcome.get("melding") or "")
            problem = Problem("refused", f"Boekje refuses this: {said}", field=outcome.get("veld"), vendor_text=said)
            return Receipt(operation.op, "refused", operation.native, problem=problem)
        case _:
            unclear = Problem("unclear_answer", "Boekje tells nothing of this relation; it is looked up.")
            return Receipt(operation.op, "unknown", operation.native, problem=unclear)


def probe(site: Site, operations: tuple[Operation, ...], find: Find) -> Exchange[dict[str, Trace]]:
    """Whether writes in doubt took effect: the relation carries our id, or it does not. Raises RetryLater."""
    findings = yield from find(site, "operation", tuple(each.op for each in operations))
    return {each.op: _trace(site, each, findings[each.op]) for each in operations}


def _trace(site: Site, operation: Operation, finding: Finding) -> Trace:
    match finding:
        case Absent():
            return NotLanded()
        case Unknown(problem):
            raise RetryLater(str(problem), at=problem.retry_at or site.as_of)
        case Found((item,)):
            return Landed(item.native, item)
        case _:
            return CannotTell(Problem("cannot_tell", f"Several relations carry {operation.op}; look in Boekje."))
