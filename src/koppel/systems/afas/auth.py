"""Signing calls to AFAS Profit: a classic token out of the settings, or OAuth client credentials.

Client credentials need no person and have no refresh token: a new token is asked for when the old one is about to end, the
first one too. A classic token is not renewable; new ones are had with a code by e-mail (`otp_request`, `otp_validate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlencode

import msgspec

from koppel.model.problem import RetryLater, SetupError, UsageError
from koppel.model.values import Json
from koppel.systems.afas import settings as options
from koppel.systems.afas import wire
from koppel.systems.afas.settings import Settings
from koppel.systems.spi import (
    Auth,
    Call,
    Dead,
    Exchange,
    MailedCode,
    NoReply,
    Refreshed,
    RefreshOutcome,
    Request,
    Tokens,
)

LEAST_LEFT = 60.0  # seconds; ours: a token good at departure may be dead on arrival
TRY_AGAIN = 60.0  # seconds; ours
CLASSIC = "classic"


def tokens_from(settings: Settings) -> Tokens | None:
    """The classic token, ready for the wire; None when this connection signs with OAuth."""
    if not settings.token:
        return None
    return Tokens(options.token_for_wire(settings.token), extra={"kind": CLASSIC})


def spare(settings: Settings) -> Tokens | None:
    """The classic token to be used from when AFAS refuses the other; None when there is none."""
    if not settings.token_next:
        return None
    return Tokens(options.token_for_wire(settings.token_next), extra={"kind": CLASSIC})


def authorize(settings: Settings, tokens: Tokens, request: Request) -> Request:
    """The request with its credentials: `AfasToken` for a classic token, `Bearer` for OAuth. [MD authentication]"""
    scheme = "Bearer" if settings.client_id else "AfasToken"
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": f"{scheme} {tokens.access}"})


def due(tokens: Tokens, as_of: float) -> Literal["fresh", "refresh", "dead"]:
    """Whether the token can be used now; a classic one always can, as far as we know."""
    if tokens.extra.get("kind") == CLASSIC:
        return "fresh"
    if not tokens.access or tokens.expires_at is None or tokens.expires_at - as_of < LEAST_LEFT:
        return "refresh"
    return "fresh"


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | str = 3600


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""
    error_description: str = ""


def refresh(settings: Settings, tokens: Tokens, as_of: float) -> Exchange[RefreshOutcome]:
    """A new access token for the client's credentials. Asking twice is harmless, so silence is followed by one more try.

    Raises RetryLater when the token endpoint gives no usable answer, SetupError when it refuses the client.
    """
    if not settings.client_id and not settings.token:
        return Dead("the connection holds neither an OAuth client nor a classic token yet.")
    if not settings.client_id:
        return Dead("A classic token cannot be renewed; make a new one in Profit and put it in the connection.")
    # The secret travels in the body: client_secret_basic exists from Profit 9 only, and two methods at once are refused.
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    call = Call(Request("POST", token_url(settings), headers, urlencode(form).encode()), kind="token")
    for _ in range(2):
        reply = yield call
        if isinstance(reply, NoReply) or reply.status >= 500 or reply.status in {408, 429}:
            continue
        if reply.status == 403:  # said before anybody looks at the client (fact sheet §7)
            raise SetupError(
                "AFAS refuses this computer's address: the app connector allows certain IP addresses only.",
                remedy="Add this computer's public address at the app connector in Profit, or run where it is allowed.",
            )
        if reply.status == 200:
            try:
                grant = msgspec.json.decode(reply.body, type=_Grant)
                life = float(grant.expires_in)
            except (msgspec.MsgspecError, ValueError):
                continue
            return Refreshed(Tokens(grant.access_token, obtained_at=as_of, expires_at=as_of + life))
        try:
            refusal = msgspec.json.decode(reply.body, type=_Refusal)
        except msgspec.MsgspecError:
            refusal = _Refusal()
        reason = " ".join(part for part in (refusal.error_description, refusal.error) if part) or f"HTTP {reply.status}"
        if refusal.error == "invalid_client":
            return Dead(
                f"AFAS does not know this client, or its secret has expired or is wrong ({reason}). Make a new secret at the "
                "app connector in Profit."
            )
        raise SetupError(
            f"AFAS refuses a token for this app connector ({reason}).",
            remedy="Check that its authentication type is OAuth or Hybrid, and the client ID, the secret and the environment.",
        )
    raise RetryLater("AFAS's token endpoint gave no usable answer, twice.", at=as_of + TRY_AGAIN)


def token_url(settings: Settings) -> str:
    """The token endpoint of the environment."""
    return f"{options.base(settings)}/oauth/token"


# --- a classic token by e-mail ----------------------------------------------------------------------------------------


def otp_request(settings: Settings, *, api_key: str, environment_key: str, user: str) -> Exchange[None]:
    """Have AFAS send this user a one-time code by e-mail. To be sent unsigned.

    AFAS answers alike when the keys are wrong [GS; DG]: no e-mail within minutes means that a key or the user is wrong.
    Raises RetryLater, UsageError.
    """
    body = {"apiKey": api_key, "apiToken": environment_key, "userId": user}
    reply = yield _otp(settings, "OtpRequest", body)
    if isinstance(reply, NoReply) or reply.status >= 500:
        raise RetryLater("AFAS did not take the request for a code.", at=0.0, remedy="Ask again in a minute.")
    if reply.status not in {200, 201, 204}:
        raise UsageError(
            f"AFAS refuses to send a code (HTTP {reply.status}).",
            remedy="Check the member number, the environment, both keys and the user.",
        )


def otp_validate(settings: Settings, *, api_key: str, environment_key: str, user: str, code: str) -> Exchange[str]:
    """Exchange the code for a classic token, in its XML form. To be sent unsigned. Raises RetryLater, UsageError."""
    body = {"apiKey": api_key, "apiToken": environment_key, "userId": user, "otp": code.strip()}
    reply = yield _otp(settings, "OtpValidation", body)
    if isinstance(reply, NoReply) or reply.status >= 500:
        raise RetryLater(
            "AFAS did not answer on the code.", at=0.0, remedy="Give the code again; if refused, ask a new one."
        )
    told = {}
    if reply.status == 200:
        try:
            told = msgspec.json.decode(reply.body)
        except msgspec.MsgspecError:
            told = {}
    token = told.get("token") if isinstance(told, dict) else None
    if not isinstance(token, str):
        # 204 says: not valid [DG].
        raise UsageError(
            "AFAS does not accept this code.", remedy="Copy it from the newest e-mail, or ask for a new one."
        )
    return options.token_xml(token)  # it comes with a line break behind it [OAS]


def _otp(settings: Settings, path: str, body: dict[str, str]) -> Call:
    headers = {**wire.headers(settings), "Content-Type": "application/json;charset=utf-8"}
    request = Request("POST", wire.url(settings, path), headers, msgspec.json.encode(body))
    # It carries an effect (an e-mail, a spent code): silence is handed to us, not repeated.
    return Call(request, carries=("otp",), kind=path)


_ASKS = (
    ("api_key", "API key of the app connector", True),
    ("environment_key", "Environment key (the apiToken of the request)", True),
    ("user", "User of the app connector, with member number: 12345.name", False),
)


def _mail(settings: Settings, answers: Mapping[str, str]) -> Exchange[None]:
    if settings.client_id:
        raise UsageError(
            "This connection signs in with OAuth; a classic token has no place beside it.",
            remedy="Make a connection of its own for the token, or stay with OAuth: it is the way that lasts.",
        )
    yield from otp_request(settings, **_answered(answers))


def _redeem_mailed(settings: Settings, answers: Mapping[str, str], code: str) -> Exchange[dict[str, Json]]:
    token = yield from otp_validate(settings, **_answered(answers), code=code)
    return {"token": token}


def _answered(answers: Mapping[str, str]) -> dict[str, str]:
    return {name: answers[name].strip() for name, _, _ in _ASKS}


BY_MAIL = MailedCode(
    asks=_ASKS,
    request=_mail,
    redeem=_redeem_mailed,
    advice="AFAS answers alike when a key or the user is wrong. No e-mail within a few minutes means that one of them is.",
)


def _login(settings: Settings) -> str:
    return options.login(settings)


AUTH = Auth(
    kind="key",
    authorize=authorize,
    due=due,
    refresh=refresh,
    tokens_from=tokens_from,
    spare=spare,
    by_mail=BY_MAIL,
    unattended=True,
    login=_login,
)
