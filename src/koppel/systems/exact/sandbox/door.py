"""An imitation of Exact Online's REST API: sign-in, divisions, accounts, their sync and bulk twins, limits and refusals.

Written from the vendor's documentation and recorded answers, without any code of the client it tests. What the sources
do not tell is marked `unverified`; where it matters a setting chooses (`control("settings", …)`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl, quote, unquote

from koppel.model.values import Json
from koppel.systems.exact.sandbox import papers
from koppel.systems.exact.sandbox.books import ACCOUNTS, essence
from koppel.systems.exact.sandbox.control import control
from koppel.systems.exact.sandbox.rest import Ask, Rest
from koppel.systems.exact.sandbox.state import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, WEBHOOK_SECRET, begin
from koppel.systems.sandbox_spi import Outgoing, Sandbox, World
from koppel.systems.spi import Request, Response

LONGEST_URL = 6000  # [audit §2]
_API = re.compile(r"/api/v1/(?:(beta/)?(\d{1,9})/)?(.+?)/?")


def make(world: World) -> Sandbox:
    """The imitation, seeded from the world."""
    return ExactSandbox(world)


class ExactSandbox:
    """The door; see `Sandbox`."""

    name = "exact"
    base_path = "/exact"

    def __init__(self, world: World) -> None:
        self.state = begin(world)
        self.rest = Rest(self.state)

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        address, _, query = request.url.partition("?")
        path = unquote(path.partition("?")[0])
        now = self.state.now()
        if len(request.url) > LONGEST_URL:  # 404 or 414 (unverified)
            return Response(414)
        if path == "/api/oauth2/auth" and request.method == "GET":
            return self.state.sign_in.authorise(query, now)
        if path == "/api/oauth2/token" and request.method == "POST":
            return self.state.sign_in.token(request, headers, now)
        if path == "/docs/SysAttachment.aspx" and request.method == "GET":
            return self._file(query, headers, now)
        match = _API.fullmatch(path)
        if match is None:
            return Response(404, {"content-type": "text/plain"}, b"Not found")
        beta, division = match.group(1) or "", None if match.group(2) is None else int(match.group(2))
        asked = beta + match.group(3)
        endpoint = re.sub(r"\(.*", "", asked).casefold()
        if not self.state.sign_in.admits(headers.get("authorization", ""), now):
            return self._unauthorised(division, endpoint, now)
        root = address.partition("/api/v1")[0] + "/api/v1"
        self.state.outbox.root = root
        ask = Ask(request, headers, root, asked, query)
        if division is None:
            return self.rest.outside(ask)
        limits = self.state.limits
        refused = limits.admit(division, endpoint, now)
        if refused is not None:
            return refused
        response = self.rest.answer(replace(ask, root=f"{root}/{beta}{division}", division=division))
        limits.note(division, endpoint, response.status, now)
        return Response(response.status, {**limits.headers(division, now), **response.headers}, response.body)

    def _file(self, query: str, headers: dict[str, str], now: float) -> Response:
        """An attached file, with the same sign-in. [chef]"""
        if not self.state.sign_in.admits(headers.get("authorization", ""), now):
            return self._unauthorised(None, "", now)
        granted = [books for number, books in self.state.books.items() if number in self.state.scope]
        found = papers.content(granted, dict(parse_qsl(query)).get("ID", "").strip("{}").lower())
        if found is None:
            return Response(404, {"content-type": "text/plain"}, b"Not found")
        name = {"content-disposition": f"attachment; filename*=UTF-8''{quote(found[0])}"}
        return Response(200, {"content-type": "application/octet-stream", **name}, found[1])

    def _unauthorised(self, division: int | None, endpoint: str, now: float) -> Response:
        """401 as plain text, or sometimes as a page that points to the login. [picqer #343]"""
        if division is not None:
            self.state.limits.note(division, endpoint, 401, now)
        if self.state.html_401:
            body = (
                "<html><head><title>Object moved</title></head><body><h2>Object moved to "
                '<a href="/docs/Login.aspx?ReturnUrl=%2fapi%2fv1">here</a>.</h2></body></html>'
            )
            return Response(401, {"content-type": "text/html; charset=utf-8"}, body.encode())
        return Response(401, {"content-type": "text/plain"}, b"Unauthorized")

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something a person or the vendor would do. Raises ValueError for an unknown action or a bad body."""
        return control(self.state, action, body)

    def outgoing(self) -> tuple[Outgoing, ...]:
        """Webhooks that are due; each is to be sent and its answer told."""
        return tuple(
            Outgoing(parcel.number, Request("POST", parcel.url, _headers(parcel.body), parcel.body))
            for parcel in self.state.outbox.due(self.state.now())
        )

    def answered(self, number: int, status: int | None) -> None:
        """How a receiver answered; None when it did not."""
        self.state.arrived(number, status)

    def contract(self, base_url: str) -> dict[str, Json]:
        """What a client needs to connect; the code is new each time and lives three minutes."""
        return {
            "base_url": base_url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": REDIRECT_URI,
            "webhook_secret": WEBHOOK_SECRET,
            "authorization_code": self.state.sign_in.new_code(self.state.now()),
            "refresh_token": self.state.seed_refresh,
            "divisions": sorted(self.state.scope),
        }

    def snapshot(self) -> Json:
        """All records and what was deleted, without the stamps that only say when."""
        return {
            str(number): {
                "accounts": [essence(books.accounts.rows[id_]) for id_ in books.accounts.ids],
                "records": {
                    path: [essence(records.rows[key]) for key in records.ids]
                    for path, records in sorted(books.stores.items())
                    if path != ACCOUNTS and records.ids
                },
                "closed": sorted(map(list, books.closed)),
                "deleted": sorted(row["EntityKey"] for row in books.deleted),
            }
            for number, books in sorted(self.state.books.items())
        }


def _headers(body: bytes) -> dict[str, str]:
    return {"content-type": "application/json"} if body else {"content-length": "0"}
