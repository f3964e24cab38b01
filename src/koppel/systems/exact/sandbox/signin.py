"""The sign-in of Exact: codes, rotating refresh tokens, and every refusal on the way. [KB-limits, chef, picqer #300 #644]

Tokens are opaque text, the same for the same seed and order of calls. Time is an argument.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from koppel.systems.exact.sandbox.rules import AMSTERDAM
from koppel.systems.spi import Request, Response

CODE_LIFE = 180.0
ACCESS_LIFE = 600.0
REFRESH_AFTER = 570.0
REFRESH_LIFE = 30 * 86_400.0
TOKEN_CALLS_A_DAY = 200  # per app and user [forums.invantive.com 3507]


@dataclass
class _Grant:
    """One consent and the chain of tokens that came from it."""

    refresh: str
    obtained: float


@dataclass
class SignIn:
    """The registered app, its one user, and all tokens given out."""

    seed: int
    client_id: str
    client_secret: str
    redirect_uri: str
    codes: dict[str, tuple[float, bool]] = field(default_factory=dict)  # code -> (given at, used)
    grants: dict[str, _Grant] = field(default_factory=dict)  # current refresh token -> its grant
    old: set[str] = field(default_factory=set)
    access: dict[str, float] = field(default_factory=dict)  # access token -> valid until
    calls: dict[int, int] = field(default_factory=dict)
    made: int = 0
    day_limit: int = TOKEN_CALLS_A_DAY

    def _secret(self, what: str) -> str:
        self.made += 1
        return hashlib.sha256(f"{self.seed}:{what}:{self.made}".encode()).hexdigest()

    def new_code(self, now: float) -> str:
        """An authorization code as the callback would bring it, already decoded: it contains `!`."""
        code = f"stampNL001.{self._secret('code')[:24]}!IAAAA{self._secret('tail')[:40]}"
        self.codes[code] = (now, False)
        return code

    def new_pair(self, obtained: float) -> tuple[str, str]:
        """Tokens of a new consent, obtained at that moment: (access, refresh)."""
        grant = _Grant("", obtained)
        return self._issue(grant, obtained)

    def _issue(self, grant: _Grant, at: float) -> tuple[str, str]:
        if grant.refresh:
            del self.grants[grant.refresh]
            self.old.add(grant.refresh)
        grant.refresh = f"stampNL001.gAAAA!{self._secret('refresh')}"
        grant.obtained = at
        self.grants[grant.refresh] = grant
        access = f"stampNL001.AAEA{self._secret('access')}"
        self.access = {token: until for token, until in self.access.items() if until > at - 86_400}
        self.access[access] = at + ACCESS_LIFE
        return access, grant.refresh

    def admits(self, header: str, now: float) -> bool:
        """Whether the Authorization header carries a token that is valid now."""
        scheme, _, token = header.partition(" ")
        return scheme.lower() == "bearer" and self.access.get(token.strip(), 0.0) > now

    def authorise(self, query: str, now: float) -> Response:
        """`GET /api/oauth2/auth`: the user agrees at once."""
        asked = dict(parse_qsl(query, keep_blank_values=True))
        if asked.get("client_id") != self.client_id or asked.get("redirect_uri") != self.redirect_uri:
            return Response(401, {"content-type": "text/html"}, b"<html><body>Unauthorized</body></html>")
        if asked.get("response_type") != "code":  # the implicit grant exists, nobody should use it
            return _refusal(400, "unsupported_response_type", "Only response_type=code is offered.")
        target = f"{self.redirect_uri}?code={quote(self.new_code(now), safe='')}"
        if "state" in asked:
            target += f"&state={quote(asked['state'], safe='')}"
        return Response(302, {"location": target})

    def token(self, request: Request, headers: Mapping[str, str], now: float) -> Response:
        """`POST /api/oauth2/token`."""
        if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _refusal(400, "invalid_request", "The request must be application/x-www-form-urlencoded.")
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if self._client(form, headers) != (self.client_id, self.client_secret):
            return _refusal(400, "invalid_client", "The client credentials are not valid.")
        day = int(now // 86_400)
        self.calls = {day: self.calls.get(day, 0) + 1}
        if self.calls[day] > self.day_limit:  # status unverified
            return Response(429)
        if form.get("grant_type") == "authorization_code":
            return self._redeem(form, now)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form.get("refresh_token", ""), now)
        return _refusal(400, "unsupported_grant_type", "")

    def _client(self, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
            except ValueError:  # wrong base64 or no text
                return "", ""
            return unquote(name), unquote(secret)
        return form.get("client_id", ""), form.get("client_secret", "")

    def _redeem(self, form: Mapping[str, str], now: float) -> Response:
        code = form.get("code", "")
        given, used = self.codes.get(code, (0.0, True))
        if used or now - given > CODE_LIFE or form.get("redirect_uri") != self.redirect_uri:  # body unverified
            return _refusal(400, "invalid_grant", "The authorization code is invalid, expired or already used.")
        self.codes[code] = (given, True)
        return _pair(self.new_pair(now))

    def _refresh(self, refresh: str, now: float) -> Response:
        if refresh in self.old:
            return _refusal(401, "unauthorized_client", "Old refresh token used.")
        grant = self.grants.get(refresh)
        if grant is None:  # unverified
            return _refusal(400, "invalid_grant", "The refresh token is not valid.")
        if now - grant.obtained > REFRESH_LIFE:
            expired = f"The refresh token expired at {_american(grant.obtained + REFRESH_LIFE)} and it is now {_american(now)}."
            return _refusal(400, "invalid_request", expired)
        if now - grant.obtained < REFRESH_AFTER:  # exact JSON unverified
            return _refusal(401, "invalid_request", "Rate limit exceeded: access_token not expired")
        return _pair(self._issue(grant, now))


def _american(epoch: float) -> str:
    """`10/11/2022 9:18:20 PM` [websmurf/laravel-exact-online #23]."""
    moment = datetime.fromtimestamp(epoch, AMSTERDAM)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S} {moment:%p}"


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(body))


def _refusal(status: int, error: str, description: str) -> Response:
    return _answer(status, {"error": error, "error_description": description})


def _pair(tokens: tuple[str, str]) -> Response:
    """`expires_in` is text: real clients depend on it [picqer]."""
    access, refresh = tokens
    return _answer(200, {"access_token": access, "token_type": "bearer", "expires_in": "600", "refresh_token": refresh})
