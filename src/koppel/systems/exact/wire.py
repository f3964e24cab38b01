"""The wire of Exact Online's REST API: addresses, headers, envelopes, error texts, limits and what a status means.

Nothing here sends. `Unreadable` is raised where an answer is not what the vendor promises; callers turn it into a value
or into the error family that fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.exact.settings import Settings, base
from koppel.systems.spi import Budget, BudgetReading, Call, Request, Response, Verdict

URL_ROOM = 6000  # characters of a URL [audit §2]

# Limits: defaults until the headers say otherwise; other apps saw other figures. [KB-limits; ossobv; picqer #264]
PER_MINUTE = 60
PER_DAY = 5000
ERRORS_PER_HOUR = 10

# Calls whose refusal is an answer: the exchange has another way, or does without.
_OPTIONAL = ("/hrm/Divisions", "/system/Divisions", "/$metadata")

Row = dict[str, Json]
Decode = Callable[[bytes], Any]


class Rows(msgspec.Struct, frozen=True):
    """A collection as it came, and where it goes on."""

    rows: tuple[Row, ...]
    next: str | None = None


class Unreadable(Exception):
    """An answer that is not what was asked for; `problem` says so in words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


# --- asking -------------------------------------------------------------------------------------------------------


def url(settings: Settings, *path: str, query: str = "") -> str:
    """An API address: `url(s, "7095", "crm/Accounts")`."""
    address = "/".join((base(settings), "api/v1", *path))
    return f"{address}?{query}" if query else address


def get(address: str, kind: str) -> Call:
    """A reading call. JSON must be asked for: the default is Atom XML [chef OData notes]."""
    return Call(Request("GET", address, {"Accept": "application/json"}), kind=kind)


def write(method: str, address: str, fields: Row, *, op: str, kind: str) -> Call:
    """A writing call; it asks for the stored record back, which POST gives and PUT may give [picqer createRequest]."""
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Prefer": "return=representation",
    }
    return Call(Request(method, address, headers, msgspec.json.encode(fields)), carries=(op,), kind=kind)


def own_link(settings: Settings, link: str) -> str:
    """`link` (a `__next`) when it stays within this site's API.

    Raises Unreadable otherwise: our token travels with the call and belongs to nobody else.
    """
    if not link.startswith(f"{base(settings)}/api/v1/"):
        raise Unreadable(Problem("foreign_link", "Exact Online's answer points to another site; it was not followed."))
    return link


# --- reading ------------------------------------------------------------------------------------------------------


def read_rows(response: Response, *, decode: Decode = msgspec.json.decode) -> Rows:
    """A collection, in either of its envelopes: `{"d":{"results":[…]}}` or, with `$top`, `{"d":[…]}`. Raises Unreadable.

    `decode` reads the JSON, for who wants its numbers digit for digit; it raises ValueError.
    """
    inner = _inner(response, decode)
    found: Json = inner
    link: Json = None
    if isinstance(inner, dict):
        envelope = cast("Row", inner)
        found, link = envelope.get("results"), envelope.get("__next")
    if not isinstance(found, list):
        raise Unreadable(_unreadable(response))
    rows = cast("list[Json]", found)
    if not all(isinstance(row, dict) for row in rows):
        raise Unreadable(_unreadable(response))
    return Rows(tuple(cast("list[Row]", rows)), link if isinstance(link, str) and link else None)


def read_entity(response: Response, *, decode: Decode = msgspec.json.decode) -> Row:
    """One record: `{"d":{…}}`, also when it comes as a collection of one. Raises Unreadable."""
    inner = _inner(response, decode)
    if isinstance(inner, dict) and "results" not in inner:
        return cast("Row", inner)
    rows = read_rows(response, decode=decode).rows
    if len(rows) != 1:
        raise Unreadable(_unreadable(response))
    return rows[0]


def error_text(response: Response) -> str:
    """What the vendor says is wrong, on one line; empty when it says nothing a person could use."""
    try:
        body = msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        plain = response.body.decode(errors="replace")
        return "" if "<" in plain else " ".join(plain.split())[:300]
    error: Json = body.get("error") if isinstance(body, dict) else None
    message: Json = error.get("message") if isinstance(error, dict) else error
    value: Json = message.get("value") if isinstance(message, dict) else message
    return " ".join(value.split()) if isinstance(value, str) else ""


def request_id(response: Response) -> str | None:
    """The vendor's name for this exchange, should it give one (none is documented)."""
    return next((response.headers[name] for name in ("request-id", "x-request-id") if response.headers.get(name)), None)


def problem(code: str, text: str, response: Response, *, field: str | None = None) -> Problem:
    """A problem that carries what the vendor answered."""
    return Problem(
        code,
        text,
        field=field,
        vendor_text=error_text(response) or None,
        vendor_code=response.headers.get("reason"),
        status=response.status,
        request_id=request_id(response),
    )


def _inner(response: Response, decode: Decode) -> Json:
    if response.status not in {200, 201}:
        raise Unreadable(_unreadable(response))
    try:
        body = decode(response.body)
    except (msgspec.MsgspecError, ValueError):
        raise Unreadable(_unreadable(response)) from None
    return body.get("d") if isinstance(body, dict) else None


def _unreadable(response: Response) -> Problem:
    said = error_text(response) if response.status >= 400 else ""
    text = f"Exact Online answered {response.status}" + (f": {said}" if said else ", in a form that cannot be read.")
    return problem("unreadable_answer", text, response)


# --- limits -------------------------------------------------------------------------------------------------------

_PATH = re.compile(r"/api/v1/(?:beta/)?(?P<division>\d+)/(?P<endpoint>[^(?]+)")


def division_of(request: Request) -> str | None:
    """The division a call is counted on; None for current/Me and the token endpoint, which are not counted [KB-limits]."""
    found = _PATH.search(urlsplit(request.url).path)
    return found["division"] if found else None


def endpoint_of(request: Request) -> str | None:
    """What errors are counted on: division and endpoint. [KB-limits: per key, user, company, endpoint and hour]"""
    found = _PATH.search(urlsplit(request.url).path)
    return f"{found['division']}:{found['endpoint'].rstrip('/')}" if found else None


BUDGETS = (
    # Windows are clock minutes: 60 calls by 10:00:40 means waiting until 10:01:00. [KB-limits]
    Budget(name="minute", limit=PER_MINUTE, window="minute", key=division_of, reserve=5),
    Budget(name="day", limit=PER_DAY, window="day", key=division_of, reserve=200),
    Budget(name="errors", limit=ERRORS_PER_HOUR, window="hour", key=endpoint_of, counts="errors"),
)
_FAMILIES = {"minute": "x-ratelimit-minutely-", "day": "x-ratelimit-"}


def readings(request: Request, response: Response, as_of: float) -> tuple[BudgetReading, ...]:
    """What the rate headers say; a family that is missing (after a 429 of the other) says nothing."""
    del as_of
    key = division_of(request)
    if key is None:
        return ()
    found = (_reading(name, prefix, key, response) for name, prefix in _FAMILIES.items())
    return tuple(reading for reading in found if reading)


def _reading(name: str, prefix: str, key: str, response: Response) -> BudgetReading | None:
    try:
        limit, remaining, reset = (int(response.headers[prefix + part]) for part in ("limit", "remaining", "reset"))
    except (KeyError, ValueError):
        return None
    # Reset is epoch milliseconds. [KB-limits]
    return BudgetReading(name=name, key=key, remaining=remaining, limit=limit, reset_at=reset / 1000)


# --- verdicts -----------------------------------------------------------------------------------------------------

_REASONS = {
    "BlockedUser": "The Exact Online user is blocked; unblock it in Exact or sign in as another user.",
    "InactiveUser": "The Exact Online user is inactive; activate it in Exact or sign in as another user.",
    "BlockedCustomer": "Exact has blocked this customer account; ask Exact or your accountant.",
    "LicenseExpired": "The Exact Online licence has expired; renew it in Exact.",
    "DivisionBlocked": "The division is blocked in Exact (a conversion, a restore, or by hand); try later or unblock it.",
    "NoDivisionAccess": "The user who signed in has no access to this division; grant it in Exact.",
}
_OUT_OF_SCOPE = re.compile(r"not within division scope", re.IGNORECASE)


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    """What a response means to the sender. HTTP 500 is `ok`: the vendor answers business errors with it (fact sheet §8)."""
    status = response.status
    # Exact counts these four towards its error quota. [KB-limits]
    counts = status in {400, 401, 403, 404} and division_of(request) is not None
    path = urlsplit(request.url).path
    if path.endswith("/oauth2/token"):
        return Verdict("ok")  # `auth` reads each answer: a 401 there speaks of the refresh token
    if status == 429:
        return _throttled(request, response, as_of)
    if status == 401 or (status in {302, 303, 307} and "login.aspx" in response.headers.get("location", "").lower()):
        return _unauthorised(response, counts_as_error=counts)
    if status == 403 and not path.endswith(_OPTIONAL):
        return Verdict("setup", problem=_forbidden(response), counts_as_error=counts)
    if status in {408, 502, 503, 504}:
        text = "Exact Online is not available for the moment."
        return Verdict(
            "unavailable", problem=problem("unavailable", text, response), retry_at=_retry_after(response, as_of)
        )
    return Verdict("ok", counts_as_error=counts)


def _unauthorised(response: Response, *, counts_as_error: bool) -> Verdict:
    # With a Reason the token is not what is wrong, and a new one would be refused alike. [picqer PR 451]
    if response.headers.get("reason") in _REASONS:
        return Verdict("setup", problem=_forbidden(response), counts_as_error=counts_as_error)
    text = "Exact Online does not accept the access token."
    return Verdict("sign_in", problem=problem("sign_in", text, response), counts_as_error=counts_as_error)


def _forbidden(response: Response) -> Problem:
    reason = response.headers.get("reason", "")
    if _OUT_OF_SCOPE.search(error_text(response)):
        text = "This division was not among those granted at sign-in; sign in again and tick it."
    elif reason in _REASONS:
        text = _REASONS[reason]
    else:
        text = (
            "Exact Online forbids this call. The user's rights, the app's data scopes, the divisions granted at sign-in or "
            "the licence lack something" + (f" (Reason: {reason})." if reason else ".")
        )
    return problem("forbidden", text, response)


def _throttled(request: Request, response: Response, as_of: float) -> Verdict:
    """Only the exceeded family's headers come with a 429 [picqer #646]; with both, the exhausted one counts."""
    found = readings(request, response, as_of)
    exceeded = min(found, key=lambda reading: (reading.remaining > 0, -reading.reset_at), default=None)
    if len(found) > 1 and exceeded is not None and exceeded.remaining > 0:
        # Neither is exhausted: reported as spurious [picqer #646]; the shorter wait is tried.
        exceeded = min(found, key=lambda reading: reading.reset_at)
    name = exceeded.name if exceeded else None
    if exceeded is None:
        # The block after too many errors may look like this too; its status and text are unverified.
        text, retry_at = "Exact Online takes no more calls for now.", _retry_after(response, as_of)
    else:
        text = f"The allowance per {exceeded.name} of this division is used up."
        # Only minute-precise, and its clock is not ours: a moment that has passed means the next minute. [fretje PR 8]
        retry_at = exceeded.reset_at if exceeded.reset_at > as_of else (as_of // 60 + 1) * 60
    return Verdict("throttled", problem=problem("throttled", text, response), retry_at=retry_at, budget=name)


def _retry_after(response: Response, as_of: float) -> float | None:
    """`Retry-After` as seconds or as a date; unproven at this vendor, honoured when it is there."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdigit():
        return as_of + int(value)
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError):
        return None
