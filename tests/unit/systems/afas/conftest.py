"""A small Profit of the test's own: it answers GetConnectors from lists, to the letter of what a test arranges."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from koppel.systems.afas import resources
from koppel.systems.afas.settings import Settings
from koppel.systems.spi import NoReply, Query, Response, Site, drive

NOON = 1_795_518_000.0  # 2026-11-24 12:00 in Amsterdam
TOKEN = "AD2D42B854E2809D19A89EC3D56A6F57"


class Profit:
    """`tables`: rows by connector. `replies`: given out first, one by one. `writes`: the bodies that were sent."""

    def __init__(self):
        self.tables = {"Profit_Debtor": [], "Profit_OrgPer": []}
        self.calls, self.writes, self.replies = [], [], {}

    def answer(self, call):
        self.calls.append(call)
        parts = urlsplit(call.request.url)
        name = parts.path.rsplit("/", 1)[1]
        queue = self.replies.get((call.request.method, name)) or self.replies.get(name)
        if call.request.method != "GET":
            self.writes.append((call.request.method, name, json.loads(call.request.body)))
        if queue:
            reply = queue.pop(0)
            return reply(self) if callable(reply) else reply
        if call.request.method != "GET":
            return Response(201)
        asked = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return self.page(self.tables[name], asked)

    @staticmethod
    def page(rows, asked):
        def number(value):
            return "" if value is None else str(value).removesuffix("Z")

        def holds(row, field, operator, value):
            shown = number(row[field])
            return {"1": shown == value, "2": shown >= value, "4": shown > value}[operator]

        if "filterfieldids" in asked:
            groups = zip(
                *(asked[key].split(";") for key in ("filterfieldids", "operatortypes", "filtervalues")), strict=True
            )
            tests = [list(zip(*(part.split(",") for part in group), strict=True)) for group in groups]
            rows = [row for row in rows if any(all(holds(row, *test) for test in group) for group in tests)]
        for field in reversed(asked["orderbyfieldids"].split(",")):
            rows = sorted(rows, key=lambda row: number(row[field.lstrip("-")]), reverse=field.startswith("-"))
        skip, take = int(asked["skip"]), int(asked["take"])
        return Response(200, {}, json.dumps({"skip": skip, "take": take, "rows": rows[skip : skip + take]}).encode())

    # --- what a test arranges ---

    @staticmethod
    def debtor(number, stamp="2026-11-24T09:00:00Z", **columns):
        return {
            "DebtorId": str(number),
            "DebtorName": f"Firma {number}",
            "BcCo": f"7{number}",
            "AdressLine1": f"Dorpsstraat {number}",
            "AdressLine3": "1034 WL Amsterdam",
            "AdressLine4": None,
            "TelNr": None,
            "Email": None,
            "VatNr": None,
            "ChOfCommNr": None,
            "Blocked": False,
            "ModifiedDate": stamp,
        } | columns

    @staticmethod
    def refusal(text, status=500):
        told = {"externalMessage": text, "errorNumber": -2147180996, "profitLogReference": "0A" * 16}
        return Response(status, {}, json.dumps(told).encode())

    # --- what a test asks ---

    def site(self, *, as_of=NOON, own=(), **settings):
        made = Settings(member="12345", token=TOKEN, **settings)
        return Site(connection="profit", settings=made, facts={}, as_of=as_of, own=own)

    def run(self, exchange):
        return drive(exchange, self.answer)

    def read(self, cursor=None, *, size=None, between=None, **site):
        """List to the end: (items, last cursor, pages)."""
        items, number, query = [], 0, Query(cursor=cursor, size=size)
        while True:
            page = self.run(resources.pages(self.site(**site), query))
            items += page.items
            number += 1
            if page.next is None:
                return items, page.cursor, number
            if between:
                between(number)
            query = Query(cursor=cursor, next=page.next, size=size)

    def kinds(self):
        found = [call.kind for call in self.calls]
        self.calls.clear()
        return found


@pytest.fixture
def profit():
    return Profit()


@pytest.fixture
def silence():
    return NoReply("nothing came back")
