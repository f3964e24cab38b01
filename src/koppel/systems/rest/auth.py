"""Signing in to a described API: a key in a header, a bearer token, user and password, or OAuth client credentials."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from koppel.model.problem import Bug, RetryLater, SetupError
from koppel.systems.rest import settings as options
from koppel.systems.rest.settings import Settings
from koppel.systems.spi import (
    Auth,
    Call,
    Dead,
    Exchange,
    NoReply,
    Refreshed,
    RefreshOutcome,
    Reply,
    Request,
    Response,
    Tokens,
)

LEAST_LEFT = 60.0  # seconds; ours: a token good at departure may be dead on arrival
LIFE = 3600.0  # seconds; ours, where the answer names none
TRY_AGAIN = 60.0  # seconds; ours
_UNSIGNED = Tokens("", extra={"kind": "none"})


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | str | None = None


def authorize(settings: Settings, tokens: Tokens, request: Request) -> Request:
    """Sign a request. Raises Bug when it would carry the secret to another host."""
    if urlsplit(request.url).netloc != urlsplit(options.base(settings)).netloc:
        raise Bug(f"A request would go to {urlsplit(request.url).netloc}, which is not the host the key is for.")
    auth = settings.api.auth
    match auth.kind:
        case "none":
            return request
        case "header":
            signed = {auth.header: f"{auth.prefix}{tokens.access}"}
        case "basic":
            signed = {"Authorization": f"Basic {tokens.access}"}
        case "bearer" | "client_credentials":
            signed = {"Authorization": f"Bearer {tokens.access}"}
    return msgspec.structs.replace(request, headers={**request.headers, **signed})


def tokens_from(settings: Settings) -> Tokens | None:
    """What the settings hold; None for client credentials, whose token is asked for. Raises SetupError."""
    options.require(settings)
    match settings.api.auth.kind:
        case "none":
            return _UNSIGNED
        case "header" | "bearer":
            return Tokens(settings.key.strip())
        case "basic":
            return Tokens(b64encode(f"{settings.user}:{settings.password}".encode()).decode())
        case "client_credentials":
            return None


def due(tokens: Tokens, as_of: float) -> Literal["fresh", "refresh", "dead"]:
    """Keys hold until they are refused; a token is asked for anew before it ends."""
    if tokens.extra.get("kind") == "none":
        return "fresh"
    if not tokens.access:
        return "refresh"
    return "refresh" if tokens.expires_at is not None and tokens.expires_at - as_of < LEAST_LEFT else "fresh"


def refresh(settings: Settings, tokens: Tokens, as_of: float) -> Exchange[RefreshOutcome]:
    """Ask for a token with the client's credentials; asking twice does no harm. Raises SetupError, RetryLater."""
    if settings.api.auth.kind != "client_credentials":
        return Dead("The key is not accepted; copy it again from the vendor.")
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
    }
    if settings.api.auth.scope:
        form["scope"] = settings.api.auth.scope
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    call = Call(Request("POST", options.token_url(settings), headers, urlencode(form).encode()), kind="token")
    title = settings.api.title
    reply: Reply = NoReply()
    for _ in range(2):
        reply = yield call
        if isinstance(reply, Response) and reply.status < 500 and reply.status != 429:
            break
    else:
        raise RetryLater(f"{title} gives no token for now.", at=as_of + TRY_AGAIN)
    assert isinstance(reply, Response)
    if reply.status != 200:
        raise SetupError(
            f"{title} refuses the client ID or its secret (HTTP {reply.status}).",
            remedy="Copy both again from the vendor, and check auth.token_url and auth.scope of the description.",
        )
    try:
        grant = msgspec.json.decode(reply.body, type=_Grant)
        life = float(grant.expires_in) if grant.expires_in is not None else LIFE
    except (msgspec.DecodeError, ValueError):
        raise RetryLater(
            f"{title} answered the request for a token with something else.", at=as_of + TRY_AGAIN
        ) from None
    return Refreshed(Tokens(grant.access_token, obtained_at=as_of, expires_at=as_of + life))


def login(settings: Settings) -> str:
    """Connections with one client at one token address share its token; keys are each connection's own."""
    if settings.api.auth.kind != "client_credentials":
        return ""
    return f"{settings.client_id}@{options.token_url(settings)}"


AUTH = Auth(
    kind="key", authorize=authorize, due=due, refresh=refresh, tokens_from=tokens_from, unattended=True, login=login
)
