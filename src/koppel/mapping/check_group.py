"""Whether documents can be posted together as `[group]` says: what the left holds, and which keys its documents have."""

from __future__ import annotations

from koppel.mapping.checking import Check
from koppel.mapping.grouping import JOURNAL, OF_INVOICES, SOURCES, USUAL


def check_group(check: Check, documents: str) -> None:
    """Note what is wrong between a grouping and the entity its documents are."""
    group = check.flow.group
    if group is None:
        return
    if documents not in SOURCES:
        message = f"{group.source} holds {documents or 'no records'}, and only invoices and orders are posted together"
        check.say(check.value("left"), "wrong-documents", message, "leave [group] out")
        return
    if documents == "order" and check.flow.entity == "journal_entry":
        message = "an order tells neither how it was paid nor its VAT, so no journal entry can be made of it"
        check.say(check.value("entity"), "wrong-documents", message, 'write entity = "invoice"')
    for key in group.keys if documents == "order" else ():
        if key in OF_INVOICES and (key == JOURNAL or group.keys != USUAL[group.by]):
            place = (
                check.value("group", "by") if key == JOURNAL else check.value("group", "keys", group.keys.index(key))
            )
            check.say(place, "group-key", f"an order has no {key!r}", 'write by = "day"')
