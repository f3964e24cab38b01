"""Signing in to Exact Online: the code flow, and refreshing a single-use token inside the vendor's window.

Promises: a refresh is never asked before 570 seconds have passed, and a pair that may have been lost on the way is asked
for once more before a person is called. Exchanges return `Refreshed`, `StillGood` or `Dead`; they raise SetupError when
the app itself is refused and RetryLater when the token endpoint gives no usable answer.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from koppel.model.problem import RetryLater, SetupError
from koppel.systems.exact import settings as options
from koppel.systems.exact.settings import Settings
from koppel.systems.spi import (
    Auth,
    Budget,
    Call,
    Dead,
    Exchange,
    NoReply,
    Refreshed,
    RefreshOutcome,
    Reply,
    Request,
    Response,
    StillGood,
    Tokens,
)

ACCESS_LIFE = 600.0  # seconds [fact sheet §2]
EARLIEST_REFRESH = 570.0  # seconds since the last successful one; earlier is refused and counts as an error [KB-limits]
LEAST_LEFT = 30.0  # refresh when less than this is left: a token good at departure may be dead on arrival [picqer #497]
REFRESH_LIFE = 30 * 24 * 3600.0  # seconds unused [websmurf #23]
CODE_LIFE_MINUTES = 3  # [chef step 2]
# About 200 token calls per app, user and day [forums.invantive.com 3507]; a refresh every 600 seconds takes 144. Which midnight
# the vendor counts from is unverified. The reserve is ours: a person must be able to sign in when programs have used up theirs.
TOKEN_CALLS = Budget(name="token calls", limit=200, window="day", key=lambda request: None, reserve=20)
TRY_AGAIN = 60.0  # seconds; ours: how long to leave a token endpoint in peace that gives no usable answer
_CLOCK_SKEW = 60.0  # seconds; ours: how far another machine's clock may run ahead

_SIGN_IN_AGAIN = "Sign in again."
# The exact JSON of the early refusal is unverified; both the error and its description are looked at. [KB-limits; ossobv]
_TOO_EARLY = re.compile(r"access[_ ]token not expired|rate limit exceeded", re.IGNORECASE)
_ALREADY_USED = re.compile(r"old refresh token", re.IGNORECASE)
_EXPIRED = re.compile(r"refresh token expired", re.IGNORECASE)


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""
    error_description: str = ""


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str
    # A string at this vendor [ossobv, picqer]; a number is accepted, should that ever be mended.
    expires_in: int | str = "600"


def sign_in_url(settings: Settings, state: str) -> str:
    """Where a person grants access; they come back at `redirect_uri` with `code` and `state`."""
    query = {
        "client_id": settings.client_id,
        "redirect_uri": settings.redirect_uri,
        "response_type": "code",
        "state": state,
        "force_login": "0",
    }
    return f"{options.base(settings)}/api/oauth2/auth?{urlencode(query)}"


def read_code(pasted: str) -> str:
    """The code out of what a person pasted: the bare code, its URL-encoded form, or the whole address they landed on.

    Raises ValueError when an address holds no code; its text says what the vendor gave instead.

    >>> read_code("https://app.example/back?code=AbC%21IAAA&state=x")
    'AbC!IAAA'
    >>> read_code(" AbC!IAAA ")
    'AbC!IAAA'
    """
    text = pasted.strip().strip("\"'")
    query = urlsplit(text).query if "://" in text else text.lstrip("?")
    # Split by hand: a form parser would turn a `+` inside an unencoded code into a space.
    given = dict(part.split("=", 1) for part in query.split("&") if "=" in part)
    if "code" in given:
        return unquote(given["code"])
    if "://" in text or "error" in given:
        said = unquote(given.get("error_description", "") or given.get("error", "")).replace("+", " ")
        raise ValueError(said or "the address holds no code")
    return unquote(text)


def redeem(settings: Settings, code: str, as_of: float) -> Exchange[RefreshOutcome]:
    """Turn what came back from the sign-in page into tokens."""
    try:
        plain = read_code(code)
    except ValueError as reason:
        return Dead(f"Exact Online gave no code: {reason}. {_SIGN_IN_AGAIN}")
    form = {"grant_type": "authorization_code", "code": plain, "redirect_uri": settings.redirect_uri}
    for _ in range(2):
        outcome = _outcome((yield _token_call(settings, form)), as_of)
        if isinstance(outcome, Dead):
            return Dead(
                f"Exact Online refused the code ({outcome.reason}). A code lives {CODE_LIFE_MINUTES} minutes and works "
                f"once: open the sign-in page again and paste the address you land on straight away."
            )
        if outcome is not None:
            return outcome
    raise _no_answer(as_of)


def refresh(settings: Settings, tokens: Tokens, as_of: float) -> Exchange[RefreshOutcome]:
    """Exchange the refresh token for a new pair; the old one is worthless the moment the vendor has answered.

    Silence is followed by one more attempt with the old token: if the first never arrived, nothing is lost; if it did,
    the vendor says so and only a person can mend it. Raises RetryLater, SetupError.
    """
    if _too_young(tokens, as_of):
        return StillGood()
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
    for _ in range(2):
        outcome = _outcome((yield _token_call(settings, form)), as_of)
        if outcome is not None:
            return outcome
    raise _no_answer(as_of)


def due(tokens: Tokens, as_of: float) -> Literal["fresh", "refresh", "dead"]:
    """Whether the tokens can be used now. Refreshing begins when under 30 seconds are left, never before 570 passed."""
    if as_of - tokens.obtained_at >= REFRESH_LIFE:
        return "dead"
    if _too_young(tokens, as_of) or _expires_at(tokens) - as_of >= LEAST_LEFT:
        return "fresh"
    return "refresh" if tokens.refresh else "dead"


def lapses(tokens: Tokens) -> float | None:
    """When the sign-in dies unless it is used before: every refresh gives it another 30 days. [websmurf #23]"""
    return tokens.obtained_at + REFRESH_LIFE if tokens.refresh else None


def authorize(_settings: Settings, tokens: Tokens, request: Request) -> Request:
    """The request with its bearer token."""
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": f"Bearer {tokens.access}"})


def token_url(settings: Settings) -> str:
    """The token endpoint of the site."""
    return f"{options.base(settings)}/api/oauth2/token"


def _expires_at(tokens: Tokens) -> float:
    return tokens.obtained_at + ACCESS_LIFE if tokens.expires_at is None else tokens.expires_at


def _too_young(tokens: Tokens, as_of: float) -> bool:
    # An age far below zero means that a clock was set back: then the vendor is asked, who refuses harmlessly.
    return -_CLOCK_SKEW < as_of - tokens.obtained_at < EARLIEST_REFRESH


def _token_call(settings: Settings, form: dict[str, str]) -> Call:
    secrets = {"client_id": settings.client_id, "client_secret": settings.client_secret}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    body = urlencode({**form, **secrets}).encode()
    # It carries an effect (the old token dies), so that silence is handed to us instead of being repeated blindly.
    return Call(Request("POST", token_url(settings), headers, body), carries=("token",), kind="token")


def _outcome(reply: Reply, as_of: float) -> RefreshOutcome | None:
    """What the token endpoint said; None when nobody can tell. Raises RetryLater, SetupError."""
    if isinstance(reply, NoReply) or reply.status >= 500 or reply.status == 408:
        return None
    if reply.status == 200:
        return _granted(reply, as_of)
    refusal = _refusal(reply)
    said = " ".join(part for part in (refusal.error_description, refusal.error) if part)
    if _TOO_EARLY.search(said):
        return StillGood()
    if _ALREADY_USED.search(said):
        return Dead(
            "This refresh token was used before: another program or an earlier copy of these tokens refreshed it, or the "
            f"answer to our last refresh was lost. {_SIGN_IN_AGAIN}"
        )
    if _EXPIRED.search(said):
        return Dead(f"The sign-in was not used for 30 days and has lapsed. {_SIGN_IN_AGAIN}")
    if reply.status == 429:
        # About 200 token calls per app, user and day. [forums.invantive.com 3507]
        raise RetryLater("Exact Online takes no token calls for now.", at=as_of + 10 * TRY_AGAIN)
    if refusal.error == "invalid_client" or reply.status not in {400, 401}:
        raise SetupError(
            f"Exact Online refuses this app's token calls (HTTP {reply.status}{': ' + said if said else ''}).",
            remedy="Check the client ID, the client secret and the site of the connection.",
        )
    return Dead(f"{said or 'no reason given'}. {_SIGN_IN_AGAIN}")


def _granted(response: Response, as_of: float) -> Refreshed | None:
    try:
        grant = msgspec.json.decode(response.body, type=_Grant)
        life = float(grant.expires_in)
    except (msgspec.MsgspecError, ValueError):
        return None
    if not (grant.access_token and grant.refresh_token):
        return None
    return Refreshed(
        Tokens(access=grant.access_token, refresh=grant.refresh_token, obtained_at=as_of, expires_at=as_of + life)
    )


def _refusal(response: Response) -> _Refusal:
    # Never assume a JSON error body. [picqer #343]
    try:
        return msgspec.json.decode(response.body, type=_Refusal)
    except msgspec.MsgspecError:
        return _Refusal()


def _no_answer(as_of: float) -> RetryLater:
    return RetryLater(
        "Exact Online's token endpoint gave no usable answer, twice.",
        at=as_of + TRY_AGAIN,
        remedy="The stored token is kept and tried again by itself.",
    )


AUTH = Auth(
    kind="oauth_code",
    authorize=authorize,
    due=due,
    refresh=refresh,
    sign_in_url=sign_in_url,
    redeem=redeem,
    lapses=lapses,
    allowance=TOKEN_CALLS,
    login=options.login,
)
