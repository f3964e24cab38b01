"""Money a plan would move: what the documents it makes come to, and by how much it changes those there are. Never converted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from koppel.mapping.flow import Flow
from koppel.model.documents import DOCUMENTS
from koppel.model.values import Json
from koppel.sync.steps import Step

UNKNOWN = ""  # the currency of a document that names none


def moved(flow: Flow, steps: Iterable[Step]) -> dict[str, Decimal]:
    """Per currency, the amounts of documents created and the differences made to existing ones, without sign: what is credited
    moves money too."""
    sums: dict[str, Decimal] = {}
    if flow.entity not in DOCUMENTS:
        return sums
    for step in steps:
        if step.kind not in ("create", "update"):
            continue
        values, before = _by_path(step.values), _by_path(step.before)
        amount = _amount(values)
        difference = abs(amount - (_amount(before) or Decimal(0))) if amount is not None else Decimal(0)
        currency = str(values.get("currency") or before.get("currency") or UNKNOWN)
        if difference:
            sums[currency] = sums.get(currency, Decimal(0)) + difference
    return sums


def _by_path(values: Mapping[str, Json]) -> dict[str, Json]:
    """By canonical path: `right:total` is the total as well."""
    return {
        key.partition(":")[2] if key.startswith(("left:", "right:")) else key: value for key, value in values.items()
    }


def _amount(values: Mapping[str, Json]) -> Decimal | None:
    """What a document comes to: its total, else the sum of its lines (of a journal entry: its debits); None when neither is
    written."""
    total = _decimal(values.get("total"))
    if total is not None:
        return total
    lines = values.get("lines")
    if not isinstance(lines, (list, tuple)):
        return None
    amounts = [_decimal(line.get("debit", line.get("amount"))) for line in lines if isinstance(line, Mapping)]
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _decimal(value: Json) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
