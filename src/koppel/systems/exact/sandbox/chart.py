"""What a Dutch firm's books hold before the first entry: ledger accounts, VAT codes, journals, terms, items, stock. Made up.

The same in every division, under keys of its own: a reference never fits another division.
"""

from __future__ import annotations

from typing import Any

from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import wall_of

# code, description, type [enums], side, balance or result
_LEDGER = (
    ("0100", "Inventaris", 30, "D", "B"),
    ("0500", "Eigen vermogen", 50, "C", "B"),
    ("0510", "Onverdeeld resultaat", 52, "C", "B"),
    ("1000", "Kas", 10, "D", "B"),
    ("1100", "Bank", 12, "D", "B"),
    ("1200", "Betaaldienst onderweg", 16, "D", "B"),
    ("1300", "Debiteuren", 20, "D", "B"),
    ("1310", "Vooruitontvangen van debiteuren", 21, "C", "B"),
    ("1400", "Nog te verwerken ontvangsten", 26, "D", "B"),
    ("1500", "Af te dragen btw hoog", 24, "C", "B"),
    ("1501", "Af te dragen btw laag", 24, "C", "B"),
    ("1502", "Af te dragen btw overig", 24, "C", "B"),
    ("1510", "Te vorderen btw", 24, "D", "B"),
    ("1520", "Afdracht OSS", 24, "C", "B"),
    ("1600", "Crediteuren", 22, "C", "B"),
    ("1650", "Nog te ontvangen facturen", 27, "C", "B"),
    ("3000", "Voorraad handelsgoederen", 40, "D", "B"),
    ("4000", "Algemene kosten", 121, "D", "W"),
    ("4100", "Huisvestingskosten", 121, "D", "W"),
    ("4200", "Kantoorkosten", 121, "D", "W"),
    ("4300", "Verkoopkosten", 121, "D", "W"),
    ("4400", "Lonen en salarissen", 125, "D", "W"),
    ("4500", "Bank- en betaalkosten", 121, "D", "W"),
    ("4900", "Afrondings- en betalingsverschillen", 120, "D", "W"),
    ("7000", "Kostprijs van de omzet", 111, "D", "W"),
    ("7100", "Prijsverschillen inkoop", 111, "D", "W"),
    ("7200", "Voorraadverschillen", 111, "D", "W"),
    ("8000", "Omzet hoog tarief", 110, "C", "W"),
    ("8010", "Omzet laag tarief", 110, "C", "W"),
    ("8020", "Omzet binnen de EU", 110, "C", "W"),
    ("8030", "Omzet buiten de EU", 110, "C", "W"),
    ("8100", "Omzet diensten", 110, "C", "W"),
    ("8900", "Verzendkosten in rekening", 110, "C", "W"),
)
# code, description, E excluding | I including | B base only | N none, percentage, to pay to, S | P | B, more
_VAT = (
    ("0", "Geen btw", "N", 0.0, None, "B", {}),
    ("1", "Btw laag, inclusief", "I", 0.09, "1501", "B", {}),
    ("2", "Btw laag, exclusief", "E", 0.09, "1501", "B", {}),
    ("3", "Btw hoog, inclusief", "I", 0.21, "1500", "B", {}),
    ("4", "Btw hoog, exclusief", "E", 0.21, "1500", "B", {}),
    ("5", "Btw verlegd binnenland", "B", 0.0, "1502", "S", {}),
    ("6", "Uitvoer buiten de EU", "B", 0.0, "1502", "S", {}),
    ("7", "Levering goederen binnen de EU", "B", 0.0, "1502", "S", {"EUSalesListing": "L", "IntraStat": True}),
    ("8", "Levering diensten binnen de EU", "B", 0.0, "1502", "S", {"EUSalesListing": "D"}),
    ("9", "Vrijgesteld", "N", 0.0, None, "B", {}),
    ("10", "Margeregeling", "N", 0.0, None, "B", {"VatMargin": 1}),
    ("20", "Btw hoog Duitsland, OSS", "E", 0.19, "1520", "S", {"OssCountry": "DE"}),
    ("21", "Btw hoog België, OSS", "E", 0.21, "1520", "S", {"OssCountry": "BE"}),
    ("99", "Btw hoog 19% (vervallen)", "E", 0.19, "1500", "B", {"IsBlocked": True}),
)
# code, description, type [enums], ledger account, VAT allowed
JOURNALS = (
    ("10", "Kas", 10, "1000", False),
    ("20", "Bank", 12, "1100", False),
    ("21", "Betaaldienst", 16, "1200", False),
    ("60", "Inkoopboek", 22, "1600", True),
    ("70", "Verkoopboek", 20, "1300", True),
    ("80", "Voorraadboek", 90, None, False),
    ("90", "Memoriaal", 90, None, True),
    ("91", "Memoriaal zonder btw", 90, None, False),
)
_TERMS = (
    ("00", "Contant", 0, "K"),
    ("08", "Binnen 8 dagen", 8, "B"),
    ("14", "Binnen 14 dagen", 14, "B"),
    ("30", "Binnen 30 dagen", 30, "B"),
    ("IN", "Automatische incasso", 14, "I"),
)
_UNITS = (("stuk", "Stuk"), ("doos", "Doos"), ("kg", "Kilogram"), ("uur", "Uur"))
# code, description, kept in stock, price, cost, VAT code, revenue, unit, in stock, reorder point, reorder quantity
_ITEMS = (
    ("A-100", "Broodtrommel staal", True, 24.95, 11.20, "4", "8000", "stuk", 40, 10, 25),
    ("A-110", "Broodtrommel kunststof", True, 9.95, 3.85, "4", "8000", "stuk", 120, 30, 60),
    ("A-200", "Thermoskan 1 liter", True, 34.50, 17.40, "4", "8000", "stuk", 15, 12, 24),
    ("B-100", "Roggebrood 500 g", True, 2.79, 1.10, "2", "8010", "stuk", 200, 50, 100),
    ("B-200", "Ontbijtkoek naturel", True, 1.99, 0.84, "2", "8010", "doos", 8, 20, 48),
    ("C-300", "Bakkersmeel 25 kg", True, 18.60, 9.95, "2", "8010", "kg", 60, 25, 100),
    ("U-100", "Adviesuur", False, 95.00, 0.0, "4", "8100", "uur", 0, 0, 0),
    ("VERZEND", "Verzendkosten", False, 6.95, 0.0, "4", "8900", "stuk", 0, 0, 0),
)
_COST_CENTRES = (("100", "Winkel"), ("200", "Webwinkel"), ("300", "Magazijn"), ("400", "Kantoor"))
_COST_UNITS = (("NL", "Nederland"), ("EU", "Europa"))
_PROJECTS = (("P-001", "Verbouwing winkel", 3), ("P-002", "Onderhoud machines", 2))
_DOCUMENT_TYPES = ((10, "Verkoopfactuur"), (20, "Inkoopfactuur"), (55, "Overig document"))
_EMPLOYEES = (("Sanne", "de Wit"), ("Bram", "Kuiper"))


def fill(desk: Desk, year_now: int) -> None:
    """Enter it all; `year_now` is the book year the firm is in."""
    for code, title, type_, side, kind in _LEDGER:
        values = {"Code": code, "Description": title, "Type": type_, "BalanceSide": side, "BalanceType": kind}
        desk.add("financial/GLAccounts", values | {"Matching": type_ in {20, 22}})
    _years(desk, year_now)
    _vat(desk)
    for code, title, type_, account, allows in JOURNALS:
        desk.add(
            "financial/Journals",
            {"Code": code, "Description": title, "Type": type_, "AllowVAT": allows, "Currency": "EUR"}
            | ({"GLAccount": _ledger(desk, account), "GLAccountType": type_} if account else {}),
        )
    for code, title, days, method in _TERMS:
        values = {"Code": code, "Description": title, "PaymentDays": days, "PaymentMethod": method, "Percentage": 1.0}
        desk.add("cashflow/PaymentConditions", values)
    for path, pairs in (("hrm/Costcenters", _COST_CENTRES), ("hrm/Costunits", _COST_UNITS)):
        for code, title in pairs:
            desk.add(path, {"Code": code, "Description": title, **({"Active": True} if "center" in path else {})})
    for code, title, type_ in _PROJECTS:
        desk.add("project/Projects", {"Code": code, "Description": title, "Type": type_})
    for number, title in _DOCUMENT_TYPES:
        desk.add("documents/DocumentTypes", {"ID": number, "Description": title, "DocumentIsCreatable": True})
    for code, title in (("EUR", "Euro"), ("USD", "Amerikaanse dollar")):
        desk.add("general/Currencies", {"Code": code, "Description": title})
    for number, (first, last) in enumerate(_EMPLOYEES, start=1):
        desk.add(
            "payroll/Employees",
            {"Code": str(number), "FirstName": first, "LastName": last, "FullName": f"{first} {last}"},
        )
    desk.add("salesinvoice/Layouts", {"Subject": "Standaardfactuur", "Type": 1})
    _goods(desk)


def _years(desk: Desk, year_now: int) -> None:
    """Last year, this one and the next, a period for each month."""
    for year in (year_now - 1, year_now, year_now + 1):
        for month in range(1, 13):
            following = (year, month + 1) if month < 12 else (year + 1, 1)
            days = {"StartDate": wall_of(year, month, 1), "EndDate": wall_of(*following, 1) - 86_400_000}
            desk.add("financial/FinancialPeriods", {"FinYear": year, "FinPeriod": month, **days})


def _vat(desk: Desk) -> None:
    for code, title, type_, part, to_pay, use, more in _VAT:
        accounts = {} if to_pay is None else {"GLToPay": _ledger(desk, to_pay), "GLToClaim": _ledger(desk, "1510")}
        values: Row = {"Code": code.ljust(3), "Description": title, "Type": type_, "Percentage": part, "Country": "NL "}
        row = desk.add("vat/VATCodes", values | {"VATTransactionType": use, "Charged": False} | accounts | more)
        values = {
            "VATCodeID": row["ID"],
            "LineNumber": 1,
            "Percentage": part,
            "Type": 0,
            "StartDate": wall_of(2019, 1, 1),
        }
        desk.add("vat/VatPercentages", values)


def _goods(desk: Desk) -> None:
    for code, title in _UNITS:
        desk.add("logistics/Units", {"Code": code.ljust(8), "Description": title, "Active": True})
    group = desk.add(
        "logistics/ItemGroups",
        {
            "Code": "HANDEL",
            "Description": "Handelsgoederen",
            "IsDefault": 1,
            "GLRevenue": _ledger(desk, "8000"),
            "GLCosts": _ledger(desk, "7000"),
            "GLStock": _ledger(desk, "3000"),
            "GLPurchaseAccount": _ledger(desk, "1650"),
            "GLPurchasePriceDifference": _ledger(desk, "7100"),
        },
    )
    first, second = (
        desk.add("inventory/Warehouses", {"Code": code, "Description": title, "Main": main})
        for code, title, main in (("1", "Hoofdmagazijn", 1), ("2", "Buitenmagazijn", 0))
    )
    for code, title, kept, price, cost, vat, revenue, unit, stock, point, quantity in _ITEMS:
        item = desk.add(
            "logistics/Items",
            {
                "Code": code,
                "Description": title,
                "ItemGroup": group["ID"],
                "IsSalesItem": True,
                "IsStockItem": kept,
                "IsPurchaseItem": kept,
                "IsWebshopItem": 1,
                "Unit": unit.ljust(8),
                "SalesVatCode": vat.ljust(3),
                "GLRevenue": _ledger(desk, revenue),
                "GLCosts": _ledger(desk, "7000"),
                "GLStock": _ledger(desk, "3000"),
                "StandardSalesPrice": price,
                "CostPriceStandard": cost,
                "CostPriceCurrency": "EUR",
                "StartDate": wall_of(2020, 1, 1),
                "Stock": float(stock),
            },
        )
        prices: dict[str, Any] = {"Item": item["ID"], "Price": price, "Currency": "EUR", "Quantity": 1.0}
        desk.add("logistics/SalesItemPrices", prices | {"Unit": unit.ljust(8), "StartDate": wall_of(2020, 1, 1)})
        if kept:
            for house, here in ((first, stock), (second, 0)):
                desk.add(
                    "inventory/ItemWarehouses",
                    {
                        "Item": item["ID"],
                        "Warehouse": house["ID"],
                        "CurrentStock": float(here),
                        "ProjectedStock": float(here),
                        "ReorderPoint": float(point),
                        "ReorderQuantity": float(quantity),
                        "OrderPolicy": 2,
                        "ReplenishmentType": 1,
                    },
                )


def _ledger(desk: Desk, code: str) -> str:
    row = desk.one("financial/GLAccounts", "Code", code)
    assert row is not None, code
    return row["ID"]
