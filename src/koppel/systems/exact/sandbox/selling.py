"""What sales orders and sales invoices have in common: lines filled in from the item and priced, and the totals above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox import vat
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Refused, label
from koppel.systems.exact.sandbox.vat import Taxed

ITEMS = "logistics/Items"


def customer(desk: Desk, values: dict[str, Any]) -> None:
    """Fill in what the customer brings: to whom it is sent and billed, and when it must be paid. Raises Refused."""
    buyer = desk.get("crm/Accounts", values.get("OrderedBy"))
    if buyer is None:
        raise Refused(500, f"Verplicht: {label('OrderedBy')}")
    if buyer.get("Blocked"):
        raise Refused(500, f"Niet toegestaan: {label('OrderedBy')} is geblokkeerd")  # wording unverified
    currency(desk, values)
    payer = desk.get("crm/Accounts", values.get("InvoiceTo")) or buyer
    values.setdefault("InvoiceTo", payer["ID"])
    values.setdefault("DeliverTo", buyer["ID"])
    values["InvoiceTo"] = values["InvoiceTo"] or payer["ID"]
    values["DeliverTo"] = values["DeliverTo"] or buyer["ID"]
    if not values.get("PaymentCondition"):
        values["PaymentCondition"] = payer.get("PaymentConditionSales") or "30"
    if values.get("OrderDate") is None:
        values["OrderDate"] = desk.today


def currency(desk: Desk, values: dict[str, Any]) -> None:
    """These books are kept in euros and know no other. Raises Refused."""
    if (values.get("Currency") or "EUR") != "EUR":
        raise Refused(500, "Ongeldig: Valuta")
    values["Currency"] = "EUR"


def complete(desk: Desk, head: Mapping[str, Any], values: dict[str, Any], sign: int = 1) -> Taxed:
    """Fill in a line from its item and reckon it; `sign` is -1 on a credit note. Raises Refused."""
    item = desk.get(ITEMS, values.get("Item"))
    if item is None:
        raise Refused(500, f"Verplicht: {label('Item')}")
    if values.get("Quantity") is None:
        values["Quantity"] = 1.0
    if not values.get("Description"):
        values["Description"] = item["Description"]
    if not values.get("VATCode"):
        payer = desk.get("crm/Accounts", head.get("InvoiceTo")) or {}
        values["VATCode"] = payer.get("SalesVATCode") or item.get("SalesVatCode")
        if item.get("SalesVatCode") and vat.rate(vat.code_of(desk, values["VATCode"])):
            values["VATCode"] = item["SalesVatCode"]  # whose VAT is charged at all pays the item's
    if values.get("GLAccount") is None:
        values["GLAccount"] = item.get("GLRevenue")
    if not values.get("UnitCode"):
        values["UnitCode"] = item.get("Unit")
    discount = exact(values.get("Discount"))
    if values.get("UnitPrice") is None:
        net_price = values.get("NetPrice")
        values["UnitPrice"] = price(desk, item, values) if net_price is None else net_price
        if net_price is not None:
            discount = ZERO
    if values.get("NetPrice") is None or discount:
        values["NetPrice"] = bare(exact(values["UnitPrice"]) * (1 - discount))
    code = vat.code_of(desk, values.get("VATCode"))
    header = 1 - exact(head.get("Discount"))
    quantity = exact(values["Quantity"])
    amount = quantity * exact(values["NetPrice"]) * header
    found = vat.taxed(code, -abs(amount) if sign < 0 else amount)
    show(values, found)
    return found


def show(values: dict[str, Any], found: Taxed) -> None:
    """Write a line's amounts into it: without VAT, as the vendor shows them. [dotnet fixture]"""
    values |= {
        "AmountFC": bare(found.net),
        "AmountDC": bare(found.net),
        "VATAmountFC": bare(found.vat),
        "VATAmountDC": bare(found.vat),
        "VATAmount": bare(found.vat),
        "VATPercentage": bare(vat.rate(found.code)),
    }


def price(desk: Desk, item: Row, values: Mapping[str, Any]) -> float:
    """The price of an item that day: the most demanding quantity that fits; nought when it has none."""
    today, quantity = desk.today, values.get("Quantity") or 0
    fits = [
        row
        for row in desk.having("logistics/SalesItemPrices", "Item", item["ID"])
        if row.get("Account") is None
        and (row.get("StartDate") or 0) <= today
        and (row.get("EndDate") or today) >= today
        and (row.get("Quantity") or 0) <= abs(quantity)
    ]
    best = max(fits, key=lambda row: (row.get("Quantity") or 0, row.get("StartDate") or 0), default=None)
    return float((best or item).get("Price") or item.get("StandardSalesPrice") or 0.0)


def of_line(desk: Desk, row: Mapping[str, Any]) -> Taxed:
    """A stored line's amounts."""
    code = desk.one(vat.CODES, "Code", row.get("VATCode")) or {}
    return Taxed(code, exact(row.get("AmountFC")), exact(row.get("VATAmountFC") or row.get("VATAmount")))


def totals(parts: Sequence[Taxed], how: str) -> Row:
    """What stands above the lines: the amount including VAT, without, and the VAT."""
    found = vat.rounded(parts, how)
    net: Decimal = sum((part.net for part in found), ZERO)
    tax: Decimal = sum((part.vat for part in found), ZERO)
    return {
        "AmountFC": bare(net + tax),
        "AmountDC": bare(net + tax),
        "AmountFCExclVat": bare(net),
        "VATAmountFC": bare(tax),
        "VATAmountDC": bare(tax),
    }
