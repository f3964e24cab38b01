"""A client that knows nothing but HTTP, for the tests of the sandbox's parts."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from koppel.systems.exact.sandbox import ExactSandbox, make
from koppel.systems.sandbox_spi import World
from koppel.systems.spi import Request, Response

HOST = "http://vendor.example/exact"
START = 1_790_000_000.0  # 2026-09-21 16:13:20 in Amsterdam


class Clerk:
    """Signed in and without limits; `division` is the one worked in."""

    def __init__(self, seed: int = 1) -> None:
        self.time = START
        self.sandbox = make(World(seed, (), lambda: self.time))
        assert isinstance(self.sandbox, ExactSandbox)
        self.token = self.control("refresh_token", age=0)["access_token"]
        self.control("settings", minute_limit=10**9, day_limit=10**9, error_limit=10**9)
        self.division = 123456

    def call(
        self, method: str, path: str, query: dict[str, Any] | str = "", sent: Any = None, **headers: str
    ) -> Response:
        text = query if isinstance(query, str) else urlencode(query, quote_via=quote)
        where = path if path.startswith(("current/", "beta/")) else f"{self.division}/{path}"
        url = f"{HOST}/api/v1/{where}" + (f"?{text}" if text else "")
        given = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = b"" if sent is None else json.dumps(sent).encode()
        return self.sandbox.handle(f"/api/v1/{where}", Request(method, url, given, raw))

    def get(self, path: str, **query: Any) -> Any:
        """`select="ID"` is `$select=ID`; a name with an underscore before it is sent as it is."""
        words = {(name[1:] if name.startswith("_") else f"${name}"): str(value) for name, value in query.items()}
        reply = self.call("GET", path, words)
        assert reply.status == 200, (reply.status, reply.body)
        return json.loads(reply.body)["d"]

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        found = self.get(path, **query)
        return found if isinstance(found, list) else found["results"]

    def follow(self, url: str) -> Any:
        parts = urlsplit(url)
        path = parts.path.removeprefix("/exact/api/v1/")
        reply = self.sandbox.handle(
            f"/api/v1/{path}",
            Request("GET", url, {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}, b""),
        )
        assert reply.status == 200, reply.body
        return json.loads(reply.body)["d"]

    def post(self, path: str, **values: Any) -> dict[str, Any]:
        reply = self.call("POST", path, sent=values)
        assert reply.status == 201, (reply.status, reply.body)
        return json.loads(reply.body)["d"]

    def put(self, path: str, key: str, **values: Any) -> None:
        reply = self.call("PUT", f"{path}(guid'{key}')", sent=values)
        assert reply.status == 204, (reply.status, reply.body)

    def refused(self, method: str, path: str, **values: Any) -> tuple[int, str]:
        reply = self.call(method, path, sent=values or None)
        assert reply.status >= 400, reply.body
        return reply.status, json.loads(reply.body)["error"]["message"]["value"]

    def control(self, action: str, **given: Any) -> Any:
        return self.sandbox.control(action, given)

    def code(self, path: str, code: str) -> dict[str, Any]:
        """The record of a code."""
        return self.control("rows", resource=path, division=getattr(self, "division", 123456), code=code)["rows"][0]

    def customer(self, **values: Any) -> str:
        return self.post("crm/Accounts", **({"Name": "Klant B.V.", "Status": "C"} | values))["ID"]

    def supplier(self, **values: Any) -> str:
        return self.post("crm/Accounts", **({"Name": "Leverancier B.V.", "IsSupplier": True} | values))["ID"]

    def item(self, code: str = "A-100") -> str:
        return self.code("logistics/Items", code)["ID"]

    def ledger(self, code: str) -> str:
        return self.code("financial/GLAccounts", code)["ID"]

    def invoice(self, **values: Any) -> dict[str, Any]:
        """A processed sales invoice of 60.38."""
        lines = [{"Item": self.item(), "Quantity": 2}]
        sent = {"OrderedBy": values.pop("OrderedBy", None) or self.customer(), "SalesInvoiceLines": lines} | values
        made = self.post("salesinvoice/SalesInvoices", **sent)
        self.post("salesinvoice/PrintedSalesInvoices", InvoiceID=made["InvoiceID"])
        return self.get(f"salesinvoice/SalesInvoices(guid'{made['InvoiceID']}')")

    def booked(self, entry: str) -> list[tuple[str, float]]:
        rows = self.rows("financialtransaction/TransactionLines", filter=f"EntryID eq guid'{entry}'")
        return sorted((row["GLAccountCode"], row["AmountDC"]) for row in rows)

    def receivables(self) -> list[tuple[int, float]]:
        return [(row["InvoiceNumber"], row["Amount"]) for row in self.rows("read/financial/ReceivablesList")]


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


@pytest.fixture(scope="module")
def reader() -> Clerk:
    """One for all tests of a module, which must leave it as it is."""
    made = Clerk()
    made.control("settings", mandatory_filter=False)
    return made
