"""Steps, fields and reasons in the words of somebody who keeps the debtors, not of somebody who builds the software."""

from __future__ import annotations

import re
from collections.abc import Sequence

from koppel.engine.plan import Plan, Planned
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json

FIELDS = {
    "name": "name",
    "kvk": "KVK number",
    "vat_number": "VAT number",
    "address": "address",
    "right:Status": "status",
    "right:Remarks": "remarks",
    "phone": "telephone",
}
_KINDS = {"kvk": "KVK number", "vat": "VAT number"}
_ACTIONS = ("create", "link", "update", "ask", "refuse", "park")


def field(key: str) -> str:
    """A field's name."""
    return FIELDS.get(key, key)


def counted(number: int, one: str, many: str) -> str:
    """`1 question`, `2 questions`."""
    return f"{number} {one if number == 1 else many}"


def value(shown: Json) -> str:
    """A value as it would stand on an envelope."""
    if is_blank(shown):
        return "(empty)"
    if not isinstance(shown, dict):
        return str(shown)
    if shown.get("lines"):
        return ", ".join([*map(str, shown["lines"]), str(shown.get("country", ""))])
    if shown.get("po_box"):
        return f"Postbus {shown['po_box']}, {shown.get('postcode', '')} {shown.get('city', '')}".strip()
    street = " ".join(str(shown[part]) for part in ("street", "number") if shown.get(part))
    if shown.get("suffix"):
        street += f"-{shown['suffix']}"
    town = " ".join(str(shown[part]) for part in ("postcode", "city") if shown.get(part))
    return ", ".join(part for part in (street, town) if part)


def reason(text: str) -> str:
    """A reason in plain words."""
    text = re.sub(r"\b(kvk|vat)\b", lambda found: _KINDS[found[1]], text)
    for technical, plain in (
        ("not there yet: no record carries its keys", "nobody in the books has its numbers"),
        (", shared by several records", "; one of several debtors"),
        ("first contact: different; the left owns it", "differs; the register is leading"),
        ("first contact: empty there", "was empty"),
        ("changed on the right; the left owns it", "edited in the books; the register is leading"),
        ("changed there; no flow owns it, so it stays", "yours: no rule touches it"),
        ("left changed", "changed in the register"),
        ("linked, but now outside the flow: is_active is false, the flow wants true", "ended since; the debtor stays"),
        ("outside the flow: is_active is false, the flow wants true", "ended: no debtor is made for it"),
    ):
        text = text.replace(technical, plain)
    return text[:1].upper() + text[1:]


def problem(told: Problem | None) -> str:
    """A problem, with the vendor's own words where there are any."""
    if told is None:
        return ""
    said = told.vendor_text
    text = reason(told.text)
    return f'{text} They say: "{said}"' if said and said not in text else text


def plan_rows(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """A plan by company: who, what will happen, why, and how many writes it costs."""
    by_company: dict[str, list[Planned]] = {}
    for planned in plan.steps:
        if planned.step.kind != "agree":
            by_company.setdefault(planned.step.left or planned.step.right or "", []).append(planned)
    rows = [_row(number, steps) for number, steps in by_company.items()]
    return tuple(sorted(rows, key=lambda row: (_order(row[1]), row[0])))


def _row(number: str, steps: Sequence[Planned]) -> tuple[str, ...]:
    kinds = [kind for kind in _ACTIONS if any(p.step.kind == kind for p in steps)]
    links = sum(p.step.kind == "link" for p in steps)
    what = " + ".join(f"{kind} {links}" if kind == "link" and links > 1 else kind for kind in kinds)
    why: list[str] = []
    for planned in steps:
        step = planned.step
        if step.kind == "update":
            why += [f"{field(key)}: {reason(text).lower()}" for key, text in step.because.items()]
        elif step.problem is not None:
            why.append(problem(step.problem))
        else:
            why.append(reason(step.because.get("", "")))
    name = next((p.step.label for p in steps if p.step.label), number)
    cost = sum(p.calls for p in steps)
    return name, what, "; ".join(dict.fromkeys(why)), str(cost) if cost else ""


def _order(what: str) -> int:
    return next(
        (
            place
            for place, kind in enumerate(("create", "link", "update", "ask", "park", "refuse"))
            if what.startswith(kind)
        ),
        9,
    )


def price(plan: Plan) -> str:
    """What the plan costs, in calls and euros."""
    asked = [
        f"{look.count} {look.kind} at {look.system.upper()}"
        + (f" (€ {look.euros})" if look.euros not in (None, "0.00") else " (free)")
        for look in plan.look_ups
    ]
    writes = sum(plan.calls.values())
    return f"Looked up: {', '.join(asked) or 'nothing'}. To write: {writes} calls to Exact Online."


def problem_of(body: dict[str, Json]) -> str:
    """What a work list says of a record, with the vendor's own words."""
    told = body.get("problem") or {}
    said, text = told.get("vendor_text"), reason(str(told.get("text", body.get("text", ""))))
    return f'{text} They say: "{said}"' if said and said not in text else text
