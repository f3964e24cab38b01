"""Reading `[group]` of a flow file: which documents become one posting, and into which ledgers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import msgspec

from koppel.mapping.flow import Condition, Endpoint, Flow, Group, Late
from koppel.mapping.grouping import JOURNAL, KEYS, POSTINGS, USUAL, derived_name
from koppel.mapping.problems import did_you_mean
from koppel.mapping.sheet import Sheet, shown

GROUP_KEYS = ("by", "keys", "late", "ledgers", "vat", "payments", "journals", "rounding")
BY = ("document", "day", "journal")
ROUNDING_KEYS = ("ledger", "tolerance")
MOST = Decimal("0.05")  # rule B10: above it is no rounding any more


def read_group(sheet: Sheet, flow: Flow) -> Flow:
    """The flow with its grouping, if it has one: its left is then what is made of the documents."""
    table = sheet.section(sheet.document, "group")
    sheet.known_keys(table, GROUP_KEYS, "group")
    by = sheet.choice(table, BY, "document", "group", "by")
    if "group" not in sheet.document or by == "document":
        for key in table:
            if key != "by" and key in GROUP_KEYS:
                sheet.wrong(("group", key), f"{key!r} says nothing where each document is posted by itself", 'write by = "day"')  # fmt: skip
        return flow
    _fits(sheet, flow)
    rounding = sheet.section(table, "group", "rounding")
    sheet.known_keys(rounding, ROUNDING_KEYS, "group", "rounding")
    tables = {name: _table(sheet, table, name) for name in ("ledgers", "vat", "payments", "journals")}
    group = Group(
        source=Endpoint(flow.left.connection, flow.left.resource),
        by=by,
        keys=_keys(sheet, table, by),
        late=sheet.choice(table, get_args(Late), "ask", "group", "late"),
        rounding=sheet.text(rounding, "group", "rounding", "ledger"),
        tolerance=_tolerance(sheet, rounding),
        scope=flow.scope.left,
        **tables,
    )
    _whole(sheet, flow, group)
    scope = msgspec.structs.replace(flow.scope, left=tuple[Condition, ...]())
    left = Endpoint(flow.left.connection, derived_name(flow.left.resource, by, flow.id))
    return msgspec.structs.replace(flow, left=left, scope=scope, group=group)


def _fits(sheet: Sheet, flow: Flow) -> None:
    """A posting is made from its documents and from nothing else."""
    if flow.entity not in POSTINGS:
        hint = 'write entity = "journal_entry" or entity = "invoice": what is posted on the right'
        sheet.wrong(("entity",), f"documents cannot become one {flow.entity}", hint)
    if flow.create_left:
        sheet.wrong(("create", "left"), "no document is made from a posting", "leave it out")
    if flow.enrich:
        place = sheet.positions.key("enrich")
        sheet.say(place, "contradiction", "a posting is enriched by nothing", "leave [enrich] out")
    if flow.scope.take != "all":
        sheet.wrong(("scope", "take"), "documents that are posted together are listed, all of them", "leave it out")
    if flow.missing_right == "restore" or flow.missing_left != "ask":
        side = "right" if flow.missing_right == "restore" else "left"
        sheet.wrong(("missing", side), "about a posting that is gone a person decides", 'write "ask"')
    for rule in flow.fields:
        if "left" in rule.to_sides:
            place = sheet.positions.key("fields", rule.key)
            hint = 'write owner = "left"'
            sheet.say(place, "contradiction", f"{rule.key!r} would be written to what is made of documents", hint)


def _keys(sheet: Sheet, table: dict[str, Any], by: str) -> tuple[str, ...]:
    found = table.get("keys")
    if found is None:
        return USUAL[by]
    if not isinstance(found, list) or not found:
        sheet.wrong(("group", "keys"), f"'keys' must be a list of fields, not {shown(found)}", 'write keys = ["date"]')
        return USUAL[by]
    for index, name in enumerate(found):
        if not isinstance(name, str) or name not in KEYS:
            hint = did_you_mean(name, KEYS) if isinstance(name, str) else ""
            sheet.wrong(("group", "keys", index), f"documents cannot be told apart by {shown(name)}", hint)
        elif name in found[:index]:
            sheet.wrong(("group", "keys", index), f"{name!r} stands here twice")
    if "date" not in found:
        sheet.wrong(("group", "keys"), "a posting is of one day, so the date is among its keys", 'add "date"')
    return tuple(str(name) for name in found)


def _table(sheet: Sheet, table: dict[str, Any], name: str) -> str | None:
    """The name of a table of the file."""
    told = sheet.text(table, "group", name)
    tables = sheet.document.get("tables")
    known = tables if isinstance(tables, dict) else {}
    if told is not None and told not in known:
        sheet.wrong(("group", name), f"there is no table {told!r}", did_you_mean(told, known) or f"add [tables.{told}]")
        return None
    return told


def _tolerance(sheet: Sheet, table: dict[str, Any]) -> str:
    def read(text: str) -> None:
        if not (text.replace(".", "", 1).isdigit() and Decimal(0) <= Decimal(text) <= MOST):
            raise ValueError(f"a tolerance lies between 0.00 and {MOST}, not {text}")

    return sheet.parsed(table, read, "group", "rounding", "tolerance") or "0.00"


def _whole(sheet: Sheet, flow: Flow, group: Group) -> None:
    """What a posting cannot be made without."""
    wanted = {"ledgers": "turnover by VAT meaning", "vat": "VAT by VAT meaning", "payments": "what was paid, by method"}
    if flow.entity == "journal_entry":
        for name, what in wanted.items():
            if getattr(group, name) is None and name not in sheet.section(sheet.document, "group"):
                message = f"a journal entry needs ledgers, and nothing says those of {what}"
                sheet.say(sheet.positions.key("group"), "missing-key", message, f'write {name} = "…", a table')
        if Decimal(group.tolerance) and group.rounding is None:
            message = "a difference that is let pass goes to a ledger, and nothing says which"
            sheet.say(sheet.positions.key("group", "rounding"), "missing-key", message, 'write ledger = "…"')
    if JOURNAL in group.keys and group.journals is None:
        message = "nothing says which journal a payment method belongs to"
        sheet.say(sheet.positions.key("group"), "missing-key", message, 'write journals = "…", a table')
