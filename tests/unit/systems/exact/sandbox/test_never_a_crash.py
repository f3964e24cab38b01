"""Whatever is asked or sent, of any resource: an answer, and a refusal leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koppel.systems.exact.sandbox.table import entities

PATHS = sorted(path for path, one in entities().items() if not one.site and not path.startswith("beta/"))
NOBODY = "00000000-0000-4000-8000-000000000000"
_OPTIONS = st.dictionaries(
    st.sampled_from(
        ["$filter", "$select", "$expand", "$orderby", "$top", "$skip", "$skiptoken", "$inlinecount", "itemId"]
    ),
    st.sampled_from(
        [
            "ID ne null",
            "Timestamp gt 5L",
            "ID",
            "ID desc",
            "Code",
            "*",
            "5",
            f"guid'{NOBODY}'",
            "5L",
            "'x'",
            "null",
            "allpages",
        ]
    )
    | st.text(max_size=6),
    max_size=4,
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 50)
    | st.floats(-1e6, 1e6)
    | st.sampled_from(["", "4", "70", "90", "20", "60", "EUR", "2026-09-01", NOBODY, "x"])
)
_TYPED = {
    "Guid": st.sampled_from([NOBODY, None]),
    "DateTime": st.sampled_from(["2026-09-01", "2026-09-20T10:00:00", "2031-01-01", None]),
    "Boolean": st.booleans(),
    "Double": st.sampled_from([1, 2.5, 0, -1, 100, 0.1, 24.95]),
    "String": st.sampled_from(["", "x", "70", "90", "4", "EUR", None]),
    "Byte": st.sampled_from([0, 1]),
    "Int16": st.sampled_from([1, 9, 8033, 2026]),
    "Int32": st.sampled_from([1, 0, 8020, 8021, 8030, 2026, 26700001]),
    "Int64": st.sampled_from([1, "5"]),
}
_WRITES = sorted(path for path in PATHS if "POST" in entities()[path].methods)
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(
    path=st.sampled_from(PATHS),
    options=_OPTIONS,
    key=st.sampled_from(["", "", f"(guid'{NOBODY}')", "(5L)", "('x')", "(1,2)"]),
)
def test_any_question_is_answered(reader, path: str, options: dict[str, str], key: str):
    assert reader.call("GET", path + key, options).status in {200, 400, 404, 405}


def _body(data: Any, path: str, known: dict[str, str], depth: int = 0) -> dict[str, Any]:
    """A body with names that exist and, often, values that could be."""
    one = entities()[path]
    names = [name for name, found in one.properties.items() if found.posts]
    chosen = set(data.draw(st.lists(st.sampled_from(names), max_size=6))) if names else set()
    chosen |= {name for name, found in one.properties.items() if found.mandatory and data.draw(st.integers(0, 9))}
    made: dict[str, Any] = {}
    for name in sorted(chosen):
        found = one.properties[name]
        if found.is_collection:
            inner = next(
                (p for p in PATHS if p.rpartition("/")[2] == found.type and not p.startswith(("sync/", "bulk/"))), None
            )
            count = data.draw(st.integers(0, 2)) if inner and depth == 0 else 0
            made[name] = [_body(data, inner or path, known, 1) for _ in range(count)]
        elif name in known and data.draw(st.integers(0, 9)):
            made[name] = known[name] if not path.startswith("purchase") or name != "Journal" else "60"
        elif data.draw(st.integers(0, 29)) and found.type in _TYPED:
            made[name] = data.draw(_TYPED[found.type])
        else:
            made[name] = data.draw(_SCALARS)
    return made


@pytest.fixture(scope="module")
def known(reader) -> dict[str, str]:
    supplier = reader.post("crm/Accounts", Name="Allebei", IsSupplier=True, Status="C")["ID"]
    lines = [{"Item": reader.item(), "Quantity": 5}]
    sale = reader.post("salesorder/SalesOrders", OrderedBy=supplier, SalesOrderLines=lines)
    lines = [{"Item": reader.item(), "QuantityInPurchaseUnits": 5}]
    buy = reader.post("purchaseorder/PurchaseOrders", Supplier=supplier, PurchaseOrderLines=lines)
    made = reader.post("salesinvoice/SalesInvoices", OrderedBy=supplier, SalesInvoiceLines=[{"Item": reader.item()}])
    return {
        **dict.fromkeys(("Account", "Supplier", "Customer", "OrderedBy", "InvoiceTo", "OrderAccount"), supplier),
        "Item": reader.item(),
        "GLAccount": reader.ledger("4000"),
        "Warehouse": reader.code("inventory/Warehouses", "1")["ID"],
        "SalesOrderLineID": sale["SalesOrderLines"]["results"][0]["ID"],
        "OrderID": sale["OrderID"],
        "PurchaseOrderLineID": buy["PurchaseOrderLines"]["results"][0]["ID"],
        "PurchaseOrderLine": buy["PurchaseOrderLines"]["results"][0]["ID"],
        "PurchaseOrderID": buy["PurchaseOrderID"],
        "InvoiceID": made["InvoiceID"],
        "VATCode": "4",
        "Journal": "70",
        "JournalCode": "90",
        "Currency": "EUR",
        "PaymentCondition": "14",
        "CostCenter": "100",
        "DeliveryDate": "2026-09-01",
        "ReceiptDate": "2026-09-01",
    }


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_any_body_is_answered_and_what_is_refused_leaves_nothing(reader, known: dict[str, str], data: Any):
    path = data.draw(st.sampled_from(_WRITES))
    body = _body(data, path, known)
    before = reader.sandbox.snapshot()
    reply = reader.call("POST", path, sent=body)
    assert reply.status in {201, 400, 500}
    if reply.status != 201:
        assert reader.sandbox.snapshot() == before


_DOCUMENTS = sorted(
    path
    for path in _WRITES
    if path.startswith(("salesinvoice/", "salesorder/", "purchase", "general", "financialtrans", "salesentry/"))
)


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_any_document_is_answered_and_what_is_refused_leaves_nothing(reader, known: dict[str, str], data: Any):
    path = data.draw(st.sampled_from(_DOCUMENTS))
    body = _body(data, path, known)
    before = reader.sandbox.snapshot()
    reply = reader.call("POST", path, sent=body)
    assert reply.status in {201, 400, 500}
    if reply.status != 201:
        assert reader.sandbox.snapshot() == before
