"""Stock that is counted, and stock that moves between warehouses: both only when they are processed. Status 12 open, 20 done."""

from __future__ import annotations

from typing import Any

from koppel.systems.exact.sandbox import ledger, stock
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

COUNTS, COUNTED = "inventory/StockCounts", "inventory/StockCountLines"
TRANSFERS, MOVED = "inventory/WarehouseTransfers", "inventory/WarehouseTransferLines"
OPEN, DONE = 12, 20  # unverified


def _counting(desk: Desk, draft: Draft) -> None:
    values = draft.values
    number = desk.books.next_number("count", 1)
    values |= {"Status": OPEN, "StockCountNumber": number, "EntryNumber": number}
    for line in draft.lines["StockCountLines"]:
        item = line.values["Item"]
        if not stock.kept(desk, item):
            raise Refused(500, f"Ongeldig: {label('Item')}")
        here = exact(stock.place(desk, item, values["Warehouse"]).get("CurrentStock"))
        new, change = line.values.get("QuantityNew"), line.values.get("QuantityDifference")
        if new is None and change is None:
            raise Refused(500, f"Verplicht: {label('Quantity')}")
        after = exact(new) if new is not None else here + exact(change)
        shown = {"QuantityInStock": bare(here), "QuantityNew": bare(after), "QuantityDifference": bare(after - here)}
        line.values |= shown | {"Warehouse": values["Warehouse"]}


def _process_count(desk: Desk, draft: Draft) -> Row:
    row = desk.get(COUNTS, draft.values["StockCountID"])
    if row is None or row["Status"] != OPEN:
        raise Refused(500, "Ongeldig: Voorraadtelling")
    ledger.open_period(desk, "80", row["StockCountDate"])
    for line in desk.having(COUNTED, "StockCountID", row["StockCountID"]):
        here = exact(stock.place(desk, line["Item"], row["Warehouse"]).get("CurrentStock"))
        stock.move(
            desk,
            line["Item"],
            row["Warehouse"],
            exact(line["QuantityNew"]) - here,
            row["StockCountDate"],
            against=row.get("OffsetGLInventory") or ledger.account(desk, "7200"),
        )
    desk.change(COUNTS, row["StockCountID"], {"Status": DONE})
    return {**draft.values, "SuccessMessage": f"Voorraadtelling {row['StockCountNumber']} is verwerkt"}


def _transferring(desk: Desk, draft: Draft) -> None:
    values = draft.values
    for name in ("WarehouseFrom", "WarehouseTo"):
        house = desk.get("inventory/Warehouses", values[name])
        if house is None:
            raise Refused(500, f"Ongeldig: {label('Warehouse')}")
        values |= {f"{name}Code": house["Code"], f"{name}Description": house["Description"]}
    for line in draft.lines["WarehouseTransferLines"]:
        if exact(line.values["Quantity"]) <= 0 or not stock.kept(desk, line.values["Item"]):
            raise Refused(500, f"Ongeldig: {label('Quantity')}")
    values |= {"Status": OPEN, "TransferNumber": desk.books.next_number("transfer", 1)}


def _process_transfer(desk: Desk, draft: Draft) -> Row:
    row = desk.get(TRANSFERS, draft.values["TransferID"])
    if row is None or row["Status"] != OPEN:
        raise Refused(500, "Ongeldig: Magazijnoverboeking")
    moment = draft.values.get("TransferDate") or desk.today
    ledger.open_period(desk, "80", moment)
    for line in desk.having(MOVED, "TransferID", row["TransferID"]):
        quantity = exact(line["Quantity"])
        for house, change in ((row["WarehouseFrom"], -quantity), (row["WarehouseTo"], quantity)):
            stock.move(desk, line["Item"], house, change, moment)
    desk.change(TRANSFERS, row["TransferID"], {"Status": DONE, "TransferDate": moment})
    return dict(draft.values)


def _open_only(_desk: Desk, row: Row, _values: dict[str, Any]) -> None:
    if row["Status"] != OPEN:
        raise Refused(500, "Niet toegestaan: al verwerkt")


COUNT = Behaviour(adding=_counting, changing=_open_only, removing=lambda desk, row: _open_only(desk, row, {}))
TRANSFER = Behaviour(adding=_transferring, changing=_open_only, removing=lambda desk, row: _open_only(desk, row, {}))
PROCESS_COUNT = Behaviour(acts=_process_count)
PROCESS_TRANSFER = Behaviour(acts=_process_transfer)
