"""Hours and costs on projects: drafts and submissions may change, what is final never. HourStatus 1, 2, 10, 20. [enums]"""

from __future__ import annotations

from typing import Any

from koppel.systems.exact.sandbox import selling
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import bare, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

_DRAFT, _SUBMITTED, _FINAL = 1, 10, 20
_MAY_SET = frozenset({_DRAFT, 2, _SUBMITTED})


def _adding(desk: Desk, draft: Draft) -> None:
    values = draft.values
    if not any(values.get(name) for name in ("Account", "Project", "Subscription")):  # one of the three is needed
        raise Refused(500, f"Verplicht: {label('Project')}")
    project = desk.get("project/Projects", values.get("Project"))
    if project is not None and project.get("BlockEntry"):
        raise Refused(500, f"Niet toegestaan: {label('Project')} is geblokkeerd")
    _status(values)
    values["HourStatus"] = values.get("HourStatus") or _SUBMITTED
    values["Date"] = values.get("Date") or desk.today
    values["Account"] = values.get("Account") or (project or {}).get("Account")
    values["EntryNumber"] = values.get("EntryNumber") or desk.books.next_number("hours", 1)
    _price(desk, values)


def _status(values: dict[str, Any]) -> None:
    if values.get("HourStatus") is not None and values["HourStatus"] not in _MAY_SET:
        raise Refused(500, "Ongeldig: Status")


def _price(desk: Desk, values: dict[str, Any]) -> None:
    item = desk.get(selling.ITEMS, values.get("Item")) or {}
    price = values.get("Price")
    price = selling.price(desk, item, values) if price is None else price
    amount = bare(cents(exact(price) * exact(values.get("Quantity"))))
    values |= {"Price": price, "PriceFC": price, "Amount": amount, "AmountFC": amount, "Currency": "EUR"}


def _changing(desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if row["HourStatus"] == _FINAL:
        raise Refused(500, "Niet toegestaan: de uren zijn definitief")  # wording unverified
    _status(values)
    kept = {**row, **values}
    _price(desk, kept)
    values |= {name: kept[name] for name in ("Price", "PriceFC", "Amount", "AmountFC")}


def _removing(_desk: Desk, row: Row) -> None:
    if row["HourStatus"] == _FINAL:
        raise Refused(500, "Niet toegestaan: de uren zijn definitief")


ENTRY = Behaviour(adding=_adding, changing=_changing, removing=_removing)
